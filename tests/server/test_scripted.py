"""The scripted server, met by the real ``openai`` client: answers, routes, HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI

from tests.scripted import (
    Answer,
    Reply,
    Request,
    ScriptedServer,
    answer,
    failures,
    process,
    responses,
    routes,
    usage,
)
from tests.scripted.asking import HI, KEY, ask, listen, outcome, said
from tests.scripted.spec import EVENTS, JSON, spec
from tests.scripted.wire import as_json


@pytest.fixture
def client(scripted: ScriptedServer) -> Iterator[OpenAI]:
    """Give a client of the server that does not retry."""
    with OpenAI(base_url=scripted.base_url, api_key=KEY, max_retries=0) as made:
        yield made


def test_default_answer_is_a_function_of_the_messages(client: OpenAI) -> None:
    """Without a script the server repeats what was said, so a run can be run again."""
    part = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    messages: list[Any] = [{"role": "system", "content": "Be brief."}, *HI]
    messages += [{"role": "assistant", "content": "Hello."}]
    messages += [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}]
    got = [ask(client, messages=messages).choices[0].message.content for _ in range(2)]
    assert got == ["You said: What is it?. (turn 2, messages 4, images 1)"] * 2


def test_script_is_a_queue_then_a_default(client: OpenAI, scripted: ScriptedServer) -> None:
    """Replies of the queue come once each, in order; a step may be a function of the request."""
    scripted.script.then("One.", lambda request: f"{request.said}!").always("Else.")
    assert scripted.script.left == 2
    assert [said(client) for _ in range(4)] == ["One.", "Hi!", "Else.", "Else."]


def test_requests_are_recorded(client: OpenAI, scripted: ScriptedServer) -> None:
    """Each request is kept: path, headers, body, and whether its reply was delivered."""
    ask(client, seed=7)
    request = scripted.requests[0]
    assert (request.method, request.path, request.json["seed"]) == ("POST", "/chat/completions", 7)
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.problems == []
    client.models.list()
    assert request.delivered is True


def test_headers_of_the_service(client: OpenAI) -> None:
    """A reply carries the request's id, the time it took and the rate limits."""
    headers = client.chat.completions.with_raw_response.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}]
    ).headers
    assert headers["x-request-id"].startswith("req_")
    assert headers["openai-processing-ms"] == "12"
    limits = [f"x-ratelimit-{a}-{b}" for a in ("limit", "remaining", "reset")
              for b in ("requests", "tokens")]  # fmt: skip
    assert all(name in headers for name in limits)
    assert headers["x-ratelimit-reset-tokens"] == "6m0s"


@pytest.mark.parametrize(
    ("reply", "text", "reason"),
    [
        pytest.param(answer("Paris, of course."), "Paris, of course.", "stop", id="stop"),
        pytest.param(answer("Par", "length"), "Par", "length", id="length"),
        pytest.param(answer("", "content_filter"), "", "content_filter", id="content_filter"),
        pytest.param(answer("é😀 " * 9, chunks=4), "é😀 " * 9, "stop", id="parts"),
        pytest.param(answer("a b", delay=0.001, first_delay=0.001), "a b", "stop", id="slow"),
        pytest.param(answer("a b", done=False), "a b", "stop", id="no [DONE]"),
        pytest.param(failures.big(), failures.big().text, "stop", id="1 MB"),
        pytest.param(failures.separators(), failures.separators().text, "stop", id="separators"),
        pytest.param(failures.lone_surrogates(), "before \udc80 after", "stop", id="surrogate"),
    ],
)
def test_an_answer_is_the_same_whole_and_streamed(
    client: OpenAI, scripted: ScriptedServer, reply: Reply, text: str, reason: str
) -> None:
    """One answer goes out as JSON or in chunks, as the request asks, with its finish_reason."""
    scripted.script.always(reply)
    choice = ask(client).choices[0]
    assert (choice.message.content, choice.finish_reason) == (text, reason)
    assert listen(client)[:2] == (text, reason)


