"""The chat completions protocol without a socket: bodies out; replies, deltas and failures in.

Shapes are those of OpenAI's API description (``CreateChatCompletionRequest``,
``CreateChatCompletionResponse``, ``CreateChatCompletionStreamResponse``); the errors of
Azure, llama.cpp, vLLM and Ollama are read too. What the client lets pass unnoticed is
noticed here: a stream that ends early, an HTML page, ``null``, no choices, JSON that does
not parse.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from openai_magics.errors import BadReply, ContentRefused, LengthCut, ServiceError
from openai_magics.exchange import Message, Reply, Request, Resolved, canonical_json, joined
from openai_magics.failures import failure
from openai_magics.schemas import forms

__all__ = [
    "ROUTE",
    "StreamReader",
    "body",
    "encode",
    "listing",
    "reply_of",
    "wants_json",
    "with_json_asked_for",
]

ROUTE = "/chat/completions"
LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
LENIENT = json.JSONDecoder(parse_constant=lambda _: None)
"""Kept: to make one takes longer than to read a piece of an answer with it."""


def body(
    request: Request,
    resolved: Resolved,
    parts: Mapping[bytes, Mapping[str, Any]] | None = None,
    *,
    stream: bool,
) -> dict[str, Any]:
    """Return the JSON body of a request: only what was set is in it.

    *parts* has what goes over the wire for each image, by the canonical JSON of what stands
    for it in the messages.
    """
    first = [{"role": "system", "content": resolved.system}] if resolved.system else []
    messages = [*first, *plainly(request.history), *request.messages]
    sent: dict[str, Any] = {
        "model": resolved.model,
        "messages": [wired(message, parts) for message in messages] if parts else messages,
        **resolved.parameters,
    }
    if request.tools:
        sent["tools"] = [*(sent.get("tools") or ()), *request.tools]
    if request.schema:
        form = forms.sent(request.schema, sent.pop("response_format", None))
        sent |= {"response_format": form} if form is not None else {}
    if stream:
        sent["stream"] = True
        sent.setdefault("stream_options", {"include_usage": True})
    return sent


def plainly(messages: Sequence[Message]) -> Iterator[Message]:
    """Yield messages without what only the Responses API takes back."""
    for message in messages:
        if "items" in message:
            message = {name: value for name, value in message.items() if name != "items"}  # noqa: PLW2901
        yield message


def wired(message: Message, parts: Mapping[bytes, Mapping[str, Any]]) -> Message:
    """Return a message with what goes over the wire for each of its images."""
    content = message.get("content")
    if not isinstance(content, (list, tuple)):
        return message
    sent = [
        parts[canonical_json(part)] if part.get("type") == "image" else part for part in content
    ]
    return {**message, "content": sent}


def wants_json(request: Request) -> bool:
    """Whether the request asks for an answer that is a JSON object."""
    return request.parameters.get("response_format") == {"type": "json_object"}


def with_json_asked_for(request: Request, system: str | None) -> str | None:
    """Return the system instruction with JSON asked for in words.

    OpenAI refuses ``json_object`` where no message speaks of JSON.
    """
    if "json" in json.dumps([system, *request.messages]).lower():
        return system
    return f"{system}\nAnswer in JSON." if system else "Answer in JSON."


def encode(sent: Mapping[str, Any]) -> bytes:
    """Return a body as UTF-8 JSON; a lone surrogate, which no server takes, as U+FFFD."""
    text = json.dumps(sent, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        scrubbed = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return scrubbed.encode()


def object_of(content: bytes, content_type: str, what: str) -> dict[str, Any]:
    """Return the object that an answer should be.

    Raises
    ------
    BadReply
        It is something else, named.
    """
    if not content.strip():
        raise BadReply(f"The server sent an empty {what}.", CHECK)
    if "html" in content_type or content.lstrip()[:1] == b"<":
        raise BadReply(
            f"The server sent a web page, not a {what}.",
            "Is the address right? An OpenAI-compatible base_url mostly ends in /v1; a proxy or "
            "a login page may stand in between.",
        )
    try:
        value = _loads(content)
    except (ValueError, RecursionError) as error:
        raise BadReply(f"The server sent a {what} that is not JSON ({error}).", CHECK) from error
    if not isinstance(value, dict):
        raise BadReply(f"The server sent {json.dumps(value)[:40]} in place of a {what}.", CHECK)
    if _is_error(value):
        raise failure(None, {}, value)
    return value


def _loads(content: bytes) -> Any:
    """Return JSON as Python values; what it does not know (NaN, infinity) as ``None``."""
    return LENIENT.decode(content.decode(json.detect_encoding(content), "surrogatepass"))


def _is_error(value: Mapping[str, Any]) -> bool:
    """Whether an answer is an error although it came with status 200; vLLM's has no ``error``.

    A job that failed says why in an ``error`` of its own.
    """
    kind = value.get("object")
    return (bool(value.get("error")) and kind != "fine_tuning.job") or kind == "error"


CHECK = "Nothing was kept of it. Run the cell again; if it lasts, look at the server."
CUT_OFF = "What came is recorded as cut off. Run the cell again."


def reply_of(content: bytes, content_type: str, request: Request) -> Reply:
    """Return the reply in the body of a chat completion that was not streamed.

    Raises
    ------
    BadReply
        It is not a chat completion.
    ContentRefused, LengthCut
        The model refused, a filter stopped it, or it was cut; the error's ``reply`` holds
        what came.
    """
    value = object_of(content, content_type, "chat completion")
    choices = value.get("choices")
    if not isinstance(choices, list) or not choices:
        raise BadReply("The server sent a chat completion without choices.", CHECK)
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise BadReply("The server sent a chat completion without a message.", CHECK)
    try:
        reply = Reply(
            text=_said(message.get("content")),
            refusal=text_or_none(message.get("refusal")) or None,
            finish_reason=text_or_none(choice.get("finish_reason")),
            tool_calls=tuple(dict(call) for call in message.get("tool_calls") or ()),
            model=text_or_none(value.get("model")),
            response_id=text_or_none(value.get("id")),
            system_fingerprint=text_or_none(value.get("system_fingerprint")),
            usage=dict(value.get("usage") or {}),
        )
    except (TypeError, ValueError) as error:
        raise BadReply("The server sent a chat completion that is none.", CHECK) from error
    return settled(reply, request)


def text_or_none(value: Any) -> str | None:
    """Return *value* where it is text; a server may send what it likes."""
    return value if isinstance(value, str) else None


def _said(content: Any) -> str:
    """Return the text of a message's content, which may also come as a list of parts."""
    if isinstance(content, list):
        parts = [part.get("text") or "" for part in content if isinstance(part, dict)]
        content = "".join(parts)
    return joined(content) if isinstance(content, str) else ""


