"""The union of the dialogue files of two branches, as git's merge driver.

``python -m openai_magics merge-driver --install`` tells git, in one clone, what to call for
the files that ``.gitattributes`` names. In a clone where that was not done git merges line
by line and marks conflicts, which `repair` turns into the same union (but what one branch
removed near the other's new records comes back: a conflict does not tell it from new).
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from openai_magics.entries import Contents, lines
from openai_magics.errors import DialogueError, MagicsError
from openai_magics.repair import write_beside
from openai_magics.salvage import read
from openai_magics.union import union

__all__ = ["Merged", "install", "merge", "uninstall"]

ATTRIBUTE = "*.dialogue.json merge=openai_magics"
SECTION = "merge.openai_magics"


@dataclass(frozen=True)
class Merged:
    """What a merge made: ``records`` in all, and how many are only ours or only theirs.

    ``removed`` were left out because one side had removed them; ``contested`` are the
    requests that both sides had answered differently: both answers are kept, and the later
    one is what a replay gives.
    """

    records: int
    ours: int
    theirs: int
    removed: int
    contested: int

    def __str__(self) -> str:
        parts = [f"{self.records} records", f"{self.ours} new of ours", f"{self.theirs} of theirs"]
        if self.removed:
            parts.append(f"{self.removed} removed")
        if self.contested:
            parts.append(f"{self.contested} answered on both sides (both kept, the later counts)")
        return ", ".join(parts)


def merge(ours: Path, base: Path, theirs: Path, name: Path | None = None) -> Merged:
    """Write the union of two dialogue files over *ours*.

    Parameters
    ----------
    ours, base, theirs : Path
        As git gives them: this side, what both sides began from (may be empty), the other.
    name : Path, optional
        What the file is called in the repository, for the messages.

    Raises
    ------
    DialogueError
        A side is not a dialogue, is of a newer version, or has lines that cannot be read.
    OSError
        A file cannot be read or written.
    """
    name = name or ours
    with ours.open("rb") as one, theirs.open("rb") as two, base.open("rb") as three:
        mine, other, before = (
            _side(one, name, "ours"),
            _side(two, name, "theirs"),
            _base(three, name),
        )
        for entry in other.entries:
            entry.sides <<= mine.readings
        mask = (1 << mine.readings) - 1
        united = union([*mine.entries, *other.entries], before.entries, mine.readings)
        renamed = mine.header == before.header or "header" in mine.wrong
        header = other.header if renamed and "header" not in other.wrong else mine.header
        records = (item.piece.read(one if item.sides & mask else two) for item in united.entries)
        new = write_beside(ours, lines(header, records))
    new.replace(ours)
    return Merged(
        len(united.entries),
        sum(1 for item in united.entries if not item.sides & ~mask),
        sum(1 for item in united.entries if not item.sides & mask),
        united.removed,
        united.contested,
    )


def _side(file: BinaryIO, name: Path, side: str) -> Contents:
    try:
        contents = read(file, name)
    except DialogueError as error:
        error.problem = f"{error.problem} (In what is merged: {side}.)"
        raise
    if contents.lost:
        number = contents.lost[0][0]
        raise DialogueError(
            name,
            f"{name}, line {number} of {side}: this cannot be read, so the records are not united.",
            f"git's own merge stands. To mend it: python -m openai_magics repair {name}",
        )
    return contents


def _base(file: BinaryIO, name: Path) -> Contents:
    """Read what both sides began from; where that cannot be read, nothing counts as removed."""
    try:
        return read(file, name)
    except DialogueError:
        return Contents(file)


def install(repository: Path | str = ".") -> tuple[str, ...]:
    """Tell git to merge dialogue files with this; return what was done, a sentence each.

    Raises
    ------
    MagicsError
        There is no git, or *repository* is not in the work tree of one.
    """
    top = _top(repository)
    done = []
    for key, value in (("name", "the union of two dialogue files"), ("driver", driver())):
        if _git(top, "config", "--local", "--default", "", "--get", f"{SECTION}.{key}") != value:
            _git(top, "config", "--local", f"{SECTION}.{key}", value)
            done.append(f"Set {SECTION}.{key} in this clone's configuration.")
    attributes = top / ".gitattributes"
    held = attributes.read_bytes() if attributes.exists() else b""
    if ATTRIBUTE.encode() not in held.splitlines():
        with attributes.open("ab") as file:
            file.write(b"\n" * (held[-1:] not in (b"", b"\n")) + ATTRIBUTE.encode() + b"\n")
        done.append(f"Added {ATTRIBUTE!r} to {attributes}: commit it, for everybody.")
    return tuple(done)


def uninstall(repository: Path | str = ".") -> tuple[str, ...]:
    """Undo `install`; return what was done, a sentence each.

    Raises
    ------
    MagicsError
        As `install`.
    """
    top = _top(repository)
    done = []
    if _git(top, "config", "--local", "--default", "", "--get", f"{SECTION}.driver"):
        _git(top, "config", "--local", "--remove-section", SECTION)
        done.append(f"Removed {SECTION} from this clone's configuration.")
    attributes = top / ".gitattributes"
    held = attributes.read_bytes().splitlines(keepends=True) if attributes.exists() else []
    left = [line for line in held if line.strip() != ATTRIBUTE.encode()]
    if left != held:
        attributes.write_bytes(b"".join(left))
        if not left:
            attributes.unlink()
        done.append(f"Removed {ATTRIBUTE!r} from {attributes}.")
    return tuple(done)


def driver() -> str:
    """Return the command that git runs: the union, else git's own merge with its markers."""
    # Without -P, what stands at the top of the merged branch could be imported for a module
    # of ours. Python 3.10 does not have it.
    options = "-P " if sys.version_info >= (3, 11) else ""
    python = shlex.quote(Path(sys.executable).as_posix())
    return (
        f"{python} {options}-m openai_magics merge-driver -- %O %A %B %P "
        "|| git merge-file -L ours -L base -L theirs %A %O %B"
    )


def _top(repository: Path | str) -> Path:
    return Path(_git(Path(repository), "rev-parse", "--show-toplevel"))


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            capture_output=True,
            check=True,
            encoding="utf-8",
        )
    except FileNotFoundError as error:
        raise MagicsError("git is not installed, or not on the path.", "Install git.") from error
    except subprocess.CalledProcessError as error:
        raise MagicsError(
            f"git {arguments[0]} failed: {error.stderr.strip()}", "Run this inside a git work tree."
        ) from error
    return done.stdout.strip()
