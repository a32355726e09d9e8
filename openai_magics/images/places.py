"""Where an image is, as it is typed: a path, a pattern, a folder, an address, the clipboard."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from base64 import b64decode
from collections.abc import Iterable
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from openai_magics.errors import OptionError, nearest
from openai_magics.images.sniff import SUFFIXES

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["beginning", "checked_url", "clipboard", "data_of", "files", "names_file", "scheme_of"]

ENDINGS = frozenset(ending for endings in SUFFIXES.values() for ending in endings)
"""What the name of an image ends in, where a folder or a pattern is given."""
SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://|(data):", re.IGNORECASE)
DATA = re.compile(r"data:[^,;]*((?:;[^,;]*)*),(.*)", re.IGNORECASE | re.DOTALL)


def scheme_of(text: str) -> str | None:
    """Return the scheme of an address (``"https"``, ``"data"``), ``None`` for a path."""
    found = SCHEME.match(text)
    return (found[1] or found[2]).lower() if found else None


def checked_url(url: str) -> str:
    """Return an address that may be written down and asked for.

    Raises
    ------
    OptionError
        It is none of http, has no host, or holds a password.
    """
    short = _short(url)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise OptionError(f"{short} is no address: {error}.") from error
    if parts.scheme.lower() not in ("http", "https"):
        remedy = "Give the path itself." if parts.scheme == "file" else "Download the image first."
        raise OptionError(f"{short} is no http or https address.", remedy)
    if not host or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise OptionError(f"{short} is no address of the web.", "Check it for spaces.")
    if parts.username is not None or parts.password is not None:
        raise OptionError(
            f"The address at {host} holds a user's name or password.",
            "It would be recorded. Download the image and give the file.",
        )
    return url


def data_of(url: str) -> bytes:
    """Return what a data URL (RFC 2397) holds.

    Raises
    ------
    OptionError
        It is cut off or garbled.
    """
    found = DATA.fullmatch(url)
    if not found:
        raise OptionError("The data URL holds no data.", "Is all of it there?")
    raw = unquote_to_bytes(found[2])
    if not found[1].lower().endswith(";base64"):
        return raw
    try:
        return b64decode(b"".join(raw.split()), validate=True)
    except ValueError as error:
        raise OptionError(f"The data URL is garbled: {error}.", "Is all of it there?") from error


def files(text: str, base: Path) -> list[tuple[str, Path]]:
    """Return the files that a path, a pattern or a folder names: as people call them, and where.

    Those of folders and patterns are the ones that end as images do, in natural order (2 before
    10), the same on every system.

    Raises
    ------
    OptionError
        There is no such file, no image among them, or it cannot be read.
    """
    short = _short(text)
    try:
        full = base / Path(text).expanduser()
        mode = full.stat().st_mode
    except (OSError, RuntimeError, ValueError) as error:
        if has_magic(text) and not isinstance(error, PermissionError):
            return _matching(text, base)
        raise _missing(text, base, error) from error
    if stat.S_ISDIR(mode):
        return _in_folder(text, full)
    if not stat.S_ISREG(mode):
        raise OptionError(f"{short} is no file that can be read to its end.")
    return [(text, full)]


def names_file(text: str) -> bool:
    """Whether what is typed names one file, there or not: no address, pattern or folder."""
    return not (scheme_of(text) or has_magic(text) or Path(text).expanduser().is_dir())


def beginning(typed: str) -> list[str]:
    """Return the images and folders whose path begins as it is *typed*, folders with a slash.

    Names with a space are in quotes no shell needs here, so they are left out.
    """
    folder, name = os.path.split(typed)
    lead = typed[: len(typed) - len(name)]
    try:
        entries = sorted(os.scandir(os.path.expanduser(folder) or "."), key=lambda each: each.name)  # noqa: PTH111
        return [
            f"{lead}{entry.name}{'/' if entry.is_dir() else ''}"
            for entry in entries
            if entry.name.startswith(name)
            and (name.startswith(".") or not entry.name.startswith("."))
            and " " not in entry.name
            and (entry.is_dir() or Path(entry.name).suffix.lower() in ENDINGS)
        ]
    except OSError:
        return []


def _in_folder(text: str, folder: Path) -> list[tuple[str, Path]]:
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.is_file()]
    except OSError as error:
        raise OptionError(f"The folder {text!r} cannot be read: {error.strerror}.") from error
    images = _images(name for name in names if not name.startswith("."))
    if not images:
        raise _none(f"The folder {text!r} has no image", len(names))
    prefix = text if text.endswith(("/", os.sep)) else f"{text}/"
    return [(prefix + name, folder / name) for name in images]


def _matching(text: str, base: Path) -> list[tuple[str, Path]]:
    pattern = os.path.expanduser(text)  # noqa: PTH111 - a Path would tidy the pattern up
    # The home folder is nobody's business but that of who typed "~".
    home, typed = pattern[: len(pattern) - len(text) + 1], text[:1]
    found = [
        name
        for name in glob(pattern, root_dir=base, recursive=True)  # noqa: PTH207 - and its result
        if (base / name).is_file()
    ]
    images = _images(found)
    if not images:
        raise _none(f"No image matches {text!r}", len(found))
    same = pattern == text
    return [(name if same else typed + name[len(home) :], base / name) for name in images]


def _images(names: Iterable[str]) -> list[str]:
    return sorted((name for name in names if Path(name).suffix.lower() in ENDINGS), key=_naturally)


def _naturally(name: str) -> tuple[list[int | str], str]:
    pieces = re.split(r"([0-9]+)", unicodedata.normalize("NFC", name).casefold())
    return [int(piece) if piece.isdecimal() else piece for piece in pieces], name


def _none(what: str, others: int) -> OptionError:
    held = f" among {others} file{'s' * (others > 1)}" if others else ""
    known = ", ".join(endings[0] for endings in SUFFIXES.values())
    return OptionError(f"{what}{held}.", f"Images end in {known} and their like.")


def _missing(text: str, base: Path, error: Exception) -> OptionError:
    short = _short(text)
    if isinstance(error, PermissionError):
        return OptionError(f"{short} may not be read: permission denied.")
    try:
        path = base / Path(text).expanduser()
        beside = sorted(os.scandir(path.parent), key=lambda entry: entry.name)
        near = nearest(path.name, [entry.name for entry in beside if _may_be_meant(entry)])
    except (OSError, RuntimeError, ValueError):
        near = ""
    return OptionError(
        f"There is no file {short}{near}.",
        "" if near else "A path is looked for from the working directory.",
    )


def _may_be_meant(entry: os.DirEntry[str]) -> bool:
    """Whether somebody who looks for an image may have meant it: an image, or a folder."""
    return entry.is_dir() or Path(entry.name).suffix.lower() in ENDINGS


def _short(text: str) -> str:
    return repr(text if len(text) <= 100 else f"{text[:99]}…")


def clipboard() -> Image | list[str]:
    """Return the picture in the clipboard of the machine where the notebook runs, or its files.

    Raises
    ------
    OptionError
        It holds neither, or there is no clipboard.
    """
    from PIL import ImageGrab

    try:
        held: Any = ImageGrab.grabclipboard()
    except Exception as error:
        last = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise OptionError(
            f"There is no clipboard here ({last[0]}).",
            "It is that of the machine where the notebook runs; on Linux wl-clipboard or xclip "
            "reads it. Save the image and give the file.",
        ) from error
    if held is None or held == []:
        raise OptionError("The clipboard holds no image.", "Copy one, then run the cell again.")
    found: Image | list[str] = held
    return found
