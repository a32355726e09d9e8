"""An image as it is sent, and as it is recorded: sized and encoded, or named and not looked into.

A request names an image by what the notebook holds (`said`): its SHA-256, or the text of a URL,
and the detail asked for. Only this enters the fingerprint. The record keeps besides, outside the
request, what helps people and other tools (`kept`): its name, the size and type of what was sent,
the perceptual hash, what was done to it. Those differ with the version of Pillow and the model.
What goes over the wire (`part`) is neither fingerprinted nor recorded.

Who fetches a URL, the service or this machine, does not enter the fingerprint: it is the same
image. Nor does it need either to be replayed.

**Nothing of a file's metadata is sent**: the bytes that leave are encoded anew from the pixels,
without EXIF (place, time, camera), XMP, comments, thumbnails and profiles. What the service
fetches itself from a URL is as it is there.

PNG or JPEG
    The image that will be sent is sampled at 256 x 256 points at most. Where 45 % of neighbours
    or more have the very same grey it is a drawing, text or a screen, and PNG keeps its edges
    (of 70 pictures, photographs had 2 to 37 %, the others 56 to 100 %). Where that PNG takes
    more than 8 bits a pixel, it was none after all. Photographs are JPEG of quality 88.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

from openai_magics.errors import OptionError
from openai_magics.images import download
from openai_magics.images.decode import Decoded, decoded
from openai_magics.images.likeness import phash
from openai_magics.images.source import Source
from openai_magics.images.vision import Limits, checked, fitted, wire_detail

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Prepared", "kept", "part", "prepare", "said", "small", "thumbnail"]

QUALITY = 88
SAMPLE = 256
FLAT = 0.45
"""The share of neighbouring samples of the same grey from which on it is a drawing."""
GIVE_FILE = "The service cannot reach it. Download it, and give the file."


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image ready to be sent.

    Attributes
    ----------
    source : Source
    detail : {"auto", "low", "high", "original"}
    wire_detail : str
        What the service is told.
    url : str or None
        Of an image that the service fetches: then there are no bytes, type, size, or hash.
    data : bytes or None
        PNG or JPEG, as ``media_type`` says.
    width, height : int or None
        Of ``data``, in pixels.
    original : tuple of int, or None
        Width and height of the image as it is seen, in pixels, before it was scaled.
    phash : str or None
        The perceptual hash.
    fetched : str or None
        The SHA-256 of the bytes that this machine fetched from a URL.
    notes : tuple of str
        What was done to it, for people.
    """

    source: Source
    detail: str
    wire_detail: str
    url: str | None = None
    data: bytes | None = field(default=None, repr=False)
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    original: tuple[int, int] | None = None
    phash: str | None = None
    fetched: str | None = None
    notes: tuple[str, ...] = ()


def prepare(
    source: Source,
    detail: str = "auto",
    *,
    model: str | None = None,
    fetch: bool = False,
    private: bool = False,
) -> Prepared:
    """Return an image at the size that a model uses, as PNG or JPEG without metadata.

    Parameters
    ----------
    source : Source
    detail : {"auto", "low", "high", "original"}
        See `openai_magics.images.vision`.
    model : str, optional
        Whose sizes to use; those of tiles (2048 x 2048, shorter side 768) where it is not known.
    fetch : bool
        Whether this machine fetches a URL, not the service.
    private : bool
        Whether a URL may be of this machine or its network.

    Raises
    ------
    OptionError
        The detail is not known; the image is gone, is none, cut off, damaged or too large; the
        file is another than the one that was asked about; the address is private.
    Unreachable
        A URL could not be fetched.
    """
    told = wire_detail(checked(detail), model)
    sizing = partial(fitted, detail=detail, model=model)
    if source.kind == "url" and not fetch:
        if not private:
            download.refuse_private(source.held, GIVE_FILE)
        return Prepared(source, detail, told, source.held, notes=("fetched by the service",))
    fetched = None
    if source.kind == "url":
        data = download.fetch(source.held, private=private)
        fetched = hashlib.sha256(data).hexdigest()
        found = decoded(BytesIO(data), source.name, sizing)
    else:
        found = _decoded(source, sizing)
    picture = found.picture
    media_type, data = _encoded(picture)
    return Prepared(
        source,
        detail,
        told,
        data=data,
        media_type=media_type,
        width=picture.width,
        height=picture.height,
        original=found.original,
        phash=source.phash or phash(picture),
        fetched=fetched,
        notes=found.notes,
    )


