"""What servers answer, told apart from what only looks like an answer.

The errors of Azure, llama.cpp, vLLM and Ollama are read as well as OpenAI's. What the client
lets pass unnoticed is noticed here: an HTML page, ``null``, JSON that does not parse, an error
with status 200, an answer that was refused, filtered or cut.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from openai_magics.errors import BadReply, ContentRefused, LengthCut, ServiceError
from openai_magics.exchange import Reply, Request
from openai_magics.failures import failure

__all__ = [
    "CHECK",
    "CUT_OFF",
    "is_error",
    "listing",
    "loads",
    "object_of",
    "settled",
    "text_or_none",
]

LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
LENIENT = json.JSONDecoder(parse_constant=lambda _: None)
"""Kept: to make one takes longer than to read a piece of an answer with it."""
CHECK = "Nothing was kept of it. Run the cell again; if it lasts, look at the server."
CUT_OFF = "What came is recorded as cut off. Run the cell again."


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
        value = loads(content)
    except (ValueError, RecursionError) as error:
        raise BadReply(f"The server sent a {what} that is not JSON ({error}).", CHECK) from error
    if not isinstance(value, dict):
        raise BadReply(f"The server sent {json.dumps(value)[:40]} in place of a {what}.", CHECK)
    if is_error(value):
        raise failure(None, {}, value)
    return value


def loads(content: bytes) -> Any:
    """Return JSON as Python values; what it does not know (NaN, infinity) as ``None``."""
    return LENIENT.decode(content.decode(json.detect_encoding(content), "surrogatepass"))


def is_error(value: Mapping[str, Any]) -> bool:
    """Whether an answer is an error although it came with status 200; vLLM's has no ``error``.

    A job that failed says why in an ``error`` of its own.
    """
    kind = value.get("object")
    return (bool(value.get("error")) and kind != "fine_tuning.job") or kind == "error"


def listing(content: bytes, content_type: str) -> dict[str, Any]:
    """Return the object of a listing or a job.

    Raises
    ------
    BadReply
        It is none.
    """
    return object_of(content, content_type, "listing")


def text_or_none(value: Any) -> str | None:
    """Return *value* where it is text; a server may send what it likes."""
    return value if isinstance(value, str) else None


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
