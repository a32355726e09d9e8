"""Answers that are data: as indented JSON and as tables of HTML, without a DataFrame."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any

from openai_magics import answers
from openai_magics.errors import BadReply
from openai_magics.exchange import Reply
from openai_magics.safe import printable

__all__ = ["plain_data", "pretty", "table_html", "tables_in"]

MOST_ROWS = 200
"""Rows of a table that are shown; ``reply.frame`` has all."""


def pretty(value: Any) -> str:
    """Return plain values as indented JSON, in HTML."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return f"<pre><code>{html.escape(printable(text))}</code></pre>"


def plain_data(reply: Reply) -> Any:
    """Return the JSON in an answer as plain values, also where ``data`` is an instance."""
    return reply.data if reply.shape is None else reply.shape.plain(reply.text)


def tables_in(reply: Reply) -> list[list[list[Any]]]:
    """Return the tables of an answer as rows of cells: of its JSON, or of its Markdown.

    Raises
    ------
    BadReply
        There is none.
    """
    if reply.shape is None and (found := list(answers.grids(reply.text))):
        return found
    try:
        return [answers.grid(plain_data(reply))]
    except BadReply:
        if reply.shape is not None:
            raise
        raise BadReply(
            "The answer holds no table.",
            "Its text is kept. Ask for a table, or for a list with --schema.",
        ) from None


def table_html(rows: Sequence[Sequence[Any]]) -> str:
    """Return rows of cells, the first one the head, as an HTML table."""
    head = "".join(f"<th>{html.escape(printable(str(cell)))}</th>" for cell in rows[0])
    shown = rows[1 : MOST_ROWS + 1]
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in shown)
    left = len(rows) - 1 - len(shown)
    more = f"<div><small>… and {left} more rows</small></div>" if left else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cell(value: Any) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = "" if value is None else html.escape(printable(text))
    return f"<td>{text}</td>" if number else f'<td style="text-align: left">{text}</td>'
