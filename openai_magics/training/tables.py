"""Rows of a table → training examples, by the columns that hold prompt, completion and system."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from openai_magics.errors import OptionError, nearest
from openai_magics.training.formats import METHODS

__all__ = ["Columns", "maker"]

PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("question", "answer"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("input", "output"),
    ("user", "assistant"),
    ("text", "label"),
)
"""Columns that are taken where none are named, the first that fit."""
WHOLE = ("messages", "input", "conversations")
"""Columns that hold an example as JSON; ``input`` only beside ``preferred_output``."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold what.

    Attributes
    ----------
    prompt, completion : str or None
        The columns of what is asked and answered.
    rejected : str or None
        The column of the worse answer (dpo); ``completion`` is then the better one.
    system : str or None
        A system instruction for every example (a text, not a column; a column called
        ``system`` is used where there is one).
    """

    prompt: str | None = None
    completion: str | None = None
    rejected: str | None = None
    system: str | None = None

    @property
    def named(self) -> bool:
        """Whether a column is named."""
        return bool(self.prompt or self.completion or self.rejected)


def maker(
    names: Iterable[Any], columns: Columns, method: str | None, what: str
) -> Callable[[Mapping[str, Any]], Any]:
    """Return what makes an example of a row.

    Raises
    ------
    OptionError
        A column that was named is not there, or none can be told; the columns are listed.
    """
    held = [str(name) for name in names]
    for name in (columns.prompt, columns.completion, columns.rejected):
        if name is not None and name not in held:
            raise OptionError(
                f"{what} has no column {name!r}{nearest(name, held)}.",
                f"Its columns: {', '.join(held[:30])}.",
            )
    if not columns.named and _whole(held):
        return lambda row: {name: _parsed(row[name]) for name in held if row[name] is not None}
    prompt, completion, rejected = _chosen(held, columns, method)
    if prompt is None or (completion is None and method != "reinforcement"):
        raise OptionError(
            f"Which columns of {what} are the prompt and the completion?",
            f"Name them: --prompt COL --completion COL. Its columns: {', '.join(held[:30])}.",
        )
    system = "system" if columns.system is None and "system" in held else None
    more = _more(held, prompt, completion) if not columns.named else None
    used = {prompt, system}
    graded, question = method == "reinforcement", prompt

    def example(row: Mapping[str, Any]) -> Any:
        said = columns.system if system is None else _text(row[system])
        messages = [{"role": "system", "content": said}] if said else []
        asked = [_text(row[name]) for name in (question, more) if name is not None]
        messages.append({"role": "user", "content": "\n\n".join(text for text in asked if text)})
        if graded or completion is None:
            rest = {name: _plain(row[name]) for name in held if name not in used}
            return {"messages": messages, **rest}
        answer = {"role": "assistant", "content": _text(row[completion])}
        if rejected is None:
            return {"messages": [*messages, answer]}
        return {
            "input": {"messages": messages},
            "preferred_output": [answer],
            "non_preferred_output": [{"role": "assistant", "content": _text(row[rejected])}],
        }

    return example


def _whole(names: list[str]) -> bool:
    if "messages" in names or "conversations" in names:
        return True
    return {"input", "preferred_output"} <= set(names)


def _chosen(
    names: list[str], columns: Columns, method: str | None
) -> tuple[str | None, str | None, str | None]:
    by_lower = {name.lower(): name for name in names}
    prompt, completion, rejected = columns.prompt, columns.completion, columns.rejected
    if method in (None, "dpo") and not columns.named and {"chosen", "rejected"} <= set(by_lower):
        prompt = next((by_lower[n] for n in ("prompt", "question", "input") if n in by_lower), None)
        return prompt, by_lower["chosen"], by_lower["rejected"]
    for asked, answered in PAIRS:
        if prompt is None and completion is None and asked in by_lower:
            if answered in by_lower:
                return by_lower[asked], by_lower[answered], rejected
            if method == METHODS[2]:
                return by_lower[asked], None, None
    return prompt, completion, rejected


def _more(names: list[str], prompt: str, completion: str | None) -> str | None:
    """Return the column whose text follows the prompt: Alpaca's ``input`` is what is worked on."""
    if prompt.lower() != "instruction" or completion is None:
        return None
    return next((name for name in names if name.lower() == "input"), None)


def _plain(value: Any) -> Any:
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()  # a number of numpy
    missing = value is None or type(value).__name__ in ("NAType", "NaTType")
    return None if missing or (isinstance(value, float) and math.isnan(value)) else value


def _text(value: Any) -> str:
    value = _plain(value)
    return "" if value is None else str(value)


def _parsed(value: Any) -> Any:
    """Return a cell that holds JSON, as text or as what it is."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    if hasattr(value, "tolist"):
        return value.tolist()
    return value
