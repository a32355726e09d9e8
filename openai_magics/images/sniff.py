"""What a file is by its first bytes: one of the image formats that are taken, or named and refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module

from openai_magics.errors import OptionError

__all__ = ["HEAD", "SUFFIXES", "image_format", "register"]

HEAD = 4096
"""How many bytes are looked at."""

SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "AVIF": (".avif", ".avifs"),
    "HEIF": (".heic", ".heif", ".hif"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp", ".dib"),
    "JPEG2000": (".jp2", ".j2k", ".jpx", ".jpf"),
    "ICO": (".ico",),
    "ICNS": (".icns",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "QOI": (".qoi",),
}
"""The formats that are taken, as Pillow names them, with the endings of their files."""

IMAGES = (
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"GIF8[79]a", "GIF"),
    (rb"RIFF....WEBP", "WEBP"),
    (rb"....ftyp(avif|avis)", "AVIF"),
    (rb"....ftypmi[fa]1.{4}.{0,40}avif", "AVIF"),
    (rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", "HEIF"),
    (rb"II[*+]\x00|MM\x00[*+]", "TIFF"),
    (rb"BM.{12}[\x0c-\x7c]\x00\x00\x00", "BMP"),
    (rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "JPEG2000"),
    (rb"\x00\x00\x01\x00[^\x00]", "ICO"),
    (rb"icns", "ICNS"),
    (rb"P[1-6]\s", "PPM"),
    (rb"qoif", "QOI"),
)
"""What such files begin with."""

PDF_REMEDY = (
    "Make a picture of the page first, for example with pypdfium2: "
    "pypdfium2.PdfDocument(path)[0].render(scale=2).to_pil()"
)
AS_PNG = "Save it as a PNG or JPEG first."
OTHERS = (
    (
        rb"(?i)\s*(<\?xml|<!--|<!doctype svg|<svg).*<svg|\s*<svg",
        "an SVG drawing, and models take pixels",
        "Save it as a PNG first, for example with cairosvg.svg2png or Inkscape.",
    ),
    (
        rb"\s*%PDF",
        "a PDF document, and models take pixels",
        PDF_REMEDY,
    ),
    (rb"(?i)\s*(<!doctype html|<html|<head|<body)", "a web page, not an image", ""),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript drawing, and models take pixels", AS_PNG),
    (rb"8BPS", "a Photoshop document", AS_PNG),
    (rb"\xff\x0a|\x00\x00\x00\x0cJXL ", "a JPEG XL image, which Pillow does not read", AS_PNG),
    (
        rb"....ftyp|RIFF....AVI |\x1a\x45\xdf\xa3",
        "a video",
        "Save the frames that matter as images.",
    ),
    (rb"PK\x03\x04", "a ZIP archive or an office document, not an image", ""),
    (rb"\x1f\x8b", "a gzip archive, not an image", ""),
)
"""What is often given for an image: its first bytes, what it is, what to do."""


def image_format(head: bytes, name: str) -> str:
    """Return the format of a file, as Pillow names it, by its first bytes.

    Raises
    ------
    OptionError
        It is not one of `SUFFIXES`; the error says what it is where that is known.
    """
    for pattern, kind in IMAGES:
        if re.match(pattern, head, re.DOTALL):
            return kind
    if not head:
        raise OptionError(f"{name} is empty (0 bytes).", "Get it again.")
    bare = head.removeprefix(b"\xef\xbb\xbf")
    for pattern, what, remedy in OTHERS:
        if re.match(pattern, bare, re.DOTALL):
            raise OptionError(f"{name} is {what}.", remedy)
    kinds = ", ".join(SUFFIXES)
    what = "text, not an image" if _is_text(head) else "not an image of a format known here"
    raise OptionError(f"{name} is {what}.", f"Known are {kinds}.")


def _is_text(head: bytes) -> bool:
    if b"\x00" in head:
        return False
    try:
        head[: HEAD - 4].decode()
    except UnicodeDecodeError:
        return False
    return True


def register(kind: str, name: str) -> None:
    """Make Pillow read a format that it does not read by itself.

    Raises
    ------
    OptionError
        What it takes is not installed; the error names it.
    """
    if kind == "HEIF":
        try:
            import_module("pillow_heif").register_heif_opener()
        except ImportError as error:
            raise OptionError(
                f"{name} is a HEIC photo, and Pillow reads none by itself.",
                "Install what it takes (pip install pillow-heif), or save it as a JPEG.",
            ) from error
    elif kind == "AVIF":
        raise OptionError(
            f"{name} is an AVIF image, and this Pillow reads none.",
            "Install a newer one (pip install 'pillow>=11.3'), or save it as a JPEG.",
        )
    else:
        raise OptionError(f"{name} is a {kind} image, and this Pillow reads none.", AS_PNG)
