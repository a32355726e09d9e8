"""The chat completions protocol without a socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openai_magics import errors
from openai_magics.errors import BadReply
from openai_magics.exchange import Reply, Request, Resolved
from openai_magics.wire import answers, bodies, chat
from tests.unit.making import ask

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def delta(finish: str | None = None, index: int = 0, **fields: Any) -> dict[str, Any]:
    """Return a chunk of a streamed answer."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "gpt-5.5-2026",
        "system_fingerprint": "fp_1",
        "choices": [{"index": index, "delta": fields, "finish_reason": finish}],
    }


def event(chunk: Any, end: str = "\n") -> bytes:
    """Return a chunk as a server-sent event."""
    return f"data: {json.dumps(chunk, ensure_ascii=False)}{end}{end}".encode(
        "utf-8", "surrogatepass"
    )


def stream(*chunks: Any, end: str = "\n", done: bool = True) -> bytes:
    """Return a whole stream."""
    events = b"".join(event(chunk, end) for chunk in chunks)
    return events + (f"data: [DONE]{end}{end}".encode() if done else b"")


def words(*pieces: str, end: str = "\n") -> bytes:
    """Return the stream of an answer in these pieces, with its usage at the end."""
    chunks = [delta(role="assistant", content=""), *(delta(content=piece) for piece in pieces)]
    return stream(*chunks, delta("stop"), {"choices": [], "usage": USAGE}, end=end)


def read(data: bytes, size: int | None = None) -> tuple[list[str], Reply]:
    """Read a stream in parts of *size* bytes (all at once without)."""
    reader = chat.StreamReader()
    parts = [data] if size is None else [data[n : n + size] for n in range(0, len(data), size)]
    pieces = [piece for part in parts for piece in reader.feed(part)]
    pieces += reader.end()
    return pieces, reader.reply(ask())


# --- out


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


# --- whole answers


def completion(**message: Any) -> dict[str, Any]:
    """Return a chat completion."""
    finish = message.pop("finish_reason", "stop")
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-5.5-2026",
        "system_fingerprint": "fp_1",
        "choices": [
            {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
        ],
        "usage": USAGE,
    }


def reply_of(held: Any, request: Request | None = None, kind: str = "application/json") -> Reply:
    content = held if isinstance(held, bytes) else json.dumps(held).encode()
    return chat.reply_of(content, kind, request or ask())


def test_a_whole_answer() -> None:
    """Its text, and who gave it, as the server tells."""
    assert reply_of(completion(content="Hi! 👋")) == Reply(
        text="Hi! 👋",
        finish_reason="stop",
        model="gpt-5.5-2026",
        response_id="chatcmpl-1",
        system_fingerprint="fp_1",
        usage=USAGE,
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("", ""),
        ([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}], "ab"),
        ([{"text": "\ud83d"}, {"text": "\ude00"}, "x", {"text": None}], "😀"),
        (7, ""),
    ],
    ids=["null", "empty", "parts", "a character in two parts", "a number"],
)
def test_content(content: Any, text: str) -> None:
    """The content may be null, or a list of parts."""
    assert reply_of(completion(content=content)).text == text


def test_tool_calls() -> None:
    """The calls that the model wants made come as the API has them."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    reply = reply_of(completion(content=None, tool_calls=[call], finish_reason="tool_calls"))
    assert (reply.text, reply.tool_calls, reply.finish_reason) == ("", (call,), "tool_calls")


def test_numbers_that_json_does_not_know() -> None:
    """NaN and infinity, which some servers send, are null: the dialogue file is JSON."""
    held = json.dumps(completion(content="x") | {"usage": {"prompt_tokens": float("nan")}})
    assert reply_of(held.encode()).usage == {"prompt_tokens": None}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "an empty chat completion", id="nothing"),
        pytest.param(b" \n", "an empty chat completion", id="blanks"),
        pytest.param(b"<!DOCTYPE html><title>Log in</title>", "a web page", id="a web page"),
        pytest.param(b'{"id": "x"', "that is not JSON", id="cut off"),
        pytest.param(b"[" * 100_000, "that is not JSON", id="deep"),
        pytest.param(b"\xff", "that is not JSON", id="not text"),
        pytest.param(b"null", "null in place of a chat completion", id="null"),
        pytest.param(b"[1, 2]", "[1, 2] in place of", id="a list"),
        pytest.param(b"{}", "without choices", id="an empty object"),
        pytest.param(b'{"choices": null}', "without choices", id="null choices"),
        pytest.param(b'{"choices": []}', "without choices", id="no choices"),
        pytest.param(b'{"choices": [null]}', "without a message", id="a null choice"),
        pytest.param(b'{"choices": [{}]}', "without a message", id="no message"),
        pytest.param(b'{"choices": [{"message": "x"}]}', "without a message", id="a text for one"),
        pytest.param(b'{"choices": [{"message": {"tool_calls": [3]}}]}', "is none", id="bad calls"),
        pytest.param(b'{"choices": [{"message": {}}], "usage": 3}', "is none", id="bad usage"),
    ],
)
def test_what_is_no_answer(content: bytes, words: str) -> None:
    """What the client lets pass unnoticed is an error that says what came in place of an answer."""
    with pytest.raises(BadReply) as caught:
        reply_of(content)
    assert words in caught.value.problem


def test_a_web_page_by_its_type() -> None:
    """A page is told by its content type too."""
    with pytest.raises(BadReply, match="a web page"):
        reply_of(b"Log in", kind="text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("held", "kind"),
    [
        ({"error": {"message": "x", "code": "rate_limit_exceeded"}}, errors.RateLimited),
        (
            {"object": "error", "message": "maximum context length", "code": 400},
            errors.ContextTooLong,
        ),
    ],
    ids=["as most send it", "as vLLM sent it"],
)
def test_an_error_under_a_200(held: dict[str, Any], kind: type[Exception]) -> None:
    """Is an error."""
    with pytest.raises(kind):
        reply_of(held)
    with pytest.raises(kind):
        read(stream(delta(content="Half"), held))


LIMITED = {"max_completion_tokens": 5}


@pytest.mark.parametrize(
    ("message", "request_", "kind"),
    [
        pytest.param(
            {"content": "a", "finish_reason": "content_filter"},
            ask(),
            errors.ContentRefused,
            id="filtered",
        ),
        pytest.param(
            {"content": None, "refusal": "No."}, ask(), errors.ContentRefused, id="refused"
        ),
        pytest.param(
            {"content": "a", "finish_reason": "length"}, ask(), errors.LengthCut, id="cut"
        ),
        pytest.param(
            {"content": "a", "finish_reason": "length"},
            ask(parameters=LIMITED),
            None,
            id="cut where asked to",
        ),
        pytest.param({"content": "a", "refusal": ""}, ask(), None, id="an empty refusal"),
        pytest.param({"content": "a", "finish_reason": None}, ask(), None, id="no finish reason"),
    ],
)
def test_settled(
    message: dict[str, Any], request_: Request, kind: type[errors.ServiceError] | None
) -> None:
    """An answer that is none is an error that holds what came."""
    if kind is None:
        assert reply_of(completion(**message), request_).text == "a"
        return
    with pytest.raises(kind) as caught:
        reply_of(completion(**message), request_)
    assert caught.value.reply is not None
    assert caught.value.reply.text == (message["content"] or "")
    assert caught.value.lasting


def test_listing() -> None:
    """A listing is an object; what is none is said to be none."""
    assert answers.listing(b'{"data": []}', "application/json") == {"data": []}
    with pytest.raises(BadReply, match="in place of a listing"):
        answers.listing(b"[]", "application/json")


# --- streams


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
