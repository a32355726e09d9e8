"""The chat completions protocol without a socket: bodies out; replies and deltas in.

Shapes are those of OpenAI's API description (``CreateChatCompletionRequest``,
``CreateChatCompletionResponse``, ``CreateChatCompletionStreamResponse``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from openai_magics.errors import BadReply
from openai_magics.exchange import Message, Reply, Request, Resolved, joined
from openai_magics.schemas import forms
from openai_magics.wire.answers import CHECK, object_of, settled, text_or_none
from openai_magics.wire.bodies import wired
from openai_magics.wire.events import EventReader

__all__ = ["ROUTE", "StreamReader", "body", "reply_of"]

ROUTE = "/chat/completions"


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
    messages = [*first, *_plainly(request.history), *request.messages]
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


def _plainly(messages: Sequence[Message]) -> Iterator[Message]:
    """Yield messages without what only the Responses API takes back."""
    for message in messages:
        if "items" in message:
            message = {name: value for name, value in message.items() if name != "items"}  # noqa: PLW2901
        yield message


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


def _said(content: Any) -> str:
    """Return the text of a message's content, which may also come as a list of parts."""
    if isinstance(content, list):
        parts = [part.get("text") or "" for part in content if isinstance(part, dict)]
        content = "".join(parts)
    return joined(content) if isinstance(content, str) else ""


class StreamReader(EventReader):
    """The chunks of a streamed chat completion in, text out; then the whole as a reply."""

    def __init__(self) -> None:
        super().__init__()
        self._refusal: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._usage: Mapping[str, Any] = {}

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
