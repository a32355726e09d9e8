"""What may be wrong with the tools of an example, the calls of them, and how many images it holds.

Shapes are those of ``ChatCompletionTool`` and ``ChatCompletionMessageToolCall`` of OpenAI's API
description.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from openai_magics.training.problems import Problem

__all__ = ["in_calls", "in_images", "in_tools"]

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
IMAGES = 64
"""Of an example (OpenAI's guide to vision fine-tuning)."""


def in_calls(messages: Sequence[Mapping[str, Any]], where: str, tools: Any) -> Iterator[Problem]:
    """Yield what is wrong with the calls of tools, and with their results."""
    known = {
        tool["function"].get("name")
        for tool in (tools if isinstance(tools, list) else ())
        if isinstance(tool, dict) and isinstance(tool.get("function"), dict)
    }
    open_calls: set[str] = set()
    for n, message in enumerate(messages):
        place, role = f"{where}[{n}]", message.get("role")
        if role == "tool":
            name = message.get("tool_call_id")
            if not isinstance(name, str) or name not in open_calls:
                yield Problem(
                    "tools",
                    f"A tool's message answers the call {name!r}, which was not made.",
                    "Give the id of a call of the message before.",
                    column=f"{place}.tool_call_id",
                )
            open_calls.discard(str(name))
            continue
        if open_calls:
            yield _unanswered(open_calls, place)
            open_calls = set()
        calls = message.get("tool_calls")
        if calls is None:
            continue
        for m, call in enumerate(calls if isinstance(calls, list) else [calls]):
            problem = _in_call(call, f"{place}.tool_calls[{m}]", known)
            if problem is not None:
                yield problem
            else:
                open_calls.add(call["id"])
    if open_calls and messages[-1].get("role") != "assistant":
        yield _unanswered(open_calls, f"{where}[{len(messages) - 1}]")


def _unanswered(names: set[str], where: str) -> Problem:
    return Problem(
        "tools",
        f"The call {min(names)!r} is left without its result.",
        "A message of the tool follows each call.",
        column=where,
    )


def _in_call(call: Any, where: str, known: set[Any]) -> Problem | None:
    function = call.get("function") if isinstance(call, dict) else None
    if not (
        isinstance(function, dict)
        and isinstance(call.get("id"), str)
        and call.get("type") == "function"
        and isinstance(function.get("name"), str)
    ):
        return Problem(
            "tools",
            "A tool call is not in the shape of one.",
            'As in {"id": …, "type": "function", "function": {"name": …, "arguments": "{}"}}.',
            column=where,
        )
    try:
        json.loads(str(function["arguments"]) if isinstance(function.get("arguments"), str) else "")
    except (TypeError, ValueError, RecursionError):
        return Problem(
            "tools",
            f"The arguments of a call of {function['name']!r} are not JSON in a text.",
            'Write them as text: "{\\"city\\": \\"Paris\\"}".',
            column=f"{where}.arguments",
        )
    if function["name"] not in known:
        return Problem(
            "tools",
            f"A call is of {function['name']!r}, which is not in the example's tools.",
            "Add it to tools.",
            column=where,
        )
    return None


def in_images(messages: Sequence[Mapping[str, Any]], where: str) -> Iterator[Problem]:
    """Yield whether an example holds too many images."""
    count = sum(
        isinstance(part, dict) and part.get("type") == "image_url"
        for message in messages
        if isinstance(message.get("content"), list)
        for part in message["content"]
    )
    if count > IMAGES:
        yield Problem(
            "image",
            f"The example holds {count} images.",
            f"The service takes {IMAGES}: split it.",
            column=where,
        )


def in_tools(tools: Any, where: str) -> Iterator[Problem]:
    """Yield what is wrong with the tools of an example."""
    if tools is None:
        return
    if not isinstance(tools, list):
        yield Problem("tools", f"{where} is not a list.", "Give a list of tools.", column=where)
        return
    names: set[str] = set()
    for n, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or not NAME.fullmatch(name):
            yield Problem(
                "tools",
                f"A tool has the name {name!r}.",
                "A name has up to 64 of A-Z a-z 0-9 _ -.",
                column=f"{where}[{n}]",
            )
        elif name in names:
            yield Problem(
                "tools", f"Two tools are called {name!r}.", "Leave one.", column=f"{where}[{n}]"
            )
        else:
            names.add(name)
