"""An image as it is typed after a magic: a variable of the notebook, or a place.

A word that is a variable's name is that variable (``./plots`` is the folder where there is a
variable ``plots`` as well); ``figures[0]``, ``Out[3]`` and ``self.figure`` are looked up where no
file is called so. Everything else is a path, a pattern, a folder or a URL. Nothing is called or
computed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from openai_magics.errors import OptionError, nearest
from openai_magics.images.attached import Attached, attached

__all__ = ["named", "variable"]


def named(
    typed: Iterable[str], names: Mapping[str, Any], detail: str = "auto", *, fetch: bool = False
) -> list[Attached]:
    """Return the images that some words name.

    Parameters
    ----------
    typed : iterable of str
        As they stand after the magic.
    names : mapping
        The notebook's variables.
    detail : {"auto", "low", "high", "original"}
    fetch : bool
        Whether this machine fetches URLs, not the service.

    Raises
    ------
    OptionError
        A word names nothing, or what it names is no image.
    """
    found: list[Attached] = []
    for word in typed:
        known, value = variable(word.strip(), names)
        if not known:
            found += _placed(word, names, detail, fetch=fetch)
            continue
        try:
            found += attached(value, detail, fetch=fetch, name=word.strip())
        except OptionError as error:
            raise OptionError(f"{word}: {error.problem}", error.remedy) from error
    return found


def _placed(word: str, names: Mapping[str, Any], detail: str, *, fetch: bool) -> list[Attached]:
    try:
        return attached(word, detail, fetch=fetch)
    except OptionError as error:
        if not word.isidentifier() or word == "clipboard" or _is_there(word):
            raise
        near = nearest(word, [name for name in names if not name.startswith("_")])
        raise OptionError(
            f"There is neither a variable nor a file {word!r}{near}.",
            error.remedy,
        ) from error


def variable(word: str, names: Mapping[str, Any]) -> tuple[bool, Any]:
    """Return whether *word* is of a variable, and its value.

    Raises
    ------
    OptionError
        It is, and has no such item.
    """
    if word.isidentifier():
        return word in names, names.get(word)
    try:
        tree = ast.parse(word, mode="eval").body
        if isinstance(tree, (ast.Attribute, ast.Subscript)) and not _is_there(word):
            return True, _looked_up(tree, names)
    except _NotNamed:
        pass
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        pass
    except Exception as error:
        raise OptionError(f"{word} cannot be looked up: {type(error).__name__}: {error}") from error
    return False, None


class _NotNamed(Exception):
    """What was typed is not of a variable."""


def _looked_up(tree: ast.expr, names: Mapping[str, Any]) -> Any:
    if isinstance(tree, ast.Name):
        if tree.id not in names:
            raise _NotNamed
        return names[tree.id]
    if isinstance(tree, ast.Attribute):
        held = _looked_up(tree.value, names)
        if tree.attr.startswith("_") or not hasattr(held, tree.attr):
            raise _NotNamed  # photo.jpg, where there is a variable photo
        return getattr(held, tree.attr)
    if isinstance(tree, ast.Subscript):
        try:
            key = ast.literal_eval(tree.slice)
        except ValueError:
            raise _NotNamed from None  # a pattern: plot[0-9].png
        return _looked_up(tree.value, names)[key]
    raise _NotNamed


def _is_there(word: str) -> bool:
    try:
        return Path(word).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return False
