"""Bringing a working copy and the file in the cloud together, record by record.

It is the union that git's merge driver makes (`openai_magics.merge`); what both held when
they were last the same tells what one side has removed since.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from openai_magics.disk import opened
from openai_magics.merge import Merged, merge
from openai_magics.replacing import write_whole

__all__ = ["United", "unite"]


@dataclass(frozen=True)
class United:
    """The bytes that both should hold now; ``merged`` where both had something new."""

    data: bytes
    merged: Merged | None = None


def unite(copy: Path, theirs: bytes | None, base: bytes | None) -> United:
    """Bring the working copy up to the union of both sides; return it.

    Parameters
    ----------
    copy : Path
        The working copy, which is locked meanwhile; made where there is none.
    theirs : bytes or None
        The file in the cloud; ``None`` where there is none.
    base : bytes or None
        What both held when they were last the same.

    Raises
    ------
    DialogueError
        A side is damaged, or is no dialogue.
    OSError
        The copy cannot be written.
    """
    if not theirs and not copy.exists():
        return United(b"")
    copy.parent.mkdir(parents=True, exist_ok=True)
    with opened(copy) as held:
        size = os.fstat(held.fileno()).st_size
        held.seek(0)
        ours = held.read(size) if size else b""
        if not theirs or theirs == ours or (ours and theirs == base):
            return United(ours)
        if not ours or ours == base:
            _check(copy, theirs)
            data, merged = theirs, None
        else:
            data, merged = _merged(copy, ours, theirs, base or b"")
        if data != ours:
            write_whole(copy, [data], held)
        return United(data, merged)


def _merged(copy: Path, ours: bytes, theirs: bytes, base: bytes) -> tuple[bytes, Merged]:
    with tempfile.TemporaryDirectory(dir=copy.parent) as folder:
        mine, before, others = (Path(folder, name) for name in ("ours", "base", "theirs"))
        mine.write_bytes(ours)
        before.write_bytes(base)
        others.write_bytes(theirs)
        done = merge(mine, before, others, copy)
        return mine.read_bytes(), done


def _check(copy: Path, theirs: bytes) -> None:
    """Raise where the file in the cloud is damaged or no dialogue."""
    _merged(copy, theirs, theirs, theirs)
