"""What is sent of an image, what is recorded of it, and what is refused."""

from __future__ import annotations

import os
import struct
import threading
import warnings
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin, features

from openai_magics import exchange
from openai_magics.errors import ImageRefused, OptionError
from openai_magics.images import attached
from openai_magics.images.prepare import kept, part, prepare, said, small, thumbnail
from tests.unit.pictures import (
    CORNERS,
    cornered,
    corners,
    drawing,
    encoded,
    near,
    one,
    photograph,
    png_that_claims,
    prepared,
    saved,
    seen,
)

ORIENTATION, MAKER, LOCATION = 0x0112, 0x010F, 0x8825
KINDS = ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "JPEG2000", "ICO", "ICNS"]
HAS_AVIF = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


@pytest.mark.parametrize("kind", [*KINDS, pytest.param("AVIF", marks=HAS_AVIF)])
def test_every_format_is_read_and_sent_as_png_or_jpeg(kind: str) -> None:
    """What Pillow reads here arrives with its colours in their places."""
    image = prepared(encoded(cornered(1024, 1024) if kind == "ICNS" else cornered(128, 128), kind))
    assert image.media_type in ("image/png", "image/jpeg")
    assert seen(image).size == (image.width, image.height)
    assert image.width == (768 if kind == "ICNS" else 128)
    assert near(corners(seen(image)), CORNERS)


@pytest.mark.skipif(not features.check("webp"), reason="this Pillow has no WEBP")
@pytest.mark.parametrize(
    "image",
    [
        pytest.param(cornered().convert("CMYK"), id="CMYK"),
        pytest.param(cornered().convert("YCbCr"), id="YCbCr"),
        pytest.param(cornered().convert("HSV"), id="HSV"),
        pytest.param(cornered().convert("RGBA"), id="RGBA"),
        pytest.param(cornered().convert("RGBA").convert("RGBa"), id="RGBa"),
        pytest.param(cornered().convert("RGBX"), id="RGBX"),
        pytest.param(cornered().convert("P"), id="P"),
        pytest.param(cornered().quantize(8), id="adaptive"),
    ],
)
def test_every_mode_keeps_its_colours(image: Image.Image) -> None:
    """In memory, whatever the mode, what is sent looks the same."""
    assert near(corners(seen(prepared(image))), CORNERS)


@pytest.mark.parametrize(
    ("image", "grey"),
    [
        pytest.param(Image.new("1", (40, 40), 1), 255, id="1"),
        pytest.param(Image.new("L", (40, 40), 99), 99, id="L"),
        pytest.param(Image.new("LA", (40, 40), (99, 255)), 99, id="LA"),
        pytest.param(Image.new("I;16", (40, 40), 25_700), 100, id="16 bit"),
        pytest.param(Image.new("I", (40, 40), 25_700), 100, id="16 bit in 32"),
        pytest.param(Image.new("I", (40, 40), 100), 100, id="8 bit in 32"),
        pytest.param(Image.new("F", (40, 40), 0.5), 127, id="floats to 1"),
        pytest.param(Image.new("F", (40, 40), 99.5), 99, id="floats to 255"),
        pytest.param(Image.new("PA", (40, 40), 0), 255, id="PA"),
    ],
)
def test_greys_of_any_depth_are_sent_in_eight_bits(image: Image.Image, grey: int) -> None:
    """16 bits are brought down, and so are numbers; the brightness stays."""
    sent = seen(prepared(image))
    assert sent.mode in ("L", "RGB")
    assert near(sent.convert("L").getpixel((20, 20)), grey, 1)


def test_numbers_of_any_range_are_spread_and_it_is_said() -> None:
    """From the least to the greatest: there is no other way to see them."""
    image = Image.new("I", (40, 40), -1000)
    image.paste(3000, (0, 0, 20, 40))
    sent = prepared(image)
    assert (seen(sent).getpixel((5, 5)), seen(sent).getpixel((35, 5))) == (255, 0)
    assert "its values, -1000 to 3000, brought to 0 to 255" in sent.notes


