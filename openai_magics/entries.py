"""The records of a dialogue file as `salvage` finds them: where their bytes are, and what a union needs.

A merge conflict gives a file several *readings*: one with our side of it, one with theirs.
``Entry.sides`` has a bit for each reading that holds the record: `READINGS` bits for one
file (two conflicts may be nested), the next ones for the next file where several are joined.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from openai_magics.errors import DialogueDamaged, DialogueError, OptionError
from openai_magics.exchange import RECORD, Exchange
from openai_magics.scan import CLOSING, FORMAT, VERSION, WHITE, read_header

__all__ = [
    "ALL",
    "BIT",
    "MARKER",
    "READINGS",
    "Conflicts",
    "Contents",
    "Entry",
    "Piece",
    "as_record",
    "first_line",
    "header_fields",
    "is_record",
    "lines",
    "objects",
    "readings",
    "rewritten",
    "short",
]

READINGS = 4
ALL = (1 << READINGS) - 1
SIDES = ((0b0011, 0b1100), (0b0101, 0b1010))
"""The readings with our and with their side of an outer conflict, and of one inside it."""
MARKER = re.compile(rb"(<{7,}|\|{7,}|>{7,})(?: .*)?|(={7,})")
FINGERPRINT = re.compile(r'[^"\\\x00-\x1f\ud800-\udfff]+')
"""One that stands in its line as it is."""
ODD = re.compile(rb"NaN|Infinity|\d[eE]\+?\d{3}")
BIT = re.compile(
    rb'"(format|version|notebook|exchanges)"[ \t\r\n]*:[ \t\r\n]*("(?:[^"\\]|\\.)*"|[0-9.]+|null)?'
)
"""A field of a file's first line, also where that is damaged."""
DECODER = json.JSONDecoder()


class Piece(NamedTuple):
    """Some bytes: those in the file from ``at`` on, or ``text`` that was written anew."""

    at: int
    size: int
    text: bytes | None = None

    def read(self, source: BinaryIO) -> bytes:
        """Return the bytes."""
        if self.text is not None:
            return self.text
        source.seek(self.at)
        return source.read(self.size)


@dataclass(slots=True)
class Entry:
    """A record: where its bytes are, and what a union needs of it.

    ``id``, ``parent`` and ``slot`` (``None`` where it is never replayed) are `short`, as is
    ``said``, which tells two records with the same id and the same answer; ``created`` is
    in seconds since the epoch, ``None`` where that cannot be told.
    """

    piece: Piece
    sides: int
    id: bytes
    parent: bytes | None
    slot: bytes | None
    said: bytes
    created: float | None

    @classmethod
    def of(cls, record: Mapping[str, Any], piece: Piece, sides: int) -> Entry:
        """Return the entry of a record that stands in *piece*, in the readings *sides*."""
        parent, occurrence = record.get("parent"), record["occurrence"]
        answer = [record["id"], record.get("reply"), record.get("error")]
        return cls(
            piece,
            sides,
            short(record["id"]),
            short(parent) if isinstance(parent, str) else None,
            None if occurrence is None else short(f"{record['fingerprint']}#{occurrence}"),
            short(json.dumps(answer, sort_keys=True)),
            _seconds(record.get("created")),
        )


@dataclass
class Contents:
    """What a file holds; ``wrong`` has the line numbers for each thing that was amiss.

    ``header`` is the first line as it is to be written, ``lost`` the lines that cannot be
    read, as ``(line number, piece)``; ``readings`` is how many bits of ``sides`` are taken.
    """

    source: BinaryIO
    header: bytes = b""
    entries: list[Entry] = field(default_factory=list)
    lost: list[tuple[int, Piece]] = field(default_factory=list)
    wrong: dict[str, list[int]] = field(default_factory=dict)
    readings: int = READINGS

    def note(self, what: str, line: int = 0) -> None:
        """Keep in mind that something is amiss."""
        self.wrong.setdefault(what, []).append(line)


def lines(header: bytes, records: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a dialogue file in parts, from its first line and the records' lines."""
    yield header
    lead = b"\n"
    for record in records:
        yield lead + record
        lead = b",\n"
    yield CLOSING


def short(text: str) -> bytes:
    """Return a key for *text* that takes little memory."""
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=16).digest()


def _seconds(created: object) -> float | None:
    try:
        moment = datetime.fromisoformat(str(created).replace("Z", "+00:00"))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None


