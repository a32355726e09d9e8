"""The table that the panels share: rows that can be sorted, walked through and chosen from.

Python decides what stands in it and in which order; the front end (``front/table.js``) draws
it, every text as text, and tells which row was chosen and by what to sort.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from openai_magics import render

__all__ = ["Column", "Row", "as_html", "as_plain", "put", "table"]

FRONT = Path(__file__).parent / "front"
SMALL_PICTURE = re.compile(r"data:image/(?:jpeg|png);base64,[A-Za-z0-9+/]{1,60000}={0,2}")
LONGEST = 300
"""Characters of a text in a cell; a record's page shows all of it."""


@dataclass(frozen=True)
class Column:
    """A column: ``wide`` takes what room there is, over two lines."""

    name: str
    label: str
    align: str = ""
    wide: bool = False
    sortable: bool = False


@dataclass(frozen=True)
class Row:
    """A row: a text a column; ``state`` is ``""``, ``"off"``, ``"warning"`` or ``"wrong"``.

    ``picture`` is a ``data:`` URL of a PNG or JPEG image, shown in the first column in place
    of its text, which is then said to who cannot see it.
    """

    id: str
    cells: Sequence[str]
    state: str = ""
    picture: str = field(default="", repr=False)


@lru_cache(maxsize=1)
def _kind() -> Any:
    import traitlets
    from anywidget import AnyWidget

    class Table(AnyWidget):
        """See the module's docstring."""

        _esm = FRONT / "table.js"
        _css = FRONT / "form.css"
        columns: Any = traitlets.List().tag(sync=True)
        rows: Any = traitlets.List().tag(sync=True)
        selected = traitlets.Unicode("").tag(sync=True)
        sort = traitlets.List(["", "ascending"]).tag(sync=True)
        label = traitlets.Unicode("").tag(sync=True)
        empty = traitlets.Unicode("").tag(sync=True)
        height = traitlets.Int(280).tag(sync=True)

    return Table


def table(columns: Iterable[Column], label: str, *, empty: str = "", height: int = 280) -> Any:
    """Return a table without rows.

    Parameters
    ----------
    columns : iterable of Column
    label : str
        What it is, for who cannot see it.
    empty : str
        What stands there while it has no rows.
    height : int
        Pixels at most; beyond, it scrolls.
    """
    plain = [asdict(column) for column in columns]
    return _kind()(columns=plain, label=label, empty=empty, height=height)


def put(widget: Any, rows: Iterable[Row], selected: str | None = None) -> None:
    """Show these rows, and choose one of them."""
    with widget.hold_sync():
        widget.rows = [_sent(row) for row in rows]
        if selected is not None:
            widget.selected = selected


def _sent(row: Row) -> dict[str, Any]:
    cells: list[Any] = [_short(text) for text in row.cells]
    if row.picture:
        cells[0] = {"text": cells[0], "picture": row.picture}
    return {"id": row.id, "cells": cells, "state": row.state}


def _short(text: str) -> str:
    shown = render.printable(text[: LONGEST + 1])
    return shown if len(text) <= LONGEST else shown[:LONGEST] + "…"


def as_html(columns: Sequence[Column], rows: Iterable[Row]) -> str:
    """Return the rows as a plain table of HTML, for a notebook without a kernel."""
    styles = [f'style="text-align: {column.align or "left"}"' for column in columns]
    head = "".join(
        f"<th {style}>{html.escape(column.label)}</th>"
        for column, style in zip(columns, styles, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td {style}>{_cell(row, at)}</td>"
            for at, style in enumerate(styles[: len(row.cells)])
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(row: Row, at: int) -> str:
    said = html.escape(_short(row.cells[at]))
    if at == 0 and SMALL_PICTURE.fullmatch(row.picture):
        return f'<img src="{row.picture}" alt="{said}" style="max-width: 128px">'
    return said


def as_plain(columns: Sequence[Column], rows: Iterable[Row], widest: int = 40) -> str:
    """Return the rows as aligned text."""
    lines = [[column.label for column in columns]]
    lines += [[" ".join(_short(text).split())[:widest] for text in row.cells] for row in rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
