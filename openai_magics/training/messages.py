"""What may be wrong with the messages of an example: roles, order, content.

Shapes are those of ``ChatCompletionRequestMessage`` of OpenAI's API
description; limits of images those of its guide to vision fine-tuning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from openai_magics.errors import nearest
from openai_magics.training.problems import Problem
from openai_magics.training.tools import in_calls, in_images

__all__ = ["ALIASES", "OPENERS", "ROLES", "in_messages"]

ROLES: Mapping[str, frozenset[str]] = {
    "system": frozenset({"role", "content", "name"}),
    "developer": frozenset({"role", "content", "name"}),
    "user": frozenset({"role", "content", "name"}),
    "assistant": frozenset(
        {"role", "content", "name", "refusal", "tool_calls", "function_call", "weight", "audio"}
    ),
    "tool": frozenset({"role", "content", "tool_call_id"}),
    "function": frozenset({"role", "content", "name"}),
}
ALIASES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}
"""Roles as other collections of dialogues call them."""
OPENERS = ("system", "developer")
SURROGATE = re.compile("[\ud800-\udfff]")
IMAGE_BYTES = 10_000_000
DATA = re.compile(r"data:image/(png|jpeg|jpg|webp|gif);base64,")


def in_messages(messages: Any, where: str, last: str, tools: Any = None) -> Iterator[Problem]:
    """Yield what is wrong with a list of messages.

    Parameters
    ----------
    messages : object
        What stands at *where* in the example.
    where : str
        ``messages``, ``input.messages``, …
    last : {"assistant", "user"}
        Whose message must be the last.
    tools : object
        The example's tools, which calls are looked up in.
    """
    if not isinstance(messages, list) or not messages:
        what = "empty" if messages == [] else "not a list"
        yield Problem("messages", f"{where} is {what}.", "Give a list of messages.", column=where)
        return
    wrong = False
    for n, message in enumerate(messages):
        for problem in _in_message(message, f"{where}[{n}]"):
            wrong = wrong or problem.severity == "error"
            yield problem
    if not all(isinstance(message, dict) for message in messages):
        return
    yield from _in_order(messages, where, last)
    yield from in_calls(messages, where, tools)
    yield from in_images(messages, where)


def _in_message(message: Any, where: str) -> Iterator[Problem]:
    if not isinstance(message, dict):
        yield Problem(
            "messages",
            f"A message is of type {type(message).__name__}.",
            'Write it as {"role": …, "content": …}.',
            column=where,
        )
        return
    role = message.get("role")
    if role not in ROLES if isinstance(role, str) else True:
        said = f"has the role {role!r}" if "role" in message else "has no role"
        lower = str(role).strip().lower()
        known = ALIASES.get(lower, lower if lower in ROLES else None)
        hint = f" (did you mean {known!r}?)" if known else nearest(str(role), ROLES)
        yield Problem(
            "role",
            f"A message {said}{hint}.",
            f"Write {known!r} (--fix does)." if known else f"Roles: {', '.join(ROLES)}.",
            column=f"{where}.role",
        )
        return
    assert isinstance(role, str)
    for key in sorted(message.keys() - ROLES[role]):
        yield Problem(
            "key of a message",
            f"A message of the {role} has the key {key!r}.",
            f"It takes {', '.join(sorted(ROLES[role]))}.",
            column=f"{where}.{key}",
        )
    weight = message.get("weight")
    if weight is not None and (isinstance(weight, bool) or weight not in (0, 1)):
        yield Problem(
            "weight", f"A weight is {weight!r}.", "It is 0 or 1.", column=f"{where}.weight"
        )
    yield from _in_content(message, role, f"{where}.content")


def _in_content(message: Mapping[str, Any], role: str, where: str) -> Iterator[Problem]:
    content = message.get("content")
    if content is None:
        if not (message.get("tool_calls") or message.get("function_call")):
            yield _empty(role, where)
    elif isinstance(content, str):
        calls = role == "assistant" and message.get("tool_calls")
        if not content.strip() and not calls and role not in ("tool", "function"):
            yield _empty(role, where)
        if SURROGATE.search(content):
            yield Problem(
                "encoding",
                "A text holds half of a character (a lone surrogate).",
                "Remove it, or let --fix do it.",
                column=where,
            )
    elif isinstance(content, list):
        if not content:
            yield _empty(role, where)
        for n, part in enumerate(content):
            yield from _in_part(part, role, f"{where}[{n}]")
    else:
        yield Problem(
            "content",
            f"A content is of type {type(content).__name__}.",
            "Write it as text, or as a list of parts.",
            column=where,
        )


def _empty(role: str, where: str) -> Problem:
    return Problem(
        "empty content",
        f"A message of the {role} is empty.",
        "Write what it should say, or leave the example out.",
        column=where,
    )


def _in_part(part: Any, role: str, where: str) -> Iterator[Problem]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        if not part["text"].strip():
            yield _empty(role, where)
    elif kind == "image_url":
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, dict) else None
        if role != "user":
            yield Problem(
                "image",
                f"A message of the {role} holds an image.",
                "Only the user's messages may.",
                column=where,
            )
        if not isinstance(url, str) or not (url.startswith("https://") or DATA.match(url)):
            yield Problem(
                "image",
                "An image is neither at an https address nor base64 of PNG, JPEG, WEBP or GIF.",
                "Give its address, or data:image/png;base64,….",
                column=f"{where}.image_url",
            )
        elif len(url) * 3 // 4 > IMAGE_BYTES:
            yield Problem(
                "image",
                f"An image is of {len(url) * 3 // 4 / 1e6:.0f} MB.",
                "The service takes 10 MB: make it smaller.",
                column=f"{where}.image_url",
            )
    elif not (kind == "refusal" and role == "assistant"):
        yield Problem(
            "content",
            f"A part of a content has the type {kind!r}, or lacks its value.",
            "Parts are of type text, or (the user's) image_url.",
            column=where,
        )


def _in_order(messages: Sequence[Mapping[str, Any]], where: str, last: str) -> Iterator[Problem]:
    roles = [message.get("role") for message in messages]
    if last == "assistant" and "assistant" not in roles:
        yield Problem(
            "no answer",
            "No message is the assistant's: there is nothing to learn.",
            "Add the answer that the model should give.",
            column=where,
        )
    elif roles[-1] != last:
        yield Problem(
            "last message",
            f"The last message is not the {last}'s but the {roles[-1]}'s.",
            "Add the answer, or drop what follows the last one (--fix does)."
            if last == "assistant"
            else "It must end with what the model is to answer.",
            column=f"{where}[{len(roles) - 1}]",
        )
    if last == "assistant" and "assistant" in roles:
        own = [message for message in messages if message.get("role") == "assistant"]
        if all(message.get("weight") == 0 for message in own):
            yield Problem(
                "weight",
                "Every answer has the weight 0: there is nothing to learn.",
                "Give the answer to learn the weight 1, or none.",
                column=where,
            )
    if "user" not in roles:
        yield Problem(
            "order",
            "No message is the user's.",
            "Add what is asked, unless the model should speak unasked.",
            "warning",
            column=where,
        )
    for n, role in enumerate(roles):
        before = roles[n - 1] if n else None
        if role in OPENERS and n and before not in OPENERS:
            what, remedy = f"The {role} message is not the first", "Put it first (--fix does)."
        elif role == "assistant" and "user" in roles[n:] and "user" not in roles[:n]:
            what, remedy = "The assistant speaks before the user", "Is a user's message missing?"
        elif role == before and role in ("user", "assistant"):
            what, remedy = f"Two messages of the {role} follow one another", "Make them one?"
        else:
            continue
        yield Problem("order", f"{what}.", remedy, "warning", column=f"{where}[{n}]")
