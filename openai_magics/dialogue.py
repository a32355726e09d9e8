"""The dialogue file: every exchange with a model, beside the notebook, one a line.

::

    {"format": "openai_magics.dialogue", "version": 1, "notebook": "analysis.ipynb", "exchanges": [
    {"fingerprint": "v1:…", "occurrence": 0, "id": "…", "kind": "ask", …},
    {"fingerprint": "v1:…", "occurrence": 0, "id": "…", "kind": "ask", …}
    ]}

It is valid JSON at all times. A record is appended by overwriting the closing brackets with
one write, under an exclusive lock on the file itself and followed by ``fsync``: the cost does
not grow with the file, and no lock file is left beside the notebook. A slot is a fingerprint
and an occurrence; its last record is its answer, the earlier ones are its history. A record
whose ``occurrence`` is ``null`` is never replayed.

What a crash can leave is a last line that is cut off: it is set aside in
``<file>.rescued-<time>`` and said. Anything else that is not as above is an error that names
the line; a damaged file is never treated as empty and never overwritten.
"""

from __future__ import annotations

import errno
import itertools
import json
import logging
import os
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from openai_magics import logs
from openai_magics.disk import force, line_at, locked, opened, overwrite, stamp, sync_folder
from openai_magics.errors import (
    DialogueDamaged,
    DialogueError,
    DialogueUnwritable,
    OptionError,
)
from openai_magics.exchange import Exchange, Request
from openai_magics.interrupts import Held
from openai_magics.scan import CLOSING, Tail, begin, header, key, scan, slot

__all__ = ["NOWHERE", "DialogueFile", "Mark", "record_line"]

log = logging.getLogger("openai_magics")


class Mark(NamedTuple):
    """How far somebody has read a dialogue file: which state of it, and up to which byte."""

    generation: int
    offset: int


NOWHERE = Mark(-1, 0)
_generations = itertools.count()


def record_line(exchange: Exchange) -> bytes:
    """Return the line of a record, without its line end; lone surrogates as escapes."""
    return json.dumps(exchange.to_record(), ensure_ascii=False, default=_plain).encode(
        "utf-8", "backslashreplace"
    )


