"""The dialogue file as the other rooms use it: looked up, read, appended to."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from openai_magics import logs
from openai_magics.dialogue.index import Index
from openai_magics.dialogue.records import exchange_of, record_of
from openai_magics.dialogue.writer import Writer
from openai_magics.disk import line_at, locked, stamp
from openai_magics.errors import DialogueError, DialogueUnwritable
from openai_magics.exchange import Exchange, Request
from openai_magics.interrupts import Held
from openai_magics.scan import key, slot

__all__ = ["NOWHERE", "DialogueFile", "Mark"]


class Mark(NamedTuple):
    """How far somebody has read a dialogue file: which state of it, and up to which byte."""

    generation: int
    offset: int


NOWHERE = Mark(-1, 0)


class DialogueFile:
    """One dialogue file, opened at first use and created at the first record.

    Several threads and several processes may share it: what others append is seen.

    Parameters
    ----------
    path : Path
        The file.
    notebook : str or None
        The notebook's file name, written in the header of a new file.
    fsync : bool
        Whether an appended record is forced to the disk before `append` returns.
    """

    def __init__(self, path: Path, notebook: str | None = None, *, fsync: bool = True) -> None:
        self.path = Path(path)
        self.fsync = fsync
        self._mutex = threading.RLock()
        self._index = Index(self.path)
        self._writer = Writer(self._index, notebook)

    def __repr__(self) -> str:
        return f"DialogueFile({str(self.path)!r})"

    def __len__(self) -> int:
        """How many records the file holds, those that are never replayed among them."""
        with self._mutex:
            self._refresh()
            return self._index.tail.records if self._index.tail else 0

    def __iter__(self) -> Iterator[Exchange]:
        """All exchanges in the order of the file, those not yet written last."""
        for number, record in self.records():
            yield exchange_of(self.path, record, number=number)
        yield from tuple(self._writer.pending)

    def slots(self, fingerprint: str) -> list[int]:
        """Return the occurrences that are recorded for a fingerprint, ascending."""
        with self._mutex:
            self._refresh()
            waiting = {
                item.occurrence
                for item in self._writer.pending
                if item.fingerprint == fingerprint and item.occurrence is not None
            }
            return sorted(self._index.occurrences(fingerprint) | waiting)

    def get(
        self, fingerprint: str, occurrence: int, request: Request | None = None
    ) -> Exchange | None:
        """Return the answer of a slot: its last record, or ``None``.

        Where the *request* of that fingerprint is given, it need not be hashed again to see
        that the record is as it was written.

        Raises
        ------
        DialogueDamaged
            The record cannot be parsed.
        """
        with self._mutex:
            for item in reversed(self._writer.pending):
                if item.fingerprint == fingerprint and item.occurrence == occurrence:
                    with Held():
                        self._force(self._writer.flush())
                    return item
            self._refresh()
            offset = self._index.offset(fingerprint, occurrence)
            if offset is None:
                return None
            line = line_at(self.path, offset)
            if slot(line) != key(fingerprint, occurrence):
                # Somebody wrote into the file in place: what is known of it is void.
                self._index.forget()
                return self.get(fingerprint, occurrence, request)
            record = record_of(self.path, line, offset)
            return exchange_of(self.path, record, offset, like=request)

    def following(self, identity: str) -> list[Exchange]:
        """Return the exchanges whose turn before is the record *identity*, in order.

        Those that are never replayed are among them, first. The lines are looked through, and
        only those that name it are parsed.
        """
        with self._mutex:
            self._refresh()
            end = self._index.end
        found: list[Exchange] = []
        wanted = identity.encode()
        if end:
            with self._open() as file:
                file.readline()
                while (offset := file.tell()) < end:
                    line = file.readline()
                    if wanted in line and (record := record_of(self.path, line, offset)):
                        found.append(exchange_of(self.path, record, offset))
        found += tuple(self._writer.pending)
        after = [item for item in found if item.request.parent == identity]
        return sorted(after, key=lambda item: item.occurrence is not None)

    def append(self, *exchanges: Exchange) -> None:
        """Add records at the end, all of them with one write and one ``fsync``.

        Raises
        ------
        DialogueUnwritable
            They could not be written. They are kept in memory, found by `get`, and written
            with the next `append` or `get` that can.
        """
        with Held():
            with self._mutex:
                self._writer.pending.extend(exchanges)
                number = self._writer.flush()
            self._force(number)
        logs.recorded(exchanges)

    def close(self) -> None:
        """Leave the file; here nothing is to be done, for each record is on the disk."""

    def check_writable(self) -> None:
        """Raise before a live call what would be raised after it.

        Raises
        ------
        DialogueError
            The file cannot be read or written, or is damaged.
        """
        with self._mutex:
            self._refresh()
            if self._index.stamp is None:
                folder = self.path.parent
                if not folder.is_dir():
                    raise DialogueUnwritable(
                        self.path,
                        f"The folder of the dialogue file {self.path} does not exist.",
                        "Make it, or give another dialogue_log_path.",
                    )
                if not os.access(folder, os.W_OK):
                    raise self._writer.unwritable(
                        PermissionError(errno.EACCES, "Permission denied")
                    )
                return
            try:
                os.close(os.open(self.path, os.O_RDWR))
            except OSError as error:
                raise self._writer.unwritable(error) from error

    def records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield ``(line number, record as plain values)`` in the order of the file.

        Raises
        ------
        DialogueDamaged
            A record cannot be parsed.
        """
        for number, (offset, line) in enumerate(self.lines(), 2):
            if line.strip():
                yield number, record_of(self.path, line, offset, number)

    def lines(self, offset: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield ``(offset, line)`` of the records from *offset* on, none of them parsed."""
        with self._mutex:
            self._refresh()
            end = self._index.end
        if not end:
            return
        with self._open() as file:
            file.seek(offset)
            if not offset:
                offset = len(file.readline())
            for line in file:
                if offset >= end:
                    return
                yield offset, line
                offset += len(line)

    def at(self, offset: int) -> dict[str, Any]:
        """Return the record whose line begins at *offset*, as `lines` gave it.

        Raises
        ------
        DialogueDamaged
            No record begins there any longer, or it cannot be parsed.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                line = file.readline()
        except FileNotFoundError:
            line = b""
        return record_of(self.path, line, offset)

    def since(self, mark: Mark = NOWHERE) -> tuple[Mark, list[Exchange]]:
        """Return what was appended after *mark*, and the mark for the next time.

        Where the file is no longer the one that was marked, all of it is returned, and the
        ``generation`` of the new mark is another one.

        Raises
        ------
        DialogueDamaged
            A record cannot be parsed.
        """
        with self._mutex:
            self._refresh()
            end, generation = self._index.end, self._index.generation
            waiting = tuple(self._writer.pending)
        if not end:
            return Mark(generation, 0), list(waiting)
        found: list[Exchange] = []
        with self._open() as file:
            if mark.generation == generation and 0 < mark.offset <= end:
                file.seek(mark.offset)
            else:
                file.readline()
            while file.tell() < end:
                offset, line = file.tell(), file.readline()
                if line.strip(b" \t\r\n,"):
                    record = record_of(self.path, line, offset)
                    found.append(exchange_of(self.path, record, offset))
        return Mark(generation, end), [*found, *waiting]

    def _refresh(self) -> None:
        """Bring the index up to the file as it now stands."""
        try:
            now = stamp(self.path.stat())
        except FileNotFoundError:
            self._index.forget()
            return
        except OSError as error:
            raise self._writer.unwritable(error, "read") from error
        if now == self._index.stamp:
            return
        if self.path.is_dir():
            raise DialogueError(
                self.path, f"{self.path} is a folder, not a dialogue file.", "Give a file's path."
            )
        try:
            with Held(), self.path.open("rb") as file, locked(file, self.path, exclusive=False):
                tail = self._index.read(file)
        except FileNotFoundError:  # gone since
            self._index.forget()
            return
        except OSError as error:
            raise self._writer.unwritable(error, "read") from error
        if not tail.closed:
            self._writer.mend()

    def _force(self, number: int) -> None:
        if self.fsync:
            self._writer.force(number)

    def _open(self) -> BinaryIO:
        """Open the file, which was there a moment ago, to be read."""
        try:
            return self.path.open("rb")
        except OSError as error:
            raise self._writer.unwritable(error, "read") from error