def test_number_of_chunks(client: OpenAI, scripted: ScriptedServer) -> None:
    """``chunks`` cuts the text in that many; the role, the end and the usage are chunks too."""
    scripted.script.always(answer("x" * 100, chunks=10, usage=usage(3, 4, reasoning=2)))
    assert listen(client).chunks == 1 + 10 + 1
    *_, last = ask(client, stream=True, stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage.total_tokens == 7
    assert last.usage.completion_tokens_details.reasoning_tokens == 2
    assert ask(client).usage == last.usage


def test_model_and_usage_can_be_others(client: OpenAI, scripted: ScriptedServer) -> None:
    """The served model may differ from the one asked, and a server may tell no usage."""
    scripted.script.then(answer("x", model="gpt-4o-2024-08-06", usage=None))
    got = ask(client)
    assert (got.model, got.usage) == ("gpt-4o-2024-08-06", None)


def test_refusal(client: OpenAI, scripted: ScriptedServer) -> None:
    """A refusal comes in a field of its own and leaves the content empty."""
    scripted.script.always(answer(refusal="I cannot help with that."))
    message = ask(client).choices[0].message
    assert (message.content, message.refusal) == (None, "I cannot help with that.")
    deltas = [chunk.choices[0].delta for chunk in ask(client, stream=True)]
    assert "".join(delta.refusal or "" for delta in deltas) == "I cannot help with that."
    assert not any(delta.content for delta in deltas)


def test_tool_calls(client: OpenAI, scripted: ScriptedServer) -> None:
    """A tool call's arguments come whole, or in parts that make up the same JSON."""
    scripted.script.always(answer(tool_calls=[("weather", {"city": "Zürich"})]))
    choice = ask(client).choices[0]
    call = choice.message.tool_calls[0].function
    assert (choice.finish_reason, call.name) == ("tool_calls", "weather")
    assert json.loads(call.arguments) == {"city": "Zürich"}
    parts = [c.choices[0].delta.tool_calls for c in ask(client, stream=True)]
    assert "".join(part[0].function.arguments for part in parts if part) == call.arguments


def test_several_choices(client: OpenAI) -> None:
    """``n`` choices are answered with as many."""
    assert [choice.index for choice in ask(client, n=3).choices] == [0, 1, 2]
    assert {c.choices[0].index for c in ask(client, n=2, stream=True)} == {0, 1}


def test_hold_stops_a_stream_until_it_is_told(client: OpenAI, scripted: ScriptedServer) -> None:
    """With ``hold`` a test decides when a stream goes on: no sleeping, no guessing."""
    go = threading.Event()
    scripted.script.then(answer("one two three", hold=go, hold_after=2))
    stream = ask(client, stream=True)
    first = [next(stream).choices[0].delta.content for _ in range(2)]
    go.set()
    assert first == ["", "one "]
    assert [c.choices[0].delta.content for c in stream] == ["two ", "three", None]


def test_a_client_that_leaves_is_noticed(client: OpenAI, scripted: ScriptedServer) -> None:
    """A stream that the client closed is marked as not delivered."""
    scripted.script.then(answer("one two", hold=threading.Event(), hold_after=1))
    stream = ask(client, stream=True)
    next(stream)
    stream.close()
    until = time.monotonic() + 10
    while scripted.requests[0].delivered is None and time.monotonic() < until:
        time.sleep(0.005)
    assert scripted.requests[0].delivered is False


def test_the_key_is_checked(client: OpenAI, scripted: ScriptedServer) -> None:
    """A wrong key is 401 with a part of it repeated; a script may ask for none."""
    scripted.script.key = "sk-right"
    with pytest.raises(openai.AuthenticationError) as caught:
        ask(client)
    assert caught.value.code == "invalid_api_key"
    assert f"provided: {KEY[:8]}***" in caught.value.message
    assert caught.value.message.count(KEY[-4:]) == 1
    with pytest.raises(openai.AuthenticationError, match=r"sk-ab\*\*\*yz"):
        ask(client.with_options(api_key="sk-abxyz"))
    assert said(client.with_options(api_key="sk-right")).startswith("You said")


def test_models(client: OpenAI, scripted: ScriptedServer) -> None:
    """Models are listed with the date of their shutdown, retrieved, deleted, or not found."""
    scripted.models.add("hf/some/model")
    dates = {model.id: model.shutdown_date for model in client.models.list()}
    assert (dates["gpt-4o"], dates["gpt-5.5"]) == ("2027-01-14", None)
    assert client.models.retrieve("hf/some/model").id == "hf/some/model"
    assert client.models.delete("ft:gpt-4o-mini:org-scripted::abc123").deleted
    with pytest.raises(openai.NotFoundError, match="`nix` does not exist"):
        client.models.retrieve("nix")
    scripted.models.forget_dates()
    assert not any("shutdown_date" in m.model_fields_set for m in client.models.list())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_assistants(client: OpenAI, scripted: ScriptedServer) -> None:
    """The Assistants API is gone, unless the server is told to have it."""
    with pytest.raises(openai.NotFoundError, match="shut down"):
        client.beta.assistants.list()
    scripted.assistants = [routes.assistant(name) for name in ("ada", "bob", "cyd")]
    names = [each.name for each in client.beta.assistants.list(limit=2)]
    assert names == ["ada", "bob", "cyd"]
    assert len(scripted.requests) == 3


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(answer("Hello there."), id="text"),
        pytest.param(answer("Hello there.", "length"), id="length"),
        pytest.param(answer(refusal="No."), id="refusal"),
        pytest.param(answer(tool_calls=[("f", {"a": 1})]), id="tool call"),
    ],
)
def test_responses(client: OpenAI, scripted: ScriptedServer, reply: Answer) -> None:
    """The same answers come in the form of the Responses API, whole and as events that fit it."""
    scripted.script.always(reply)
    whole = client.responses.create(model="gpt-4o", input="Hi")
    assert whole.output_text == (reply.text or "")
    assert whole.status == ("incomplete" if reply.finish_reason == "length" else "completed")
    request = scripted.requests[0]
    assert spec().check_reply(request.operation, JSON, responses.whole(reply, request)) is None
    for event in responses.events(reply, request):
        assert spec().check_reply(request.operation, EVENTS, json.loads(event)) is None
    *_, last = client.responses.create(model="gpt-4o", input="Hi", stream=True)
    assert last.type == f"response.{whole.status}"