def _plain(value: object) -> object:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return dict(value)  # type: ignore[call-overload]  # a Mapping that is not a dict


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
        self.notebook = notebook
        self.fsync = fsync
        self._mutex = threading.RLock()
        self._pending: list[Exchange] = []
        # Writes are counted, so that one `fsync` serves all threads that wait for one.
        self._syncing = threading.Lock()
        self._written = self._on_disk = 0
        self._made = False
        self._forget()

    def __repr__(self) -> str:
        return f"DialogueFile({str(self.path)!r})"

    def _forget(self) -> None:
        self._generation = next(_generations)
        self._index: dict[bytes, int] = {}
        self._slots: dict[bytes, int] = {}
        self._tail: Tail | None = None
        self._stamp: tuple[int, int, int] | None = None

    def __len__(self) -> int:
        """How many records the file holds, those that are never replayed among them."""
        with self._mutex:
            self._refresh()
            return self._tail.records if self._tail else 0

    def __iter__(self) -> Iterator[Exchange]:
        """All exchanges in the order of the file, those not yet written last."""
        for number, record in self.records():
            yield self._exchange(record, number=number)
        yield from tuple(self._pending)

    def slots(self, fingerprint: str) -> list[int]:
        """Return the occurrences that are recorded for a fingerprint, ascending."""
        with self._mutex:
            self._refresh()
            waiting = {
                item.occurrence
                for item in self._pending
                if item.fingerprint == fingerprint and item.occurrence is not None
            }
            most = self._slots.get(fingerprint.encode(), -1)
            on_file = {n for n in range(most + 1) if key(fingerprint, n) in self._index}
            return sorted(on_file | waiting)

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
            for item in reversed(self._pending):
                if item.fingerprint == fingerprint and item.occurrence == occurrence:
                    with Held():
                        self._force(self._flush())
                    return item
            self._refresh()
            offset = self._index.get(key(fingerprint, occurrence))
            if offset is None:
                return None
            line = line_at(self.path, offset)
            if slot(line) != key(fingerprint, occurrence):
                # Somebody wrote into the file in place: what is known of it is void.
                self._forget()
                return self.get(fingerprint, occurrence, request)
            return self._exchange(self._parse(line, offset), offset, like=request)

    def following(self, identity: str) -> list[Exchange]:
        """Return the exchanges whose turn before is the record *identity*, in order.

        Those that are never replayed are among them, first. The lines are looked through, and
        only those that name it are parsed.
        """
        with self._mutex:
            self._refresh()
            end = self._tail.end if self._tail and self._tail.records else 0
        found: list[Exchange] = []
        wanted = identity.encode()
        if end:
            with self.path.open("rb") as file:
                file.readline()
                while (offset := file.tell()) < end:
                    line = file.readline()
                    if wanted in line and (record := self._parse(line, offset)):
                        found.append(self._exchange(record, offset))
        found += tuple(self._pending)
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
                self._pending.extend(exchanges)
                number = self._flush()
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
            if self._stamp is None:
                folder = self.path.parent
                if not folder.is_dir():
                    raise DialogueUnwritable(
                        self.path,
                        f"The folder of the dialogue file {self.path} does not exist.",
                        "Make it, or give another dialogue_log_path.",
                    )
                if not os.access(folder, os.W_OK):
                    raise self._unwritable(PermissionError(errno.EACCES, "Permission denied"))
                return
            try:
                os.close(os.open(self.path, os.O_RDWR))
            except OSError as error:
                raise self._unwritable(error) from error

    def records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield ``(line number, record as plain values)`` in the order of the file.

        Raises
        ------
        DialogueDamaged
            A record cannot be parsed.
        """
        for number, (offset, line) in enumerate(self.lines(), 2):
            if line.strip():
                yield number, self._parse(line, offset, number)

    def lines(self, offset: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield ``(offset, line)`` of the records from *offset* on, none of them parsed."""
        with self._mutex:
            self._refresh()
            tail = self._tail
        if tail is None or not tail.records:
            return
        with self.path.open("rb") as file:
            file.seek(offset)
            if not offset:
                offset = len(file.readline())
            for line in file:
                if offset >= tail.end:
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
        return self._parse(line, offset)

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
            tail, generation, waiting = self._tail, self._generation, tuple(self._pending)
        if tail is None or not tail.records:
            return Mark(generation, 0), list(waiting)
        found: list[Exchange] = []
        with self.path.open("rb") as file:
            if mark.generation == generation and 0 < mark.offset <= tail.end:
                file.seek(mark.offset)
            else:
                file.readline()
            while file.tell() < tail.end:
                offset, line = file.tell(), file.readline()
                if line.strip(b" \t\r\n,"):
                    found.append(self._exchange(self._parse(line, offset), offset))
        return Mark(generation, tail.end), [*found, *waiting]

    def _parse(self, line: bytes, offset: int, number: int | None = None) -> dict[str, Any]:
        try:
            record = json.loads(line.rstrip(b" \t\r\n,"))
        except (ValueError, RecursionError) as error:
            number = number or self._line_of(offset)
            raise DialogueDamaged(self.path, number, f"this record is damaged ({error})") from error
        return dict(record)

    def _exchange(
        self,
        record: dict[str, Any],
        offset: int = 0,
        number: int | None = None,
        like: Request | None = None,
    ) -> Exchange:
        try:
            exchange = Exchange.from_record(record, like)
            same = (exchange.fingerprint, exchange.id) == (record["fingerprint"], record["id"])
        except (KeyError, TypeError, ValueError, AttributeError, OptionError) as error:
            number = number or self._line_of(offset)
            raise DialogueDamaged(
                self.path, number, f"this record lacks something ({error!r})"
            ) from error
        if not same:
            log.warning(
                "%s, line %d: the record is not as it was written (its id does not match its content).",
                self.path,
                number or self._line_of(offset),
            )
        return exchange

    def _line_of(self, offset: int) -> int:
        with self.path.open("rb") as file:
            return file.read(offset).count(b"\n") + 1

    def _found(self, fingerprint: bytes, occurrence: bytes, offset: int) -> None:
        if occurrence == b"null":
            return
        self._index[fingerprint + b"#" + occurrence] = offset
        number = int(occurrence)
        if number >= self._slots.get(fingerprint, 0):
            self._slots[fingerprint] = number

    def _refresh(self) -> None:
        """Bring the index up to the file as it now stands."""
        try:
            now = stamp(self.path.stat())
        except FileNotFoundError:
            self._forget()
            return
        except OSError as error:
            raise self._unwritable(error, "read") from error
        if now == self._stamp:
            return
        if self.path.is_dir():
            raise DialogueError(
                self.path, f"{self.path} is a folder, not a dialogue file.", "Give a file's path."
            )
        try:
            with Held(), self.path.open("rb") as file, locked(file, self.path, exclusive=False):
                tail = self._read(file)
        except FileNotFoundError:  # gone since
            self._forget()
            return
        except OSError as error:
            raise self._unwritable(error, "read") from error
        if not tail.closed:
            self._mend_tail()

    def _read(self, locked: BinaryIO) -> Tail:
        """Index what is new in the *locked* file; all of it where it is another file."""
        status = os.fstat(locked.fileno())
        before = self._stamp
        grown = before is not None and before[0] == status.st_ino and before[1] <= status.st_size
        if not grown:
            self._forget()
        try:
            with open(locked.fileno(), "rb", closefd=False) as file:
                tail = self._tail or begin(file, self.path)
                self._tail = scan(file, self.path, tail, self._found) if tail.end else tail
        except DialogueDamaged:
            self._forget()
            if grown:  # written in place rather than appended to: read it as a new one
                return self._read(locked)
            raise
        self._stamp = stamp(status)
        return self._tail

    def _flush(self) -> int:
        """Write what is pending, under the file's lock; return the number of the last write."""
        if not self._pending:
            return self._written
        lines = [record_line(item) for item in self._pending]
        try:
            created = not self.path.exists()
            with opened(self.path) as file:
                tail = self._caught_up(file)
                start, size = tail.end, os.fstat(file.fileno()).st_size
                lead = b"\n" if start else header(self.notebook) + b"\n"
                if tail.records:
                    lead = b",\n"
                data = lead + b",\n".join(lines)
                overwrite(file, start, data + CLOSING, size)
                self._add(start + len(lead), lines, max(tail.line, 1), tail.records)
                self._stamp = stamp(os.fstat(file.fileno()))
            self._made = self._made or created
        except OSError as error:
            raise self._unwritable(error) from error
        self._pending.clear()
        self._written += 1
        return self._written

    def _force(self, number: int) -> None:
        """Return when a write is on the disk: an answer is acknowledged only then."""
        if not self.fsync:
            return
        with self._syncing:
            if self._on_disk >= number:
                return
            # Outside of the mutex: other threads may look up and write meanwhile.
            written, made = self._written, self._made
            try:
                with self.path.open("r+b") as file:
                    force(file.fileno())
                if made:
                    sync_folder(self.path.parent)
                    self._made = False
            except OSError as error:
                raise self._unwritable(error) from error
            self._on_disk = written

    def _add(self, offset: int, lines: list[bytes], line: int, records: int) -> None:
        """Index the lines just written from *offset* on."""
        for item, text in zip(self._pending, lines, strict=True):
            occurrence = b"null" if item.occurrence is None else b"%d" % item.occurrence
            self._found(item.fingerprint.encode(), occurrence, offset)
            offset += len(text) + 2
        count = len(lines)
        self._tail = Tail(offset - 2, line + count, records + count, closed=True, last=lines[-1])

    def _caught_up(self, file: BinaryIO) -> Tail:
        """Return the tail of the locked *file*, after what others appended and after mending."""
        if self._tail is None or stamp(os.fstat(file.fileno())) != self._stamp:
            self._read(file)
        assert self._tail is not None
        tail = self._tail
        if not tail.closed and (tail.end or tail.cut):
            self._set_aside(file, tail)
        assert self._tail is not None
        return self._tail

    def _mend_tail(self) -> None:
        try:
            with Held(), opened(self.path) as file:
                self._caught_up(file)
        except OSError:
            log.warning("%s ends in the middle of a record and cannot be mended here.", self.path)

    def _set_aside(self, file: BinaryIO, tail: Tail) -> None:
        """Move a last line that a crash cut off to a file of its own, and close the brackets."""
        if tail.cut.strip():
            moment = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%f")
            aside = self.path.with_name(f"{self.path.name}.rescued-{moment}Z")
            with aside.open("xb") as rescued:
                rescued.write(tail.cut)
                rescued.flush()
                force(rescued.fileno())
            log.warning(
                "%s ended in the middle of a record. What there was of it is in %s.",
                self.path,
                aside.name,
            )
        file.seek(tail.end)
        file.truncate()
        if tail.end:
            file.write(CLOSING)
        self._forget()
        self._read(file)

    def _unwritable(self, error: OSError, what: str = "written") -> DialogueUnwritable:
        reason = error.strerror or str(error)
        remedy = "Make it writable, or give another path (dialogue_log_path)."
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "Make room on the disk."
        if self._pending:
            remedy += " The answer is kept in memory: run the cell again and it is written, not asked anew."
        return DialogueUnwritable(
            self.path, f"The dialogue file {self.path} cannot be {what}: {reason}.", remedy
        )
