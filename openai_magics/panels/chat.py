"""The chat panel: conversations beside the notebook's cells, in the same dialogue file."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openai_magics import render
from openai_magics.panels.base import Panel
from openai_magics.panels.worker import Job

if TYPE_CHECKING:
    from ipywidgets import Widget

    from openai_magics.chains import Turn

__all__ = ["ChatPanel"]

FRONT = Path(__file__).parent / "front"


class ChatPanel(Panel):
    """Asks in a conversation of its own; what is said is in the dialogue file at once."""

    name = "chat"
    conversation = "chat"

    def build(self) -> Widget:
        """Make the widget; its front end is in ``front/chat.js``."""
        from anywidget import AnyWidget

        kind = type(
            "ChatWidget", (AnyWidget,), {"_esm": FRONT / "chat.js", "_css": FRONT / "chat.css"}
        )
        widget = kind(model_id=self.model_id)
        widget.on_msg(lambda _, content, __: self.receive(content))
        return widget

    def send(self, message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        """Tell all views something."""
        self.widget.send(message, buffers)

    def receive(self, message: dict[str, Any]) -> None:
        """Take what a view tells: it is ready, or something is asked."""
        if message.get("type") == "ready":
            self.send({"type": "turns", "turns": [shown(turn) for turn in self.turns()]})
        elif message.get("type") == "ask":
            self.ask(str(message.get("text", "")))

    def turns(self) -> list[Turn]:
        """Return the turns of the conversation as they stand in the dialogue file."""
        from openai_magics.chains import Records

        chains = Records(self.session.dialogue).standing(self.conversation)
        return [turn for chain in chains for turn in chain.turns]

    def ask(self, text: str) -> Job:
        """Ask; the answer is sent as it comes."""

        async def work(_: Job) -> Any:
            return await self.session.aask(
                text,
                conversation=self.conversation,
                on_text=lambda piece: self.send({"type": "text", "text": piece}),
            )

        def then(_: Any, error: BaseException | None) -> None:
            if error is not None:
                self.send({"type": "error", "text": str(error)})
            self.send({"type": "turns", "turns": [shown(turn) for turn in self.turns()]})

        return self.worker.start(work, then)

    def plain(self) -> str:
        """Return the conversation as text."""
        rows = [f"Chat panel: conversation {self.conversation!r}"]
        for turn in self.turns():
            said = shown(turn)
            rows += [f"You: {said['asked']}", f"Model: {said['text']}"]
        return "\n".join(rows)

    def html(self) -> str:
        """Return the conversation as static HTML."""
        rows = []
        for turn in self.turns():
            said = shown(turn)
            rows.append(f"<p><strong>You:</strong> {html.escape(said['asked'])}</p>{said['html']}")
        return "".join(rows) or "<p>Nothing is said yet.</p>"


def shown(turn: Turn) -> dict[str, Any]:
    """Return what a view shows of a turn, as plain values."""
    item = turn.exchange
    asked = item.request.messages[-1].get("content")
    text = item.reply.text if item.reply else ""
    return {
        "id": item.id,
        "asked": render.printable(asked if isinstance(asked, str) else ""),
        "text": render.printable(text),
        "html": render.markdown_html(text),
    }
