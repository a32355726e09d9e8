"""Which exchange of an ask comes next; nothing is sent or run here."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from openai_magics.conversation import Place, Turn
from openai_magics.errors import MagicsError, SchemaMismatch
from openai_magics.exchange import Message, Reply, Request
from openai_magics.rounds.steps import AGAIN, Step, answers_to, step

if TYPE_CHECKING:
    from openai_magics.turns import Asking

__all__ = ["Outcome", "Script", "script"]


@dataclass(frozen=True)
class Outcome:
    """How an ask ended: its turns, the last one with the answer, and what is wrong with that."""

    turns: tuple[Turn, ...]
    problem: MagicsError | None = None


Script = Generator["Asking", Reply, Outcome]
"""Yields what to ask; is sent the reply."""


def script(asking: Asking, place: Place, after: Callable[[Reply], list[Request]]) -> Script:
    """Go through an ask.

    Parameters
    ----------
    asking : Asking
    place : Place
        The cell that asks.
    after : callable
        Gives the recorded requests that come after a reply; none where all is asked anew.
    """
    now = asking
    turns: tuple[Turn, ...] = ()
    steps: tuple[Step, ...] = ()
    again = False
    while True:
        reply = yield now
        messages: tuple[Message, ...] = ()
        kind, problem = "ask", _misfit(asking, reply)
        if problem is not None and not again and _whole(reply):
            again, kind = True, AGAIN
            known = answers_to(reply, after(reply))
            messages = (_once_more(problem),) if known is None else known.messages
        asked = now.request
        turns = (*turns, Turn(place, asked.messages, reply, asked.attachments, follows=bool(turns)))
        if not messages:
            ended = replace(reply, steps=steps, shape=asking.shape or reply.shape)
            if problem is not None:
                problem.reply = ended
            return Outcome((*turns[:-1], replace(turns[-1], reply=ended)), problem)
        request = replace(asking.request, kind=kind, messages=messages, attachments=())
        steps = (*steps, step(reply, request))
        now = replace(asking, request=request, since=turns, steps=steps)


def _misfit(asking: Asking, reply: Reply) -> SchemaMismatch | None:
    """Return what is wrong with an answer, by the schema that was asked for."""
    if asking.shape is None:
        return None
    try:
        asking.shape.parse(reply.text)
    except SchemaMismatch as problem:
        return (
            problem if _whole(reply) else problem.of(problem.name, problem.problems, was_cut=True)
        )
    return None


def _whole(reply: Reply) -> bool:
    """Whether the answer came to its end: one that was cut would be cut again."""
    return reply.finish_reason != "length"


def _once_more(problem: SchemaMismatch) -> Message:
    listed = "\n".join(f"- {each}" for each in problem.problems)
    said = (
        f"Your answer does not fit the schema:\n{listed}\n\n"
        "Answer again with the whole of it, as JSON and nothing else."
    )
    return {"role": "user", "content": said}
