"""CSV as people have it: quotes, line breaks in cells, semicolons, a byte order mark."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from openai_magics.errors import OptionError

__all__ = ["csv_rows"]

DELIMITERS = ",;\t|"
LARGEST = 1 << 27
"""Bytes of a cell."""


def csv_rows(path: Path, delimiter: str | None) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows of a CSV file with the number of the line each begins at.

    Parameters
    ----------
    path : Path
        UTF-8, with a byte order mark or without.
    delimiter : str or None
        By default the one of ``, ; tab |`` that its first line holds most of.

    Raises
    ------
    OptionError
        It is not UTF-8, has no header, or has a row that does not fit it.
    """
    csv.field_size_limit(LARGEST)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            mark = delimiter or max(DELIMITERS, key=first.count)
            reader = csv.reader(file, delimiter=mark, strict=True)
            names = next(reader, [])
            if not any(name.strip() for name in names):
                raise OptionError(f"{path.name} is empty.", "Its first line names the columns.")
            begins = reader.line_num + 1
            for row in reader:
                if row:
                    yield begins, _named(names, row, path, begins)
                begins = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise OptionError(
            f"{path.name}, line {_first_not_utf8(path)} is not UTF-8 "
            f"(the byte 0x{error.object[error.start]:02x}).",
            "Save it as UTF-8 (in Excel: CSV UTF-8), or give pandas.read_csv(…, encoding=…).",
        ) from None
    except csv.Error as error:
        raise OptionError(
            f"{path.name}, near line {reader.line_num}: {error}.",
            "A quote in a quoted cell is written twice.",
        ) from None
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror or error}.") from error


def _first_not_utf8(path: Path) -> int:
    """Return the line at which a file stops being UTF-8; 0 where it is."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 0


def _named(names: list[str], row: list[str], path: Path, line: int) -> dict[str, Any]:
    if len(row) > len(names):
        raise OptionError(
            f"{path.name}, line {line}: {len(row)} cells for {len(names)} columns.",
            "A cell that holds the delimiter stands in quotes.",
        )
    return dict(zip(names, [*row, *[""] * (len(names) - len(row))], strict=True))
