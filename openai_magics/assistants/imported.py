"""Assistants of others as ours: of OpenAI's old API, and prompts kept at OpenAI.

The shapes are those of OpenAI's API description: ``AssistantObject`` and
``ListAssistantsResponse`` (the API was switched off on 2026-08-26), and ``Prompt`` of the
Responses API. A prompt (``pmpt_…``) cannot be read through the API, only be named in a
request: an assistant made of one names it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from openai_magics.assistants.assistant import Assistant
from openai_magics.assistants.store import FORMAT, Store
from openai_magics.errors import AssistantsDamaged, OptionError

__all__ = ["BUILT_IN", "Imported", "from_file", "from_object", "from_prompt"]

BUILT_IN = ("file_search", "code_interpreter")
"""Tools of the old API that the Responses API has, and chat completions have not."""
DEFAULTS = {"temperature": 1, "top_p": 1}
"""What the old API said of every assistant, set or not; reasoning models refuse it."""
DROPPED = ("object",)


@dataclass(frozen=True)
class Imported:
    """Assistants that were read, and what is to be said of them."""

    assistants: tuple[Assistant, ...]
    notes: tuple[str, ...] = ()


def from_file(path: Path) -> Imported:
    """Return the assistants of a file: ours, or saved from the old API.

    Of the old API: one assistant, a list of them, the response of a listing, or one a line.

    Raises
    ------
    OptionError
        There is no such file, or no assistant in it.
    AssistantsDamaged
        It is no JSON, or an assistant in it is none.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise OptionError(
            f"{path} cannot be read: {error.strerror or error}.", "Name a JSON file."
        ) from error
    except UnicodeDecodeError as error:
        raise OptionError(f"{path} is not text.", "Name a JSON file.") from error
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        rows = list(_rows(path, text, error))
        return from_objects(path, [row for _, row in rows], [line for line, _ in rows])
    if isinstance(value, dict) and value.get("format") == FORMAT:
        return Imported(tuple(Store(path).all()))
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        value = value["data"]
    return from_objects(path, value if isinstance(value, list) else [value])


def _rows(
    path: Path, text: str, error: json.JSONDecodeError | RecursionError
) -> Iterator[tuple[int, Any]]:
    """Yield the objects of a file that holds one a line, with their lines."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as problem:
            line_of_all = getattr(error, "lineno", number)  # of the file as one JSON text
            raise AssistantsDamaged(path, line_of_all, f"this is not JSON ({error})") from problem
        yield number, row


def from_objects(path: Path, values: list[Any], lines: list[int] | None = None) -> Imported:
    """Return the assistants of some objects of the old API, or entries of ours."""
    found: list[Assistant] = []
    notes: list[str] = []
    for number, value in enumerate(values):
        try:
            read = from_object(value)
        except ValueError as error:
            line = lines[number] if lines else 1
            what = f"number {number + 1} is no assistant ({error})"
            raise AssistantsDamaged(path, line, what) from error
        found += read.assistants
        notes += read.notes
    if not found:
        raise OptionError(f"There is no assistant in {path}.", "Nothing was changed.")
    return Imported(tuple(found), tuple(dict.fromkeys(notes)))


def from_object(value: Any) -> Imported:
    """Return the assistant of an object of the old API (or an entry of ours).

    Raises
    ------
    ValueError
        It is none.
    """
    if not isinstance(value, Mapping):
        raise ValueError("an assistant is an object")  # noqa: TRY004
    if "instructions" not in value and "model" not in value and "prompt" not in value:
        raise ValueError("it has neither instructions nor a model")
    if value.get("object") not in (None, "assistant"):
        raise ValueError(f"it is a {value['object']!r}")
    entry = {name: item for name, item in value.items() if name not in DROPPED}
    entry["name"] = entry.get("name") or entry.get("id")
    parameters = dict(entry.get("parameters") or {})
    for name in ("temperature", "top_p", "reasoning_effort"):
        said = entry.pop(name, None)
        if said is not None and said != DEFAULTS.get(name):
            parameters[name] = said
    form = entry.pop("response_format", None)
    if isinstance(form, Mapping) and isinstance(form.get("json_schema"), Mapping):
        entry["schema"] = form["json_schema"]
    elif isinstance(form, Mapping) and form.get("type") == "json_object":
        parameters["response_format"] = {"type": "json_object"}
    entry["parameters"] = parameters
    entry["tools"] = list(_tools(entry.get("tools") or [], entry.pop("tool_resources", None) or {}))
    made = Assistant.from_entry(entry)
    empty = {name for name, item in made.extra.items() if item in (None, {}, [])}
    made = replace(made, extra={k: item for k, item in made.extra.items() if k not in empty})
    built_in = [str(tool["type"]) for tool in made.tools if tool.get("type") in BUILT_IN]
    if not built_in:
        return Imported((made,))
    note = (
        f"{made.name!r} uses {' and '.join(built_in)}, which chat completions have not: it "
        "speaks the Responses API."
    )
    return Imported((replace(made, api="responses"),), (note,))


def _tools(tools: Any, resources: Any) -> Iterator[Any]:
    """Yield the tools, the built-in ones with their files as the Responses API takes them."""
    held = resources if isinstance(resources, Mapping) else {}
    for tool in tools if isinstance(tools, list) else [tools]:
        kind = tool.get("type") if isinstance(tool, Mapping) else None
        of_it = held.get(kind) or {}
        if kind == "file_search" and "vector_store_ids" not in tool:
            options = tool.get("file_search") or {}
            yield {"type": kind, "vector_store_ids": of_it.get("vector_store_ids") or [], **options}
        elif kind == "code_interpreter" and "container" not in tool:
            files = of_it.get("file_ids") or []
            yield {"type": kind, "container": {"type": "auto", "file_ids": files}}
        else:
            yield tool


def from_prompt(identity: str, name: str | None = None, version: str | None = None) -> Imported:
    """Return an assistant that names a prompt kept at OpenAI (``pmpt_…``)."""
    prompt = {"id": identity, **({"version": version} if version else {})}
    made = Assistant(
        name=name or identity, id=identity, parameters={"prompt": prompt}, api="responses"
    )
    note = (
        f"What {identity} says stays at OpenAI: no API tells it, a request only names it, and "
        "what it says may change there. To keep it here, copy its text: "
        f"%%assistant save {made.name}"
    )
    return Imported((made,), (note,))
