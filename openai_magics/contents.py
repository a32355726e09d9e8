"""Which of some notebooks holds what a kernel has executed.

A client that runs a notebook on its own (nbclient, nbconvert, papermill, nbval, Voilà) tells
the kernel no name, only code. So the notebook is known by its code cells:

1. A notebook *fits* when what was executed stands in its code cells, in order. Cells in
   between may have been passed over (tags such as ``skip-execution``); the cell papermill
   adds (``# Parameters``) need not be there; blank cells are never executed.
2. What papermill wrote stands for the notebook it was made from (``metadata.papermill``),
   what ``nbconvert --to notebook`` wrote (``a.nbconvert.ipynb``) for the one beside it.
3. Of several that fit, one that the client was started with (its command line, the test
   pytest runs) is the notebook; else the one that was executed from its first cell on without
   passing any over. More are for the person to decide between.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Executed", "choose", "fit", "notebooks_in", "same_cell"]

LARGEST = 50_000_000
"""Bytes; a larger notebook is passed over."""
MOST = 500
"""Notebooks looked at in a folder."""
INJECTED = "# Parameters"
WRITTEN = ".nbconvert.ipynb"


@dataclass(frozen=True)
class Executed:
    """The code a kernel was given, in order; `whole` if from its start on, and all of it."""

    cells: tuple[str, ...]
    whole: bool = True


def notebooks_in(folder: Path) -> list[Path]:
    """Return the notebooks in a folder, by name; empty if it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".ipynb")[:MOST]
    except OSError:
        return []


def choose(
    candidates: Iterable[Path], executed: Executed, named: Sequence[Path], bases: Sequence[Path]
) -> list[Path]:
    """Return the notebooks that hold what was executed: at best one.

    Parameters
    ----------
    candidates
        Notebooks to look into; what cannot be read or is no notebook is passed over.
    executed
        What the kernel was given so far.
    named
        More to look into: the notebooks the client was started with.
    bases
        The folders a relative path in papermill's metadata may be meant from.
    """
    fragment = _fragment(executed)
    looked: dict[Path, Path] = {}  # by where it really is: two paths may lead to one notebook
    for path in (*candidates, *named):
        looked.setdefault(_real(path), path)
    meant = {_real(path) for path in named}
    fits: dict[Path, Path] = {}
    exact: set[Path] = set()
    told: set[Path] = set()
    for real, path in looked.items():
        document = _read(path, fragment)
        fitting = fit(list(_code(document)), executed) if document else None
        if document is None or fitting is None:
            continue
        origin = _origin(path, document, bases)
        known = _real(origin)
        fits.setdefault(known, origin)
        if fitting:
            exact.add(known)
        if real in meant:
            told.add(known)
    for real, path in list(fits.items()):
        if (
            path.name.endswith(WRITTEN)
            and real.with_name(path.name.removesuffix(WRITTEN) + ".ipynb") in fits
        ):
            del fits[real]
    left = told.intersection(fits) or set(fits)
    return sorted(fits[real] for real in left.intersection(exact) or left)


def fit(cells: Sequence[str], executed: Executed) -> bool | None:
    """Tell whether code cells hold what was executed: exactly, with gaps, or (``None``) not."""
    held = [text for text in map(_tidy, cells) if text]
    wanted = [text for text in map(_tidy, executed.cells) if text]
    wanted = [text for text in wanted if text in held or not text.startswith(INJECTED)]
    if not wanted:
        return None
    if executed.whole and held[: len(wanted)] == wanted:
        return True
    rest = iter(held)
    return False if all(text in rest for text in wanted) else None


def same_cell(candidates: Iterable[Path], cell_id: str) -> list[Path]:
    """Return the notebooks among the candidates that have a cell with this id."""
    return [
        path
        for path in candidates
        if (document := _read(path, cell_id)) is not None
        and any(cell.get("id") == cell_id for cell in document["cells"])
    ]


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # `Path.resolve` raises where links go in a circle


def _tidy(source: str) -> str:
    # A kernel's history is without the newlines at the end; some editors write CRLF.
    return source.replace("\r\n", "\n").strip()


def _fragment(executed: Executed) -> str:
    """Return a piece of the last cell that JSON writes as it is, to look for before parsing."""
    last = next((text for text in reversed(executed.cells) if text.strip()), "")
    return max(re.findall(r"[A-Za-z0-9_ .,:;()=+*%-]+", last.strip()), key=len, default="")


def _read(path: Path, fragment: str) -> dict[str, Any] | None:
    """Return a notebook that holds the fragment; ``None`` for what is not one."""
    try:
        if path.stat().st_size > LARGEST:
            return None
        data = path.read_bytes()
        # Parsing a notebook with pictures takes a hundred times as long as looking into it.
        document = json.loads(data) if fragment.encode() in data else None
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
        return None
    document["cells"] = [cell for cell in document["cells"] if isinstance(cell, dict)]
    return document


def _code(document: dict[str, Any]) -> Iterator[str]:
    for cell in document["cells"]:
        source = cell.get("source")
        if cell.get("cell_type") != "code" or not isinstance(source, (str, list)):
            continue
        yield source if isinstance(source, str) else "".join(map(str, source))


def _origin(path: Path, document: dict[str, Any], bases: Sequence[Path]) -> Path:
    """Return the notebook that papermill made this one from; itself if it did not."""
    seen = {_real(path)}
    while True:
        metadata = document.get("metadata")
        papermill = metadata.get("papermill") if isinstance(metadata, dict) else None
        if not isinstance(papermill, dict):
            return path
        source, target = papermill.get("input_path"), papermill.get("output_path")
        if not (isinstance(source, str) and isinstance(target, str) and source and target):
            return path
        if Path(target).name != path.name:
            return path  # copied or renamed since: a notebook of its own
        parts = Path(target).parts
        where = list(bases)
        if path.parts[-len(parts) :] == parts and len(parts) < len(path.parts):
            # The output's path ends as papermill wrote it: what is before is where it ran.
            where.insert(0, Path(*path.parts[: -len(parts)]))
        before = next((base / source for base in where if (base / source).is_file()), None)
        if before is None or _real(before) in seen:
            return path
        seen.add(_real(before))
        further = _read(before, "")
        if further is None:
            return before
        path, document = before, further
