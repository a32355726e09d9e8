"""The values, and the hashes that are promised to every other tool."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from openai_magics.canonical import canonical_json
from openai_magics.dialogue import record_line
from openai_magics.exchange import (
    SAID,
    Exchange,
    Reply,
    Request,
    Resolved,
)
from tests.unit.making import ask, exchange

HELLO = "v1:e778f6a0ff713e04ec2b302c2cb50a468f71634c240ee2c4b2ff28bb2590f0b5"
"""``printf 'openai_magics/fingerprint/1\\n{"endpoint":null,"kind":"ask",…}' | sha256sum``"""


def by_hand(tag: str, text: str) -> str:
    """Return the hash as another tool would make it from the docstring."""
    return hashlib.sha256(tag.encode() + b"\n" + text.encode()).hexdigest()


def test_known_fingerprint() -> None:
    """The fingerprint of version 1 never changes: notebooks are recorded with it."""
    assert ask("Hello").fingerprint == HELLO


def test_known_fingerprint_of_everything_set() -> None:
    """So with all that a notebook can say."""
    request = Request(
        kind="ask",
        model="gpt-5.5",
        endpoint="http://localhost:11434/v1",
        parameters={"temperature": 0.0, "top_p": 0.9, "logit_bias": {9: 1, 10: 2}},
        schema={"type": "object"},
        tools=({"type": "function"},),
        system='Be "brief".\n',
        messages=({"role": "user", "content": "Größe? 👋"},),
        max_history=3,
        parent="abc",
    )
    known = "v1:3db980e259438f327fa1a3cda903fef0b161f6e78e814b363ed7a291754b927c"
    assert request.fingerprint == known


@pytest.mark.parametrize(
    ("record", "known"),
    [
        pytest.param(
            Exchange(ask("Hello"), Reply(text="Hi!", finish_reason="stop")),
            "cf17184d77e171455ff1ebd9df22b8cada0c94b2a9e5894aeebca42fef7ee0b1",
            id="an answer",
        ),
        pytest.param(
            Exchange(
                ask("Hello"),
                error={
                    "type": "Unreachable",
                    "problem": "p",
                    "remedy": "",
                    "status": 500,
                    "code": None,
                },
                occurrence=None,
            ),
            "19d92a4e47b079328e0c2de1438cb30869cff50ce0873e0e8cc66f7df4587148",
            id="a failure",
        ),
    ],
)
def test_known_id(record: Exchange, known: str) -> None:
    """The id of a record of version 1 never changes: later turns hang on it."""
    assert record.id == known


def test_another_tool_computes_both_from_the_line() -> None:
    """A tool that has read the docstring needs nothing but the record's line."""
    made = exchange("Größe? 👋", "42\u2028\n", conversation="main", cell="abc")
    record = json.loads(record_line(made))
    asked, said = record["request"], record["reply"]
    names = ("model", "endpoint", "parameters", "schema", "tools", "system", "messages")
    fields = {name: asked[name] for name in (*names, "max_history")}
    fields |= {"kind": record["kind"], "parent": record["parent"]}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    fingerprint = "v1:" + by_hand("openai_magics/fingerprint/1", text)
    names = ("text", "refusal", "tool_calls", "finish_reason", "payload")
    inner = {
        "fingerprint": fingerprint,
        "occurrence": record["occurrence"],
        "reply": {name: said[name] for name in names},
        "error": record["error"],
    }
    text = json.dumps(inner, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert fingerprint == record["fingerprint"] == made.fingerprint
    assert by_hand("openai_magics/record/1", text) == record["id"] == made.id


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "describe"},
        {"model": "gpt-5.5"},
        {"endpoint": "http://localhost:11434/v1"},
        {"parameters": {"temperature": 0}},
        {"schema": {"type": "object"}},
        {"tools": ({"type": "function"},)},
        {"system": ""},
        {"messages": ({"role": "user", "content": "What is a tide? "},)},
        {"messages": ({"role": "system", "content": "What is a tide?"},)},
        {"max_history": 0},
        {"parent": "abc"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_the_notebook_says_makes_another_request(change: dict[str, Any]) -> None:
    """Each thing a notebook can say counts, to the last space."""
    assert dataclasses.replace(ask(), **change).fingerprint != ask().fingerprint


def test_said_names_what_enters() -> None:
    """Every field of a request enters its fingerprint but the slot, the history before it and
    the bytes of files and images, whose hashes stand in it; the protocol does where it is said.
    """
    assert "api" not in Request().said
    assert Request(api="responses").said["api"] == "responses"
    names = {item.name for item in dataclasses.fields(Request)}
    assert names - set(SAID) == {"api", "history", "occurrence", "upload", "attachments"}


@pytest.mark.parametrize(
    "change",
    [
        {"history": ({"role": "user", "content": "before"},)},
        {"occurrence": 3},
        {"upload": b"{}"},
        {"parameters": MappingProxyType({})},
        {"messages": [{"content": "What is a tide?", "role": "user"}]},
    ],
    ids=[
        "the history",
        "the slot",
        "the upload",
        "another kind of mapping",
        "order of keys, list or tuple",
    ],
)
def test_what_does_not_make_another_request(change: dict[str, Any]) -> None:
    """The history enters through the parent alone; how values are held does not matter."""
    assert dataclasses.replace(ask(), **change).fingerprint == ask().fingerprint


def test_parts_of_an_answer() -> None:
    """An answer is its text; code, tables and sections are found in it."""
    reply = Reply("# A\n\n|n|\n|-|\n|1|\n\n```py\nx = 1\n```")
    assert str(reply) == reply.text
    assert (reply.code, list(reply.sections)) == ("x = 1", ["A"])
    assert [frame.to_dict("list") for frame in reply.tables] == [{"n": [1]}]


def test_zero_is_zero() -> None:
    """``-t 0``, ``temperature=0`` and ``temperature=0.0`` are one request."""
    whole, point = (ask(parameters={"temperature": value}) for value in (0, 0.0))
    assert whole.fingerprint == point.fingerprint
    assert ask(parameters={"temperature": 0.5}).fingerprint != whole.fingerprint
    assert ask(parameters={"stream": True}).fingerprint != ask(parameters={"stream": 1}).fingerprint


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"text": "Another."}, False, id="text"),
        pytest.param({"refusal": "No."}, False, id="refusal"),
        pytest.param({"tool_calls": ({"id": "1"},)}, False, id="tool calls"),
        pytest.param({"finish_reason": "length"}, False, id="finish reason"),
        pytest.param({"payload": {}}, False, id="payload"),
        pytest.param({"model": "gpt-5.5"}, True, id="served model"),
        pytest.param({"response_id": "r1"}, True, id="response id"),
        pytest.param({"system_fingerprint": "fp"}, True, id="system fingerprint"),
        pytest.param({"usage": {"prompt_tokens": 3}}, True, id="usage"),
        pytest.param({"cost": 0.1}, True, id="cost"),
        pytest.param({"sentiment": "positive"}, True, id="sentiment"),
        pytest.param({"resolved": Resolved("m")}, True, id="what was resolved"),
    ],
)
def test_id_is_of_what_was_said(change: dict[str, Any], same: bool) -> None:
    """The same answer given again is the same one, whoever serves it at whatever price."""
    answered = Reply(text="The sea's breath.", finish_reason="stop")
    other = dataclasses.replace(answered, **change)
    assert (Exchange(ask(), other).id == Exchange(ask(), answered).id) is same


