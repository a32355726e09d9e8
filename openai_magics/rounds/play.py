"""Carrying out the script of an ask, blocking or in an event loop."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from openai_magics.errors import Interrupted, ServiceError
from openai_magics.exchange import Message, Reply
from openai_magics.interrupts import heard
from openai_magics.rounds.script import Outcome, Run, Script

if TYPE_CHECKING:
    from openai_magics.rounds.steps import Step
    from openai_magics.turns import Asking

__all__ = ["Calls", "after_steps", "aplay", "play"]

Calls = Sequence[Mapping[str, Any]]


@contextmanager
def after_steps(steps: tuple[Step, ...]) -> Iterator[None]:
    """Let a failure say what came before it in the same ask, for the cell shows that too."""
    try:
        yield
    except (ServiceError, Interrupted) as stop:
        if steps:
            stop.reply = replace(stop.reply or Reply(finish_reason="cut_off"), steps=steps)
        raise


def play(
    script: Script,
    exchange: Callable[[Asking], Reply],
    run: Callable[[Calls], tuple[Message, ...]],
) -> Outcome:
    """Do what *script* says; *exchange* takes a request through, *run* runs calls of tools."""
    wanted = next(script)
    while True:
        given: Any = run(wanted.calls) if isinstance(wanted, Run) else exchange(wanted)
        try:
            wanted = heard(functools.partial(script.send, given))  # a class checks with its code
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome


async def aplay(
    script: Script,
    exchange: Callable[[Asking], Awaitable[Reply]],
    run: Callable[[Calls], Awaitable[tuple[Message, ...]]],
) -> Outcome:
    """As `play`, without blocking the event loop."""
    wanted = next(script)
    while True:
        given: Any = await (run(wanted.calls) if isinstance(wanted, Run) else exchange(wanted))
        try:
            wanted = script.send(given)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