def test_a_png_of_sixteen_bits_is_scaled_in_full() -> None:
    """A microscope's file: its greys are there in the file and in what is sent."""
    deep = np.tile(np.linspace(0, 65_535, 512).astype(np.uint16), (64, 1))
    sent = prepared(encoded(Image.fromarray(deep), "PNG"), "low")
    greys = [seen(sent).convert("L").getpixel((x, 30)) for x in (10, 256, 500)]
    assert near(greys, [5, 128, 250], 4)
    assert "16 bits brought to 8" in sent.notes


ORIENTED = [*("JPEG", "PNG", "WEBP", "TIFF"), pytest.param("AVIF", marks=HAS_AVIF)]
UNDO = [None, 0, 3, 1, 5, 2, 6, 4]
"""By orientation less one, the transposition (`PIL.Image.Transpose`) that a camera did."""


@pytest.mark.parametrize("kind", ORIENTED)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_file_is_turned_as_its_exif_says(kind: str, orientation: int) -> None:
    """Whichever way the camera was held, the model sees it upright, and its size is that."""
    held = cornered(192, 128)
    if (undo := UNDO[orientation - 1]) is not None:
        held = held.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    sent = prepared(encoded(held, kind, exif=exif), "low")
    assert seen(sent).size == sent.original == (192, 128)
    assert near(corners(seen(sent)), CORNERS)
    if kind in ("JPEG", "PNG", "WEBP"):
        assert ("turned as its EXIF orientation says" in sent.notes) == (orientation > 1)


def test_a_turned_photograph_is_scaled_as_it_is_seen() -> None:
    """The sizes that are told are those a person sees."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    sent = prepared(encoded(photograph(1600, 1200), "JPEG", exif=exif))
    assert (sent.original, sent.width, sent.height) == ((1200, 1600), 768, 1024)
    assert "scaled from 1200 x 1600 to 768 x 1024" in sent.notes


def test_a_picture_in_memory_is_sent_as_the_notebook_shows_it() -> None:
    """Whether its orientation was applied by hand cannot be told; it is not applied twice."""
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    opened = Image.open(BytesIO(encoded(cornered(), "JPEG", exif=exif)))
    sent = prepared(opened)
    assert near(corners(seen(sent)), CORNERS)
    assert "sent as the notebook shows it: its EXIF orientation is not applied" in sent.notes


def marked(kind: str, image: Image.Image) -> bytes:
    """Return an image file that tells where, when, by whom and of whom."""
    exif = Image.Exif()
    exif[MAKER] = "SECRETMAKER"
    exif[0x9286] = "SECRETNOTE"
    exif[LOCATION] = {1: "N", 2: (52.0, 31.0, 7.0), 3: "E", 4: (13.0, 24.0, 5.0)}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options: dict[str, Any] = {"exif": exif.tobytes(), "icc_profile": profile}
    if kind == "JPEG":
        options |= {"comment": b"SECRETCOMMENT", "dpi": (301, 301)}
        options["xmp"] = b"<x:xmpmeta>SECRETXMP</x:xmpmeta>"
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Author", "SECRETAUTHOR")
        text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>SECRETXMP</x:xmpmeta>")
        options |= {"pnginfo": text, "dpi": (301, 301)}
    return encoded(image, kind, **options)


@pytest.mark.parametrize("detail", ["low", "high", "original"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("image", [photograph(), drawing()], ids=["photograph", "drawing"])
def test_nothing_of_a_files_metadata_is_sent(kind: str, image: Image.Image, detail: str) -> None:
    """Neither place nor time, maker, author, comment nor profile, in PNG and in JPEG."""
    sent = prepared(marked(kind, image), detail)
    assert sent.data is not None
    for trace in (b"SECRET", b"Exif", b"eXIf", b"iCCP", b"ICC_PROFILE", b"tEXt", b"iTXt", b"http"):
        assert trace not in sent.data
    again = seen(sent)
    assert not again.getexif()
    assert {"exif", "icc_profile", "xmp", "comment"}.isdisjoint(again.info)
    assert "without the place where it was taken" in sent.notes
    assert sent.original == image.size


def test_the_colours_of_a_profile_are_brought_to_srgb() -> None:
    """A profile is not sent, so what it says is done: here one that swaps red and blue."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = data.index(b"rXYZ"), data.index(b"bXYZ")
    data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    name = "sRGB".encode("utf-16-be")
    data[:] = data.replace(name, "Swap".encode("utf-16-be"))
    sent = prepared(encoded(Image.new("RGB", (64, 64), "red"), "PNG", icc_profile=bytes(data)))
    assert near(seen(sent).convert("RGB").getpixel((9, 9)), (0, 0, 255))
    assert any(note.startswith("its colours (Swap") for note in sent.notes)


