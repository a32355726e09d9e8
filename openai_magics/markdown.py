"""Conversations as one Markdown document, which no message in it can break out of.

Roles are headings. A prompt is verbatim, in a fence longer than any inside it. An answer is
Markdown block by block, as CommonMark reads it: its headings stand below those of the roles
and a fence that it left open is closed; a block with raw HTML, an image, a link to anything
but ``http``, ``https`` and ``mailto``, or a link definition is verbatim too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from openai_magics import render
from openai_magics.transcript import Piece, Transcript, line

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

__all__ = ["contained", "document", "fenced"]

LEVELS = 3
"""Headings of the document itself: the title, a conversation, a role."""
ATX = re.compile(r"( {0,3})(#{1,6})(?=[ \t]|$)")
DEFINITION = re.compile(r"\[[^\]]*\]:")
MARKS = re.compile(r"([\\`*_\[\]<>&~|#!])")
CONTAINERS = ("blockquote_open", "bullet_list_open", "ordered_list_open")


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    # Every link is to be seen, so that the unsafe ones can be told.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]  # noqa: ARG005
    return parser


def document(title: str, transcript: Transcript, facts: str = "") -> str:
    """Return the whole document."""
    blocks = [f"# {_escaped(title)}", *([_escaped(facts)] if facts else [])]
    for heading, said, notes in transcript.sections():
        blocks.append(f"## {_escaped(heading)}")
        for piece in said:
            blocks.append(f"### {_escaped(piece.label[:1].upper() + piece.label[1:])}")
            if piece.text:
                blocks.append(_body(piece))
            blocks += [f"*{_escaped(note)}*" for note in piece.notes]
        blocks += [f"*{_escaped(note)}*" for note in notes]
    blocks += [f"*{_escaped(note)}*" for note in transcript.notes]
    return "\n\n".join(blocks) + "\n"


def _escaped(text: str) -> str:
    return MARKS.sub(r"\\\1", line(text))


def _body(piece: Piece) -> str:
    return contained(piece.text) if piece.reply is not None else fenced(piece.text)


def fenced(text: str) -> str:
    """Return *text* verbatim, in a fence longer than any run of backticks in it."""
    text = render.printable(text)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def contained(text: str) -> str:
    """Return Markdown that can stand inside a document (see the module's docstring)."""
    text = render.printable(text)
    rows = text.split("\n")
    env: dict[str, Any] = {}
    tokens = _parser().parse(text, env)
    defined = bool(env.get("references"))
    blocks: list[str] = []
    at = 0
    for start, end, held in _top(tokens):
        blocks += _loose(rows[at:start])
        blocks.append(_block(rows[start:end], held, defined=defined))
        at = end
    return "\n\n".join([*blocks, *_loose(rows[at:])])


def _top(tokens: list[Token]) -> Iterator[tuple[int, int, list[Token]]]:
    """Yield each block of the top level: its lines, and its tokens."""
    held: list[Token] = []
    for token in tokens:
        held.append(token)
        if token.level == 0 and token.nesting <= 0:
            start, end = held[0].map or (0, 0)
            yield start, end, held
            held = []


def _loose(rows: list[str]) -> list[str]:
    """Return lines that belong to no block: blank ones, and link definitions."""
    text = "\n".join(rows).strip("\n")
    return [fenced(text)] if text.strip() else []


def _block(rows: list[str], tokens: list[Token], *, defined: bool) -> str:
    while rows and not rows[-1].strip():
        rows = rows[:-1]
    text, first = "\n".join(rows), tokens[0]
    hides = defined and first.type in CONTAINERS and DEFINITION.search(text) is not None
    if hides or not all(_harmless(token) for token in tokens):
        return fenced(text)
    if first.type == "heading_open":
        return _lowered(rows, first)
    if first.type == "fence" and not _closed(rows, first.markup):
        return f"{text}\n{first.markup}"
    return text


def _harmless(token: Token) -> bool:
    if token.type in ("html_block", "html_inline", "image"):
        return False
    if token.type == "link_open":
        return render.SAFE_LINK.match(str(token.attrGet("href"))) is not None
    return all(_harmless(child) for child in token.children or ())


def _lowered(rows: list[str], heading: Token) -> str:
    level = "#" * min(6, int(heading.tag[1:]) + LEVELS)
    if heading.markup.startswith("#"):
        return ATX.sub(rf"\1{level}", rows[0], count=1)
    return f"{level} {' '.join(row.strip() for row in rows[:-1])}"


def _closed(rows: list[str], markup: str) -> bool:
    closing = rf" {{0,3}}{re.escape(markup)}{re.escape(markup[0])}*[ \t]*"
    return len(rows) > 1 and re.fullmatch(closing, rows[-1]) is not None
