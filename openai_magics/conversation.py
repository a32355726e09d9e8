"""What was said so far: turns that belong to cells, and the slots of repeated requests.

A conversation is what the notebook says: running a cell again replaces its turns where they
stood. Without cell ids (plain IPython, scripts) every ask is a new turn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from openai_magics.errors import Interrupted, OptionError
from openai_magics.exchange import Attachment, Message, Reply
from openai_magics.interrupts import heard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Conversation", "Lane", "Place", "Slots", "Turn", "exchanged", "history", "path"]


@dataclass(frozen=True)
class Place:
    """Where an ask comes from: the cell (``None`` where it cannot be told) and its execution."""

    cell: str | None
    execution: str


@dataclass(frozen=True)
class Turn:
    """One exchange that was answered.

    ``base`` are the turns that it comes after where it branched off; ``None``: it comes after
    the turn that stands before it. ``follows`` is true where it goes on with the ask before it.
    """

    place: Place
    messages: tuple[Message, ...]
    reply: Reply
    attachments: tuple[Attachment, ...] = field(default=(), compare=False, repr=False)
    base: tuple[Turn, ...] | None = field(default=None, compare=False, repr=False)
    follows: bool = False


@dataclass
class Conversation:
    """A named conversation.

    ``asked`` are all its turns in the order of their cells, also those that it went back
    behind (``--branch-from``): their cells can run again, each where it stood.
    """

    name: str
    asked: list[Turn] = field(default_factory=list)

    @property
    def turns(self) -> list[Turn]:
        """The turns as they stand: those that lead to the last one."""
        return path(self.asked)

    def before(self, place: Place) -> list[Turn]:
        """Return the turns that a new one of *place* comes after."""
        return path(self.asked_before(place))

    def asked_before(self, place: Place) -> list[Turn]:
        """Return all turns that stand before a new one of *place*."""
        return [turn for turn in self.asked[: self._position(place)] if not _stale(turn, place)]

    def add(self, turn: Turn, *, new: bool = False) -> None:
        """Put *turn* where its cell's turns stood, or at the end.

        With *new* the conversation begins with it: what stood before it is dropped.
        """
        position = self._position(turn.place)
        earlier = (
            [] if new else [item for item in self.asked[:position] if not _stale(item, turn.place)]
        )
        later = [item for item in self.asked[position:] if not _stale(item, turn.place)]
        self.asked = [*earlier, turn, *later]

    def drop(self, place: Place) -> None:
        """Remove the turns that earlier executions of *place*'s cell left."""
        self.asked = [turn for turn in self.asked if not _stale(turn, place)]

    def _position(self, place: Place) -> int:
        if place.cell is None:
            return len(self.asked)
        of_cell = [n for n, turn in enumerate(self.asked) if turn.place.cell == place.cell]
        own = [n for n in of_cell if self.asked[n].place.execution == place.execution]
        if own:
            return own[-1] + 1
        return of_cell[0] if of_cell else len(self.asked)


def _stale(turn: Turn, place: Place) -> bool:
    """Whether *turn* is of an earlier execution of the same cell."""
    return (
        place.cell is not None
        and turn.place.cell == place.cell
        and turn.place.execution != place.execution
    )


def path(turns: Sequence[Turn]) -> list[Turn]:
    """Return the turns that lead to the last of *turns*, in order, it among them."""
    found: list[Turn] = []
    for turn in reversed(turns):
        found.append(turn)
        if turn.base is not None:
            return [*turn.base, *reversed(found)]
    return found[::-1]


def history(turns: Sequence[Turn], most: int | None) -> tuple[Message, ...]:
    """Return the messages of the last *most* asks (``None``: of all), each with what followed it.

    An answer that did not fit, and asking for it once more, are left out: the answer that came
    then stands in their place.
    """
    if most is not None:
        begins = [n for n, turn in enumerate(turns) if not turn.follows]
        turns = turns[begins[-most] :] if 0 < most < len(begins) else turns if most else ()
    told: list[Message] = []
    for turn in turns:
        if told and turn.follows and turn.messages[-1].get("role") == "user":
            told[-1] = turn.reply.message
        else:
            told += exchanged(turn)
    return tuple(told)


