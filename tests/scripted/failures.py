"""Replies that no description of an API allows, and that a client meets all the same.

All are answers with status 200 unless the line says otherwise; those that concern a stream are
as broken in JSON when the request did not ask for a stream. What the ``openai`` client makes of
each is stated in ``tests/server/test_scripted.py``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any, Literal

from tests.scripted.errors import error
from tests.scripted.replies import Answer, answer, chunks, completion
from tests.scripted.wire import Custom, Ending, Plan, Reply, Request, as_json, dumps

TEXT = "The quick brown fox jumps over the lazy dog."


def _events(reply: Answer, request: Request) -> list[bytes]:
    return [reply.style.event(data) for data in chunks(reply, request)]


def _damaged(damage: Callable[[dict[str, Any]], None]) -> Reply:
    """Return an answer to whose JSON (whole, or each chunk) *damage* was done."""
    reply = answer(TEXT)

    def make(request: Request) -> Plan:
        if not request.streams:
            whole = completion(reply, request)
            damage(whole)
            return as_json(whole)
        frames = []
        for data in list(chunks(reply, request))[:-1]:
            chunk = json.loads(data)
            damage(chunk)
            frames.append(reply.style.event(dumps(chunk)))
        return reply.streamed([*frames, reply.style.event("[DONE]")])

    return Custom(make)


def choices_null() -> Reply:
    """Give ``"choices": null``, as some gateways answer when the model behind them failed."""
    return _damaged(lambda value: value.update(choices=None))


def choices_empty() -> Reply:
    """Give ``"choices": []``."""
    return _damaged(lambda value: value.update(choices=[]))


def missing(field: str) -> Reply:
    """Leave *field* out of the answer."""
    return _damaged(lambda value: value.pop(field, None))


def json_for_stream(text: str = TEXT) -> Reply:
    """Give the whole answer as JSON, though a stream was asked."""
    return Custom(lambda request: as_json(completion(answer(text), request)))


def html(text: str = "<!doctype html><p>Please sign in.", status: int = 200) -> Plan:
    """Give a page of HTML, as a captive portal or a proxy does."""
    return Plan(status, (("content-type", "text/html; charset=utf-8"),), (text.encode(),))


def raw(text: str | bytes, status: int = 200, content_type: str = "application/json") -> Plan:
    """Give a body as it stands."""
    whole = text.encode() if isinstance(text, str) else text
    return Plan(status, (("content-type", content_type),), (whole,))


def json_null() -> Plan:
    """Give the JSON ``null``."""
    return raw("null")


def malformed_json() -> Plan:
    """Give JSON that stops in the middle."""
    return raw('{"id": "chatcmpl-1", "choices": [{"index": 0, "mess')


def empty_body() -> Plan:
    """Give no body at all."""
    return raw("")


def bad_chunk(text: str = TEXT, after: int = 3, data: str = '{"choices": [{"delta') -> Reply:
    """Put an event that is not JSON (*data*) into a stream after *after* good ones."""
    reply = answer(text)

    def make(request: Request) -> Plan:
        if not request.streams:
            return malformed_json()
        frames = _events(reply, request)
        return reply.streamed([*frames[:after], reply.style.event(data), *frames[after:]])

    return Custom(make)


def error_in_stream(text: str = TEXT, after: int = 3) -> Reply:
    """Let an error object end a stream after *after* events; status 500 in JSON."""
    reply = answer(text)
    message = "The server had an error while processing your request. Sorry about that!"
    given = {"message": message, "type": "server_error", "param": None, "code": None}

    def make(request: Request) -> Plan:
        if not request.streams:
            return error(500, None, message, "server_error")
        frames = _events(reply, request)[:after]
        return reply.streamed([*frames, reply.style.event(dumps({"error": given}))])

    return Custom(make)


def cut(
    text: str = TEXT,
    after: int = 3,
    how: Literal["ended", "closed", "reset", "stalled"] = "ended",
) -> Reply:
    """Stop a stream after *after* events, without finish_reason and ``[DONE]``.

    "ended" is a clean end of the body (nothing in HTTP tells it from a whole answer), "closed" a
    closed connection before the last chunk, "reset" a TCP reset, "stalled" silence. A body of
    JSON stops after *after* bytes in the same manner.
    """
    reply = answer(text)
    ending = {"closed": Ending.CLOSE, "reset": Ending.RESET, "stalled": Ending.HANG}.get(how)

    def make(request: Request) -> Plan:
        if request.streams:
            plan = reply.streamed(_events(reply, request)[:after])
            return dataclasses.replace(plan, complete=ending is None, ending=ending or Ending.KEEP)
        whole = dumps(completion(reply, request)).encode()
        length = after if ending is None else len(whole)
        plan = dataclasses.replace(raw(whole[:after]), length=length)
        return dataclasses.replace(plan, ending=ending or Ending.KEEP)

    return Custom(make)


def short_body(text: str = TEXT) -> Reply:
    """Announce a longer body than is sent before the connection closes."""
    return Custom(
        lambda request: dataclasses.replace(
            as_json(completion(answer(text), request)), length=1_000_000, ending=Ending.CLOSE
        )
    )


def never() -> Plan:
    """Give no answer, on a connection that stays open."""
    return Plan(None, ending=Ending.HANG)


def hang_up() -> Plan:
    """Close the connection without an answer."""
    return Plan(None, ending=Ending.CLOSE)


def reset() -> Plan:
    """Reset the connection without an answer."""
    return Plan(None, ending=Ending.RESET)


def big(size: int = 1_000_000, chunks: int | None = 100) -> Answer:
    """Give an answer of *size* characters."""
    line = f"{TEXT}\n"
    return answer((line * (size // len(line) + 1))[:size], chunks=chunks)


def lone_surrogates() -> Answer:
    r"""Give an answer with a lone surrogate, ``\udc80`` in its JSON."""
    return answer("before \udc80 after")


def split_surrogates() -> Answer:
    r"""Give an emoji in two halves, ``\ud83d`` and ``\ude00``, one a chunk."""
    return answer("ab\ud83d\ude00yz", chunks=2)


def separators() -> Answer:
    """Give U+0085, U+2028 and U+2029: line ends to ``str.splitlines``, not to SSE."""
    return answer("one\N{NEXT LINE}two\N{LINE SEPARATOR}three\N{PARAGRAPH SEPARATOR}four")


def echoes_key(status: int = 200) -> Reply:
    """Repeat the Authorization header in the body and the headers of an answer or an error."""

    def make(request: Request) -> Plan:
        secret = request.headers.get("authorization", "")
        if status == 200:
            return answer(f"You sent {secret}", headers={"x-echo": secret}).plan(request)
        return error(status, "bad", f"Bad header: {secret}", headers={"x-echo": secret})

    return Custom(make)
