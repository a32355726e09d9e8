"""The Responses API without a socket: bodies out; replies, deltas and failures in.

Shapes are those of OpenAI's API description (``CreateResponse``, ``Response``,
``ResponseStreamEvent``). The conversation is ours: every request holds all of it as input
items, and nothing is stored by the service (``store: false``). Requests and replies are the
same values as for chat completions, in its shapes; here they are turned into the other ones.

What has no place there (reasoning with its encrypted content, calls of built-in tools,
annotations, the phase of a message) is kept as `Reply.items`: the output items in order,
without the texts, names and arguments that the reply holds already. They go back as they were
with later turns, which reasoning models need.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from openai_magics.errors import BadReply
from openai_magics.exchange import Reply, Request, Resolved, joined
from openai_magics.failures import failure
from openai_magics.schemas import forms
from openai_magics.wire.answers import CHECK, CUT_OFF, object_of, settled, text_or_none
from openai_magics.wire.bodies import wired
from openai_magics.wire.events import EventReader
from openai_magics.wire.items import call_of, input_items, kept_items, said_in

__all__ = ["ROUTE", "StreamReader", "body", "reply_of"]

ROUTE = "/responses"
NAMES = {"max_completion_tokens": "max_output_tokens", "max_tokens": "max_output_tokens"}
"""Parameters of chat completions that have another name here."""
NONE = ("seed", "stream_options")
"""Those that this API does not have; the embedded engine takes a seed all the same."""
CUTS = {"max_output_tokens": "length", "content_filter": "content_filter"}
OPENAI = "api.openai.com"
FINAL = "final_answer"
"""The phase of a message that is the answer, where others comment on the way to it."""


def body(
    request: Request,
    resolved: Resolved,
    parts: Mapping[bytes, Mapping[str, Any]] | None = None,
    *,
    stream: bool,
) -> dict[str, Any]:
    """Return the JSON body of a request: only what was set is in it (see `wire.chat.body`)."""
    messages = [*request.history, *request.messages]
    shown = [wired(message, parts) for message in messages] if parts else messages
    short = resolved.endpoint == OPENAI
    sent: dict[str, Any] = {
        **({"model": resolved.model} if resolved.model is not None else {}),
        "input": [
            item for n, message in enumerate(shown) for item in input_items(message, n, short)
        ],
        "store": False,
    }
    if resolved.system:
        sent["instructions"] = resolved.system
    given = dict(resolved.parameters)
    mark = given.pop("response_format", None)
    if resolved.endpoint != "local":
        given = {name: value for name, value in given.items() if name not in NONE}
    _put(sent, given)
    tools = [*(sent.pop("tools", None) or ()), *(request.tools or ())]
    if tools:
        sent["tools"] = [_tool(tool) for tool in tools]
    form = forms.sent(request.schema, mark) if request.schema else mark
    if form is not None and resolved.endpoint == "local":
        sent["response_format"] = form  # llama.cpp knows no text.format (2026-10), but this
    elif form is not None:
        held = form.get("json_schema") or {}
        sent["text"] = {**(sent.get("text") or {}), "format": {"type": form["type"], **held}}
    if stream:
        sent["stream"] = True
    return sent


def _put(sent: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Put the parameters of a chat completion where this API has them."""
    for name, value in given.items():
        if name == "reasoning_effort":
            sent["reasoning"] = {**(given.get("reasoning") or {}), "effort": value}
        elif name == "verbosity":
            sent["text"] = {**(given.get("text") or {}), "verbosity": value}
        elif name == "tool_choice" and isinstance(value, Mapping) and "function" in value:
            sent[name] = {"type": "function", "name": value["function"].get("name")}
        else:
            sent.setdefault(NAMES.get(name, name), value)


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a function tool in the flat shape of this API; built-in ones are as they are."""
    function = tool.get("function")
    if not isinstance(function, Mapping):
        return tool
    return {"type": "function", "strict": False, "parameters": {}, **function}


def reply_of(content: bytes, content_type: str, request: Request) -> Reply:
    """Return the reply in the body of a response that was not streamed.

    Raises
    ------
    BadReply
        It is not a response.
    ContentRefused, LengthCut, ServiceError
        The model refused, a filter stopped it, it was cut, or it failed.
    """
    value = object_of(content, content_type, "response")
    _raise_failed(value)
    if not isinstance(value.get("output"), list):
        raise BadReply("The server sent a response without output.", CHECK)
    if value.get("status") not in ("completed", "incomplete", None):
        raise BadReply(f"The server sent a response that is {value['status']}.", CHECK)
    try:
        reply = _reply(value)
    except (AttributeError, TypeError, ValueError) as error:
        raise BadReply("The server sent a response that is none.", CHECK) from error
    return settled(reply, request)


def _raise_failed(value: Mapping[str, Any]) -> None:
    if value.get("status") in ("failed", "cancelled") or value.get("error"):
        said = value.get("error") or {"message": f"The response is {value.get('status')}."}
        raise failure(None, {}, {"error": said})


def _reply(value: Mapping[str, Any]) -> Reply:
    output: list[Mapping[str, Any]] = [dict(item) for item in value.get("output") or ()]
    calls = tuple(call_of(item) for item in output if item.get("type") == "function_call")
    messages = [item for item in output if item.get("type") == "message"]
    finals = [item for item in messages if item.get("phase") == FINAL]
    text = "\n\n".join(filter(None, (said_in(item, "text") for item in finals or messages)))
    refusal = "".join(said_in(item, "refusal") for item in messages)
    why = str((value.get("incomplete_details") or {}).get("reason"))
    done = "tool_calls" if calls else "stop"
    return Reply(
        text=joined(text),
        refusal=joined(refusal) or None,
        finish_reason=CUTS.get(why, "length") if value.get("status") == "incomplete" else done,
        tool_calls=calls,
        items=kept_items(output, joined(text)),
        model=text_or_none(value.get("model")),
        response_id=text_or_none(value.get("id")),
        usage=_usage(value.get("usage") or {}),
    )


def _usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Return the usage under the names that it has for chat completions."""
    names = {
        "input_tokens": "prompt_tokens",
        "output_tokens": "completion_tokens",
        "input_tokens_details": "prompt_tokens_details",
        "output_tokens_details": "completion_tokens_details",
    }
    return {names.get(name, name): value for name, value in usage.items()}


