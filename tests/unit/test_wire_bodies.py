"""What is sent of a request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openai_magics.exchange import Request, Resolved
from openai_magics.wire import bodies, chat
from tests.unit.making import ask


def body(request: Request, system: str | None = None, *, stream: bool = False) -> dict[str, Any]:
    """Return what is sent of a request."""
    resolved = Resolved("m", "localhost", system, request.parameters)
    return chat.body(request, resolved, stream=stream)


def sent(request: Request, system: str | None = None, *, stream: bool = False) -> dict[str, Any]:
    """Return the body of a request to the model ``m``."""
    resolved = Resolved("m", system=system, parameters=request.parameters)
    return chat.body(request, resolved, stream=stream)


def test_body() -> None:
    """Only what was set is sent; the system instruction and the history stand before the turn."""
    request = ask("Now?", history=({"role": "user", "content": "Before."},))
    assert sent(request, "Be brief.") == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Before."},
            {"role": "user", "content": "Now?"},
        ],
    }


@pytest.mark.parametrize("system", [None, ""])
def test_body_without_a_system_instruction(system: str | None) -> None:
    """Where there is none, no message says so."""
    assert sent(ask("x"), system)["messages"] == [{"role": "user", "content": "x"}]


def test_body_of_a_stream() -> None:
    """A streamed answer is asked for with its usage, unless the person says otherwise."""
    body = sent(ask(), stream=True)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    own = sent(ask(parameters={"stream_options": {}}), stream=True)
    assert own["stream_options"] == {}


def test_body_with_everything() -> None:
    """Parameters are the API's own; schema and tools stand where it wants them."""
    request = ask(
        parameters={"temperature": 0}, schema={"name": "x"}, tools=({"type": "function"},)
    )
    body = sent(request)
    assert body["temperature"] == 0
    assert body["response_format"] == {"type": "json_schema", "json_schema": {"name": "x"}}
    assert body["tools"] == [{"type": "function"}]


@pytest.mark.parametrize(
    ("system", "prompt", "asked"),
    [
        (None, "A list of rivers.", "Answer in JSON."),
        ("Be brief.", "A list of rivers.", "Be brief.\nAnswer in JSON."),
        ("Speak Json.", "A list of rivers.", "Speak Json."),
        (None, "Rivers, as JSON.", None),
    ],
)
def test_json_is_asked_for_in_words(system: str | None, prompt: str, asked: str | None) -> None:
    """OpenAI refuses ``json_object`` where no message speaks of JSON; so one does."""
    assert bodies.with_json_asked_for(ask(prompt), system) == asked
    assert bodies.wants_json(ask(parameters={"response_format": {"type": "json_object"}}))
    assert not bodies.wants_json(ask())


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("Größe 👋", "Größe 👋"),
        ("\u2028\x00", "\u2028\x00"),
        ("\ud83d\ude00", "😀"),
        ("a\ud800b\udfff", "a\ufffdb\ufffd"),
    ],
    ids=["Unicode", "separators", "a pair of surrogates", "lone surrogates"],
)
def test_encode(text: str, sent: str) -> None:
    """What goes out is UTF-8, whatever the prompt holds."""
    assert json.loads(bodies.encode({"a": text}).decode()) == {"a": sent}
