"""Charts: well-formed, deterministic, and inert."""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import pytest

from openai_magics import charts
from tests.unit.dialogues import HOSTILE


def drawn(text: str) -> ET.Element:
    """Return a chart and its legend as a tree; they are well-formed XML."""
    return ET.fromstring(f"<div>{text}</div>")


def test_bars_have_heights_as_their_numbers() -> None:
    """Twice the tokens, twice the height; a day's models stand on one another."""
    tree = drawn(charts.bars(["a", "b"], {"m": [100, 200], "n": [0, 100]}, "Tokens"))
    rects = [rect.attrib for rect in tree.iter("rect")]
    low, high, upper = (float(rect["height"]) for rect in rects)
    assert high == pytest.approx(2 * low, abs=0.2)
    assert upper == pytest.approx(low, abs=0.2)
    assert float(rects[2]["y"]) + upper == pytest.approx(float(rects[1]["y"]), abs=0.2)
    assert "b, n: 100" in [title.text for title in tree.iter("title")]


def test_the_axis_has_round_numbers() -> None:
    """And the highest bar is below the highest line."""
    tree = drawn(charts.bars(["a"], {"m": [1234]}, "Tokens"))
    words = [word.text for word in tree.iter("text")]
    assert words == ["0", "500", "1k", "1.5k", "a"]


def test_many_series_go_together() -> None:
    """There are as many colours as can be told apart."""
    tree = drawn(charts.bars(["a"], {f"m{n}": [n + 1] for n in range(20)}, "Tokens"))
    assert len(list(tree.iter("rect"))) == len(charts.COLOURS)
    assert "others" in "".join(tree.itertext())


@pytest.mark.parametrize(
    "series", [{}, {"loss": []}, {"loss": [(1, math.nan)]}, {"loss": [(3, 2)]}]
)
def test_curves_of_little(series: dict[str, list[tuple[float, float]]]) -> None:
    """No point, one point, what is no number: still a chart."""
    assert drawn(charts.curves(series, "Loss")).find("svg") is not None


def test_a_curve_goes_through_its_points() -> None:
    """Left to right, and a lower loss stands lower."""
    tree = drawn(charts.curves({"loss": [(2, 0.5), (1, 2.0)]}, "Loss"))
    first, last = (
        tuple(map(float, one.split(",")))
        for one in tree.find("svg/polyline").attrib["points"].split()
    )
    assert first[0] < last[0]
    assert first[1] < last[1]


@pytest.mark.parametrize("text", HOSTILE)
def test_labels_are_text(text: str) -> None:
    """A model may be called anything."""
    plain = charts.bars([text], {text: [1]}, text) + charts.curves({text: [(1, 1)]}, text)
    tree = drawn(plain)
    allowed = {"div", "svg", "rect", "circle", "polyline", "line", "text", "title", "span", "small"}
    assert {one.tag for one in tree.iter()} <= allowed
    assert not [name for one in tree.iter() for name in one.attrib if name.startswith("on")]


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (950, "950"), (1200, "1.2k"), (3e6, "3M"), (0.25, "0.25")]
)
def test_short(number: float, text: str) -> None:
    """Numbers in a few letters."""
    assert charts.short(number) == text
