"""The Responses API against a real server: what is sent, what comes back, what is kept and sent again."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from openai_magics import errors as ours
from tests.scripted import Custom, Plan, Request, ScriptedServer, answer, error, responses
from tests.scripted.spec import EVENTS, JSON, spec
from tests.scripted.wire import as_json
from tests.server.ways import ALL, BOTH, STREAMS, Way, records, session
from tests.unit.shapes import City

GOOD = '{"name": "Oslo", "population": 709037, "founded": null}'
REASONING = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "I think."}],
    "encrypted_content": "gAAAA",
}
SEARCH = {
    "id": "ws_1",
    "type": "web_search_call",
    "status": "completed",
    "action": {"type": "search", "query": "tides", "queries": ["tides"]},
}


def weather(city: str) -> str:
    """Tell the weather."""
    return f"rain in {city}"


def before(text: str, *items: dict[str, Any], **message: Any) -> Custom:
    """Return an answer with items before its message, whole or as events."""

    def make(request: Request) -> Plan:
        reply = answer(text)
        whole = responses.whole(reply, request)
        whole["output"] = [*items, {**whole["output"][0], **message}]
        assert spec().check_reply("POST /responses", JSON, whole) is None
        if not request.streams:
            return as_json(whole)
        events: list[dict[str, Any]] = [
            json.loads(each) for each in responses.events(reply, request)
        ]
        shifted = []
        for event in events:
            if "output_index" in event:
                event["output_index"] = len(items)
            if event["type"] == "response.completed":
                event["response"] = whole
            shifted.append(event)
            if event["type"] == "response.in_progress":
                shifted += [
                    {"type": "response.output_item.done", "output_index": n, "item": item}
                    for n, item in enumerate(items)
                ]
        frames = []
        for n, event in enumerate(shifted):
            event["sequence_number"] = n
            assert spec().check_reply("POST /responses", EVENTS, event) is None
            frames.append(reply.style.event(json.dumps(event)))
        return reply.streamed(frames)

    return Custom(make)


@pytest.mark.parametrize("way", ALL)
def test_a_conversation(scripted: ScriptedServer, way: Way) -> None:
    """All of it goes as input items; nothing is stored there; it replays."""
    scripted.script.then("One.", "Two.")
    held = session(scripted)
    first = way.ask(held, "a", api="responses", system_instruction="Be brief.")
    way.ask(held, "b", api="responses")
    sent = [each.json for each in scripted.requests]
    assert [each.route for each in scripted.requests] == ["/responses"] * 2
    assert sent[0]["input"] == [{"role": "user", "content": "a"}]
    assert (sent[0]["instructions"], sent[0]["store"]) == ("Be brief.", False)
    assert "previous_response_id" not in sent[1]
    assert [item["role"] for item in sent[1]["input"]] == ["user", "assistant", "user"]
    assert sent[1]["input"][1]["content"][0]["text"] == "One."
    assert (first.text, first.finish_reason) == ("One.", "stop")
    assert first.usage["completion_tokens"] == 1
    assert str(first.response_id).startswith("resp_")
    replaying = session(mode="replay")
    again = way.ask(replaying, "a", api="responses", system_instruction="Be brief.")
    assert again == first
    assert way.ask(replaying, "b", api="responses").text == "Two."
    one, two = records(held)
    assert (one.request.api, two.request.parent) == ("responses", one.id)


def test_api_in_the_fingerprint(scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there where the notebook says it; what the surroundings say is not."""
    scripted.script.then("One.", "Two.")
    plain = session(scripted).ask("a")
    monkeypatch.setenv("OPENAI_MAGICS_API", "responses")
    assert session(scripted).ask("a").id == plain.id
    other = session(scripted).ask("b")
    assert scripted.requests[-1].route == "/responses"
    monkeypatch.delenv("OPENAI_MAGICS_API")
    assert session(mode="replay").ask("b").id == other.id
    with pytest.raises(ours.ReplayMiss, match="api: recorded None, now 'responses'"):
        session(mode="replay").ask("b", api="responses")
    assert "api" not in records(session())[0].to_record()["request"]


@pytest.mark.parametrize("way", ALL)
def test_reasoning_goes_back(scripted: ScriptedServer, way: Way) -> None:
    """Reasoning with its encrypted content is kept with the record, and sent with later turns."""
    scripted.script.then(before("One.", REASONING, SEARCH), "Two.", "Three.")
    held = session(scripted)
    first = way.ask(held, "a", api="responses")
    assert first.text == "One."
    assert [item["type"] for item in first.items] == ["reasoning", "web_search_call", "message"]
    way.ask(held, "b", api="responses")
    sent = scripted.requests[1].json["input"]
    assert sent[1] == REASONING
    assert sent[2] == SEARCH
    assert sent[3]["content"][0]["text"] == "One."
    assert "One." not in json.dumps(records(held)[0].to_record()["reply"]["items"])
    again = session(scripted)
    assert way.ask(again, "a", api="responses").items == first.items
    way.ask(again, "b", api="responses")
    way.ask(again, "c", api="chat")
    assert [set(each) for each in scripted.requests[2].json["messages"]][1] == {"role", "content"}


