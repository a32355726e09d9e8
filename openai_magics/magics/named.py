"""What a name on the line of a magic stands for: a variable of the notebook, or a file."""

from __future__ import annotations

import ast
import builtins
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openai_magics.errors import OptionError, nearest

__all__ = ["schema", "tools", "value"]


def value(name: str, text: str, names: Mapping[str, Any]) -> Any:
    """Return what *text* is in the notebook: ``City``, ``models.City``, ``list[City]``.

    Parameters
    ----------
    name : str
        The option, for what is said of it.
    text : str
        What was typed after it.
    names : mapping
        The notebook's variables.

    Raises
    ------
    OptionError
        There is no such variable; the nearest is named.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError:
        raise OptionError(f"{name}: {text!r} is not the name of a variable.") from None
    allowed = (ast.Name, ast.Attribute, ast.Subscript, ast.Tuple, ast.Constant, ast.BinOp)
    around = (ast.Expression, ast.Load, ast.BitOr)
    if not all(isinstance(node, (*allowed, *around)) for node in ast.walk(tree)):
        raise OptionError(
            f"{name}: {text!r} is more than a name.", "Make it a variable in a cell before."
        )
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in names and not hasattr(builtins, node.id):
            known = [each for each in names if not each.startswith("_")]
            raise OptionError(
                f"{name}: there is no variable {node.id!r}{nearest(node.id, known)}.",
                "Run the cell that defines it first.",
            )
    try:
        code = compile(tree, "<option>", "eval")
        return eval(code, {"__builtins__": builtins}, dict(names))  # noqa: S307 - names only
    except Exception as error:
        raise OptionError(f"{name}: {text!r} cannot be read ({error}).") from error


def schema(text: str, names: Mapping[str, Any]) -> Any:
    """Return the schema that *text* names: a variable, else a JSON file.

    Raises
    ------
    OptionError
        There is neither.
    """
    path = Path(text).expanduser()
    if path.suffix.lower() == ".json" or os.sep in text or path.is_file():
        return path
    return value("--schema", text, names)


def tools(text: str, names: Mapping[str, Any]) -> list[Any]:
    """Return the functions that *text* names, with commas between them.

    Raises
    ------
    OptionError
        There is no such variable, or no name at all.
    """
    found = [value("--tools", name, names) for name in text.split(",") if name.strip()]
    if not found:
        raise OptionError("--tools names no function.", "As in --tools weather,forecast")
    return found