def test_azure(scripted: ScriptedServer) -> None:
    """Azure's addresses and its key's header are understood."""
    scripted.script.key = "azure-key"
    host = scripted.base_url.removesuffix("/v1")
    with AzureOpenAI(azure_endpoint=host, api_key="azure-key", api_version="2024-10-21") as client:
        assert ask(client, model="deployed").model == "deployed"
    assert scripted.requests[0].path == "/chat/completions"


def test_many_at_once(scripted: ScriptedServer) -> None:
    """Requests are answered concurrently: each of these waits for all the others."""
    go = threading.Event()

    def last(request: Request) -> Reply:
        if request.number == 20:
            go.set()
        return answer(request.said, hold=go)

    async def run() -> list[str | None]:
        async with AsyncOpenAI(base_url=scripted.base_url, api_key=KEY) as client:
            made = [
                client.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": str(number)}]
                )
                for number in range(20)
            ]
            return [got.choices[0].message.content for got in await asyncio.gather(*made)]

    scripted.script.always(last)
    assert asyncio.run(run()) == [str(number) for number in range(20)]


def test_a_key_must_be_sent(scripted: ScriptedServer) -> None:
    """Without the header the service asks for one, whatever else is wrong."""
    scripted.script.key = KEY
    connection = http.client.HTTPConnection("127.0.0.1", scripted.port)
    connection.request("GET", "/v1/nowhere")
    reply = connection.getresponse()
    assert reply.status == 401
    assert "You didn't provide an API key" in json.load(reply)["error"]["message"]
    connection.close()


def test_a_body_must_be_json(scripted: ScriptedServer) -> None:
    """A body of another type is a problem."""
    connection = http.client.HTTPConnection("127.0.0.1", scripted.port)
    connection.request("POST", "/v1/chat/completions", b"{}", {"content-type": "text/plain"})
    assert connection.getresponse().status == 415
    assert "only accepts 'application/json'" in str(scripted.take_problems()[0])
    connection.close()


def test_http(scripted: ScriptedServer) -> None:
    """A connection serves several requests, a body may come in chunks, ``close`` closes."""
    connection = http.client.HTTPConnection("127.0.0.1", scripted.port)
    body = json.dumps({"model": "gpt-4o", "messages": HI}).encode()
    headers = {"content-type": "application/json", "transfer-encoding": "chunked"}
    for last in ({}, {"connection": "close"}):
        parts = iter((body[:9], body[9:]))
        address = "/v1/chat/completions"
        connection.request("POST", address, parts, {**headers, **last}, encode_chunked=True)
        reply = json.load(connection.getresponse())
        assert reply["choices"][0]["message"]["content"].startswith("You said: Hi.")
    connection.close()


def test_another_route(client: OpenAI, scripted: ScriptedServer) -> None:
    """A test may add a route of its own; a later one goes before those that are there."""
    scripted.route("GET", "/engines/{name}", lambda _, name: as_json({"name": name}))
    assert client.get("/engines/a%20b", cast_to=object) == {"name": "a b"}


def test_as_a_process(tmp_path: Path) -> None:
    """The server runs as a process, scripted by options and a file, and tells what it was sent."""
    script = tmp_path / "script.json"
    script.write_text(json.dumps(["One.", {"model_not_found": {}}, {"answer": {"text": "Two."}}]))
    options = ("--key", KEY, "--text", "Else.", "--chunks", "2", "--script", str(script))
    with (
        process(*options) as base_url,
        OpenAI(base_url=base_url, api_key=KEY, max_retries=0) as client,
    ):
        got = [outcome(said, client) for _ in range(3)]
        assert got == ["One.", openai.NotFoundError, "Two."]
        assert listen(client) == ("Else.", "stop", 4)
        told: Any = client.get("/scripted", cast_to=object)
    assert [each["path"] for each in told["requests"]] == ["/chat/completions"] * 4
    assert told["problems"] == []
