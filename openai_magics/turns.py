"""Taking a request through: what came before it, its slot, the sender, its record.

`Turns.run` (and `Turns.arun`) is the one way from a request to a reply; listings go it as
asks do.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from openai_magics import branches, cells, failures
from openai_magics.branches import Branch
from openai_magics.client import Listener, Live
from openai_magics.config import Settings
from openai_magics.conversation import Conversation, Lane, Place, Slots, Turn, history
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import Interrupted, ModelNotFound, SchemaMismatch, ServiceError
from openai_magics.exchange import Exchange, Reply, Request, Resolved
from openai_magics.interrupts import Held, heard
from openai_magics.lineage import Lineage
from openai_magics.replay import Replay, ReplayThenLive, Sender
from openai_magics.rounds.play import after_steps, aplay, play
from openai_magics.rounds.script import Outcome, script
from openai_magics.tools.toolbox import arunner, runner

if TYPE_CHECKING:
    from openai_magics.assistants.assistant import Assistant
    from openai_magics.rounds.steps import Step
    from openai_magics.schemas.shape import Shape
    from openai_magics.tools.toolbox import Toolbox

__all__ = ["Asking", "Turns", "here"]


@dataclass(frozen=True)
class Asking:
    """A request as the notebook makes it, without what came before it, and how to send it.

    ``conversation`` is ``None`` for what neither sees a conversation nor joins one; ``new``
    begins it anew; ``fresh`` asks even where an answer is recorded; ``judge`` is who judges
    the answer's sentiment, ``format`` how the cell shows it, ``template`` the prompt before its
    placeholders were filled. ``through`` asks in place of the client's sender (several requests
    that make one answer); ``stands`` tells of a recorded answer whether it still holds, or is to
    be asked for anew where that is possible. ``answers`` makes the sender of what is looked up
    here, not asked of a service; ``assistant`` is whose set-up the request has; ``branch`` is
    the turn that it comes after, where that is not the last one of its conversation; ``shape``
    what the answer is to be; ``tools`` are run where the model calls them (at most
    ``max_rounds`` times), those whose results are recorded only with ``run_tools``. ``since``
    are the exchanges of this very ask so far, ``steps`` what is shown of them. ``after`` is the
    id of the record that it comes after, ``""`` for none, though it is no part of this run then;
    ``None`` where what this run has said decides.
    """

    request: Request
    conversation: str | None = None
    new: bool = False
    after: str | None = None
    fresh: bool = False
    mode: str | None = None
    judge: str | None = None
    format: str | None = None
    template: str | None = None
    through: Sender | None = None
    stands: Callable[[Reply], bool] | None = None
    answers: Callable[[Replay, str], Sender] | None = None
    assistant: Assistant | None = None
    branch: Branch | None = None
    shape: Shape | None = None
    tools: Toolbox | None = None
    run_tools: bool = False
    max_rounds: int = 8
    since: tuple[Turn, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def joins(self) -> str | None:
        """The conversation of this run that it becomes part of."""
        return self.conversation if self.after is None else None


def here() -> Place:
    """Return the cell that runs now."""
    return Place(cells.cell_id(), cells.execution())


class Turns:
    """The conversations of a run, and the way of every request through them.

    Parameters
    ----------
    settings : Settings
    live : Live
        The sender for what is not recorded.
    file : callable
        Gives the dialogue file, which is looked for at first use.
    judge : callable
        Adds to a new reply what its record keeps besides (cost, sentiment).
    """

    def __init__(
        self,
        settings: Settings,
        live: Live,
        file: Callable[[], DialogueFile],
        judge: Callable[[Asking, Reply], Reply],
    ) -> None:
        self.settings = settings
        self.live = live
        self.file = file
        self.judge = judge
        self.conversations: dict[str, Conversation] = {}
        self._shown = _Run()
        self.lineage = Lineage(file)
        self._lanes: dict[str, Lane] = {}
        self._slots = Slots()
        self._mutex = threading.Lock()

    def run(self, asking: Asking, listener: Listener = Listener()) -> Reply:
        """Return the reply to a request: recorded, or asked for and recorded.

        Raises
        ------
        ReplayMiss, NotConnected, ServiceError, DialogueError, Interrupted
            As `Session.ask`.
        """
        try:
            with Held():
                return self._run_whole(asking, listener)
        except KeyboardInterrupt as stop:  # one that was held back is as Python raises it
            raise (stop if isinstance(stop, Interrupted) else Interrupted()) from None

    def _run_whole(self, asking: Asking, listener: Listener) -> Reply:
        """Take a request through; only what takes time hears an interrupt."""
        asking = _apart(asking)
        with ExitStack() as stack:
            if asking.joins is not None:
                stack.enter_context(self._lane(asking.joins).turn())
            course = stack.enter_context(self._course(asking))

            def exchange(one: Asking) -> Reply:
                listener.stepped(one.steps)
                with after_steps(one.steps), self._take(one, course) as taken:
                    reply = heard(lambda: taken.sender.send(taken.request, listener))
                    taken.reply = reply
                    if not reply.replayed:
                        taken.reply = heard(lambda: self.judge(one, reply))
                return taken.answered

            steps = script(asking, course.place, self._after(asking))
            run = runner(asking.tools, may=self._may_run(asking), listener=listener)
            return self._joined(asking, course, play(steps, exchange, run))

    async def arun(self, asking: Asking, listener: Listener = Listener()) -> Reply:
        """As `run`, without blocking the event loop."""
        asking = _apart(asking)
        async with AsyncExitStack() as stack:
            if asking.joins is not None:
                await stack.enter_async_context(self._lane(asking.joins).aturn())
            course = stack.enter_context(self._course(asking))

            async def exchange(one: Asking) -> Reply:
                listener.stepped(one.steps)
                with after_steps(one.steps), self._take(one, course) as taken:
                    taken.reply = await taken.sender.asend(taken.request, listener)
                    if not taken.reply.replayed:  # in a thread, for a model may judge
                        taken.reply = await asyncio.to_thread(self.judge, one, taken.reply)
                return taken.answered

            steps = script(asking, course.place, self._after(asking))
            run = arunner(asking.tools, may=self._may_run(asking), listener=listener)
            return self._joined(asking, course, await aplay(steps, exchange, run))

    def complete(self, asking: Asking) -> Request:
        """Return the request with what came before it; nothing is sent."""
        place = here()
        return self._complete(asking, self._before(asking, place))

    def rename(self, old: str, new: str) -> None:
        """Give a conversation of this run another name, where there is one of that name."""
        with self._mutex:
            if old in self.conversations:
                held = [(new if name == old else name, c) for name, c in self.conversations.items()]
                self.conversations.clear()
                self.conversations.update(held)
                self.conversations[new].name = new

    def cell_ran(self, place: Place) -> None:
        """Drop the turns of a cell that ran again and no longer asks."""
        self._shown.drop(place)
        for conversation in tuple(self.conversations.values()):
            conversation.drop(place)

    def in_order(self, ids: list[str]) -> None:
        """Tell the records that this cell made side by side in this order, whichever came first."""
        self._shown.in_order(here(), ids)

    def said(self) -> list[str]:
        """Return the ids of the records that this run shows, in the order of its cells.

        It is the same after Restart & Run All, whatever else the file holds: what cells that
        ran again, or are gone, had said before is not in it.
        """
        return self._shown.ids()

    def forget(self) -> None:
        """Begin anew: no conversation, no slot taken, nothing said."""
        self.conversations.clear()
        self._shown = _Run()
        self._slots = Slots()

    def _before(self, asking: Asking, place: Place) -> list[Turn]:
        """Return the turns that a request comes after, however many of them are sent."""
        if asking.after is not None:
            return self.lineage.before(asking.after)
        if asking.conversation is None or asking.new:
            return []
        if asking.branch is not None:
            return list(branches.base(asking.branch, self.conversations, place, self.file()))
        return self._conversation(asking.conversation).before(place)

    def _complete(self, asking: Asking, turns: list[Turn]) -> Request:
        most = asking.request.max_history
        if most is None and turns:
            most = self.settings.get("max_history")
        turns = turns if most != 0 else []
        if not turns and not asking.since:
            return asking.request
        last = (*turns, *asking.since)[-1]
        told = (*history(turns, most), *history(asking.since, None))
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

    def _may_run(self, asking: Asking) -> bool:
        """Whether tools may be run whose results are not recorded."""
        return asking.run_tools or self._mode(asking) != "replay"

    def _after(self, asking: Asking) -> Callable[[Reply], list[Request]]:
        """Return what gives the requests that are recorded as following a reply."""
        if self._mode(asking) == "live":
            return lambda reply: []  # noqa: ARG005
        return lambda reply: [item.request for item in self.file().following(reply.id)]

    def _joined(self, asking: Asking, course: _Course, outcome: Outcome) -> Reply:
        """Let the turns of an ask join its conversation, all at once; return its answer."""
        if asking.joins is not None:
            conversation = self._conversation(asking.joins)
            first, *others = outcome.turns
            base = None if asking.branch is None else tuple(course.before)
            conversation.add(replace(first, base=base), new=asking.new)
            for turn in others:
                conversation.add(turn)
        if outcome.problem is not None:
            raise outcome.problem
        return outcome.turns[-1].reply

    @contextmanager
    def _course(self, asking: Asking) -> Iterator[_Course]:
        """Say where an ask stands; give back the slots of one that broke off.

        Asked again, it goes on where it was.
        """
        place = here()
        course = _Course(place, self._before(asking, place))
        try:
            yield course
        except BaseException as stop:
            if not getattr(stop, "lasting", False) and not isinstance(stop, SchemaMismatch):
                for fingerprint, slot in course.slots:
                    self._slots.release(fingerprint, slot)
            raise

    @contextmanager
    def _take(self, asking: Asking, course: _Course) -> Iterator[_Taken]:
        """Make a request ready; afterwards record what came of it, whatever that was."""
        file = self.file()
        request, sender = self._complete(asking, course.before), self._sender(asking, file)
        slot = self._slot(request, asking, course.place, file)
        if slot != request.occurrence:  # as a rule it is the first: its fingerprint is kept
            request = replace(request, occurrence=slot)
        taken = _Taken(request, sender)
        record = _Recorder(file, taken.request, asking, course.place.cell)
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
            self._shown.add(course.place, taken.reply.id)

    def _slot(self, request: Request, asking: Asking, place: Place, file: DialogueFile) -> int:
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
            beyond, mode = len(recorded) and recorded[-1] + 1, self._mode(asking)
            anew = mode == "live" or (mode == "auto" and asking.stands is not None)
            return next(own, beyond) if anew else 0
        return self._slots.claim(
            request.fingerprint,
            place,
            recorded,
            lambda number: _cell_of(file, request.fingerprint, number),
        )

    def _sender(self, asking: Asking, file: DialogueFile) -> Sender:
        replaying, mode = Replay(file), self._mode(asking)
        if asking.answers is not None:
            return asking.answers(replaying, mode)
        if mode == "replay":
            return replaying
        live = asking.through or self.live
        if mode == "live":
            file.check_writable()
            return live
        return ReplayThenLive(replaying, live, asking.stands)

    def _conversation(self, name: str) -> Conversation:
        return self.conversations.setdefault(name, Conversation(name))

    def _lane(self, name: str) -> Lane:
        with self._mutex:
            return self._lanes.setdefault(name, Lane(name))


def _apart(asking: Asking) -> Asking:
    """Return what is asked; what a panel asks outside of any conversation is no part of the run."""
    mine = asking.conversation is None and asking.after is None and cells.apart()
    return replace(asking, after="") if mine else asking


class _Run:
    """The ids of the records that this run shows, by cell; a dict keeps a cell where it stood."""

    def __init__(self) -> None:
        self._ids: dict[str | Place, tuple[str, list[str]]] = {}

    def add(self, place: Place, record: str) -> None:
        if self._ids.get(place.cell or place, ("",))[0] != place.execution:
            self._ids[place.cell or place] = place.execution, []
        self._ids[place.cell or place][1].append(record)

    def in_order(self, place: Place, ids: list[str]) -> None:
        execution, held = self._ids.get(place.cell or place, ("", []))
        if execution == place.execution:
            held[:] = [*(one for one in held if one not in set(ids)), *ids]

    def drop(self, place: Place) -> None:
        if place.cell and self._ids.get(place.cell, (place.execution,))[0] != place.execution:
            del self._ids[place.cell]

    def ids(self) -> list[str]:
        return list(dict.fromkeys(one for _, ids in tuple(self._ids.values()) for one in ids))


@dataclass
class _Course:
    """What all exchanges of an ask have in common: its cell, what it comes after, its slots."""

    place: Place
    before: list[Turn]
    slots: list[tuple[str, int]] = field(default_factory=list)


@dataclass
class _Taken:
    """A request on its way: the body of the ``with`` puts the reply in, then judges it."""

    request: Request
    sender: Sender
    reply: Reply | None = None

    @property
    def answered(self) -> Reply:
        """The reply, which is there once the ``with`` has ended well."""
        assert self.reply is not None
        return self.reply


def _cell_of(file: DialogueFile, fingerprint: str, occurrence: int) -> str | None:
    exchange = file.get(fingerprint, occurrence)
    return exchange.cell if exchange else None


class _Recorder:
    """Appends the one record of a turn, whichever way it ended."""

    def __init__(
        self, file: DialogueFile, request: Request, asking: Asking, cell: str | None
    ) -> None:
        self._file, self._request = file, request
        self._asking, self._cell = asking, cell
        self._created, self._begun = datetime.now(timezone.utc), time.perf_counter()

    def keep(self, reply: Reply) -> Reply:
        """Record a whole answer; return it with its id."""
        exchange = self._append(reply, None, self._request.occurrence)
        assert exchange.answer is not None
        return exchange.answer

    @contextmanager
    def failures(self, taken: _Taken) -> Iterator[None]:
        """Record what fails inside, and raise it again.

        What would fail again takes its slot; what was the moment's, and an answer that was
        cut off, is kept but never replayed. An answer that was whole when its judging failed
        is kept as one.
        """
        try:
            yield
        except BaseException as stop:
            if taken.reply is None:
                told = self._failed(stop)
                if told is not stop:
                    raise told from None
            elif not taken.reply.replayed:
                taken.reply = self.keep(taken.reply)
            raise

    def _failed(self, stop: BaseException) -> BaseException:
        """Record a request without a whole answer; return what to raise."""
        if isinstance(stop, ServiceError):
            if not stop.replayed:
                self._name_assistant(stop)
                slot = self._request.occurrence if stop.lasting else None
                stop.reply = self._append(stop.reply, failures.to_record(stop), slot).answer
            return stop
        if isinstance(stop, KeyboardInterrupt):
            interrupted = stop if isinstance(stop, Interrupted) else Interrupted()
            interrupted.reply = self._append(interrupted.reply, None, None).answer
            return interrupted
        if (partial := getattr(stop, "reply", None)) is not None:  # a task, or a listener
            stop.reply = self._append(partial, None, None).answer  # type: ignore[attr-defined]
        return stop

    def _name_assistant(self, problem: ServiceError) -> None:
        """Say whose the model is that the service does not know."""
        whose = self._asking.assistant
        if isinstance(problem, ModelNotFound) and whose and whose.model == self._request.model:
            problem.remedy = (
                f"It is the model of the assistant {whose.name!r}. Give it another: %assistant "
                f"edit {whose.name} --model NAME (see %models), or ask with --model NAME."
            )

    def _append(
        self, reply: Reply | None, error: Mapping[str, Any] | None, occurrence: int | None
    ) -> Exchange:
        exchange = Exchange(
            request=self._request,
            reply=reply,
            error=error,
            occurrence=occurrence,
            resolved=reply.resolved if reply else Resolved(),
            conversation=self._asking.conversation,
            format=self._asking.format,
            template=self._asking.template,
            assistant=self._asking.assistant.identity if self._asking.assistant else None,
            cell=self._cell,
            made_in="panel" if cells.apart() else None,
            created=self._created.isoformat(timespec="milliseconds"),
            duration=round(time.perf_counter() - self._begun, 3),
        )
        self._file.append(exchange)
        return exchange
