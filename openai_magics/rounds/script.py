"""Which exchange of an ask comes next; nothing is sent or run here."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Union

from openai_magics.conversation import Place, Turn
from openai_magics.errors import MagicsError, SchemaMismatch, TooManyRounds, counted
from openai_magics.exchange import Message, Reply, Request
from openai_magics.rounds.steps import AGAIN, Step, answers_to, step

if TYPE_CHECKING:
    from openai_magics.turns import Asking

__all__ = ["Outcome", "Run", "Script", "script"]


FORCING = ("required", "any")
"""Values of ``tool_choice`` that make the model call a tool; so does an object."""


@dataclass(frozen=True)
class Run:
    """Calls of tools that are to be run now; what is sent back is messages with their results."""

    calls: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Outcome:
    """How an ask ended: its turns, the last one with the answer, and what is wrong with that."""

    turns: tuple[Turn, ...]
    problem: MagicsError | None = None


Script = Generator[Union["Asking", Run], Any, Outcome]
"""Yields what to do; is sent the reply, or the results of tools."""


def script(asking: Asking, place: Place, after: Callable[[Reply], list[Request]]) -> Script:
    """Go through an ask.

    Parameters
    ----------
    asking : Asking
    place : Place
        The cell that asks.
    after : callable
        Gives the recorded requests that come after a reply; none where all is asked anew.

    Raises
    ------
    TooManyRounds
        The model wants tools called again and again.
    """
    now = asking
    turns: tuple[Turn, ...] = ()
    steps: tuple[Step, ...] = ()
    rounds, again = 0, False
    while True:
        reply = yield now
        messages: tuple[Message, ...] = ()
        calls = reply.tool_calls if asking.tools is not None else ()
        kind, problem = "ask", None if calls else _misfit(asking, reply)
        if calls:
            rounds += 1
            if rounds > asking.max_rounds:
                raise _too_many(asking.max_rounds, reply, steps)
            known = None if asking.run_tools else answers_to(reply, after(reply))
            messages = (yield Run(calls)) if known is None else known.messages
        elif problem is not None and not again and _whole(reply):
            again, kind = True, AGAIN
            known = answers_to(reply, after(reply))
            messages = (_once_more(problem),) if known is None else known.messages
        asked = now.request
        turns = (*turns, Turn(place, asked.messages, reply, asked.attachments, follows=bool(turns)))
        if not messages:
            shape = asking.shape or reply.shape
            ended = reply
            if steps or shape is not reply.shape:  # as a rule it is as it came
                ended = replace(reply, steps=steps, shape=shape)
            if problem is not None:
                problem.reply = ended
            last = turns[-1] if ended is reply else replace(turns[-1], reply=ended)
            return Outcome((*turns[:-1], last), problem)
        request = replace(
            asking.request,
            kind=kind,
            messages=messages,
            attachments=(),
            parameters=_unforced(asking.request),
        )
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


def _unforced(request: Request) -> Mapping[str, Any]:
    """Return the parameters for what follows: a tool is called by force only once."""
    forced = request.parameters.get("tool_choice")
    if forced in FORCING or isinstance(forced, Mapping):
        return {name: value for name, value in request.parameters.items() if name != "tool_choice"}
    return request.parameters


def _too_many(most: int, reply: Reply, steps: tuple[Step, ...]) -> TooManyRounds:
    names = [str((call.get("function") or {}).get("name")) for call in reply.tool_calls]
    problem = TooManyRounds(
        f"The model had tools called {counted(most, 'time')}, and now wants {', '.join(names)}.",
        "Allow more (--max-rounds N), or ask for less at once. What it did is recorded.",
    )
    problem.reply = replace(reply, steps=steps)
    return problem
