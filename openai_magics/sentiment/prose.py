"""The prose of a text: what is neither code nor markup nor an address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

__all__ = ["PROSE_LIMIT", "WORD", "prose_of", "sentences", "words_of"]

PROSE_LIMIT = 4_000
"""How many characters of prose are judged: some 600 words, a few milliseconds."""

# How many characters are parsed to find that prose, so that an answer which opens with code
# is judged by what follows, and one of a megabyte costs no more than one of this length.
_SOURCE_LIMIT = 20_000

# Hyphens and apostrophes inside a word are part of it.
WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
# The same in text of ASCII in lower case: no classes of characters to be looked up.
_PLAIN_WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")
# Also the target of a Markdown link.
_URL = re.compile(r"(?:https?://|www\.)\S+|(?<=\])\([^()\s]*\)")
# Whether Markdown has to be parsed at all: where there may be code or HTML. The marks of the
# rest are no words.
_MARKUP = re.compile(r"[`<]|~~~|^(?: {4}|\t)", re.MULTILINE)
_MARKS = ("`", "<", "~~~", "    ", "\t")
_URL_MARKS = ("://", "www.", "](")


def prose_of(text: str) -> str:
    """The first ``PROSE_LIMIT`` characters that are neither code nor markup nor a URL."""
    text = text[:_SOURCE_LIMIT]
    # What a search through every character would find, is looked for first by what it holds.
    if any(mark in text for mark in _MARKS) and _MARKUP.search(text):
        text = "".join(_pieces(text))
    text = text[:PROSE_LIMIT]
    return _URL.sub(" ", text) if any(mark in text for mark in _URL_MARKS) else text


def words_of(prose: str) -> list[str]:
    """Return the words of some prose in lower case, with plain apostrophes."""
    prose = prose.lower()
    if prose.isascii():
        return _PLAIN_WORD.findall(prose)
    return [word.replace("’", "'") for word in WORD.findall(prose)]


def _pieces(text: str) -> Iterator[str]:
    for token in _markdown().parse(text):
        for child in token.children or ():
            if child.type == "text":
                yield child.content
            elif child.type.endswith("break"):
                yield "\n"
            elif child.type == "code_inline":
                # A name in code stands for a word: the words beside it must not meet.
                yield " "
        if token.type == "inline":
            yield "\n"


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # Lists and quotes tell code from what is merely indented. Without links and emphasis the
    # cost is linear: 20,000 opening brackets would take a second.
    block = ["code", "fence", "list", "blockquote", "html_block"]
    inline = ["backticks", "escape", "autolink", "html_inline"]
    return MarkdownIt("zero", {"html": True}).enable(block + inline)


def sentences(prose: str) -> Iterator[str]:
    """Yield the sentences of some prose."""
    return (sentence for sentence in _SENTENCE_END.split(prose) if sentence.strip())
