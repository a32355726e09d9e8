"""Conversations as the dialogue file tells them, record by record, and what came before a record.

What a cell continues is what this run has said (`openai_magics.conversation`). What a panel
continues is a record, wherever that stands: its conversation is read from the file, so that
it is there after a restart, and nothing that is said in a panel changes what a cell asks.

A conversation's *tip* is the answer that was recorded last in it, also where it was cut off;
the turns before it are found by their ids. What an edited prompt or another answer replaced
is in the file, though no longer before the tip.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from openai_magics.chains import NOT_SHOWN, mark_of
from openai_magics.conversation import Place, Turn
from openai_magics.dialogue import NOWHERE, DialogueFile
from openai_magics.errors import OptionError
from openai_magics.exchange import Attachment, Exchange, Message, canonical_json, image_parts

__all__ = ["Lineage", "Summary"]


@dataclass(frozen=True)
class Summary:
    """A conversation in a list: its name, first prompt, how many asks, and when the last (UTC)."""

    name: str
    opening: Exchange
    asks: int
    latest: str


class Lineage:
    """The asks of a dialogue file by id, brought up to date by reading only what is new.

    Parameters
    ----------
    file : callable
        Gives the dialogue file.
    """

    def __init__(self, file: Callable[[], DialogueFile]) -> None:
        self._file = file
        self._mark = NOWHERE
        self._by_id: dict[str, Exchange] = {}
        self._held: dict[bytes, Attachment] = {}
        self._mutex = threading.Lock()

    def __iter__(self) -> Iterator[Exchange]:
        """All asks in the order of the file; what was recorded twice stands where it did last."""
        return iter(list(self._fresh().values()))

    def _fresh(self) -> dict[str, Exchange]:
        with self._mutex:
            mark, found = self._file().since(self._mark)
            if mark.generation != self._mark.generation:
                self._by_id = {}
            self._mark = mark
            for item in found:
                if item.request.messages and item.request.kind not in NOT_SHOWN:
                    self._by_id.pop(item.id, None)
                    self._by_id[item.id] = item
            return self._by_id

    def get(self, identity: str) -> Exchange | None:
        """Return the record with an id, or ``None``."""
        return self._fresh().get(identity)

    def summaries(self) -> list[Summary]:
        """Return the conversations, the one with the latest ask first."""
        found: dict[str, Summary] = {}
        for item in self:
            if (name := item.conversation) is None:
                continue
            before = found.pop(name, None)
            opening = before.opening if before else item
            found[name] = Summary(name, opening, before.asks + 1 if before else 1, item.created)
        return list(reversed(found.values()))

    def tip(self, conversation: str) -> str | None:
        """Return the id of a conversation's tip (see the module's docstring)."""
        return next(
            (
                item.id
                for item in reversed(list(self))
                if item.conversation == conversation and _has_words(item)
            ),
            None,
        )

    def back(self, identity: str | None) -> list[Exchange]:
        """Return the records from the first of a conversation up to *identity*.

        It begins later where a record before is missing or they follow one another in a circle.
        """
        known, found = self._fresh(), {}
        while identity is not None and identity not in found:
            item = known.get(identity)
            if item is None:
                break
            found[identity] = item
            identity = item.request.parent
        return list(reversed(found.values()))

    def turns(self, conversation: str, tip: str | None = None) -> list[Exchange]:
        """Return what stands in a conversation up to *tip*, to be looked at.

        *tip* is by default the conversation's own; ``""`` is before its first turn.

        Answers that were cut off stand where they were asked for, though no later turn has
        seen them; a failure only where nothing was said after it.
        """
        tip = (self.tip(conversation) if tip is None else tip) or None
        chain = self.back(tip)
        standing = {item.id for item in chain}
        place = {item.request.parent: n for n, item in enumerate(chain)}
        order = {item.id: n for n, item in enumerate(self)}
        loose: dict[int, list[Exchange]] = {}
        for item in self:
            if item.conversation != conversation or item.id in standing or not mark_of(item):
                continue
            at = place.get(item.request.parent)
            last = at is None and item.request.parent == tip
            after = at is not None and order[item.id] < order[chain[at].id]
            after = after and item.request.messages != chain[at or 0].request.messages
            if last or (after and _has_words(item)):
                loose.setdefault(len(chain) if at is None else at, []).append(item)
        ends = loose.get(len(chain), [])
        loose[len(chain)] = [item for item in ends if _has_words(item) or item is ends[-1]]
        rows: list[Exchange] = []
        for n in range(len(chain) + 1):
            rows += loose.get(n, [])
            rows += chain[n : n + 1]
        return rows

    def hold(self, attachments: Iterable[Attachment]) -> None:
        """Keep the images of an ask: records hold only their hashes."""
        with self._mutex:
            self._held.update({canonical_json(item.said): item for item in attachments})

    def before(self, after: str) -> list[Turn]:
        """Return the turns up to a record (``""``: none), as a request that comes after it sends them.

        An image that this kernel has not seen is a word about it.

        Raises
        ------
        OptionError
            There is no such answer.
        """
        if not after:
            return []
        item = self.get(after)
        if item is None or item.answer is None or mark_of(item):
            raise OptionError(
                f"No answer with the id {after!r} is in the dialogue file.",
                "Go on from one that is: the records are in session.dialogue.to_frame(whole=True).",
            )
        found = []
        for each in self.back(after):
            if each.answer is None:
                continue
            messages = tuple(map(self._sendable, each.request.messages))
            held = (self._held[canonical_json(part)] for part in image_parts(messages))
            found.append(Turn(Place(None, "recorded"), messages, each.answer, tuple(held)))
        return found

    def _sendable(self, message: Message) -> Message:
        if not isinstance(content := message.get("content"), (list, tuple)):
            return message
        parts = [
            {"type": "text", "text": "[An image that is no longer at hand.]"}
            if image_parts([{"content": [part]}]) and canonical_json(part) not in self._held
            else part
            for part in content
        ]
        return {**message, "content": parts}


def standing(chain: list[Exchange]) -> str:
    """Return the id of the last answer of *chain* that a turn can follow, ``""`` without one."""
    return next((item.id for item in reversed(chain) if not mark_of(item)), "")


def _has_words(item: Exchange) -> bool:
    return item.reply is not None and bool(item.reply.text or not mark_of(item))