SILENT = {
    "response.refusal.delta": "refusal",
    "response.function_call_arguments.delta": "arguments",
}
"""Deltas that are no text of the answer → what they are of."""


class StreamReader(EventReader):
    """The events of a streamed response in, text out; then the whole as a reply.

    The text comes from the deltas; what is kept at the end is what the last event says, or,
    where that says nothing, what the items said.
    """

    def __init__(self) -> None:
        super().__init__()
        self._items: dict[int, dict[str, Any]] = {}
        self._parts: dict[tuple[int, int, str], list[str]] = {}
        self._last: Mapping[str, Any] | None = None
        self._at: int | None = None

    def _chunk(self, chunk: dict[str, Any]) -> Iterator[str]:
        kind, response = str(chunk.get("type")), chunk.get("response")
        if isinstance(response, Mapping):
            self._head = {**self._head, **{k: v for k, v in response.items() if v is not None}}
        if kind == "error":
            raise failure(None, {}, {"error": chunk})
        if kind in ("response.failed", "response.cancelled"):
            _raise_failed({**(response or {}), "status": kind.removeprefix("response.")})
        if kind in ("response.completed", "response.incomplete"):
            self._last = response if isinstance(response, Mapping) else {}
            self._finish = kind.removeprefix("response.")
        elif kind in ("response.output_item.added", "response.output_item.done"):
            self._items[int(chunk.get("output_index") or 0)] = dict(chunk.get("item") or {})
        elif kind == "response.output_text.delta":
            yield from self._spoken(chunk, str(chunk.get("delta") or ""))
        elif kind == "response.output_text.done":
            yield from self._rest_of(chunk, str(chunk.get("text") or ""))
        elif (silent := SILENT.get(kind)) is not None:
            self._heard(chunk, silent).append(str(chunk.get("delta") or ""))
        elif (silent := SILENT.get(kind.removesuffix("done") + "delta")) is not None:
            self._heard(chunk, silent)[:] = [str(chunk.get(silent) or "")]

    def _heard(self, chunk: Mapping[str, Any], kind: str) -> list[str]:
        place = int(chunk.get("output_index") or 0), int(chunk.get("content_index") or 0), kind
        return self._parts.setdefault(place, [])

    def _spoken(self, chunk: Mapping[str, Any], piece: str) -> Iterator[str]:
        if not piece:
            return
        index = int(chunk.get("output_index") or 0)
        if self._text and index != self._at:
            self._text.append("\n\n")
            yield "\n\n"
        self._at = index
        self._heard(chunk, "text").append(piece)
        self._text.append(piece)
        yield piece

    def _rest_of(self, chunk: Mapping[str, Any], whole: str) -> Iterator[str]:
        """Yield a text of which there were no deltas."""
        if not self._heard(chunk, "text"):
            yield from self._spoken(chunk, whole)

    def _reply(self, finish: str) -> Reply:
        if finish == "cut_off":
            named = {name: text_or_none(self._head.get(name)) for name in ("model", "id")}
            return Reply(self.text, finish, model=named["model"], response_id=named["id"])
        last = dict(self._last or {})
        output = last.get("output") or self._output()
        return _reply({**self._head, **last, "output": output, "status": finish})

    def _output(self) -> list[dict[str, Any]]:
        """Return the items as far as they came, with what their deltas said."""
        for (index, _, kind), pieces in sorted(self._parts.items()):
            said = "".join(pieces)
            if kind == "arguments":
                item = self._items.setdefault(index, {"type": "function_call"})
                item["arguments"] = item.get("arguments") or said
            else:
                item = self._items.setdefault(index, {"type": "message"})
                name = "output_text" if kind == "text" else "refusal"
                if not any(part.get("type") == name for part in item.get("content") or ()):
                    item["content"] = [*(item.get("content") or ()), {"type": name, kind: said}]
        return [self._items[index] for index in sorted(self._items)]

    def reply(self, request: Request) -> Reply:
        """Return the whole, after the last byte (see `EventReader.reply`)."""
        try:
            return super().reply(request)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadReply("The server sent a response that is none.", CUT_OFF) from error
