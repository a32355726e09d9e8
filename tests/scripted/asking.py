"""The plain ``openai`` client's side of a test: ask, listen, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from openai import OpenAI

KEY = "sk-proj-0123456789abcdefghijklmnop"
HI = [{"role": "user", "content": "Hi"}]


class Heard(NamedTuple):
    """What a client has of a stream when it ends."""

    text: str
    finish_reason: str | None
    chunks: int


def ask(client: OpenAI, *, stream: bool = False, **fields: Any) -> Any:
    """Ask for a chat completion; *fields* go into the body as they are."""
    body = {"model": "gpt-4o", "messages": HI, **fields}
    return client.chat.completions.create(**body, stream=stream)


def listen(client: OpenAI, **fields: Any) -> Heard:
    """Ask for a stream and hear it to its end."""
    text, reason, count = "", None, 0
    for chunk in ask(client, stream=True, **fields):
        count += 1
        for choice in chunk.choices or ():
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
    return Heard(text, reason, count)


def said(client: OpenAI) -> Any:
    """Ask and return the text, or what there is in its place."""
    got = ask(client)
    choices = getattr(got, "choices", got)
    return choices[0].message.content if choices and not isinstance(choices, str) else choices


def outcome(call: Callable[[OpenAI], Any], client: OpenAI) -> Any:
    """Return what *call* returns, or the type of what it raises."""
    try:
        return call(client)
    except Exception as problem:
        return type(problem)
