"""The checks of a session's training data, recorded and shown again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openai_magics import cells
from openai_magics.client import Live
from openai_magics.config import Settings
from openai_magics.errors import ReplayMiss
from openai_magics.exchange import Request
from openai_magics.training.check import Check
from openai_magics.training.checked import Checking, identity, of_payload
from openai_magics.training.data import Data
from openai_magics.training.job import JobOptions, method_checked
from openai_magics.training.lineage import cells_that_ran
from openai_magics.training.selection import Selection, chosen
from openai_magics.training.sources import Source, source_of
from openai_magics.turns import Asking, Turns

if TYPE_CHECKING:
    from openai_magics.views import Dialogue

__all__ = ["Checks"]


class Checks(Data):
    """Checks data, and keeps what was found.

    Parameters
    ----------
    settings : Settings
    live : Live
    turns : Turns
        The way of every request.
    dialogue : Dialogue
    """

    def __init__(self, settings: Settings, live: Live, turns: Turns, dialogue: Dialogue) -> None:
        super().__init__(settings, live, dialogue)
        self.turns = turns

    def from_dialogue(
        self, wanted: Selection, *, all_runs: bool = False, fresh: bool = False
    ) -> tuple[Source, tuple[str, ...]]:
        """Return examples from the dialogue as a source, and the cells that they come from.

        They are what this run has said before this cell: what is asked further down is in the
        file when the notebook is run again, and is no part of what was trained on. With
        *all_runs* they are all that the file holds, up to what this cell has recorded itself
        (with *fresh* beyond that as well).

        Raises
        ------
        OptionError
            There is no such conversation, or nothing to learn.
        """
        held = list(self.dialogue.exchanges())
        if all_runs:
            cell = cells.cell_id()
            own = (n for n, item in enumerate(held) if cell and item.cell == cell)
            name, held = "whole dialogue", held[: len(held) if fresh else next(own, len(held))]
        else:
            said = set(self.turns.said())
            name, held = "dialogue", [item for item in held if item.id in said]
        ran = self.ran()
        named = (replace(item, cell=item.cell or ran.get(item.id)) for item in held)
        found = chosen(named, wanted)
        return replace(source_of(list(found.examples)), name=name), found.cells

    @property
    def notebook(self) -> Path:
        """Where the notebook is, if there is one: beside its dialogue file."""
        name = self.dialogue.path.name.removesuffix(".dialogue.json")
        return self.dialogue.path.with_name(f"{name}.ipynb")

    def ran(self) -> dict[str, str]:
        """Return the cells of this run's records, by record: told, or known by their source.

        Whoever runs the notebook, they have the ids that are in its file.
        """
        nameless = self.turns.nameless()
        found = cells_that_ran(self.notebook, nameless) if nameless else {}
        return {**found, **self.turns.named()}

    def check(
        self,
        data: Any,
        options: JobOptions = JobOptions(),
        *,
        fresh: bool = False,
        mode: str | None = None,
    ) -> Check:
        """Find what is wrong with training data; nothing is sent.

        What is found is recorded, and shown again for the same data: which tokens are counted
        depends on what is installed. In ``replay`` mode data of which nothing is recorded is
        checked, and not recorded.

        Raises
        ------
        OptionError
            The data cannot be read.
        DialogueError
            What was found cannot be recorded.
        """
        source, validation = self.both(data, options)
        said = {
            "training": identity(source),
            "validation": identity(validation) if validation is not None else None,
            "method": method_checked(options.method),
            "n_epochs": options.epochs,
        }
        own = self.settings.said
        request = Request(
            kind="check",
            model=options.model or own("model"),
            endpoint=self.settings.check("base_url", options.base_url, "base_url")
            or own("base_url"),
            parameters={name: value for name, value in said.items() if value is not None},
        )
        through = Checking(lambda: self.looked(data, options))
        try:
            reply = self.turns.run(Asking(request, fresh=fresh, mode=mode, through=through))
        except ReplayMiss:
            return self.looked(data, options)
        return of_payload(reply.payload)
