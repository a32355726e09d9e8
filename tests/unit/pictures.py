"""Pictures that tests make: a photograph, a drawing, one whose every corner is told apart."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from openai_magics.images.prepare import Prepared, prepare
from openai_magics.images.source import Source, sources

RED, GREEN, BLUE, YELLOW = (220, 20, 20), (20, 180, 20), (20, 20, 220), (230, 220, 20)
CORNERS = (RED, GREEN, BLUE, YELLOW)
"""Of `cornered`: upper left, upper right, lower left, lower right."""


def photograph(width: int = 320, height: int = 240) -> Image.Image:
    """Soft shapes with noise, in colours."""
    bands = []
    for sigma in (60, 70, 80):
        soft = Image.effect_noise((max(2, width // 16), max(2, height // 16)), sigma)
        soft = soft.resize((width, height), Image.Resampling.BICUBIC)
        bands.append(Image.blend(soft, Image.effect_noise((width, height), 20), 0.3))
    return Image.merge("RGB", bands)


def drawing(width: int = 320, height: int = 240) -> Image.Image:
    """Lines and text on white."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for step in range(0, width, max(1, width // 8)):
        draw.line((step, 0, width - step, height), fill="navy", width=max(1, width // 200))
    draw.text((width // 8, height // 2), "y = x + 1", fill="black")
    return image


def cornered(width: int = 96, height: int = 64) -> Image.Image:
    """Four quarters of different colours."""
    image = Image.new("RGB", (width, height))
    x, y = width // 2, height // 2
    for colour, place in zip(CORNERS, ((0, 0), (x, 0), (0, y), (x, y)), strict=True):
        image.paste(colour, (*place, place[0] + x, place[1] + y))
    return image


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    """Return the colours a quarter in from each corner."""
    rgb = image.convert("RGB")
    x, y = image.width // 4, image.height // 4
    places = (
        (x, y),
        (image.width - x, y),
        (x, image.height - y),
        (image.width - x, image.height - y),
    )
    return [rgb.getpixel(place) for place in places]  # type: ignore[misc]


def near(one: Any, other: Any, most: int = 24) -> bool:
    """Whether colours, or lists of them, are about the same."""
    if isinstance(one, (int, float)):
        return abs(one - other) <= most
    return all(near(*pair, most) for pair in zip(one, other, strict=True))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return an image as the bytes of a file."""
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def one(spec: object, **options: Any) -> Source:
    """Return the only source that *spec* names."""
    (source,) = sources(spec, **options)
    return source


def prepared(spec: object, detail: str = "auto", **options: Any) -> Prepared:
    """Return the only image that *spec* names, prepared."""
    return prepare(one(spec), detail, **options)


def seen(image: Prepared) -> Image.Image:
    """Return what is sent, as an image."""
    assert image.data is not None
    opened = Image.open(BytesIO(image.data))
    opened.load()
    return opened


def png_that_claims(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes that says it is of this size."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [body, b"IDAT" + zlib.compress(bytes(64)), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    )


def saved(folder: Path, name: str, image: Image.Image | bytes, **options: Any) -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(image, bytes):
        path.write_bytes(image)
    else:
        image.save(path, **options)
    return path
