"""Image files and pictures in memory, scaled while they are decoded, as plain grey or RGB.

What comes out has no orientation left to apply, no palette, no alpha, no colour profile, 8 bits a
channel, and nothing of the file's metadata. Only formats that `openai_magics.images.sniff` knows are
opened: what else Pillow reads (EPS, for which it runs Ghostscript) is refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO

from openai_magics.errors import OptionError
from openai_magics.images import sniff

if TYPE_CHECKING:
    from PIL.Image import Exif, Image

__all__ = ["Decoded", "decoded"]

ORIENTATION, LOCATION = 0x0112, 0x8825
"""EXIF tags (CIPA DC-008): how to turn the image, and the directory with its place on earth."""
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What `PIL.Image.Transpose` sets an orientation right."""
GAP = 1.1
"""A JPEG is decoded, and blocks are averaged, to this many times the size that is wanted at
least, and then brought to it; Pillow's own 2.0 takes twice as long."""
DARK = 128
QUIET = Lock()

Sizing = Callable[[int, int], tuple[int, int]]
"""The width and height that are wanted, by those of an image; in pixels."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """A picture of mode ``L`` or ``RGB``; the size it had, as seen, in pixels; what was done."""

    picture: Image
    original: tuple[int, int]
    notes: tuple[str, ...]


def decoded(held: BinaryIO | Image, name: str, sizing: Sizing) -> Decoded:
    """Return an image at the size that *sizing* gives.

    Parameters
    ----------
    held : binary file or PIL.Image.Image
        A file's orientation is applied. A picture in memory is taken as it is, which is how the
        notebook shows it: whether the orientation it came with was applied, nobody can tell.
    name : str
        For errors.

    Raises
    ------
    OptionError
        It is no image, cut off, damaged, too large, or Pillow does not read it here.
    """
    import PIL.Image

    with _named(name):
        if isinstance(held, PIL.Image.Image):
            return _decoded(held, sizing, memory=True)
        return _decoded(_opened(held, name), sizing, memory=False)


def _opened(stream: BinaryIO, name: str) -> Image:
    import PIL.Image

    kind = sniff.image_format(stream.read(sniff.HEAD), name)
    stream.seek(0)
    if kind not in PIL.Image.OPEN:
        PIL.Image.init()  # the rarer formats
    if kind not in PIL.Image.OPEN:
        sniff.register(kind, name)
    with _quiet():
        return PIL.Image.open(stream, formats=[kind])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow from warning: of large images, which are errors from twice that on; of EXIF.

    One at a time, for what restores the filters of warnings must not cross in threads; so only
    for what is short.
    """
    with QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Name the image in whatever its decoding raises, which may be anything."""
    import PIL.Image

    try:
        yield
    except OptionError:
        raise
    except PIL.Image.DecompressionBombError as error:
        raise OptionError(
            f"{name} is refused: {error}",
            "If you trust it, raise PIL.Image.MAX_IMAGE_PIXELS, or make it smaller first.",
        ) from error
    except MemoryError as error:
        raise OptionError(f"{name} does not fit into memory.", "Make it smaller first.") from error
    except Exception as error:
        what = f"damaged ({error})"
        if "truncated" in str(error).lower():
            what = "cut off: a part of it is missing"
        elif isinstance(error, PIL.UnidentifiedImageError):
            what = "cut off or damaged: it begins as an image and goes on as none"
        raise OptionError(f"{name} is {what}.", "Get it again, or save it anew.") from error


def _decoded(image: Image, sizing: Sizing, *, memory: bool) -> Decoded:
    import PIL.Image

    notes: list[str] = [] if memory else list(_frames(image))
    if image.format == "TIFF":
        image.load()  # which turns it; whether it has the turned size before depends on the version
    even = _even(image, notes)
    original = even.size
    wanted = sizing(*original)
    if wanted == original:
        even.load()
    else:
        # As `PIL.Image.Image.thumbnail`, whose sizes are another pixel off.
        larger = int(wanted[0] * GAP), int(wanted[1] * GAP)
        drafted = None if memory else even.draft(None, larger)
        box = drafted[1] if drafted else None
        even = even.resize(wanted, PIL.Image.Resampling.BICUBIC, box=box, reducing_gap=GAP)
    profile = image.info.get("icc_profile")
    exif = _exif(image)
    turn = TURNS.get(exif.get(ORIENTATION, 1))
    if turn and memory:
        notes.append("sent as the notebook shows it: its EXIF orientation is not applied")
    elif turn:
        even = even.transpose(PIL.Image.Transpose[turn])
        notes.append("turned as its EXIF orientation says")
        if exif[ORIENTATION] > 4:
            original = (original[1], original[0])
    if exif.get_ifd(LOCATION) and not memory:
        notes.append("without the place where it was taken")
    plain = _coloured(_flat(even, notes), profile, notes)
    if plain.size != original:
        notes.append("scaled from {} x {} to {} x {}".format(*original, *plain.size))
    return Decoded(plain, original, tuple(notes))


def _frames(image: Image) -> Iterator[str]:
    count = getattr(image, "n_frames", 1)
    if count > 1 and image.format != "MPO":  # a phone's second picture: depth, brightness
        yield f"the first of {count} {'pages' if image.format == 'TIFF' else 'frames'}"


def _exif(image: Image) -> Exif:
    from PIL.Image import Exif

    with _quiet():
        try:
            exif = image.getexif()
            exif.get_ifd(LOCATION)
        except Exception:  # noqa: BLE001 - whatever is in there, the picture is what counts
            return Exif()
        return exif


def _even(image: Image, notes: list[str]) -> Image:
    """Return an image whose pixels may be averaged: no palette, not one bit, not 16 or 32."""
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("P", "PA") or "transparency" in image.info:
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image, notes)
    return image


def _eight_bits(image: Image, notes: list[str]) -> Image:
    """Return numbers as greys: 0 to 255, 0 to 65,535, floats 0 to 1, or from least to greatest."""
    deep = image.convert("I") if image.mode.startswith("I;") else image
    low, high = deep.getextrema()
    assert isinstance(low, (int, float))
    assert isinstance(high, (int, float))
    positive, floats = low >= 0, image.mode == "F"
    sixteen = image.mode.startswith("I;") or image.format == "PNG"  # older Pillows say "I"
    if floats and positive and high <= 1:
        scale, offset = 255.0, 0.0
    elif not sixteen and positive and high <= 255:
        scale, offset = 1.0, 0.0
    elif not floats and positive and high <= 65_535:
        scale, offset = 255 / 65_535, 0.0
        notes.append("16 bits brought to 8")
    else:
        scale = 255 / (high - low) if high > low else 0.0
        offset = -low * scale
        notes.append(f"its values, {low:g} to {high:g}, brought to 0 to 255")
    return deep.point(lambda value: value * scale + offset).convert("L")


def _flat(image: Image, notes: list[str]) -> Image:
    """Return an image without alpha, laid on white, or on black where nothing in it is dark.

    What a server makes of alpha is not told; llama.cpp drops it, and black ink on what was
    transparent black is gone.
    """
    import PIL.Image

    if image.mode in ("La", "RGBa"):
        image = image.convert(image.mode.upper())
    if image.mode not in ("LA", "RGBA"):
        return image
    alpha = image.getchannel("A")
    colours = image.convert(image.mode.removesuffix("A"))
    if alpha.getextrema()[0] == 255:
        return colours
    seen = colours.convert("L").histogram(alpha.point(lambda value: 255 * (value >= DARK)))
    white = sum(seen[:DARK]) * 1000 >= sum(seen)
    ground = "white" if white else "black"
    notes.append(f"its transparency laid on {ground}")
    return PIL.Image.composite(colours, PIL.Image.new(colours.mode, image.size, ground), alpha)


def _coloured(image: Image, profile: bytes | None, notes: list[str]) -> Image:
    """Return grey or RGB, in sRGB where the image says what its colours are."""
    known = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
    if profile and image.mode in known:
        image = _in_srgb(image, profile, known[image.mode], notes)
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _in_srgb(image: Image, profile: bytes, space: str, notes: list[str]) -> Image:
    from PIL import ImageCms

    try:
        own = ImageCms.ImageCmsProfile(BytesIO(profile))
        said = ImageCms.getProfileDescription(own).strip()
        if own.profile.xcolor_space.strip() != space or "sRGB" in said:
            return image
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, own, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, ImportError, OSError):
        return image  # a profile that is none, or a Pillow without littleCMS
    assert converted is not None
    notes.append(f"its colours ({said}) brought to sRGB")
    return converted.convert("L") if image.mode == "L" else converted
