"""What a dialogue shows of itself: its file's name, how much was said, and the transcript of this run."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from itertools import groupby

from openai_magics.chains import Chain, Records, Turn
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import counted
from openai_magics.exchange import Exchange
from openai_magics.export import Wanted, transcript
from openai_magics.transcript import Transcript, line

__all__ = ["MOST", "bundle", "picked", "text"]

MOST = 20
"""Asks of a run that are shown: the last."""


def picked(items: Iterable[Exchange], ids: Sequence[str]) -> list[Exchange]:
    """Return those of some records that *ids* name, in the order of *ids*."""
    by_id = {item.id: item for item in items} if ids else {}
    return [by_id[identity] for identity in ids if identity in by_id]


def text(file: DialogueFile, ids: Sequence[str]) -> str:
    """Return the overview as plain text; *ids* are the records that this run has said."""
    heading, read = _read(file, ids)
    return heading if read is None else f"{heading}\n\n{read}"


def bundle(file: DialogueFile, ids: Sequence[str]) -> dict[str, str]:
    """Return the overview for a cell: as `text`, and as HTML in which nothing is active."""
    heading, read = _read(file, ids)
    shown = f"<div>{html.escape(heading)}</div>"
    if read is None:
        return {"text/plain": heading, "text/html": shown}
    shown += read._repr_mimebundle_()["text/html"]
    return {"text/plain": f"{heading}\n\n{read}", "text/html": shown}


def _read(file: DialogueFile, ids: Sequence[str]) -> tuple[str, Transcript | None]:
    said = picked(file, ids)
    # The name without its folder, which is another one on another machine.
    name = line(file.path.name)
    if not said:
        return f"{name}: {counted(len(file), 'record')}, none of them of this run", None
    heading = f"{name}: {counted(len(said), 'record')} of this run"
    records = Records(said)
    if len(records.asks) > MOST:
        return f"{heading}, the last {MOST} asks below; all: %dialogue show", last(records.asks)
    conversations = {item.conversation for item in said} - {None}
    within = f" in {counted(len(conversations), 'conversation')}" if conversations else ""
    return f"{heading}{within}", transcript(records, Wanted())


def last(asks: Sequence[Exchange]) -> Transcript:
    """Return the last of some asks as they follow one another, under their conversations."""
    turns = groupby(asks[-MOST:], key=lambda item: item.conversation)
    return Transcript(tuple(Chain(name, tuple(map(Turn, own))) for name, own in turns))
