"""What a value of the notebook becomes in a prompt.

A table is bounded (rows, columns, characters) and says what was cut; an exception is its
trimmed traceback; a list or a dict that JSON can say is JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from openai_magics import tracebacks
from openai_magics.errors import OptionError

__all__ = ["is_image", "text_of"]

MOST_ROWS, MOST_COLUMNS = 40, 20
MOST_CHARACTERS = 16_000
"""About 4,000 tokens."""
MOST_IN_CELL = 200
TEXT = {"object": "text", "str": "text", "string": "text", "string[python]": "text"}
"""The dtype of text has another name in each version of pandas; the prompt must not."""


def is_image(value: object) -> bool:
    """Whether *value* is shown to the model as an image: a picture or a figure."""
    kind = type(value)
    home = kind.__module__.split(".")[0]
    names = {base.__name__ for base in kind.__mro__}
    if home == "PIL":
        return "Image" in names
    if home == "matplotlib" or "Axes" in names:
        return bool(names & {"Figure", "Axes", "FigureBase"})
    if home == "plotly":
        return "BaseFigure" in names
    return kind.__name__ == "Image" and home == "IPython"


def text_of(value: object, expression: str = "") -> str:
    """Return *value* as the text that stands in the prompt; *expression* is what named it.

    Raises
    ------
    OptionError
        It is a picture or a figure, which has no text.
    """
    if isinstance(value, str):
        return value
    if is_image(value):
        raise OptionError(
            f"In the prompt {{{{ {expression} }}}} is an image ({type(value).__name__}), and "
            "a prompt takes text.",
            "Name what is to be known of it, as {{ image.size }}.",
        )
    if isinstance(value, BaseException):
        return tracebacks.describe(value)
    home = type(value).__module__.split(".")[0]
    if home == "pandas" and hasattr(value, "iloc"):
        return _table(value)
    if isinstance(value, (dict, list, tuple)):
        try:
            short = json.dumps(value, ensure_ascii=False)
            return (
                short
                if len(short) < 100
                else _bounded(json.dumps(value, ensure_ascii=False, indent=1))
            )
        except (TypeError, ValueError):
            return _bounded(repr(value))
    return _bounded(str(value))


def _bounded(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    half = MOST_CHARACTERS // 2
    cut = len(text) - 2 * half
    return f"{text[:half]}\n… {cut} characters cut …\n{text[-half:]}"


def _table(value: Any) -> str:
    """Return a DataFrame or Series as a Markdown table under its shape and dtypes."""
    frame = value.to_frame() if value.ndim == 1 else value
    rows, columns = frame.shape
    shown = frame.iloc[:, :MOST_COLUMNS]
    half = MOST_ROWS // 2
    cut = rows > MOST_ROWS
    top = shown.iloc[: half if cut else MOST_ROWS]
    bottom = shown.iloc[-half:] if cut else shown.iloc[:0]
    names = [str(name) for name in shown.columns]
    kinds = ", ".join(
        f"{name}: {TEXT.get(str(dtype), dtype)}"
        for name, dtype in zip(names, shown.dtypes, strict=True)
    )
    lines = [f"{rows} rows, {columns} columns ({kinds})", ""]
    lines += [_row(["", *names]), _row(["---"] * (len(names) + 1))]
    lines += [_row([index, *cells]) for index, *cells in top.itertuples(name=None)]
    if cut:
        lines.append(_row(["…"] * (len(names) + 1)))
    lines += [_row([index, *cells]) for index, *cells in bottom.itertuples(name=None)]
    notes = []
    if cut:
        notes.append(f"{rows - MOST_ROWS} of {rows} rows")
    if columns > MOST_COLUMNS:
        notes.append(f"{columns - MOST_COLUMNS} of {columns} columns")
    lines = _within(lines, notes)
    if notes:
        lines.append(f"\n(cut: {', '.join(notes)})")
    return "\n".join(lines)


def _within(lines: list[str], notes: list[str]) -> list[str]:
    """Leave out rows from the middle until the table is within its characters."""
    total, kept = sum(map(len, lines)), list(lines)
    dropped = 0
    while total > MOST_CHARACTERS and len(kept) > 6:
        middle = 4 + (len(kept) - 4) // 2
        total -= len(kept.pop(middle))
        dropped += 1
    if dropped:
        notes.append(f"{dropped} more rows")
    return kept


def _row(cells: list[Any]) -> str:
    return "| " + " | ".join(_cell(item) for item in cells) + " |"


def _cell(value: Any, show: Callable[[Any], str] = str) -> str:
    text = show(value)
    if len(text) > MOST_IN_CELL:
        text = text[:MOST_IN_CELL] + "…"
    return text.replace("|", "\\|").replace("\n", " ")
