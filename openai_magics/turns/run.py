"""The conversations of a run, and the way of every request through them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack
from dataclasses import replace

from openai_magics import branches, cells
from openai_magics.client import Listener, Live
from openai_magics.config import Settings
from openai_magics.conversation import Conversation, Lane, Place, Turn
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import Interrupted
from openai_magics.exchange import Message, Reply, Request
from openai_magics.interrupts import Held, heard
from openai_magics.rounds.play import Calls, after_steps, aplay, play
from openai_magics.rounds.script import Outcome, script
from openai_magics.turns.asking import Asking, here
from openai_magics.turns.taking import Course, Taking

__all__ = ["Turns"]


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
        self.renamed: dict[str, str] = {}
        self._taking = Taking(settings, live, file)
        self.lineage = self._taking.lineage
        self._lanes: dict[str, Lane] = {}
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
                with after_steps(one.steps), self._taking.take(one, course) as taken:
                    reply = heard(lambda: taken.sender.send(taken.request, listener))
                    taken.reply = reply
                    if not reply.replayed:
                        taken.reply = heard(lambda: self.judge(one, reply))
                return taken.answered

            steps = script(asking, course.place, self._taking.after(course))

            def run(calls: Calls) -> tuple[Message, ...]:
                from openai_magics.tools.toolbox import runner

                return runner(asking.tools, may=_may(asking, course), listener=listener)(calls)

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
                with after_steps(one.steps), self._taking.take(one, course) as taken:
                    taken.reply = await taken.sender.asend(taken.request, listener)
                    if not taken.reply.replayed:  # in a thread, for a model may judge
                        taken.reply = await asyncio.to_thread(self.judge, one, taken.reply)
                return taken.answered

            steps = script(asking, course.place, self._taking.after(course))

            async def run(calls: Calls) -> tuple[Message, ...]:
                from openai_magics.tools.toolbox import arunner

                may = _may(asking, course)
                return await arunner(asking.tools, may=may, listener=listener)(calls)

            return self._joined(asking, course, await aplay(steps, exchange, run))

    def complete(self, asking: Asking) -> Request:
        """Return the request with what came before it; nothing is sent."""
        place = here()
        return self._taking.complete(asking, self._before(asking, place))

    def rename(self, old: str, new: str) -> None:
        """Give a conversation of this run another name, where there is one of that name."""
        with self._mutex:
            followed = {name: new if now == old else now for name, now in self.renamed.items()}
            self.renamed = {**followed, old: new}
            self.renamed.pop(new, None)
            if old in self.conversations:
                held = [(new if name == old else name, c) for name, c in self.conversations.items()]
                self.conversations.clear()
                self.conversations.update(held)
                self.conversations[new].name = new

    def cell_ran(self, place: Place) -> None:
        """Drop the turns of a cell that ran again and no longer asks."""
        self._taking.shown.drop(place)
        for conversation in tuple(self.conversations.values()):
            conversation.drop(place)

    def in_order(self, ids: list[str]) -> None:
        """Tell the records that this cell made side by side in this order, whichever came first."""
        self._taking.shown.in_order(here(), ids)

    def said(self) -> list[str]:
        """Return the ids of the records that this run shows, in the order of its cells.

        It is the same after Restart & Run All, whatever else the file holds: what cells that
        ran again, or are gone, had said before is not in it.
        """
        return self._taking.shown.ids()

    def named(self) -> dict[str, str]:
        """Return the cells of this run by the records they show, where their ids were told."""
        return self._taking.shown.named()

    def nameless(self) -> list[tuple[str, list[str]]]:
        """Return the cells of this run whose id was not told, in order: source and record ids."""
        return self._taking.shown.nameless()

    def forget(self) -> None:
        """Begin anew: no conversation, no slot taken, nothing said."""
        self.conversations.clear()
        self.renamed.clear()
        self._taking.forget()

    def _course(self, asking: Asking) -> AbstractContextManager[Course]:
        place = here()
        return self._taking.course(asking, place, self._before(asking, place))

    def _before(self, asking: Asking, place: Place) -> list[Turn]:
        """Return the turns that a request comes after, however many of them are sent."""
        if asking.after is not None:
            return self.lineage.before(asking.after)
        if asking.conversation is None or asking.new:
            return []
        if asking.branch is not None:
            return list(branches.base(asking.branch, self.conversations, place, self.file()))
        return self._conversation(asking.conversation).before(place)

    def _joined(self, asking: Asking, course: Course, outcome: Outcome) -> Reply:
        """Let the turns of an ask join its conversation, all at once; return its answer."""
        if asking.joins is not None:
            conversation = self._conversation(asking.joins)
            first, *others = outcome.turns
            if asking.branch is not None:
                first = replace(first, base=tuple(course.before))
            conversation.add(first, new=asking.new)
            for turn in others:
                conversation.add(turn)
        if outcome.problem is not None:
            raise outcome.problem
        return outcome.turns[-1].reply

    def _conversation(self, name: str) -> Conversation:
        return self.conversations.setdefault(name, Conversation(name))

    def _lane(self, name: str) -> Lane:
        with self._mutex:
            return self._lanes.setdefault(name, Lane(name))


def _may(asking: Asking, course: Course) -> bool:
    """Whether tools may be run whose results are not recorded."""
    return asking.run_tools or course.mode != "replay"


def _apart(asking: Asking) -> Asking:
    """Return what is asked; what a panel asks outside of any conversation is no part of the run."""
    mine = asking.conversation is None and asking.after is None and cells.apart()
    return replace(asking, after="") if mine else asking