def exchanged(turn: Turn) -> tuple[Message, ...]:
    """Return the messages of a turn, its answer the last."""
    return (*turn.messages, turn.reply.message)


class Slots:
    """Which of the answers to one request each ask of this run takes.

    The k-th ask of a request takes slot k. A cell that is run again takes the slots it had,
    and a slot that this cell recorded is preferred to the order of execution.
    """

    def __init__(self) -> None:
        self._held: dict[str, dict[int, Place]] = {}
        self._mutex = threading.Lock()

    def claim(
        self,
        fingerprint: str,
        place: Place,
        recorded: Sequence[int],
        cell_of: Callable[[int], str | None],
    ) -> int:
        """Return the slot for an ask, and hold it.

        Parameters
        ----------
        fingerprint : str
        place : Place
            Where the ask comes from.
        recorded : sequence of int
            The slots that the dialogue file has for the fingerprint.
        cell_of : callable
            The cell that recorded a slot.
        """
        with self._mutex:
            held = self._held.setdefault(fingerprint, {})
            slot = self._choose(held, place, recorded, cell_of)
            held[slot] = place
            return slot

    @staticmethod
    def _choose(
        held: dict[int, Place],
        place: Place,
        recorded: Sequence[int],
        cell_of: Callable[[int], str | None],
    ) -> int:
        if place.cell is not None:
            had = [
                slot
                for slot, holder in held.items()
                if holder.cell == place.cell and holder.execution != place.execution
            ]
            if had:
                return min(had)
            free = [slot for slot in recorded if slot not in held]
            if len(free) > 1:
                for slot in free:
                    if cell_of(slot) == place.cell:
                        return slot
        slot = 0
        while slot in held:
            slot += 1
        return slot

    def release(self, fingerprint: str, slot: int) -> None:
        """Give back a slot whose ask left no answer."""
        with self._mutex:
            self._held.get(fingerprint, {}).pop(slot, None)


class Lane:
    """Keeps the asks of one conversation in the order in which they were made.

    Each turn sees the one before it, so asks made at the same time (threads, tasks) wait for
    one another: the order of the calls, not that of the answers, is the conversation's.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._mutex = threading.Lock()
        self._ahead: list[tuple[Future[None], int]] = []

    def _enter(self) -> tuple[Future[None] | None, Future[None], bool]:
        """Queue up; return whom to wait for, the own place, and whether this thread has one ahead."""
        mine: Future[None] = Future()
        thread = threading.get_ident()
        with self._mutex:
            self._ahead = [item for item in self._ahead if not item[0].done()]
            before = self._ahead[-1][0] if self._ahead else None
            own = any(other == thread for _, other in self._ahead)
            self._ahead.append((mine, thread))
        return before, mine, own

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the asks before this one, then hold the lane.

        Raises
        ------
        OptionError
            An ask before it runs in this very thread and could never end.
        """
        before, mine, own = self._enter()
        try:
            if own:
                raise OptionError(
                    f"An ask in the conversation {self.name!r} has not ended yet, and this "
                    "one would wait for it for ever.",
                    "Await the first one, or give this one another conversation.",
                )
            if before is not None:
                try:
                    heard(before.result)
                except KeyboardInterrupt:
                    raise Interrupted from None
            yield
        finally:
            _leave(before, mine)

    @asynccontextmanager
    async def aturn(self) -> AsyncIterator[None]:
        """As `turn`, without blocking the event loop."""
        import asyncio

        before, mine, _ = self._enter()
        try:
            if before is not None:
                await asyncio.shield(asyncio.wrap_future(before))
            yield
        finally:
            _leave(before, mine)


def _leave(before: Future[None] | None, mine: Future[None]) -> None:
    """Let the next one go, though not past one that this one gave up waiting for."""
    if before is None or before.done():
        mine.set_result(None)
    else:
        before.add_done_callback(lambda _: mine.set_result(None))
