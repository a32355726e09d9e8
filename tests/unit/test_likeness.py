"""Figures that differ only by who drew them, and figures that differ."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from PIL import Image, ImageFilter

from openai_magics.images.likeness import NEAR, alike, distance, phash
from tests.unit.pictures import cornered, drawing, one, photograph, prepared


def test_the_hash_is_that_of_its_definition() -> None:
    """One wave across is one term of the transform above the median, and the brightness."""
    grey = Image.linear_gradient("L").rotate(90)
    assert len(phash(grey)) == 16
    bits = f"{int(phash(grey), 16):064b}"
    assert bits[0] == "1"
    assert set(bits[8:]) == {"0"}


def test_a_blank_picture_has_a_hash_without_noise() -> None:
    """Only the brightness is above the median of zeros."""
    assert phash(Image.new("RGB", (300, 200), "white")) == "8000000000000000"
    assert phash(Image.new("L", (9, 9), 0)) == "0000000000000000"


@pytest.mark.parametrize("make", [photograph, drawing])
def test_what_looks_alike_is_near_and_what_does_not_is_far(make: Any) -> None:
    """Size, softness and JPEG do not count; a mirror image does."""
    picture = make(640, 480)
    for like in (
        picture.resize((320, 240)),
        picture.filter(ImageFilter.GaussianBlur(1)),
        picture.convert("L"),
    ):
        assert distance(phash(picture), phash(like)) <= NEAR
    assert distance(phash(picture), phash(photograph(640, 480).rotate(180))) > NEAR


def test_pixels_have_a_hash_and_files_have_one_when_they_are_prepared() -> None:
    """A file is not decoded for it alone."""
    picture = photograph(800, 600)
    assert one(picture).phash is not None
    assert one(picture).phash == prepared(picture).phash
    assert one(b"x").phash is None
    assert one(picture).likeness == {}


def test_alike_takes_the_same_content_and_a_near_look() -> None:
    """Without both it says no: a look alone does not tell one plot from another."""
    told = {"drawn": "abc", "phash": "00000000000000ff"}
    assert alike(told, told)
    assert alike(told, {**told, "phash": "0000000000000000"})
    assert not alike(told, {**told, "phash": "ffff00000000ffff"})
    assert not alike(told, {**told, "drawn": "abd"})
    assert not alike({"phash": told["phash"]}, {"phash": told["phash"]})
    assert not alike({"drawn": "abc"}, {"drawn": "abc"})
    assert not alike({}, {})


@pytest.fixture
def plots() -> Any:
    """Matplotlib's plotting, without a window."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def bars(plots: Any, heights: tuple[float, ...] = (3, 7, 2), **options: Any) -> Any:
    figure, axes = plots.subplots()
    axes.bar(list("abc"), heights, **options)
    axes.set_title("Counts")
    return figure


def test_a_figure_is_drawn_once_as_the_notebook_shows_it(plots: Any) -> None:
    """With all of its labels; what is drawn on it afterwards is another figure's affair."""
    figure = bars(plots)
    source = one(figure)
    before = source.sha256
    assert (source.kind, source.name) == ("figure", "a matplotlib figure")
    assert source.picture.width > 400
    figure.axes[0].plot([0, 1, 2], [1, 2, 3])
    assert source.sha256 == before
    assert one(figure).sha256 != before
    sent = prepared(figure)
    assert (sent.media_type, sent.phash) == ("image/png", one(figure).phash)


def test_axes_are_their_figure(plots: Any) -> None:
    """One, an array of them, what a library returns that has a figure: one image."""
    figure, axes = plots.subplots(2, 2)
    axes[0, 0].plot([1, 2, 3])
    expected = one(figure).sha256
    assert one(axes[0, 0]).sha256 == one(axes).sha256 == one([figure, axes]).sha256 == expected

    class Grid:
        pass

    grid = Grid()
    grid.figure = figure  # type: ignore[attr-defined]
    assert one(grid).sha256 == expected


def test_a_figure_drawn_again_is_alike(plots: Any) -> None:
    """In another font and resolution the pixels are others, the content is not."""
    first = one(bars(plots))
    with plots.rc_context({"font.family": "DejaVu Serif", "figure.dpi": 90}):
        second = one(bars(plots))
        assert first.sha256 != second.sha256
        assert alike(first.likeness, second.likeness)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"heights": (3, 6.5, 2)}, id="a bar a little lower"),
        pytest.param({"heights": (7, 3, 2)}, id="two bars swapped"),
        pytest.param({"color": "tab:red"}, id="another colour"),
        pytest.param({"width": 0.79}, id="another width"),
    ],
)
def test_a_figure_of_other_data_is_not_alike(plots: Any, other: dict[str, Any]) -> None:
    """However much it looks so."""
    assert not alike(one(bars(plots)).likeness, one(bars(plots, **other)).likeness)


