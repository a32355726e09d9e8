"""A notebook that was renamed leaves its dialogue file behind under the old name: find it and say so."""

from __future__ import annotations

from pathlib import Path

from openai_magics.errors import DialogueError
from openai_magics.scan import read_header

__all__ = ["left_behind", "said_of"]

MOST = 200
"""Dialogue files looked at in a folder."""


def left_behind(path: Path) -> list[Path]:
    """Return the dialogue files beside *path* whose own notebook is gone."""
    found: list[Path] = []
    for other in sorted(path.parent.glob("*.dialogue.json"))[:MOST]:
        try:
            with other.open("rb") as file:
                name = read_header(file, other)[0].get("notebook")
        except (OSError, DialogueError):
            continue  # its own notebook will say what is wrong with it
        if isinstance(name, str) and other != path and not (path.parent / name).exists():
            found.append(other)
    return found


def said_of(path: Path) -> str:
    """Return what to say where *path* does not exist and may have had another name; ``""`` otherwise."""
    if path.exists() or not (others := left_behind(path)):
        return ""
    names = ", ".join(other.name for other in others)
    return (
        f"There is no {path.name}, but the notebook of {names} is gone. If this notebook had that "
        f"name before, rename the dialogue file too, to {path.name}: its answers are replayed then."
    )