@pytest.mark.parametrize("way", ALL)
def test_annotations_and_phases(scripted: ScriptedServer, way: Way) -> None:
    """What a message has besides its text goes back as it was; the answer is the final phase."""
    note = {
        "type": "url_citation",
        "url": "https://x.y",
        "title": "t",
        "start_index": 0,
        "end_index": 1,
    }
    part = {"type": "output_text", "text": "Cited.", "annotations": [note], "logprobs": []}
    comment = {
        "id": "msg_0",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "phase": "commentary",
        "content": [{"type": "output_text", "text": "Hm.", "annotations": [], "logprobs": []}],
    }
    scripted.script.then(
        before("Cited.", content=[part]), before("So.", comment, phase="final_answer"), "End."
    )
    held = session(scripted)
    assert way.ask(held, "a", api="responses").text == "Cited."
    assert way.ask(held, "b", api="responses").text == "So."
    way.ask(held, "c", api="responses")
    sent = scripted.requests[2].json["input"]
    assert sent[1]["content"] == [part]
    assert sent[3]["phase"] == "commentary"
    assert (sent[4]["phase"], sent[4]["content"][0]["text"]) == ("final_answer", "So.")


@pytest.mark.parametrize("way", BOTH)
def test_tools_and_schema(scripted: ScriptedServer, way: Way) -> None:
    """Functions and built-in tools side by side, an answer in a schema, and one more ask for it."""
    scripted.script.then(answer(tool_calls=[("weather", {"city": "Oslo"})]), "no", GOOD)
    held = session(scripted)
    options: dict[str, Any] = {"api": "responses", "tools": [weather], "schema": City}
    if way.waits:
        scripted_tools = {"tool_choice": {"type": "function", "function": {"name": "weather"}}}
        options |= scripted_tools
    reply = way.ask(held, "Oslo?", **options)
    assert reply.data == City("Oslo", 709037)
    assert [len(step.calls) for step in reply.steps] == [1, 0]
    first, second, third = (each.json for each in scripted.requests)
    assert first["text"]["format"]["name"] == "City"
    assert first["text"]["format"]["strict"] is True
    assert (first["tools"][0]["name"], first["tools"][0]["strict"]) == ("weather", False)
    if way.waits:
        assert first["tool_choice"] == {"type": "function", "name": "weather"}
    assert "tool_choice" not in second
    kinds = [item.get("type") for item in second["input"]]
    assert kinds == [None, "function_call", "function_call_output"]
    assert second["input"][2]["output"] == "rain in Oslo"
    assert third["input"][-1]["role"] == "user"
    again = way.ask(session(mode="replay"), "Oslo?", **options)
    assert (again.data, again.steps) == (reply.data, reply.steps)


def test_parameters(scripted: ScriptedServer) -> None:
    """Those of chat completions stand where this API has them; built-in tools are as they are."""
    session(scripted).ask(
        "a",
        api="responses",
        max_completion_tokens=19,
        reasoning_effort="low",
        reasoning={"summary": "auto"},
        verbosity="low",
        seed=1,
        temperature=1,
        tools=[],
        response_format={"type": "json_object"},
    )
    sent = scripted.requests[0].json
    assert sent["max_output_tokens"] == 19
    assert sent["reasoning"] == {"summary": "auto", "effort": "low"}
    assert sent["text"] == {"verbosity": "low", "format": {"type": "json_object"}}
    assert "seed" not in sent


@pytest.mark.parametrize("way", ALL)
def test_what_is_no_whole_answer(scripted: ScriptedServer, way: Way) -> None:
    """Refused, filtered and cut are the errors that they are for chat completions."""
    scripted.script.then(
        answer(None, refusal="I cannot."),
        answer("Ha", "content_filter"),
        answer("Lo", "length"),
        answer("Lo", "length"),
    )
    held = session(scripted)
    with pytest.raises(ours.ContentRefused, match="I cannot"):
        way.ask(held, "a", api="responses")
    with pytest.raises(ours.ContentRefused, match="filter"):
        way.ask(held, "b", api="responses")
    with pytest.raises(ours.LengthCut) as caught:
        way.ask(held, "c", api="responses")
    assert caught.value.reply is not None
    assert caught.value.reply.text == "Lo"
    limited = way.ask(held, "d", api="responses", max_completion_tokens=16)
    assert (limited.text, limited.finish_reason) == ("Lo", "length")


