"""What is looked up here and recorded as an answer is: the sender for assistants.

A set-up stands in a file of this machine, so it is read anew at each run; what is recorded
counts where there is nothing to read (a folder with the notebook and its dialogue file
only), and in ``replay`` mode, where nothing is read or written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openai_magics.client import Listener
from openai_magics.exchange import Reply, Request
from openai_magics.replay import Replay, Sender

__all__ = ["Look", "lookup"]

log = logging.getLogger("openai_magics")

Look = Callable[[Listener], "Reply | None"]
"""Finds the answer here; ``None`` where there is none."""


@dataclass(frozen=True)
class Lookup:
    """The sender; see `lookup`."""

    replay: Replay
    mode: str
    look: Look
    missing: Callable[[], Reply]
    settled: Callable[[Any], bool]

    def send(self, request: Request, listener: Listener = Listener()) -> Reply:
        """Return what is found, or what is recorded where that says the same or nothing is found.

        Raises
        ------
        ReplayMiss
            In ``replay`` mode: nothing is recorded.
        MagicsError
            It cannot be looked up, or is neither found nor recorded.
        """
        if self.mode == "replay":
            return self.replay.send(request, listener)
        recorded = self.replay.find(request)
        if recorded is None:
            self.replay.dialogue.check_writable()
        elif self.mode == "auto" and self.settled(recorded.payload):
            return recorded
        found = self.look(listener)
        if found is None and recorded is not None:
            log.info("What was looked up is not here any more: the recorded one counts.")
            return recorded
        found = self.missing() if found is None else found
        if recorded is not None and recorded.payload == found.payload:
            return recorded
        self.replay.dialogue.check_writable()
        return found

    async def asend(self, request: Request, listener: Listener = Listener()) -> Reply:
        """As `send`, in a thread: a file and, at most, one short listing are read."""
        return await asyncio.to_thread(self.send, request, listener)


def lookup(
    look: Look,
    missing: Callable[[], Reply],
    settled: Callable[[Any], bool] = lambda _: False,
) -> Callable[[Replay, str], Sender]:
    """Return what makes the sender of an asking (`Asking.answers`).

    Parameters
    ----------
    look : callable
        Finds the answer here.
    missing : callable
        Answers, or raises, where it is neither found nor recorded.
    settled : callable
        Whether a recorded payload counts without another look (in ``auto`` mode).
    """
    return lambda replay, mode: Lookup(replay, mode, look, missing, settled)
