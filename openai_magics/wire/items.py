"""Messages in the shape of chat completions ↔ the items of the Responses API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from openai_magics.exchange import Message, joined

__all__ = ["call_of", "input_items", "kept_items", "said_in"]


def input_items(message: Message, number: int, short: bool) -> Iterator[Mapping[str, Any]]:
    """Yield the input items that a message in the shape of chat completions is.

    *short* is whether an answer may be a role and a text: OpenAI takes the whole form only with
    an id of its own, other servers (llama.cpp) only the whole form.
    """
    role, content = message.get("role"), message.get("content")
    if role == "tool":
        yield {
            "type": "function_call_output",
            "call_id": message.get("tool_call_id"),
            "output": content,
        }
    elif role != "assistant":
        yield {"role": role, "content": _content(content)}
    elif message.get("items"):
        yield from _whole(message)
    else:
        if words := content or message.get("refusal"):
            whole = {"type": "message", "id": f"msg_{number}", "status": "completed"}
            said = words if short else [_output_text(words)]
            yield {**({} if short else whole), "role": "assistant", "content": said}
        for call in message.get("tool_calls") or ():
            yield _called(call)


def _content(content: Any) -> Any:
    if not isinstance(content, (list, tuple)):
        return content
    return [_part(part) for part in content]


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = part.get("type")
    if kind == "text":
        return {"type": "input_text", "text": part.get("text")}
    if kind == "image_url":
        image = part.get("image_url")
        image = image if isinstance(image, Mapping) else {"url": image}
        said = {"image_url": image.get("url"), "detail": image.get("detail") or "auto"}
        return {"type": "input_image", **said}
    if kind == "file":
        return {"type": "input_file", **(part.get("file") or {})}
    return part


def _called(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    return {
        "type": "function_call",
        "call_id": call.get("id"),
        "name": function.get("name"),
        "arguments": function.get("arguments") or "",
    }


def _whole(message: Message) -> Iterator[Mapping[str, Any]]:
    """Yield the output items of a reply, with the texts and calls that `kept_items` left out."""
    calls = {call.get("id"): call for call in message.get("tool_calls") or ()}
    for item in message["items"]:
        if item.get("type") == "function_call" and item.get("call_id") in calls:
            yield {**_called(calls[item["call_id"]]), **item}
        elif item.get("type") == "message" and "content" not in item:
            text = message.get("content") or ""
            yield {**item, "content": [_output_text(text)]}
        else:
            yield item


def _output_text(text: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def said_in(item: Mapping[str, Any], kind: str) -> str:
    """Return the text (or the refusal) in a message item."""
    return "".join(str(part.get(kind) or "") for part in item.get("content") or ())


def call_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tool call, as chat completions have it, that an output item is."""
    function = {"name": item.get("name"), "arguments": joined(str(item.get("arguments") or ""))}
    return {"id": item.get("call_id"), "type": "function", "function": function}


def kept_items(output: Sequence[Mapping[str, Any]], text: str) -> tuple[Mapping[str, Any], ...]:
    """Return the items that go back to the model; none where the reply itself says all."""
    kept: list[Mapping[str, Any]] = []
    more = False
    for item in output:
        kind = item.get("type")
        plain = {name: value for name, value in item.items() if value is not None}
        if kind == "function_call":
            plain = {name: plain[name] for name in plain if name not in ("name", "arguments")}
        elif kind == "message" and _is_plain(item) and said_in(item, "text") == text:
            more = more or "phase" in plain
            del plain["content"]
        else:
            more = True
        kept.append(plain)
    return tuple(kept) if more else ()


def _is_plain(item: Mapping[str, Any]) -> bool:
    """Whether a message is one text and nothing else."""
    parts: list[Mapping[str, Any]] = list(item.get("content") or ())
    return (
        len(parts) == 1
        and parts[0].get("type") == "output_text"
        and not parts[0].get("annotations")
    )
