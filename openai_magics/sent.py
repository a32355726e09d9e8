"""One record of the dialogue: what it follows, and the request as it was sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from openai_magics.exchange import Exchange, Message
from openai_magics.wire import chat

__all__ = ["Lineage", "as_sent", "parts", "turns_before"]


@dataclass(frozen=True)
class Lineage:
    """Where a record comes from.

    ``before`` are the turns that it follows, first to last (the chain is not whole where
    ``missing``); ``after`` those that follow it; ``again`` the other records of the very same
    request, in the order of the file.
    """

    before: tuple[Exchange, ...] = ()
    missing: bool = False
    after: tuple[Exchange, ...] = ()
    again: tuple[Exchange, ...] = ()


def turns_before(
    item: Exchange, find: Callable[[str], Exchange | None]
) -> tuple[tuple[Exchange, ...], bool]:
    """Return the turns that a record follows, first to last, and whether one is missing.

    *find* gives a record by its id. A circle counts as a missing turn.
    """
    found: list[Exchange] = []
    seen = {item.id}
    parent = item.request.parent
    while parent is not None:
        turn = None if parent in seen else find(parent)
        if turn is None:
            return tuple(found[::-1]), True
        seen.add(parent)
        found.append(turn)
        parent = turn.request.parent
    return tuple(found[::-1]), False


def as_sent(item: Exchange, before: Sequence[Exchange] = ()) -> dict[str, Any]:
    """Return the body that a record's request was sent as, the turns *before* it among its messages.

    Images stand in it as the record holds them, by their hash. A limit of the history that
    the surroundings set (``OPENAI_MAGICS_MAX_HISTORY``) is not recorded, hence not applied.
    """
    most = item.request.max_history
    turns = before if most is None else before[len(before) - min(most, len(before)) :]
    earlier: list[Message] = []
    for turn in turns:
        earlier += turn.request.messages
        if turn.reply is not None:
            earlier.append(turn.reply.message)
    resolved = item.resolved
    if resolved.model is None:  # it failed before it was sent: what was asked for
        asked = item.request
        resolved = replace(
            resolved, model=asked.model, system=asked.system, parameters=asked.parameters
        )
    request = replace(item.request, history=tuple(earlier))
    return chat.body(request, resolved, stream=False)


def parts(messages: Sequence[Message]) -> list[Mapping[str, Any]]:
    """Return the parts of messages that are not text, in order: images, files, sounds."""
    found: list[Mapping[str, Any]] = []
    for message in messages:
        content = message.get("content")
        found += [
            part
            for part in (content if isinstance(content, list) else ())
            if isinstance(part, Mapping) and part.get("type") != "text"
        ]
    return found
