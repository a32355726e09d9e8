"""The dialogue as a file for others: Markdown, HTML, CSV, chat messages (JSONL), a notebook.

What is exported is each conversation as it now stands (`openai_magics.chains`); with
``current=False`` everything recorded, marked where it does not stand. A file that is there is
not overwritten unless told to; the dialogue file itself and its notebook never are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from openai_magics import chat_lines, frames
from openai_magics.chains import Chain, Records
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import OptionError, counted, nearest
from openai_magics.replacing import write_whole
from openai_magics.transcript import Transcript, line, page

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FORMATS", "Exported", "Wanted", "csv_bytes", "export", "transcript", "write"]

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes a cell for a formula by (OWASP, "CSV Injection")."""


@dataclass(frozen=True)
class Wanted:
    """What to export: one conversation or all; as it stands, or everything recorded."""

    conversation: str | None = None
    current: bool = True
    overwrite: bool = False


@dataclass(frozen=True)
class Exported:
    """What was written where, and what is to be said of it."""

    path: Path
    conversations: int
    turns: int
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        turns = counted(self.turns, "turn")
        head = f"{self.path}: {turns} of {counted(self.conversations, 'conversation')}."
        return " ".join([head, *self.notes])


def export(
    file: DialogueFile, path: Path | str, form: str | None = None, wanted: Wanted = Wanted()
) -> Exported:
    """Write a dialogue to *path* in a format, by default that of the path's suffix.

    Raises
    ------
    OptionError
        No such format or conversation; nothing to export; the file is there already, or
        cannot be written.
    DialogueError
        The dialogue file cannot be read.
    """
    target = Path(path).expanduser()
    writer = FORMATS[_format(target, form)]
    _check(target, file.path, overwrite=wanted.overwrite)
    records = Records(file)
    records.check(wanted.conversation)
    return writer(file, records, target, wanted)


def _format(target: Path, form: str | None) -> str:
    name = form or target.suffix.removeprefix(".").lower()
    if name not in FORMATS:
        said = f"There is no format {name!r}" if name else f"{target} has no suffix"
        raise OptionError(
            f"{said}{nearest(name, FORMATS)}.", f"Formats: {', '.join(FORMATS)} (--format)."
        )
    return name


def _check(target: Path, source: Path, *, overwrite: bool) -> None:
    real = target.resolve()
    if real == source.resolve() or (real == _notebook_of(source) and real.exists()):
        raise OptionError(
            f"{target} is the dialogue file itself, or the notebook that it belongs to.",
            "Nothing was written. Give another name.",
        )
    if target.is_dir():
        raise OptionError(f"{target} is a folder.", "Give a file's name.")
    if target.exists() and not overwrite:
        raise OptionError(
            f"{target} exists already.", "Give another name, or --overwrite (overwrite=True)."
        )


def _notebook_of(source: Path) -> Path:
    return source.resolve().with_name(source.name.removesuffix(".dialogue.json") + ".ipynb")


