"""Replacing a file by a new one: whole and durable, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from openai_magics.disk import copy_mode, force, sync_folder

__all__ = ["put_into", "sync", "write_beside", "write_whole"]


def write_whole(path: Path, parts: Iterable[bytes], held: BinaryIO | None = None) -> None:
    """Put *parts* in the place of the file at *path*, whole and durable, or not at all.

    Parameters
    ----------
    path : Path
        Where it leads if it is a link; the link stays one. A file that is there gives its mode.
    parts : iterable of bytes
    held : BinaryIO, optional
        The file that stands there, where it is open (and locked) for writing here.

    Raises
    ------
    OSError
        It cannot be written; what stood there still does.
    """
    real = Path(os.path.realpath(path))
    new = write_beside(real, parts)
    try:
        new.replace(real)
    except PermissionError:
        if held is None:
            raise
        # Windows does not replace a file that is open.
        put_into(held, new)
    finally:
        new.unlink(missing_ok=True)
    sync_folder(real.parent)


def write_beside(path: Path, parts: Iterable[bytes]) -> Path:
    """Write *parts* to a new file that is to replace *path*, with its mode; return it.

    Raises
    ------
    OSError
        They cannot be written; nothing is left behind.
    """
    new = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        with new.open("xb") as file:
            file.writelines(parts)
            sync(file)
        if path.exists():
            copy_mode(path, new)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return new


def put_into(held: BinaryIO, new: Path) -> None:
    """Write what is in the file *new* over what is in the file that is *held* open."""
    with new.open("rb") as source:
        held.seek(0)
        while block := source.read(1 << 20):
            view = memoryview(block)
            while view:  # an unbuffered file may take a part of it
                view = view[held.write(view) :]
        held.truncate()
        sync(held)


def sync(file: BinaryIO) -> None:
    """Force what was written to an open file to the disk."""
    file.flush()
    force(file.fileno())
