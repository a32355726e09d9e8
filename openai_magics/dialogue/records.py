"""A record of the dialogue file: an exchange → its line, and a line → the exchange."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from openai_magics.errors import DialogueDamaged, OptionError
from openai_magics.exchange import Exchange, Request

__all__ = ["exchange_of", "record_line", "record_of"]

log = logging.getLogger("openai_magics")


def record_line(exchange: Exchange) -> bytes:
    """Return the line of a record, without its line end; lone surrogates as escapes."""
    return LINE.encode(exchange.to_record()).encode("utf-8", "backslashreplace")


def _plain(value: object) -> object:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return dict(value)  # type: ignore[call-overload]  # a Mapping that is not a dict


LINE = json.JSONEncoder(ensure_ascii=False, default=_plain)


def record_of(path: Path, line: bytes, offset: int, number: int | None = None) -> dict[str, Any]:
    """Return the record in a line of the file *path* as plain values.

    The line begins at *offset*; where its *number* is not given, it is counted if need be.

    Raises
    ------
    DialogueDamaged
        It cannot be parsed.
    """
    try:
        record = json.loads(line.rstrip(b" \t\r\n,"))
    except (ValueError, RecursionError) as error:
        number = number or _line_of(path, offset)
        raise DialogueDamaged(path, number, f"this record is damaged ({error})") from error
    return dict(record)


def exchange_of(
    path: Path,
    record: dict[str, Any],
    offset: int = 0,
    number: int | None = None,
    like: Request | None = None,
) -> Exchange:
    """Return the exchange of a record; what is not as it was written is said in the log.

    Raises
    ------
    DialogueDamaged
        The record lacks something.
    """
    try:
        exchange = Exchange.from_record(record, like)
        same = (exchange.fingerprint, exchange.id) == (record["fingerprint"], record["id"])
    except (KeyError, TypeError, ValueError, AttributeError, OptionError) as error:
        number = number or _line_of(path, offset)
        raise DialogueDamaged(path, number, f"this record lacks something ({error!r})") from error
    if not same:
        log.warning(
            "%s, line %d: the record is not as it was written (its id does not match its content).",
            path,
            number or _line_of(path, offset),
        )
    return exchange


def _line_of(path: Path, offset: int) -> int:
    with path.open("rb") as file:
        return file.read(offset).count(b"\n") + 1
