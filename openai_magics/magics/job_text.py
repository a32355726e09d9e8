"""A job as it is written: JSON or YAML in a cell, numbers and pairs on a line."""

from __future__ import annotations

import json
from typing import Any

from openai_magics.errors import ExtraMissing, OptionError

__all__ = ["number", "pairs", "parsed"]


def parsed(cell: str) -> Any:
    """Return the job that a cell writes in JSON or YAML.

    Raises
    ------
    OptionError
        It is neither.
    ExtraMissing
        It is no JSON, and nothing here reads YAML.
    """
    try:
        return json.loads(cell)
    except ValueError as error:
        if cell.lstrip().startswith("{"):
            raise OptionError(f"%%train: the job is not JSON ({error}).") from None
    try:
        import yaml
    except ImportError as error:
        raise ExtraMissing("Reading a job in YAML", "yaml", "JSON needs none") from error
    try:
        return yaml.safe_load(cell)
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise OptionError(
            f"%%train: the job is not YAML ({said}).", "A line a key, as in  data: examples.jsonl"
        ) from None


def number(text: str | None) -> Any:
    """Return what was typed for a hyperparameter: a number, or the text (``auto``)."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def pairs(items: list[str] | None, flag: str) -> dict[str, Any]:
    """Return ``KEY=VALUE`` items as a dict; a value is JSON, or text.

    Raises
    ------
    OptionError
        One is no such pair.
    """
    found: dict[str, Any] = {}
    for item in items or ():
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise OptionError(f"%train: {flag} {item!r} is not KEY=VALUE.", f"{flag} a=1")
        found[key] = number(value)
    return found
