"""Reading a dialogue file in whatever state it is: every record that is whole, and what was wrong.

A file is read line by line, so that its size does not matter; a record whose line parses is
kept as its bytes stand. Lines that are no records are gathered until the next one that is,
and every whole JSON object in them that is a record is taken out. What is left over is lost,
and says its line. What stands only in the base part of a merge conflict is passed over.
"""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_right
from collections.abc import Mapping
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

from openai_magics.entries import (
    BIT,
    MARKER,
    READINGS,
    Conflicts,
    Contents,
    Entry,
    Piece,
    as_record,
    first_line,
    header_fields,
    is_record,
    objects,
    readings,
    rewritten,
)
from openai_magics.errors import DialogueDamaged, DialogueError, DialogueTooNew
from openai_magics.scan import FORMAT, HEADER, RECORD, WHITE, header, read_header

__all__ = ["read"]

ENDINGS = (b"]}", b"]", b"}")
LARGEST = 100 << 20
"""Bytes that are held at once: a file laid out anew, a line, lines that cannot be read."""
MOST = 1_000_000
"""Lines that are held at once."""
JUNK = WHITE + b",\xef\xbb\xbf"
FRAME = JUNK + b"[]{}:"
IS_OURS = re.compile(rb'"format"\s*:\s*"openai_magics\.dialogue"')
LINE = re.compile(rb"^[ \t,]*" + RECORD.pattern + rb".*\}[ \t,]*\r?$", re.MULTILINE)
"""A record in a line of its own."""


def read(source: BinaryIO, path: Path) -> Contents:
    """Read the dialogue file that is open as *source*; *path* is for the messages.

    Raises
    ------
    DialogueTooNew
        A newer version of the format wrote it.
    DialogueError
        It is not a dialogue file, or holds too much in one piece to be read at all.
    """
    contents = Contents(source)
    if source.seek(0, os.SEEK_END) > LARGEST or not _laid_out_anew(contents, path):
        _Reader(contents, path).read()
    if not contents.header:
        contents.header = header(_notebook_of(path))
        contents.note("header", 1)
    return contents


def _notebook_of(path: Path) -> str | None:
    name = path.name.removesuffix(".dialogue.json") + ".ipynb"
    return name if path.with_name(name).exists() else None


