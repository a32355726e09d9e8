"""The commands of ``%assistant`` and their options, and the set-up that was typed with them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from openai_magics.errors import OptionError
from openai_magics.magics import ask_options, options

__all__ = ["COMMANDS", "SETUP", "UNSET", "fields", "parsers"]

Settings = tuple[tuple[str, ...], dict[str, Any]]
NAME: Settings = (("name",), {"metavar": "NAME", "help": "a name or an id"})
USER: Settings = (
    ("--user",),
    {"action": "store_true", "help": "in the user's own file, for all notebooks"},
)
SETUP: tuple[Settings, ...] = (
    (("-s", "--instructions"), {"help": "the system instruction"}),
    (("-m", "--model"), {"help": "the model to ask"}),
    (("-d", "--description"), {"help": "what it is for"}),
    (("-t", "--temperature"), {"type": float, "help": "the sampling temperature"}),
    (("--max-tokens",), {"type": int, "metavar": "N", "help": "stop answers after N tokens"}),
    (("--seed",), {"type": int, "help": "the seed, where the server takes one"}),
    (("--effort",), {"choices": ask_options.EFFORTS, "help": "how long a reasoning model thinks"}),
    (
        ("-p", "--param"),
        {"action": "append", "metavar": "KEY=VALUE", "help": "another parameter; JSON, or text"},
    ),
    (("--schema",), {"metavar": "FILE", "help": "a JSON file: the schema of its answers"}),
    (("--tools",), {"metavar": "FILE", "help": "a JSON file: a list of tools"}),
    (
        ("--file",),
        {
            "action": "append",
            "metavar": "FILE",
            "help": "a text that is sent with the instructions",
        },
    ),
    (("--api",), {"choices": ("chat", "responses"), "help": "the protocol it speaks"}),
)
UNSET = (
    "description",
    "model",
    "instructions",
    "parameters",
    "tools",
    "schema",
    "files",
    "api",
)
COMMANDS: Mapping[str, tuple[str, tuple[Settings, ...]]] = {
    "use": ("ask as this assistant from now on", (NAME,)),
    "none": ("ask as no assistant", ()),
    "show": ("show a set-up (of the one in use)", ((("name",), {**NAME[1], "nargs": "?"}),)),
    "save": ("keep a set-up under a name; without options what is used now", (NAME, *SETUP, USER)),
    "edit": (
        "change some of a set-up",
        (
            NAME,
            (("--name",), {"dest": "renamed", "metavar": "NEW", "help": "another name"}),
            *SETUP,
            (("--unset",), {"action": "append", "choices": UNSET, "help": "take a field out"}),
        ),
    ),
    "delete": ("take an assistant out of its file", (NAME,)),
    "restore": ("bring back what was last deleted or replaced", (NAME,)),
    "import": (
        "take assistants over: FILE.json, asst_… from the server, or pmpt_…",
        (
            (("source",), {"metavar": "SOURCE", "help": "a file, or an id"}),
            (("--as",), {"dest": "renamed", "metavar": "NAME", "help": "call it so"}),
            USER,
        ),
    ),
    "export": (
        "write assistants to a file",
        (
            (("file",), {"metavar": "FILE", "help": "the JSON file to write"}),
            (("names",), {"nargs": "*", "metavar": "NAME", "help": "only these"}),
            (("--overwrite",), {"action": "store_true", "help": "replace a file that is there"}),
        ),
    ),
}


@lru_cache(maxsize=1)
def parsers() -> Mapping[str, argparse.ArgumentParser]:
    """Return the parser of each command."""
    return options.parsers("%assistant", COMMANDS)


def fields(typed: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of a set-up that were typed."""
    parameters = {
        "temperature": typed.temperature,
        "max_completion_tokens": typed.max_tokens,
        "seed": typed.seed,
        "reasoning_effort": typed.effort,
    }
    given = {name: value for name, value in parameters.items() if value is not None}
    given |= options.params("%assistant", typed.param or ())
    fields = {
        "description": typed.description,
        "model": typed.model,
        "instructions": typed.instructions,
        "parameters": given or None,
        "schema": _schema(_json(typed.schema), typed.schema) if typed.schema else None,
        "tools": _json(typed.tools) if typed.tools else None,
        "files": typed.file,
        "api": typed.api,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _json(path: str) -> Any:
    try:
        return json.loads(Path(path).expanduser().read_text("utf-8"))
    except OSError as error:
        raise OptionError(
            f"%assistant: {path} cannot be read: {error.strerror or error}.", "Name a JSON file."
        ) from error
    except ValueError as error:
        raise OptionError(f"%assistant: {path} is not JSON ({error}).", "Mend it.") from error


def _schema(value: Any, path: str) -> Any:
    """Return a schema as the API takes it; a bare JSON schema gets the file's name."""
    if isinstance(value, dict) and "schema" not in value:
        return {"name": Path(path).stem, "schema": value, "strict": True}
    return value
