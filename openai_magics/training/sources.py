"""Training data of any kind → blocks of JSON lines, read as a stream.

A file of JSON lines is read as it is, in blocks of `BLOCK` bytes; everything else (CSV,
Parquet, a DataFrame, a list, examples from the dialogue, a folder of files) gives the lines
that would be uploaded. Nothing holds more than a block at a time, but data that is in memory
already.
"""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from openai_magics.errors import OptionError, nearest
from openai_magics.training import spreadsheets
from openai_magics.training.diagnose import NotJSON, loads
from openai_magics.training.problems import Problem
from openai_magics.training.tables import Columns, maker

__all__ = ["BLOCK", "SUFFIXES", "Block", "Source", "source_of"]

BLOCK = 1 << 18
"""Bytes that are read at once."""
LONGEST = 1 << 25
"""Bytes of a line: a longer one is no example of any service."""
SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
ROWS = 500
"""Rows of a table in a block."""
Rows: TypeAlias = Iterator[tuple[int, Mapping[str, Any] | Problem]]


@dataclass(frozen=True)
class Block:
    """Whole lines: their bytes, the file they are of, and the number of each.

    ``numbers`` is ``None`` where they follow one another; ``problems`` are of the first line,
    which is left out where it is no example.
    """

    data: bytes
    file: str
    numbers: Sequence[int] | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Source:
    """Some training data.

    ``blocks`` reads it from the start each time; ``path`` is the file to upload as it is,
    ``None`` where the lines are made.
    """

    name: str
    blocks: Callable[[], Iterator[Block]]
    path: Path | None = None


def source_of(
    data: Any, columns: Columns = Columns(), method: str | None = None, name: str = "data"
) -> Source:
    """Return the source of some data.

    Parameters
    ----------
    data : path, DataFrame or iterable
        A file (`SUFFIXES`), a folder of such files, a DataFrame, or a list of examples (in the
        shape of the API), of rows (dicts), or of (prompt, completion) pairs.
    columns : Columns
        Which columns of a table hold what.
    method : str, optional
        What the examples are for.
    name : str
        What to call data that has no file.

    Raises
    ------
    OptionError
        There is no such file, or the data is of no kind that is known.
    ExtraMissing
        Parquet, without the package that reads it.
    """
    if isinstance(data, Source):
        return data
    if isinstance(data, str) and "://" in data:
        raise OptionError(
            f"{data} is an address, not a file.", f"df = pandas.read_json({data!r}, lines=True)"
        )
    if isinstance(data, (str, Path)):
        return _of_path(Path(data).expanduser(), columns, method)
    if type(data).__module__.partition(".")[0] == "pandas" and hasattr(data, "columns"):
        return Source(name, lambda: _rows(_frame_rows(data), columns, method, name))
    if isinstance(data, Mapping):
        data = [data]
    if isinstance(data, Iterator):
        raise OptionError(
            f"{name} gives its items only once, and they are read more than once.",
            "Give a list: list(…).",
        )
    if isinstance(data, Iterable) and not isinstance(data, bytes):
        items = data if isinstance(data, Sequence) else list(data)
        return Source(name, lambda: _rows(_item_rows(items, columns), columns, method, name))
    raise OptionError(
        f"{name} is of type {type(data).__name__}, which holds no training data.",
        "Give a file, a folder, a DataFrame, or a list of examples.",
    )


def _of_path(path: Path, columns: Columns, method: str | None) -> Source:
    if path.is_dir():
        held = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if not held:
            raise OptionError(
                f"The folder {path} holds no training data.", f"Files of {', '.join(SUFFIXES)}."
            )
        parts = [_of_path(each, columns, method) for each in held]

        def blocks() -> Iterator[Block]:
            for part in parts:
                yield from part.blocks()

        return Source(f"{path.name}/", blocks)
    if not path.is_file():
        there = path.parent.iterdir() if path.parent.is_dir() else ()
        near = "" if path.exists() else nearest(path.name, [each.name for each in there])
        what = "There is no file or variable" if not path.exists() else "That is no file:"
        raise OptionError(f"{what} {str(path)!r}{near}.", "Give a file, a folder or a variable.")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise OptionError(
            f"{path.name} is not of a kind that is read.", f"Files of {', '.join(SUFFIXES)}."
        )
    readers: dict[str, Callable[[], Rows]] = {
        ".csv": lambda: spreadsheets.csv_rows(path, None),
        ".tsv": lambda: spreadsheets.csv_rows(path, "\t"),
        ".parquet": lambda: spreadsheets.parquet_rows(path, ROWS),
        ".json": lambda: _item_rows(_json_items(path), columns),
    }
    if suffix in readers:
        return Source(path.name, lambda: _rows(readers[suffix](), columns, method, path.name))
    if columns.named:
        return Source(path.name, lambda: _rows(_line_rows(path), columns, method, path.name))
    return Source(path.name, lambda: line_blocks(path), path)