def as_record(text: bytes) -> dict[str, Any] | None:
    """Return the record that *text* is, or ``None``."""
    try:
        record = json.loads(text.decode())
    except (ValueError, RecursionError):
        return None
    return record if is_record(record, closely=ODD.search(text) is not None) else None


def is_record(value: Any, *, closely: bool = True) -> bool:
    """Whether a value of JSON is a record that a dialogue file can hold.

    To look *closely* takes as long again; only numbers that are not finite need it.
    """
    try:
        exchange = Exchange.from_record(value)
        if closely:
            _ = exchange.id
        slot = value["occurrence"]
        return (
            (slot is None or (type(slot) is int and slot >= 0))
            and isinstance(value["id"], str)
            and FINGERPRINT.fullmatch(value["fingerprint"]) is not None
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OptionError):
        return False


def objects(blob: bytes) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield ``(start, end, record)`` for every JSON object in *blob* that is a record."""
    text = blob.decode("latin-1")  # a character a byte; JSON's own characters are ASCII
    at = text.find("{")
    while at >= 0:
        after = at + 1
        try:
            _, end = DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            pass
        else:
            record = as_record(blob[at:end])
            if record is not None:
                yield at, end, record
                after = end
        at = text.find("{", after)


def rewritten(record: Mapping[str, Any]) -> bytes:
    """Return a record's line, its fields in their order, those that are not known last."""
    text = json.dumps(_ordered(record, RECORD), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")


def _ordered(value: Any, like: Any) -> Any:
    if not isinstance(value, Mapping) or not isinstance(like, Mapping):
        return value
    names = [name for name in like if name in value]
    names += [name for name in value if name not in like]
    return {name: _ordered(value[name], like.get(name)) for name in names}


def header_fields(text: bytes) -> dict[str, Any]:
    """Return what is left of a first line: the fields that can be read, ``exchanges`` as ``None``."""
    fields: dict[str, Any] = {}
    for name, value in BIT.findall(text):
        try:
            fields[name.decode()] = json.loads(value.decode() or "null")
        except ValueError:
            continue
    return fields


def first_line(path: Path, fields: Mapping[str, Any]) -> bytes:
    """Return the first line of a file with these fields.

    Raises
    ------
    DialogueTooNew
        They are of a newer version.
    DialogueError
        They are too long.
    """
    known = {name: fields[name] for name in fields if name not in ("format", "exchanges")}
    for version in (known.get("version", VERSION), VERSION):  # the first may be no number
        ordered = {"format": FORMAT, "version": None, "notebook": None, **known}
        ordered["version"] = version
        text = json.dumps(ordered, ensure_ascii=False)[:-1] + ', "exchanges": ['
        line = text.encode("utf-8", "backslashreplace")
        try:
            read_header(BytesIO(line), path)
        except DialogueDamaged:
            continue
        return line
    raise DialogueError(
        path, f"{path} holds too much beside its records for a first line.", "Nothing was changed."
    )


class Conflicts:
    """The conflict markers passed so far: in which readings the next line stands."""

    def __init__(self) -> None:
        self.open: list[tuple[int, str]] = []  # the markers' length, and the part: < | or =

    def passed(self, line: bytes) -> bool:
        """Whether the line is a marker, which is then taken in."""
        marker = MARKER.fullmatch(line)
        if marker is None:
            return False
        size, sign = len(marker[1] or marker[2]), chr(line[0])
        if sign == "<":
            self.open.append((size, sign))
        elif any(size == length for length, _ in self.open):
            while self.open[-1][0] != size:
                self.open.pop()
            self.open.pop()
            if sign != ">":
                self.open.append((size, sign))
        return True

    @property
    def sides(self) -> int:
        sides = ALL
        for depth, (_, part) in enumerate(self.open):
            ours, theirs = SIDES[min(depth, 1)]
            sides &= {"<": ours, "|": 0, "=": theirs}[part]
        return sides


def readings(data: bytes) -> dict[bytes, int]:
    """Return each reading of a text with its bits."""
    conflicts = Conflicts()
    texts: list[list[bytes]] = [[] for _ in range(READINGS)]
    for line in data.splitlines(keepends=True):
        if not conflicts.passed(line.strip(WHITE)):
            for bit, text in enumerate(texts):
                if conflicts.sides >> bit & 1:
                    text.append(line)
    sides: dict[bytes, int] = {}
    for bit, text in enumerate(texts):
        whole = b"".join(text)
        sides[whole] = sides.get(whole, 0) | 1 << bit
    return sides