@pytest.mark.parametrize("profile", [b"no profile", b"\0" * 200])
def test_a_profile_that_is_none_is_passed_over(profile: bytes) -> None:
    """The picture is what counts."""
    assert near(corners(seen(prepared(encoded(cornered(), "JPEG", icc_profile=profile)))), CORNERS)


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_exif_that_is_none_is_passed_over(exif: bytes) -> None:
    """As above; and Pillow's warning of it is not shown below the cell."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert near(corners(seen(prepared(encoded(cornered(), "JPEG", exif=exif)))), CORNERS)


def transparent(mode: str, ink: str) -> Image.Image:
    """Return a figure whose ground is not there, and whose hidden colour is black."""
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste(ink, (16, 16, 48, 48))
    if mode == "P":
        return image.quantize(4)
    return image.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", None])
@pytest.mark.parametrize(("ink", "ground"), [("black", 255), ("#eee", 0)])
def test_what_is_transparent_is_laid_where_the_ink_is_seen(
    mode: str, kind: str | None, ink: str, ground: int
) -> None:
    """On white, or on black where all of it is light; that it was is said."""
    image = transparent(mode, ink)
    if kind == "TIFF" and mode == "P":
        pytest.skip("TIFF palettes have no transparency")
    sent = prepared(encoded(image, kind) if kind else image)
    grey = seen(sent).convert("L")
    assert near(grey.getpixel((4, 4)), ground, 6)
    assert near(grey.getpixel((32, 32)), 255 - ground, 24)
    assert any(note.startswith("its transparency laid on") for note in sent.notes)


@pytest.mark.parametrize("detail", ["low", "high"])
def test_one_transparent_colour_is_transparent(detail: str) -> None:
    """PNG's tRNS, in grey and in RGB, also where the image is scaled."""
    image = Image.new("RGB", (900, 900), (0, 255, 0))
    image.paste("black", (300, 300, 600, 600))
    sent = seen(prepared(encoded(image, "PNG", transparency=(0, 255, 0)), detail))
    assert near(sent.convert("RGB").getpixel((5, 5)), (255, 255, 255), 2)


def test_an_alpha_that_hides_nothing_is_not_spoken_of() -> None:
    """A screenshot is mostly RGBA and opaque."""
    assert prepared(encoded(drawing().convert("RGBA"), "PNG")).notes == ()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", pytest.param("AVIF", marks=HAS_AVIF)])
def test_of_an_animation_the_first_frame_is_sent_and_it_is_said(kind: str) -> None:
    """And so of many pages the first."""
    frames = [cornered().rotate(turn) for turn in (90, 180)]
    sent = prepared(encoded(cornered(), kind, save_all=True, append_images=frames))
    assert near(corners(seen(sent)), CORNERS)
    assert sent.notes == ("the first of 3 frames",)


def test_of_many_pages_the_first_is_sent_and_it_is_said() -> None:
    """A scan of several pages."""
    data = encoded(cornered(), "TIFF", save_all=True, append_images=[drawing(96, 64)])
    assert prepared(data).notes == ("the first of 2 pages",)


def test_the_second_picture_of_a_phone_is_not_spoken_of() -> None:
    """A phone's file often has a map of brightness or depth behind the photograph."""
    data = encoded(cornered(), "MPO", save_all=True, append_images=[cornered().rotate(90)])
    sent = prepared(data)
    assert near(corners(seen(sent)), CORNERS)
    assert sent.notes == ()


