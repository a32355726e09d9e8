"""Carrying out the script of an ask, blocking or in an event loop."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from openai_magics.exchange import Reply
from openai_magics.interrupts import heard
from openai_magics.rounds.script import Outcome, Script

if TYPE_CHECKING:
    from openai_magics.turns import Asking

__all__ = ["aplay", "play"]


def play(
    script: Script,
    exchange: Callable[[Asking], Reply],
) -> Outcome:
    """Do what *script* says; *exchange* takes a request through."""
    wanted = next(script)
    while True:
        given = exchange(wanted)
        try:
            wanted = heard(functools.partial(script.send, given))  # a class checks with its code
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome


async def aplay(
    script: Script,
    exchange: Callable[[Asking], Awaitable[Reply]],
) -> Outcome:
    """As `play`, without blocking the event loop."""
    wanted = next(script)
    while True:
        given = await exchange(wanted)
        try:
            wanted = script.send(given)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