FAILED = {"code": "server_error", "message": "The model failed."}


def altered(**fields: Any) -> Custom:
    """Return a whole response with other fields."""
    return Custom(lambda request: as_json({**responses.whole(answer("x"), request), **fields}))


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({"status": "failed", "error": FAILED}, ours.Unreachable, "The model failed"),
        ({"status": "cancelled"}, ours.ServiceError, "cancelled"),
        ({"status": "queued"}, ours.BadReply, "queued"),
        ({"output": None}, ours.BadReply, "without output"),
        ({"output": [3]}, ours.BadReply, "that is none"),
    ],
)
def test_what_goes_wrong(
    scripted: ScriptedServer, way: Way, fields: Any, kind: type[Exception], words: str
) -> None:
    """A response that failed, or is none, is said."""
    scripted.script.then(altered(**fields))
    with pytest.raises(kind, match=words):
        way.ask(session(scripted), "a", api="responses")


def stream(*changes: Any, upto: int | None = None) -> Custom:
    """Return the events of a response, cut after some, others put behind them."""

    def make(request: Request) -> Plan:
        reply = answer("one two three")
        frames = [reply.style.event(each) for each in responses.events(reply, request)][:upto]
        frames += [reply.style.event(json.dumps(each)) for each in changes]
        return dataclasses.replace(reply.streamed(frames))

    return Custom(make)


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (stream(upto=6), ours.BadReply, "ended before the answer"),
        (stream(upto=0), ours.BadReply, "empty stream"),
        (
            stream({"type": "error", "code": "server_error", "message": "Oh."}, upto=5),
            ours.Unreachable,
            "Oh.",
        ),
        (
            stream({"type": "response.failed", "response": {"error": FAILED}}, upto=5),
            ours.Unreachable,
            "The model failed",
        ),
        (
            stream({"type": "response.completed", "response": {"output": [3]}}, upto=5),
            ours.BadReply,
            "none",
        ),
        (stream([3], upto=5), ours.BadReply, "that is none"),
        (error(404, "model_not_found", "No such route."), ours.ModelNotFound, "--api chat"),
    ],
)
def test_streams_that_break(
    scripted: ScriptedServer, way: Way, reply: Any, kind: type[Exception], words: str
) -> None:
    """What goes unnoticed in the client is noticed; what came is kept as cut off."""
    scripted.script.then(reply)
    with pytest.raises(kind) as caught:
        way.ask(session(scripted), "a", api="responses")
    assert words in str(caught.value)
    came = getattr(caught.value, "reply", None)
    if came is not None and came.text:
        assert came.finish_reason == "cut_off"
        assert "one two three".startswith(came.text.strip())


@pytest.mark.parametrize("way", STREAMS)
def test_a_last_event_without_output(scripted: ScriptedServer, way: Way) -> None:
    """Where the last event says nothing, the answer is what the deltas said."""
    end = {"type": "response.completed", "response": {"status": "completed", "output": []}}
    call = {
        "id": "fc",
        "type": "function_call",
        "call_id": "c1",
        "name": "weather",
        "arguments": "",
    }
    calls = [
        {"type": "response.output_item.added", "output_index": 0, "item": call},
        *(
            {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": each}
            for each in ('{"city": ', '"Oslo"}')
        ),
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "hm"},
        {"type": "response.web_search_call.searching", "output_index": 0},
        {"type": "something.new"},
        end,
    ]
    scripted.script.then(stream(end, upto=7), stream(*calls, upto=2), "Done.")
    held = session(scripted)
    assert way.ask(held, "a", api="responses").text == "one two three"
    reply = way.ask(held, "b", api="responses", tools=[weather])
    assert [each.result for each in reply.steps[0].calls] == ["rain in Oslo"]


@pytest.mark.parametrize("way", BOTH)
def test_a_server_without_schemas(scripted: ScriptedServer, way: Way) -> None:
    """Where ``text.format`` is refused the schema goes in words."""
    refused = error(400, "unsupported_parameter", "Unsupported parameter: 'text.format'.")
    scripted.script.then(refused, refused, GOOD)
    reply = way.ask(session(scripted), "Oslo?", api="responses", schema=City)
    assert reply.data == City("Oslo", 709037)
    assert scripted.requests[-1].json["text"] == {"format": {"type": "json_object"}}
    assert '"population"' in scripted.requests[-1].json["instructions"]
