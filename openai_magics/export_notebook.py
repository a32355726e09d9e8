"""A dialogue as a notebook that replays: one cell a turn, and the dialogue file beside it.

nbformat 4.5 as plain JSON, laid out as the ``nbformat`` package writes it, so that running
the notebook changes nothing but execution counts. A cell says what its record's request says
(`openai_magics.ask_cells`). What a run would not find (see `_Run`) is counted and said.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from openai_magics import disk, render
from openai_magics.ask_cells import instruction, on_a_line, source
from openai_magics.chains import Chain, Records, Turn
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import BadReply
from openai_magics.exchange import Exchange
from openai_magics.transcript import Transcript, line

__all__ = ["notebook", "write"]

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
AGAIN = "The next cell asks what is asked again below: this is its answer number {}."


def write(
    file: DialogueFile,
    records: Records,
    chains: Iterable[Chain],
    target: Path,
    put: Callable[[Path, bytes], None],
) -> tuple[str, ...]:
    """Write the notebook and the copy of the dialogue file; return what is to be said of it.

    A dialogue file that stands there already and is another one is moved aside: it may hold
    answers that are nowhere else.

    Parameters
    ----------
    file, records, chains
        The dialogue, and what of it becomes the notebook.
    target : Path
        The notebook.
    put : callable
        Writes a file whole.
    """
    document, notes = notebook(records, chains, file.path.name)
    beside = target.with_name(f"{target.stem}.dialogue.json")
    own = beside.resolve() == file.path.resolve()
    with file.path.open("rb") as held, disk.locked(held, file.path, exclusive=False):
        copy = held.read()
    if not own and beside.exists() and beside.read_bytes() != copy:
        moment = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%f")
        aside = beside.with_name(f"{beside.name}.before-export-{moment}Z")
        beside.rename(aside)
        notes = (*notes, f"The dialogue file that stood there is now {aside.name}.")
    if not own:
        put(beside, copy)
    text = json.dumps(
        document, ensure_ascii=False, indent=1, sort_keys=True, separators=(",", ": ")
    )
    put(target, f"{text}\n".encode("utf-8", "backslashreplace"))
    return (f"Its dialogue file is {beside.name}.", *notes)


def notebook(
    records: Records, chains: Iterable[Chain], origin: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the notebook of some chains as JSON, and what is to be said of it."""
    run = _Run(records)
    title = origin.removesuffix(".dialogue.json")
    cells = [
        _cell(
            "markdown",
            "title",
            f"# Dialogue of {line(title)}\n\nExported from `{line(origin)}`. Run it and the "
            "recorded answers are shown: no key and no network are needed.",
        ),
        _cell("code", "load", f"%load_ext openai_magics\n# exported from {line(origin)}"),
    ]
    for conversation, item in _in_order(records, chains):
        cells += run.cells(conversation, item)
    return {
        "cells": cells,
        "metadata": METADATA,
        "nbformat": 4,
        "nbformat_minor": 5,
    }, run.notes()


def _in_order(records: Records, chains: Iterable[Chain]) -> Iterator[tuple[str | None, Exchange]]:
    """Yield all turns in the order in which they were first recorded, each chain in its own."""
    held = [(chain.conversation, [turn.exchange for turn in chain.turns]) for chain in chains]
    heads = [(records.order[items[0].id], n, 0) for n, (_, items) in enumerate(held) if items]
    heapq.heapify(heads)
    while heads:
        _, n, at = heapq.heappop(heads)
        conversation, items = held[n]
        yield conversation, items[at]
        if at + 1 < len(items):
            heapq.heappush(heads, (records.order[items[at + 1].id], n, at + 1))


@dataclass
class _Run:
    """What a run of the exported notebook would do: which turn each ask comes after, which slot it takes.

    A turn is not found again where the turn before it is not in the notebook or has another
    answer, or where an earlier answer to the same request cannot be asked for first. A turn
    that conversations share (one branched off after it) is asked once, in the first of them.
    """

    records: Records
    last: dict[str, str] = field(default_factory=dict)
    taken: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    turns: Counter[str] = field(default_factory=Counter)
    shared: dict[str, str] = field(default_factory=dict)
    branch: dict[str, str] = field(default_factory=dict)
    system: str | None = None
    lost: int = 0
    unsaid: int = 0

    def notes(self) -> tuple[str, ...]:
        """Return what is to be said."""
        said = []
        if self.unsaid:
            said.append(f"Shown and not asked, for images or tools: {self.unsaid} of the turns.")
        if self.lost:
            said.append(f"Not found in a replay, but asked anew: {self.lost} of the turns.")
        return tuple(said)

    def cells(self, conversation: str | None, item: Exchange) -> Iterator[dict[str, Any]]:
        """Yield the cell of a turn, after the cells of the answers that come before it."""
        if conversation is not None and item.id in self.shared:
            self.last[conversation] = item.id
            self.branch[conversation] = self.shared[item.id]
            return
        number = self._named(item.id[:16])
        wanted = item.request.system
        set_before = wanted != self.system and not (wanted and on_a_line(wanted))
        branch = self.branch.pop(conversation or "", None)
        asking = source(item, conversation, wanted if set_before else self.system, branch)
        if asking is None:
            self.unsaid += 1
            said = Transcript((Chain(conversation, (Turn(item),)),))
            yield _cell("raw", f"shown-{number}", str(said))
            return
        follows = item.request.parent == (
            None if conversation is None else self.last.get(conversation)
        )
        if set_before:
            self.system = wanted
            yield _cell("code", f"system-{number}", instruction(wanted))
        yield from self._earlier_slots(item)
        found = follows and self.taken[item.fingerprint] == item.occurrence
        self.lost += not found
        self.taken[item.fingerprint] += 1
        if conversation is not None:
            self.last[conversation] = item.id if found else ""
            self.turns[conversation] += 1
            if found:
                self.shared[item.id] = f"{conversation}:{self.turns[conversation]}"
        yield _cell("code", f"ask-{number}", asking, item)

    def _earlier_slots(self, item: Exchange) -> Iterator[dict[str, Any]]:
        """Yield a cell for each answer to the same request that a run must take before."""
        fingerprint = item.fingerprint
        while self.taken[fingerprint] < (item.occurrence or 0):
            slot = self.taken[fingerprint]
            earlier = self.records.at(fingerprint, slot)
            asking = source(earlier, None, self.system) if earlier is not None else None
            if earlier is None or asking is None or item.request.parent is not None:
                return
            number = hashlib.sha256(f"{fingerprint}#{slot}".encode()).hexdigest()[:16]
            yield _cell("markdown", f"again-{number}", AGAIN.format(slot + 1))
            yield _cell("code", f"earlier-{number}", asking, earlier)
            self.taken[fingerprint] += 1

    def _named(self, name: str) -> str:
        """Return a cell's id that no other cell has."""
        self.named[name] += 1
        return name if self.named[name] == 1 else f"{name}-{self.named[name]}"


def _cell(kind: str, name: str, text: str, item: Exchange | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "cell_type": kind,
        "id": name,
        "metadata": {},
        "source": text.splitlines(keepends=True),
    }
    if kind == "code":
        made |= {"execution_count": None, "outputs": [_output(item)] if item else []}
    return made


def _output(item: Exchange) -> dict[str, Any]:
    assert item.answer is not None
    try:
        data, metadata = render.answer(item.answer, item.format or "markdown")
    except BadReply:
        data, metadata = render.answer(item.answer, "text")
    lines = {kind: text.splitlines(keepends=True) for kind, text in data.items()}
    return {"output_type": "display_data", "data": lines, "metadata": metadata}
