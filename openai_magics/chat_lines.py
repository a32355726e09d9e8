"""Conversations as training examples: one JSON object a line, as OpenAI's chat fine-tuning takes them.

``{"messages": [{"role": "system", …}?, {"role": "user", …}, {"role": "assistant", …}, …]}``,
and ``tools`` where the model called some (the format: "Preparing your dataset" of OpenAI's
fine-tuning guide, ``ChatCompletionRequestMessage`` of its API description). The system
instruction is the one that was sent; where it changes, the new one stands before its turn.

Only whole answers are learned from. A conversation ends before the first answer that was cut
or cannot be trained on, since the turns after it speak of what would be missing.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from openai_magics.chains import CUT, REFUSED, Chain, Turn
from openai_magics.exchange import Exchange

__all__ = ["examples", "line_of", "problem"]

KEYS = {
    "system": ("role", "content", "name"),
    "developer": ("role", "content", "name"),
    "user": ("role", "content", "name"),
    "assistant": ("role", "content", "name", "tool_calls"),
    "tool": ("role", "content", "tool_call_id"),
}
UNFIT, EMPTY = "with parts that the dialogue file does not hold", "empty"
AFTER, ODD = "after one of these", "not in the shape of an example"
HELD = ("https://", "http://", "data:image/")
SURROGATE = re.compile("[\ud800-\udfff]")
LINE_ENDS = {ord(mark): f"\\u{ord(mark):04x}" for mark in "\u0085\u2028\u2029"}


def examples(chains: Iterable[Chain]) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Return the examples in some chains, and how many turns were left out, by reason."""
    found: list[dict[str, Any]] = []
    left: Counter[str] = Counter()
    for chain in chains:
        fit: list[Exchange] = []
        for turn in chain.turns:
            if reason := _unfit(turn):
                left[reason] += 1
                left[AFTER] += len(chain.turns) - len(fit) - 1
                break
            fit.append(turn.exchange)
        example = _example(fit)
        if fit and problem(example) is not None:
            left[ODD] += len(fit)
        elif fit:
            found.append(example)
    return found, +left


def line_of(example: Mapping[str, Any]) -> str:
    """Return the line of an example: no line break in it, nor what some readers take for one."""
    text = json.dumps(example, ensure_ascii=False).translate(LINE_ENDS)
    return SURROGATE.sub("\ufffd", text)


def problem(example: Mapping[str, Any]) -> str | None:
    """Return why this is no example for chat fine-tuning, or ``None``."""
    messages = example.get("messages")
    if not isinstance(messages, list) or not messages:
        return "there are no messages"
    called: set[str] = set()
    for number, message in enumerate(messages, 1):
        role = message.get("role") if isinstance(message, Mapping) else None
        if role not in KEYS:
            return f"message {number} has the role {role!r}"
        if other := sorted(message.keys() - set(KEYS[role])):
            return f"message {number} has the key {other[0]!r}"
        if called and role != "tool":
            return f"message {number} leaves a tool call without its result"
        if role == "tool" and message.get("tool_call_id") not in called:
            return f"message {number} is the result of no tool call"
        called.discard(str(message.get("tool_call_id")))
        calls = message.get("tool_calls") or ()
        called |= {str(call.get("id")) for call in calls}
        if not message.get("content") and not calls:
            return f"message {number} is empty"
    if messages[-1]["role"] != "assistant":
        return "the last message is not the assistant's"
    if not any(message["role"] == "user" for message in messages):
        return "no message is the user's"
    return None


def _unfit(turn: Turn) -> str:
    """Return why a turn cannot be learned from, else ``""``."""
    item = turn.exchange
    if item.reply is None or item.error is not None:
        return turn.mark or CUT
    if item.reply.refusal is not None:
        return REFUSED
    if item.reply.finish_reason in ("length", "cut_off", "content_filter"):
        return CUT
    if not all(_fits(message.get("content")) for message in item.request.messages):
        return UNFIT
    return "" if item.reply.text or item.reply.tool_calls else EMPTY


def _fits(content: object) -> bool:
    if not isinstance(content, Sequence):
        return content is None
    return isinstance(content, str) or all(_part_fits(part) for part in content)


def _part_fits(part: object) -> bool:
    if not isinstance(part, Mapping):
        return False
    if part.get("type") == "image_url":
        image = part.get("image_url")
        return isinstance(image, Mapping) and str(image.get("url")).startswith(HELD)
    return part.get("type") == "text"


def _example(fit: Sequence[Exchange]) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    tools: Sequence[Any] = ()
    system: str | None = None
    for item in fit:
        assert item.reply is not None
        now = item.resolved.system or item.request.system
        if now and now != system:
            messages.append({"role": "system", "content": now})
            system = now
        messages += [_message(message) for message in item.request.messages]
        messages.append(_message(item.reply.message))
        tools = item.request.tools or item.request.parameters.get("tools") or tools
    used = any("tool_calls" in message for message in messages)
    return {"messages": messages, **({"tools": list(tools)} if used and tools else {})}


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    kept = KEYS.get(str(message.get("role")), ("role", "content"))
    return {key: message[key] for key in kept if message.get(key) is not None}
