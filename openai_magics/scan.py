"""Reading the lines of a dialogue file without parsing them: where each record stands, and what is damaged.

The file is valid JSON with one record a line, fingerprint and occurrence first (see
`openai_magics.dialogue`). Opening looks at the beginning and the end of each line only; a
record is parsed when it is asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from openai_magics.errors import DialogueDamaged, DialogueError, DialogueTooNew

__all__ = [
    "CLOSING",
    "FORMAT",
    "VERSION",
    "Tail",
    "begin",
    "header",
    "key",
    "read_header",
    "scan",
    "slot",
]

FORMAT = "openai_magics.dialogue"
VERSION = 1
CLOSING = b"\n]}\n"

RECORD = re.compile(rb'\{"fingerprint": ?"([^"\\]+)", ?"occurrence": ?(\d+|null)[,}]')
CONFLICT = (b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||")
WHITE = b" \t\r\n"
WHOLE = (b"}", b"},")
HEADER = b'{"format": "openai_magics.dialogue", "version": '
OPENING = b'"exchanges": ['
LONGEST_HEADER = 1 << 16
LARGEST = 1 << 26
"""Bytes of a file without our lines that are parsed to say what it is; beyond, it is not said."""


def header(notebook: str | None) -> bytes:
    """Return the first line of a new dialogue file, without its line end."""
    fields = {"format": FORMAT, "version": VERSION, "notebook": notebook}
    return (json.dumps(fields, ensure_ascii=False)[:-1] + ', "exchanges": [').encode(
        "utf-8", "backslashreplace"
    )


def key(fingerprint: str, occurrence: int) -> bytes:
    """Return the key of a slot in the index."""
    return b"%s#%d" % (fingerprint.encode(), occurrence)


def slot(line: bytes) -> bytes | None:
    """Return the key of the slot that *line* records; ``None`` where it is not a record."""
    record = RECORD.match(line)
    return record and record[1] + b"#" + record[2]


@dataclass
class Tail:
    """How a scanned file ends.

    ``end`` is the offset just after the last whole record (or after the header's ``[``),
    ``line`` its line number from 1, ``records`` how many there are, ``last`` the bytes of
    the last one. ``closed`` tells whether the closing brackets follow; where they do not,
    ``cut`` holds the bytes of a last record that is not whole; it may have been reported as
    found.
    """

    end: int
    line: int
    records: int = 0
    closed: bool = False
    cut: bytes = b""
    last: bytes = b""


def read_header(file: BinaryIO, path: Path) -> tuple[dict[str, Any], Tail]:
    """Read the first line; return its fields and the place where the records begin.

    Raises
    ------
    DialogueError
        It is not a dialogue file.
    DialogueTooNew
        A newer version of the format wrote it.
    DialogueDamaged
        The line is damaged, or the file was laid out anew by another tool.
    """
    file.seek(0)
    line = file.readline(LONGEST_HEADER)
    body = line.rstrip(WHITE)
    try:
        fields = json.loads(body + b"]}")
    except ValueError:
        fields = {}
    if fields.get("exchanges") != []:  # cut off, of another format, or a record stands in it
        fields = _other_layout(file, path, body)
    if fields.get("format") != FORMAT:
        raise _foreign(path, fields)
    version = fields.get("version")
    if not isinstance(version, (int, float)) or isinstance(version, bool):
        raise DialogueDamaged(path, 1, f"the version {version!r} is not a number")
    if version >= VERSION + 1:
        raise DialogueTooNew(
            path,
            f"{path} has version {version} of the dialogue format; this openai_magics reads "
            f"up to version {VERSION}.",
            "Nothing was changed. Update with: pip install --upgrade openai_magics",
        )
    return fields, Tail(end=len(body), line=1)


def begin(file: BinaryIO, path: Path) -> Tail:
    """Return the place where the records begin; 0 where there is nothing but a cut-off header.

    Raises as `read_header` does.
    """
    file.seek(0)
    held = file.read(LONGEST_HEADER)
    cut = b"\n" not in held and OPENING not in held
    if cut and (held.startswith(HEADER) or HEADER.startswith(held.strip(WHITE))):
        return Tail(end=0, line=0, cut=held)
    return read_header(file, path)[1]


def _other_layout(file: BinaryIO, path: Path, first: bytes) -> dict[str, Any]:
    """Tell a damaged first line from a file that another tool has laid out anew."""
    if first.startswith(CONFLICT):
        raise DialogueDamaged(path, 1, "a merge conflict is not resolved")
    file.seek(0)
    held = file.read(LARGEST + 1)
    try:
        whole = json.loads(held if len(held) <= LARGEST else b"")
    except (ValueError, RecursionError):
        raise DialogueDamaged(path, 1, "this is not the first line of a dialogue file") from None
    if isinstance(whole, dict) and whole.get("format") == FORMAT:
        raise DialogueDamaged(
            path, 1, "another tool has laid the file out anew (one exchange a line is needed)"
        )
    raise _foreign(path, whole)


def _foreign(path: Path, content: object) -> DialogueError:
    if isinstance(content, dict) and "nbformat" in content:
        return DialogueError(
            path,
            f"{path} is a notebook, not a dialogue file.",
            f"Its dialogue would be {path.with_suffix('.dialogue.json').name} beside it.",
        )
    return DialogueError(
        path,
        f"{path} is JSON, but not a dialogue file.",
        "Nothing was changed. Give another path for the dialogue.",
    )


def scan(
    file: BinaryIO, path: Path, tail: Tail, found: Callable[[bytes, bytes, int], None]
) -> Tail:
    """Scan the lines after *tail*; call ``found(fingerprint, occurrence, offset)`` for each.

    ``occurrence`` is the digits as they stand, or ``b"null"``.

    Raises
    ------
    DialogueDamaged
        A line before the last is not a record; an unresolved merge conflict; a comma too
        many or too few; *tail* is not of this content. A last line that is cut off is no
        error: see `Tail`.
    """
    end, number, records, last = tail.end, tail.line, tail.records, tail.last
    file.seek(end - len(last))
    if file.read(len(last)) != last:
        raise DialogueDamaged(path, number, "this record is not what it was")
    comma = _separator(file.readline(), path, number, first=records == 0)
    offset, before, at = file.tell(), end, number
    for line in file:
        number += 1
        body = line.rstrip(WHITE)
        record = RECORD.match(body)
        if record is not None and body.endswith(WHOLE):
            if not comma:
                raise DialogueDamaged(path, at, "there is no comma after this record")
            found(record[1], record[2], offset)
            comma = body.endswith(b",")
            before, end, last = end, offset + len(body) - comma, body
            records, at = records + 1, number
        elif body == b"]}":
            if comma and records:
                raise DialogueDamaged(path, at, "a comma follows the last record")
            if file.read().strip(WHITE):
                what = "there is text after the end of the dialogue"
                raise DialogueDamaged(path, number + 1, what)
            return Tail(end, at, records, closed=True, last=last.rstrip(b","))
        elif body:
            _must_be_last(file, path, number, body, whole=record is None)
            return Tail(end, at, records, cut=b"" if body == b"]" else line)
        offset += len(line)
    # No closing brackets. The last record may only look whole, cut just after an inner
    # brace, so it is parsed.
    try:
        json.loads(last.rstrip(b",") or b"0")
    except ValueError:
        return Tail(before, at - 1, records - 1, cut=last)
    return Tail(end, at, records)


def _separator(rest: bytes, path: Path, line: int, *, first: bool) -> bool:
    """Whether more records may follow what stands between *tail.end* and its line's end."""
    rest = rest.strip(WHITE)
    if rest not in (b"", b","):
        raise DialogueDamaged(path, line, "there is text after the end of this record")
    return first or rest == b","


def _must_be_last(file: BinaryIO, path: Path, line: int, body: bytes, *, whole: bool) -> None:
    """Only the last line may be anything but a record: a crash cuts nothing else off."""
    if body.startswith(CONFLICT):
        raise DialogueDamaged(path, line, "a merge conflict is not resolved")
    if file.read(1):
        what = "this is not a record" if whole else "this record is not whole"
        raise DialogueDamaged(path, line, what)