def settled(reply: Reply, request: Request) -> Reply:
    """Return *reply* where it is a whole answer.

    Raises
    ------
    ContentRefused, LengthCut
        It is none: refused, filtered, or cut at a limit nobody asked for.
    """
    problem: ServiceError | None = None
    if reply.finish_reason == "content_filter":
        problem = ContentRefused(
            "The service's content filter stopped the answer.",
            "What came is recorded. Word the request differently.",
        )
    elif reply.refusal is not None:
        problem = ContentRefused(
            f"The model refused: {reply.refusal}", "The refusal is recorded. Ask differently."
        )
    elif reply.finish_reason == "length" and not any(name in request.parameters for name in LIMITS):
        problem = LengthCut(
            "The answer reached the model's limit and is not whole.",
            "What came is recorded. Ask for less at once, or start a new conversation (--new).",
        )
    if problem is None:
        return reply
    problem.reply = reply
    raise problem


def listing(content: bytes, content_type: str) -> dict[str, Any]:
    """Return the object of a listing or a job.

    Raises
    ------
    BadReply
        It is none.
    """
    return object_of(content, content_type, "listing")


class StreamReader:
    """Server-sent events in, text out; then the whole as a reply.

    The event format is that of the WHATWG HTML standard, section 9.2; line ends are bytes,
    since a JSON text may hold U+2028.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._head: dict[str, Any] = {}
        self._usage: Mapping[str, Any] = {}
        self._finish: str | None = None
        self._done = False

    @property
    def text(self) -> str:
        """What has come so far."""
        return joined("".join(self._text))

    def feed(self, data: bytes) -> Iterator[str]:
        """Take bytes as they come; yield the text that they add.

        Raises
        ------
        BadReply, ServiceError
            A chunk is not one, or carries an error.
        """
        buffer = self._rest + data if self._rest else data
        # A trailing CR may be half of a CRLF.
        hold = len(buffer) - 1 if buffer.endswith(b"\r") else len(buffer)
        lines = buffer[:hold].splitlines(keepends=True)
        self._rest = buffer[hold:]
        if lines and lines[-1][-1:] not in b"\r\n":
            self._rest = lines.pop() + self._rest
        for raw in lines:
            line = raw.rstrip(b"\r\n")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                event, self._data = b"\n".join(self._data), []
                yield from self._event(event)

    def _event(self, event: bytes) -> Iterator[str]:
        if event.strip() == b"[DONE]":
            self._done = True
            return
        if not event.strip():  # to keep the connection alive
            return
        try:
            chunk = _loads(event)
        except (ValueError, RecursionError) as error:
            raise BadReply(
                f"The server sent a piece of the answer that is not JSON ({error}).", CUT_OFF
            ) from error
        if isinstance(chunk, dict) and _is_error(chunk):
            raise failure(None, {}, chunk)
        try:
            yield from self._chunk(chunk)
        except (AttributeError, TypeError, ValueError) as error:
            raise BadReply(
                "The server sent a piece of the answer that is none.", CUT_OFF
            ) from error

    def _chunk(self, chunk: dict[str, Any]) -> Iterator[str]:
        if not self._head.get("id"):
            self._head = dict(chunk)
        if chunk.get("usage"):
            self._usage = dict(chunk["usage"])
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) != 0:
                continue
            self._finish = text_or_none(choice.get("finish_reason")) or self._finish
            delta = choice.get("delta") or {}
            if refusal := delta.get("refusal"):
                self._refusal.append(str(refusal))
            for call in delta.get("tool_calls") or ():
                self._call(call)
            if delta.get("content"):
                piece = _said(delta["content"])
                self._text.append(piece)
                yield piece

    def _call(self, delta: Mapping[str, Any]) -> None:
        call = self._calls.setdefault(
            int(delta.get("index") or 0),
            {"id": "", "type": "function", "function": {"name": "", "arguments": ""}},
        )
        call["id"] = delta.get("id") or call["id"]
        function = delta.get("function") or {}
        call["function"]["name"] += function.get("name") or ""
        said = call["function"]["arguments"] + (function.get("arguments") or "")
        call["function"]["arguments"] = joined(said)

    def end(self) -> Iterator[str]:
        """Take what came after the last blank line; yield the text that it adds.

        Raises
        ------
        BadReply, ServiceError
            As `feed`.
        """
        if self._data:
            event, self._data = b"\n".join(self._data), []
            yield from self._event(event)

    def reply(self, request: Request) -> Reply:
        """Return the whole, after the last byte.

        Raises
        ------
        BadReply
            The stream ended before the answer did; its ``reply`` holds what came.
        ContentRefused, LengthCut
            As in `reply_of`.
        """
        deque(self.end(), maxlen=0)
        if self._finish is None:
            problem = BadReply(
                "The connection ended before the answer did."
                if self._head or self._done
                else "The server sent an empty stream.",
                CUT_OFF,
            )
            problem.reply = self.partial()
            raise problem
        return settled(self._reply(self._finish), request)

    def partial(self) -> Reply:
        """Return what has come, marked as cut off."""
        return self._reply("cut_off")

    def _reply(self, finish: str) -> Reply:
        return Reply(
            text=self.text,
            refusal=joined("".join(self._refusal)) or None,
            finish_reason=finish,
            tool_calls=tuple(self._calls[index] for index in sorted(self._calls)),
            model=text_or_none(self._head.get("model")),
            response_id=text_or_none(self._head.get("id")),
            system_fingerprint=text_or_none(self._head.get("system_fingerprint")),
            usage=self._usage,
        )
