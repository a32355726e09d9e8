"""Whether a file can be trained on: its lines, one after the other, in memory for one line.

The formats are OpenAI's: ``{"messages": […]}`` for ``supervised``, and for ``dpo``
``{"input": {"messages": […]}, "preferred_output": […], "non_preferred_output": […]}``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["LEAST", "BadData", "Checked", "check", "examples"]

LEAST = 10
"""Examples of a training file, as at OpenAI."""
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


class BadData(Exception):
    """A file cannot be trained on: ``code`` and ``message`` as the API gives them."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Checked:
    """What was found in a file that is in order."""

    examples: int


def check(path: Path, method: str, what: str, least: int = LEAST) -> Checked:
    """Read a file through.

    Parameters
    ----------
    path : Path
        JSON lines.
    method : {"supervised", "dpo"}
        Whose format its lines have to be in.
    what : {"training_file", "validation_file"}
        What the file is to the job; messages name it.
    least : int
        How many examples it has to have.

    Raises
    ------
    BadData
        It is not in order; the message names the first line that is not.
    OSError
        It cannot be read.
    """
    count = sum(1 for _ in examples(path, method, what))
    if count < least:
        name = "Training" if what == "training_file" else "Validation"
        raise BadData(
            "invalid_n_examples",
            f"{name} file has {count} example(s), but must have at least {least} examples",
        )
    return Checked(count)


def examples(path: Path, method: str, what: str = "training_file") -> Iterator[dict[str, Any]]:
    """Yield the examples of a file, each checked.

    Raises
    ------
    BadData
        When it comes to a line that is not in order.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            raw = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not raw.strip():
                continue
            try:
                yield _example(raw, method)
            except _Wrong as wrong:
                code = f"invalid_{what}"
                raise BadData(code, f"Invalid file format. Line {number}: {wrong}") from None


class _Wrong(Exception):
    pass


def _example(raw: bytes, method: str) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _Wrong(f"it is not UTF-8 ({error.reason} at byte {error.start}).") from None
    except ValueError as error:
        raise _Wrong(f"it is not JSON ({error}).") from None
    except RecursionError:
        raise _Wrong("it is nested too deeply.") from None
    if not isinstance(value, dict):
        raise _Wrong("it is no JSON object.")
    (_preference if method == "dpo" else _conversation)(value)
    return value


def _preference(value: dict[str, Any]) -> None:
    given = value.get("input")
    _messages(given.get("messages") if isinstance(given, dict) else None, "input.messages")
    for name in ("preferred_output", "non_preferred_output"):
        _messages(value.get(name), name)
        if [message["role"] for message in value[name]] != ["assistant"]:
            raise _Wrong(f"'{name}' has to be one message of the assistant.")


def _conversation(value: dict[str, Any]) -> None:
    messages = _messages(value.get("messages"), "messages")
    if value.get("tools") or value.get("functions"):
        raise _Wrong("it has tools, which the trainer on this machine does not train.")
    said = [message for message in messages if message["role"] == "assistant"]
    if not said:
        raise _Wrong("it has no message from the assistant.")
    if messages[-1]["role"] != "assistant":
        raise _Wrong("its last message is not from the assistant.")
    if all(message.get("weight") == 0 for message in said):
        raise _Wrong("every message of the assistant has the weight 0: nothing can be learned.")


def _messages(value: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value:
        raise _Wrong(f"it has no valid '{name}'.")
    for place, message in enumerate(value):
        where = f"{name}[{place}]"
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise _Wrong(f"'{where}.role' is not one of {', '.join(sorted(ROLES))}.")
        if message.get("tool_calls") or message.get("function_call"):
            raise _Wrong(f"'{where}' calls a tool, which the trainer here does not train.")
        content = message.get("content")
        if isinstance(content, list):
            if not all(isinstance(part, dict) and part.get("type") == "text" for part in content):
                raise _Wrong(f"'{where}.content' has parts that are not text.")
            message["content"] = content = "".join(str(part.get("text", "")) for part in content)
        if not isinstance(content, str) or not content:
            raise _Wrong(f"'{where}.content' has to be text.")
        if any("\ud800" <= character <= "\udfff" for character in content):
            raise _Wrong(f"'{where}.content' holds half of a character (a lone surrogate).")
        if message.get("weight") not in (None, 0, 1):
            raise _Wrong(f"'{where}.weight' is neither 0 nor 1.")
    return value
