"""What servers send that no API should, and what people type: each is an answer or our error."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest

from openai_magics import errors as ours
from openai_magics.exchange import Request
from tests.scripted import Custom, Plan, Reply, ScriptedServer, answer, errors, failures
from tests.scripted.asking import KEY
from tests.scripted.replies import completion
from tests.scripted.wire import as_json, dumps
from tests.server.ways import (
    ALL,
    ASTREAMED,
    BOTH,
    STREAMED,
    STREAMS,
    WHOLE,
    Heard,
    Way,
    asked,
    live,
    records,
    request,
    session,
)

FOX = failures.TEXT
FEW = "The quick "


class Came(NamedTuple):
    """What comes of a broken reply: an answer, or an error and the text that had come."""

    kind: type[ours.ServiceError] | None
    text: str | None = None
    says: str = ""


def bad(says: str, text: str | None = None) -> Came:
    """Return a BadReply that says *says*."""
    return Came(ours.BadReply, text, says)


def down(says: str, text: str | None = None) -> Came:
    """Return an Unreachable that says *says*."""
    return Came(ours.Unreachable, text, says)


BROKEN: dict[str, tuple[Reply, Came, Came]] = {
    # The reply; what comes of it when it was asked for whole; and when streamed.
    "choices null": (
        failures.choices_null(),
        bad("a chat completion without choices"),
        bad("ended before the answer did", ""),
    ),
    "choices empty": (
        failures.choices_empty(),
        bad("a chat completion without choices"),
        bad("ended before the answer did", ""),
    ),
    "choices missing": (
        failures.missing("choices"),
        bad("a chat completion without choices"),
        bad("ended before the answer did", ""),
    ),
    "JSON for a stream": (failures.json_for_stream(), Came(None, FOX), Came(None, FOX)),
    "HTML": (failures.html(), bad("a web page"), bad("a web page")),
    "HTML by another name": (
        failures.raw("<!doctype html><p>Hi"), bad("a web page"), bad("a web page"),
    ),
    "HTML 502": (
        failures.html("<p>Bad gateway", 502), down("failing: a web page"), down("a web page"),
    ),
    "JSON null": (failures.json_null(), bad("sent null"), bad("sent null")),
    "a list": (failures.raw("[1]"), bad("in place of"), bad("in place of")),
    "plain text": (
        failures.raw("Hello.", content_type="text/plain"), bad("not JSON"), bad("not JSON"),
    ),
    "malformed JSON": (failures.malformed_json(), bad("not JSON"), bad("not JSON")),
    "not UTF-8": (failures.raw(b'{"id": "\xff"}'), bad("not JSON"), bad("not JSON")),
    "too deep": (failures.raw("[" * 100_000), bad("not JSON"), bad("not JSON")),
    "bad compression": (
        Plan(
            200, (("content-type", "application/json"), ("content-encoding", "gzip")), (b"no",)
        ),
        bad("not JSON"), bad("not JSON"),
    ),
    "empty body": (failures.empty_body(), bad("an empty"), bad("an empty")),
    "empty stream": (
        failures.raw("", content_type="text/event-stream"),
        bad("an empty stream", ""), bad("an empty stream", ""),
    ),
    "bad chunk": (failures.bad_chunk(), bad("not JSON"), bad("a piece", FEW)),
    "a chunk that is a list": (failures.bad_chunk(data="[1]"), bad("not JSON"), bad("", FEW)),
    "error in the stream": (
        failures.error_in_stream(), down("had an error"), down("had an error", FEW),
    ),
    "error with status 200": (
        failures.raw(dumps({"error": {"message": "Out of order", "code": None}})),
        Came(ours.ServiceError, None, "Out of order"), Came(ours.ServiceError, None, "Out of"),
    ),
    "error of vLLM with status 200": (
        failures.raw(dumps({"object": "error", "message": "Out of order", "code": 500})),
        Came(ours.ServiceError, None, "Out of order"), Came(ours.ServiceError, None, "Out of"),
    ),
    "ended early": (failures.cut(), bad("not JSON"), bad("ended before the answer did", FEW)),
    "closed early": (failures.cut(how="closed"), down("closed"), down("closed", FEW)),
    "reset": (failures.cut(how="reset"), down("cannot be reached"), down("reset", FEW)),
    "stalled": (failures.cut(how="stalled"), down("in time"), down("in time", FEW)),
    "short body": (failures.short_body(), down("closed"), down("closed")),
    "never answers": (failures.never(), down("in time"), down("in time")),
    "hangs up": (failures.hang_up(), down("cannot be reached"), down("cannot be reached")),
    "resets at once": (failures.reset(), down("reset"), down("reset")),
    "filtered": (
        answer("The quick ", "content_filter"),
        Came(ours.ContentRefused, FEW, "content filter"),
        Came(ours.ContentRefused, FEW, "content filter"),
    ),
    "filtered at once": (
        answer("", "content_filter"),
        Came(ours.ContentRefused, "", "content filter"),
        Came(ours.ContentRefused, "", "content filter"),
    ),
    "refused": (
        answer(refusal="I won't."),
        Came(ours.ContentRefused, "", "I won't."), Came(ours.ContentRefused, "", "I won't."),
    ),
    "prompt refused by Azure": (
        errors.prompt_refused_azure(),
        Came(ours.ContentRefused, None, "Azure OpenAI's content"),
        Came(ours.ContentRefused, None, "Azure OpenAI's content"),
    ),
    "cut at the limit": (
        answer(FEW, "length"),
        Came(ours.LengthCut, FEW, "the model's limit"),
        Came(ours.LengthCut, FEW, "the model's limit"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", ALL)
@pytest.mark.parametrize(
    ("reply", "whole", "streamed"), [pytest.param(*row, id=name) for name, row in BROKEN.items()]
)
def test_a_broken_reply_is_noticed(
    scripted: ScriptedServer, way: Way, reply: Reply, whole: Came, streamed: Came
) -> None:
    """It is our error, of one kind, and what had come of the text is in its reply."""
    scripted.script.always(reply)
    came, heard = (streamed if way.streams else whole), Heard()
    sender = live(scripted, timeout=2 if "in time" in came.says else 60)
    if came.kind is None:
        assert way.send(sender, request(), heard).text == came.text
        assert heard.text == (came.text if way.streams else "")
        return
    with pytest.raises(came.kind) as caught:
        way.send(sender, request(), heard)
    assert type(caught.value) is came.kind
    assert came.says in caught.value.problem
    assert len(caught.value._render_traceback_()) <= 2
    held = caught.value.reply
    assert (held.text if held else None) == came.text
    assert heard.text == ((came.text or "") if way.streams else "")


def damaged(damage: Callable[[dict[str, Any]], None]) -> Reply:
    """Return an answer of which *damage* was done to the choice, whole or in each chunk."""
    return failures._damaged(lambda value: [damage(choice) for choice in value["choices"]])


def _delta(choice: dict[str, Any], **fields: Any) -> None:
    choice["delta" if "delta" in choice else "message"] |= fields


SHAPES: dict[str, tuple[Reply, bool]] = {
    # The reply, and whether it is an answer all the same.
    "choices a dict": (failures._damaged(lambda value: value.update(choices={"a": 1})), False),
    "choices a text": (failures._damaged(lambda value: value.update(choices="none")), False),
    "a choice null": (failures._damaged(lambda value: value.update(choices=[None])), False),
    "message a text": (damaged(lambda choice: choice.update(message="Hi", delta="Hi")), False),
    "message null": (damaged(lambda choice: choice.update(message=None, delta=7)), False),
    "tool calls a number": (damaged(lambda choice: _delta(choice, tool_calls=7)), False),
    "tool calls of texts": (damaged(lambda choice: _delta(choice, tool_calls=["a"])), False),
    "usage a list": (failures._damaged(lambda value: value.update(usage=[1])), False),
    "usage null": (failures._damaged(lambda value: value.update(usage=None)), True),
    "no id": (failures.missing("id"), True),
    "no model": (failures.missing("model"), True),
    "content in parts": (
        damaged(lambda choice: _delta(choice, content=[{"type": "text", "text": "Hi."}])), True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    ("reply", "good"), [pytest.param(*row, id=name) for name, row in SHAPES.items()]
)
def test_a_reply_of_another_shape(
    scripted: ScriptedServer, way: Way, reply: Reply, good: bool
) -> None:
    """It is read as far as it says something, and else a BadReply: never a Python error."""
    scripted.script.then(reply)
    held = session(scripted)
    if good:
        assert way.ask(held, "Hi").text
        return
    with pytest.raises(ours.BadReply):
        way.ask(held, "Hi")
    assert [item.occurrence for item in records(held)] == [None]


NUMBERS = {
    "NaN": '"prompt_tokens": NaN, "completion_tokens": Infinity',
    "texts": '"prompt_tokens": "12", "completion_tokens": "3"',
    "negative": '"prompt_tokens": -5, "completion_tokens": 3',
    "huge": '"prompt_tokens": 1e300, "completion_tokens": 3',
    "objects": '"prompt_tokens": {}, "completion_tokens": []',
    "details null": '"prompt_tokens": 5, "prompt_tokens_details": null',
    "details a list": '"prompt_tokens": 5, "prompt_tokens_details": [1]',
}


@pytest.mark.parametrize("counts", [pytest.param(text, id=name) for name, text in NUMBERS.items()])
def test_a_usage_that_is_none_loses_no_answer(scripted: ScriptedServer, counts: str) -> None:
    """Whatever a server counts, its answer is recorded, as JSON that any tool reads."""

    def make(asked_for: Any) -> Plan:
        whole = dumps(completion(answer("Hi."), asked_for) | {"usage": "USAGE"})
        return failures.raw(whole.replace('"USAGE"', "{" + counts + "}"))

    scripted.script.then(Custom(make))
    held = session(scripted)
    assert held.ask("Hi").text == "Hi."
    assert records(held)[0].occurrence == 0

    def refuse(name: str) -> None:
        raise AssertionError(name)

    json.loads(held.dialogue_log_path.read_bytes(), parse_constant=refuse)


@pytest.mark.parametrize("way", ALL)
@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_limit_that_was_asked_for_is_no_error(
    scripted: ScriptedServer, way: Way, limit: str
) -> None:
    """Who sets a limit gets what fits, and sees why it ended."""
    scripted.script.then(answer(FEW, "length"))
    reply = way.send(live(scripted), request(parameters={limit: 2}))
    assert (reply.text, reply.finish_reason) == (FEW, "length")


@pytest.mark.parametrize("way", ALL)
def test_a_stream_that_does_not_say_so(scripted: ScriptedServer, way: Way) -> None:
    """Events under another content type are read as events."""

    def make(asked_for: Any) -> Plan:
        asked_for.json["stream"] = True
        plan = answer(FOX).plan(asked_for)
        return Plan(200, (("content-type", "text/plain"),), plan.pieces, chunked=True)

    scripted.script.then(Custom(make))
    heard = Heard()
    assert way.send(live(scripted), request(), heard).text == FOX
    assert heard.text == (FOX if way.streams else "")


@pytest.mark.parametrize("way", STREAMS)
def test_a_last_event_without_a_blank_line(scripted: ScriptedServer, way: Way) -> None:
    """The end of the stream ends its last event too, and the listener hears it."""
    chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": "Hi."}, "finish_reason": "stop"}]}  # fmt: skip
    scripted.script.then(
        failures.raw(f"data: {json.dumps(chunk)}\n", content_type="text/event-stream")
    )
    heard = Heard()
    assert way.send(live(scripted), request(), heard).text == heard.text == "Hi."


@pytest.mark.parametrize("way", ALL)
def test_an_emoji_in_two_halves(scripted: ScriptedServer, way: Way) -> None:
    """A character cut into two chunks is heard and kept as one."""
    scripted.script.then(failures.split_surrogates())
    heard = Heard()
    reply = way.send(live(scripted), request(), heard)
    assert reply.text == "ab😀yz"
    assert heard.pieces == (["ab", "😀yz"] if way.streams else [])


@pytest.mark.parametrize("way", ALL)
def test_lone_surrogates(scripted: ScriptedServer, way: Way) -> None:
    """They are kept as they came, replay the same, and go out as U+FFFD in the next turn."""
    scripted.script.then(failures.lone_surrogates(), answer("ends in \ud83d"))
    held = session(scripted)
    said = [way.ask(held, "Hi").text, way.ask(held, "And?").text]
    assert said == ["before \udc80 after", "ends in \ud83d"]
    assert asked(scripted)[1][1] == ("assistant", "before \ufffd after")
    again = session(mode="replay")
    assert [way.ask(again, text).text for text in ("Hi", "And?")] == said
    assert (
        json.loads(held.dialogue_log_path.read_bytes())["exchanges"][0]["reply"]["text"] == said[0]
    )


@pytest.mark.parametrize("way", ALL)
def test_a_prompt_with_anything_in_it(scripted: ScriptedServer, way: Way) -> None:
    """Control characters, separators and lone surrogates are asked, recorded and replayed."""
    odd = "a\x00b\x1b[31m\r\n\u2028\x85\ufeff\ud800 {{ }} \\u0041 </script> 😀"
    scripted.script.then("Fine.")
    assert way.ask(session(scripted), odd).text == "Fine."
    assert asked(scripted)[0] == [("user", odd.replace("\ud800", "\ufffd"))]
    assert way.ask(session(mode="replay"), odd).text == "Fine."


@pytest.mark.parametrize("way", [ASTREAMED])
def test_ten_megabytes_of_prompt(scripted: ScriptedServer, way: Way) -> None:
    """They are sent, recorded and replayed; another such prompt is missed in a few lines."""
    prompt = "".join(f"line {number}\n" for number in range(900_000))
    assert len(prompt) > 10_000_000
    scripted.script.then("Fine.")
    assert way.ask(session(scripted), prompt).text == "Fine."
    assert scripted.requests[0].messages[0]["content"] == prompt
    again = session(mode="replay")
    assert way.ask(again, prompt).text == "Fine."
    with pytest.raises(ours.ReplayMiss) as caught:
        way.ask(session(mode="replay"), prompt.replace("line 4000\n", "line four\n"))
    said = str(caught.value)
    assert "-line 4000" in said
    assert "+line four" in said
    assert len(said) < 2000


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("message", ["", " \n\t", None, 7, ["", " "], {"Hi": 1}, b"Hi"])
def test_no_prompt(scripted: ScriptedServer, way: Way, message: Any) -> None:
    """An empty prompt, or what is no text, is refused before anything is sent."""
    with pytest.raises(ours.OptionError, match="The prompt is"):
        way.ask(session(scripted), message)
    assert scripted.requests == []


@pytest.mark.parametrize("way", BOTH)
def test_a_prompt_that_holds_the_key(
    scripted: ScriptedServer, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is neither sent nor recorded, wherever the key comes from; the message does not show it."""
    held = session(scripted)
    with pytest.raises(ours.OptionError, match="holds the API key") as caught:
        way.ask(held, f"Why is {KEY} refused?")
    assert KEY not in str(caught.value)
    other = "gsk_another-key-of-another-service"
    monkeypatch.setenv("OPENAI_API_KEY", other)
    with pytest.raises(ours.OptionError, match="holds the API key"):
        way.ask(session(scripted, api_key=None), f"And {other}?")
    assert scripted.requests == []
    assert not held.dialogue_log_path.exists()


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"system_instruction": f"You are {KEY}."}, id="system"),
        pytest.param({"user": KEY}, id="parameter"),
        pytest.param({"metadata": {"a": [KEY]}}, id="nested"),
        pytest.param({"model": KEY}, id="model"),
    ],
)
def test_a_request_that_holds_the_key(
    scripted: ScriptedServer, way: Way, options: dict[str, Any]
) -> None:
    """Wherever in the request it is, nothing is sent or recorded."""
    held = session(scripted)
    with pytest.raises(ours.OptionError, match="holds the API key") as caught:
        way.ask(held, "Hi", **options)
    assert KEY not in str(caught.value)
    assert scripted.requests == []
    assert not held.dialogue_log_path.exists()


