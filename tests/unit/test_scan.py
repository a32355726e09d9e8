"""Reading the lines of a dialogue file without parsing them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from openai_magics import scan
from openai_magics.errors import DialogueDamaged, DialogueError, DialogueTooNew

PATH = Path("a.dialogue.json")
HEADER = scan.header("a.ipynb")
A, B, C = (
    b'{"fingerprint": "v1:%s", "occurrence": %s, "id": "x", "reply": {"text": "}, {"}}' % pair
    for pair in ((b"a", b"0"), (b"b", b"12"), (b"c", b"null"))
)
FILE = HEADER + b"\n" + A + b",\n" + B + b",\n" + C + scan.CLOSING


def read(data: bytes) -> tuple[scan.Tail, dict[bytes, int]]:
    """Scan a whole file; return its tail, and where each slot stands."""
    file, places = io.BytesIO(data), dict[bytes, int]()

    def found(fingerprint: bytes, occurrence: bytes, offset: int) -> None:
        places[fingerprint + b"#" + occurrence] = offset

    return scan.scan(file, PATH, scan.begin(file, PATH), found), places


def test_constants() -> None:
    """The marks of the format, which never change within a version."""
    assert (scan.FORMAT, scan.VERSION, scan.CLOSING) == ("openai_magics.dialogue", 1, b"\n]}\n")


@pytest.mark.parametrize(
    ("notebook", "line"),
    [
        pytest.param("a.ipynb", '"a.ipynb"', id="a name"),
        pytest.param(None, "null", id="no notebook"),
        pytest.param('Größe "x" 漢.ipynb', '"Größe \\"x\\" 漢.ipynb"', id="any name"),
        pytest.param("caf\udce9.ipynb", '"caf\\udce9.ipynb"', id="a name that is not UTF-8"),
    ],
)
def test_header(notebook: str | None, line: str) -> None:
    """The first line of a new file, to the byte."""
    written = scan.header(notebook)
    head = '{"format": "openai_magics.dialogue", "version": 1, "notebook": '
    assert written == (head + line + ', "exchanges": [').encode()
    assert json.loads(written + b"]}")["notebook"] == notebook


def test_finds_every_record() -> None:
    """Each record is found by fingerprint and occurrence, at the offset of its line."""
    tail, places = read(FILE)
    assert places == {
        b"v1:a#0": FILE.index(A),
        b"v1:b#12": FILE.index(B),
        b"v1:c#null": FILE.index(C),
    }
    assert tail == scan.Tail(FILE.index(C) + len(C), 4, 3, closed=True, last=C)


def test_an_empty_dialogue() -> None:
    """A header and closing brackets hold nothing, and nothing is wrong with them."""
    tail, places = read(HEADER + scan.CLOSING)
    assert (tail, places) == (scan.Tail(len(HEADER), 1, 0, closed=True), {})


def test_goes_on_where_it_was() -> None:
    """What was appended since is found from the tail on, without reading what came before."""
    file = io.BytesIO(FILE)
    tail = scan.Tail(FILE.index(A) + len(A), 2, 1, closed=True, last=A)
    found: list[bytes] = []
    after = scan.scan(file, PATH, tail, lambda *record: found.append(record[0]))
    assert found == [b"v1:b", b"v1:c"]
    assert after == read(FILE)[0]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(FILE.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(FILE.rstrip(), id="no line end at the end"),
        pytest.param(FILE + b"\n \n", id="blank lines at the end"),
        pytest.param(FILE.replace(b"\n{", b"\n\n{"), id="blank lines between"),
        pytest.param(FILE.replace(b",\n", b", \n"), id="spaces after the comma"),
        pytest.param(FILE.replace(b'": ', b'":').replace(b'", "', b'","'), id="no spaces"),
        pytest.param(b"\xef\xbb\xbf" + FILE, id="a byte order mark"),
    ],
)
def test_layouts_that_are_read(data: bytes) -> None:
    """What editors and git do to line ends and blanks does no harm."""
    tail, places = read(data)
    assert set(places) == {b"v1:a#0", b"v1:b#12", b"v1:c#null"}
    assert (tail.records, tail.closed) == (3, True)
    assert data[: tail.end].endswith(b"}}")


DAMAGE = [
    pytest.param(FILE.replace(b"},\n", b"}\n", 1), 2, "no comma after", id="a comma is missing"),
    pytest.param(FILE.replace(b"}\n]", b"},\n]"), 4, "comma follows the last", id="one too many"),
    pytest.param(FILE + b"x", 6, "text after the end", id="text after the end"),
    pytest.param(FILE + FILE, 6, "text after the end", id="the file twice"),
    pytest.param(FILE.replace(B, B[:-9]), 3, "not whole", id="a broken line in the middle"),
    pytest.param(FILE.replace(B, b"{}"), 3, "not a record", id="another object in the middle"),
    pytest.param(FILE.replace(B, b"\x00" * 9), 3, "not a record", id="zeros in the middle"),
    pytest.param(FILE.replace(A, b"<<<<<<< ours"), 2, "merge conflict", id="conflict: ours"),
    pytest.param(FILE.replace(B, b"======="), 3, "merge conflict", id="conflict: between"),
    pytest.param(FILE.replace(B, b"||||||| base"), 3, "merge conflict", id="conflict: base"),
    pytest.param(FILE.replace(C, b">>>>>>> theirs"), 4, "merge conflict", id="conflict: theirs"),
    pytest.param(FILE[:-4] + b"\n>>>>>>> x", 5, "merge conflict", id="conflict: the last line"),
    pytest.param(b"<<<<<<< x\n" + FILE, 1, "merge conflict", id="conflict: the first line"),
    pytest.param(FILE[9:], 1, "not the first line", id="a broken first line"),
    pytest.param(b"\n" + FILE, 1, "laid the file out anew", id="a blank first line"),
    pytest.param(b"a,b\n1,2\n", 1, "not the first line", id="CSV"),
    pytest.param(b"\x00" * 100, 1, "not the first line", id="zeros"),
    pytest.param(FILE.decode().encode("utf-16"), 1, "laid the file out", id="UTF-16"),
    pytest.param(FILE.replace(b"\n", b""), 1, "laid the file out anew", id="all in one line"),
    pytest.param(FILE.replace(b"[\n{", b"[{"), 1, "", id="a record in the first line"),
    pytest.param(HEADER + A + scan.CLOSING, 1, "laid the file out", id="the only one there"),
    pytest.param(FILE.replace(b": 1,", b': "1",'), 1, "not a number", id="a version in quotes"),
    pytest.param(FILE.replace(b": 1,", b": true,"), 1, "not a number", id="a version that is true"),
    pytest.param(FILE.replace(b": 1,", b": null,"), 1, "not a number", id="no version"),
]


@pytest.mark.parametrize(("data", "line", "words"), DAMAGE)
def test_damage_is_named(data: bytes, line: int, words: str) -> None:
    """What no crash can leave is an error that names the line and what is wrong there."""
    with pytest.raises(DialogueDamaged) as caught:
        read(data)
    assert caught.value.line == line
    assert words in caught.value.what


@pytest.mark.parametrize(
    "layout",
    [{}, {"indent": 2}, {"separators": (",", ":")}, {"sort_keys": True}],
    ids=["json.dump", "indented", "compact", "sorted"],
)
def test_laid_out_anew(layout: dict[str, object]) -> None:
    """A file that another tool has formatted is told from one that is damaged."""
    data = json.dumps(json.loads(FILE), **layout).encode()  # type: ignore[arg-type]
    with pytest.raises(DialogueDamaged, match="another tool has laid the file out anew"):
        read(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b'{"cells": [], "nbformat": 4}', "is a notebook", id="a notebook"),
        pytest.param(
            b'{\n "cells": [],\n "nbformat": 4\n}\n', "is a notebook", id="as it is saved"
        ),
        pytest.param(b"{}", "JSON, but not a dialogue file", id="an empty object"),
        pytest.param(b"[1, 2]", "JSON, but not a dialogue file", id="a list"),
        pytest.param(b"null", "JSON, but not a dialogue file", id="null"),
        pytest.param(b'{"a": {"exchanges": [\n]}}', "JSON, but not", id="something like it"),
        pytest.param(
            FILE.replace(b"openai_magics", b"other"), "JSON, but not", id="another format"
        ),
    ],
)
def test_foreign_json(data: bytes, words: str) -> None:
    """A file of somebody else is said to be what it is, and is not called damaged."""
    with pytest.raises(DialogueError, match=words) as caught:
        read(data)
    assert not isinstance(caught.value, DialogueDamaged)


@pytest.mark.parametrize("version", [b"2", b"2.0", b"17", b"1e9"])
def test_newer_version(version: bytes) -> None:
    """A file of a newer format says which, and what reads it."""
    with pytest.raises(DialogueTooNew, match="pip install --upgrade openai_magics"):
        read(FILE.replace(b": 1,", b": " + version + b",", 1))


@pytest.mark.parametrize("version", [b"1.0", b"1.1", b"1.99"])
def test_minor_versions_are_read(version: bytes) -> None:
    """A newer minor version only adds fields: it is read, unknown header fields and all."""
    head = b": " + version + b', "judge": {"a": [1]},'
    assert read(FILE.replace(b": 1,", head, 1))[0].records == 3


@pytest.mark.parametrize("cut", [b"", b" ", b"{", HEADER[:9], HEADER[:-20], HEADER[:-1]])
def test_a_header_that_is_cut_off(cut: bytes) -> None:
    """What a crash leaves of a first line is nothing yet: the file begins anew."""
    assert scan.begin(io.BytesIO(cut), PATH) == scan.Tail(end=0, line=0, cut=cut)


@pytest.mark.parametrize(
    ("line", "slot"),
    [
        (A, b"v1:a#0"),
        (C, b"v1:c#null"),
        (b'{"fingerprint":"v1:a","occurrence":3}', b"v1:a#3"),
        (b'{"fingerprint": "v1:a"}', None),
        (b' {"fingerprint": "v1:a", "occurrence": 3}', None),
        (b'{"fingerprint": "v1:a", "occurrence": -1}', None),
        (b"", None),
    ],
)
def test_slot(line: bytes, slot: bytes | None) -> None:
    """The beginning of a line tells which slot it records."""
    assert scan.slot(line) == slot


def test_does_not_go_on_in_another_file() -> None:
    """A place that was right before the file was replaced is noticed, though a line ends there."""
    tail = scan.Tail(FILE.index(A) + len(A), 2, 1, closed=True, last=A)
    other = FILE.replace(b"v1:a", b"v1:x")
    with pytest.raises(DialogueDamaged, match="not what it was"):
        scan.scan(io.BytesIO(other), PATH, tail, lambda *_: None)


def test_blank_lines_are_counted() -> None:
    """The line of the last record is its line in an editor."""
    assert read(FILE.replace(b"\n", b"\n\n"))[0].line == 7


def test_a_record_cut_after_an_inner_brace() -> None:
    """A last line that only looks whole is not taken for a record."""
    tail, _ = read(HEADER + b"\n" + A + b",\n" + B[:-1])
    assert (tail.records, tail.closed, tail.cut) == (1, False, B[:-1])


def test_closing_brackets_that_are_missing() -> None:
    """A crash between two writes leaves a whole last record; it counts."""
    tail, places = read(FILE.removesuffix(scan.CLOSING))
    assert (tail.records, tail.closed, tail.cut, len(places)) == (3, False, b"", 3)
