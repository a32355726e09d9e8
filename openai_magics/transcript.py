"""Conversations to read: as plain text, and as HTML in which nothing of them is active.

What is said stands apart from who says it (indented, in blocks of their own), so no message
can pass itself off as another turn; bidirectional controls end with their line or block.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from openai_magics import frames, render
from openai_magics.chains import Chain, Turn
from openai_magics.exchange import Exchange, Reply

__all__ = ["Piece", "Transcript", "line", "page", "pieces"]

ALONE = "Without a conversation"
INVISIBLE = re.compile("[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #fff; --faint: #f3f3f3; --rule: #bbb; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e4e4; --paper: #181818; --faint: #262626; --rule: #555; }
}
body { font: 1rem/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 48rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
a { color: inherit; }
pre, code { font-family: ui-monospace, monospace; font-size: 0.9em; }
pre { background: var(--faint); padding: 0.6rem; overflow-x: auto; }
table { border-collapse: collapse; }
th, td { border: 1px solid var(--rule); padding: 0.2rem 0.5rem; }
.turn { border-top: 1px solid var(--rule); }
@media print {
  :root { --ink: #000; --paper: #fff; --faint: #fff; --rule: #888; }
  body { max-width: none; margin: 0; }
  pre { white-space: pre-wrap; border: 1px solid var(--rule); }
  .role { break-after: avoid; }
}
"""


@dataclass(frozen=True)
class Piece:
    """What one side says: its role, who it is, the text, and notes on it.

    ``reply`` is there where it is an answer in Markdown.
    """

    role: str
    text: str
    who: str = ""
    notes: tuple[str, ...] = ()
    reply: Reply | None = None

    @property
    def label(self) -> str:
        """The line above the text."""
        return f"{self.role} ({self.who})" if self.who else self.role


def line(text: str) -> str:
    """Return a name as one line without what would turn or hide its surroundings."""
    return " ".join(INVISIBLE.sub("", render.printable(text)).split())


def pieces(turns: Iterable[Turn]) -> Iterator[Piece]:
    """Yield what is said in some turns; the system instruction where it changes."""
    system: str | None = None
    for turn in turns:
        item = turn.exchange
        now = item.resolved.system or item.request.system
        if now and now != system:
            yield Piece("system", now)
        system = now
        for message in item.request.messages:
            role = line(str(message.get("role")))
            yield Piece(role, frames.words([message], str(message.get("role"))))
        yield _answer(turn, item)


def _answer(turn: Turn, item: Exchange) -> Piece:
    notes = [turn.mark.capitalize() + "."] if turn.mark else []
    reply = item.answer
    if item.error is not None:
        notes.insert(0, f"{item.error.get('type')}: {item.error.get('problem')}")
    if reply is None:
        return Piece("assistant", "", line(item.resolved.model or ""), tuple(notes))
    if item.error is None:
        notes += render.notes(reply)
    notes += [f"Calls {_call(call)}" for call in reply.tool_calls]
    who = line(reply.model or item.resolved.model or "")
    return Piece("assistant", reply.text, who, tuple(notes), reply)


def _call(call: Mapping[str, Any]) -> str:
    function = call.get("function")
    if not isinstance(function, Mapping):
        return json.dumps(call, ensure_ascii=False)
    return f"{function.get('name')}({function.get('arguments')})"


@dataclass(frozen=True, repr=False)
class Transcript:
    """Conversations to read; IPython shows it, ``str`` is its plain text.

    Parameters
    ----------
    chains : tuple of Chain
        What is shown.
    notes : tuple of str
        What is to be said of the whole.
    """

    chains: tuple[Chain, ...]
    notes: tuple[str, ...] = ()

    def sections(self) -> Iterator[tuple[str, list[Piece], list[str]]]:
        """Yield ``(heading, pieces, notes)``; what joined no conversation is one section."""
        for name, group in groupby(self.chains, key=lambda chain: chain.conversation):
            chains = list(group)
            heading = ALONE if name is None else f"Conversation {line(name)}"
            said = list(pieces(turn for chain in chains for turn in chain.turns))
            yield heading, said, [note for chain in chains for note in chain.notes]

    def __str__(self) -> str:
        blocks: list[str] = []
        for heading, said, notes in self.sections():
            blocks.append(heading)
            blocks += [
                f"{piece.label}\n{_indented(piece)}" if piece.text or piece.notes else piece.label
                for piece in said
            ]
            blocks += [f"[{note}]" for note in notes]
        return "\n\n".join([*blocks, *(f"[{note}]" for note in self.notes)])

    def __repr__(self) -> str:
        turns = sum(len(chain.turns) for chain in self.chains)
        return f"<Transcript of {turns} turns>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:  # noqa: ARG002
        return {
            "text/plain": str(self),
            "text/html": f'<div class="{render.CLASSES}">{self.body()}</div>',
        }

    def body(self) -> str:
        """Return the HTML of the conversations, without a page around it."""
        found: list[str] = []
        for heading, said, notes in self.sections():
            found.append(_titled(heading, 2, "font-size: 1.2em; margin: 1.2em 0 0.4em"))
            found += [_html(piece) for piece in said]
            found += [_note(note) for note in notes]
        return "\n".join([*found, *(_note(note) for note in self.notes)])


def _indented(piece: Piece) -> str:
    text = [render.printable(piece.text)] if piece.text else []
    text += [f"[{render.printable(note)}]" for note in piece.notes]
    # Every line break that a terminal or a browser may know begins a line of ours.
    return "\n".join("    " + row for part in text for row in part.splitlines())


def _titled(text: str, level: int, style: str) -> str:
    # Not a heading element: JupyterLab would put each into its table of contents.
    return (
        f'<div class="role" role="heading" aria-level="{level}" dir="auto" '
        f'style="font-weight: 600; {style}">{html.escape(text)}</div>'
    )


def _note(text: str) -> str:
    return f'<div dir="auto"><small>{html.escape(render.printable(text))}</small></div>'


def _html(piece: Piece) -> str:
    inner = ""
    if piece.reply is not None and piece.text:
        inner = f'<div class="said" dir="auto">{render.markdown_html(piece.text)}</div>'
    elif piece.text:
        said = html.escape(render.printable(piece.text))
        inner = f'<div class="said" dir="auto" style="white-space: pre-wrap">{said}</div>'
    notes = "".join(_note(note) for note in piece.notes)
    title = _titled(piece.label, 3, "margin: 0.8em 0 0.2em")
    return f'<div class="turn">{title}{inner}{notes}</div>'


def page(title: str, transcript: Transcript, facts: str = "") -> str:
    """Return one HTML file: no script, nothing from elsewhere, light or dark, printable."""
    name = html.escape(line(title))
    return f"""<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{name}</title>
<style>{STYLE}</style>
</head>
<body>
<h1 dir="auto">{name}</h1>
{_note(facts) if facts else ""}
{transcript.body()}
</body>
</html>
"""
