"""Thumbnails of a record's images: those that it keeps, and of files that are still the same."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openai_magics.errors import MagicsError
from openai_magics.exchange import Exchange

__all__ = ["data_url", "kept", "thumbnails"]

MOST = 12
"""Images that are looked for, of one record."""
SMALL = re.compile(r"data:image/jpeg;base64,([A-Za-z0-9+/]{1,40000}={0,2})")
"""What `openai_magics.images.prepare.small` makes; a record may come from anywhere."""


def data_url(png: bytes) -> str:
    """Return a PNG as a ``data:`` URL."""
    return f"data:image/png;base64,{b64encode(png).decode()}"


def kept(image: Mapping[str, Any]) -> bytes | None:
    """Return the small picture (JPEG) that a record keeps of an image, ``None`` without one."""
    found = SMALL.fullmatch(str(image.get("thumbnail")))
    if found is None:
        return None
    try:
        return b64decode(found[1], validate=True)
    except ValueError:
        return None


def thumbnails(item: Exchange, folder: Path) -> dict[str, str]:
    """Return thumbnails as ``data:`` URLs by the SHA-256 of the image.

    Parameters
    ----------
    item : Exchange
        A record keeps of an image its hash and its name, not its pixels.
    folder : Path
        Where relative paths begin. A file that is gone, or another by now, has no thumbnail.
    """
    found: dict[str, str] = {}
    for held in list(item.resolved.images)[:MOST]:
        name, sha256 = held.get("name"), held.get("sha256")
        if isinstance(sha256, str) and kept(held) is not None:
            found[sha256] = str(held["thumbnail"])
            continue
        if held.get("kind") != "file" or not isinstance(name, str) or not isinstance(sha256, str):
            continue
        try:
            url = _of_file(folder / Path(name).expanduser(), sha256)
        except (MagicsError, OSError, ValueError, RuntimeError):
            continue
        if url:
            found[sha256] = url
    return found


def _of_file(path: Path, sha256: str) -> str:
    from openai_magics.images import prepare, source

    if not path.is_file():
        return ""
    sources = source.sources(path)
    if len(sources) != 1 or sources[0].sha256 != sha256:
        return ""
    return data_url(prepare.thumbnail(sources[0]))
