"""An ask of a chat that has not been answered: it runs, or it failed and can be tried again."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from openai_magics.panels.growing import Growing
from openai_magics.panels.uploads import Upload
from openai_magics.panels.worker import Job

__all__ = ["Pending"]

_numbers = itertools.count(1)


@dataclass
class Pending:
    """One ask on its way.

    ``after`` is the id of the record that it comes after (``""``: none); ``fresh`` asks for
    another answer to what is recorded.
    """

    conversation: str
    text: str
    after: str
    images: list[tuple[str, Upload]] = field(default_factory=list)
    fresh: bool = False
    key: str = field(default_factory=lambda: f"pending:{next(_numbers)}")
    growing: Growing = field(default_factory=Growing)
    notice: str = ""
    failure: dict[str, Any] | None = None
    job: Job | None = None

    @property
    def running(self) -> bool:
        """Whether an answer may still come."""
        return self.failure is None

    def again(self, text: str) -> Pending:
        """Return an ask in the place of this one, which failed."""
        fresh = self.fresh and text == self.text
        return Pending(self.conversation, text, self.after, self.images, fresh=fresh)

    def shown(self) -> dict[str, Any]:
        """Return what a view shows of it."""
        return {
            "id": self.key,
            "asked": self.text,
            "text": "",
            "html": "",
            "notes": [],
            "failure": self.failure,
            "standing": False,
            "replayed": False,
            "cell": False,
            "model": "",
            "usage": "",
            "running": self.running,
            "notice": self.notice,
            "growing": self.growing.whole(),
        }