def write(target: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    OptionError
        It cannot be written.
    """
    try:
        write_whole(target, [data])
    except OSError as error:
        raise OptionError(
            f"{target} cannot be written: {error.strerror or error}.", "Give another path."
        ) from error


def left_out(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return what to say of what was left out; nothing where nothing was."""
    if not counts:
        return ()
    return (f"Left out: {', '.join(f'{n} {reason}' for reason, n in counts.items())}.",)


def transcript(records: Records, wanted: Wanted = Wanted()) -> Transcript:
    """Return the conversations to read.

    Raises
    ------
    OptionError
        There is no such conversation.
    """
    records.check(wanted.conversation)
    if not wanted.current:
        return Transcript(tuple(records.everything(wanted.conversation)))
    chains = records.standing(wanted.conversation)
    return Transcript(tuple(chains), left_out(records.left_out(chains, wanted.conversation)))


def guarded(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a copy in which no text is a formula to a spreadsheet.

    A text that begins with ``= + - @``, a tab or a line break gets an apostrophe before it;
    who reads the file by program takes it off again. Numbers are as they are.
    """
    import pandas as pd
    from pandas.api.types import is_numeric_dtype

    made = frame.copy()
    with pd.option_context("mode.string_storage", "python"):  # see `frames.dialogue_frame`
        for name in made.columns:
            if not is_numeric_dtype(made[name]):
                made[name] = made[name].map(_guarded)
    return cast("pd.DataFrame", made)


def _guarded(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """Return a frame as CSV: UTF-8, guarded, a lone surrogate as its escape."""
    text: str = guarded(frame).to_csv(index=False, lineterminator="\n")
    return text.encode("utf-8", "backslashreplace")


def _facts(chains: Iterable[Chain]) -> str:
    """Return when, and by which models, what is exported was answered."""
    items = [turn.exchange for chain in chains for turn in chain.turns]
    days = sorted(item.created[:10] for item in items if item.created)
    models = dict.fromkeys(
        line(name)
        for item in items
        if item.reply and (name := item.reply.model or item.resolved.model)
    )
    span = " to ".join(dict.fromkeys((days[0], days[-1]))) if days else ""
    return "; ".join(
        part for part in (counted(len(items), "turn"), span, ", ".join(models)) if part
    )


def _exported(target: Path, chains: Iterable[Chain], notes: Iterable[str] = ()) -> Exported:
    chains = list(chains)
    names = {chain.conversation for chain in chains if chain.conversation is not None}
    alone = sum(chain.conversation is None for chain in chains)
    turns = sum(len(chain.turns) for chain in chains)
    return Exported(target, len(names) + alone, turns, tuple(notes))


def _something(chains: Iterable[Chain], file: DialogueFile) -> None:
    if not any(chain.turns for chain in chains):
        raise OptionError(
            f"{file.path} holds nothing to export yet.", "Ask something first, or see %dialogue."
        )


def _read_by_people(
    file: DialogueFile,
    records: Records,
    target: Path,
    wanted: Wanted,
    made: Callable[[str, Transcript, str], str],
) -> Exported:
    shown = transcript(records, wanted)
    _something(shown.chains, file)
    title = f"Dialogue of {file.path.name.removesuffix('.dialogue.json')}"
    text = made(title, shown, _facts(shown.chains))
    write(target, text.encode("utf-8", "replace"))
    return _exported(target, shown.chains, shown.notes)


def _to_markdown(file: DialogueFile, records: Records, target: Path, wanted: Wanted) -> Exported:
    from openai_magics import markdown

    return _read_by_people(file, records, target, wanted, markdown.document)


def _to_html(file: DialogueFile, records: Records, target: Path, wanted: Wanted) -> Exported:
    return _read_by_people(file, records, target, wanted, page)


def _to_csv(file: DialogueFile, records: Records, target: Path, wanted: Wanted) -> Exported:
    shown = transcript(records, wanted)
    _something(shown.chains, file)
    rows = [turn.exchange for chain in shown.chains for turn in chain.turns]
    if not wanted.current:  # listings and failures too, in the order of the file
        rows = [item for item in file if wanted.conversation in (None, item.conversation)]
    write(target, csv_bytes(frames.dialogue_frame(rows)))
    return _exported(target, shown.chains, shown.notes)


def _to_jsonl(file: DialogueFile, records: Records, target: Path, wanted: Wanted) -> Exported:
    make = records.standing if wanted.current else records.branches
    chains = make(wanted.conversation)
    examples, left = chat_lines.examples(chains)
    # What is no turn of these chains was left out too: failures, refusals, cut answers.
    notes = left_out(Counter(records.left_out(chains, wanted.conversation)) + left)
    if not examples:
        raise OptionError(
            f"{file.path} holds no whole answer to train on.",
            " ".join(["Nothing was written.", *notes]),
        )
    text = "".join(f"{chat_lines.line_of(example)}\n" for example in examples)
    write(target, text.encode("utf-8"))
    turns = sum(
        message["role"] == "assistant" for example in examples for message in example["messages"]
    )
    return Exported(target, len(examples), turns, notes)


def _to_notebook(file: DialogueFile, records: Records, target: Path, wanted: Wanted) -> Exported:
    from openai_magics import export_notebook

    if not wanted.current:
        raise OptionError(
            "A notebook holds the conversations as they stand.",
            "Leave current=False out, or export to .md, .html, .csv or .jsonl.",
        )
    chains = records.standing(wanted.conversation)
    _something(chains, file)
    said = export_notebook.write(file, records, chains, target, write)
    left = left_out(records.left_out(chains, wanted.conversation))
    return _exported(target, chains, (*said, *left))


Writer = Callable[[DialogueFile, Records, Path, Wanted], Exported]
FORMATS: Mapping[str, Writer] = {
    "md": _to_markdown,
    "html": _to_html,
    "csv": _to_csv,
    "jsonl": _to_jsonl,
    "ipynb": _to_notebook,
}
"""How each format is written, by the suffix of its files."""
