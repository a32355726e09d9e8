"""Tab completion after the magics: options, their values, models, conversations, variables."""

from __future__ import annotations

import inspect
import re
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    context_matcher,
)

from openai_magics.errors import OptionError
from openai_magics.magics import options
from openai_magics.magics.families import FAMILIES

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["candidates", "install", "remove"]

LINE = re.compile(r"^(%{1,2})(\w+)\s(.*)$", re.DOTALL)


def candidates(shell: InteractiveShell, line: str) -> list[str] | None:
    """Return what may stand at the end of *line*; ``None`` where it is not ours to say.

    *line* is the first line of the cell up to the cursor.
    """
    match = LINE.match(line.lstrip())
    if match is None or match[2] not in FAMILIES:
        return None
    parser = options.parser_of(shell.find_line_magic(match[2]).method)
    words = match[3].split(" ")
    if match[2] == "ask" and _prompt_has_begun(parser, " ".join(words[:-1])):
        return None
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    flag, equals, typed = last.partition("=")
    option = parser._option_string_actions.get(flag if equals else before)
    if option is not None and option.nargs != 0:
        lead = f"{flag}=" if equals else ""
        wanted = typed if equals else last
        if option.dest == "tools":
            head, comma, wanted = wanted.rpartition(",")
            lead += head + comma
        found = _values(shell, option, wanted)
        return [lead + value for value in found if value.startswith(wanted)]
    if last.startswith("-"):
        return sorted(name for name in parser._option_string_actions if name.startswith(last))
    positional = [action for action in parser._actions if not action.option_strings]
    if match[2] == "ask" or not positional:
        return None
    values = _positional(shell, match[2], positional[0].choices or (), words)
    return [value for value in values if value.startswith(last)]


def _positional(
    shell: InteractiveShell, magic: str, choices: Iterable[str], words: list[str]
) -> Iterable[str]:
    """Return what may stand where no option does, in place of the last of some words."""
    before = words[:-1]
    if magic == "describe":
        return _images(shell, words[-1])
    if magic == "assistant":
        return _assistants(before)
    if magic == "dialogue" and set(before) & {"show", "reset", "thread", "rename"}:
        return _conversations()
    if magic == "jobs" and before:
        exports = before[0] == "export" and len(before) > 1
        return _folders(words[-1]) if exports else _jobs()
    if magic == "train" and before:
        return _data(shell)
    if magic == "models" or (magic == "openai" and "use" in before):
        return _models()
    return choices


def _prompt_has_begun(parser: ArgumentParser, text: str) -> bool:
    try:
        return bool(options.split(parser, "", text)[1])
    except OptionError:  # its last option has no value yet
        return False


def _values(shell: InteractiveShell, option: Any, typed: str) -> list[str]:
    if option.choices:
        return [str(choice) for choice in option.choices]
    if option.dest == "image":
        return _images(shell, typed)
    if option.dest == "model":
        return _models()
    if option.dest == "conversation":
        return _conversations()
    if option.dest == "branch_from":
        return _turns()
    if option.dest == "validation":
        return _data(shell)
    if (fits := VARIABLES.get(option.dest)) is not None:
        named = {name: each for name, each in shell.user_ns.items() if not name.startswith("_")}
        return sorted(name for name, value in named.items() if fits(value))
    if option.dest == "param":
        return [f"{name}=" for name in PARAMETERS]
    return []


def _images(shell: InteractiveShell, typed: str) -> list[str]:
    """Return the variables that may be an image, and the images and folders that match."""
    from openai_magics.images.places import beginning
    from openai_magics.values import is_image

    variables = [
        name
        for name, value in shell.user_ns.items()
        if not name.startswith("_") and (is_image(value) or hasattr(value, "__array_interface__"))
    ]
    return [*sorted(variables), *beginning(typed)]


PARAMETERS = (
    "frequency_penalty",
    "logprobs",
    "n",
    "presence_penalty",
    "response_format",
    "service_tier",
    "stop",
    "top_logprobs",
    "top_p",
    "verbosity",
)


def _is_tool(value: object) -> bool:
    """Whether a value is a function of the notebook's own."""
    return inspect.isroutine(value) and getattr(value, "__module__", None) == "__main__"


def _is_schema(value: object) -> bool:
    """Whether a value may say what an answer is to be."""
    marks = ("__dataclass_fields__", "model_json_schema", "__total__")
    if isinstance(value, dict):
        return bool(value.keys() & {"properties", "type", "$ref", "schema", "anyOf"})
    return isinstance(value, type) and any(hasattr(value, mark) for mark in marks)


