"""How a schema is asked for: the strictest form that the server takes.

1. ``strict``: ``response_format`` with ``strict: true``; the server holds the model to it
2. ``loose``: the same without ``strict``, for a schema that cannot be (or a refused one)
3. ``object``: ``json_object``, the schema in words
4. ``words``: the schema in words alone

What a server refuses is remembered for this run. The form is no part of the fingerprint; the
record has what was sent in ``resolved``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from openai_magics.errors import ContentRefused, ContextTooLong, RequestRefused
from openai_magics.schemas import strict, trees

__all__ = ["Forms", "in_words", "parameters", "sent"]

FORMS = ("strict", "loose", "object", "words")
MARKS: Mapping[str, Mapping[str, Any]] = {
    "loose": {"type": "json_schema", "strict": False},
    "object": {"type": "json_object"},
    "words": {"type": "text"},
}
"""What ``resolved.parameters`` says of a form that is not the first."""
ABOUT = ("response_format", "json_schema", "schema", "grammar", "text.format", "structured")
"""Words by which a refusal is known to be about the form (OpenAI, Azure, llama.cpp, vLLM)."""


class Forms:
    """Which forms to try, in order, for each place that is asked."""

    def __init__(self) -> None:
        self._refused: dict[Any, int] = {}

    def of(self, schema: Mapping[str, Any] | None, place: Any) -> Iterator[str]:
        """Yield the forms that are left for *place*, the strictest first; one for no schema."""
        if schema is None:
            yield "strict"
            return
        first = 0 if can_be_strict(schema) else 1
        yield from FORMS[max(first, self._refused.get(place, 0)) :]

    def refused(self, form: str, place: Any, problem: RequestRefused) -> bool:
        """Whether *problem* is about the form, and there is another; remember that."""
        about = any(word in f"{problem.problem} {problem.code}".lower() for word in ABOUT)
        if not about or isinstance(problem, (ContextTooLong, ContentRefused)) or form == FORMS[-1]:
            return False
        self._refused[place] = FORMS.index(form) + 1
        return True


def can_be_strict(schema: Mapping[str, Any]) -> bool:
    """Whether the schema of a request is to be strict and can be."""
    held = schema.get("schema")
    if not held or schema.get("strict") is False:
        return False
    return strict.strict(held)[0] is not None


def parameters(form: str, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the record says of the form, besides the schema."""
    if schema is None or form == "strict" or (form == "loose" and not can_be_strict(schema)):
        return {}
    return {"response_format": dict(MARKS[form])}


def sent(schema: Mapping[str, Any], mark: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the ``response_format`` for a schema; *mark* is what the record says of the form."""
    if mark is not None and mark.get("type") != "json_schema":
        return None if mark == MARKS["words"] else dict(mark)
    if "schema" not in schema:
        return {"type": "json_schema", "json_schema": dict(schema)}
    held = strict.strict(schema["schema"])[0] if mark is None and can_be_strict(schema) else None
    said = {
        "name": schema["name"],
        "schema": held or trees.wrapped(schema["schema"]),
        "strict": held is not None,
    }
    return {"type": "json_schema", "json_schema": said}


def in_words(form: str, schema: Mapping[str, Any] | None, system: str | None) -> str | None:
    """Return the system instruction, with the schema where the form itself does not say it."""
    if schema is None or form in ("strict", "loose"):
        return system
    shown = json.dumps(trees.wrapped(schema["schema"]), ensure_ascii=False)
    said = f"Answer with JSON that fits this JSON schema, and with nothing else:\n{shown}"
    return f"{system}\n{said}" if system else said
