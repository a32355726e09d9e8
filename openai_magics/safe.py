"""Text of a model, or of a server, that can be shown anywhere and is active nowhere."""

from __future__ import annotations

import html
import re

from openai_magics.exchange import joined

__all__ = ["pre", "printable"]

UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    """Return *text* so that it can be shown and encoded anywhere.

    A control character becomes its picture (U+2400…), a lone surrogate or C1 control U+FFFD;
    a terminal therefore never obeys an answer.
    """
    return UNPRINTABLE.sub(_picture, joined(text).replace("\r\n", "\n"))


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def pre(text: str) -> str:
    """Return *text* as HTML that keeps its lines."""
    return f'<pre style="white-space: pre-wrap">{html.escape(text)}</pre>'