def _laid_out_anew(contents: Contents, path: Path) -> bool:
    """Read a file that another tool has laid out anew, conflicts in it or not; else ``False``."""
    if _begins_well(contents.source, path):
        return False
    contents.source.seek(0)
    data = contents.source.read()
    if LINE.search(data):
        return False
    held: list[Entry] = []
    headers: list[bytes] = []
    for text, sides in readings(data).items():
        try:
            document = json.loads(text.decode("utf-8-sig"))
            records = list(document.pop("exchanges"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return False
        if document.get("format") != FORMAT or not all(map(is_record, records)):
            return False
        headers.append(first_line(path, document))
        for record in records:
            line = rewritten(record)
            held.append(Entry.of(record, Piece(0, len(line), line), sides))
    contents.header = headers[0]
    contents.entries = held
    contents.note("layout")
    if len(headers) > 1:
        contents.note("conflict", 1)
    return True


def _begins_well(source: BinaryIO, path: Path) -> bool:
    """Whether the first line is as it should be, or a record and the only one left."""
    try:
        read_header(source, path)
    except DialogueDamaged:
        return False
    except DialogueTooNew:
        raise
    except DialogueError:
        source.seek(0)
        if as_record(source.read().strip(JUNK)) is None:
            raise
    return True


class _Reader:
    """Goes through the lines of a file."""

    def __init__(self, contents: Contents, path: Path) -> None:
        self.contents = contents
        self.path = path
        self.conflicts = Conflicts()
        self.broken: list[bytes] = []  # lines that are no records
        self.number = self.at = self.held = 0  # of them: the first one's place, their bytes
        self.first = 0  # the first line that is neither blank nor a marker
        self.known = False  # it is of a dialogue file
        self.closed = False
        self.bare = self.comma = 0  # the last line, where it is a record without or with a comma

    def read(self) -> None:
        """Fill the contents."""
        contents = self.contents
        contents.source.seek(0)
        number = at = 0
        while line := contents.source.readline(LARGEST + 1):
            number += 1
            self._line(number, at, line)
            at += len(line)
        self._flush()
        if self.first and not self.known and not self._has_records():
            raise self._foreign()
        if self.comma:
            contents.note("commas", self.comma)
        if not self.closed:
            contents.note("closing", number)

    def _line(self, number: int, at: int, line: bytes) -> None:
        if line.startswith(b"\xef\xbb\xbf"):
            self.contents.note("mark", number)
        if line.endswith(b"\r\n"):
            self.contents.note("endings", number)
        core = line.strip(JUNK)
        if MARKER.fullmatch(core):
            self._flush()
            self.contents.note("conflict" if core[:1] == b"<" else "marker", number)
            self.conflicts.passed(core)
            self.closed = False
            return
        if not core and not self.broken:
            self.contents.note("blank", number)
            return
        if not self.first:
            self._begin(core, number)
        if core in ENDINGS and not self.broken:
            self.closed = True
        elif self._is_header(core):
            self._flush()
            self._header(core, number)
        elif (record := as_record(core)) is not None:
            self._flush()
            self._record(record, core, number, at + line.index(core))
            self.comma = number if line.rstrip(WHITE).endswith(b",") else 0
            self.bare = 0 if self.comma else number
        else:
            self._break(number, at, line)

    def _begin(self, core: bytes, number: int) -> None:
        """See from its first line whether this is a dialogue file at all."""
        self.first = number
        self.known = bool(IS_OURS.search(core) or RECORD.match(core))
        if self.path.suffix == ".ipynb" and not self._is_header(core):
            raise self._foreign()

    def _recognise(self, blob: bytes) -> None:
        """See the same from the first lines, where the first is cut off or only a bracket."""
        if self.number == self.first and not self.known:
            laid_out = blob.lstrip(JUNK).startswith(b"{") and IS_OURS.search(blob)
            self.known = HEADER.startswith(blob) or bool(laid_out)

    def _has_records(self) -> bool:
        return bool(self.contents.entries) and self.path.suffix == ".json"

    def _is_header(self, core: bytes) -> bool:
        if not core.endswith(b"[") or not IS_OURS.search(core):
            return False
        try:
            read_header(BytesIO(core), self.path)
        except DialogueDamaged:
            return False
        return True

    def _header(self, core: bytes, number: int) -> None:
        contents = self.contents
        if not self.conflicts.open and (contents.header or contents.entries):
            contents.note("joined", number)
            contents.readings += READINGS
            self.closed, self.comma, self.bare = False, 0, 0
        if self.conflicts.sides:
            contents.header = contents.header or core

    def _record(self, record: Mapping[str, Any], core: bytes, number: int, at: int) -> None:
        contents = self.contents
        sides = self.conflicts.sides << (contents.readings - READINGS)
        if not sides:
            return
        if self.bare:
            contents.note("comma", self.bare)
        if self.closed:
            contents.note("after", number)
        piece = Piece(at, len(core))
        if b"\n" in core or not RECORD.match(core):
            contents.note("fields", number)
            line = rewritten(record)
            piece = Piece(at, len(line), line)
        contents.entries.append(Entry.of(record, piece, sides))

    def _break(self, number: int, at: int, line: bytes) -> None:
        """Put by a line that is not a record."""
        if not self.broken:
            self.number, self.at = number, at
        self.broken.append(line)
        self.held += len(line)
        if self.held > LARGEST or len(self.broken) > MOST:
            self._recognise(b"".join(self.broken))
            if not self.known and not self._has_records():
                raise self._foreign()
            raise DialogueError(
                self.path,
                f"{self.path}, line {self.number}: no record begins in the next "
                f"{self.held >> 20} MB ({len(self.broken)} lines), which is too much to mend.",
                "Nothing was changed. If another tool laid it out: jq -c '.exchanges[]' "
                f"{self.path.name} > new.json, then repair that.",
            )

    def _flush(self) -> None:
        """Take out what is whole in the lines put by; what is left over is lost."""
        if not self.broken:
            return
        blob, starts = b"".join(self.broken), [0, *accumulate(map(len, self.broken))]
        self._recognise(blob)
        at = 0
        if self.conflicts.sides:
            for start, end, record in objects(blob):
                self._left(blob[at:start], at, starts)
                number = self.number + bisect_right(starts, start) - 1
                self.contents.note("apart", number)
                self.bare = self.comma = 0
                self._record(record, blob[start:end], number, self.at + start)
                at = end
            self._left(blob[at:], at, starts)
        self.broken, self.held, self.comma, self.bare = [], 0, 0, 0

    def _left(self, text: bytes, at: int, starts: list[int]) -> None:
        """Look at what stands before, between and after records: a header, brackets, or what is lost."""
        fields = header_fields(text)
        if not self.contents.header and (IS_OURS.search(text) or "exchanges" in fields):
            self.contents.header = first_line(self.path, fields)
            self.contents.note("header", self.number)
        if not BIT.sub(b"", text).strip(FRAME):
            return
        first = bisect_right(starts, at + len(text) - len(text.lstrip(FRAME))) - 1
        last = bisect_right(starts, at + len(text.rstrip(FRAME)) - 1)
        for place in range(first, last):
            if self.broken[place].strip(FRAME):
                piece = Piece(self.at + starts[place], len(self.broken[place]))
                self.contents.lost.append((self.number + place, piece))

    def _foreign(self) -> DialogueError:
        if self.path.suffix == ".ipynb":
            what, where = (
                "is a notebook (or was), not a dialogue file",
                "the .dialogue.json beside it",
            )
        else:
            what, where = (
                "is not a dialogue file: it does not begin as one",
                "a .dialogue.json file",
            )
        remedy = f"Nothing was changed. Name {where}."
        return DialogueError(self.path, f"{self.path} {what}.", remedy)
