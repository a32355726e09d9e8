"""What the text of an answer holds: JSON, code, tables and sections of its Markdown.

Markdown is read by markdown-it-py (CommonMark with GitHub's tables), never by patterns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, is_dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from openai_magics.errors import BadReply

if TYPE_CHECKING:
    import pandas as pd
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

__all__ = ["CodeBlock", "code_blocks", "frame", "grid", "grids", "parse_json", "sections", "tables"]

LINE_END = re.compile("\r\n?|\n")
"""CommonMark's; `str.splitlines` knows more."""


@dataclass(frozen=True)
class CodeBlock:
    """A fenced code block: its language (``""`` where none is said) and its source."""

    language: str
    source: str


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table")


def code_blocks(text: str) -> list[CodeBlock]:
    """Return the fenced code blocks of *text*, in order."""
    return [
        CodeBlock(token.info.split()[0] if token.info.split() else "", token.content.rstrip("\n"))
        for token in _parser().parse(text)
        if token.type == "fence"
    ]


def parse_json(text: str) -> Any:
    """Return the JSON that *text* is, or that its first fenced block (marked json, or any) is.

    Raises
    ------
    BadReply
        There is none, or it does not parse.
    """
    blocks = code_blocks(text)
    fenced = [block.source for block in blocks if block.language.lower() == "json"]
    fenced += [block.source for block in blocks if block.language.lower() != "json"]
    problem: ValueError | RecursionError | None = None
    for candidate in (text, *fenced):
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError) as error:
            problem = problem or error
    raise BadReply(
        f"The answer is not JSON ({problem}).",
        "Its text is kept. Say in the prompt which JSON is wanted, or ask another model.",
    ) from problem


def tables(text: str) -> list[pd.DataFrame]:
    """Return the tables of *text*; a column of numbers is numeric, other cells are text."""
    import pandas as pd

    found: list[pd.DataFrame] = []
    for names, *rows in grids(text):
        frame = pd.DataFrame(rows, columns=pd.Index(names), dtype=object)
        for n in range(frame.shape[1]):
            numbers = pd.to_numeric(frame.iloc[:, n], errors="coerce")
            if len(frame) and not numbers.isna().any():
                frame.isetitem(n, numbers)
        found.append(frame)
    return found


def grids(text: str) -> Iterator[list[list[str]]]:
    """Yield the tables of *text* as rows of cells, the names of the columns first."""
    rows: list[list[str]] = []
    for token in _parser().parse(text):
        if token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and token.level >= 3 and rows:
            rows[-1].append(_plain(token))
        elif token.type == "table_close":
            yield rows
            rows = []


def grid(value: Any) -> list[list[Any]]:
    """Return plain values as rows of cells, the names of the columns first.

    A list of objects has a row each, and a column for every name; so has an object that holds
    nothing but one list. Any other object is one row, any other list one column (``value``).
    """
    if isinstance(value, dict) and len(value) == 1:
        (only,) = value.values()
        value = only if isinstance(only, list) else value
    items = value if isinstance(value, list) else [value]
    if not any(isinstance(item, dict) for item in items):
        return [["value"], *([item] for item in items)]
    named = [item if isinstance(item, dict) else {"value": item} for item in items]
    names = list(dict.fromkeys(str(name) for item in named for name in item))
    return [names, *([item.get(name) for name in names] for item in named)]


def frame(value: Any) -> pd.DataFrame:
    """Return values (plain ones, or instances of classes) as `grid` lays them out."""
    import pandas as pd

    names, *rows = grid(_open(value))
    return cast("pd.DataFrame", pd.DataFrame(rows, columns=pd.Index(names)))


def _open(value: Any) -> Any:
    """Return instances of pydantic models and dataclasses as dicts, in lists and tuples too."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_open(item) for item in value]
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, dict) and len(value) == 1:
        return {name: _open(item) for name, item in value.items()}
    return value


def _plain(token: Token) -> str:
    """Return the text of inline Markdown without its marks."""
    return "".join(
        " " if child.type in ("softbreak", "hardbreak") else child.content
        for child in token.children or ()
    )


def sections(text: str) -> dict[str, Any]:
    """Return the headings of *text* as a nested dict.

    A section without sub-headings is its Markdown as text; one with sub-headings is a dict,
    its own text under ``""``. Text before the first heading stands under ``""`` too. A
    heading that comes again under the same parent gets `` (2)``, `` (3)``, ….
    """
    lines = LINE_END.split(text)
    headings: list[tuple[int, str, int, int]] = []
    tokens = _parser().parse(text)
    for n, token in enumerate(tokens):
        if token.type == "heading_open" and token.map and token.level == 0:
            start, body = token.map
            headings.append((int(token.tag[1:]), _plain(tokens[n + 1]), start, body))
    root: dict[str, Any] = {}
    starts = [heading[2] for heading in headings] + [len(lines)]
    _put_text(root, lines[: starts[0]])
    stack: list[tuple[int, dict[str, Any]]] = [(0, root)]
    for n, (level, title, _, body) in enumerate(headings):
        while stack[-1][0] >= level:
            stack.pop()
        section: dict[str, Any] = {}
        _put_text(section, lines[body : starts[n + 1]])
        parent = stack[-1][1]
        parent[_unused(title, parent)] = section
        stack.append((level, section))
    return {key: _flat(value) for key, value in root.items()}


def _put_text(section: dict[str, Any], lines: list[str]) -> None:
    blank = next((n for n, line in enumerate(lines) if line.strip()), 0)
    if body := "\n".join(lines[blank:]).rstrip():
        section[""] = body


def _unused(title: str, parent: dict[str, Any]) -> str:
    name, n = title, 1
    while name in parent:
        n += 1
        name = f"{title} ({n})"
    return name


def _flat(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if set(value) <= {""}:
        return value.get("", "")
    return {key: _flat(item) for key, item in value.items()}
