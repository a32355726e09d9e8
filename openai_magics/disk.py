"""The dialogue file's bytes on the disk: locking it, overwriting its end, making it durable.

The file itself is locked, so no lock file is left beside the notebook. It may be replaced
between opening and locking (git, repair), so what was locked is compared with what now
stands at the path.

Some file systems know no locks and cannot force a file to the disk: mounted clouds (Google
Drive in Colab), network folders. What they answer then is ``UNABLE``. A lock in the folder of
temporary files stands in for theirs, so that kernels of one machine wait for one another; what
is written is durable as far as such a folder makes it so.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from openai_magics import interrupts
from openai_magics.errors import DialogueUnwritable

__all__ = [
    "copy_mode",
    "force",
    "line_at",
    "locked",
    "opened",
    "overwrite",
    "stamp",
    "sync_folder",
]

BLOCK = 4096
"""Bytes: few records are longer."""
PATIENCE = 30.0
"""Seconds to wait for another process that holds the file."""
UNABLE = frozenset(
    {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL, errno.ENOTTY}
)
"""What a file system answers that cannot do what is asked of it."""
TRIES = 50
"""Times that a file is opened anew where another one stands at its path by then."""


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
        Another process held it for too long, or nothing can be locked on this machine.
    """
    import portalocker

    if not _lock(file, path, exclusive=exclusive):
        with _stand_in(path) as other:
            if not _lock(other, path, exclusive=exclusive):
                raise DialogueUnwritable(
                    path,
                    f"{path} cannot be locked, nor can a file in {tempfile.gettempdir()}.",
                    "Give another dialogue_log_path, or another folder as TMPDIR.",
                )
            yield
        return
    try:
        yield
    finally:
        portalocker.unlock(file)


def _lock(file: Any, path: Path, *, exclusive: bool) -> bool:
    """Wait for the lock on an open file; return whether its file system has locks."""
    import portalocker

    kind = portalocker.LOCK_EX if exclusive else portalocker.LOCK_SH
    deadline = time.monotonic() + PATIENCE
    pause = 0.0005
    while True:
        try:
            portalocker.lock(file, kind | portalocker.LOCK_NB)
        except portalocker.LockException as error:
            if getattr(error.__cause__, "errno", None) in UNABLE:
                return False
            if time.monotonic() > deadline:
                raise DialogueUnwritable(
                    path,
                    f"Another process has held {path} for {PATIENCE:.0f} s.",
                    "Close it there, then run the cell again.",
                ) from error
            interrupts.check()
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        else:
            return True


@contextmanager
def _stand_in(path: Path) -> Iterator[Any]:
    """Open the file that is locked in place of one whose file system has no locks.

    Closing it ends the lock. It stays, for another process may be waiting for it.
    """
    whose = os.getuid() if hasattr(os, "getuid") else "all"
    folder = Path(tempfile.gettempdir(), f"openai_magics-locks-{whose}")
    folder.mkdir(mode=0o700, exist_ok=True)
    name = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]
    with (folder / f"{name}.lock").open("a+b") as file:
        yield file


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
    for left in range(TRIES, -1, -1):
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        with (
            os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0) as file,
            locked(file, path, exclusive=True),
        ):
            # Mounted folders may give a file another inode whenever it is looked at.
            if _stands_at(path, file.fileno()) or not left:
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


def force(descriptor: int) -> None:
    """Have what was written on the disk when this returns, as far as the file system can.

    Raises
    ------
    OSError
        It failed.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNABLE:
            raise


def sync_folder(folder: Path) -> None:
    """Make the entry of a new file durable."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            force(descriptor)
        finally:
            os.close(descriptor)


def copy_mode(source: Path, target: Path | str) -> None:
    """Give a file the mode of another one, where the file system has modes."""
    with suppress(PermissionError):
        try:
            shutil.copymode(source, target)
        except OSError as error:
            if error.errno not in UNABLE:
                raise