@pytest.mark.parametrize(
    "change",
    [
        lambda axes: axes.set_title("Count"),
        lambda axes: axes.set_xlabel("day"),
        lambda axes: axes.set_ylim(0, 7.5),
        lambda axes: axes.set_yscale("symlog"),
        lambda axes: axes.set_xticks([0, 1, 2], ["a", "b", "x"]),
        lambda axes: axes.axhline(3),
        lambda axes: axes.text(0, 1, "!"),
        lambda axes: axes.annotate("!", (0, 2)),
        lambda axes: axes.legend(["n"]),
        lambda axes: axes.patches[0].set_visible(False),
        lambda axes: axes.set_facecolor("#fefefe"),
        lambda axes: axes.imshow([[1, 2], [3, 4]]),
        lambda axes: axes.scatter([1], [2]),
        lambda axes: axes.fill_between([0, 1], [1, 2]),
        lambda axes: axes.axis("off"),
        lambda axes: axes.figure.suptitle("All"),
        lambda axes: axes.figure.set_facecolor("#fefefe"),
        lambda axes: axes.figure.set_size_inches(6, 4),
        lambda axes: axes.twinx().plot([1, 2]),
    ],
)
def test_whatever_is_seen_of_a_figure_is_told(plots: Any, change: Any) -> None:
    """Each of these is another figure, and content alone tells it."""
    figure = bars(plots)
    change(figure.axes[0])
    assert one(figure).likeness["drawn"] != one(bars(plots)).likeness["drawn"]


def test_a_figure_that_cannot_be_told_wholly_is_like_none(plots: Any) -> None:
    """In three dimensions, and with arrows: a replay of it misses rather than errs."""
    arrows = plots.figure()
    arrows.add_subplot().quiver([1, 2], [3, 4])
    solid = plots.figure()
    solid.add_subplot(projection="3d").plot([1, 2], [1, 2], [1, 2])
    for figure in (arrows, solid):
        assert one(figure).likeness == {}
        assert one(figure).phash


def test_a_figure_that_cannot_be_drawn_is_said(plots: Any) -> None:
    """The failure of matplotlib in a line."""
    from openai_magics.errors import OptionError

    figure = bars(plots)
    figure.axes[0].set_title(r"$\nonsense$")
    with pytest.raises(OptionError, match="The matplotlib figure cannot be drawn"):
        _ = one(figure).sha256


def test_a_plotly_figure_is_its_json() -> None:
    """It is known without being drawn, so that a replay needs neither kaleido nor Chrome."""
    go = pytest.importorskip("plotly.graph_objects")
    numpy = pytest.importorskip("numpy")
    source = one(go.Figure(go.Scatter(y=numpy.array([1.0, 2.5, 3.0]))))
    assert (source.kind, source.likeness) == ("figure", {})
    # The same in plotly 5.18 and 7.1.
    assert source.sha256.startswith("663d913905")
    assert one(go.Figure(go.Scatter(y=[1, 2.5, 3]))).sha256 == source.sha256
    assert one(go.Figure(go.Scatter(y=[1, 2.5, 4]))).sha256 != source.sha256
    dark = go.Figure(go.Scatter(y=[1, 2.5, 3]), layout={"template": "plotly_dark"})
    assert one(dark).sha256 != source.sha256


def test_a_plotly_figure_that_cannot_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why is said in a sentence, and not by a line of plotly's instructions."""
    from openai_magics.errors import OptionError

    go = pytest.importorskip("plotly.graph_objects")

    def missing(*_: object, **__: object) -> bytes:
        raise ValueError(
            "\nImage export requires the Kaleido package,\nwhich can be installed using pip:\n\n"
            "    $ pip install kaleido\n"
        )

    monkeypatch.setattr(go.Figure, "to_image", missing)
    source = one(go.Figure())
    said = "drawn: Image export requires the Kaleido package, which can be installed using pip\\."
    with pytest.raises(OptionError, match=said):
        _ = source.picture


def test_a_picture_of_one_pixel_has_a_hash() -> None:
    """And so has any other."""
    assert len(phash(Image.new("RGB", (1, 1)))) == 16
    assert len(phash(cornered(1000, 2))) == 16


def test_with_numpy_or_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash is the same whichever way it is computed."""
    pictures = [photograph(90 + n, 70) for n in range(20)] + [drawing(90 + n, 70) for n in range(9)]
    hashes = [phash(picture) for picture in pictures]
    monkeypatch.delitem(sys.modules, "numpy")
    assert [phash(picture) for picture in pictures] == hashes
