"""How a chat asks: what its form says, as arguments of `Session.ask`, and back from a record."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from openai_magics.errors import OptionError
from openai_magics.exchange import Request

__all__ = ["EMPTY", "arguments", "form_of"]

EMPTY: Mapping[str, str] = {
    "model": "",
    "system": "",
    "temperature": "",
    "max_tokens": "",
    "effort": "",
    "more": "",
}
"""The fields of the form; an empty one is not sent."""

NUMBERS: Mapping[str, tuple[str, Callable[[str], Any], str]] = {
    "temperature": ("temperature", float, "The temperature is a number, like 0.7."),
    "max_tokens": ("max_completion_tokens", int, "The most tokens are a whole number, like 500."),
}
"""A field → the parameter of the API, how its text is read, and what to say where it cannot be."""


def arguments(form: Mapping[str, str]) -> dict[str, Any]:
    """Return what a form says as keyword arguments of `Session.ask`.

    Raises
    ------
    OptionError
        A field holds what it cannot.
    """
    said: dict[str, Any] = {}
    for field, name in (("model", "model"), ("effort", "reasoning_effort")):
        if text := form.get(field, "").strip():
            said[name] = text
    if form.get("system", "").strip():
        said["system_instruction"] = form["system"]
    for field, (name, read, wanted) in NUMBERS.items():
        if text := form.get(field, "").strip():
            try:
                said[name] = read(text)
            except ValueError as error:
                raise OptionError(f"{text!r} is not possible here. {wanted}") from error
    said.update(_more(form.get("more", "").strip()))
    return said


def _more(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OptionError(
            f"The other parameters are not JSON ({error}).", 'Write them like {"seed": 7}.'
        ) from error
    if not isinstance(read, dict):
        raise OptionError(
            "The other parameters are no JSON object.", 'Write them like {"seed": 7}.'
        )
    return read


def form_of(request: Request) -> dict[str, str]:
    """Return the form that says what a request says."""
    left = dict(request.parameters)
    form = {**EMPTY, "model": request.model or "", "system": request.system or ""}
    fields = {"effort": "reasoning_effort"} | {name: row[0] for name, row in NUMBERS.items()}
    for field, name in fields.items():
        if isinstance(left.get(name), (str, int, float)):
            form[field] = str(left.pop(name))
    form["more"] = json.dumps(left, ensure_ascii=False) if left else ""
    return form
