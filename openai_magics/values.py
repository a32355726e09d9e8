"""What a value of the notebook becomes in a prompt.

A table is bounded (rows, columns, tokens) and says what was cut; an exception is its trimmed
traceback; a function its source; a list or a dict that JSON can say is JSON. Tokens are estimated
by a rule (`openai_magics.token_count`), not counted: a prompt must be the same whatever is
installed, and in each run. So the items of a set are in order, and an address is refused.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable
from textwrap import dedent
from typing import Any

from openai_magics import tracebacks
from openai_magics.errors import OptionError
from openai_magics.token_count import estimated

__all__ = ["is_image", "text_of"]

MOST_ROWS, MOST_COLUMNS = 40, 20
MOST_TOKENS = 4_000
"""Of a table, as `estimated`."""
MOST_CHARACTERS = 16_000
"""Of what is no table."""
MOST_IN_CELL = 200
SHORT_CELL = 20
"""Characters of a cell of a table whose first and last rows alone have too many tokens."""
ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]{4,}>")
"""As Python tells an object that has no text of its own: another one in each run."""
SORTED: dict[type, str] = {
    dict: "{{{}}}",
    frozenset: "frozenset({{{}}})",
    list: "[{}]",
    set: "{{{}}}",
    tuple: "({})",
}
"""The containers that are said item by item, and what stands around the items."""
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
        It is a picture or a figure, which has no text; or, where it is named, an object whose
        text is its address.
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
            pass
    said = _source(value) or _said(value)
    if expression and ADDRESS.search(said):
        raise OptionError(
            f"In the prompt {{{{ {expression} }}}} has no text of its own "
            f"({type(value).__name__}): an address in memory would be sent, another one in each "
            "run.",
            f"Name what is to be known of it, as {{{{ {expression}.name }}}}. To send it all the "
            f"same: {{{{ str({expression}) }}}}.",
        )
    return _bounded(said)


def _source(value: object) -> str:
    """Return the source of a function, where there is one."""
    if not inspect.isfunction(value):
        return ""
    try:
        return dedent(inspect.getsource(value)).rstrip("\n")
    except (OSError, TypeError):
        return ""


def _said(value: object) -> str:
    """Return ``str(value)``; in it the items of sets, whose order is another in each run, sorted."""
    try:
        return _ordered(value) if type(value) in SORTED else str(value)
    except RecursionError:
        return str(value)


def _ordered(value: Any) -> str:
    kind = type(value)
    if kind not in SORTED or not value:
        return repr(value)
    if kind is dict:
        items = [f"{_ordered(key)}: {_ordered(item)}" for key, item in value.items()]
    else:
        items = [_ordered(item) for item in value]
    if kind in (set, frozenset):
        items.sort()
    comma = "," if kind is tuple and len(items) == 1 else ""
    return SORTED[kind].format(", ".join(items) + comma)


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
    ends = [shown.iloc[:half], shown.iloc[-half:]] if rows > MOST_ROWS else [shown]
    taken = [row for end in ends for row in end.itertuples(name=None)]
    notes = []
    head, kept = _within(shown, taken, MOST_IN_CELL)
    if kept is None:
        notes.append(f"what is longer than {SHORT_CELL} characters")
        head, kept = _within(shown, taken, SHORT_CELL)
        kept = kept or [_row(row, SHORT_CELL) for row in (taken[:1] + taken[1:][-1:])]
    if len(kept) < rows:
        notes.insert(0, f"{rows - len(kept)} of {rows} rows")
        kept.insert((len(kept) + 1) // 2, _row(["…"] * (len(shown.columns) + 1)))
    if columns > MOST_COLUMNS:
        notes.append(f"{columns - MOST_COLUMNS} of {columns} columns")
    said = f"{rows} rows, {columns} columns ({head[0]})"
    told = [f"\n(cut: {', '.join(notes)})"] if notes else []
    return "\n".join([said, "", *head[1:], *kept, *told])


def _within(
    shown: Any, rows: list[tuple[Any, ...]], longest: int
) -> tuple[list[str], list[str] | None]:
    """Return the head of a table (dtypes, names, rule) and of its rows what its tokens allow.

    Rows are left out from the middle; ``None`` where not even the first and the last are
    possible with cells of *longest* characters.
    """
    names = [str(name) for name in shown.columns]
    kinds = ", ".join(
        f"{name[:longest] + '…' if len(name) > longest else name}: {TEXT.get(str(dtype), dtype)}"
        for name, dtype in zip(names, shown.dtypes, strict=True)
    )
    head = [kinds, _row(["", *names], longest), _row(["---"] * (len(names) + 1))]
    kept = [_row(row, longest) for row in rows]
    total = sum(estimated(line) + 1 for line in (*head, *kept))
    while total > MOST_TOKENS and len(kept) > 2:
        total -= estimated(kept.pop(len(kept) // 2)) + 1
    return head, kept if total <= MOST_TOKENS or not rows else None


def _row(cells: Iterable[Any], longest: int = MOST_IN_CELL) -> str:
    return "| " + " | ".join(_cell(item, longest) for item in cells) + " |"


def _cell(value: Any, longest: int) -> str:
    text = str(value)
    if len(text) > longest:
        text = text[:longest] + "…"
    return text.replace("|", "\\|").replace("\n", " ")