def _decoded(source: Source, sizing: Any) -> Decoded:
    if not isinstance(source.held, bytes) and source.kind != "file":
        return decoded(source.picture, source.name, sizing)
    with source.open() as stream:
        return decoded(stream, source.name, sizing)


def _encoded(picture: Image) -> tuple[str, bytes]:
    """Return the media type and the bytes of a picture of mode ``L`` or ``RGB``."""
    picture.info = {}  # a PNG would take profile, comments and EXIF from there
    if _is_drawing(picture):
        stream = BytesIO()
        picture.save(stream, "PNG")
        if stream.tell() <= max(picture.width * picture.height, SAMPLE * SAMPLE):
            return "image/png", stream.getvalue()
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=QUALITY)
    return "image/jpeg", stream.getvalue()


def _is_drawing(picture: Image) -> bool:
    from PIL import ImageChops
    from PIL.Image import Resampling

    size = min(picture.width, SAMPLE), min(picture.height, SAMPLE)
    sample = picture.convert("L").resize(size, Resampling.NEAREST)
    width, height = size
    flat = pairs = 0
    for right, down in ((1, 0), (0, 1)):
        one = sample.crop((0, 0, width - right, height - down))
        other = sample.crop((right, down, width, height))
        if one.width and one.height:
            flat += ImageChops.difference(one, other).histogram()[0]
            pairs += one.width * one.height
    return flat >= FLAT * pairs


def part(prepared: Prepared) -> dict[str, Any]:
    """Return the content part of the chat completions API (``image_url``), for the wire."""
    url = prepared.url
    if url is None:
        assert prepared.data is not None
        url = f"data:{prepared.media_type};base64,{b64encode(prepared.data).decode()}"
    return {"type": "image_url", "image_url": {"url": url, "detail": prepared.wire_detail}}


def said(source: Source, detail: str = "auto") -> dict[str, str]:
    """Return what stands for an image in a request's message, and so in its fingerprint.

    ``{"type": "image", "sha256": …, "detail": …}``, with ``url`` in place of ``sha256`` for an
    address. Nothing is decoded or fetched for it.

    Raises
    ------
    OptionError
        The detail is not known, or the image cannot be read.
    """
    if source.kind == "url":
        return {"type": "image", "url": source.held, "detail": checked(detail)}
    return {"type": "image", "sha256": source.sha256, "detail": checked(detail)}


def kept(prepared: Prepared) -> dict[str, Any]:
    """Return what a record keeps of an image besides `said`; it never enters a fingerprint.

    The key is ``sha256``, or ``url``, as `said` gives it; what is not known is left out.
    """
    source = prepared.source
    key = "url" if source.kind == "url" else "sha256"
    told = {
        key: said(source, prepared.detail)[key],
        "name": source.name if source.kind != "url" else None,
        "kind": source.kind,
        "media_type": prepared.media_type,
        "width": prepared.width,
        "height": prepared.height,
        "original": list(prepared.original) if prepared.original else None,
        "phash": prepared.phash,
        "drawn": source.likeness.get("drawn"),
        "fetched": prepared.fetched,
        "notes": list(prepared.notes) or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def thumbnail(source: Source, pixels: int = 128) -> bytes:
    """Return a PNG that fits *pixels* x *pixels*, for a picker of images.

    Raises
    ------
    OptionError
        The image cannot be read, or is at an address: nothing is fetched for it.
    """
    if source.kind == "url":
        raise OptionError(f"{source.name} is not on this machine.", "Download it first.")
    picture = _decoded(source, Limits(pixels).fit).picture
    picture.info = {}
    stream = BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def small(data: bytes, pixels: int = 128) -> str:
    """Return a picture that fits *pixels* x *pixels* of one that is sent, as a data URL.

    A few kilobytes of JPEG. It is in the record, since a replay shows the same bytes without the
    image, without Pillow, and with another version of it.
    """
    import PIL.Image

    picture = PIL.Image.open(BytesIO(data))
    picture.thumbnail((pixels, pixels), reducing_gap=2.0)
    picture.info = {}
    stream = BytesIO()
    picture.convert("RGB").save(stream, "JPEG", quality=70)
    return f"data:image/jpeg;base64,{b64encode(stream.getvalue()).decode()}"
