"""``%assistants`` and ``%assistant``: named set-ups, kept beside the notebook."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from openai_magics import config, render
from openai_magics.errors import OptionError, nearest
from openai_magics.magics import options, show
from openai_magics.magics.assistant_options import COMMANDS, SETUP, UNSET, fields, parsers
from openai_magics.magics.base import Family

if TYPE_CHECKING:
    import pandas as pd

    from openai_magics.assistants.assistant import Assistant
    from openai_magics.assistants.reading import Step
    from openai_magics.session import Session

__all__ = ["AssistantMagics", "run"]


def run(session: Session, line: str, cell: str | None = None) -> None:
    """Carry out a line, with its cell, and show what came of it.

    Raises
    ------
    MagicsError
        See `openai_magics.assistants.desk.Desk`.
    """
    first, *rest = options.words(line) or ["show"]
    if first not in COMMANDS:
        if rest or first.startswith("-"):
            raise OptionError(
                f"%assistant has no command {first!r}{nearest(first, COMMANDS)}.",
                f"Commands: {', '.join(COMMANDS)}. A name alone uses that assistant.",
            )
        first, rest = "use", [first]
    typed = options.parse(parsers()[first], f"%assistant {first}", rest)
    if cell is not None:
        if first not in ("save", "edit"):
            raise OptionError(
                f"%%assistant {first} has no cell below it.", "As in: %%assistant save NAME"
            )
        if typed.instructions is not None:
            raise OptionError(
                "The instructions stand in the cell and in --instructions.", "Leave one out."
            )
        typed.instructions = cell.strip() or None
    HANDLERS[first](session, typed)


def _say(step: Step) -> None:
    """Show what is to be said of a step, and the set-up that came of it."""
    said = "\n".join(step.notes)
    if step.assistant:
        show.Once().finish(render.table(rows_of(step.assistant), said))
    else:
        _line(said)


def _line(text: str) -> None:
    show.Once().finish(({"text/plain": render.printable(text)}, {}))


def rows_of(item: Assistant) -> list[tuple[str, str]]:
    """Return the rows in which a set-up is shown."""
    shown = {
        "assistant": item.name,
        "version": item.version[:12],
        "id": item.id,
        "description": item.description,
        "model": item.model,
        "api": item.api,
        "parameters": item.parameters,
        "tools": [_called(tool) for tool in item.tools],
        "schema": item.schema and item.schema.get("name", "json"),
        "files": list(item.files),
        "instructions": item.instructions,
    }
    return [
        (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for name, value in shown.items()
        if value
    ]


def _called(tool: Mapping[str, Any]) -> str:
    function = tool.get("function")
    name = function.get("name") if isinstance(function, Mapping) else tool.get("name")
    return str(name or tool.get("type"))


def _none(session: Session, _: argparse.Namespace) -> None:
    session.set_assistant(None)
    _line("No assistant is in use.")


def _shown(session: Session, typed: argparse.Namespace) -> None:
    if typed.name is not None:
        _say(session.assistants.show(typed.name))
        return
    if session.assistant is None:
        _line("No assistant is in use.")
    else:
        show.Once().finish(render.table(rows_of(session.assistant)))


def _edit(session: Session, typed: argparse.Namespace) -> None:
    given = fields(typed)
    if typed.renamed is not None:
        given["name"] = typed.renamed
    _say(session.assistants.edit(typed.name, given, typed.unset or ()))


HANDLERS: Mapping[str, Callable[[Session, argparse.Namespace], None]] = {
    "use": lambda session, typed: _say(session.assistants.use(typed.name)),
    "none": _none,
    "show": _shown,
    "save": lambda session, typed: _say(
        session.assistants.save(typed.name, fields(typed), user=typed.user)
    ),
    "edit": _edit,
    "delete": lambda session, typed: _line("\n".join(session.assistants.delete(typed.name).notes)),
    "restore": lambda session, typed: _say(session.assistants.restore(typed.name)),
    "import": lambda session, typed: _say(
        session.assistants.take_over(typed.source, name=typed.renamed, user=typed.user)
    ),
    "export": lambda session, typed: _say(
        session.assistants.export(typed.file, typed.names, overwrite=typed.overwrite)
    ),
}


@magics_class
class AssistantMagics(Family):
    """Named set-ups."""

    @no_var_expand
    @line_magic
    @magic_arguments()
    @argument("--fresh", action="store_true", help="ask the server anew")
    @argument("--mode", choices=config.MODES, help="replay, live or auto")
    def assistants(self, line: str) -> pd.DataFrame:
        """List the assistants as a DataFrame: those kept here, and those the server still has.

        Examples::

            %assistants
            %assistants --fresh
        """
        typed = self.typed(self.assistants, "%assistants", line)
        frame, note = self.session.assistants.listing(fresh=typed.fresh, mode=typed.mode)
        if note:
            _line(note)
        return frame

    @no_var_expand
    @line_cell_magic
    @magic_arguments()
    @argument(
        "action",
        nargs="?",
        metavar="NAME|COMMAND",
        help="an assistant to use, or: none, show, save, edit, delete, restore, import, export",
    )
    @argument(
        "what", nargs="?", metavar="NAME", help="which assistant; for `import` a file or an id"
    )
    @options.declared(SETUP)
    @argument("--unset", action="append", choices=UNSET, help="for `edit`: take a field out")
    @argument("--name", metavar="NEW", help="for `edit`: another name")
    @argument("--as", metavar="NAME", help="for `import`: call it so")
    @argument("--user", action="store_true", help="for `save`, `import`: for all notebooks")
    @argument("--overwrite", action="store_true", help="for `export`: replace what is there")
    def assistant(self, line: str, cell: str | None = None) -> None:
        """Use an assistant: a named set-up of instructions, model and parameters.

        Assistants are kept in ``assistants.json`` beside the notebook (``--user``: in a file
        for all notebooks). What one says enters each request as if it had been typed; an
        option of ``%%ask`` counts before it. The set-up is recorded where it is used: a
        replay needs the dialogue file only, and never writes a file of assistants.

        Examples::

            %%assistant save tutor -m gpt-5.5 --effort low --file syllabus.md
            You are a patient tutor. Ask back before you explain.

            %assistant tutor                     (ask as tutor from now on)
            %assistant                           (which is in use)
            %assistant none
            %assistant show tutor
            %assistant edit tutor --model gpt-5.4-mini -p top_p=0.5 --unset files
            %assistant delete tutor
            %assistant restore tutor             (what was last deleted or replaced)
            %assistant import assistants-2025.json   (saved from the old API)
            %assistant import asst_abc123 --as tutor
            %assistant import pmpt_abc123@2      (a prompt kept at OpenAI: named, not copied)
            %assistant export mine.json tutor
        """
        run(self.session, line, cell)
