"""Appending to a dialogue file: one write under its lock, then ``fsync``; what a crash cut off is set aside."""

from __future__ import annotations

import errno
import logging
import os
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from openai_magics.dialogue.index import Index
from openai_magics.dialogue.records import record_line
from openai_magics.disk import force, opened, overwrite, stamp, sync_folder
from openai_magics.errors import DialogueUnwritable
from openai_magics.exchange import Exchange
from openai_magics.interrupts import Held
from openai_magics.scan import CLOSING, Tail, header

__all__ = ["Writer"]

log = logging.getLogger("openai_magics")


class Writer:
    """What writes a dialogue file, and keeps in memory what could not be written (``pending``).

    Parameters
    ----------
    index : Index
        What is known of the file; it is brought up to what is written.
    notebook : str or None
        The notebook's file name, written in the header of a new file.
    """

    def __init__(self, index: Index, notebook: str | None) -> None:
        self.path: Path = index.path
        self.pending: list[Exchange] = []
        self._index = index
        self._notebook = notebook
        # Writes are counted, so that one `fsync` serves all threads that wait for one.
        self._syncing = threading.Lock()
        self._written = self._on_disk = 0
        self._made = False

    def flush(self) -> int:
        """Write what is pending, under the file's lock; return the number of the last write.

        Raises
        ------
        DialogueUnwritable
            It could not be written, and is pending still.
        """
        if not self.pending:
            return self._written
        lines = [record_line(item) for item in self.pending]
        try:
            created = not self.path.exists()
            with opened(self.path) as file:
                tail = self._caught_up(file)
                start, size = tail.end, os.fstat(file.fileno()).st_size
                lead = b"\n" if start else header(self._notebook) + b"\n"
                if tail.records:
                    lead = b",\n"
                data = lead + b",\n".join(lines)
                overwrite(file, start, data + CLOSING, size)
                self._add(start + len(lead), lines, max(tail.line, 1), tail.records)
                self._index.stamp = stamp(os.fstat(file.fileno()))
            self._made = self._made or created
        except OSError as error:
            raise self.unwritable(error) from error
        self.pending.clear()
        self._written += 1
        return self._written

    def force(self, number: int) -> None:
        """Return when a write is on the disk: an answer is acknowledged only then.

        Raises
        ------
        DialogueUnwritable
            It could not be forced there.
        """
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
                raise self.unwritable(error) from error
            self._on_disk = written

    def mend(self) -> None:
        """Set aside a last line that a crash cut off, where that can be done here."""
        try:
            with Held(), opened(self.path) as file:
                self._caught_up(file)
        except OSError:
            log.warning("%s ends in the middle of a record and cannot be mended here.", self.path)

    def unwritable(self, error: OSError, what: str = "written") -> DialogueUnwritable:
        """Return an error of the disk as ours."""
        reason = error.strerror or str(error)
        remedy = "Make it writable, or give another path (dialogue_log_path)."
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "Make room on the disk."
        if self.pending:
            remedy += " The answer is kept in memory: run the cell again and it is written, not asked anew."
        return DialogueUnwritable(
            self.path, f"The dialogue file {self.path} cannot be {what}: {reason}.", remedy
        )

    def _add(self, offset: int, lines: list[bytes], line: int, records: int) -> None:
        """Index the lines just written from *offset* on."""
        for item, text in zip(self.pending, lines, strict=True):
            occurrence = b"null" if item.occurrence is None else b"%d" % item.occurrence
            self._index.found(item.fingerprint.encode(), occurrence, offset)
            offset += len(text) + 2
        count = len(lines)
        self._index.tail = Tail(
            offset - 2, line + count, records + count, closed=True, last=lines[-1]
        )

    def _caught_up(self, file: BinaryIO) -> Tail:
        """Return the tail of the locked *file*, after what others appended and after mending."""
        known = self._index.is_of(os.fstat(file.fileno()))
        tail = self._index.tail if known else None
        tail = tail or self._index.read(file)
        if not tail.closed and (tail.end or tail.cut):
            tail = self._set_aside(file, tail)
        return tail

    def _set_aside(self, file: BinaryIO, tail: Tail) -> Tail:
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
        self._index.forget()
        return self._index.read(file)
