"""What a model is told of a function, what a call is run with, and what it gives back."""

from __future__ import annotations

import asyncio
import functools
import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pydantic
import pytest

from openai_magics.calls import Listener
from openai_magics.errors import OptionError
from openai_magics.tools.describe import WrongArguments, tool_of
from openai_magics.tools.toolbox import Toolbox, beside, toolbox_of
from tests.server.ways import until


@dataclass
class Place:
    """A place."""

    lat: float
    lon: float = 0.0


class Range(pydantic.BaseModel):
    """A range."""

    low: int = 0
    high: int = 10


def weather(
    city: str,
    days: int = 3,
    unit: Literal["c", "f"] = "c",
    where: Place | None = None,
    *more: int,
    within: Range = Range(),
    **others: str,
) -> Any:
    """Tell the weather.

    For so many days.

    Parameters
    ----------
    city : str
        The city's name,
        in English.
    days : int, optional
        How many days.

    Returns
    -------
    list
        What was given.
    """
    return [city, days, unit, where, within]


def google(a: Any, b: Annotated[int, "the second"] = 2, /) -> Any:
    """Add.

    Args:
        a: The first.
    """
    return a + b


async def waits(q: str) -> str:
    """Search it.

    :param q: the query
    """
    await asyncio.sleep(0)
    return q.upper()


class Held:
    """Something with methods."""

    def method(self, schema: list[int], copy: bool = False) -> int:
        """Sum up."""
        return sum(schema) + copy

    def __call__(self, n: int) -> int:
        return n


def odd(n: int) -> int:
    """Fail."""
    raise ValueError(f"{n} is odd")


def said(function: Any) -> Any:
    """Return what the model is told."""
    tool = tool_of(function)
    assert tool.said["type"] == "function"
    return tool.said["function"]


def test_what_the_model_is_told() -> None:
    """Types, defaults and alternatives come from the signature, the words from the docstring."""
    told = said(weather)
    assert (told["name"], told["description"]) == (
        "weather",
        "Tell the weather.\nFor so many days.",
    )
    parameters = told["parameters"]
    assert parameters["required"] == ["city"]
    assert list(parameters["properties"]) == ["city", "days", "unit", "where", "within"]
    assert parameters["properties"]["city"] == {
        "type": "string",
        "description": "The city's name, in English.",
    }
    assert parameters["properties"]["days"]["default"] == 3
    assert parameters["properties"]["unit"]["enum"] == ["c", "f"]
    assert parameters["$defs"]["Place"]["required"] == ["lat"]
    json.dumps(told)


@pytest.mark.parametrize(
    ("function", "name", "words", "parameters"),
    [
        (google, "google", "Add.", {"a": "The first.", "b": "the second"}),
        (waits, "waits", "Search it.", {"q": "the query"}),
        (Held().method, "method", "Sum up.", {"schema": None, "copy": None}),
        (Held(), "Held", "Something with methods.", {"n": None}),
        (functools.partial(google, 1), "google", "Add.", {"b": "the second"}),
        (odd, "odd", "Fail.", {"n": None}),
        (len, "len", "Return the number of items in a container.", {"obj": None}),
    ],
)
def test_every_kind_of_function(
    function: Any, name: str, words: str, parameters: dict[str, str | None]
) -> None:
    """Methods, objects that are called, partial ones, coroutine functions, built-in ones."""
    told = said(function)
    assert (told["name"], told["description"]) == (name, words)
    properties = told["parameters"]["properties"]
    assert {key: each.get("description") for key, each in properties.items()} == parameters


def test_what_no_model_can_give() -> None:
    """A parameter that JSON cannot say keeps its default; without one it is said."""

    def late(n: int, frame: threading.Thread | None = None) -> int:
        return n

    def early(frame: threading.Thread) -> int:
        return 1

    assert list(said(late)["parameters"]["properties"]) == ["n"]
    assert "description" not in said(late)
    with pytest.raises(OptionError, match="parameter 'frame'"):
        tool_of(early)


@pytest.mark.parametrize("given", [int, 3, "weather", None, lambda: 1, Place])
def test_what_is_no_tool(given: Any) -> None:
    """Classes, values and functions without a name."""
    with pytest.raises(OptionError) as caught:
        tool_of(given)
    assert caught.value.remedy


