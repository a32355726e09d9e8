"""Many images in a row: found as they are needed, and a broken one among them is one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

from openai_magics.errors import MagicsError, OptionError
from openai_magics.images.attached import Attached, attached
from openai_magics.images.source import Source

__all__ = ["Broken", "items", "only"]


@dataclass(frozen=True)
class Broken:
    """An item that names no image: its name for people, and why."""

    name: str
    error: MagicsError


def only(spec: object, detail: str = "auto", *, fetch: bool = False) -> Attached:
    """Return the one image that *spec* names.

    Raises
    ------
    OptionError
        It names none, or several.
    """
    found = attached(spec, detail, fetch=fetch)
    if len(found) > 1:
        raise OptionError(
            f"There are {len(found)} images, and one is described at a time here.",
            "Describe them with Session.describe_images, or %describe.",
        )
    return _drawn(found[0])


def items(
    spec: object, detail: str = "auto", *, fetch: bool = False, name: str = "images"
) -> tuple[Iterator[Attached | Broken], int | None]:
    """Return the images that *spec* names, to be taken one by one, and how many they are.

    Parameters
    ----------
    spec : object
        As for `openai_magics.images.source.sources`. Of a list, an array or an iterator each
        item is looked at by itself, and one that names no image is `Broken`.
    name : str
        What *spec* is called, for its items in memory.

    Returns
    -------
    iterator, int or None
        ``None`` where the number is not known: of an iterator.

    Raises
    ------
    OptionError
        *spec* is no list and names no image, or the detail is not known.
    """
    if isinstance(spec, Iterator):
        each = (one for n, item in enumerate(spec) for one in _expanded(item, n, detail, fetch))
        return _attached(each, detail, fetch, name), None
    several = _paths(spec)
    if several is None:
        found: list[Any] = list(attached(spec, detail, fetch=fetch))
    else:
        found = [one for n, item in enumerate(several) for one in _expanded(item, n, detail, fetch)]
        if not found:
            raise OptionError("There is no image in an empty list.", "Name some.")
    return _attached(found, detail, fetch, name), len(found)


def _paths(spec: Any) -> Iterable[object] | None:
    """Return the items of a list, or of a column or an array of paths."""
    if isinstance(spec, (list, tuple)):
        return spec
    if getattr(getattr(spec, "dtype", None), "kind", "") in ("O", "U"):
        flat = list(getattr(spec, "flat", spec))
        if all(isinstance(item, (str, PathLike)) for item in flat):
            return flat
    return None


def _expanded(item: Any, number: int, detail: str, fetch: bool) -> list[Any]:
    """Return the images that an item of a list names; what is in memory waits for its turn."""
    if isinstance(item, Broken):
        return [item]
    if not isinstance(item, (str, PathLike)):
        return [(number, item)]
    try:
        return [*attached(item, detail, fetch=fetch)]
    except OptionError as error:
        return [Broken(str(fspath(item)), error)]


def _attached(
    each: Iterable[Any], detail: str, fetch: bool, called: str
) -> Iterator[Attached | Broken]:
    for item in each:
        if not isinstance(item, tuple):
            yield item if isinstance(item, Broken) else _drawn(item)
            continue
        number, spec = item
        name = f"{called}[{number}]"
        try:
            own = None if isinstance(spec, (Attached, Source)) else name
            yield from map(_drawn, attached(spec, detail, fetch=fetch, name=own))
        except OptionError as error:
            yield Broken(name, error)


def _drawn(item: Attached) -> Attached:
    """Return an image; a figure is drawn here, since no other thread may draw meanwhile."""
    if item.source.kind == "figure":
        _ = item.said
    return item
