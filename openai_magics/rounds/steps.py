"""What came before the last exchange of an ask, as the records say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openai_magics.exchange import Exchange, Reply, Request

__all__ = ["AGAIN", "Called", "Step", "before", "follows_up", "results", "step"]

AGAIN = "reask"
"""The kind of the exchange that asks once more for an answer that did not fit."""


@dataclass(frozen=True)
class Called:
    """A call of a tool: its name, its arguments as the model wrote them, and what it got back."""

    name: str
    arguments: str
    result: str


@dataclass(frozen=True)
class Step:
    """An exchange that another one followed: what the model said, and the calls it wanted.

    ``misfit`` is what was wrong with the answer where it was asked for once more.
    """

    text: str = ""
    calls: tuple[Called, ...] = ()
    misfit: str = ""


def follows_up(request: Request) -> bool:
    """Whether a request goes on with the ask before it: results of tools, or asking once more."""
    if request.kind == AGAIN:
        return True
    roles = {message.get("role") for message in request.messages}
    return roles == {"tool"}


def results(request: Request) -> list[tuple[str, str]]:
    """Return the results of tools in a request, each with the id of its call."""
    return [
        (str(message.get("tool_call_id")), str(message.get("content")))
        for message in request.messages
        if message.get("role") == "tool"
    ]


def step(reply: Reply, request: Request) -> Step:
    """Return what *reply* said, and what *request*, which followed it up, gave back."""
    if request.kind == AGAIN:
        said = request.messages[-1].get("content") if request.messages else ""
        return Step(reply.text, misfit=str(said))
    given = results(request)
    calls = reply.tool_calls
    if [str(call.get("id")) for call in calls] != [name for name, _ in given]:
        by_id = dict(given)
        given = [(str(call.get("id")), by_id.get(str(call.get("id")), "")) for call in calls]
    return Step(
        reply.text, tuple(_called(call, text) for call, (_, text) in zip(calls, given, strict=True))
    )


def _called(call: Mapping[str, Any], result: str) -> Called:
    function = call.get("function")
    function = function if isinstance(function, Mapping) else {}
    return Called(str(function.get("name")), str(function.get("arguments")), result)


def before(exchange: Exchange, find: Callable[[str], Exchange | None]) -> tuple[Step, ...]:
    """Return the steps of an ask whose last exchange is *exchange*; *find* gives records by id."""
    found: list[Step] = []
    seen: set[str] = set()
    while follows_up(exchange.request) and exchange.request.parent not in (None, *seen):
        seen.add(str(exchange.request.parent))
        earlier = find(str(exchange.request.parent))
        if earlier is None or earlier.reply is None:
            break
        found.append(step(earlier.reply, exchange.request))
        exchange = earlier
    return tuple(reversed(found))


def answers_to(reply: Reply, requests: Sequence[Request]) -> Request | None:
    """Return the last of some requests that follows *reply* up in the way it needs."""
    wanted = sorted(str(call.get("id")) for call in reply.tool_calls)
    for request in reversed(requests):
        given = sorted(name for name, _ in results(request))
        if request.kind == AGAIN if not wanted else given == wanted:
            return request
    return None
