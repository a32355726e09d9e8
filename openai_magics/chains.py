"""Conversations as they now stand: which records of a dialogue file make them up, in order.

A record holds what is new in its turn and the id of the turn before, so a conversation is
read backwards. Its *latest turn* is the one whose slot was recorded last (asking an earlier
turn anew does not end a conversation there), and each turn is the last record of its slot:
what the notebook shows. What is not in that chain is no longer part of the conversation: an
answer that was asked anew, a prompt that was edited since, what stood before ``--new``.

A damaged chain (the turn before is missing or was changed, or turns follow one another in a
circle) ends there, with a note.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from openai_magics.errors import OptionError, nearest
from openai_magics.exchange import Exchange

__all__ = ["Chain", "Records", "Turn", "mark_of"]

Slot = tuple[str, int]
ANEW, APART = "asked anew since", "no longer part of the conversation"
CUT, FAILED, REFUSED = "cut off", "failed", "refused"
MISSING = "The turn before this one is not in the dialogue file, or was changed there."
CIRCLE = "The turns before this one follow one another in a circle."
BEHIND = "Turn {} was answered when the turn before it had another answer."
NOT_SHOWN = frozenset({"sentiment"})
"""Kinds of asks that are not the person's own."""


@dataclass(frozen=True)
class Turn:
    """A record in a chain; ``mark`` says why it does not stand, where it does not."""

    exchange: Exchange
    mark: str = ""


@dataclass(frozen=True)
class Chain:
    """Turns that follow one another; ``conversation`` is ``None`` for what joined none."""

    conversation: str | None
    turns: tuple[Turn, ...]
    notes: tuple[str, ...] = ()


def mark_of(item: Exchange) -> str:
    """Return why a record is no answer (cut off, failed, refused), else ``""``."""
    kind = item.error.get("type") if item.error else None
    if kind == "ContentRefused" or (item.reply is not None and item.reply.refusal is not None):
        return REFUSED
    if kind == "LengthCut" or (item.reply is not None and item.reply.finish_reason == "cut_off"):
        return CUT
    if item.error is not None or item.reply is None:
        return FAILED
    return CUT if item.occurrence is None else ""


class Records:
    """The asks among some exchanges, by id and by slot.

    Parameters
    ----------
    exchanges : iterable of Exchange
        In the order of the file.
    """

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self.asks = [
            item
            for item in exchanges
            if item.request.messages and item.request.kind not in NOT_SHOWN
        ]
        self.order: dict[str, int] = {}
        self._by_id: dict[str, Exchange] = {}
        self._by_slot: dict[Slot, Exchange] = {}
        for position, item in enumerate(self.asks):
            self.order.setdefault(item.id, position)
            if not mark_of(item):
                self._by_id[item.id] = item
            if item.occurrence is not None:
                self._by_slot[_slot(item)] = item

    def names(self) -> list[str]:
        """The conversations, in the order in which they began."""
        names = (item.conversation for item in self.asks)
        return list(dict.fromkeys(name for name in names if name is not None))

    def check(self, conversation: str | None) -> None:
        """Raise where there is no such conversation.

        Raises
        ------
        OptionError
            The nearest name is said.
        """
        names = self.names()
        if conversation is not None and conversation not in names:
            raise OptionError(
                f"There is no conversation {conversation!r}{nearest(conversation, names)}.",
                f"Conversations: {', '.join(names)}." if names else "None is recorded yet.",
            )

    def at(self, fingerprint: str, occurrence: int) -> Exchange | None:
        """Return the answer that stands in a slot; ``None`` where it has none."""
        item = self._by_slot.get((fingerprint, occurrence))
        return item if item is not None and not mark_of(item) else None

    def standing(self, conversation: str | None = None) -> list[Chain]:
        """Return the chains that stand: one a conversation, then one each ask outside of any."""
        chains = [
            self._back_from(name, latest)
            for name, latest in self._latest().items()
            if conversation in (None, name)
        ]
        if conversation is None:
            chains += [
                Chain(None, (Turn(item),)) for item in self._answers() if item.conversation is None
            ]
        return chains

    def everything(self, conversation: str | None = None) -> list[Chain]:
        """Return every ask in the order of the file, marked where it does not stand."""
        standing = {turn.exchange.id for chain in self.standing() for turn in chain.turns}
        chains: list[Chain] = []
        for name in self.names() if conversation is None else [conversation]:
            own = [item for item in self.asks if item.conversation == name]
            chains.append(Chain(name, tuple(self._marked(item, standing) for item in own)))
        if conversation is None:
            chains += [
                Chain(None, (self._marked(item, standing),))
                for item in self.asks
                if item.conversation is None
            ]
        return chains

    def branches(self, conversation: str | None = None) -> list[Chain]:
        """Return a chain for every answer that no other follows, superseded ones too."""
        answers = {item.id: item for item in self.asks if not mark_of(item)}
        followed = {item.request.parent for item in answers.values()}
        return [
            self._back_from(item.conversation, item, as_it_was=True)
            for item in answers.values()
            if item.id not in followed and conversation in (None, item.conversation)
        ]

    def answers(self, identity: str) -> list[Exchange]:
        """Return the answers whose id begins with *identity*."""
        return [item for name, item in self._by_id.items() if name.startswith(identity)]

    def upto(self, item: Exchange) -> Chain:
        """Return the chain that leads to an answer, as it was when that was given."""
        return self._back_from(item.conversation, item, as_it_was=True)

    def left_out(self, chains: Iterable[Chain], conversation: str | None = None) -> Counter[str]:
        """Count by mark what is recorded and not in *chains*."""
        inside = {id(turn.exchange) for chain in chains for turn in chain.turns}
        return Counter(
            turn.mark
            for chain in self.everything(conversation)
            for turn in chain.turns
            if id(turn.exchange) not in inside and turn.mark
        )

    def _marked(self, item: Exchange, standing: set[str]) -> Turn:
        mark = mark_of(item)
        if not mark and self._by_slot[_slot(item)] is not item:
            mark = ANEW
        elif not mark and item.id not in standing:
            mark = APART
        return Turn(item, mark)

    def _answers(self) -> Iterator[Exchange]:
        """Yield the answers that stand in their slots, in the order in which those began."""
        return (item for item in self._by_slot.values() if not mark_of(item))

    def _latest(self) -> Mapping[str, Exchange]:
        latest = {item.conversation: item for item in self._answers()}
        return {name: latest[name] for name in self.names() if name in latest}

    def _back_from(
        self, conversation: str | None, latest: Exchange, *, as_it_was: bool = False
    ) -> Chain:
        turns, notes, seen = [latest], [], {_slot(latest)}
        before = latest.request.parent
        while before is not None:
            item = self._by_id.get(before)
            if item is None:
                notes.append(MISSING)
                break
            if _slot(item) in seen:
                notes.append(CIRCLE)
                break
            seen.add(_slot(item))
            stands = self._by_slot[_slot(item)]
            turns.append(item if as_it_was or mark_of(stands) else stands)
            before = item.request.parent
        turns.reverse()
        notes += [
            BEHIND.format(number)
            for number, (earlier, later) in enumerate(pairwise(turns), 2)
            if later.request.parent != earlier.id
        ]
        return Chain(conversation, tuple(Turn(item) for item in turns), tuple(notes))


def _slot(item: Exchange) -> Slot:
    return item.fingerprint, -1 if item.occurrence is None else item.occurrence
