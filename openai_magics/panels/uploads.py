"""Images on their way from a browser to a prompt.

A front end sends a file in pieces, since one message of its size would break the connection
(Jupyter's server refuses messages of more than 10 MB). When the last piece is there the image
is looked into once, so that what no model takes is refused before anything is asked.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from openai_magics.errors import OptionError

__all__ = ["LARGEST", "MOST", "Thumbnails", "Upload", "Uploads"]

LARGEST = 50 * 2**20
"""Bytes of one file."""
MOST = 10
"""Images that go with one prompt."""
THUMBNAIL = 128
"""Pixels of a thumbnail's longer side."""


@dataclass
class Upload:
    """One file: what has come of it, and its thumbnail once it is whole."""

    name: str
    data: bytearray = field(default_factory=bytearray)
    thumbnail: bytes | None = None

    @property
    def whole(self) -> bool:
        """Whether it can be sent."""
        return self.thumbnail is not None


class Thumbnails(list[bytes]):
    """The pictures that go with a message, and where in it each stands."""

    def add(self, picture: bytes | None) -> int | None:
        """Take a picture; return its place, ``None`` where there is none."""
        if picture is None:
            return None
        self.append(picture)
        return len(self) - 1


class Uploads:
    """The files that are attached to the next prompt, by the ids that the front end gives them."""

    def __init__(self) -> None:
        self._held: dict[str, Upload] = {}
        self._mutex = threading.Lock()

    def items(self) -> list[tuple[str, Upload]]:
        """Return the files, in the order in which they were attached."""
        with self._mutex:
            return list(self._held.items())

    def add(self, identity: str, name: str, piece: bytes, *, last: bool) -> Upload:
        """Take a piece of a file; the whole one is checked.

        Raises
        ------
        OptionError
            It is no image that is taken, too large, or one too many; it is dropped.
        """
        with self._mutex:
            if identity not in self._held and len(self._held) >= MOST:
                raise OptionError(
                    f"{name} is one image too many: {MOST} go with one message.",
                    "Send it with the next one.",
                )
            upload = self._held.setdefault(identity, Upload(name))
            upload.data += piece
        try:
            _check_size(upload)
            if last:
                upload.thumbnail = _thumbnail(upload)
        except OptionError:
            self.drop(identity)
            raise
        return upload

    def drop(self, identity: str) -> None:
        """Take a file back."""
        with self._mutex:
            self._held.pop(identity, None)

    def whole(self, identities: Sequence[str]) -> list[tuple[str, Upload]]:
        """Return the files of *identities*.

        Raises
        ------
        OptionError
            One of them is still on its way.
        """
        held = dict(self.items())
        found = [(one, held[one]) for one in identities if one in held]
        if not all(upload.whole for _, upload in found):
            raise OptionError("An image is still on its way.", "Send when its thumbnail is there.")
        return found


def _check_size(upload: Upload) -> None:
    if len(upload.data) > LARGEST:
        raise OptionError(
            f"{upload.name} is larger than {LARGEST >> 20} MB.", "Make it smaller first."
        )


def _thumbnail(upload: Upload) -> bytes:
    """Return a small PNG or JPEG of an image.

    Raises
    ------
    OptionError
        It is none, or damaged.
    """
    from openai_magics.images import prepare, source

    [found] = source.sources(bytes(upload.data), name=upload.name)
    return prepare.thumbnail(found, THUMBNAIL)
