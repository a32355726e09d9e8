"""Structured answers against a real server: what is sent, what is asked for once more, what replays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openai_magics import errors as ours
from tests.scripted import Request, ScriptedServer, answer, error, failures
from tests.server.ways import ALL, BOTH, STREAMS, Way, asked, records, session
from tests.unit.shapes import City, Loose

GOOD = '{"name": "Oslo", "population": 709037, "founded": null}'
BAD = '{"name": "Oslo", "population": "many"}'
OSLO = City("Oslo", 709037)


def sent(server: ScriptedServer, number: int = -1) -> Any:
    """Return the ``response_format`` of a request."""
    return server.requests[number].json.get("response_format")


@pytest.mark.parametrize("way", ALL)
def test_strict_and_an_instance(scripted: ScriptedServer, way: Way) -> None:
    """The server gets the strict schema, ``data`` is an instance; so it is when replayed."""
    scripted.script.then(GOOD)
    live = way.ask(session(scripted), "The capital of Norway?", schema=City)
    assert live.data == OSLO
    form = sent(scripted)
    assert form["type"] == "json_schema"
    assert form["json_schema"]["strict"] is True
    assert form["json_schema"]["schema"]["required"] == ["name", "population", "founded"]
    again = session(mode="replay")
    replayed = way.ask(again, "The capital of Norway?", schema=City)
    assert replayed.replayed
    assert replayed.data == OSLO
    assert type(replayed.data) is City
    assert replayed == live
    (record,) = records(again)
    assert record.request.schema is not None
    assert record.request.schema["name"] == "City"
    assert record.resolved.parameters == {}
    assert record.answer is not None
    assert record.answer.data == {"name": "Oslo", "population": 709037, "founded": None}
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("way", BOTH)
def test_asked_for_once_more(scripted: ScriptedServer, way: Way) -> None:
    """An answer that does not fit is asked for again with what is wrong, which the records show.

    The next turn is sent the answer that stands, and no more of how it came about.
    """
    scripted.script.then(BAD, GOOD, "It is on a fjord.")
    held = session(scripted)
    reply = way.ask(held, "The capital of Norway?", schema=City)
    assert reply.data == OSLO
    assert len(reply.steps) == 1
    assert "population" in reply.steps[0].misfit
    way.ask(held, "Where is it?")
    prompts = asked(scripted)
    assert [role for role, _ in prompts[1]] == ["user", "assistant", "user"]
    assert prompts[1][1][1] == BAD
    assert "- population: Input should be a valid integer" in prompts[1][2][1]
    assert [role for role, _ in prompts[2]] == ["user", "assistant", "user"]
    assert [text for _, text in prompts[2]] == ["The capital of Norway?", GOOD, "Where is it?"]
    first, second, third = records(held)
    assert [item.request.kind for item in (first, second, third)] == ["ask", "reask", "ask"]
    assert second.request.parent == first.id
    assert third.request.parent == second.id
    assert second.request.schema == first.request.schema
    count = len(scripted.requests)
    replaying = session(mode="replay")
    again = way.ask(replaying, "The capital of Norway?", schema=City)
    assert (again, again.steps) == (reply, reply.steps)
    assert way.ask(replaying, "Where is it?").replayed
    assert len(scripted.requests) == count


@pytest.mark.parametrize("way", BOTH)
def test_outside_of_a_conversation(scripted: ScriptedServer, way: Way) -> None:
    """Also without history the second exchange sees the first, and nothing joins anything."""
    scripted.script.then(BAD, GOOD, "Yes.")
    held = session(scripted)
    assert way.ask(held, "Oslo?", schema=City, history=False).data == OSLO
    way.ask(held, "And?")
    assert [len(each) for each in asked(scripted)] == [1, 3, 1]
    assert way.ask(session(mode="replay"), "Oslo?", schema=City, history=False).data == OSLO


@pytest.mark.parametrize("way", BOTH)
def test_neither_fits(scripted: ScriptedServer, way: Way) -> None:
    """After two answers that do not fit it is an error, which keeps the reply and replays."""
    scripted.script.then(BAD, "no JSON at all")
    for held in (session(scripted), session(mode="replay")):
        with pytest.raises(ours.SchemaMismatch, match="not JSON") as caught:
            way.ask(held, "Oslo?", schema=City)
        assert caught.value.reply is not None
        assert caught.value.reply.text == "no JSON at all"
        assert caught.value.reply.id == records(held)[-1].id
        assert [item.error for item in records(held)] == [None, None]
        assert len(held.conversations["main"].turns) == 2
    assert len(scripted.requests) == 2


def test_words_of_another_pydantic(scripted: ScriptedServer) -> None:
    """What was asked again is found by the answer before it, whatever its words were."""
    scripted.script.then(BAD, GOOD)
    held = session(scripted)
    held.ask("Oslo?", schema=City)
    path = held.dialogue_log_path
    text = path.read_text("utf-8")
    assert "Input should be a valid integer" in text
    lines = text.replace("Input should be a valid integer", "This is no integer").splitlines()
    record = json.loads(lines[2].rstrip(","))
    from openai_magics.exchange import Exchange

    mended = Exchange.from_record(record)
    lines[2] = json.dumps({**record, "fingerprint": mended.fingerprint, "id": mended.id})
    path.write_text("\n".join(lines) + "\n", "utf-8")
    assert session(mode="replay").ask("Oslo?", schema=City).data == OSLO


@pytest.mark.parametrize("way", BOTH)
def test_max_history_counts_asks(scripted: ScriptedServer, way: Way) -> None:
    """What asks once more is no turn of its own where turns are counted."""
    scripted.script.then("One.", BAD, GOOD, "Two.", "Three.")
    held = session(scripted)
    way.ask(held, "a", max_history=1)
    way.ask(held, "b", max_history=1, schema=City)
    way.ask(held, "c", max_history=1)
    way.ask(held, "d", max_history=0)
    prompts = [[text for role, text in each if role == "user"] for each in asked(scripted)]
    assert [len(each) for each in prompts] == [1, 2, 3, 2, 1]
    assert prompts[2][:2] == ["a", "b"]
    assert prompts[3][0] == "b"


@pytest.mark.parametrize("way", BOTH)
def test_new_begins_once(scripted: ScriptedServer, way: Way) -> None:
    """``new`` drops what was before, not the first exchange of this very ask."""
    scripted.script.then("One.", BAD, GOOD, "Two.")
    held = session(scripted)
    way.ask(held, "a")
    way.ask(held, "b", new=True, schema=City)
    way.ask(held, "c")
    assert [len(each) for each in asked(scripted)] == [1, 1, 3, 3]
    assert len(held.conversations["main"].turns) == 3


@pytest.mark.parametrize("way", BOTH)
def test_cannot_be_strict(scripted: ScriptedServer, way: Way) -> None:
    """It is sent without strict, said why, and checked."""
    text = '{"scores": {"a": 1}, "pair": [1, "b"], "anything": null}'
    scripted.script.then(text)
    reply = way.ask(session(scripted), "Scores?", schema=Loose)
    assert reply.data == Loose(scores={"a": 1}, pair=(1, "b"), anything=None)
    assert sent(scripted)["json_schema"]["strict"] is False
    assert reply.shape is not None
    assert "`scores` takes any names (a dict)" in reply.shape.loose()


REFUSED = error(
    400,
    "unsupported_parameter",
    "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
)


def only(*types: str) -> Any:
    """Return a script of a server that takes only some types of ``response_format``."""

    def reply(request: Request) -> Any:
        kind = (request.json.get("response_format") or {}).get("type", "none")
        return GOOD if kind in types else REFUSED

    return reply


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    ("takes", "tried"),
    [
        ("json_object", ["json_schema", "json_schema", "json_object", "json_object"]),
        ("none", ["json_schema", "json_schema", "json_object", None, None]),
    ],
)
def test_a_server_without_it(
    scripted: ScriptedServer, way: Way, takes: str, tried: list[str | None]
) -> None:
    """Where the schema is refused it goes in words; that is remembered, and the record says it."""
    scripted.script.always(only(takes))
    held = session(scripted)
    assert way.ask(held, "Oslo?", schema=City).data == OSLO
    assert way.ask(held, "Again?", schema=City).data == OSLO
    kinds = [(each.json.get("response_format") or {}).get("type") for each in scripted.requests]
    assert kinds == tried
    assert '"population"' in scripted.requests[-1].json["messages"][0]["content"]
    for item in records(held):
        assert item.error is None
        assert item.resolved.parameters["response_format"]["type"] in ("json_object", "text")
        assert "Answer with JSON" in str(item.resolved.system)
    assert way.ask(session(mode="replay"), "Oslo?", schema=City).data == OSLO


def test_other_refusals_are_no_reason(scripted: ScriptedServer) -> None:
    """A request that is refused for something else is not sent again."""
    scripted.script.then(error(400, "unsupported_value", "Unsupported value: 'temperature'."))
    with pytest.raises(ours.RequestRefused, match="temperature"):
        session(scripted).ask("Oslo?", schema=City, temperature=2)
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("way", ALL)
def test_cut_in_the_middle(scripted: ScriptedServer, way: Way) -> None:
    """An answer cut at the limit is not asked for again: it would be cut again."""
    scripted.script.then(answer(BAD[:20], "length"), answer(BAD[:20], "length"))
    held = session(scripted)
    with pytest.raises(ours.SchemaMismatch, match="token limit") as caught:
        way.ask(held, "Oslo?", schema=City, max_completion_tokens=5)
    assert caught.value.reply is not None
    with pytest.raises(ours.LengthCut):
        way.ask(held, "Oslo?", schema=City)
    assert len(scripted.requests) == 2


@pytest.mark.parametrize("way", ALL)
def test_refused(scripted: ScriptedServer, way: Way) -> None:
    """A refusal is one, with a schema too, and is not asked again."""
    scripted.script.then(answer(None, refusal="I cannot."))
    for held in (session(scripted), session(mode="replay")):
        with pytest.raises(ours.ContentRefused, match="I cannot"):
            way.ask(held, "Oslo?", schema=City)
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("way", STREAMS)
def test_ends_early(scripted: ScriptedServer, way: Way) -> None:
    """A stream that ends in the middle of the JSON is a cut answer, not one that does not fit."""
    scripted.script.then(failures.cut(BAD), GOOD)
    held = session(scripted)
    with pytest.raises(ours.BadReply) as caught:
        way.ask(held, "Oslo?", schema=City)
    assert not isinstance(caught.value, ours.SchemaMismatch)
    assert way.ask(held, "Oslo?", schema=City).data == OSLO


def test_the_second_one_fails(scripted: ScriptedServer) -> None:
    """What fails in between leaves the conversation as it was, and is gone on with later."""
    scripted.script.then(BAD, error(500), GOOD)
    held = session(scripted)
    with pytest.raises(ours.Unreachable):
        held.ask("Oslo?", schema=City)
    assert held.conversations["main"].turns == []
    assert held.ask("Oslo?", schema=City).data == OSLO
    assert [item.occurrence for item in records(held)] == [0, None, 0]
    assert len(scripted.requests) == 3


def test_another_schema_is_another_request(scripted: ScriptedServer) -> None:
    """A changed schema is asked anew; in replay the miss names it."""
    scripted.script.then(GOOD)
    session(scripted).ask("Oslo?", schema=City)
    with pytest.raises(ours.ReplayMiss, match="schema"):
        session(mode="replay").ask("Oslo?")
