"""The asks of a chat panel: send, try again, edit, stop. Each is one call of the session."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, Protocol

from openai_magics.errors import KeyMissing, MagicsError, OptionError
from openai_magics.exchange import Exchange
from openai_magics.lineage import standing
from openai_magics.panels import chat_options, turn_view
from openai_magics.panels.chat_state import State
from openai_magics.panels.pending import Pending
from openai_magics.panels.uploads import Uploads
from openai_magics.panels.worker import Job, Worker

__all__ = ["Asks", "Teller"]


class Teller(Protocol):
    """Who tells the views what happens."""

    def send(self, message: dict[str, Any]) -> None: ...

    def opened(self) -> None: ...

    def begun(self, at: int, pending: Pending) -> None: ...

    def ended(self, pending: Pending) -> None: ...


class Asks:
    """Asks in the open conversation; one answer at a time comes in each.

    Parameters
    ----------
    state : State
    uploads : Uploads
    worker : Worker
    lock : lock
        Held while *state* is read or changed.
    tell : Teller
    """

    def __init__(
        self, state: State, uploads: Uploads, worker: Worker, lock: threading.RLock, tell: Teller
    ) -> None:
        self.state = state
        self.uploads = uploads
        self.worker = worker
        self.lock = lock
        self.tell = tell

    def ask(self, text: str, images: Sequence[str] = ()) -> Job:
        """Ask after what the open conversation shows.

        Raises
        ------
        OptionError
            An answer is still coming, there is nothing to ask, or the form cannot be.
        """
        with self.lock:
            self.state.check_idle()
            attached = self.uploads.whole(images)
            chain = self.state.chain()
            conversation = self.state.place_to_ask(chain)
            return self._begin(Pending(conversation, text, standing(chain), attached))

    def retry(self, identity: str) -> Job:
        """Ask for another answer to a turn; one that failed is asked as it was.

        Raises
        ------
        OptionError
            An answer is still coming, or there is no such turn.
        """
        with self.lock:
            self.state.check_idle()
            if (failed := self._failed(identity)) is not None:
                return self._begin(failed.again(failed.text))
            item = self.state.record(identity)
            return self._begin(self._again(item, turn_view.asked(item.request.messages)))

    def edit(self, identity: str, text: str) -> Job:
        """Ask another prompt in the place of a turn; what came after it is no longer shown.

        Raises
        ------
        OptionError
            An answer is still coming, there is no such turn, or nothing to ask.
        """
        with self.lock:
            self.state.check_idle()
            if (failed := self._failed(identity)) is not None:
                return self._begin(failed.again(text))
            return self._begin(self._again(self.state.record(identity), text))

    def _failed(self, identity: str) -> Pending | None:
        pending = self.state.pending.get(self.state.open)
        return pending if pending is not None and pending.key == identity else None

    def _again(self, item: Exchange, text: str) -> Pending:
        images = self.state.images.get(item.id, [])
        if len(images) < len(turn_view.captions(item)):
            raise OptionError(
                "The images of this turn are no longer at hand.",
                "Attach them to a new message.",
            )
        conversation = self.state.place_to_ask([item])
        same = text == turn_view.asked(item.request.messages)
        return Pending(conversation, text, item.request.parent or "", images, fresh=same)

    def stop(self) -> None:
        """Stop the answer that is coming in the open conversation; what came of it is kept."""
        with self.lock:
            pending = self.state.pending.get(self.state.open)
        if pending is not None and pending.job is not None:
            pending.job.stop()

    def dismiss(self) -> None:
        """Take an ask that failed out of the open conversation."""
        with self.lock:
            pending = self.state.pending.get(self.state.open)
            if pending is not None and not pending.running:
                del self.state.pending[self.state.open]
                self.tell.opened()

    def _begin(self, pending: Pending) -> Job:
        """Check, show and ask; the lock is held."""
        form = self.state.form(self.state.open)
        if not pending.text.strip() and not pending.images:
            raise OptionError("The message is empty.", "Write what to ask, or attach an image.")
        said = chat_options.arguments(form)
        if pending.images:
            said["images"] = self.state.sources(pending.images)
        for identity, _ in pending.images:
            self.uploads.drop(identity)
        self.state.forms[pending.conversation] = form
        self.state.pending[pending.conversation] = pending
        if self.state.open == pending.conversation:
            self.tell.begun(len(self.state.records()), pending)
        else:
            self.state.show(pending.conversation)
            self.tell.opened()

        async def work(_: Job) -> Any:
            return await self.state.session.aask(
                pending.text,
                conversation=pending.conversation,
                after=pending.after,
                fresh=pending.fresh,
                on_text=lambda piece: self._heard(pending, piece),
                on_notice=lambda line: self._noticed(pending, line),
                **said,
            )

        pending.job = self.worker.start(
            work, lambda reply, error: self._ended(pending, reply, error)
        )
        return pending.job

    def _heard(self, pending: Pending, piece: str) -> None:
        with self.lock:
            if (update := pending.growing.add(piece)) is not None:
                self.tell.send({"type": "delta", "id": pending.key, **update})

    def _noticed(self, pending: Pending, line: str) -> None:
        with self.lock:
            pending.notice = line
            self.tell.send({"type": "notice", "id": pending.key, "text": line})

    def _ended(self, pending: Pending, reply: Any, error: BaseException | None) -> None:
        """Show what became of an ask: its record, or why there is none."""
        with self.lock:
            stopped = isinstance(error, asyncio.CancelledError)
            if error is None:
                self.state.tips[pending.conversation] = reply.id
                self.state.images[reply.id] = pending.images
                if reply.replayed:
                    self.state.replayed.add(reply.id)
            if error is None or (stopped and pending.growing.text):
                if stopped:
                    self.state.tips.pop(pending.conversation, None)
                self.state.pending.pop(pending.conversation, None)
            elif stopped:
                stop = MagicsError("Stopped before anything came.")
                pending.failure = turn_view.failure(stop)
            else:
                pending.failure = turn_view.failure(error)
                pending.failure["key"] = isinstance(error, KeyMissing)
            self.tell.ended(pending)
