"""What can be told of an image without a model that sees: measured and read, not described.

Its size, whether it is in colour, its dominant colours (Pillow), and the text in it where the
``vision`` extra is installed (rapidocr; what it is less than 95 % sure of is left out). It says
what it is and how to get a description. The engine's small model is not asked to put it into
words: it would invent.
"""

from __future__ import annotations

import importlib
import logging
from base64 import b64decode
from functools import lru_cache
from importlib.util import find_spec
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, Any

from openai_magics.errors import ImageRefused
from openai_magics.exchange import Attachment, Reply, Request, Resolved, image_parts

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["MODEL", "SEEING", "observed"]

MODEL = "local observation"
SAID = (
    "This is a local observation, not a description: no model looked at the image "
    "(%describe? tells how one would)."
)
SEEING = (
    "A model that sees: set a key (%openai key), name a server that has one (OPENAI_BASE_URL), or "
    "give the engine on this machine a vision model (OPENAI_MAGICS_LOCAL_MODEL and "
    "OPENAI_MAGICS_LOCAL_MMPROJ, two GGUF files, by path or Hugging Face name)."
)
SURE = 0.95
MOST_LINES = 60
COLOURS = 5
LEAST = 0.03
"""The share of the pixels below which a colour is not named."""
NAMES = {
    "black": (0, 0, 0),
    "dark grey": (70, 70, 70),
    "grey": (128, 128, 128),
    "light grey": (200, 200, 200),
    "white": (255, 255, 255),
    "red": (210, 30, 30),
    "dark red": (120, 15, 20),
    "pink": (245, 170, 190),
    "orange": (245, 140, 30),
    "brown": (130, 80, 40),
    "beige": (225, 205, 170),
    "yellow": (245, 225, 50),
    "olive": (120, 120, 40),
    "green": (40, 160, 60),
    "dark green": (20, 80, 40),
    "light green": (160, 220, 140),
    "turquoise": (50, 190, 180),
    "light blue": (150, 195, 235),
    "blue": (40, 100, 210),
    "dark blue": (20, 35, 110),
    "purple": (125, 50, 150),
    "violet": (185, 145, 225),
}
_reading = Lock()


def observed(request: Request) -> Reply:
    """Return what can be told of the images of a request, as a reply.

    Raises
    ------
    ImageRefused
        One cannot be read, or is at an address.
    """
    held = {item.said.get("sha256"): item for item in request.attachments}
    told, images = [], []
    for part in image_parts(request.messages):
        if "url" in part and not _fetched(request):
            raise ImageRefused(
                f"{part['url']} is not on this machine.", "Have it fetched by it: --fetch."
            )
        item = held[part.get("sha256")]
        text, kept = _told(item)
        told.append(text)
        images.append(kept)
    resolved = Resolved(model=MODEL, endpoint="local", images=images)
    text = "\n\n".join([SAID, *told])
    return Reply(text=text, finish_reason="stop", model=MODEL, resolved=resolved)


def _fetched(request: Request) -> bool:
    return all(getattr(item, "fetch", False) for item in request.attachments)


def _told(item: Attachment) -> tuple[str, Any]:
    import PIL.Image

    part, kept = item.wired(None)
    data = b64decode(part["image_url"]["url"].partition(",")[2])
    picture = PIL.Image.open(BytesIO(data))
    picture.load()
    width, height = kept["original"]
    grey = picture.mode == "L" or _is_grey(picture)
    lines = [
        f"- Size: {width} x {height} pixels",
        f"- Mode: {'grey' if grey else 'colour'}",
        f"- Dominant colours: {', '.join(_colours(picture))}",
        f"- Text: {_text(picture)}",
    ]
    return "\n".join(lines), kept


def _is_grey(picture: Image) -> bool:
    from PIL import ImageChops

    small = picture.convert("RGB").resize((64, 64))
    red, green, blue = small.split()
    most = [ImageChops.difference(red, other).getextrema()[1] for other in (green, blue)]
    return all(isinstance(each, (int, float)) and each <= 4 for each in most)


def _colours(picture: Image) -> list[str]:
    """Return the names of the colours that cover most, with their shares."""
    small = picture.convert("RGB")
    small.thumbnail((128, 128))
    counts: dict[str, int] = {}
    for count, colour in small.getcolors(small.width * small.height) or ():
        assert isinstance(colour, tuple)
        name = _named(colour)
        counts[name] = counts.get(name, 0) + count
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:COLOURS]
    whole = small.width * small.height
    return [f"{name} {count / whole:.0%}" for name, count in ranked if count >= LEAST * whole]


@lru_cache(maxsize=65_536)
def _named(colour: tuple[int, ...]) -> str:
    """Return the name of the nearest colour, green weighing most, as to the eye."""

    def away(other: tuple[int, int, int]) -> float:
        squares = [(one - two) ** 2 for one, two in zip(colour, other, strict=False)]
        return 2 * squares[0] + 4 * squares[1] + 3 * squares[2]

    return min(NAMES, key=lambda name: away(NAMES[name]))


def _text(picture: Image) -> str:
    if find_spec("rapidocr") is None:
        return 'not looked for (pip install "openai_magics[vision]" reads it)'
    with _reading:  # one page at a time: it takes all cores
        found = _reader()(_array(picture))
    pairs = zip(found.txts or (), found.scores or (), strict=False)
    lines = [str(text) for text, score in pairs if score >= SURE]
    if not lines:
        return "none found"
    rest = len(lines) - MOST_LINES
    shown = lines[:MOST_LINES] + ([f"… and {rest} more lines"] if rest > 0 else [])
    return "read by OCR\n\n" + "\n".join(f"      {line}" for line in shown)


def _array(picture: Image) -> Any:
    import numpy as np

    return np.asarray(picture.convert("RGB"))[:, :, ::-1]  # BGR, which it expects


@lru_cache(maxsize=1)
def _reader() -> Any:
    engine = importlib.import_module("rapidocr").RapidOCR()
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    return engine
