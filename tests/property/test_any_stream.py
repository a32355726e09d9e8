"""However a server cuts its answer up, and whatever it sends."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openai_magics import failures
from openai_magics.canonical import joined
from openai_magics.dialogue import record_line
from openai_magics.errors import MagicsError, ServiceError
from openai_magics.exchange import Exchange, Reply
from openai_magics.wire import bodies, chat
from tests.property.strategies import odd, plain, quick
from tests.unit.making import ask

ends = st.sampled_from(["\n", "\r\n", "\r"])
noise = st.sampled_from([b"", b": comment\n", b"event: x\n", b"id: 1\r\n", b"\n", b"data:\n\n"])


def event(value: Any, end: str, *, escaped: bool = False) -> bytes:
    text = json.dumps(value, ensure_ascii=escaped)
    return f"data: {text}{end}{end}".encode("utf-8", "surrogatepass")


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"id": "1", "model": "m", "choices": [{"delta": delta, "finish_reason": finish}]}


def read(parts: list[bytes]) -> tuple[list[str], Reply]:
    reader = chat.StreamReader()
    pieces = [piece for part in parts for piece in reader.feed(part)]
    return pieces, reader.reply(ask())


@quick
@given(
    pieces=st.lists(odd, max_size=8),
    end=ends,
    between=noise,
    escaped=st.booleans(),
    cuts=st.lists(st.integers(0, 2000), max_size=12),
)
def test_chunks_do_not_matter(
    pieces: list[str], end: str, between: bytes, escaped: bool, cuts: list[int]
) -> None:
    """A stream says the same however its bytes are cut, whatever its line ends and comments."""
    events = [event(chunk(content=piece), end, escaped=escaped) for piece in pieces]
    events.append(event(chunk("stop"), end))
    data = between.join([b"", *events]) + f"data: [DONE]{end}{end}".encode()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parts = [data[a:b] for a, b in pairwise(places)]
    said, reply = read(parts)
    assert (said, reply) == read([data])
    assert said == [joined(piece) for piece in pieces if piece]
    assert reply.text == joined("".join(pieces))


@quick
@given(st.lists(odd, max_size=6), st.integers(0, 2000))
def test_what_came_before_the_end_is_kept(pieces: list[str], cut: int) -> None:
    """Wherever a connection ends, what had come is a beginning of the answer."""
    data = b"".join(event(chunk(content=piece), "\n") for piece in pieces)
    reader = chat.StreamReader()
    said = list(reader.feed(data[:cut]))
    assert said == [joined(piece) for piece in pieces if piece][: len(said)]
    assert reader.partial().finish_reason == "cut_off"
    assert reader.text == joined("".join(said))


@quick
@given(st.lists(plain, max_size=3), st.booleans())
def test_any_json_in_a_stream(values: list[Any], wrapped: bool) -> None:
    """Whatever JSON a server streams is an answer that can be recorded, or an error of ours."""
    parts = [event({"choices": [value]} if wrapped else value, "\n") for value in values]
    recorded(lambda: read([*parts, event(chunk("stop", content="x"), "\n")])[1])


@quick
@given(plain, st.sampled_from(["bare", "message", "choice", "around"]))
def test_any_json_as_an_answer(value: Any, place: str) -> None:
    """So it is where it sends the whole at once."""
    bodies: dict[str, Any] = {
        "bare": value,
        "message": {"choices": [{"message": value}]},
        "choice": {"choices": [value]},
        "around": {"choices": [{"message": {"content": "x"}}], "usage": value, "model": value},
    }
    content = json.dumps(bodies[place]).encode()
    recorded(lambda: chat.reply_of(content, "application/json", ask()))


@quick
@given(st.binary(max_size=60), st.sampled_from(["", "text/html", "application/json"]))
def test_any_bytes(content: bytes, kind: str) -> None:
    """And whatever bytes."""
    recorded(lambda: chat.reply_of(content, kind, ask()))
    recorded(lambda: read([content, b"\n\n", event(chunk("stop"), "\n")])[1])


def recorded(receive: Any) -> None:
    """Receive a reply; it can be recorded, unless it is an error of ours."""
    try:
        reply = receive()
    except MagicsError:
        return
    made = Exchange(ask(), reply)
    assert Exchange.from_record(json.loads(record_line(made))).id == made.id


@quick
@given(
    st.none() | st.integers(100, 599),
    plain | st.fixed_dictionaries({"error": plain}) | st.binary(max_size=40),
    st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "x-request-id"]), odd),
)
def test_any_failure(status: int | None, content: Any, headers: dict[str, str]) -> None:
    """Whatever a server refuses with is an error of ours, and comes back from its record."""
    problem = failures.failure(status, headers, content)
    back = failures.from_record(json.loads(json.dumps(failures.to_record(problem))))
    assert isinstance(problem, ServiceError)
    assert type(back) is type(problem)
    assert problem.retry_after is None or problem.retry_after >= 0


@quick
@given(plain)
def test_what_is_sent_is_json(value: Any) -> None:
    """A body is UTF-8, whatever it holds."""
    sent = bodies.encode({"messages": [{"role": "user", "content": value}]})
    json.loads(sent.decode())
