"""Answers as the API gives them: one value, served as JSON or as a stream of events.

``answer("Paris.")`` is a reply to any request for a chat completion (or for a response, see
``responses.py``). Whether it goes out whole or in chunks is for the request to say. Every answer
is checked against the API description when it is built, so that a test cannot be passed by a
reply that the service would never give.
"""

from __future__ import annotations

import dataclasses
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.scripted import responses
from tests.scripted.spec import EVENTS, JSON, spec
from tests.scripted.wire import CREATED, Pause, Plan, Request, as_json, dumps, text_of

DONE = "[DONE]"
_HERE = "\N{NULL}"


@dataclass(frozen=True)
class Style:
    """How the events of a stream are written; all of these are allowed by the SSE standard.

    ``packet`` cuts the bytes into pieces of that size, wherever that is: in the middle of a
    line, of a character, of a CRLF.
    """

    newline: str = "\n"
    space: bool = True
    comments: bool = False
    multiline: bool = False
    fields: bool = False
    packet: int | None = None

    def event(self, data: str) -> bytes:
        """Return one event with *data*, which is JSON or ``[DONE]``."""
        if self.multiline and data != DONE:
            data = json.dumps(json.loads(data), indent=1)
        lines = [f"data:{' ' * self.space}{line}" for line in data.split("\n")]
        if self.fields:
            lines = ["event: message", "id: 7", *lines, "retry: 3000"]
        if self.comments:
            lines = [": keep-alive", "", *lines]
        return (self.newline.join(lines) + self.newline * 2).encode()

    def pieces(self, events: Sequence[bytes]) -> Sequence[bytes]:
        """Return the bytes of *events* as they are sent."""
        if self.packet is None:
            return events
        whole, size = b"".join(events), self.packet
        return [whole[at : at + size] for at in range(0, len(whole), size)]


PLAIN = Style()


