"""The commands of a shell: ``python -m openai_magics COMMAND``.

A command is a function ``add(subparsers)`` that adds its parser and sets ``run``, which is
called with the parsed options and returns an exit status. `COMMANDS` names the function, or
the module it is in; that is imported only where the command was typed.

Exit status: 0 done, 1 what was looked at is not as it should be, 2 the command could not be
carried out (two lines on stderr say why).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from openai_magics.errors import MagicsError, OptionError, counted, nearest

if TYPE_CHECKING:
    from openai_magics.repair import Repaired

    Subparsers = argparse._SubParsersAction["Parser"]  # noqa: SLF001

__all__ = ["COMMANDS", "complain", "main", "say"]

PROGRAM = "python -m openai_magics"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are ours."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{self.prog}: {message}.", f"For help: {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command; return its exit status."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        options = _parser(typed).parse_args(typed)
        status: int = options.run(options)
        sys.stdout.flush()
    except MagicsError as error:
        complain(error)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _parser(typed: Sequence[str]) -> Parser:
    """Return the parser with all commands, of which only the one that is typed is complete."""
    command = next((word for word in typed if not word.startswith("-")), None)
    known = ", ".join(COMMANDS)
    if command is None and not {"-h", "--help"}.intersection(typed):
        raise OptionError(
            f"{PROGRAM}: which command? One of: {known}.", f"For help: {PROGRAM} --help"
        )
    if command is not None and command not in COMMANDS:
        raise OptionError(
            f"There is no command {command!r}{nearest(command, COMMANDS)}.",
            f"There are: {known}.",
        )
    parser = Parser(PROGRAM, description="The upkeep of dialogue files.", allow_abbrev=False)
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (purpose, add) in COMMANDS.items():
        if name != command:
            subparsers.add_parser(name, help=purpose)
        elif isinstance(add, str):
            module, _, function = add.partition(":")
            getattr(import_module(module), function)(subparsers)
        else:
            add(subparsers)
    return parser


def say(text: str) -> None:
    """Say something to the person (or the program) that asked."""
    sys.stdout.write(text + "\n")


def complain(error: Exception) -> None:
    """Say what went wrong, and what to do."""
    sys.stderr.write(f"{error}\n")


def add_repair(subparsers: Subparsers) -> None:
    """Mend damaged or conflict-marked dialogue files."""
    parser = subparsers.add_parser(
        "repair",
        description="Mend dialogue files that are damaged or hold a merge conflict: every record "
        "that can be read is kept, of both sides of a merge too. The file as it was is kept as "
        "FILE.before-repair-TIME, what cannot be read in FILE.rescued-TIME. A healthy file is "
        "left as it is.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a dialogue file")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--json", action="store_true", help="say it as JSON, an object a file")
    parser.set_defaults(run=_repair)


def _repair(options: argparse.Namespace) -> int:
    from openai_magics.repair import repair

    status = 0
    said: list[dict[str, Any]] = []
    for path in options.files:
        try:
            done = repair(path, dry_run=options.dry_run)
        except MagicsError as error:
            status = 2
            complain(error)
            said.append(
                {"path": str(path), "error": {"problem": error.problem, "remedy": error.remedy}}
            )
            continue
        if not options.json:
            say(_for_people(done, dry_run=options.dry_run))
        said.append({"healthy": not done.mended, **_plain(done)})
    if options.json:
        say(json.dumps(said, indent=2))
    return status


def _for_people(done: Repaired, *, dry_run: bool) -> str:
    records = counted(done.kept, "record")
    if not done.mended:
        return f"{done.path}: healthy, {records}. It is left as it is."
    text = [f"{done.path}: {'would be mended' if dry_run else 'mended'}, {records}."]
    text += [f"  {sentence}" for sentence in done.mended]
    if done.rescued:
        text.append(f"  What could not be read: {done.rescued}")
    if done.set_aside:
        text.append(f"  The file as it was: {done.set_aside}")
    return "\n".join(text)


def _plain(done: Repaired) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(done).items()
    }


def add_merge_driver(subparsers: Subparsers) -> None:
    """Merge the dialogue files of two branches."""
    parser = subparsers.add_parser(
        "merge-driver",
        description="Unite the records of two branches: git calls it with the versions of a "
        "dialogue file and its name, and takes what is then in OURS. --install once in each "
        "clone tells git to do so.",
    )
    parser.add_argument(
        "base", nargs="?", type=Path, metavar="BASE", help="what both began from (%%O)"
    )
    parser.add_argument(
        "ours",
        nargs="?",
        type=Path,
        metavar="OURS",
        help="this side; the union is written over it (%%A)",
    )
    parser.add_argument(
        "theirs", nargs="?", type=Path, metavar="THEIRS", help="the other side (%%B)"
    )
    parser.add_argument(
        "name", nargs="?", type=Path, metavar="NAME", help="its name in the repository (%%P)"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--install", action="store_true", help="set it up in this clone of git")
    what.add_argument("--uninstall", action="store_true", help="undo that")
    parser.set_defaults(run=_merge_driver, parser=parser)


def _merge_driver(options: argparse.Namespace) -> int:
    from openai_magics.merge import install, merge, uninstall

    if options.install or options.uninstall:
        done = install() if options.install else uninstall()
        say("\n".join(done or ("It is so already; nothing was changed.",)))
        return 0
    if options.theirs is None:
        options.parser.error("BASE, OURS and THEIRS are needed (or --install)")
    try:
        merged = merge(options.ours, options.base, options.theirs, options.name)
    except (MagicsError, OSError) as error:
        complain(error)
        return 1  # for git: a conflict
    sys.stderr.write(f"{options.name or options.ours}: {merged}\n")  # git keeps stdout
    return 0


COMMANDS: dict[str, tuple[str, str | Callable[[Subparsers], None]]] = {
    "verify": (
        "whether notebooks give the same outputs from their dialogue files",
        "openai_magics.verify_command:add",
    ),
    "prune": (
        "remove the records that a notebook no longer asks for",
        "openai_magics.verify_command:add_prune",
    ),
    "repair": ("mend damaged or conflict-marked dialogue files", add_repair),
    "merge-driver": ("unite the dialogue files of two branches, for git", add_merge_driver),
}
"""The purpose of each command, and its ``add`` (or the module that has it)."""

if __name__ == "__main__":
    sys.exit(main())
