"""The chat panel: conversations beside the notebook's cells, in the same dialogue file.

What is asked here comes after a record (``session.aask(…, after=…)``), so the panel has no
conversation of its own to lose: what it shows is read from the dialogue file. Views send
messages (`ChatPanel.ACTIONS`), the panel sends what changed to all of them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from openai_magics import render
from openai_magics.errors import OptionError
from openai_magics.exchange import Exchange
from openai_magics.panels import chat_options, turn_view
from openai_magics.panels.asks import Asks
from openai_magics.panels.base import Panel, front
from openai_magics.panels.chat_state import State
from openai_magics.panels.highlight import highlighted
from openai_magics.panels.inbox import Inbox
from openai_magics.panels.pending import Pending
from openai_magics.panels.thumbs import kept
from openai_magics.panels.uploads import Thumbnails, Upload, Uploads
from openai_magics.panels.worker import Job

if TYPE_CHECKING:
    from ipywidgets import Widget

    from openai_magics.session import Session

__all__ = ["ChatPanel"]

FILES = ("dom.js", "link.js", "turns.js", "composer.js", "settings.js", "chat.js")
PAGE = 30
"""Turns that a view gets at once; it asks for earlier ones when somebody scrolls to them."""

Message = Mapping[str, Any]


class ChatPanel(Panel):
    """Asks, and shows what is said, in any number of conversations.

    Parameters
    ----------
    session : Session
    number : int
    """

    name = "chat"

    def __init__(self, session: Session, number: int = 0) -> None:
        super().__init__(session, number)
        self.state = State(session)
        self.uploads = Uploads()
        self.asks = Asks(self.state, self.uploads, self.worker, self.lock, self)
        self.inbox = Inbox(self.act, self._acknowledge)
        self.run = uuid.uuid4().hex
        """Tells views whether another kernel has taken the panel over."""

    def build(self) -> Widget:
        """Make the widget; its front end is in ``front``."""
        from anywidget import AnyWidget

        def opened(widget: Any) -> None:
            # First: what a view tells as soon as it hears of the widget comes in another thread.
            widget.on_msg(lambda _, content, buffers: self.receive(content, buffers))
            AnyWidget.open(widget)

        members = {"_esm": front(*FILES), "_css": front("chat.css"), "open": opened}
        return type("ChatWidget", (AnyWidget,), members)(model_id=self.model_id)

    def revive(self, detail: str = "") -> None:
        """Make the widget anew, with the conversation open that the view shows."""
        with self.lock:
            if detail:
                self.state.show(detail)
            super().revive(detail)

    def plain(self) -> str:
        """Return the open conversation as text."""
        with self.lock:
            return turn_view.plain(self.state.open, self.state.records())

    def html(self) -> str:
        """Return the open conversation as static HTML."""
        with self.lock:
            return turn_view.static(self.state.open, self.state.records())

    def send(self, message: dict[str, Any], buffers: Sequence[bytes] = ()) -> None:
        """Tell all views something."""
        self.widget.send(message, list(buffers))

    def receive(self, message: Message, buffers: Sequence[Any] = ()) -> None:
        """Take what a view tells, as it comes: perhaps twice, or too early."""
        self.inbox.put(message, buffers)

    def _acknowledge(self, view: str, number: int) -> None:
        self.send({"type": "had", "view": view, "number": number})

    def act(self, message: Message, buffers: Sequence[Any]) -> None:
        """Do what a view tells; what cannot be done is told to that view."""
        action = self.ACTIONS.get(str(message.get("type")))
        if action is None:
            return
        try:
            action(self, message, buffers)
        except Exception as error:  # noqa: BLE001 - nobody else would show it
            self._refuse(message, error)

    def _refuse(self, message: Message, error: BaseException) -> None:
        said = turn_view.failure(error)
        self.send(
            {"type": "refused", "view": message.get("view"), "of": message.get("type"), **said}
        )

    # what is shown

    def _ready(self, message: Message, _: Sequence[Any]) -> None:
        """A view is there and knows nothing: tell it all that it shows at first."""

        def work(_: Job) -> None:
            render.markdown_html("```python\n1\n```", highlighted)  # imports what an answer needs
            with self.lock:
                self.opened(message.get("view"))

        def then(_: Any, error: BaseException | None) -> None:
            if error is not None:
                self._refuse(message, error)

        self.worker.start(work, then)

    def opened(self, view: Any = None) -> None:
        """Tell the whole state with the last turns of the open conversation, to one view or all."""
        rows, buffers = self.state.rows(), Thumbnails()
        told = {
            "type": "opened",
            "view": view,
            "run": self.run,
            "model": self.model_id if self.revivable else None,
            "state": self.state.told(),
            "attached": [
                {"id": identity, "name": item.name, "buffer": buffers.add(item.thumbnail)}
                for identity, item in self.uploads.items()
                if item.whole
            ],
            "total": len(rows),
            "from": max(0, len(rows) - PAGE),
            "turns": [self._shown(row, buffers) for row in rows[-PAGE:]],
        }
        self.send(told, buffers)

    def begun(self, at: int, pending: Pending) -> None:
        """Tell that the turns from *at* on are now this ask."""
        buffers = Thumbnails()
        turn = self._shown(pending, buffers)
        self.send({"type": "begun", "at": at, "turn": turn, "state": self.state.told()}, buffers)

    def ended(self, pending: Pending) -> None:
        """Tell what became of an ask."""
        rows, buffers = self.state.rows(), Thumbnails()
        told: dict[str, Any] = {"type": "ended", "id": pending.key, "state": self.state.told()}
        if self.state.open == pending.conversation and rows:
            told |= {"total": len(rows), "turn": self._shown(rows[-1], buffers)}
        self.send(told, buffers)

    def _shown(self, row: Exchange | Pending, buffers: Thumbnails) -> dict[str, Any]:
        if isinstance(row, Pending):
            images = [
                {"caption": item.name, "buffer": buffers.add(item.thumbnail)}
                for _, item in row.images
            ]
            return {**row.shown(), "images": images}
        told = [kept(image) for image in row.resolved.images]
        held = [item.thumbnail for _, item in self.state.images.get(row.id, ())] or told
        captions = turn_view.captions(row)
        images = [
            {"caption": caption, "buffer": buffers.add(held[n] if n < len(held) else None)}
            for n, caption in enumerate(captions)
        ]
        replayed = row.id in self.state.replayed
        return {**turn_view.shown(row, replayed=replayed), "images": images}

    def _tell_state(self) -> None:
        self.send({"type": "state", "state": self.state.told()})

    def _earlier(self, message: Message, _: Sequence[Any]) -> None:
        """A view is scrolled up: tell it the turns before those that it has."""
        with self.lock:
            rows = self.state.rows()
            end = min(int(message["before"]), len(rows))
            start = max(0, end - PAGE)
            buffers = Thumbnails()
            turns = [self._shown(row, buffers) for row in rows[start:end]]
        told = {"type": "earlier", "view": message.get("view"), "from": start, "turns": turns}
        self.send(told, buffers)

    # conversations and how they ask

    def open(self, conversation: str) -> None:
        """Show a conversation, in all views."""
        with self.lock:
            self.state.show(conversation)
            self.opened()

    def new(self) -> str:
        """Begin a conversation, and return its name."""
        with self.lock:
            name = self.state.new()
            self.opened()
            return name

    def choose(self, form: Mapping[str, str]) -> None:
        """Say how the open conversation asks (see `chat_options.EMPTY`).

        Raises
        ------
        OptionError
            A field holds what it cannot.
        """
        kept = {name: str(form.get(name, "")) for name in chat_options.EMPTY}
        chat_options.arguments(kept)
        with self.lock:
            self.state.forms[self.state.open] = kept
            self._tell_state()

    def _models(self, message: Message, _: Sequence[Any]) -> None:
        def work(_: Job) -> list[str]:
            return [str(name) for name in self.session.list_models()["id"]]

        def then(names: Any, error: BaseException | None) -> None:
            if error is not None:
                self._refuse(message, error)
                return
            with self.lock:
                self.state.models = names
                self._tell_state()

        self.worker.start(work, then)

    # images

    def attach(self, identity: str, name: str, piece: bytes, *, last: bool) -> Job | None:
        """Take a piece of an image; the last one starts the job that looks into it."""

        def work(_: Job) -> Upload:
            return self.uploads.add(identity, name, piece, last=True)

        def then(upload: Any, error: BaseException | None) -> None:
            if error is not None:
                said = turn_view.failure(error)
                self.send({"type": "attached", "id": identity, "failure": said})
                return
            told = {"type": "attached", "id": identity, "name": name, "failure": None}
            self.send(told, [upload.thumbnail])

        if last:
            return self.worker.start(work, then)
        try:
            self.uploads.add(identity, name, piece, last=False)
        except OptionError as error:
            then(None, error)
        return None

    def _detach(self, message: Message, _: Sequence[Any]) -> None:
        self.uploads.drop(str(message["id"]))
        self.send({"type": "detached", "id": message["id"]})

    # to the notebook

    def _cells(self, message: Message, _: Sequence[Any]) -> None:
        sources = self.session.dialogue.cells(str(message["id"]))
        self.send({"type": "cells", "view": message.get("view"), "sources": sources})

    ACTIONS: ClassVar[Mapping[str, Callable[[ChatPanel, Message, Sequence[Any]], Any]]] = {
        "ready": _ready,
        "earlier": _earlier,
        "open": lambda self, message, _: self.open(str(message["conversation"])),
        "new": lambda self, _, __: self.new(),
        "choose": lambda self, message, _: self.choose(message["form"]),
        "models": _models,
        "key": lambda self, message, _: self.session.use_key(str(message["key"])),
        "attach": lambda self, message, buffers: self.attach(
            str(message["id"]), str(message["name"]), bytes(buffers[0]), last=bool(message["last"])
        ),
        "detach": _detach,
        "ask": lambda self, message, _: self.asks.ask(
            str(message["text"]), message.get("images", ())
        ),
        "retry": lambda self, message, _: self.asks.retry(str(message["id"])),
        "edit": lambda self, message, _: self.asks.edit(str(message["id"]), str(message["text"])),
        "stop": lambda self, _, __: self.asks.stop(),
        "dismiss": lambda self, _, __: self.asks.dismiss(),
        "cells": _cells,
    }
    """What a view may tell, by the ``type`` of its message."""
