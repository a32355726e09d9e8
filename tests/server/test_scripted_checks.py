"""What the scripted server refuses, as the service would, and how a test hears of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.scripted import (
    ScriptedServer,
    answer,
)
from tests.scripted.asking import HI, KEY, ask, outcome, said
from tests.scripted.fixtures import serving
from tests.scripted.spec import REASONING


@pytest.fixture
def client(scripted: ScriptedServer) -> Iterator[OpenAI]:
    """Give a client of the server that does not retry."""
    with OpenAI(base_url=scripted.base_url, api_key=KEY, max_retries=0) as made:
        yield made


WRONG: list[tuple[dict[str, Any], str | None, str | None]] = [
    ({"max_tokens": "10"}, "max_tokens", "invalid_type"),
    ({"temperatur": 1}, "temperatur", "unknown_parameter"),
    ({"temperature": 3}, "temperature", "integer_above_max_value"),
    ({"temperature": -0.5}, "temperature", "decimal_below_min_value"),
    ({"model": None}, "model", "invalid_type"),
    ({"messages": []}, "messages", "empty_array"),
    ({"messages": [{"role": "bot", "content": ""}]}, "messages[0].role", "invalid_value"),
    ({"messages": [{**HI[0], "id": 1}]}, "messages[0].id", "unknown_parameter"),
    ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content", "invalid_type"),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
    ({"reasoning_effort": "huge"}, "reasoning_effort", "invalid_value"),
    ({"stop": list("abcde")}, "stop", "invalid_value"),
    ({"stream_options": {"usage": True}}, "stream_options.usage", "unknown_parameter"),
    ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
    ({"model": "gpt-5.4-mini", "max_tokens": 9}, "max_tokens", "unsupported_parameter"),
    ({"model": "gpt-5.5", "temperature": 0}, "temperature", "unsupported_value"),
    ({"messages": [{"role": "user", "content": "\ud800"}]}, None, None),
    ({"temperature": float("nan")}, None, None),
]


@pytest.mark.parametrize(("fields", "param", "code"), WRONG)
def test_a_wrong_request_is_caught(
    client: OpenAI,
    scripted: ScriptedServer,
    fields: dict[str, Any],
    param: str | None,
    code: str | None,
) -> None:
    """What the service would refuse is refused as it would, kept as a problem, not answered."""
    scripted.script.then("Never given.")
    body = json.dumps({"model": "gpt-4o", "messages": HI, **fields}).encode()
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", content=body, cast_to=object)
    assert (caught.value.param, caught.value.code) == (param, code)
    problem = scripted.take_problems()[0]
    assert problem.fault.param == param
    assert problem in scripted.requests[0].problems
    assert scripted.script.left == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": None, "stop": None, "seed": 2**62, "metadata": {"a": "b"}},
        {"model": "gpt-5.5", "max_completion_tokens": 9, "reasoning_effort": "max"},
        {"model": "gpt-5.2", "temperature": 0, "reasoning_effort": "none"},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
    ],
)
def test_a_right_request_passes(client: OpenAI, fields: dict[str, Any]) -> None:
    """Null where the API takes null, and the open parts of a schema, are no problem."""
    assert ask(client, **fields).choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("model", "reasons"),
    [("o3", True), ("gpt-5", True), ("ft:gpt-5.4-mini:org::x", True), ("gpt-6-sol", True),
     ("gpt-4o", False), ("gpt-5-chat-latest", False), ("SmolLM2", False)],
)  # fmt: skip
def test_which_models_reason(model: str, reasons: bool) -> None:
    """Reasoning models are told by their names."""
    assert bool(REASONING.match(model)) is reasons


def test_a_problem_fails_the_test() -> None:
    """The fixture fails the test that sent a wrong request and did not take the problem."""
    with (
        pytest.raises(pytest.fail.Exception, match="Unknown parameter: 'foo'"),
        serving() as server,
        OpenAI(base_url=server.base_url, api_key=KEY) as client,
        pytest.raises(openai.BadRequestError),
    ):
        ask(client, extra_body={"foo": 1})


def test_a_wrong_address_is_a_problem(client: OpenAI, scripted: ScriptedServer) -> None:
    """A path that the API does not have is 404 and kept."""
    with pytest.raises(openai.NotFoundError, match=r"Invalid URL \(GET /v1/nowhere\)"):
        client.get("/nowhere", cast_to=object)
    assert "GET /nowhere" in str(scripted.take_problems()[0])


def test_a_script_that_fails_is_a_problem(client: OpenAI, scripted: ScriptedServer) -> None:
    """An exception in a script's function is told to the test, with its traceback."""
    scripted.script.then(lambda request: request.json["nothing"])
    assert outcome(said, client) is openai.InternalServerError
    assert "KeyError: 'nothing'" in str(scripted.take_problems()[0])


def test_a_scripted_reply_must_be_one_the_service_gives() -> None:
    """An answer is checked when it is built, unless it is meant to be wrong."""
    with pytest.raises(ValueError, match="finish_reason"):
        answer("x", "done")
    with pytest.raises(ValueError, match="prompt_tokens"):
        answer("x", usage={"total_tokens": 1})
    assert answer("x", "done", check=False).finish_reason == "done"


def test_unknown_fields_pass_where_they_may() -> None:
    """``strict=False`` accepts what other servers do, and still checks what is known."""
    with (
        ScriptedServer(strict=False) as server,
        OpenAI(base_url=server.base_url, api_key=KEY) as client,
    ):
        assert ask(client, extra_body={"top_k": 1}).object == "chat.completion"
        with pytest.raises(openai.BadRequestError):
            ask(client, max_tokens="10")
