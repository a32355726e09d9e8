"""Every failure a user can meet, each rendering itself in a line or two.

::

    MagicsError
    ├── OptionError               an option, a value or a name that was typed is wrong
    ├── SettingError              a setting of the environment, a file or ``%config`` is wrong
    ├── NotebookNotFound          which notebook this is cannot be told
    ├── DialogueError             the dialogue file
    │   ├── DialogueDamaged       a line of it cannot be read
    │   ├── DialogueTooNew        written by a newer version of the format
    │   └── DialogueUnwritable    read-only, a folder, a full disk
    ├── AssistantsError           the file of assistants
    │   └── AssistantsDamaged     a line of it cannot be read
    ├── JobsFileError             the file of fine-tuning jobs
    ├── JobFailed                 a fine-tuning job failed, as the service tells
    ├── ReplayMiss                nothing recorded for this request, and asking live is not allowed
    ├── NotConnected              no model can be reached from here
    │   ├── KeyMissing            the service wants a key and none is set
    │   ├── ExtraMissing          an optional package is not installed
    │   └── EngineError           the embedded engine could not be provisioned or started
    └── ServiceError              the service answered with an error, or not as it should
        ├── KeyRefused            401: the key is wrong or revoked
        ├── AccessRefused         403: the key may not do this
        ├── ModelNotFound         404: no such model (or route) there
        ├── RequestRefused        400, 413, 422: the request itself is at fault
        │   ├── ContextTooLong    more tokens than the model takes
        │   ├── ContentRefused    the model or a content filter refused the prompt or the answer
        │   ├── ImageRefused      an image cannot be read here (an OptionError, too): nothing is sent
        │   └── LengthCut         the answer reached the model's limit
        ├── RateLimited           429: too many requests at the moment
        ├── QuotaExhausted        429: the account has no credit left
        ├── Unreachable           no connection, a time-out, a 5xx
        ├── BadReply              an answer that is not what the protocol says
        │   └── SchemaMismatch    an answer that does not fit the schema that was asked for
        └── TooManyRounds         the model wants tools called again and again
    Interrupted (KeyboardInterrupt)   stopped by the person before the answer was whole

They are ordinary exceptions, so a cell that meets one has failed (nbval, papermill and CI
see it); ``_render_traceback_`` keeps what IPython shows to what the person needs: what is
wrong, and what to do.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openai_magics.exchange import Reply

__all__ = [
    "AccessRefused",
    "AssistantsDamaged",
    "AssistantsError",
    "BadReply",
    "ContentRefused",
    "ContextTooLong",
    "DialogueDamaged",
    "DialogueError",
    "DialogueTooNew",
    "DialogueUnwritable",
    "EngineError",
    "ExtraMissing",
    "ImageRefused",
    "Interrupted",
    "JobFailed",
    "JobsFileError",
    "KeyMissing",
    "KeyRefused",
    "LengthCut",
    "MagicsError",
    "ModelNotFound",
    "NotConnected",
    "NotebookNotFound",
    "OptionError",
    "QuotaExhausted",
    "RateLimited",
    "ReplayMiss",
    "RequestRefused",
    "SchemaMismatch",
    "ServiceError",
    "SettingError",
    "TooManyRounds",
    "Unreachable",
    "nearest",
]


UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the known name most like *name*, else ``""``."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {found[0]!r}?)" if found else ""


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


class DialogueError(MagicsError):
    """The dialogue file at ``path`` cannot be used."""

    def __init__(self, path: Path | str, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.args = (path, problem, remedy)  # what pickle calls the class with
        self.path = Path(path)


class DialogueDamaged(DialogueError):
    """A line of the dialogue file cannot be read; ``line`` counts from 1."""

    def __init__(self, path: Path | str, line: int, what: str) -> None:
        super().__init__(
            path,
            f"{path}, line {line}: {what}.",
            f"Nothing was changed. To mend it: python -m openai_magics repair {path}",
        )
        self.args = (path, line, what)
        self.line = line
        self.what = what


class DialogueTooNew(DialogueError):
    """The dialogue file was written by a newer version of the format."""


class DialogueUnwritable(DialogueError):
    """The dialogue file cannot be written."""


class AssistantsError(MagicsError):
    """The file of assistants at ``path`` cannot be used."""

    def __init__(self, path: Path | str, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.args = (path, problem, remedy)
        self.path = Path(path)


class AssistantsDamaged(AssistantsError):
    """A line of the file of assistants cannot be read; ``line`` counts from 1."""

    def __init__(self, path: Path | str, line: int, what: str) -> None:
        super().__init__(
            path,
            f"{path}, line {line}: {what}.",
            "Nothing was changed. Mend that line, or move the file out of the way.",
        )
        self.args = (path, line, what)
        self.line = line
        self.what = what


class JobsFileError(MagicsError):
    """The file of fine-tuning jobs cannot be read or written."""


class JobFailed(MagicsError):
    """A fine-tuning job failed, as the service tells."""


class ReplayMiss(MagicsError):
    """Nothing is recorded for a request that may only be replayed."""


class NotConnected(MagicsError):
    """No model can be reached from here as things are set."""


class KeyMissing(NotConnected):
    """The service wants a key and none is set."""


class ExtraMissing(NotConnected):
    """An optional package is not installed; ``extra`` names what installs it."""

    def __init__(self, purpose: str, extra: str, cause: str = "") -> None:
        super().__init__(
            f"{purpose} needs a package that is not installed{f' ({cause})' if cause else ''}.",
            f'Install it with: pip install "openai_magics[{extra}]"',
        )
        self.args = (purpose, extra, cause)
        self.extra = extra


class EngineError(NotConnected):
    """The embedded engine could not be provisioned or started."""


class ServiceError(MagicsError):
    """The service answered with an error (``status``, ``code``), or not as it should.

    ``lasting`` tells whether the same request would fail again (a refused prompt, too long
    a context): such a failure is recorded and replayed. What was the moment's (network,
    rate limit, key) is recorded but never replayed. ``reply`` holds what had come before it
    failed, if anything; ``replayed`` that this failure comes from the dialogue file.
    """

    lasting = False
    reply: Reply | None = None
    replayed = False

    def __init__(
        self,
        problem: str,
        remedy: str = "",
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(problem, remedy)
        self.args = (problem, remedy, status, code, request_id, retry_after)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after


class KeyRefused(ServiceError):
    """401: the key is wrong or revoked."""


class AccessRefused(ServiceError):
    """403: the key may not do this."""


class ModelNotFound(ServiceError):
    """404: no such model, or no such route, at this endpoint."""


class RequestRefused(ServiceError):
    """400, 413 or 422: the request itself is at fault."""

    lasting = True


class ContextTooLong(RequestRefused):
    """The conversation holds more tokens than the model takes."""


class ContentRefused(RequestRefused):
    """The model or a content filter refused the prompt or the answer."""


class ImageRefused(RequestRefused, OptionError):
    """An image is none, damaged, too large, or of a kind that nothing here reads; nothing is sent.

    Recorded, so that a run over many images replays with the same failures. Asked live it is
    tried again: what was missing to read it may be installed since.
    """


class LengthCut(RequestRefused):
    """The answer reached a limit that nobody asked for, and is not whole."""


class RateLimited(ServiceError):
    """429: too many requests or tokens at the moment; ``retry_after`` in seconds, if told."""


class QuotaExhausted(ServiceError):
    """429 ``insufficient_quota``: the account has no credit left; waiting does not help."""


class Unreachable(ServiceError):
    """No connection, a time-out, or the server is failing (5xx)."""


class BadReply(ServiceError):
    """The answer is not what the protocol says: cut off, empty, or not JSON."""


class SchemaMismatch(BadReply):
    """The answer does not fit the schema ``name``; ``problems`` says where and how."""

    name = ""
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, problems: Sequence[str], *, was_cut: bool = False) -> SchemaMismatch:
        """Return the error for an answer; *was_cut*: it reached the token limit."""
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        said = cls(
            f"The answer does not fit the schema {name!r}: {'; '.join(problems[:5])}{more}.",
            "It is recorded, and in `_answer`. Say in the prompt what is wanted, or ask another "
            "model.",
        )
        if was_cut:
            said = cls(
                f"The answer reached the token limit before its JSON ended (schema {name!r}).",
                "What came is recorded. Allow more (--max-tokens N), or ask for less at once.",
            )
        said.name, said.problems = name, tuple(problems)
        return said


class TooManyRounds(ServiceError):
    """The model wants tools called more often than is allowed; ``reply`` is its last one."""


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
