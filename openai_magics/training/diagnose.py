"""What is wrong with a line that is not of the plainest form: every rule, one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from openai_magics.training.formats import FORMATS
from openai_magics.training.messages import in_messages
from openai_magics.training.problems import Problem
from openai_magics.training.tools import in_tools

__all__ = ["FOREIGN", "answers_of", "diagnose", "guess", "loads"]

KEYS = {
    "supervised": {"messages", "tools", "parallel_tool_calls", "functions"},
    "dpo": {"input", "preferred_output", "non_preferred_output"},
    "input": {"messages", "tools", "parallel_tool_calls"},
}
FOREIGN: tuple[frozenset[str], ...] = (
    frozenset({"conversations"}),
    frozenset({"prompt", "completion"}),
    frozenset({"instruction", "output"}),
    frozenset({"question", "answer"}),
    frozenset({"prompt", "chosen", "rejected"}),
)
"""Keys by which other formats are known (ShareGPT, completions, Alpaca, …); --fix turns them."""


ALL_IN_ONE = " Is the whole file one JSON document? Then call it .json."


class NotJSON(ValueError):
    """A line does not parse; ``column`` counts characters from 1."""

    def __init__(self, kind: str, what: str, column: int | str) -> None:
        super().__init__(what)
        self.kind, self.column = kind, str(column)


def loads(line: bytes) -> Any:
    """Return the JSON of a line.

    Raises
    ------
    NotJSON
        It is not UTF-8, or does not parse.
    """
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        at = len(line[: error.start].decode("utf-8")) + 1
        what = f"It is not UTF-8 (the byte 0x{line[error.start]:02x})."
        raise NotJSON("encoding", what, at) from None
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise NotJSON("JSON", f"It is not JSON: {error.msg}.", error.pos + 1) from None
    except RecursionError:
        raise NotJSON("JSON", "It is nested too deeply.", "") from None
    except ValueError as error:
        raise NotJSON("JSON", f"It is not JSON: {error}.", "") from None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a value of it")


def guess(example: Any) -> str | None:
    """Return the method that an example is for; ``None`` where it cannot be told.

    An example of reinforcement is known by its last message being the user's while there are
    keys for the grader.
    """
    if not isinstance(example, dict):
        return None
    if "preferred_output" in example or {"chosen", "rejected"} <= example.keys():
        return "dpo"
    messages = example.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    ends = last.get("role") if isinstance(last, dict) else None
    if ends == "user" and example.keys() - KEYS["supervised"]:
        return "reinforcement"
    return "supervised" if ends is not None else None


def diagnose(line: bytes, method: str) -> tuple[list[Problem], Any]:
    """Return what is wrong with a line, and its example (``None`` where it is none)."""
    try:
        example = loads(line)
    except NotJSON as error:
        remedy = "Save the file as UTF-8, or let --fix do it."
        if error.kind == "JSON":
            remedy = "One whole JSON object a line, made by a JSON library."
            if line.strip() in (b"{", b"["):
                remedy += ALL_IN_ONE
        return [Problem(error.kind, str(error), remedy, column=error.column)], None
    if not isinstance(example, dict):
        what = f"It is a JSON {_name(example)}, not an object."
        hint = ALL_IN_ONE if isinstance(example, list) else ""
        return [Problem("JSON", what, f"One JSON object a line.{hint}")], None
    rules = {"supervised": _chat, "dpo": _preference, "reinforcement": _graded}[method]
    return list(rules(example)), example


def _name(value: Any) -> str:
    names = {list: "list", str: "text", bool: "value", type(None): "null"}
    return names.get(type(value), "number")


def _foreign(example: Mapping[str, Any], key: str, method: str) -> Iterator[Problem]:
    known = any(keys <= example.keys() for keys in FOREIGN)
    other = guess(example)
    if other not in (None, method):
        remedy = f"It looks like {FORMATS[str(other)]} data: --method {other}."
    elif known:
        remedy = "It is in another tool's format: --fix turns it."
    else:
        remedy = f"An example of this format has {key!r}."
    yield Problem("format", f"There is no {key!r} in it.", remedy)


def _unknown(example: Mapping[str, Any], known: set[str], where: str) -> Iterator[Problem]:
    for key in sorted(example.keys() - known):
        yield Problem(
            "unknown key",
            f"The key {key!r} is not part of the format.",
            "The service may refuse it: leave it out (--fix does).",
            "warning",
            column=where + key,
        )


def _chat(example: Mapping[str, Any]) -> Iterator[Problem]:
    if "messages" not in example:
        yield from _foreign(example, "messages", "supervised")
        return
    yield from _unknown(example, KEYS["supervised"], "")
    yield from in_tools(example.get("tools"), "tools")
    yield from in_messages(example["messages"], "messages", "assistant", example.get("tools"))


def _graded(example: Mapping[str, Any]) -> Iterator[Problem]:
    if "messages" not in example:
        yield from _foreign(example, "messages", "reinforcement")
        return
    yield from in_tools(example.get("tools"), "tools")
    yield from in_messages(example["messages"], "messages", "user", example.get("tools"))


def _preference(example: Mapping[str, Any]) -> Iterator[Problem]:
    if "input" not in example:
        yield from _foreign(example, "input", "dpo")
        return
    given = example["input"]
    if not isinstance(given, dict):
        yield Problem(
            "format", "input is not an object.", 'As in {"messages": […]}.', column="input"
        )
        return
    yield from _unknown(example, KEYS["dpo"], "")
    yield from _unknown(given, KEYS["input"], "input.")
    yield from in_tools(given.get("tools"), "input.tools")
    yield from in_messages(given.get("messages"), "input.messages", "user", given.get("tools"))
    for key in ("preferred_output", "non_preferred_output"):
        answers = example.get(key)
        if not isinstance(answers, list) or len(answers) != 1:
            yield Problem(
                "no answer",
                f"{key} is not a list of one message.",
                "One message of the assistant stands there.",
                column=key,
            )
            continue
        # The order of a whole conversation is not asked of a single answer.
        for problem in in_messages(answers, key, "assistant", given.get("tools")):
            if problem.kind != "order":
                yield problem
    if example.get("preferred_output") == example.get("non_preferred_output"):
        yield Problem(
            "same answers",
            "Both answers are the same: there is nothing to prefer.",
            "Leave the example out.",
            column="preferred_output",
        )


def answers_of(example: Mapping[str, Any], method: str) -> tuple[Any, Any, list[Any]]:
    """Return the messages before the answer, the answer, and all messages of an example."""
    if method == "dpo":
        given = example.get("input")
        prompt = given.get("messages") if isinstance(given, dict) else None
        prompt = prompt if isinstance(prompt, list) else []
        outputs = [example.get("preferred_output"), example.get("non_preferred_output")]
        answer = [item for each in outputs if isinstance(each, list) for item in each]
        return prompt, answer, [*prompt, *answer]
    messages = example.get("messages")
    messages = messages if isinstance(messages, list) else []
    if method == "reinforcement":
        return messages, None, messages
    return messages[:-1], messages[-1:], messages
