"""A record as a chat shows it: plain values for the front end, and static HTML and text.

All HTML in it is made by `openai_magics.render`; everything else is text, which the front end
never reads as HTML.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from openai_magics import render
from openai_magics.chains import mark_of
from openai_magics.errors import MagicsError
from openai_magics.exchange import Exchange, Message, image_parts
from openai_magics.panels.highlight import highlighted

__all__ = ["asked", "captions", "failure", "plain", "shown", "static", "title"]

LONGEST_TITLE = 60
STATIC = 20
"""Turns of a conversation that are shown where there is no kernel."""


def asked(messages: Sequence[Message]) -> str:
    """Return the words of a prompt; its images are told by `captions`."""
    words = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            words.append(content)
        elif isinstance(content, Iterable):
            words += [
                str(part["text"])
                for part in content
                if isinstance(part, Mapping) and part.get("type") == "text"
            ]
    return render.printable("\n".join(words))


def captions(item: Exchange) -> list[str]:
    """Return a caption for each image that goes with a prompt, as far as its record tells."""
    told = [*item.resolved.images]
    rows = []
    for n, _ in enumerate(image_parts(item.request.messages)):
        kept = told[n] if n < len(told) else {}
        size = f" ({kept['width']} x {kept['height']})" if kept.get("width") else ""
        rows.append(render.printable(f"{kept.get('name') or 'Image'}{size}"))
    return rows


def title(messages: Sequence[Message]) -> str:
    """Return a conversation's title: how its first prompt begins, on one line."""
    words = " ".join(asked(messages).split())
    if len(words) <= LONGEST_TITLE:
        return words or "…"
    return words[: LONGEST_TITLE - 1].rstrip() + "…"


def shown(item: Exchange, *, replayed: bool = False) -> dict[str, Any]:
    """Return what a view shows of a record."""
    reply, mark = item.reply, mark_of(item)
    text = reply.text if reply is not None else ""
    model = (reply and reply.model) or item.resolved.model or item.request.model
    return {
        "id": item.id,
        "asked": asked(item.request.messages),
        "text": render.printable(text),
        "html": render.markdown_html(text, highlighted) if text else "",
        "notes": [render.printable(note) for note in _notes(item)],
        "failure": _failure(item.error) if item.error else None,
        "standing": not mark,
        "replayed": replayed,
        "cell": item.cell is not None,
        "model": render.printable(model or ""),
        "usage": usage(item),
    }


def _notes(item: Exchange) -> list[str]:
    return render.notes(item.answer) if item.answer is not None else []


def _failure(error: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": str(error.get("type") or "Error"),
        "problem": render.printable(str(error.get("problem") or "It failed.")),
        "remedy": render.printable(str(error.get("remedy") or "")),
    }


def failure(error: BaseException) -> dict[str, Any]:
    """Return what a view shows of an error."""
    if isinstance(error, MagicsError):
        said = {"problem": error.problem, "remedy": error.remedy}
        return _failure({"type": type(error).__name__, **said})
    return _failure({"type": type(error).__name__, "problem": f"{type(error).__name__}: {error}"})


def usage(item: Exchange) -> str:
    """Return tokens and cost on a line, as far as they are known."""
    if item.reply is None:
        return ""
    said = item.reply.usage
    prompt, completion = said.get("prompt_tokens"), said.get("completion_tokens")
    parts = []
    if isinstance(prompt, int) and isinstance(completion, int):
        parts.append(f"{prompt:,} + {completion:,} tokens")
    if not math.isnan(item.reply.cost):
        parts.append(money(item.reply.cost))
    return " · ".join(parts)


def money(dollars: float) -> str:
    """Return US dollars, small amounts with the digits that tell something."""
    if dollars >= 0.1 or dollars == 0:
        return f"${dollars:.2f}"
    return f"${dollars:.6f}".rstrip("0") if dollars >= 1e-6 else "under $0.000001"


def plain(name: str, items: Sequence[Exchange]) -> str:
    """Return a conversation as text, its last turns where it is long."""
    rows = [f"Chat panel, conversation {name!r}: {_count(len(items))}"]
    for item in items[-STATIC:]:
        rows += ["", f"You: {asked(item.request.messages)}"]
        said = item.reply.text if item.reply is not None else ""
        told = [f"({note})" for note in _notes(item)]
        if item.error:
            told.append(f"({_failure(item.error)['problem']})")
        rows.append(f"Model: {' '.join([said, *told]).strip()}")
    return "\n".join(rows)


def static(name: str, items: Sequence[Exchange]) -> str:
    """Return a conversation as HTML without anything active in it, its last turns where it is long."""
    head = f"Chat panel, conversation <em>{html.escape(render.printable(name))}</em>"
    rows = [f"<p><small>{head}: {_count(len(items))}</small></p>"]
    if len(items) > STATIC:
        rows.append(f"<p><small>The last {STATIC}:</small></p>")
    for item in items[-STATIC:]:
        said = shown(item)
        rows.append(
            f'<p style="white-space: pre-wrap"><strong>You:</strong> {html.escape(said["asked"])}</p>'
        )
        rows.append(f"<blockquote>{render.markdown_html(said['text'])}</blockquote>")
        told = [*said["notes"], *([said["failure"]["problem"]] if said["failure"] else [])]
        rows += [f"<p><small>{html.escape(note)}</small></p>" for note in told]
    return "".join(rows)


def _count(turns: int) -> str:
    return {0: "nothing is said yet", 1: "1 turn"}.get(turns, f"{turns} turns")
