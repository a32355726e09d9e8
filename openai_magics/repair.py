"""Mending a damaged or conflict-marked dialogue file, and removing records from one.

Both put a copy of the file aside first (``<file>.before-repair-<time>``), write the new one
beside it, force it to the disk and rename it over, all under the file's lock: a kernel that
has the file in use waits, sees another file at the path, and goes on with that.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from openai_magics.disk import copy_mode, locked, opened, sync_folder
from openai_magics.entries import Contents, lines, short
from openai_magics.errors import DialogueDamaged, DialogueError, DialogueUnwritable
from openai_magics.replacing import put_into, sync, write_beside
from openai_magics.salvage import read
from openai_magics.union import Union, union

__all__ = ["Repaired", "drop", "holding", "repair", "replaced", "stands_in", "write_beside"]

SENTENCES = {
    "conflict": "Both sides of the merge conflict at {where} are kept.",
    "marker": "The rest of a merge conflict at {where} is taken out.",
    "joined": "Several dialogue files in one (the next from {where}) are made one.",
    "layout": "Another tool had laid the file out anew: it is one record a line again.",
    "header": "The first line is written anew.",
    "apart": "Records that ran together or were broken apart at {where} are taken apart.",
    "fields": "The fields of the record at {where} are put back in their order.",
    "comma": "A comma that was missing is put after {where}.",
    "commas": "A comma too many is taken out after {where}.",
    "after": "What stood after the end of the dialogue, at {where}, is taken in.",
    "closing": "The closing brackets are added.",
    "endings": "Windows line ends are made plain ones.",
    "mark": "The byte order mark is taken out.",
    "blank": "Blank lines are taken out.",
}
OF_A_UNION = ("conflict", "joined", "layout")
IMPLIED = {
    "marker": ("conflict",),
    "apart": ("layout",),
    "comma": (*OF_A_UNION, "apart"),
    "commas": (*OF_A_UNION, "apart"),
    "closing": (*OF_A_UNION, "apart"),
}
"""What is not worth a sentence where these have one."""
SHOWN = 5


@dataclass(frozen=True)
class Repaired:
    """What was done to the dialogue file at ``path``.

    Attributes
    ----------
    path : Path
    set_aside : Path or None
        The copy of the file as it was; ``None`` where nothing was changed.
    kept : int
        How many records the file holds now.
    mended : tuple of str
        What was done, a sentence each; empty for a healthy file.
    lost : tuple of int
        The line numbers (in the file as it was) of what cannot be read.
    rescued : Path or None
        The file that keeps these lines as they were.
    """

    path: Path
    set_aside: Path | None
    kept: int
    mended: tuple[str, ...] = ()
    lost: tuple[int, ...] = ()
    rescued: Path | None = None


def repair(path: Path | str, *, dry_run: bool = False) -> Repaired:
    """Mend a dialogue file; a healthy one is left as it is.

    Parameters
    ----------
    path : path
        The file.
    dry_run : bool
        Whether to tell what would be done and do nothing.

    Raises
    ------
    DialogueTooNew
        A newer version of the format wrote it.
    DialogueUnwritable
        The new file or the copy cannot be written; nothing was changed.
    DialogueError
        There is no such file, or it is not a dialogue.
    """
    path = Path(path)
    writing = not dry_run and os.access(path, os.W_OK)  # what is healthy may be read-only
    with holding(path, writing=writing) as file:
        if not os.fstat(file.fileno()).st_size:
            return Repaired(path, None, 0)
        contents = read(file, path)
        united = union(contents.entries)
        kept = len(united.entries)

        def written() -> Iterator[bytes]:
            return lines(contents.header, (item.piece.read(file) for item in united.entries))

        if stands_in(file, written()):
            return Repaired(path, None, kept)
        mended = tuple(_sentences(contents, united))
        lost = tuple(number for number, _ in contents.lost)
        if dry_run:
            return Repaired(path, None, kept, mended, lost)
        if not writing:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        unread = (piece.read(file) for _, piece in contents.lost)
        aside, rescued = replaced(path, file, "repair", written(), unread)
        return Repaired(path, aside, kept, mended, lost, rescued if lost else None)


def drop(path: Path | str, ids: Iterable[str], *, dry_run: bool = False) -> Repaired:
    """Remove the records with these ids from a healthy dialogue file.

    Parameters
    ----------
    path : path
        The file.
    ids : iterable of str
        Ids of records; those that are not in the file are passed over.
    dry_run : bool
        Whether to tell what would be done and do nothing.

    Raises
    ------
    DialogueDamaged
        It has to be repaired first.
    DialogueError
        As `repair`.
    """
    path, unwanted = Path(path), {short(item) for item in ids}
    with holding(path, writing=not dry_run) as file:
        if not os.fstat(file.fileno()).st_size:
            return Repaired(path, None, 0)
        contents = read(file, path)
        held = contents.entries
        if not stands_in(file, lines(contents.header, (item.piece.read(file) for item in held))):
            first = min((line for found in contents.wrong.values() for line in found), default=1)
            raise DialogueDamaged(path, max(first, 1), "the file is damaged, so nothing is removed")
        pieces = [item.piece for item in held if item.id not in unwanted]
        count = len(held) - len(pieces)
        if not count:
            return Repaired(path, None, len(pieces))
        mended = (f"{count} record{'s are' if count > 1 else ' is'} removed.",)
        if dry_run:
            return Repaired(path, None, len(pieces), mended)
        written = lines(contents.header, (piece.read(file) for piece in pieces))
        aside, _ = replaced(path, file, "prune", written)
        return Repaired(path, aside, len(pieces), mended)


def _sentences(contents: Contents, united: Union) -> Iterator[str]:
    said = set(contents.wrong)
    said -= {what for what, others in IMPLIED.items() if said.intersection(others)}
    for what, sentence in SENTENCES.items():
        if what in said:
            yield sentence.format(where=_where(contents.wrong[what]))
    if united.twice:
        yield f"{_count(united.twice, 'record')} that stood on both sides: kept once."
    if united.contested:
        yield (
            f"{_count(united.contested, 'request')} answered on both sides: both answers are kept, "
            "and the later one is what a replay gives."
        )
    if contents.lost:
        where = _where([number for number, _ in contents.lost])
        yield f"What cannot be read is set aside as it was: {where}."
    elif not said:
        yield "What stands between the records is put right."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"


def _where(numbers: list[int]) -> str:
    shown = list(dict.fromkeys(numbers))[:SHOWN]
    more = len(set(numbers)) - len(shown)
    text = ", ".join(str(number) for number in shown) + (f" and {more} more" if more else "")
    return f"line{'s' if len(shown) > 1 else ''} {text}"


@contextmanager
def holding(path: Path, *, writing: bool) -> Iterator[BinaryIO]:
    """Open and lock the file that is there; say what goes wrong of it."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise DialogueError(path, f"{path} {what}.", "Name a .dialogue.json file.")
    try:
        if writing:
            with opened(path) as raw, open(raw.fileno(), "r+b", closefd=False) as both:
                yield both
        else:
            with path.open("rb") as file, locked(file, path, exclusive=False):
                yield file
    except OSError as error:
        raise DialogueUnwritable(
            path,
            f"{path} cannot be read, or not be written: {error.strerror or error}.",
            "It is as it was. See to its permissions, and to room on the disk.",
        ) from error


