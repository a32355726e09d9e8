"""What both protocols put into a body: images in their messages, JSON asked for in words, bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from openai_magics.exchange import Message, Request, canonical_json

__all__ = ["CHAT_TOOLS", "encode", "wants_json", "wired", "with_json_asked_for"]


CHAT_TOOLS = ("function", "custom")
"""Tools of chat completions; what else there is (``web_search``, …) a service runs itself."""


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
