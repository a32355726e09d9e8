"""What every failure is, and those of what a person types, sets or stops."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openai_magics.exchange import Reply

__all__ = [
    "Interrupted",
    "JobFailed",
    "MagicsError",
    "NotebookNotFound",
    "OptionError",
    "ReplayMiss",
    "SettingError",
    "counted",
    "nearest",
]

UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the known name most like *name*, else ``""``."""
    found = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    found.sort(key=lambda each: sorted(each) != sorted(name))  # letters that changed places
    return f" (did you mean {found[0]!r}?)" if found else ""


def counted(count: int, noun: str, spec: str = "") -> str:
    """Return a number and its noun, ``"1 turn"``, ``"3 turns"``; *spec* formats the number."""
    return f"{count:{spec}} {noun}" if count == 1 else f"{count:{spec}} {noun}s"


class MagicsError(Exception):
    """What went wrong (``problem``) and what to do about it (``remedy``, may be empty)."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        # A server's or a model's words may stand in it: no terminal is to obey them.
        text = f"{self.problem}\n{self.remedy}" if self.remedy else self.problem
        return UNPRINTABLE.sub("\ufffd", text)

    def _render_traceback_(self) -> list[str]:
        return f"{type(self).__name__}: {self}".splitlines()


class OptionError(MagicsError):
    """An option, a value or a name that was typed is wrong."""


class SettingError(MagicsError):
    """A setting of the environment, a configuration file or ``%config`` is wrong."""


class NotebookNotFound(MagicsError):
    """Which notebook this kernel runs cannot be told."""


class ReplayMiss(MagicsError):
    """Nothing is recorded for a request that may only be replayed."""


class JobFailed(MagicsError):
    """A fine-tuning job failed, as the service tells."""


class Interrupted(KeyboardInterrupt):
    """Stopped by the person before the answer was whole; what had come is recorded."""

    reply: Reply | None = None

    def __init__(self, characters: int = 0, said: str = "") -> None:
        super().__init__(characters, said)
        self.characters = characters
        self.said = said

    def __str__(self) -> str:
        if self.said:
            return self.said
        if not self.characters:
            return "stopped before an answer came"
        return f"stopped; the {self.characters} characters that had come are recorded as cut off"

    def _render_traceback_(self) -> list[str]:
        return [f"Interrupted: {self}"]