def test_arguments() -> None:
    """They are checked, and become what the annotations say; what is not given keeps its default."""
    positional, named = tool_of(weather).arguments('{"city": "Oslo", "where": {"lat": 1}}')
    assert (positional, named) == ([], {"city": "Oslo", "where": Place(1.0)})
    assert weather(*positional, **named)[1] == 3
    positional, named = tool_of(google).arguments('{"a": 1}')
    assert google(*positional, **named) == 3
    assert tool_of(Held().method).arguments('{"schema": [1]}') == ([], {"schema": [1]})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"city": 1, "unit": "k"}', "city: Input should be a valid string; unit: "),
        ("{}", "city: Field required"),
        ("", "city: Field required"),
        ('{"city": "a", "town": 1}', "no parameter town"),
        ('{"city": "a"', "are not JSON"),
        ("[1]", "not a JSON object"),
        ("[" * 100_000, "are not JSON"),
    ],
)
def test_wrong_arguments(text: str, words: str) -> None:
    """What is wrong is said in words for the model."""
    with pytest.raises(WrongArguments, match=words):
        tool_of(weather).arguments(text)


# --- running


def box(*functions: Any, seconds: float = 20.0) -> Toolbox:
    """Return a toolbox."""
    made = toolbox_of(functions, seconds, {})
    assert made is not None
    return made


def call(name: str, arguments: Any = None, number: int = 1) -> dict[str, Any]:
    """Return a call as the API writes it."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    function = {"name": name, "arguments": text}
    return {"id": f"call_{number}", "type": "function", "function": function}


def sync(tools: Toolbox, *calls: Any) -> list[str]:
    """Run calls; return their results."""
    return [str(each["content"]) for each in tools.run(calls, Listener(on_notice=[].append))]


def asynchronous(tools: Toolbox, *calls: Any) -> list[str]:
    """Run calls in an event loop; return their results."""
    done = asyncio.run(tools.arun(calls, Listener(on_notice=[].append)))
    return [str(each["content"]) for each in done]


both = pytest.mark.parametrize("run", [sync, asynchronous], ids=["sync", "async"])


own_timer = pytest.mark.timeout(60, method="thread")
"""Leaves the timer of the main thread to the test."""


@both
def test_results(run: Callable[..., list[str]]) -> None:
    """Each call has its result, in order; JSON where it can be said so."""

    def frame() -> Any:
        import pandas as pd

        return pd.DataFrame({"a": [1]})

    def numbers() -> Any:
        import numpy as np

        return {"a": np.float64(1.5), "b": np.array([1, 2]), "c": {3}, "d": Place(1.0)}

    def nothing() -> None:
        return None

    tools = box(google, waits, frame, numbers, nothing, weather)
    calls = [
        call("google", {"a": 3}),
        call("waits", {"q": "x"}, 2),
        call("frame"),
        call("numbers"),
        call("nothing"),
        call("weather", {"city": "Oslo", "within": {"high": 2}}),
    ]
    found = run(tools, *calls)
    assert found[:2] == ["5", "X"]
    assert found[2].startswith("1 rows, 1 columns")
    assert json.loads(found[3]) == {"a": 1.5, "b": [1, 2], "c": [3], "d": {"lat": 1.0, "lon": 0.0}}
    assert found[4] == "null"
    assert json.loads(found[5]) == ["Oslo", 3, "c", None, {"low": 0, "high": 2}]


@both
def test_what_fails_is_told(run: Callable[..., list[str]]) -> None:
    """An exception, an unknown tool and broken arguments are results; the other calls are run."""
    calls = [
        call("odd", {"n": 3}),
        call("even"),
        call("odd", "{"),
        call("odd"),
        call("waits", {"q": "y"}),
    ]
    found = run(box(odd, waits), *calls)
    assert found[0] == "Error: ValueError: 3 is odd"
    assert found[1] == "Error: There is no tool 'even' here. Tools: odd, waits."
    assert found[2].startswith("Error: The arguments are not JSON")
    assert found[3] == "Error: The arguments do not fit: n: Field required."
    assert found[4] == "Y"


@both
def test_what_is_printed_is_in_the_result(
    run: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of a tool goes to the cell, which a replay would not show."""

    def loud(n: int) -> int:
        print("working", n)
        print("oh", file=sys.stderr)
        if n == 3:
            raise KeyError("three")
        return n

    def only_prints() -> None:
        print("done")

    found = run(
        box(loud, only_prints), call("loud", {"n": 1}), call("loud", {"n": 3}), call("only_prints")
    )
    assert found == [
        "1\n\nPrinted:\nworking 1\noh",
        "Error: KeyError: 'three'\n\nPrinted:\nworking 3\noh",
        "Printed:\ndone",
    ]
    print("after")
    assert capsys.readouterr().out == "after\n"


