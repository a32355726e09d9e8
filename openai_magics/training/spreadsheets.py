"""Tables as people have them: CSV with quotes, line breaks in cells, semicolons; Parquet."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from openai_magics.errors import ExtraMissing, OptionError
from openai_magics.training.problems import Problem

__all__ = ["csv_rows", "parquet_rows"]

DELIMITERS = ",;\t|"
SAVE = "Save it as UTF-8 (in Excel: CSV UTF-8), or let --fix do it."
LARGEST = 1 << 27
"""Bytes of a cell."""


def csv_rows(
    path: Path, delimiter: str | None
) -> Iterator[tuple[int, Mapping[str, Any] | Problem]]:
    """Yield the rows of a CSV file with the number of the line each begins at.

    A row that does not fit the header, and a line that is not UTF-8 (it is read as Windows
    writes it), is a problem at its line, and the rest is read.

    Parameters
    ----------
    path : Path
        UTF-8, with a byte order mark or without.
    delimiter : str or None
        By default the one of ``, ; tab |`` that its first line holds most of.

    Raises
    ------
    OptionError
        It has no header, or a quote that has no end.
    """
    csv.field_size_limit(LARGEST)
    odd: list[tuple[int, Problem]] = []
    try:
        with path.open("rb") as file, closing(_lines(file, odd)) as lines:
            first = next(lines, "")
            mark = delimiter or max(DELIMITERS, key=first.count)
            reader = csv.reader(chain([first], lines), delimiter=mark, strict=True)
            names = next(reader, [])
            if not any(name.strip() for name in names):
                raise OptionError(f"{path.name} is empty.", "Its first line names the columns.")
            begins = reader.line_num + 1
            for row in reader:
                yield from odd
                odd.clear()
                if len(row) > len(names):
                    yield begins, _too_many(row, names)
                elif row:
                    whole = [*row, *[""] * (len(names) - len(row))]
                    yield begins, dict(zip(names, whole, strict=True))
                begins = reader.line_num + 1
            yield from odd
    except csv.Error as error:
        raise OptionError(
            f"{path.name}, near line {reader.line_num}: {error}.",
            "A quote in a quoted cell is written twice.",
        ) from None
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror or error}.") from error


def _lines(file: BinaryIO, odd: list[tuple[int, Problem]]) -> Generator[str, None, None]:
    """Yield the lines of a file, and put what is wrong with their encoding into *odd*."""
    head = file.read(3)
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        odd.append((1, Problem("encoding", "The file is UTF-16, not UTF-8.", SAVE)))
        file.seek(0)
        text_file = io.TextIOWrapper(file, "utf-16", errors="replace", newline="")
        try:
            yield from text_file
        finally:
            text_file.detach()  # who opened the file closes it
        return
    file.seek(3 if head == codecs.BOM_UTF8 else 0)
    for number, raw in enumerate(file, 1):
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            what = f"It is not UTF-8 (the byte 0x{raw[error.start]:02x})."
            odd.append((number, Problem("encoding", what, SAVE)))
            text = raw.decode("cp1252", "replace")
        if "\r" in text.rstrip("\r\n"):  # a line end of old, or within a cell
            yield from io.StringIO(text, newline="")
        else:
            yield text


def _too_many(row: list[str], names: list[str]) -> Problem:
    return Problem(
        "cells",
        f"It has {len(row)} cells for {len(names)} columns.",
        "A cell that holds the delimiter stands in quotes.",
    )


def parquet_rows(path: Path, most: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows of a Parquet file with their numbers from 1, *most* of them in memory.

    Raises
    ------
    OptionError
        It cannot be read.
    ExtraMissing
        The package that reads it is not installed.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise ExtraMissing("Reading Parquet", "parquet") from error
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=most):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (ArrowException, OSError) as error:
        raise OptionError(f"{path.name} is no Parquet file that can be read: {error}.") from error
