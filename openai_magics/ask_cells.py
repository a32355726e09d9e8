"""The cell that asks what a record asked: ``%%ask`` with the options its request says, or Python.

A magic is only given after reading it back, as IPython and the magic do, has given the same
request; what no ``%%ask`` can say (a prompt that ends in blank lines) is asked from Python. A
system instruction of several lines stands in a cell of its own before it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from openai_magics.errors import MagicsError
from openai_magics.exchange import Exchange, Request, canonical_json

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from openai_magics.magics.ask_options import AskLine

__all__ = ["instruction", "on_a_line", "source"]

PLAIN = re.compile(r"[\w./:@%+,][\w./:@%+=,-]*")
NAME = re.compile(r"[A-Za-z_]\w*")
SHORT = {
    "temperature": "--temperature",
    "max_completion_tokens": "--max-tokens",
    "seed": "--seed",
    "reasoning_effort": "--effort",
}
"""The parameters of the API that have an option of their own."""
PYTHON = """\
from IPython.display import display

from openai_magics import get_session, render

data, metadata = render.answer(get_session().ask({}))
display(data, raw=True, metadata=metadata)"""


def instruction(system: str | None) -> str:
    """Return the cell that sets the session's system instruction."""
    return (
        "from openai_magics import get_session\n\n"
        f"get_session().system_instruction = {_literal(system)}"
    )


def on_a_line(system: str) -> bool:
    """Whether a system instruction can be said as an option."""
    return len(system.splitlines()) == 1 and _literal(system).isprintable()


def source(
    item: Exchange,
    conversation: str | None,
    system: str | None = None,
    branch: str | None = None,
) -> str | None:
    """Return the cell that asks what a record asked, or ``None`` where no cell can say it.

    Parameters
    ----------
    item : Exchange
    conversation : str or None
        Which conversation it continues in the notebook.
    system : str, optional
        The session's system instruction at that cell.
    branch : str, optional
        The turn it comes after, as ``--branch-from`` takes it, where it is not the last one.
    """
    request = item.request
    if request.kind != "ask" or request.schema or request.tools or len(request.messages) != 1:
        return None
    if conversation is None and request.max_history is not None:
        return None
    message = request.messages[0]
    text = message.get("content")
    if message.get("role") != "user" or not isinstance(text, str) or len(message) != 2:
        return None
    place = Place(conversation, system, branch)
    return _magic(item, text, place) or _python(request, text, place)


@dataclass(frozen=True)
class Place:
    """Where a cell asks: see `source`."""

    conversation: str | None
    system: str | None
    branch: str | None


def _magic(item: Exchange, text: str, place: Place) -> str | None:
    """Return the cell as a magic, if reading it back gives the same request."""
    conversation, system = place.conversation, place.system
    typed = " ".join(_options(item, text, place))
    made = f"%%ask {typed}".rstrip() + f"\n{text}"
    try:
        made.encode()
        canonical = canonical_json(item.request.parameters)
        read = _read_back(made)
        same = canonical == canonical_json(read.parameters)
    except (UnicodeEncodeError, ValueError, MagicsError):
        return None
    # Editors make one line end of the two characters.
    same = same and "\r" not in made
    request, said = item.request, read.options
    same = same and (read.message, read.format) == (text, item.format)
    same = same and (said.model, said.base_url) == (request.model, request.endpoint)
    told = system if said.system_instruction is None else said.system_instruction
    same = same and told == request.system
    same = same and said.max_history == request.max_history
    same = same and said.api == request.api
    same = same and said.history == (conversation is not None)
    same = same and (said.conversation or "main") == (conversation or "main")
    same = same and said.branch_from == place.branch
    return made if same else None


def _options(item: Exchange, text: str, place: Place) -> Iterator[str]:
    request, conversation = item.request, place.conversation
    if conversation is None:
        yield "--no-history"
    elif conversation != "main":
        yield f"--conversation {_quoted(conversation)}"
    said = {
        "--branch-from": place.branch,
        "--model": request.model,
        "--base-url": request.endpoint,
        "--system": None if request.system == place.system else request.system,
        "--max-history": request.max_history,
        "--api": request.api,
        "--format": item.format,
    }
    for flag, told in said.items():
        if told is not None:
            yield f"{flag} {_quoted(str(told))}"
    for name, value in request.parameters.items():
        if item.format == "json" and (name, value) == ("response_format", {"type": "json_object"}):
            continue  # --format json asks for it
        short = SHORT.get(name)
        if short and isinstance(value, (int, float, str)) and not isinstance(value, bool):
            yield f"{short} {_quoted(str(value))}"
        else:
            shown = json.dumps(value, ensure_ascii=False).replace("'", "\\u0027")
            yield f"--param {_quoted(f'{name}={shown}')}"
    if "{{" in text and "--raw" in _parser()._option_string_actions:  # noqa: SLF001
        yield "--raw"


def _quoted(value: str) -> str:
    """Return a value as `openai_magics.magics.options` reads it: quotes of either kind, no escapes."""
    if PLAIN.fullmatch(value):
        return value
    if '"' not in value:
        return f'"{value}"'
    return "'" + value.replace("'", "'\"'\"'") + "'"


def _read_back(made: str) -> AskLine:
    """Return a cell as IPython and the magic read it.

    Raises
    ------
    ValueError, MagicsError
        It is no cell of ``%%ask``, or holds no possible options.
    """
    from IPython.core.inputtransformer2 import TransformerManager

    from openai_magics.magics import ask_options

    code: str = TransformerManager().transform_cell(made)  # type: ignore[no-untyped-call]
    nodes = ast.walk(ast.parse(code))
    found = [str(node.value) for node in nodes if isinstance(node, ast.Constant)]
    if len(found) != 3 or found[0] != "ask":
        raise ValueError("it is not read as one cell magic")
    return ask_options.ask_line(_parser(), "%%ask", found[1], found[2])


@lru_cache(maxsize=1)
def _parser() -> ArgumentParser:
    """Return a parser with the options of ask."""
    from IPython.core.magic_arguments import MagicArgumentParser

    from openai_magics.magics.ask_options import ASK_ARGUMENTS

    parser = cast("ArgumentParser", MagicArgumentParser())  # type: ignore[no-untyped-call]
    for flags, settings in ASK_ARGUMENTS:
        parser.add_argument(*flags, **settings)
    return parser


def _python(request: Request, text: str, place: Place) -> str | None:
    conversation = place.conversation
    said: dict[str, Any] = {} if conversation in (None, "main") else {"conversation": conversation}
    said |= {"history": False} if conversation is None else {}
    said |= {
        "branch_from": place.branch,
        "system_instruction": request.system,
        "model": request.model,
        "base_url": request.endpoint,
        "max_history": request.max_history,
        "api": request.api,
    }
    if not all(NAME.fullmatch(name) and name not in said for name in request.parameters):
        return None
    arguments: Mapping[str, Any] = {**said, **request.parameters}
    rows = [_literal(text)]
    rows += [f"{name}={_literal(value)}" for name, value in arguments.items() if value is not None]
    return PYTHON.format("".join(f"\n    {row}," for row in rows) + "\n")


def _literal(value: object) -> str:
    made = repr(value)
    try:
        made.encode()
    except UnicodeEncodeError:
        return ascii(value)
    return made
