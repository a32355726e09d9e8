"""The dialogue file's bytes on the disk: locking it, overwriting its end, making it durable.

The file itself is locked, so no lock file is left beside the notebook. It may be replaced
between opening and locking (git, repair), so what was locked is compared with what now
stands at the path.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from openai_magics import interrupts
from openai_magics.errors import DialogueUnwritable

__all__ = ["line_at", "locked", "opened", "overwrite", "stamp", "sync_folder"]

BLOCK = 4096
"""Bytes: few records are longer."""
PATIENCE = 30.0
"""Seconds to wait for another process that holds the file."""


def stamp(status: os.stat_result) -> tuple[int, int, int]:
    """Return what tells one state of a file from another: inode, size, time of change."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def line_at(path: Path, offset: int) -> bytes:
    """Return the line that begins at *offset*; empty where there is no file."""
    parts: list[bytes] = []
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            while part := file.read(64 * BLOCK if parts else BLOCK):
                whole = part.find(b"\n") + 1
                parts.append(part[:whole] if whole else part)
                if whole:
                    break
    except FileNotFoundError:
        return b""
    return b"".join(parts)


@contextmanager
def locked(file: Any, path: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold the lock on an open file.

    Raises
    ------
    DialogueUnwritable
        Another process held it for too long.
    """
    import portalocker

    kind = portalocker.LOCK_EX if exclusive else portalocker.LOCK_SH
    deadline = time.monotonic() + PATIENCE
    pause = 0.0005
    while True:
        try:
            portalocker.lock(file, kind | portalocker.LOCK_NB)
            break
        except portalocker.LockException as error:
            if time.monotonic() > deadline:
                raise DialogueUnwritable(
                    path,
                    f"Another process has held {path} for {PATIENCE:.0f} s.",
                    "Close it there, then run the cell again.",
                ) from error
            interrupts.check()
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
    try:
        yield
    finally:
        portalocker.unlock(file)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open the file for writing, unbuffered and exclusively locked; make it where there is none.

    Raises
    ------
    OSError
        It cannot be opened.
    DialogueUnwritable
        Another process held it for too long.
    """
    while True:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        with (
            os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0) as file,
            locked(file, path, exclusive=True),
        ):
            if _stands_at(path, file.fileno()):
                yield cast("BinaryIO", file)
                return


def _stands_at(path: Path, descriptor: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


def overwrite(file: BinaryIO, start: int, data: bytes, size: int) -> None:
    """Overwrite from *start* on; where that fails, put back what stood there.

    Parameters
    ----------
    file : BinaryIO
        Unbuffered, so that *data* goes out with one write.
    start, size : int
        In bytes: where to write, and how long the file is.

    Raises
    ------
    OSError
        It could not be written; the file is as before.
    """
    file.seek(start)
    before = file.read(size - start)
    try:
        file.seek(start)
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        if size > start + len(data):
            file.truncate()
    except OSError:
        file.seek(start)
        file.write(before)
        file.truncate(size)
        raise


def sync_folder(folder: Path) -> None:
    """Make the entry of a new file durable."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
