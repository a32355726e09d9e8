"""Addresses of dialogue files in the cloud, and their working copies on this machine."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from openai_magics.errors import SettingError

__all__ = ["Address", "address"]

# A letter alone is a drive of Windows.
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
ACCOUNT = re.compile(r"^[^/@]*@")
UNSAFE = re.compile(r"[^\w.-]+")
ALIASES = {"gcs": "gs", "s3a": "s3"}
SUFFIX = ".dialogue.json"


@dataclass(frozen=True)
class Address:
    """An address in the cloud; ``shown`` is without the name and password it may hold."""

    url: str

    @property
    def protocol(self) -> str:
        """The storage's kind: ``s3``, ``gs``, ``memory``."""
        scheme = self.url.partition("://")[0].lower()
        return ALIASES.get(scheme, scheme)

    @property
    def shown(self) -> str:
        """The address as it may be shown, logged and kept."""
        rest = self.url.partition("://")[2].partition("?")[0]
        return f"{self.protocol}://{ACCOUNT.sub('', rest)}"

    @property
    def plain(self) -> str:
        """The address without its query, which may hold a token that is for this file only."""
        return self.url.partition("?")[0]

    @property
    def name(self) -> str:
        """The file's name in its folder."""
        return self.shown.rpartition("/")[2]

    @property
    def folder(self) -> Path:
        """The folder of its working copy, in the user's data folder."""
        import platformdirs

        known = hashlib.sha256(self.shown.encode()).hexdigest()[:16]
        return Path(platformdirs.user_data_dir("openai_magics", appauthor=False), "cloud", known)

    @property
    def copy(self) -> Path:
        """Its working copy."""
        return self.folder / UNSAFE.sub("-", self.name)

    @property
    def base(self) -> Path:
        """What the working copy and the cloud both held when they were last the same."""
        return self.folder / "synced.base"


def address(path: object) -> Address | None:
    """Return the address that a path is; ``None`` for a path of this machine.

    Raises
    ------
    SettingError
        It is an address that names no file.
    """
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
    match = SCHEME.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        return None
    found = Address(text.strip())
    where = found.shown.partition("://")[2]
    if not where.strip("/") or where.endswith("/") or not where.isprintable():
        raise SettingError(
            f"The dialogue file's address {found.shown!r} names no file.",
            f"It looks like {found.protocol}://bucket/folder/analysis{SUFFIX}.",
        )
    return found