def stands_in(file: BinaryIO, parts: Iterable[bytes]) -> bool:
    """Whether the file holds just these bytes."""
    at = 0
    for part in parts:
        file.seek(at)
        if file.read(len(part)) != part:
            return False
        at += len(part)
    return at == os.fstat(file.fileno()).st_size


def replaced(
    path: Path,
    file: BinaryIO,
    purpose: str,
    parts: Iterable[bytes],
    unread: Iterable[bytes] = (),
) -> tuple[Path, Path]:
    """Put *parts* in the place of the file; return where it is copied to, and *unread* written."""
    real = Path(os.path.realpath(path))  # a link stays a link
    moment = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%f")
    aside = real.with_name(f"{real.name}.before-{purpose}-{moment}Z")
    rescued = real.with_name(f"{real.name}.rescued-{moment}Z")
    made = [aside]
    try:
        with aside.open("xb") as copy:
            file.seek(0)
            shutil.copyfileobj(file, copy, 1 << 20)
            sync(copy)
        copy_mode(real, aside)
        if first := next(unread := iter(unread), b""):
            made.append(rescued)
            with rescued.open("xb") as kept:
                kept.writelines(chain([first], unread))
                sync(kept)
        new = write_beside(real, parts)
        made.append(new)
        try:
            new.replace(real)
        except PermissionError:
            # Windows does not replace a file that is open. From here on the copy is what
            # keeps the file as it was.
            made = [new]
            put_into(file, new)
            new.unlink()
    except BaseException:
        for litter in made:
            litter.unlink(missing_ok=True)
        raise
    sync_folder(real.parent)
    return aside, rescued
