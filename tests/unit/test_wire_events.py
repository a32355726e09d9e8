"""Server-sent events to the pieces of an answer, however the bytes come."""

from __future__ import annotations

import json

import pytest

from openai_magics import errors
from openai_magics.errors import BadReply
from openai_magics.exchange import Reply
from openai_magics.wire import chat
from tests.unit.streams import USAGE, completion, delta, event, read, reply_of, stream, words

PIECES = ["Grö", "ße ", "漢字\u2028", "👋", "\r\n", " data: x\n\n", "[DONE]", ""]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, None])
def test_however_the_bytes_come(end: str, size: int | None) -> None:
    """A stream says the same in parts of any size and with each kind of line end."""
    pieces, reply = read(words(*PIECES, end=end), size)
    assert pieces == PIECES[:-1]
    assert reply == Reply(
        text="".join(PIECES),
        finish_reason="stop",
        model="gpt-5.5-2026",
        response_id="chatcmpl-1",
        system_fingerprint="fp_1",
        usage=USAGE,
    )


def test_text_comes_as_soon_as_its_event_ends() -> None:
    """Nothing is held back that can be shown."""
    reader, data = chat.StreamReader(), event(delta(content="a"))
    assert list(reader.feed(data[:-1])) == []
    assert list(reader.feed(data[-1:])) == ["a"]
    assert reader.text == "a"


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(b": keep-alive\n\n", id="a comment"),
        pytest.param(b":\n\n", id="an empty comment"),
        pytest.param(b"event: message\nid: 7\nretry: 10\n", id="other fields"),
        pytest.param(b"\n\n\n", id="blank lines"),
        pytest.param(b"data:\n\n", id="empty data"),
        pytest.param(b"data: \n\n", id="blank data"),
        pytest.param(b"unknown\n", id="a field without a value"),
        pytest.param(event(delta(index=1, content="other")), id="another choice"),
        pytest.param(event({"choices": []}), id="no choice"),
        pytest.param(event({"choices": None}), id="null choices"),
        pytest.param(event(delta()), id="an empty delta"),
        pytest.param(event({"choices": [{"delta": None}]}), id="a null delta"),
        pytest.param(event(delta(content=None)), id="null content"),
        pytest.param(
            event({"id": "", "model": "", "prompt_filter_results": []}), id="Azure's first"
        ),
    ],
)
def test_what_says_nothing(extra: bytes) -> None:
    """Comments, other fields and empty events do not disturb an answer."""
    begin, middle, end = event(delta(content="a")), event(delta(content="b")), stream(delta("stop"))
    pieces, reply = read(extra + begin + extra + middle + extra + end)
    assert (pieces, reply.text) == (["a", "b"], "ab")
    assert (reply.response_id, reply.model) == ("chatcmpl-1", "gpt-5.5-2026")


def test_data_over_lines() -> None:
    """An event's data may come on several lines."""
    text = json.dumps(delta(content="a"), indent=1)
    data = "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"
    assert read(data.encode() + stream(delta("stop")))[0] == ["a"]


def test_no_space_after_the_colon() -> None:
    """Nor need there be a space."""
    data = stream(delta(content="a"), delta("stop")).replace(b"data: ", b"data:")
    assert read(data)[0] == ["a"]


def test_an_event_without_its_blank_line() -> None:
    """The last event counts, though the connection ends before its blank line."""
    data = stream(delta(content="a"), delta("stop", content="b"), done=False).removesuffix(b"\n")
    pieces, reply = read(data)
    assert (pieces, reply.text, reply.finish_reason) == (["a", "b"], "ab", "stop")


def test_a_character_in_two_events() -> None:
    """An emoji that comes as two surrogates is one character in the answer."""
    halves = b"".join(
        b'data: {"choices": [{"delta": {"content": "%s"}}]}\n\n' % half
        for half in (b"a\\ud83d", b"\\ude00b", b"\\ud800")
    )
    _, reply = read(halves + stream(delta("stop")))
    assert reply.text == "a😀b\ud800"