@both
@own_timer
def test_a_tool_that_hangs(run: Callable[..., list[str]]) -> None:
    """It is broken off, whatever it waits in, and the model is told."""

    def sleeps() -> None:
        time.sleep(60)

    def locked() -> None:
        threading.Event().wait(60)

    def catches() -> None:
        try:
            time.sleep(60)
        except Exception:
            time.sleep(60)

    async def awaits() -> None:
        await asyncio.sleep(60)

    tools = box(sleeps, locked, catches, awaits, seconds=0.2)
    for found in run(tools, *map(call, tools.tools)):
        assert found == "Error: it did not end within 0.2 s and was broken off."


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="there is no timer here")
@own_timer
def test_the_timer_is_put_back() -> None:
    """A handler and a timer of the person's own are left as they were."""
    before = signal.getsignal(signal.SIGALRM)
    sync(box(google), call("google", {"a": 1}))
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        signal.setitimer(signal.ITIMER_REAL, 100)
        assert sync(box(google), call("google", {"a": 1})) == ["3"]
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 50
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@own_timer
def test_in_the_main_thread() -> None:
    """A tool runs where the notebook's code runs, so what is bound to its thread works."""
    import sqlite3

    held = sqlite3.connect(":memory:")

    def rows() -> Any:
        """Count."""
        return held.execute("select 1").fetchall()

    assert sync(box(rows), call("rows")) == ["[[1]]"]


def test_side_by_side() -> None:
    """Coroutine functions of one answer run at the same time in an event loop."""
    met: list[int] = []

    async def meets(n: int) -> int:
        met.append(n)
        await until(lambda: len(met) == 2)
        return n

    assert asynchronous(box(meets), call("meets", {"n": 1}), call("meets", {"n": 2})) == ["1", "2"]


def test_an_image_and_a_long_text() -> None:
    """An image cannot be sent back, and is said; a long text is cut in its middle, which is said."""

    def picture() -> Any:
        from PIL import Image

        return Image.new("L", (2, 2))

    def long() -> str:
        return "a" * 100_000 + "z"

    image, text = sync(box(picture, long), call("picture"), call("long"))
    assert image == "Error: It gave back an image (Image). Only text can be sent back."
    assert "36001 characters cut" in text
    assert text.endswith("z")


def test_toolbox() -> None:
    """One function or several; two of one name, or functions as a parameter too, are errors."""
    assert toolbox_of((), 1.0, {"tools": []}) is None
    assert list(box(google, odd).tools) == ["google", "odd"]
    assert toolbox_of(google, 1.0, {}) is not None  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="Two of the tools"):
        toolbox_of([google, functools.partial(google, 1)], 1.0, {})
    with pytest.raises(OptionError, match="given twice"):
        toolbox_of([google], 1.0, {"tools": [tool_of(odd).said]})
    built_in = {"tools": [{"type": "web_search"}]}  # of the Responses API, beside functions
    assert toolbox_of([google], 1.0, built_in) is not None


def test_beside_others() -> None:
    """An assistant's own description of a tool holds; functions it does not name are added."""
    others = [{"type": "function", "function": {"name": "odd", "description": "mine"}}]
    assert [each["function"]["name"] for each in beside(box(odd, google), others) or ()] == [
        "odd",
        "google",
    ]
    assert (beside(box(odd), others) or ())[0]["function"]["description"] == "mine"
    assert beside(None, []) is None
