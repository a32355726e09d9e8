"""Placeholders in prompts, and what values become there."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from openai_magics import prompts, values
from openai_magics.errors import OptionError
from openai_magics.token_count import estimated
from tests.unit.pictures import encoded


def filled(template: str, **names: Any) -> str:
    """Return a template filled as a magic does."""
    return "".join(values.text_of(value, name) for name, value in prompts.fill(template, names))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param("{{ x }}", "3", id="name"),
        pytest.param("{{x}}+{{ x }}", "3+3", id="twice"),
        pytest.param("{{ d.a }}, {{ d['a'] }}, {{ l[0] }}", "1, 1, 7", id="attribute-and-item"),
        pytest.param("{{ {'a': {'b': 1}}['a']['b'] }}", "1", id="braces-inside"),
        pytest.param("{{ '}}' }}", "}}", id="closing-braces-in-a-string"),
        pytest.param("{{ len(l) }} {{ l|length }}", "2 2", id="functions-and-filters"),
        pytest.param("{{ text }}", "a {{ x }} b", id="a-value-is-not-filled-again"),
        pytest.param("{{ none }}", "None", id="none"),
        pytest.param("{{ l }}", "[7, 8]", id="list-as-json"),
    ],
)
def test_filled(template: str, expected: str) -> None:
    """An expression stands for its value."""
    names = {"x": 3, "d": {"a": 1}, "l": [7, 8], "text": "a {{ x }} b", "none": None}
    assert filled(template, **names) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{a} {b}",
        r"\frac{a}{b} $x_{1}$ \{ \}",
        '{"a": {"b": [1, {"c": 2}]}}',
        "def f(): return {1: {2: 3}}",
        "{% if x %} {# comment #} {%- raw -%}",
        "}} alone\r\nand\rline ends\n",
        "$HOME !ls ?",
    ],
)
def test_everything_else_passes(text: str) -> None:
    """Single braces, LaTeX, JSON, code and line ends are not touched."""
    assert filled(text) == text


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_placeholders_passes(text: str) -> None:
    """Whatever has no ``{{`` comes out as it went in."""
    assert filled(text) == text


def test_all_missing_names_are_named_with_the_near_ones() -> None:
    """One error names every name that is missing, and what was perhaps meant."""
    with pytest.raises(OptionError) as caught:
        filled("{{ dff.head() }} {{ other }} {{ x }}", df=1, x=2)
    assert "dff (did you mean df?), other" in str(caught.value)
    assert "--raw" in str(caught.value)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("a\nb {{ x", "Line 2 of the prompt: {{ is not closed"),
        ("{{ 1 + }}", "is not an expression"),
        ("\n{{ 1/0 }}", "Line 2 of the prompt: {{ 1/0 }} failed with ZeroDivisionError"),
        ("{{ x.nope }}", "failed with UndefinedError"),
        ("{{ x.__class__ }}", "unsafe"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(template: str, said: str) -> None:
    """An open brace, a syntax error, an expression that raises or is not allowed."""
    with pytest.raises(OptionError) as caught:
        filled(template, x=3)
    assert said in str(caught.value)


def test_a_small_table() -> None:
    """A DataFrame is a Markdown table under its shape and kinds of columns."""
    frame = pd.DataFrame({"city": ["Rome", "a|b\nc"], "n": [1, 2]})
    assert filled("{{ df }}", df=frame) == (
        "2 rows, 2 columns (city: text, n: int64)\n\n"
        "|  | city | n |\n| --- | --- | --- |\n| 0 | Rome | 1 |\n| 1 | a\\|b c | 2 |"
    )


def test_a_large_table_is_bounded_and_says_so() -> None:
    """Of ten million rows and many columns only the ends are sent, and what was cut is said."""
    frame = pd.DataFrame({f"c{n}": range(10_000_000) for n in range(1)})
    text = filled("{{ df }}", df=frame)
    assert text.startswith("10000000 rows, 1 columns")
    assert text.endswith("(cut: 9999960 of 10000000 rows)")
    wide = pd.DataFrame([range(50)])
    assert filled("{{ df }}", df=wide).endswith("(cut: 30 of 50 columns)")


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        pytest.param(
            pd.DataFrame({f"c{n}": ["long words and more"] * 40 for n in range(20)}),
            "(cut: 5 of 40 rows)",
            id="rows",
        ),
        pytest.param(
            pd.DataFrame(
                {f"c{n}": ["\N{CJK UNIFIED IDEOGRAPH-6A21}" * 900] * 60 for n in range(20)}
            ),
            "(cut: 50 of 60 rows, what is longer than 20 characters)",
            id="cells",
        ),
        pytest.param(
            pd.DataFrame({f"{n} column " * 99: [n] for n in range(20)}),
            "cut",
            id="names",
        ),
        pytest.param(pd.DataFrame({"text": ["word " * 9000] * 3}), "cut", id="one-cell-is-cut"),
    ],
)
def test_a_table_is_bounded_by_tokens(frame: pd.DataFrame, said: str) -> None:
    """By a rule that needs no vocabulary; rows go first, then the length of cells."""
    text = filled("{{ df }}", df=frame)
    assert estimated(text) <= 4_050
    assert text.endswith(said) or said == "cut"
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    kept = [line for line in rows[2:] if not line.startswith("| …")]
    left_out = int((re.search(r"cut: (\d+) of \d+ rows", text) or [0, 0])[1])
    assert len(kept) + left_out == len(frame)
    assert (f"| {len(frame) - 1} |") in kept[-1]


def test_a_series_and_an_exception() -> None:
    """A Series is a table of one column; an exception its traceback without this machine's paths."""
    assert "| 0 | 5 |" in filled("{{ s }}", s=pd.Series([5], name="v"))
    try:
        int("x")
    except ValueError as error:
        text = filled("{{ e }}", e=error)
    assert "ValueError: invalid literal" in text
    assert "/" not in text.split("ValueError")[0]


def test_a_value_that_cannot_tell_itself() -> None:
    """It is an error that names the placeholder, not a traceback through our rooms."""

    class Broken:
        def __str__(self) -> str:
            raise KeyError("nothing there")

    with pytest.raises(OptionError, match=r"\{\{ x \}\} failed with KeyError: 'nothing there'"):
        prompts.filled("a {{ x }}", {"x": Broken()})


def test_an_image_stays_one_in_its_place() -> None:
    """A picture, a figure, its axes and a displayed image are images between the texts."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import plotly.graph_objects as go
    from IPython.display import Image as Displayed

    picture = Image.new("L", (2, 2))
    figure, axes = plt.subplots()
    plt.close(figure)
    plot = go.Figure()
    shown = Displayed(data=encoded(picture, "PNG"))
    names = {"picture": picture, "figure": figure, "axes": axes, "plot": plot, "shown": shown}
    for name, value in names.items():
        before, item, *after = prompts.filled(
            f"a {{{{ {name} }}}} b {{{{ n }}}}", {name: value, "n": 1}
        )
        assert (before, "".join(after)) == ("a ", " b 1"), name
        assert item.source.name == name


def test_text_stays_text() -> None:
    """Where there is no image the prompt is one text, filled or not."""
    assert prompts.filled("a {{ n }} b", {"n": 1}) == "a 1 b"
    assert prompts.filled("a { b", {}) == "a { b"


def test_what_cannot_be_an_image_is_named_with_its_placeholder() -> None:
    """The error of the image says which placeholder it was."""
    with pytest.raises(OptionError, match=r"\{\{ picture \}\}: The picture is empty"):
        prompts.filled("{{ picture }}", {"picture": Image.new("L", (0, 2))})


def test_sets_are_in_order() -> None:
    """A set says its items in one order, whatever the kernel's hashes; also inside a list."""
    words = {"sea", "tide", "rock", "boat"}
    assert filled("{{ words }}", words=words) == "{'boat', 'rock', 'sea', 'tide'}"
    nested = {"all": [words, frozenset({2, 1})], "none": set(), "one": (words,)}
    assert filled("{{ nested }}", nested=nested) == (
        "{'all': [{'boat', 'rock', 'sea', 'tide'}, frozenset({1, 2})], 'none': set(), "
        "'one': ({'boat', 'rock', 'sea', 'tide'},)}"
    )


def test_what_holds_itself() -> None:
    """A list that holds itself is said as Python says it."""
    ring: list[Any] = [1]
    ring.append(ring)
    assert filled("{{ ring }}", ring=ring) == "[1, [...]]"


def test_a_function_is_its_source() -> None:
    """A function stands for its source, which is the same in each run."""

    def doubled(x: int) -> int:
        return 2 * x

    assert filled("Mend this: {{ f }}", f=doubled) == (
        "Mend this: def doubled(x: int) -> int:\n    return 2 * x"
    )


@pytest.mark.parametrize("value", [object(), [object()], {"a": {object()}}, (n for n in ())])
def test_an_address_is_refused(value: object) -> None:
    """What has no text of its own is refused where it is named: it would never replay."""
    with pytest.raises(OptionError, match="has no text of its own"):
        prompts.filled("Tell me of {{ x }}", {"x": value})
    assert " at 0x" in str(prompts.filled("{{ str(x) }}", {"x": value}))
