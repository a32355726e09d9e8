"""What a chat panel shows: which conversation is open, its turns, and how it asks.

Everything that was said is read from the dialogue file each time; what is held here is only
what is not in it yet (`openai_magics.panels.pending`), and what a person has chosen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from openai_magics import render
from openai_magics.errors import MagicsError, OptionError
from openai_magics.exchange import Exchange
from openai_magics.panels import chat_options, turn_view
from openai_magics.panels.pending import Pending
from openai_magics.panels.uploads import Upload

if TYPE_CHECKING:
    from openai_magics.session import Session

__all__ = ["State"]

FIRST = "chat"
"""The name of the first conversation that a panel begins; then come ``chat-2``, ``chat-3``, …."""


class State:
    """The state of one panel; the panel's lock is held by whoever calls.

    Attributes
    ----------
    open : str
        The conversation that is shown.
    pending : dict
        A conversation → its ask that is not answered.
    tips : dict
        A conversation → the id of the answer that it had last here. That is mostly its tip in
        the file, but not where an answer was replayed that stands in another branch.
    forms : dict
        A conversation → how it asks.
    replayed : set of str
        The ids of the records that this panel was given by the dialogue file, not by a model.
    images : dict
        The id of a record → the images that were sent with it from here.
    models : list of str
        The endpoint's, once somebody has asked for them.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.pending: dict[str, Pending] = {}
        self.tips: dict[str, str] = {}
        self.forms: dict[str, dict[str, str]] = {}
        self.replayed: set[str] = set()
        self.images: dict[str, list[tuple[str, Upload]]] = {}
        self.models: list[str] = []
        self._open: str | None = None

    @property
    def open(self) -> str:
        """At first the conversation that was led last in a panel, or a new one."""
        if self._open is None:
            own = (item for item in self._lineage.summaries() if item.opening.cell is None)
            found = next(own, None)
            self._open = found.name if found is not None else self._unused(FIRST)
        return self._open

    @property
    def _lineage(self) -> Any:
        return self.session.dialogue.lineage

    def show(self, conversation: str) -> None:
        """Open a conversation."""
        self._open = conversation

    def new(self) -> str:
        """Open a conversation in which nothing is said yet, and return its name."""
        before = self.form(self.open)
        self._open = self._unused(FIRST)
        self.forms.setdefault(self._open, before)
        return self._open

    def _unused(self, name: str) -> str:
        known = {item.name for item in self._lineage.summaries()}
        known |= set(self.pending) | set(self.tips)
        number, found = 1, name
        while found in known:
            number += 1
            found = f"{name}-{number}"
        return found

    def chain(self) -> list[Exchange]:
        """Return the open conversation up to its tip, without what was cut off in between."""
        found: list[Exchange] = self._lineage.back(self._tip(self.open))
        return found

    def _tip(self, conversation: str) -> str | None:
        held = self.tips.get(conversation)
        tip: str | None = held if self._lineage.get(held or "") else self._lineage.tip(conversation)
        return tip

    def records(self) -> list[Exchange]:
        """Return the turns of the open conversation that are in the dialogue file."""
        pending = self.pending.get(self.open)
        if pending is None:
            found: list[Exchange] = self._lineage.turns(self.open, self._tip(self.open))
            return found
        rows: list[Exchange] = self._lineage.turns(self.open, pending.after)
        # The record of what is tried again stands in its place.
        while (
            rows
            and rows[-1].id != pending.after
            and turn_view.asked(rows[-1].request.messages) == render.printable(pending.text)
        ):
            rows.pop()
        return rows

    def rows(self) -> list[Exchange | Pending]:
        """Return what is shown of the open conversation."""
        pending = self.pending.get(self.open)
        return [*self.records(), *([pending] if pending is not None else [])]

    def record(self, identity: str) -> Exchange:
        """Return a turn by the id of its record.

        Raises
        ------
        OptionError
            There is none.
        """
        found: Exchange | None = self._lineage.get(identity)
        if found is None:
            raise OptionError("This turn is no longer in the dialogue file.", "Reload the panel.")
        return found

    def place_to_ask(self, chain: Sequence[Exchange]) -> str:
        """Return the conversation in which to go on from *chain*.

        What cells have asked goes on in a conversation of its own, so that the cells' one is
        what its cells say.
        """
        if chain and chain[-1].cell is not None:
            return self._unused(f"{chain[-1].conversation or FIRST}-{FIRST}")
        return self.open

    def sources(self, images: Sequence[tuple[str, Upload]]) -> list[Any]:
        """Return images as `Session.ask` takes them."""
        from openai_magics.images.attached import Attached
        from openai_magics.images.source import Source

        # The small picture in the record is what is left of them after a restart.
        return [
            Attached(Source("memory", item.name, bytes(item.data)), thumbnail=True)
            for _, item in images
        ]

    def check_idle(self) -> None:
        """Raise where an answer is coming.

        Raises
        ------
        OptionError
        """
        pending = self.pending.get(self.open)
        if pending is not None and pending.running:
            raise OptionError("An answer is still coming.", "Wait for it, or stop it.")

    def form(self, conversation: str) -> dict[str, str]:
        """Return how a conversation asks: as chosen, or as it asked last."""
        if conversation not in self.forms:
            tip = self._tip(conversation)
            item = self._lineage.get(tip) if tip is not None else None
            self.forms[conversation] = (
                chat_options.form_of(item.request) if item is not None else dict(chat_options.EMPTY)
            )
        return self.forms[conversation]

    def told(self) -> dict[str, Any]:
        """Return what views show besides the turns."""
        summaries = self._lineage.summaries()
        listed = [
            {
                "name": item.name,
                "title": turn_view.title(item.opening.request.messages),
                "asks": item.asks,
                "cells": item.opening.cell is not None,
            }
            for item in summaries
        ]
        if self.open not in {item.name for item in summaries}:
            listed.insert(
                0, {"name": self.open, "title": "", "asks": 0, "latest": "", "cells": False}
            )
        pending = self.pending.get(self.open)
        return {
            "open": self.open,
            "conversations": listed,
            "running": pending.key if pending is not None and pending.running else None,
            "busy": [name for name, item in self.pending.items() if item.running],
            "form": self.form(self.open),
            "models": self.models,
            "usage": self._usage(),
            **self._surroundings(),
        }

    def _surroundings(self) -> dict[str, Any]:
        settings = self.session.settings
        try:
            file, mode = str(self.session.dialogue.path.name), settings.get("mode")
            model = settings.get("model") or ""
        except MagicsError as error:
            return {"file": "", "mode": "auto", "model": "", "problem": str(error)}
        return {"file": file, "mode": mode, "model": model, "problem": ""}

    def _usage(self) -> str:
        """Return what the open conversation came to, as far as that is known."""
        replies = [item.reply for item in self.records() if item.reply is not None]
        counts = [
            int(reply.usage.get("total_tokens") or 0)
            for reply in replies
            if isinstance(reply.usage.get("total_tokens"), int)
        ]
        costs = [reply.cost for reply in replies if not math.isnan(reply.cost)]
        parts = [f"{sum(counts):,} tokens"] if counts else []
        return " · ".join([*parts, *([turn_view.money(sum(costs))] if costs else [])])