@dataclass(frozen=True)
class Answer:
    """A model's answer and how fast it comes; build it with ``answer``."""

    text: str | None
    finish_reason: str = "stop"
    usage: Mapping[str, Any] | Literal["counted"] | None = "counted"
    model: str | None = None
    refusal: str | None = None
    tool_calls: Sequence[tuple[str, Mapping[str, Any]]] = ()
    chunks: int | None = None
    delay: float = 0.0
    first_delay: float = 0.0
    hold: threading.Event | None = None
    hold_after: int = 0
    done: bool = True
    style: Style = PLAIN
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def plan(self, request: Request) -> Plan:
        """Return the answer as *request* wants it."""
        before = Pause(self.first_delay) if self.first_delay else None
        if request.route == "/responses":
            whole, events = responses.whole, responses.events
        else:
            whole, events = completion, chunks
        if request.streams:
            frames = [self.style.event(data) for data in events(self, request)]
            return dataclasses.replace(self.streamed(frames), before=before)
        if self.hold is not None:
            before = Pause(self.first_delay, self.hold)
        return dataclasses.replace(
            as_json(whole(self, request), headers=self.headers), before=before
        )

    def streamed(self, frames: Sequence[bytes]) -> Plan:
        """Return the plan that sends *frames* as a stream, at the answer's pace."""
        headers = (("content-type", f"{EVENTS}; charset=utf-8"), *self.headers.items())
        return Plan(200, headers, self._paced(self.style.pieces(frames)), chunked=True)

    def _paced(self, pieces: Sequence[bytes]) -> Sequence[bytes | Pause]:
        if not self.delay and self.hold is None:
            return pieces
        paced: list[bytes | Pause] = []
        for position, piece in enumerate(pieces):
            if self.hold is not None and position == self.hold_after:
                paced.append(Pause(0, self.hold))
            elif position and self.delay:
                paced.append(Pause(self.delay))
            paced.append(piece)
        return paced

    def parts(self) -> list[str]:
        """Return the text as it is cut for a stream: in words, or in ``chunks`` equal parts."""
        text = self.text or self.refusal or ""
        if self.chunks is None:
            return re.findall(r"\S+\s*|\s+", text)
        size = max(1, -(-len(text) // self.chunks))
        return [text[at : at + size] for at in range(0, len(text), size)]

    def calls(self) -> list[dict[str, Any]]:
        """Return the tool calls as the API writes them."""
        return [
            {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": a}}
            for number, (name, given) in enumerate(self.tool_calls, 1)
            for a in [dumps(dict(given))]
        ]

    def counted(self, request: Request) -> dict[str, Any] | None:
        """Return the usage: as it was given, or a word taken for a token."""
        if self.usage != "counted":
            return None if self.usage is None else dict(self.usage)
        prompt = sum(len(text_of(each.get("content")).split()) for each in request.messages)
        return usage(prompt, len((self.text or self.refusal or "").split()))


def answer(
    text: str | None = None,
    finish_reason: str | None = None,
    *,
    check: bool = True,
    **fields: Any,
) -> Answer:
    """Return an answer; *fields* are those of ``Answer``.

    ``chunks`` is the number of parts of a stream, ``delay`` the seconds between them,
    ``first_delay`` those before the first byte. ``hold`` is an event: nothing is sent after
    ``hold_after`` events until it is set (in a stream the first event is the role). *check*
    False builds one that the API description forbids.
    """
    reason = finish_reason or ("tool_calls" if fields.get("tool_calls") else "stop")
    built = Answer(text, reason, **fields)
    return checked(built) if check else built


def usage(prompt: int, completion: int, *, cached: int = 0, reasoning: int = 0) -> dict[str, Any]:
    """Return a chat completion's usage, in tokens."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": 0},
    }


def checked(reply: Answer) -> Answer:
    """Return *reply*, or raise ValueError when it is not what the API description allows."""
    route = "/chat/completions"
    given = {"model": "gpt-4o", "messages": [], "stream_options": {"include_usage": True}}
    request = Request(0, "POST", route, {}, {}, json=given, route=route)
    events = list(chunks(reply, request))
    # Those in the middle differ in their text alone.
    events = [data for data in events[:2] + events[2:][-3:] if data != DONE]
    found = [
        spec().check_reply(request.operation, JSON, completion(reply, request)),
        *(spec().check_reply(request.operation, EVENTS, json.loads(data)) for data in events),
    ]
    for fault in filter(None, found):
        raise ValueError(f"The service would not give this reply: {fault.param}: {fault.message}")
    return reply


def completion(reply: Answer, request: Request) -> dict[str, Any]:
    """Return the answer as a ``chat.completion``."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    message |= {"refusal": reply.refusal, "annotations": []}
    if reply.tool_calls:
        message["tool_calls"] = reply.calls()
    choice = {"message": message, "logprobs": None, "finish_reason": reply.finish_reason}
    choices = [{"index": index, **choice} for index in range(request.json.get("n") or 1)]
    whole = _frame(reply, request, "chat.completion") | {"choices": choices}
    counted = reply.counted(request)
    return whole if counted is None else whole | {"usage": counted}


def chunks(reply: Answer, request: Request) -> Iterator[str]:
    """Yield the data of the events of a stream: ``chat.completion.chunk`` as JSON, ``[DONE]``."""
    frame = _frame(reply, request, "chat.completion.chunk")
    counts = (request.json.get("stream_options") or {}).get("include_usage") is True
    if counts:
        frame["usage"] = None
    speaks = "refusal" if reply.refusal is not None else "content"
    for index in range(request.json.get("n") or 1):

        def chunk(delta: dict[str, Any], reason: str | None = None, index: int = index) -> str:
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
            return dumps(frame | {"choices": [choice]})

        first = "" if reply.text is not None else None
        yield chunk({"role": "assistant", "content": first, "refusal": None})
        # The frame is written once: a chunk costs no more than its own text.
        head, tail = chunk({speaks: _HERE}).split(json.dumps(_HERE))
        for part in reply.parts():
            yield f"{head}{dumps(part)}{tail}"
        for position, call in enumerate(reply.calls()):
            given = call["function"]["arguments"]
            start = call["function"] | {"arguments": ""}
            yield chunk({"tool_calls": [call | {"index": position, "function": start}]})
            for half in (given[: len(given) // 2], given[len(given) // 2 :]):
                more = {"index": position, "function": {"arguments": half}}
                yield chunk({"tool_calls": [more]})
        yield chunk({}, reply.finish_reason)
    counted = reply.counted(request)
    if counts and counted is not None:
        yield dumps(frame | {"choices": [], "usage": counted})
    if reply.done:
        yield DONE


def _frame(reply: Answer, request: Request, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{request.number:08d}",
        "object": kind,
        "created": CREATED + request.number,
        "model": reply.model or request.model,
        "service_tier": "default",
        "system_fingerprint": "fp_scripted",
    }
