"""Answers of a chat completion as they come over the wire, whole and in pieces."""

from __future__ import annotations

import json
from typing import Any

from openai_magics.exchange import Reply, Request
from openai_magics.wire import chat
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
