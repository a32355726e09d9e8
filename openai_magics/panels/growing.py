"""An answer as it grows: what is new in it, not all of it each time.

Markdown is read a block at a time: the last block may still change, what stands before it is
settled. So an update carries the blocks settled since the one before, and the block that is
being written; what it costs does not grow with the answer. (A link definition that comes
later can change an earlier block: the finished answer is rendered as a whole.)
"""

from __future__ import annotations

import time
from typing import Any

from openai_magics import render
from openai_magics.panels.highlight import highlighted

__all__ = ["Growing"]

INTERVAL = 0.08
"""Seconds between updates: what a page paints is most of what an answer costs."""
SHARE = 8.0
"""Between two updates lies at least this many times what the last one took to make."""
RATE = 1_000_000
"""Characters a second that updates carry at most: one endless block is sent again and again."""


class Growing:
    """Gathers the pieces of one answer and says when and what to show of it.

    Attributes
    ----------
    number : int
        How many updates there were: who misses one asks for `whole`.
    """

    def __init__(self) -> None:
        self.number = 0
        self._pieces: list[str] = []
        self._unsettled = ""
        self._settled: list[str] = []
        self._tail = ""
        self._next = 0.0

    @property
    def text(self) -> str:
        """All that has come."""
        return "".join(self._pieces)

    def add(self, piece: str) -> dict[str, Any] | None:
        """Take a piece; return an update where it is time for one."""
        self._pieces.append(piece)
        self._unsettled += piece
        begun = time.monotonic()
        if begun < self._next:
            return None
        update = self.update()
        # The first one imports what it takes.
        took = time.monotonic() - begun if self.number > 1 else 0.0
        self._next = begun + max(INTERVAL, SHARE * took, len(self._tail) / RATE)
        return update

    def update(self) -> dict[str, Any]:
        """Return what is new since the update before."""
        held = "\r" if self._unsettled.endswith("\r") else ""  # of a line end, perhaps
        unsettled = self._unsettled.removesuffix(held) if held else self._unsettled
        settled, unsettled = render.settled(unsettled)
        self._unsettled = unsettled + held
        made = render.markdown_html(settled, highlighted) if settled else ""
        if made:
            self._settled.append(made)
        self._tail = render.markdown_html(self._unsettled, highlighted)
        self.number += 1
        return {"number": self.number, "settled": made, "tail": self._tail}

    def whole(self) -> dict[str, Any]:
        """Return all that was shown so far, for a view that has seen nothing of it."""
        return {"number": self.number, "settled": "".join(self._settled), "tail": self._tail}
