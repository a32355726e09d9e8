"""``%dialogue`` and its sub-commands: read the line, call the dialogue, show what it gave."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from openai_magics import render
from openai_magics.errors import OptionError, nearest
from openai_magics.magics import options, show
from openai_magics.magics.base import Family

if TYPE_CHECKING:
    from openai_magics.session import Session
    from openai_magics.views import Dialogue

__all__ = ["COMMANDS", "DialogueMagics", "parser_of", "run"]

Settings = tuple[tuple[str, ...], dict[str, Any]]
ALL: Settings = (
    ("--all",),
    {"action": "store_true", "help": "all that the file holds, not only what this run has said"},
)
NAME = {"nargs": "?", "metavar": "CONVERSATION", "help": "only this one"}
COMMANDS: Mapping[str, tuple[str, tuple[Settings, ...]]] = {
    "frame": ("the dialogue as a DataFrame, one row an exchange", (ALL,)),
    "show": ("what was said, to read", ((("conversation",), NAME), ALL)),
    "conversations": ("the conversations as a DataFrame", (ALL,)),
    "usage": ("requests, tokens and cost by model and day, as a DataFrame", (ALL,)),
    "thread": (
        "the conversation that an ask continues where it names none; with a name, set it",
        ((("conversation",), {"nargs": "?", "metavar": "CONVERSATION", "help": "this one"}),),
    ),
    "rename": (
        "give a conversation another name, in this run and in the file",
        (
            (("conversation",), {"metavar": "OLD", "help": "the name it has"}),
            (("new",), {"metavar": "NEW", "help": "the name it gets"}),
        ),
    ),
    "path": ("the dialogue file", ()),
    "sync": ("bring the dialogue and its file in the cloud together", ()),
    "reset": (
        "forget a conversation, or all, in this run; the file keeps what it holds",
        (
            (("conversation",), NAME),
            (("--file",), {"action": "store_true", "help": "move the dialogue file aside"}),
        ),
    ),
    "export": (
        "write the dialogue for others: .md, .html, .csv, .jsonl or .ipynb",
        (
            (("file",), {"metavar": "FILE", "help": "the file to write; its suffix is the format"}),
            (("--format",), {"help": "the format, where the suffix does not say it"}),
            (("-c", "--conversation"), {"metavar": "NAME", "help": "only this one"}),
            (("--overwrite",), {"action": "store_true", "help": "replace a file that is there"}),
        ),
    ),
    "verify": ("whether the notebook gives the same outputs from its dialogue file", ()),
    "repair": ("mend a damaged dialogue file", ()),
}
INSIDE = "_VERIFYING_OPENAI_MAGICS"
"""Set while a notebook is verified: its own ``%dialogue verify`` must not begin another."""


@lru_cache(maxsize=1)
def _parsers() -> Mapping[str, argparse.ArgumentParser]:
    return options.parsers("%dialogue", COMMANDS)


def parser_of(command: str) -> argparse.ArgumentParser:
    """Return the parser of a sub-command.

    Raises
    ------
    OptionError
        There is none; the nearest is named.
    """
    if command not in COMMANDS:
        raise OptionError(
            f"%dialogue has no command {command!r}{nearest(command, COMMANDS)}.",
            f"Commands: {', '.join(COMMANDS)}. See %dialogue?",
        )
    return _parsers()[command]


def run(session: Session, line: str) -> Any:
    """Carry out a line; return what the cell gives.

    Raises
    ------
    OptionError
        A word or an option is not possible, or the command cannot do it.
    DialogueError
        The dialogue file cannot be read, or moved.
    """
    first, *rest = options.words(line) or ["frame"]
    if first.startswith("-"):
        first, rest = "frame", [first, *rest]
    name = "%dialogue" if first == "frame" else f"%dialogue {first}"
    typed = options.parse(parser_of(first), name, rest)
    return HANDLERS[first](session, typed)


def _say(text: str) -> None:
    show.Once().finish(({"text/plain": render.printable(text)}, {}))


def _reset(dialogue: Dialogue, typed: argparse.Namespace) -> None:
    moved = dialogue.reset(typed.conversation, file=typed.file)
    what = (
        f"The conversation {typed.conversation!r} is"
        if typed.conversation is not None
        else "All conversations are"
    )
    if moved is not None and dialogue.cloud is not None:
        _say(
            f"The dialogue is empty now, here and in the cloud. What it held is kept in both "
            f"places as {moved.name}. To undo it: rename {moved} back to {dialogue.path.name}, "
            "then restart the kernel."
        )
    elif moved is not None:
        _say(
            f"The dialogue file is now {moved.name}, and the next answer begins a new one. "
            f"To undo it: rename it back to {dialogue.path.name}, then restart the kernel."
        )
    elif typed.file:
        _say(f"There is no {dialogue.path.name} yet: nothing was moved.")
    else:
        _say(f"{what} forgotten in this run; {dialogue.path.name} keeps what was said.")


def _thread(session: Session, typed: argparse.Namespace) -> None:
    if typed.conversation is not None:
        session.thread = typed.conversation
    _say(f"An ask continues the conversation {session.thread!r}.")


def _rename(session: Session, typed: argparse.Namespace) -> None:
    session.rename_conversation(typed.conversation, typed.new)
    _say(f"The conversation {typed.conversation!r} is now {typed.new!r}.")


def _export(dialogue: Dialogue, typed: argparse.Namespace) -> None:
    from openai_magics.export import Wanted

    wanted = Wanted(typed.conversation, overwrite=typed.overwrite)
    _say(str(dialogue.exported(typed.file, typed.format, wanted)))


def _verify(dialogue: Dialogue, _: argparse.Namespace) -> None:
    if INSIDE in os.environ:
        return
    verify = _room("verify")
    name = f"{dialogue.path.name.removesuffix('.dialogue.json')}.ipynb"
    os.environ[INSIDE] = "1"
    try:
        _say(str(verify.verify(dialogue.path.with_name(name))))
    finally:
        del os.environ[INSIDE]


def _repair(dialogue: Dialogue, _: argparse.Namespace) -> None:
    done = _room("repair").repair(dialogue.path)
    state = "mended" if done.mended else "healthy, and left as it is"
    said = [f"{done.path.name}: {state}; {done.kept} records.", *done.mended]
    if done.set_aside is not None:
        said.append(f"The file as it was: {done.set_aside.name}")
    if done.rescued is not None:
        said.append(f"What could not be read: {done.rescued.name}")
    _say("\n".join(said))


def _room(name: str) -> Any:
    if importlib.util.find_spec(f"openai_magics.{name}") is None:
        raise OptionError(f"%dialogue {name} is not in this version.", "See %dialogue?")
    return importlib.import_module(f"openai_magics.{name}")


HANDLERS: Mapping[str, Callable[[Session, argparse.Namespace], Any]] = {
    "frame": lambda session, typed: session.dialogue.to_frame(whole=typed.all),
    "show": lambda session, typed: session.dialogue.show(typed.conversation, whole=typed.all),
    "conversations": lambda session, typed: session.dialogue.conversations(whole=typed.all),
    "usage": lambda session, typed: session.dialogue.usage(whole=typed.all),
    "thread": _thread,
    "rename": _rename,
    "path": lambda session, _: session.dialogue.path,
    "sync": lambda session, _: _say(session.dialogue.sync()),
    "reset": lambda session, typed: _reset(session.dialogue, typed),
    "export": lambda session, typed: _export(session.dialogue, typed),
    "verify": lambda session, typed: _verify(session.dialogue, typed),
    "repair": lambda session, typed: _repair(session.dialogue, typed),
}


@magics_class
class DialogueMagics(Family):
    """The dialogue, and its upkeep."""

    @no_var_expand
    @line_magic
    @magic_arguments()
    @argument(
        "action",
        nargs="?",
        default="frame",
        choices=(
            "frame",
            "show",
            "conversations",
            "usage",
            "thread",
            "rename",
            "path",
            "sync",
            "reset",
            "export",
            "verify",
            "repair",
        ),
        help="what to do (default: give the DataFrame)",
    )
    @argument(
        "what",
        nargs="?",
        help="for `show`, `reset`, `thread`, `rename`: a conversation; for `export`: the file",
    )
    @argument("new", nargs="?", help="for `rename`: the name it gets")
    @argument(
        "--format",
        choices=("md", "html", "csv", "jsonl", "ipynb"),
        help="for `export`: the format, where the file's suffix does not say it",
    )
    @argument("-c", "--conversation", metavar="NAME", help="for `export`: only this one")
    @argument("--all", action="store_true", help="all of the file, not only this run")
    @argument("--overwrite", action="store_true", help="for `export`: replace what is there")
    @argument("--file", action="store_true", help="for `reset`: move the dialogue file aside")
    def dialogue(self, line: str) -> Any:
        """Give the dialogue as a DataFrame, one row an exchange; read it, export it, look after it.

        A conversation is shown and exported as it now stands: an answer that was asked anew
        and a prompt that was edited since are in the DataFrame only. Nothing here removes a
        record: ``reset`` forgets what was said in this run, so that the next ask begins anew,
        and ``reset --file`` moves the dialogue file to ``<file>.before-reset-<time>``.

        Examples::

            %dialogue                            (what this run has said)
            %dialogue --all                      (all that the file holds)
            %dialogue show
            %dialogue show draft
            %dialogue conversations
            %dialogue usage
            %dialogue thread draft               (asks without -c continue draft)
            %dialogue rename draft paper
            %dialogue path
            %dialogue sync                       (where the file is in the cloud)
            %dialogue reset draft
            %dialogue export talk.md
            %dialogue export talk.html --conversation draft
            %dialogue export examples.jsonl      (chat messages, ready for training)
            %dialogue export talk.ipynb          (a notebook that replays)
            %dialogue verify
            %dialogue repair
        """
        return run(self.session, line)
