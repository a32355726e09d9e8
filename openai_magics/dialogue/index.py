"""What is known of a dialogue file without parsing it: where the last record of each slot stands."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import BinaryIO

from openai_magics.disk import stamp
from openai_magics.errors import DialogueDamaged
from openai_magics.scan import Tail, begin, key, scan

__all__ = ["Index"]

_generations = itertools.count()


class Index:
    """The slots of a dialogue file, and how it ends, in the state in which it was last seen.

    Attributes
    ----------
    generation : int
        Another one where what was known of the file is void.
    tail : Tail or None
        How it ends; ``None`` where nothing was read yet.
    stamp : tuple or None
        What tells this state of the file from another (see `openai_magics.disk.stamp`).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.forget()

    def forget(self) -> None:
        """Know nothing of the file."""
        self.generation = next(_generations)
        self.tail: Tail | None = None
        self.stamp: tuple[int, int, int] | None = None
        self._offsets: dict[bytes, int] = {}
        self._most: dict[bytes, int] = {}

    @property
    def end(self) -> int:
        """The offset just after the last record; 0 where there is none."""
        return self.tail.end if self.tail and self.tail.records else 0

    def offset(self, fingerprint: str, occurrence: int) -> int | None:
        """Return where the last record of a slot begins."""
        return self._offsets.get(key(fingerprint, occurrence))

    def occurrences(self, fingerprint: str) -> set[int]:
        """Return the occurrences of a fingerprint in the file."""
        most = self._most.get(fingerprint.encode(), -1)
        return {n for n in range(most + 1) if key(fingerprint, n) in self._offsets}

    def found(self, fingerprint: bytes, occurrence: bytes, offset: int) -> None:
        """Take note of a record, as `scan` tells of it."""
        if occurrence == b"null":
            return
        self._offsets[fingerprint + b"#" + occurrence] = offset
        number = int(occurrence)
        if number >= self._most.get(fingerprint, 0):
            self._most[fingerprint] = number

    def is_of(self, status: os.stat_result) -> bool:
        """Whether the file is in the state that is known."""
        return self.tail is not None and stamp(status) == self.stamp

    def read(self, locked: BinaryIO) -> Tail:
        """Index what is new in the *locked* file; all of it where it is another file.

        Raises
        ------
        DialogueDamaged, DialogueError
            As `begin` and `scan`; nothing is known of the file then.
        """
        status = os.fstat(locked.fileno())
        before = self.stamp
        grown = before is not None and before[0] == status.st_ino and before[1] <= status.st_size
        if not grown:
            self.forget()
        try:
            with open(locked.fileno(), "rb", closefd=False) as file:
                tail = self.tail or begin(file, self.path)
                self.tail = scan(file, self.path, tail, self.found) if tail.end else tail
        except DialogueDamaged:
            self.forget()
            if grown:  # written in place rather than appended to: read it as a new one
                return self.read(locked)
            raise
        self.stamp = stamp(status)
        return self.tail
