"""One exchange of an ask: the slot it takes, who answers, and that it is recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from openai_magics.client import Live
from openai_magics.config import Settings
from openai_magics.conversation import Place, Slots, Turn, exchanged, history
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import SchemaMismatch, ServiceError
from openai_magics.exchange import Reply, Request
from openai_magics.lineage import Lineage
from openai_magics.replay import Replay, ReplayThenLive, Sender
from openai_magics.turns.asking import Asking
from openai_magics.turns.recorder import Recorder, Taken
from openai_magics.turns.shown import Shown

__all__ = ["Course", "Taking"]


@dataclass
class Course:
    """What all exchanges of an ask have in common: its mode, its cell, what it comes after, its slots."""

    mode: str
    place: Place
    before: list[Turn]
    slots: list[tuple[str, int]] = field(default_factory=list)


class Taking:
    """Takes the exchanges of a run through, one by one.

    Parameters
    ----------
    settings : Settings
    live : Live
        The sender for what is not recorded.
    file : callable
        Gives the dialogue file, which is looked for at first use.
    """

    def __init__(self, settings: Settings, live: Live, file: Callable[[], DialogueFile]) -> None:
        self.settings = settings
        self.live = live
        self.file = file
        self.lineage = Lineage(file)
        self.shown = Shown()
        self._slots = Slots()
        self._mutex = threading.Lock()

    def forget(self) -> None:
        """Begin anew: no slot taken, nothing shown."""
        self.shown = Shown()
        self._slots = Slots()

    def complete(self, asking: Asking, turns: list[Turn]) -> Request:
        """Return the request of *asking* with the turns before it; nothing is sent."""
        most = asking.request.max_history
        if most is None and turns:
            most = self.settings.get("max_history")
        turns = turns if most != 0 else []
        if not turns and not asking.since:
            return asking.request
        last = (*turns, *asking.since)[-1]
        own = (message for turn in asking.since for message in exchanged(turn))
        told = (*history(turns, most), *own)
        earlier = (item for turn in (*turns, *asking.since) for item in turn.attachments)
        return replace(
            asking.request,
            parent=last.reply.id,
            history=told,
            attachments=(*asking.request.attachments, *earlier),
        )

    def _mode(self, asking: Asking) -> str:
        mode: str = self.settings.get("mode", asking.mode)
        return "live" if asking.fresh and mode != "replay" else mode

    def after(self, course: Course) -> Callable[[Reply], list[Request]]:
        """Return what gives the requests that are recorded as following a reply."""
        if course.mode == "live":
            return lambda reply: []  # noqa: ARG005
        return lambda reply: [item.request for item in self.file().following(reply.id)]

    @contextmanager
    def course(self, asking: Asking, place: Place, before: list[Turn]) -> Iterator[Course]:
        """Say where an ask stands; give back the slots of one that broke off.

        Asked again, it goes on where it was.
        """
        course = Course(self._mode(asking), place, before)
        try:
            yield course
        except BaseException as stop:
            if not getattr(stop, "lasting", False) and not isinstance(stop, SchemaMismatch):
                for fingerprint, slot in course.slots:
                    self._slots.release(fingerprint, slot)
            raise

    @contextmanager
    def take(self, asking: Asking, course: Course) -> Iterator[Taken]:
        """Make a request ready; afterwards record what came of it, whatever that was."""
        file = self.file()
        request, sender = self.complete(asking, course.before), self._sender(asking, course, file)
        slot = self._slot(request, asking, course, file)
        if slot != request.occurrence:  # as a rule it is the first: its fingerprint is kept
            request = replace(request, occurrence=slot)
        taken = Taken(request, sender)
        record = Recorder(file, taken.request, asking, course.place.cell)
        answered = False
        try:
            with record.failures(taken):
                yield taken
            assert taken.reply is not None
            if not taken.reply.replayed:
                taken.reply = record.keep(taken.reply)
            answered = True
        except ServiceError as problem:
            answered = problem.lasting
            raise
        finally:
            if not answered and asking.after is None:
                self._slots.release(request.fingerprint, slot)
        if asking.after is not None:
            self.lineage.hold(asking.request.attachments)
            return
        course.slots.append((request.fingerprint, slot))
        with self._mutex:  # asks without history end side by side
            self.shown.add(course.place, taken.reply.id)

    def _slot(self, request: Request, asking: Asking, course: Course, file: DialogueFile) -> int:
        recorded = file.slots(request.fingerprint)
        if asking.after is not None:
            # It takes no cell's turn, and never supersedes what a cell shows.
            own = (
                number
                for number in recorded
                if (number or asking.conversation is not None)  # a cell takes the first one
                and (item := file.get(request.fingerprint, number)) is not None
                and (item.cell, item.conversation) == (None, asking.conversation)
            )
            beyond = len(recorded) and recorded[-1] + 1
            anew = course.mode == "live" or (course.mode == "auto" and asking.stands is not None)
            return next(own, beyond) if anew else 0
        return self._slots.claim(
            request.fingerprint,
            course.place,
            recorded,
            lambda number: _cell_of(file, request.fingerprint, number),
        )

    def _sender(self, asking: Asking, course: Course, file: DialogueFile) -> Sender:
        replaying, mode = Replay(file), course.mode
        if asking.answers is not None:
            return asking.answers(replaying, mode)
        if mode == "replay":
            return replaying
        live = asking.through or self.live
        if mode == "live":
            file.check_writable()
            return live
        return ReplayThenLive(replaying, live, asking.stands)


def _cell_of(file: DialogueFile, fingerprint: str, occurrence: int) -> str | None:
    exchange = file.get(fingerprint, occurrence)
    return exchange.cell if exchange else None