def line_blocks(path: Path) -> Iterator[Block]:
    """Yield a file of JSON lines in blocks; its encoding is told of where it is not UTF-8.

    Raises
    ------
    OptionError
        It cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4)
            if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                yield Block(b"", path.name, problems=(_other_encoding("UTF-16"),))
                file.seek(0)
                text = io.TextIOWrapper(file, "utf-16", errors="replace", newline="")
                while chunk := text.read(BLOCK) + text.readline():
                    ended = chunk if chunk.endswith("\n") else f"{chunk}\n"
                    yield Block(ended.encode("utf-8", "replace"), path.name)
                return
            if head.startswith(codecs.BOM_UTF8):
                yield Block(b"", path.name, problems=(BOM,))
                file.seek(3)
            else:
                file.seek(0)
            while data := file.read(BLOCK):
                if not data.endswith(b"\n"):
                    data += file.readline(LONGEST)
                if len(data) < LONGEST and not data.endswith(b"\n"):
                    data += b"\n"  # the last line of a file may have no end
                if not data.endswith(b"\n"):
                    yield Block(data[: data.rfind(b"\n") + 1], path.name)
                    while not (rest := file.readline(BLOCK)).endswith(b"\n") and rest:
                        pass
                    # Its end keeps the count of what follows.
                    yield Block(b"\n", path.name, problems=(TOO_LONG,))
                    continue
                yield Block(data, path.name)
    except OSError as error:
        raise OptionError(
            f"{path} cannot be read: {error.strerror or error}.", "Look at its permissions."
        ) from error


def _other_encoding(name: str) -> Problem:
    return Problem(
        "encoding", f"The file is {name}, not UTF-8.", "Save it as UTF-8, or let --fix do it."
    )


BOM = Problem(
    "encoding",
    "The file begins with a byte order mark.",
    "Save it as UTF-8 without one, or let --fix do it.",
    column="1",
)
TOO_LONG = Problem(
    "too long",
    f"The line is longer than {LONGEST // 1_000_000} MB, and was not read.",
    "Is a line end missing?",
)


def _rows(rows: Rows, columns: Columns, method: str | None, name: str) -> Iterator[Block]:
    """Yield rows of a table as lines in blocks."""
    lines: list[bytes] = []
    numbers: list[int] = []
    made: dict[tuple[Any, ...], Callable[[Mapping[str, Any]], Any]] = {}
    for number, row in rows:
        if lines and (len(lines) == ROWS or isinstance(row, Problem)):
            yield Block(b"\n".join(lines) + b"\n", name, numbers)
            lines, numbers = [], []
        if isinstance(row, Problem):
            yield Block(b"", name, (number,), (row,))
            continue
        keys = tuple(row)
        if keys not in made:
            made.clear()
            made[keys] = maker(keys, columns, method, name)
        lines.append(line_of(made[keys](row), f"{name}, row {number}"))
        numbers.append(number)
    if lines:
        yield Block(b"\n".join(lines) + b"\n", name, numbers)


def line_of(example: Any, where: str) -> bytes:
    """Return the line of an example, without its end.

    Raises
    ------
    OptionError
        It holds what is no JSON.
    """
    try:
        text = json.dumps(example, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(
            f"{where} cannot be written as JSON: {error}.", "Use text, numbers, lists and dicts."
        ) from error
    # A lone surrogate stays as its escape, which the check finds.
    return text.encode("utf-8", "backslashreplace")


def _frame_rows(frame: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    names = [str(name) for name in frame.columns]
    for number, values in enumerate(frame.itertuples(index=False, name=None), 1):
        yield number, dict(zip(names, values, strict=True))


def _item_rows(items: Iterable[Any], columns: Columns) -> Iterator[tuple[int, Mapping[str, Any]]]:
    pair = (columns.prompt or "prompt", columns.completion or "completion")
    for number, item in enumerate(items, 1):
        if isinstance(item, Mapping):
            yield number, item
        elif isinstance(item, (tuple, list)) and len(item) == 2:
            yield number, dict(zip(pair, item, strict=True))
        else:
            raise OptionError(
                f"Item {number} of the data is of type {type(item).__name__}.",
                "Give examples or rows as dicts, or (prompt, completion) pairs.",
            )


def _json_items(path: Path) -> list[Any]:
    try:
        held = loads(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except NotJSON as error:
        raise OptionError(
            f"{path.name}: {error} (character {error.column})", "JSON lines are called .jsonl."
        ) from None
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror or error}.") from error
    return held if isinstance(held, list) else [held]


def _line_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    number = 0
    for block in line_blocks(path):
        for line in block.data.removesuffix(b"\n").split(b"\n"):
            number += 1
            if not line.strip():
                continue
            try:
                row = loads(line)
            except NotJSON as error:
                raise OptionError(
                    f"{path.name}, line {number}: {error}", "Mend it, or leave --prompt out."
                ) from None
            if not isinstance(row, dict):
                raise OptionError(f"{path.name}, line {number} is no row.", "A JSON object a line.")
            yield number, row