VARIABLES: dict[str, Callable[[object], bool]] = {
    "out": lambda _: True,
    "schema": _is_schema,
    "tools": _is_tool,
}
"""An option that takes a variable → which ones may stand there."""


def _models() -> list[str]:
    """Return the models that are known without asking anybody: those of the last listing."""
    from openai_magics import local

    names = {"local", local.MODEL}
    session = _session()
    if session is not None:
        for exchange in session.dialogue:
            if exchange.request.kind == "models" and exchange.reply is not None:
                listed = (exchange.reply.payload or {}).get("data") or ()
                names |= {str(item.get("id")) for item in listed}
            elif exchange.reply is not None and exchange.reply.model:
                names.add(exchange.reply.model)
        names.update(session.training.tuned())
    return sorted(names)


def _jobs() -> list[str]:
    """Return the jobs that were started from here, then the models that they made."""
    session = _session()
    if session is None:
        return []
    return [*sorted(session.training.known(), reverse=True), *session.training.tuned()]


def _folders(typed: str) -> list[str]:
    """Return the folders that begin as was typed, with a slash."""
    begin, slash, _ = typed.rpartition("/")
    where = Path(begin + slash).expanduser()
    held = sorted(path.name for path in where.iterdir() if path.is_dir())
    return [f"{begin}{slash}{name}/" for name in held if not name.startswith(".")]


def _data(shell: InteractiveShell) -> list[str]:
    """Return what may be training data: files and folders here, tables and lists."""
    from pathlib import Path

    files = [
        f"{path.name}/" if path.is_dir() else path.name
        for path in Path().iterdir()
        if path.suffix in DATA or (path.is_dir() and not path.name.startswith("."))
    ]
    kinds = ("DataFrame", "list")
    variables = [
        name
        for name, value in shell.user_ns.items()
        if type(value).__name__ in kinds and not name.startswith("_") and name != "In"
    ]
    return sorted(files) + sorted(variables)


DATA = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")


def _assistants(before: list[str]) -> list[str]:
    """Return what may stand after some words of ``%assistant``: commands, names, files."""
    from openai_magics.assistants import roster
    from openai_magics.config import Settings
    from openai_magics.magics.assistant_options import COMMANDS

    session = _session()
    names = roster.names(session.settings if session is not None else Settings())
    shown = [f'"{name}"' if " " in name else name for name in names]
    if not before:
        return sorted({*COMMANDS, *shown})
    if before == ["import"]:
        return sorted(path.name for path in Path().glob("*.json"))
    return shown if len(before) == 1 or before[0] == "export" else []


def _conversations() -> list[str]:
    session = _session()
    return sorted(session.conversations) if session is not None else ["main"]


def _turns() -> list[str]:
    """Return the turns of this run, by their numbers; those of the current conversation first."""
    session = _session()
    if session is None:
        return []
    talks = sorted(session.conversations.items(), key=lambda item: item[0] != session.thread)
    return [
        str(n) if name == session.thread else f"{name}:{n}"
        for name, talk in talks
        for n in range(1, len(talk.asked) + 1)
    ]


def _session() -> Any:
    # A thread may be importing the module at this moment: see `warm`.
    return getattr(sys.modules.get("openai_magics.session"), "current", None)


def install(shell: InteractiveShell) -> None:
    """Add the completions to *shell*."""
    remove(shell)
    completer = getattr(shell, "Completer", None)
    if completer is None:
        return

    @context_matcher(identifier="openai_magics")
    def matcher(context: CompletionContext) -> Any:
        first = context.full_text.split("\n", 1)[0]
        line = context.line_with_cursor[: context.cursor_position]
        found = None
        if context.cursor_line == 0 or not first.lstrip().startswith("%%"):
            try:
                found = candidates(shell, line)
            except Exception:  # noqa: BLE001 - a completion that cannot be made is none
                found = None
        if found is None:
            return {"completions": []}
        fragment = line.rsplit(" ", 1)[-1]
        return {
            "completions": [SimpleCompletion(text=text, type="option") for text in found],
            "matched_fragment": fragment,
            "suppress": True,
        }

    completer.custom_matchers.append(matcher)


def remove(shell: InteractiveShell) -> None:
    """Take the completions out of *shell*."""
    completer = getattr(shell, "Completer", None)
    if completer is not None:
        completer.custom_matchers[:] = [
            item
            for item in completer.custom_matchers
            if getattr(item, "matcher_identifier", "") != "openai_magics"
        ]