def test_tool_calls_in_pieces() -> None:
    """The arguments of each call are put together, by its index."""
    first = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
    chunks = [
        delta(tool_calls=[first]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"a": "\ud83d'}}]),
        delta(tool_calls=[{"index": 1, "id": "c2", "function": {"name": "g"}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '\ude00"}'}}]),
        delta(tool_calls=[{"index": 1, "function": {"arguments": "{}"}}]),
        delta("tool_calls"),
    ]
    data = b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks)
    _, reply = read(data)
    assert reply.tool_calls == (
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": "😀"}'}},
        {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    )


def test_a_tool_call_without_an_index() -> None:
    """Some servers send none, or null."""
    chunk = delta("tool_calls", tool_calls=[{"index": None, "id": "c", "function": {"name": "f"}}])
    assert [call["id"] for call in read(stream(chunk))[1].tool_calls] == ["c"]


def test_a_refusal_in_pieces() -> None:
    """A refusal is put together as text is."""
    with pytest.raises(errors.ContentRefused, match="I will not") as caught:
        read(stream(delta(refusal="I will"), delta(refusal=" not"), delta("stop")))
    assert caught.value.reply is not None
    assert caught.value.reply.refusal == "I will not"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"", "an empty stream", id="nothing"),
        pytest.param(b": comment\n\n", "an empty stream", id="a comment only"),
        pytest.param(b"data: [DONE]\n\n", "ended before the answer", id="the end only"),
        pytest.param(stream(delta(content="a"), done=False), "ended before the answer", id="early"),
        pytest.param(stream(delta(content="a")), "ended before the answer", id="no finish reason"),
        pytest.param(words("a")[:300], "ended before the answer", id="in the middle of an event"),
    ],
)
def test_a_stream_that_ends_early(data: bytes, words: str) -> None:
    """An answer that is not whole is an error that holds what came, marked as cut off."""
    with pytest.raises(BadReply, match=words) as caught:
        read(data)
    assert caught.value.reply is not None
    assert caught.value.reply.finish_reason == "cut_off"
    assert caught.value.reply.text == ("a" if b'"a"' in data else "")


@pytest.mark.parametrize(
    "data",
    [
        b"data: {\n\n",
        b"data: " + b"[" * 100_000 + b"\n\n",
        b"data: \xff\n\n",
        b"data: null\n\n",
        b"data: [1]\n\n",
        b'data: "x"\n\n',
        b'data: {"choices": 3}\n\n',
        b'data: {"choices": [null]}\n\n',
        b'data: {"choices": [{"delta": "x"}]}\n\n',
        b'data: {"choices": [{"delta": {"content": [{"text": 3}]}}]}\n\n',
        b'data: {"choices": [{"delta": {"tool_calls": 3}}]}\n\n',
        b'data: {"choices": [{"delta": {"tool_calls": [{"index": "a"}]}}]}\n\n',
        b'data: {"choices": [{"delta": {"tool_calls": [{"function": {"name": 3}}]}}]}\n\n',
        b'data: {"usage": 3}\n\n',
    ],
    ids=[
        "cut off",
        "deep",
        "not text",
        "null",
        "a list",
        "a text",
        "choices that are none",
        "a null choice",
        "a delta that is text",
        "a part that is a number",
        "calls that are none",
        "an index that is none",
        "a name that is a number",
        "usage that is a number",
    ],
)
def test_pieces_that_are_none(data: bytes) -> None:
    """What is not a piece of an answer is an error of ours, and what came before it is kept."""
    reader = chat.StreamReader()
    assert list(reader.feed(event(delta(content="Half")))) == ["Half"]
    with pytest.raises(BadReply, match="a piece of the answer"):
        list(reader.feed(data))
    partial = reader.partial()
    assert (partial.text, partial.finish_reason, partial.model) == (
        "Half",
        "cut_off",
        "gpt-5.5-2026",
    )


def test_names_that_are_none() -> None:
    """A server that names its model by a number names none."""
    reply = read(stream({"id": 3, "model": 4, "choices": [{"finish_reason": "stop"}]}))[1]
    assert (reply.response_id, reply.model) == (None, None)
    assert reply_of(completion(content="x") | {"model": ["x"]}).model is None