def test_id_is_of_its_slot() -> None:
    """Two slots with one answer are two records."""
    assert len({exchange(occurrence=n).id for n in (0, 1, None)}) == 3


FULL = Exchange(
    Request(
        kind="ask",
        model="gpt-5.5",
        endpoint="http://localhost/v1",
        parameters={"temperature": 0.5, "stop": ["a", "b"]},
        schema={"type": "object", "properties": {"a": {"type": "string"}}},
        tools=[{"type": "function"}],
        system="Be brief.",
        messages=({"role": "user", "content": [{"type": "text", "text": "a"}]},),
        max_history=2,
        parent="f" * 64,
        occurrence=3,
    ),
    Reply(
        text="The answer.\r\n\ud800",
        finish_reason="stop",
        refusal="but",
        tool_calls=({"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}},),
        payload={"data": [1]},
        model="gpt-5.5-2026",
        response_id="r1",
        system_fingerprint="fp1",
        usage={"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}},
        cost=0.25,
        sentiment="neutral",
    ),
    error={"type": "LengthCut", "problem": "p", "remedy": "r", "status": None, "code": None},
    occurrence=3,
    resolved=Resolved("gpt-5.5", "localhost", "Be brief.", {"temperature": 0.5}),
    conversation="main",
    cell="abc",
    format="json",
    created="2026-11-23T07:00:00.000+00:00",
    duration=1.25,
    extra={"judge": {"name": "x"}},
)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(FULL, id="everything set"),
        pytest.param(exchange(), id="an answer"),
        pytest.param(Exchange(ask()), id="a request without an answer"),
        pytest.param(Exchange(ask(), error={"type": "Unreachable"}, occurrence=None), id="failed"),
        pytest.param(Exchange(Request(kind="models"), Reply(payload={"data": []})), id="a listing"),
        pytest.param(Exchange(ask(parameters={"logit_bias": {9: 1, 10: 2}})), id="number keys"),
        pytest.param(exchange("\ud83d\ude00", "\ud83d\ude00"), id="a pair of surrogates"),
    ],
)
def test_round_trip(made: Exchange) -> None:
    """A record that went through the file is the exchange it was, with the same hashes."""
    back = Exchange.from_record(json.loads(record_line(made)))
    assert (back.fingerprint, back.id) == (made.fingerprint, made.id)
    assert canonical_json(back.to_record()) == canonical_json(made.to_record())
    assert back.request.occurrence == (made.occurrence or 0)


def test_full_round_trip_is_equal() -> None:
    """Field by field."""
    back = Exchange.from_record(json.loads(record_line(FULL)))
    assert back == FULL
    assert back.reply is not None
    assert back.reply.cost == 0.25
    assert back.answer is not None
    assert back.answer.resolved == FULL.resolved
    assert (back.answer.id, back.answer.fingerprint) == (FULL.id, FULL.fingerprint)


def test_the_order_of_a_line() -> None:
    """Fingerprint and occurrence stand first, for whoever scans lines; the order is fixed."""
    assert list(FULL.to_record()) == [
        "fingerprint",
        "occurrence",
        "id",
        "kind",
        "conversation",
        "cell",
        "parent",
        "request",
        "reply",
        "error",
        "usage",
        "cost",
        "sentiment",
        "format",
        "created",
        "duration",
        "judge",
    ]


def test_unknown_fields_are_kept() -> None:
    """What a newer version adds is not dropped when a record is written again, at any depth."""
    record = exchange().to_record()
    record["verdict"] = {"a": [1]}
    record["request"]["images"] = [{"sha256": "0"}]
    record["request"]["resolved"]["region"] = "eu"
    record["reply"]["audio"] = {"id": "a"}
    back = Exchange.from_record(record)
    assert back.to_record() == record
    assert (back.fingerprint, back.id) == (record["fingerprint"], record["id"])


def test_unknown_fields_do_not_take_the_place_of_known_ones() -> None:
    """A field of a newer version that is named like an attribute of ours is only kept."""
    record = exchange().to_record()
    record["reply"] |= {"replayed": True, "id": "x", "resolved": {"model": "x"}}
    back = Exchange.from_record(record)
    assert back.reply == exchange().reply
    assert back.to_record() == record


@pytest.mark.parametrize(
    "missing",
    [
        "conversation",
        "cell",
        "parent",
        "error",
        "usage",
        "cost",
        "sentiment",
        "format",
        "created",
        "duration",
    ],
)
def test_missing_fields_take_their_defaults(missing: str) -> None:
    """A record of an older version, without a field, is as valid."""
    made = exchange()
    record = {name: value for name, value in made.to_record().items() if name != missing}
    assert Exchange.from_record(record) == made


def test_the_least_record() -> None:
    """A request with messages and an answer with text are enough."""
    least: Mapping[str, Any] = {
        "kind": "ask",
        "occurrence": 0,
        "request": {"messages": [{"role": "user", "content": "What is a tide?"}]},
        "reply": {"text": "The sea's breath.", "finish_reason": "stop"},
    }
    assert Exchange.from_record(least) == exchange()


@pytest.mark.parametrize(
    "record",
    [{}, {"kind": "ask"}, {"kind": "ask", "request": {}}, {"request": 3, "kind": "ask"}],
    ids=["empty", "no request", "no occurrence", "a request that is none"],
)
def test_what_is_no_record(record: dict[str, Any]) -> None:
    """What is not a record at all is said, for the file to name its line."""
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        Exchange.from_record(record)


def test_an_unknown_price_is_null() -> None:
    """NaN, which JSON does not know, is null in the file and NaN again in the hand."""
    record = exchange().to_record()
    assert record["cost"] is None
    reply = Exchange.from_record(record).reply
    assert reply is not None
    assert math.isnan(reply.cost)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        pytest.param(Reply("Hi"), {"role": "assistant", "content": "Hi"}, id="text"),
        pytest.param(Reply(""), {"role": "assistant", "content": ""}, id="empty"),
        pytest.param(
            Reply("", refusal="No."),
            {"role": "assistant", "content": "", "refusal": "No."},
            id="refusal",
        ),
        pytest.param(
            Reply("", tool_calls=({"id": "1"},)),
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
            id="tool calls",
        ),
    ],
)
def test_reply_as_message(reply: Reply, message: dict[str, Any]) -> None:
    """In the history of later turns an answer is the message that the API takes."""
    assert reply.message == message
