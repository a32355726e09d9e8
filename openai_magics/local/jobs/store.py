"""The folder of files, jobs and tuned models: where it is, and how it is written.

::

    <data folder>/
      files/<file id>/            about.json, content
      jobs/<job id>/              see `openai_magics.local.jobs.job`
      queue.lock                  held by the process that works on the jobs
      queue.log                   what that process said

Every kernel's engine and the queue share it, so what is changed is changed under a lock, and a
file is replaced whole or not at all. ``OPENAI_MAGICS_DATA`` names another place for it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from openai_magics.errors import EngineError

__all__ = ["VARIABLE", "Store", "held", "is_id", "locked", "new_id", "read", "write"]

VARIABLE = "OPENAI_MAGICS_DATA"
PATIENCE = 30.0
"""Seconds to wait for another process that holds a lock."""


def data_folder() -> Path:
    """Return the folder of jobs and tuned models (which need not exist)."""
    if folder := os.environ.get(VARIABLE):
        return Path(folder).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("openai_magics", appauthor=False))


class Store:
    """The folder, by default the user's: ``files``, ``jobs`` and ``lock`` are paths in it."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or data_folder()
        self.files = self.folder / "files"
        self.jobs = self.folder / "jobs"
        self.lock = self.folder / "queue.lock"
        self.log = self.folder / "queue.log"

    def make(self) -> None:
        """Make the folders.

        Raises
        ------
        EngineError
            They cannot be made.
        """
        try:
            for each in (self.files, self.jobs):
                each.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EngineError(
                f"The folder for jobs and tuned models cannot be made: {error}",
                f"Name another one: {VARIABLE}=/some/folder.",
            ) from None


def new_id(prefix: str) -> str:
    """Return an id that no other has."""
    return f"{prefix}{secrets.token_hex(12)}"


def is_id(text: str, prefix: str) -> bool:
    """Whether *text* is an id as `new_id` makes them, and so safe as the name of a folder."""
    return re.fullmatch(rf"{prefix}[0-9a-f]{{24}}", text) is not None


def read(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises
    ------
    OSError, ValueError
        It is not there, or not whole.
    """
    value: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return value


def write(path: Path, value: dict[str, Any]) -> None:
    """Replace a JSON file: whole and durable, or (where there is no room) not at all.

    Raises
    ------
    OSError
        It could not be written; what stood there still does.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        for left in range(20, -1, -1):
            try:
                Path(name).replace(path)
                break
            except PermissionError:  # Windows: someone is reading it at this moment
                if not left:
                    raise
                time.sleep(0.02)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on the file at *path*, which is made where there is none and stays.

    Raises
    ------
    OSError
        It cannot be had: another process has held it too long, or it cannot be written.
    """
    import portalocker

    deadline = time.monotonic() + PATIENCE
    with path.open("a") as file:
        while True:
            try:
                portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
                break
            except portalocker.LockException as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{path} has been locked for {PATIENCE:.0f} s") from error
                time.sleep(0.01)
        try:
            yield
        finally:
            portalocker.unlock(file)


def held(path: Path) -> bool:
    """Whether another process (or another opening of the file) holds the lock at *path*."""
    import portalocker

    try:
        with path.open("a") as file:
            portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
            portalocker.unlock(file)
    except portalocker.LockException:
        return True
    return False
