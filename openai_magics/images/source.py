"""What a notebook can name as an image, as `Source` values; nothing is decoded here.

A source is known by what the notebook holds, never by what is sent, since encoders differ
between machines:

========  ==================================================  =========================
kind      held                                                ``sha256`` is of
========  ==================================================  =========================
file      a path                                              the file's bytes
memory    bytes (also of a data URL, `IPython.display.Image`)  these bytes
memory    a picture of Pillow, an array, the clipboard        the pixels (`pixels`)
figure    a figure of matplotlib, what shows itself as PNG    the pixels, as first drawn
figure    a figure of plotly                                  its JSON
url       an address                                          its text
========  ==================================================  =========================

So a file that was only touched, or is named by another path, is the same request; one with
another pixel is another.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from openai_magics.errors import OptionError
from openai_magics.images import pixels, places
from openai_magics.images.decode import decoded
from openai_magics.images.likeness import phash
from openai_magics.images.vision import Limits

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Source", "sources"]

KINDS = (
    "Give a path, a pattern, a folder, a URL, bytes, a picture of Pillow, an array, or a figure "
    "of matplotlib or plotly."
)


@dataclass(frozen=True, eq=False)
class Source:
    """An image as the notebook names it, read when it is needed.

    Attributes
    ----------
    kind : {"file", "url", "memory", "figure"}
    name : str
        For people: the path as it was typed, the URL, or what it is.
    held : Path, str, bytes, PIL.Image.Image or openai_magics.images.pixels.Figure
    """

    kind: Literal["file", "url", "memory", "figure"]
    name: str
    held: Any = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        """The hash, in hex, of what the notebook holds (see the module's docstring).

        Raises
        ------
        OptionError
            The file is gone or cannot be read, or the figure cannot be drawn.
        """
        if isinstance(self.held, pixels.Figure):
            return self.held.sha256
        if isinstance(self.held, str):
            return hashlib.sha256(self.held.encode("utf-8", "surrogatepass")).hexdigest()
        if isinstance(self.held, bytes):
            return hashlib.sha256(self.held).hexdigest()
        if isinstance(self.held, Path):
            return self._hashed[0]
        return pixels.pixels_hash(self.held)

    @property
    def size(self) -> int | None:
        """The size of a file, or of its bytes; ``None`` for what is neither.

        Raises
        ------
        OptionError
            The file is gone or cannot be read.
        """
        if isinstance(self.held, bytes):
            return len(self.held)
        return self._hashed[1][2] if isinstance(self.held, Path) else None

    @cached_property
    def phash(self) -> str | None:
        """The perceptual hash of a figure or of pixels in memory; ``None`` for others."""
        if isinstance(self.held, (Path, bytes, str)):
            return None
        return phash(decoded(self.picture, self.name, Limits(2048).fit).picture)

    @property
    def likeness(self) -> dict[str, str]:
        """What `openai_magics.images.likeness.alike` compares of a figure; of others, nothing.

        A plotly figure is known by its JSON and not by its looks, so nothing is drawn for it.
        """
        if self.kind != "figure" or self.held.identity or not self.held.drawn:
            return {}
        return {"phash": self.phash or "", "drawn": self.held.drawn}

    @property
    def picture(self) -> Image:
        """The pixels of a figure, or those in memory."""
        picture: Image = self.held.picture if self.kind == "figure" else self.held
        return picture

    def open(self) -> BinaryIO:
        """Return the bytes of which `sha256` is the hash as a binary file, to be closed.

        Raises
        ------
        OptionError
            The file is gone, cannot be read, or is another by now.
        """
        if isinstance(self.held, bytes):
            return BytesIO(self.held)
        digest, mark = self._hashed
        stream = self._opened()
        # Hashed again only where it may have changed: a large file takes a tenth of a second.
        if _mark(stream) != mark and self._hash(stream) != digest:
            stream.close()
            raise OptionError(
                f"{self.name} has changed since the cell began.", "Run the cell again."
            )
        return stream

    @cached_property
    def _hashed(self) -> tuple[str, tuple[int, ...]]:
        with self._opened() as stream:
            mark = _mark(stream)
            return self._hash(stream), mark

    def _opened(self) -> BinaryIO:
        try:
            return Path(self.held).open("rb")
        except OSError as error:
            raise OptionError(f"{self.name} cannot be read: {error.strerror}.") from error

    def _hash(self, stream: BinaryIO) -> str:
        """Return the hash of a file, which is then at its start again."""
        digest = hashlib.sha256()
        try:
            while piece := stream.read(1 << 18):
                digest.update(piece)
            stream.seek(0)
        except OSError as error:
            raise OptionError(f"{self.name} cannot be read: {error.strerror}.") from error
        return digest.hexdigest()


def _mark(stream: BinaryIO) -> tuple[int, ...]:
    """Return what is another where a file has been written to."""
    state = os.fstat(stream.fileno())
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def sources(spec: object, *, base: Path | None = None, name: str | None = None) -> list[Source]:
    """Return the images that *spec* names, in an order that is the same everywhere.

    Parameters
    ----------
    spec : object
        A path, with ``~`` if need be; a pattern (``*``, ``?``, ``[…]``, ``**``); a folder, of
        which the images are taken, not those of its folders; an http or data URL;
        ``"clipboard"``; bytes; a picture of Pillow; an array (see `pixels.from_array`); a
        figure or axes of matplotlib, a figure of plotly; an `IPython.display.Image` or what
        else shows itself as PNG or JPEG; or a list, an array or an iterator of these.
    base : Path, optional
        The folder of relative paths; by default the working directory.
    name : str, optional
        What *spec* is called, for what is in memory.

    Raises
    ------
    OptionError
        It names nothing, or something that is no image; the error says what.
    """
    return list(_sources(spec, base or Path(), name))


def _sources(spec: object, base: Path, name: str | None) -> Iterator[Source]:
    if isinstance(spec, (str, os.PathLike)):
        text = os.fspath(spec)
        yield from _typed(os.fsdecode(text), base)
    elif isinstance(spec, (bytes, bytearray, memoryview, BytesIO)):
        held = spec.getvalue() if isinstance(spec, BytesIO) else bytes(spec)
        yield Source("memory", name or f"{len(held):,} bytes", held)
    elif pixels.is_a(spec, "IPython.core.display", "Image"):
        yield from _displayed(spec, base, name)
    elif (several := _several(spec)) is not None:
        found: dict[object, Source] = {}
        for number, item in enumerate(several):
            own = f"{name}[{number}]" if name else None
            for source in _sources(item, base, own):
                # Axes of one figure are one image.
                found.setdefault(_same(source), source)
        if not found:
            raise OptionError("There is no image in an empty list.", KINDS)
        yield from found.values()
    else:
        yield _in_memory(spec, name)


def _same(source: Source) -> object:
    return id(source.held.owner) if isinstance(source.held, pixels.Figure) else id(source)


def _several(spec: object) -> Iterable[object] | None:
    """Return the items of what holds several images."""
    if isinstance(spec, (list, tuple, Iterator)):
        return spec
    kind = getattr(getattr(spec, "dtype", None), "kind", None)
    if kind in ("O", "U") and isinstance(spec, Iterable):  # of axes, of paths
        return getattr(spec, "flat", spec)
    return None


def _in_memory(spec: Any, name: str | None) -> Source:
    if pixels.is_a(spec, "PIL.Image", "Image"):
        if not all(spec.size):
            raise OptionError(f"The picture is empty: {spec.width} x {spec.height} pixels.")
        what = f"a picture of {spec.width} x {spec.height} pixels"
        return Source("memory", name or what, spec.copy())  # it may be drawn on afterwards
    if (figure := pixels.figure_of(spec)) is not None:
        return Source("figure", name or figure.what, figure)
    if hasattr(spec, "__array__") and hasattr(spec, "dtype") and hasattr(spec, "shape"):
        shape = " x ".join(map(str, spec.shape))
        return Source("memory", name or f"an array of {shape}", pixels.from_array(spec))
    kind = type(spec).__name__
    if hasattr(spec, "_repr_svg_"):
        raise OptionError(
            f"A value of type {kind} shows itself as SVG, and models take pixels.",
            "Save it as a PNG first, for example with cairosvg.svg2png.",
        )
    raise OptionError(f"A value of type {kind} is no image.", KINDS)


def _displayed(image: Any, base: Path, name: str | None) -> Iterator[Source]:
    data = image.data
    if isinstance(data, str) or not data:
        data = None if not data else places.data_of(f"data:;base64,{data}")
    if data:
        yield Source("memory", name or "a displayed image", bytes(data))
    else:
        yield from _typed(image.url or image.filename or "", base)


def _typed(text: str, base: Path) -> Iterator[Source]:
    bare = text.strip()
    scheme = places.scheme_of(bare)
    if not bare:
        raise OptionError("The name of the image is empty.", KINDS)
    if scheme == "data":
        yield Source("memory", "a data URL", places.data_of(bare))
    elif scheme:
        yield Source("url", bare, places.checked_url(bare))
    elif bare == "clipboard" and not (base / bare).exists():
        yield from _sources(places.clipboard(), base, "the clipboard")
    else:
        for name, path in places.files(text, base):
            yield Source("file", name, path)