def test_a_system_instruction_of_the_environment_that_holds_the_key(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the surroundings add is recorded too, so it is looked at too."""
    monkeypatch.setenv("OPENAI_MAGICS_SYSTEM_INSTRUCTION", f"You are {KEY}.")
    with pytest.raises(ours.OptionError, match="holds the API key"):
        session(scripted).ask("Hi")
    assert scripted.requests == []


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    ("parameters", "kind"),
    [
        pytest.param({"temperature": float("nan")}, ours.OptionError, id="NaN"),
        pytest.param({"stop": {"a set"}}, ours.OptionError, id="a set"),
        pytest.param({"metadata": {1: object()}}, ours.OptionError, id="an object"),
        pytest.param({"max_hystory": 3}, ours.OptionError, id="a slip"),
        pytest.param({"mode": "offline"}, ours.SettingError, id="mode"),
        pytest.param({"max_history": -1}, ours.SettingError, id="count"),
        pytest.param({"sentiment": "guess"}, ours.SettingError, id="sentiment"),
        pytest.param({"base_url": "localhost:80"}, ours.SettingError, id="base_url"),
    ],
)
def test_an_argument_that_is_not_possible(
    scripted: ScriptedServer, way: Way, parameters: Mapping[str, Any], kind: type[Exception]
) -> None:
    """It is an error of ours before anything is sent, and the session goes on as before."""
    held = session(scripted)
    with pytest.raises(kind):
        way.ask(held, "Hi", **parameters)
    assert scripted.requests == []
    assert way.ask(held, "Hi").text == "You said: Hi. (turn 1, messages 1)"
    assert records(held)[0].occurrence == 0


@pytest.mark.parametrize("way", [WHOLE, ASTREAMED])
def test_an_unknown_model(scripted: ScriptedServer, way: Way) -> None:
    """The error names it as the service does, and says where the names are."""
    scripted.script.then(errors.model_not_found())
    with pytest.raises(ours.ModelNotFound, match="`gpt-9` does not exist") as caught:
        way.ask(session(scripted, model="gpt-9"), "Hi")
    assert caught.value.remedy == "See what it has: %models"


def test_what_a_listing_may_be(scripted: ScriptedServer) -> None:
    """A listing without data, or with rows that are none, has the columns all the same."""
    for value in ({"object": "list"}, {"data": None}, {"data": ["a", {"id": "b"}]}):
        scripted.route("GET", "/models", lambda _, value=value: as_json(value))
        frame = session(scripted).list_models(mode="live")
        assert list(frame.columns[:4]) == ["id", "created", "owned_by", "shutdown_date"]
        assert list(frame["id"]) == (["b"] if value.get("data") else [])
    assert len(scripted.take_problems()) == 3
    scripted.route("GET", "/models", lambda _: failures.html())
    with pytest.raises(ours.BadReply, match="a web page, not a listing"):
        session(scripted).list_models(mode="live")


def test_a_cost_that_is_not_known(scripted: ScriptedServer) -> None:
    """It is NaN, and null in the record."""
    held = session(scripted)
    assert math.isnan(held.ask("Hi").cost)
    assert json.loads(held.dialogue_log_path.read_bytes())["exchanges"][0]["cost"] is None
    assert math.isnan(session(mode="replay").ask("Hi").cost)


def test_a_request_made_by_hand(scripted: ScriptedServer) -> None:
    """A parameter that asks for a stream gets one, though nobody listens."""
    reply = STREAMED.send(live(scripted), request(parameters={"n": 2}))
    assert reply.text == "You said: Hi. (turn 1, messages 1)"
    quiet = live(scripted).send(Request(messages=request().messages, parameters={"stream": True}))
    assert quiet.text == reply.text