@pytest.mark.parametrize(
    ("image", "media_type"),
    [
        pytest.param(photograph(1200, 900), "image/jpeg", id="photograph"),
        pytest.param(photograph(1200, 900).convert("L"), "image/jpeg", id="grey photograph"),
        pytest.param(drawing(1200, 900), "image/png", id="drawing"),
        pytest.param(drawing(1200, 900).convert("1"), "image/png", id="one bit"),
        pytest.param(Image.new("RGB", (600, 400), "teal"), "image/png", id="one colour"),
        pytest.param(Image.new("RGB", (1, 1), "teal"), "image/png", id="one pixel"),
        pytest.param(photograph(1, 900), "image/jpeg", id="one column"),
    ],
)
def test_drawings_are_png_and_photographs_jpeg(image: Image.Image, media_type: str) -> None:
    """By the pixels, not by the file they came from."""
    assert prepared(image).media_type == media_type
    assert prepared(encoded(image.convert("RGB"), "JPEG", quality=95)).media_type == media_type
    assert prepared(encoded(image, "PNG")).media_type == media_type


def test_a_photograph_before_a_blank_wall_is_still_jpeg() -> None:
    """Half of it is even, but as a PNG it would take more than 8 bits a pixel."""
    image = Image.new("RGB", (1000, 700), "white")
    noise = [Image.effect_noise((480, 700), 90) for _ in range(3)]
    image.paste(Image.merge("RGB", noise), (0, 0))
    assert prepared(image).media_type == "image/jpeg"


SIZES = [
    ((4000, 3000), "auto", (1024, 768)),
    ((4000, 3000), "high", (1024, 768)),
    ((4000, 3000), "low", (512, 384)),
    ((4000, 3000), "original", (4000, 3000)),
    ((8000, 600), "high", (2048, 153)),
    ((300, 5000), "high", (122, 2048)),
    ((200, 100), "high", (200, 100)),
    ((200, 100), "low", (200, 100)),
    ((1, 9000), "high", (1, 2048)),
    ((9000, 1), "low", (512, 1)),
]


@pytest.mark.parametrize(("size", "detail", "sent"), SIZES)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", None])
def test_an_image_is_sent_at_the_size_that_is_used(
    kind: str | None, size: tuple[int, int], detail: str, sent: tuple[int, int]
) -> None:
    """Never larger than it is; from a file and from memory."""
    image = Image.linear_gradient("L").resize(size)
    made = prepared(encoded(image, kind) if kind else image, detail)
    assert (made.width, made.height) == seen(made).size == sent
    assert made.original == size
    scaled = "scaled from {} x {} to {} x {}".format(*size, *sent)
    assert made.notes == ((scaled,) if size != sent else ())


def test_the_models_own_size_is_used_where_it_is_known() -> None:
    """A model of patches sees more than one of tiles."""
    data = encoded(Image.linear_gradient("L").resize((4000, 3000)), "PNG")
    assert prepared(data, model="gpt-4o").width == 1024
    assert prepared(data, model="gpt-5.5").width == 1824
    assert prepared(data, "original", model="gpt-5.5").width == 3669
    assert prepared(data, "original", model="gpt-4o").width == 1024


@pytest.mark.parametrize(("detail", "near_one"), [("hihg", "high"), ("LOW", "low"), (None, "")])
def test_a_wrong_detail_names_the_nearest(detail: Any, near_one: str) -> None:
    """Before anything is read."""
    for ask in (prepare, said):
        with pytest.raises(OptionError, match="There is no detail") as failure:
            ask(one("https://example.org/x.png"), detail)
        assert f"mean {near_one!r}" in str(failure.value) or not near_one


SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>'
REFUSED = {
    "empty": (b"", "is empty (0 bytes)", "Get it again"),
    "text": (b"dear diary\n" * 900, "is text, not an image", "Known are PNG"),
    "binary": (bytes(range(256)) * 9, "is not an image of a format known here", "Known are"),
    "svg": (SVG, "is an SVG drawing, and models take pixels", "PNG"),
    "bare svg": (b"\xef\xbb\xbf \n<svg></svg>", "is an SVG drawing", "cairosvg"),
    "commented svg": (b"<!-- Inkscape -->" + SVG, "is an SVG drawing", "cairosvg"),
    "pdf": (b"%PDF-1.7\n", "is a PDF document, and models take pixels", "pypdfium2"),
    "page": (b"<!DOCTYPE html><html>", "is a web page", ""),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0", "is a PostScript drawing", "PNG"),
    "psd": (b"8BPS\0\1" + bytes(40), "is a Photoshop document", "PNG"),
    "jxl": (b"\xff\x0a\xfa\x1f", "is a JPEG XL image", "PNG"),
    "zip": (b"PK\3\4" + bytes(40), "is a ZIP archive or an office document", ""),
    "gzip": (b"\x1f\x8b\x08" + bytes(40), "is a gzip archive", ""),
    "video": (b"\0\0\0\x20ftypisom" + bytes(40), "is a video", "frames"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_image_is_refused_by_name(tmp_path: Path, what: str) -> None:
    """Whatever the name of the file says; and what to do is said where it is known."""
    data, problem, remedy = REFUSED[what]
    saved(tmp_path, "shot.png", data)
    with pytest.raises(OptionError) as failure:
        prepared("shot.png")
    assert failure.value.problem.startswith(f"shot.png {problem}")
    assert remedy in failure.value.remedy


def cut(kind: str) -> list[Any]:
    """Return files cut off in the head, in the pixels, and just before their end."""
    options = {"TIFF": {"compression": "tiff_lzw"}}.get(kind, {})
    whole = encoded(photograph(160, 120), kind, **options)
    places = [10, 30, 60, len(whole) // 3, len(whole) * 9 // 10, len(whole) - 60]
    return [pytest.param(whole[:place], id=f"{kind}-{place}") for place in places]


@pytest.mark.parametrize("data", [each for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000") for each in cut(kind)])  # fmt: skip
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, data: bytes) -> None:
    """Wherever it was cut: half an image is not sent as one."""
    saved(tmp_path, "half.bin", data)
    with pytest.raises(OptionError, match=r"^half\.bin is (cut off|damaged|not an image|text)"):
        prepared("half.bin")


def test_a_damaged_file_is_refused() -> None:
    """A wrong checksum within."""
    data = bytearray(encoded(photograph(64, 64), "PNG"))
    data[60] ^= 0xFF
    with pytest.raises(OptionError, match="damaged"):
        prepared(bytes(data))


def test_a_file_that_begins_as_one_and_is_none_is_refused() -> None:
    """The first bytes are right and nothing else is."""
    with pytest.raises(OptionError, match=r"cut off|begins as an image and goes on as none"):
        prepared(b"\x89PNG\r\n\x1a\n" + b"junk" * 30)


def test_a_decompression_bomb_is_refused() -> None:
    """A few bytes that claim billions of pixels are not decoded; how to insist is said."""
    with pytest.raises(OptionError, match="is refused: Image size") as failure:
        prepared(png_that_claims(60_000, 60_000))
    assert "MAX_IMAGE_PIXELS" in failure.value.remedy
    gif = bytearray(encoded(Image.new("P", (9, 9)), "GIF"))
    gif[6:10] = struct.pack("<HH", 60_000, 60_000)
    with pytest.raises(OptionError, match="is refused"):
        prepared(bytes(gif))


def test_a_large_image_is_no_bomb_and_warns_of_nothing() -> None:
    """A hundred megapixels are a camera's."""
    data = encoded(Image.new("1", (12_000, 9000)), "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert prepared(data, "low").original == (12_000, 9000)


def test_a_bomb_of_text_is_refused() -> None:
    """A PNG whose comment unpacks to far more than the picture."""
    text = PngImagePlugin.PngInfo()
    text.add_text("bomb", "x" * (70 << 20), zip=True)
    with pytest.raises(OptionError, match="damaged"):
        prepared(encoded(drawing(), "PNG", pnginfo=text))


def test_a_file_that_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    """What was asked about must be what is sent."""
    source = one(saved(tmp_path, "a.png", cornered()))
    assert said(source)["sha256"] == source.sha256
    saved(tmp_path, "a.png", drawing())
    with pytest.raises(OptionError, match=r"a\.png has changed since the cell began"):
        prepare(source)


def test_a_file_that_was_only_touched_meanwhile_is_sent(tmp_path: Path) -> None:
    """Its bytes are what counts."""
    path = saved(tmp_path, "a.png", cornered())
    source = one(path)
    assert source.sha256
    os.utime(path, (1, 1))
    assert prepare(source).width == 96


def test_a_file_is_not_changed(tmp_path: Path) -> None:
    """And an image in memory is not, either."""
    path = saved(tmp_path, "a.jpg", photograph(1600, 1200))
    before, image = path.read_bytes(), photograph(1600, 1200)
    pixels = image.tobytes()
    prepared(path)
    prepared(image)
    assert path.read_bytes() == before
    assert (image.size, image.tobytes()) == ((1600, 1200), pixels)


def test_the_part_for_the_wire_is_that_of_chat_completions() -> None:
    """A data URL and the detail; ``original`` is said in a word that the API knows."""
    sent = prepared(drawing(), "low")
    made = part(sent)
    assert (made["type"], made["image_url"]["detail"]) == ("image_url", "low")
    head, _, data = made["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    assert b64decode(data) == sent.data
    assert part(prepared(drawing(), "original"))["image_url"]["detail"] == "high"
    newest = prepared(drawing(), "original", model="gpt-6-astra")
    assert part(newest)["image_url"]["detail"] == "auto"


def test_an_address_goes_to_the_service_as_it_is() -> None:
    """Nothing is fetched unless it is asked for."""
    sent = prepared("https://example.org/cat.png", "high")
    assert (sent.data, sent.width, sent.notes) == (None, None, ("fetched by the service",))
    assert part(sent)["image_url"] == {"url": "https://example.org/cat.png", "detail": "high"}
    assert kept(sent) == {
        "url": "https://example.org/cat.png",
        "kind": "url",
        "notes": ["fetched by the service"],
    }


@pytest.mark.parametrize(
    "url",
    [
        *("http://localhost:8888/a.png", "http://127.0.0.1/a.png", "http://[::1]/a.png"),
        *("http://10.0.0.7/a.png", "http://192.168.1.9:80/a.png", "http://169.254.169.254/latest"),
        *("http://intranet/a.png", "http://nas.local/a.png", "http://db.internal/a.png"),
        *("http://[::ffff:10.0.0.1]/a.png", "http://0.0.0.0/a.png", "http://[fe80::1%25eth0]/a"),
    ],
)
def test_an_address_that_only_this_machine_reaches_is_refused(url: str) -> None:
    """The service could not fetch it; what to do is said."""
    with pytest.raises(OptionError, match="address of this machine or its network") as failure:
        prepared(url)
    assert failure.value.remedy.endswith("Download it, and give the file.")


def test_what_is_said_is_what_the_notebook_holds_and_the_detail() -> None:
    """No name, no type, no size, no look: only these enter the fingerprint."""
    source = one(cornered(), name="shot")
    assert said(source, "low") == {"type": "image", "sha256": source.sha256, "detail": "low"}
    url = one("https://example.org/x.png")
    assert said(url) == {"type": "image", "url": "https://example.org/x.png", "detail": "auto"}


def test_a_request_is_the_same_whatever_is_sent() -> None:
    """A fingerprint with an image differs by image and detail, not by model, name or encoder."""

    def fingerprint(source: Any, detail: str) -> str:
        content = [{"type": "text", "text": "What is it?"}, said(source, detail)]
        return exchange.Request(messages=({"role": "user", "content": content},)).fingerprint

    first = one(cornered(), name="one")
    prepare(first, model="gpt-6-astra")
    assert fingerprint(first, "low") == fingerprint(one(cornered(), name="other"), "low")
    assert fingerprint(first, "low") != fingerprint(first, "high")
    assert fingerprint(first, "low") != fingerprint(one(drawing()), "low")


def test_what_a_record_keeps_can_be_kept() -> None:
    """Plain values, the key as in `said`, and nothing that is not known."""
    sent = prepared(encoded(photograph(1600, 1200), "JPEG"), "low")
    told = kept(sent)
    assert told == {
        "sha256": said(sent.source)["sha256"],
        "name": sent.source.name,
        "kind": "memory",
        "media_type": "image/jpeg",
        "width": 512,
        "height": 384,
        "original": [1600, 1200],
        "phash": sent.phash,
        "notes": ["scaled from 1600 x 1200 to 512 x 384"],
    }
    assert exchange.canonical_json(told)


def test_an_image_ready_to_be_sent_says_little() -> None:
    """Its ``repr`` has no bytes in it."""
    assert len(repr(prepared(photograph(600, 400)))) < 600


@pytest.mark.parametrize("spec", [photograph(900, 600), drawing(60, 40)], ids=["large", "small"])
def test_a_small_picture_for_the_record(spec: Image.Image) -> None:
    """It fits the square, is never enlarged, takes a few kilobytes, and is a data URL."""
    sent = prepared(spec)
    assert sent.data is not None
    head, data = small(sent.data, 90).split(",")
    assert head == "data:image/jpeg;base64"
    assert len(data) < 8000
    shown = Image.open(BytesIO(b64decode(data)))
    assert (shown.format, shown.mode) == ("JPEG", "RGB")
    assert shown.size == ((90, 60) if spec.width > 90 else spec.size)


@pytest.mark.parametrize("spec", [photograph(900, 600), drawing(60, 40)], ids=["large", "small"])
def test_a_thumbnail_is_a_small_png(spec: Image.Image) -> None:
    """It fits the square, and is never enlarged."""
    for source in (one(spec), one(encoded(spec, "PNG"))):
        shown = Image.open(BytesIO(thumbnail(source, 90)))
        assert shown.format == "PNG"
        assert shown.size == ((90, 60) if spec.width > 90 else spec.size)
    with pytest.raises(OptionError, match="is not on this machine"):
        thumbnail(one("https://example.org/x.png"))


def test_a_heic_photo_is_read_where_pillow_can() -> None:
    """With pillow-heif it is; without, the error names it."""
    head = b"\0\0\0\x18ftypheic" + bytes(60)
    try:
        import pillow_heif
    except ImportError:
        with pytest.raises(OptionError, match="is a HEIC photo") as failure:
            prepared(head)
        assert "pip install pillow-heif" in failure.value.remedy
    else:
        pillow_heif.register_heif_opener()
        assert near(corners(seen(prepared(encoded(cornered(128, 128), "HEIF")))), CORNERS)


def test_a_tiff_that_is_cut_into_strips_is_read_whole() -> None:
    """TIFF has many shapes: strips, compressions, floats."""
    for compression in ("tiff_lzw", "tiff_deflate", "packbits"):
        data = encoded(cornered(), "TIFF", compression=compression)
        assert near(corners(seen(prepared(data))), CORNERS)
    assert TiffImagePlugin.TiffImageFile


def test_images_are_prepared_side_by_side() -> None:
    """Rows are; and the filters of warnings are afterwards what they were."""
    data, before = encoded(photograph(1200, 900), "JPEG"), list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: prepared(data, "low").data, range(40)))
    assert len(set(made)) == 1
    assert list(warnings.filters) == before


@pytest.mark.parametrize(("size", "most"), [(attached.SMALL, 1), (attached.SMALL + 1, 3)])
def test_how_many_are_made_ready_at_once(
    size: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small ones one after the other, large ones on as many processors as there are."""
    monkeypatch.setattr(attached, "PROCESSORS", threading.Semaphore(3))
    together = threading.Barrier(most)
    busy, seen, mutex = 0, [], threading.Lock()

    def counted(self: attached.Attached, model: str | None = None) -> Any:
        nonlocal busy
        with mutex:
            busy += 1
            seen.append(busy)
        together.wait(60)
        with mutex:
            busy -= 1
        raise OptionError("Not read.")

    monkeypatch.setattr(attached.Attached, "prepared", counted)
    images = [attached.attached(bytes([n]) * size)[0] for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(image.wired, None) for image in images]
        assert [type(one.exception(60)) for one in asked] == [ImageRefused] * 6
    assert max(seen) == most


def test_a_url_waits_for_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have to be fetched, and so be waited for: all are at once."""
    together = threading.Barrier(6)

    def met(self: attached.Attached, model: str | None = None) -> Any:
        together.wait(60)
        raise OptionError("Not fetched.")

    monkeypatch.setattr(attached.Attached, "prepared", met)
    images = [attached.attached(f"https://example.org/{n}.png")[0] for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(image.wired, None) for image in images]
        assert [type(one.exception(60)) for one in asked] == [ImageRefused] * 6
