"""A record at a glance: what stands of it in a list, and the newest ones of a file of any length."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openai_magics.chains import ANEW, mark_of
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import DialogueDamaged
from openai_magics.exchange import Exchange
from openai_magics.frames import words

__all__ = ["Summary", "model_of", "newest", "parsed", "summary"]

ALTERED = "altered since it was written"
WINDOW = 1 << 16
"""Bytes of the end of a file that are looked at first; twice as many as long as they are too few."""


@dataclass(frozen=True)
class Summary:
    """A record in a line: ``state`` is ``""`` for an answer that stands, else why it does not."""

    row: int
    id: str
    created: str
    kind: str
    conversation: str
    model: str
    asked: str
    answered: str
    tokens: int | None
    cost: float
    state: str


def newest(file: DialogueFile, count: int) -> list[Summary]:
    """Return the last records of a file, the newest first; the others are not parsed.

    Raises
    ------
    DialogueError
        The file cannot be read, or one of these records is damaged.
    """
    total, window = len(file), WINDOW
    if not total:
        return []
    size = file.path.stat().st_size
    while True:
        begin = max(0, size - window)
        lines = list(file.lines(begin))[bool(begin) :]  # the first one is not whole
        lines = [(offset, line) for offset, line in lines if line.strip()]
        if not begin or len(lines) >= count:
            break
        window *= 2
    kept = lines[-count:][::-1]
    return [_line(file, total - 1 - n, offset) for n, (offset, _) in enumerate(kept)]


def _line(file: DialogueFile, row: int, offset: int) -> Summary:
    record = file.at(offset)
    try:
        return summary(file, row, record, Exchange.from_record(record))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"this record lacks something ({error!r})"
        raise DialogueDamaged(file.path, row + 2, what) from error


def summary(
    file: DialogueFile | None, row: int, record: Mapping[str, Any], item: Exchange
) -> Summary:
    """Return the line of a record, which is *item*, in a *file*."""
    reply, usage = item.reply, item.reply.usage if item.reply else {}
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    known = [count for count in counts if isinstance(count, int)]
    said = (reply.text or reply.refusal or "") if reply else ""
    if not said and item.error:
        said = str(item.error.get("problem") or item.error.get("type") or "")
    return Summary(
        row,
        str(record["id"]),
        item.created,
        item.request.kind,
        item.conversation or "",
        model_of(record),
        words(item.request.messages),
        said,
        sum(known) if known else None,
        reply.cost if reply else float("nan"),
        _state(file, record, item),
    )


def _state(file: DialogueFile | None, record: Mapping[str, Any], item: Exchange) -> str:
    if (record["fingerprint"], record["id"]) != (item.fingerprint, item.id):
        return ALTERED
    if (mark := mark_of(item)) or item.occurrence is None or file is None:
        return mark
    stands = file.get(item.fingerprint, item.occurrence)
    return ANEW if stands is not None and stands.id != item.id else ""


def parsed(line: bytes) -> Any:
    """Return the record of a line of a dialogue file."""
    return json.loads(line.rstrip(b" \t\r\n,"))


def model_of(record: Mapping[str, Any]) -> str:
    """Return the model that served a record, else the one that was asked."""
    reply, request = record.get("reply") or {}, record["request"]
    resolved = request.get("resolved") or {}
    return str(reply.get("model") or resolved.get("model") or request.get("model") or "")
