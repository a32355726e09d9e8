"""What can be named as an image, and the hash by which a request knows it."""

from __future__ import annotations

import hashlib
import os
import sys
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from IPython.display import Image as Displayed
from PIL import Image

from openai_magics.errors import OptionError
from openai_magics.images import places
from openai_magics.images import source as images
from openai_magics.images.source import sources
from tests.unit.pictures import cornered, drawing, encoded, one, photograph, saved


def names(spec: object, **options: Any) -> list[str]:
    return [source.name for source in sources(spec, **options)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with images, and with what is none."""
    for name in ("b10.png", "b2.PNG", "A1.jpg", ".hidden.png", "deep/c.gif"):
        saved(tmp_path / "pics", name, cornered(), format=None if "." in name[1:] else "PNG")
    for name in ("notes.txt", "plan.svg"):
        saved(tmp_path / "pics", name, b"<svg/>")
    return tmp_path / "pics"


def test_a_path_is_a_file_under_the_name_that_was_typed(folder: Path) -> None:
    """The name shown is what was typed; what is held is the file."""
    source = one("pics/b2.PNG")
    assert (source.kind, source.name) == ("file", "pics/b2.PNG")
    assert source.held == Path("pics/b2.PNG")
    assert one(folder / "b2.PNG").sha256 == source.sha256


def test_a_relative_path_counts_from_base(folder: Path) -> None:
    """A notebook's folder may be another than the working directory."""
    assert one("A1.jpg", base=folder).sha256 == one("pics/A1.jpg").sha256


def test_a_tilde_is_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``~`` is understood in paths and patterns, and stays in the names: a home is private."""
    monkeypatch.setenv("HOME", str(folder))
    assert names("~/A1.jpg") == ["~/A1.jpg"]
    assert names("~/*.png") == ["~/b10.png"]
    assert one("~/A1.jpg").sha256 == one(folder / "A1.jpg").sha256


def test_a_folder_gives_its_images_in_natural_order(folder: Path) -> None:
    """2 comes before 10 whatever the case; hidden files, folders and others are left out."""
    assert names("pics") == ["pics/A1.jpg", "pics/b2.PNG", "pics/b10.png"]
    assert names(folder)[0] == f"{folder}/A1.jpg"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("pics/b*", ["pics/b2.PNG", "pics/b10.png"]),
        ("pics/*", ["pics/A1.jpg", "pics/b2.PNG", "pics/b10.png"]),
        ("pics/**/*.gif", ["pics/deep/c.gif"]),
        ("pics/[Aa]?.jpg", ["pics/A1.jpg"]),
    ],
)
def test_a_pattern_gives_the_images_it_matches(
    folder: Path, pattern: str, found: list[str]
) -> None:
    """Patterns are those of a shell; what does not end as an image is left out."""
    assert names(pattern) == found


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    """What exists is meant, whatever its name looks like."""
    saved(tmp_path, "a[1].png", cornered())
    assert names("a[1].png") == ["a[1].png"]


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("pics/b20.png", "There is no file 'pics/b20.png'"),
        ("nowhere/x.png", "There is no file 'nowhere/x.png'"),
        ("pics/*.webp", "No image matches 'pics/*.webp'."),
        ("pics/*.txt", "No image matches 'pics/*.txt' among 1 file."),
        ("empty", "The folder 'empty' has no image."),
        ("", "The name of the image is empty."),
        ("x\0y.png", "There is no file 'x\\x00y.png'"),
        ("a long prompt " * 60, "There is no file 'a long prompt"),
        ("~nobody-at-all/x.png", "There is no file '~nobody-at-all/x.png'"),
        ("ftp://example.org/x.png", "'ftp://example.org/x.png' is no http or https address."),
        ("file:///pictures/x.png", "'file:///pictures/x.png' is no http or https address."),
        ("https:///x.png", "'https:///x.png' is no address of the web."),
        ("https://example.org/a b.png", "'https://example.org/a b.png' is no address of the web."),
        ("https://[::1/x.png", "'https://[::1/x.png' is no address"),
        ("https://anna:secret@example.org/x.png", "The address at example.org holds a user's"),
        ("data:image/png;base64,%%%", "The data URL is garbled"),
        ("data:image/png", "The data URL holds no data."),
    ],
)
def test_what_names_no_image_is_said(folder: Path, typed: str, problem: str) -> None:
    """What was typed, what is wrong with it, and a near name where there is one."""
    Path("empty").mkdir()
    with pytest.raises(OptionError) as failure:
        sources(typed)
    assert failure.value.problem.startswith(problem)
    assert ("b10.png" in str(failure.value)) == (typed == "pics/b20.png")
    assert "secret" not in str(failure.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    """What has no end is not read."""
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OptionError, match="no file that can be read to its end"):
        sources("pipe.png")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    """A missing permission is told apart from a missing file."""
    saved(tmp_path, "secret.png", cornered()).chmod(0)
    with pytest.raises(OptionError, match="cannot be read: Permission denied"):
        _ = one("secret.png").sha256


def test_a_file_gone_since_is_said(tmp_path: Path) -> None:
    """A source is read late; what happened meanwhile is named."""
    source = one(saved(tmp_path, "a.png", cornered()))
    (tmp_path / "a.png").unlink()
    with pytest.raises(OptionError, match=r"a\.png cannot be read: No such file"):
        _ = source.sha256


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    """A path, the bytes and a data URL of them are one image; so is a file under another name."""
    path = saved(tmp_path, "a.png", cornered())
    data = path.read_bytes()
    url = f"data:image/png;base64,{b64encode(data).decode()}"
    specs = [path, data, bytearray(data), memoryview(data), BytesIO(data), url, Displayed(data)]
    specs.append(saved(tmp_path, "b.png", data))
    assert {one(spec).sha256 for spec in specs} == {hashlib.sha256(data).hexdigest()}


def test_a_touched_file_is_the_same_image_and_a_changed_pixel_another(tmp_path: Path) -> None:
    """Times do not count; one pixel does."""
    image = cornered()
    path = saved(tmp_path, "a.png", image)
    before = one(path).sha256
    os.utime(path, (1, 1))
    assert one(path).sha256 == before
    image.putpixel((5, 5), (0, 0, 0))
    image.save(path)
    assert one(path).sha256 != before


def test_the_hash_of_pixels_is_that_of_mode_size_and_pixels() -> None:
    """The definition in the module's docstring, computed by hand."""
    image = Image.new("RGB", (2, 1))
    image.putdata([(1, 2, 3), (4, 5, 6)])
    expected = hashlib.sha256(b"openai_magics/pixels/1\nRGB 2 1\n\x01\x02\x03\x04\x05\x06")
    assert one(image).sha256 == expected.hexdigest()


def test_pixels_in_rows_are_hashed_as_a_whole() -> None:
    """An image of more rows than are hashed at once has the hash of all its bytes."""
    image = photograph(7, 700)
    whole = hashlib.sha256(b"openai_magics/pixels/1\nRGB 7 700\n" + image.tobytes())
    assert one(image).sha256 == whole.hexdigest()


def test_the_same_bytes_in_another_shape_are_another_image() -> None:
    """Size and mode are part of it."""
    data = bytes(range(12))
    shapes = [("L", (12, 1)), ("L", (4, 3)), ("RGB", (2, 2)), ("RGB", (4, 1))]
    assert len({one(Image.frombytes(*shape, data)).sha256 for shape in shapes}) == len(shapes)


def test_a_palette_is_looked_up() -> None:
    """Another colour in the palette is another pixel; another order of the same colours is not."""
    image = Image.new("P", (2, 1))
    image.putdata([0, 1])
    found = []
    for colours, order in (((9, 9, 9, 8, 8, 8), (0, 1)), ((8, 8, 8, 9, 9, 9), (1, 0))):
        image.putpalette(colours)
        image.putdata(order)
        found.append(one(image).sha256)
    assert found[0] == found[1]
    image.putpalette((8, 8, 8, 9, 9, 7))
    assert one(image).sha256 != found[0]


def test_a_picture_is_what_it_was_when_it_was_named() -> None:
    """What is drawn on it, or written into the array, afterwards does not count."""
    image, array = cornered(), np.zeros((4, 4, 3), dtype=np.uint8)
    first, second = one(image), one(array)
    untouched = one(cornered()).sha256, one(np.zeros((4, 4, 3), dtype=np.uint8)).sha256
    image.paste("white", (0, 0, 9, 9))
    array[0] = 255
    assert (first.sha256, second.sha256) == untouched


@pytest.mark.parametrize(
    ("array", "mode", "corner"),
    [
        pytest.param(np.full((2, 3), 7, dtype=np.uint8), "L", 7, id="grey"),
        pytest.param(np.full((2, 3, 1), 7, dtype=np.uint8), "L", 7, id="one channel"),
        pytest.param(np.full((2, 3, 3), 7, dtype=np.uint8), "RGB", (7, 7, 7), id="rgb"),
        pytest.param(np.full((2, 3, 4), 7, dtype=np.uint8), "RGBA", (7, 7, 7, 7), id="rgba"),
        pytest.param(np.full((2, 3), 1.0), "L", 255, id="floats"),
        pytest.param(np.full((2, 3), 0.5, dtype=np.float16), "L", 128, id="half"),
        pytest.param(np.full((2, 3, 3), 7), "RGB", (7, 7, 7), id="int64"),
        pytest.param(np.full((2, 3), 60_000, dtype=np.uint16), "I;16", 60_000, id="16 bit"),
        pytest.param(np.full((2, 3), True), "L", 255, id="bool"),  # noqa: FBT003
        pytest.param(np.full((3, 2, 3), 7, dtype=np.uint8)[::-1, ::2], "RGB", (7,) * 3, id="view"),
    ],
)
def test_an_array_is_its_pixels(array: Any, mode: str, corner: Any) -> None:
    """Height x width, or with 3 or 4 channels last; floats from 0 to 1."""
    image = one(array).held
    assert (image.mode, image.getpixel((0, 0))) == (mode, corner)
    assert image.size == (array.shape[1], array.shape[0])


def test_an_array_and_a_picture_with_the_same_pixels_are_one_image() -> None:
    """What counts is the pixels, not who holds them."""
    assert one(np.asarray(cornered())).sha256 == one(cornered()).sha256


@pytest.mark.parametrize(
    ("array", "problem", "remedy"),
    [
        (np.zeros((3, 20, 20), dtype=np.uint8), r"shape \(3, 20, 20\) and type uint8", "moveaxis"),
        (np.zeros((2, 2, 2, 3)), r"shape \(2, 2, 2, 3\)", "height x width"),
        (np.zeros(9), r"shape \(9,\)", "height x width"),
        (np.zeros((0, 4, 3)), "is empty", "height x width"),
        (np.array([[0.0, 254.0]]), "values from 0 to 254; floats go from 0 to 1", "array / 255"),
        (np.array([[0.0, np.nan]]), "values from nan to nan", "Bring them there"),
        (np.array([[-1, 4]]), "values from -1 to 4; integers go from 0 to 255", "Bring them"),
        (np.zeros((2, 2), dtype=complex), "type complex128 is no image", "uint8"),
    ],
)
def test_an_array_that_is_no_image_is_said(array: Any, problem: str, remedy: str) -> None:
    """Its shape, type or range, and what to do."""
    with pytest.raises(OptionError, match=problem) as failure:
        sources(array)
    assert remedy in failure.value.remedy


def test_lists_of_anything_are_their_images_in_order(folder: Path) -> None:
    """Lists, tuples, iterators and arrays of paths; names in memory are numbered."""
    assert names(["pics/b10.png", cornered(), b"x"], name="shots") == [
        "pics/b10.png",
        "shots[1]",
        "shots[2]",
    ]
    assert len(sources(Path("pics").glob("*.png"))) == 2
    assert names(np.array(["pics/b10.png", "pics/A1.jpg"])) == ["pics/b10.png", "pics/A1.jpg"]
    assert len(sources((["pics"], "pics/deep"))) == 4


def test_a_column_of_paths_is_its_images(folder: Path) -> None:
    """A pandas Series of paths is as a list of them."""
    import pandas as pd

    assert names(pd.Series(["pics/b10.png", "pics/A1.jpg"])) == ["pics/b10.png", "pics/A1.jpg"]


@pytest.mark.parametrize("spec", [[], (), iter(())])
def test_nothing_is_said(spec: object) -> None:
    """An empty list is a mistake, not a question without images."""
    with pytest.raises(OptionError, match="no image in an empty list"):
        sources(spec)


@pytest.mark.parametrize("spec", [None, 3, {"a": 1}, object(), Image, lambda: None])
def test_what_is_no_image_is_named_by_its_type(spec: object) -> None:
    """The error says what it is, and what an image can be."""
    with pytest.raises(OptionError, match=f"type {type(spec).__name__} is no image") as failure:
        sources(spec)
    assert "a path" in failure.value.remedy


def test_an_address_is_its_text() -> None:
    """A URL is known by its text, and not fetched for it."""
    source = one("  https://example.org/cat.png?size=2 ")
    assert (source.kind, source.name) == ("url", "https://example.org/cat.png?size=2")
    assert source.sha256 == hashlib.sha256(source.name.encode()).hexdigest()
    assert (source.phash, source.likeness) == (None, {})


def test_a_data_url_need_not_be_base64() -> None:
    """RFC 2397: without ``;base64`` the data is percent-encoded."""
    assert one("data:image/svg+xml,%3Csvg%2F%3E").held == b"<svg/>"


class Shown:
    """An object that shows itself in a notebook."""

    def __init__(self, **shown: Any) -> None:
        for kind, data in shown.items():
            setattr(self, f"_repr_{kind}_", lambda data=data: data)


@pytest.mark.parametrize("wrap", [bytes, lambda data: b64encode(data).decode(), lambda d: (d, {})])
@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_what_shows_itself_as_a_picture_is_one(kind: str, wrap: Any) -> None:
    """An ``Out[n]`` that a notebook shows is known by its pixels, not by how it encoded them."""
    shown = Shown(**{kind: wrap(encoded(drawing(), kind))})
    source = one(shown, name="Out[3]")
    assert (source.kind, source.name) == ("figure", "Out[3]")
    assert source.picture.size == (320, 240)
    if kind == "png":
        again = Shown(png=encoded(drawing(), "PNG", compress_level=0))
        assert one(again).sha256 == source.sha256 == one(drawing()).sha256


def test_what_shows_itself_as_svg_is_refused() -> None:
    """Models take pixels; what to do is said."""
    with pytest.raises(OptionError, match="type Shown shows itself as SVG"):
        sources(Shown(svg="<svg/>"))


def test_what_cannot_show_itself_is_said() -> None:
    """The failure of another library is told in a line."""

    class Broken:
        def _repr_png_(self) -> bytes:
            raise RuntimeError("latex is missing")

    with pytest.raises(OptionError, match="type Broken cannot be shown: latex is missing"):
        sources(Broken())


def test_a_displayed_image_may_be_an_address_or_a_file(tmp_path: Path) -> None:
    """`IPython.display.Image` as it is shown: embedded, by address, by file."""
    saved(tmp_path, "a.png", cornered())
    assert one(Displayed(filename="a.png")).kind == "memory"
    assert one(Displayed(url="https://example.org/x.png")).kind == "url"


def test_the_clipboard_is_a_picture_or_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was copied: an image, or files in a file manager."""
    from PIL import ImageGrab

    monkeypatch.setattr(ImageGrab, "grabclipboard", cornered)
    assert (one("clipboard").kind, one("clipboard").name) == ("memory", "the clipboard")
    monkeypatch.setattr(ImageGrab, "grabclipboard", lambda: ["pics/A1.jpg"])
    assert names("clipboard") == ["pics/A1.jpg"]
    monkeypatch.setattr(ImageGrab, "grabclipboard", lambda: None)
    with pytest.raises(OptionError, match="The clipboard holds no image"):
        sources("clipboard")
    saved(folder.parent, "clipboard", cornered(), format="PNG")
    assert one("clipboard").kind == "file"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have one")
def test_where_there_is_no_clipboard_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server has none; the error says whose clipboard it would be."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OptionError, match="There is no clipboard here"):
        sources("clipboard")


def test_names_sort_the_same_on_every_system() -> None:
    """Numbers as numbers, case and the form of accents put aside, then by code point."""
    unsorted = ["e\u0301 10.png", "\u00e9 9.png", "B.png", "a.png", "A.png", "1e3.png", "12.png"]
    assert places._images(unsorted) == [
        *("1e3.png", "12.png", "A.png", "a.png", "B.png"),
        *("\u00e9 9.png", "e\u0301 10.png"),
    ]


def test_a_source_says_little() -> None:
    """Its ``repr`` has no pixels in it."""
    assert repr(one(b"abc" * 1000)) == "Source(kind='memory', name='3,000 bytes')"
    assert repr(one(cornered(), name="shot")) == "Source(kind='memory', name='shot')"


def test_nothing_heavy_is_imported() -> None:
    """Importing the module imports neither Pillow, numpy nor matplotlib."""
    import subprocess

    code = (
        "import sys; from openai_magics.images import source, prepare, vision, download, likeness;"
        "print([n for n in ('PIL', 'numpy', 'matplotlib', 'plotly', 'openai') if n in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
    assert images.__doc__


def test_only_what_may_be_an_image_is_suggested(tmp_path: Path) -> None:
    """A notebook or a text with a name like it was not meant; a folder may have been."""
    (tmp_path / "nothin.ipynb").write_text("{}")
    with pytest.raises(OptionError) as failure:
        sources("nothing.png", base=tmp_path)
    assert "did you mean" not in str(failure.value)
    saved(tmp_path, "nothings.png", b"")
    with pytest.raises(OptionError, match=r"did you mean 'nothings\.png'"):
        sources("nothing.png", base=tmp_path)
