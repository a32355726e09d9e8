"""Damaged dialogue files: what is kept, what is said, and that the file as it was is put aside."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openai_magics import entries, salvage
from openai_magics.__main__ import main
from openai_magics.dialogue import DialogueFile, record_line
from openai_magics.errors import (
    DialogueDamaged,
    DialogueError,
    DialogueTooNew,
    DialogueUnwritable,
)
from openai_magics.exchange import Exchange, Reply, Request
from openai_magics.repair import Repaired, drop, repair
from openai_magics.scan import CLOSING, header

NOON = "2024-05-01T12:00:00.000+00:00"
HEADER = header("analysis.ipynb")


def asked(
    question: str,
    answer: str | None = None,
    *,
    parent: Exchange | str | None = None,
    at: str = NOON,
    occurrence: int | None = 0,
    **extra: Any,
) -> Exchange:
    """Return a record; *at* is when it was made, ``"12:30"`` on the first of May or in full."""
    return Exchange(
        Request(
            messages=({"role": "user", "content": question},),
            parent=parent.id if isinstance(parent, Exchange) else parent,
        ),
        Reply(text=answer or f"Answer to “{question}”: {{}} [\\] \n=======", finish_reason="stop"),
        occurrence=occurrence,
        conversation="main",
        created=f"2024-05-01T{at}:00.000+00:00" if len(at) == 5 else at,
        extra=extra,
    )


def line(exchange: Exchange) -> bytes:
    """Return a record's line."""
    return record_line(exchange)


def whole(*exchanges: Exchange, first: bytes = HEADER) -> bytes:
    """Return the bytes of a healthy dialogue file."""
    return first + b"\n" * bool(exchanges) + b",\n".join(map(line, exchanges)) + CLOSING


def conflict(
    ours: bytes, theirs: bytes, base: bytes | None = None, size: int = 7, end: bytes = b"\n"
) -> bytes:
    """Return a merge conflict as git writes it."""
    middle = b"" if base is None else b"|" * size + b" 1234567" + end + base
    first, last = b"<" * size + b" HEAD" + end, b">" * size + b" topic/one" + end
    return first + ours + middle + b"=" * size + end + theirs + last


def questions(path: Path) -> list[str]:
    """Return what is asked in a file, in its order, as a dialogue file reads it."""
    return [str(item.request.messages[0]["content"]) for item in DialogueFile(path)]


def answer(path: Path, exchange: Exchange) -> str:
    """Return what a replay gives for the slot of a record."""
    found = DialogueFile(path).get(exchange.fingerprint, exchange.occurrence or 0)
    assert found is not None
    assert found.reply is not None
    return found.reply.text


def beside(path: Path) -> list[str]:
    """Return the names of the other files in the folder."""
    return sorted(item.name for item in path.parent.iterdir() if item != path)


def sound(path: Path, before: bytes, done: Repaired) -> None:
    """Check what holds after every repair."""
    assert done.mended
    assert done.set_aside is not None
    assert done.set_aside.read_bytes() == before
    held = path.read_bytes()
    document = json.loads(held)
    assert document["format"] == "openai_magics.dialogue"
    assert len(document["exchanges"]) == done.kept
    assert held.count(b"\n") == done.kept + 2
    assert repair(path) == Repaired(path, None, done.kept), "a mended file is healthy"
    assert path.read_bytes() == held
    assert bool(done.lost) == (done.rescued is not None)
    names = {done.set_aside.name, *([done.rescued.name] if done.rescued else [])}
    assert set(beside(path)) == names


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the dialogue file of these tests is."""
    return tmp_path / "analysis.dialogue.json"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Do not wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return


ONE, TWO, THREE = asked("one"), asked("two", at="12:01"), asked("three", at="12:02")


@pytest.mark.parametrize(
    "held",
    [
        pytest.param(whole(ONE, TWO, THREE), id="three records"),
        pytest.param(whole(), id="no record"),
        pytest.param(b"", id="nothing at all"),
        pytest.param(whole(ONE, ONE), id="an answer given twice"),
        pytest.param(whole(TWO, ONE, asked("x", parent="f" * 64)), id="any order"),
        pytest.param(
            whole(ONE, first=b'{"format":"openai_magics.dialogue","version":1.5,"exchanges":['),
            id="another's header",
        ),
        pytest.param(whole(asked("x", newer={"a": [1.0, "é"]})), id="fields of a newer version"),
        pytest.param(whole(asked("\ud800 lone"), asked("\u2028 \x7f")), id="odd characters"),
    ],
)
def test_a_healthy_file_is_left_as_it_is(path: Path, held: bytes) -> None:
    """Not a byte and not a time changes, nothing is put beside it, and that is said."""
    path.write_bytes(held)
    before = path.stat().st_mtime_ns, path.stat().st_ino
    done = repair(path)
    assert (done.set_aside, done.mended, done.lost, done.rescued) == (None, (), (), None)
    assert done.kept == held.count(b'"fingerprint"')
    assert path.read_bytes() == held
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
    assert beside(path) == []


@pytest.mark.usefixtures("quick")
def test_cut_at_every_byte(path: Path) -> None:
    """Every record that is whole is kept; the one that is not is in the rescued file."""
    held = whole(ONE, TWO, THREE)
    ends, at = [], len(HEADER) + 1
    for item in (ONE, TWO, THREE):
        ends.append(at + len(line(item)))
        at = ends[-1] + 2
    for cut in range(1, len(held)):
        path.write_bytes(held[:cut])
        done = repair(path)
        whole_ones = sum(end <= cut for end in ends)
        assert done.kept == whole_ones == len(DialogueFile(path)), cut
        if cut > len(HEADER):
            rest = held[(ends[whole_ones - 1] if whole_ones else len(HEADER)) : cut]
            assert bool(done.lost) == (len(rest.strip(b"\n,{]}")) > 0), cut
        if done.rescued:
            assert done.rescued.read_bytes() == held[:cut].split(b"\n")[-1], cut
        sound(path, held[:cut], done)
        for item in path.parent.iterdir():
            item.unlink()


def indented(*exchanges: Exchange, **layout: Any) -> bytes:
    """Return the file as another tool lays it out."""
    return json.dumps(json.loads(whole(*exchanges)), **layout).encode()


def other_order(exchange: Exchange) -> bytes:
    """Return a record's line with its fields sorted."""
    return json.dumps(exchange.to_record(), sort_keys=True).encode()


A, B, C = line(ONE), line(TWO), line(THREE)
EVERY = ["one", "two", "three"]
DAMAGES = {
    "a comma is missing": (HEADER, A, B + b",", C, b"]}", EVERY, "after line 2", 0),
    "two commas are missing": (HEADER, A, B, C, b"]}", EVERY, "after lines 2, 3.", 0),
    "a comma after the last": (HEADER, A + b",", B + b",", C + b",", b"]}", EVERY, "too many", 0),
    "commas in doubles": (HEADER, A + b",,", B + b" ,", C, b"]}", EVERY, "put right", 0),
    "commas first": (HEADER, A, b", " + B, b"," + C, b"]}", EVERY, "comma", 0),
    "a lone comma": (HEADER, A, b",", B + b",", C, b"]}", EVERY, "", 0),
    "Windows line ends": (whole(ONE, TWO, THREE).replace(b"\n", b"\r\n"), EVERY, "Windows", 0),
    "a byte order mark": (b"\xef\xbb\xbf" + whole(ONE, TWO, THREE), EVERY, "byte order", 0),
    "no brackets": (HEADER, A + b",", B + b",", C, EVERY, "closing", 0),
    "half the brackets": (HEADER, A + b",", B + b",", C, b"]", EVERY, "", 0),
    "brackets apart": (HEADER, A + b",", B + b",", C, b"]", b"}", EVERY, "", 0),
    "brackets in the last line": (HEADER, A + b",", B + b",", C + b"]}", EVERY, "", 0),
    "records after the end": (whole(ONE, TWO) + C, EVERY, "after the end", 0),
    "text after the end": (whole(ONE, TWO, THREE) + b"and so on\n", EVERY, "line 6", 1),
    "blank lines": (HEADER, b"", A + b",", b" ", B + b",", C, b"]}", b"", EVERY, "Blank", 0),
    "indented lines": (HEADER, b"  " + A + b",", b"\t" + B + b",", C, b"]}", EVERY, "", 0),
    "two in a line": (HEADER, A + b"," + B + b",", C, b"]}", EVERY, "ran together", 0),
    "two in a line, no comma": (HEADER, A + B + b",", C, b"]}", EVERY, "ran together", 0),
    "half a record before one": (HEADER, A + b",", A[:200] + B + b",", C, EVERY, "line 3", 1),
    "a record broken apart": (
        HEADER,
        A + b",",
        *B.replace(b", ", b",\n").split(b"\n"),
        b",",
        C,
        b"]}",
        None,
        "",
        0,
    ),
    "a record indented": (
        *(HEADER, A + b",", json.dumps(TWO.to_record(), indent=4).encode() + b",", C, b"]}"),
        *(EVERY, "broken apart at line 3", 0),
    ),
    "a broken record": (HEADER, A + b",", B[:-9] + b",", C, b"]}", ["one", "three"], "line 3", 1),
    "a broken string": (
        *(HEADER, A + b",", B.replace(b"two", b'tw"o') + b",", C, b"]}"),
        *(["one", "three"], "cannot be read", 1),
    ),
    "a line end in a string": (
        *(HEADER, A + b",", B.replace(b"two", b"t\nwo") + b",", C, b"]}"),
        *(["one", "three"], "lines 3, 4, 5", 3),
    ),
    "a byte that is not UTF-8": (
        *(HEADER, A + b",", B.replace(b"two", b"tw\xff") + b",", C, b"]}"),
        *(["one", "three"], "line 3", 1),
    ),
    "zeros, as a crash leaves": (
        *(HEADER, A + b",", B + b",", C, b"]}", b"\0" * 700),
        *(EVERY, "line 6", 1),
    ),
    "not a record": (HEADER, A + b",", b'{"a": 1},', B + b",", C, b"]}", EVERY, "line 3", 1),
    "a record without its id": (
        *(
            HEADER,
            A + b",",
            b'{"fingerprint": "v1:0", "occurrence": 0, "kind": "ask", "request": {}},',
        ),
        *(B + b",", C, b"]}", EVERY, "line 3", 1),
    ),
    "a number that cannot be": (
        *(HEADER, A + b",", B.replace(b'"parameters": {}', b'"parameters": {"t": NaN}') + b","),
        *(C, b"]}", ["one", "three"], "line 3", 1),
    ),
    "nested too deeply": (HEADER, A + b",", b"[" * 99999 + b",", B + b",", C, b"]}", EVERY, "", 0),
    "no first line": (A + b",", B + b",", C, b"]}", EVERY, "first line", 0),
    "nothing but records": (A, B, C, EVERY, "first line", 0),
    "half a first line": (HEADER[:-16], A + b",", B + b",", C, b"]}", EVERY, "first line", 0),
    "a first line without its bracket": (HEADER[:-1], A + b",", B + b",", C, EVERY, "first", 0),
    "another word in it": (
        *(HEADER.replace(b': "openai', b": openai"), A + b",", B + b",", C, b"]}"),
        *(EVERY, "first line", 1),
    ),
    "a record in the first line": (HEADER + A + b",", B + b",", C, b"]}", EVERY, "", 0),
    "its version is no number": (
        *(HEADER.replace(b": 1,", b': "1",'), A + b",", B + b",", C, b"]}"),
        *(EVERY, "first line", 0),
    ),
    "fields in another order": (
        *(HEADER, A + b",", other_order(TWO) + b",", C, b"]}"),
        *(EVERY, "fields of the record at line 3", 0),
    ),
    "indented": (indented(ONE, TWO, THREE, indent=2), EVERY, "laid the file out anew", 0),
    "indented and sorted": (indented(ONE, TWO, THREE, indent=1, sort_keys=True), EVERY, "laid", 0),
    "in one line": (indented(ONE, TWO, THREE), EVERY, "laid", 0),
    "in one line, empty": (indented(), [], "laid", 0),
    "indented and cut": (indented(ONE, TWO, THREE, indent=2)[:-400], EVERY[:2], "apart", None),
    "one line and cut": (indented(ONE, TWO, THREE)[:-400], EVERY[:2], "apart", 1),
    "indented, with a comma too many": (
        *(indented(ONE, TWO, THREE, indent=2).replace(b"null\n", b"null,\n", 1),),
        *(["two", "three"], "apart", None),
    ),
    "two files in one": (whole(ONE, TWO) + whole(TWO, THREE), EVERY, "Several dialogue files", 0),
    "two files in one line": (
        *(indented(ONE, TWO) + indented(THREE),),
        *(EVERY, "apart", 0),
    ),
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", DAMAGES)
def test_damages(path: Path, name: str) -> None:
    """Each whole record is kept in its order; what cannot be read is set aside as it was, and said."""
    *parts, expected, said, lost = DAMAGES[name]
    before = b"\n".join(parts) if len(parts) > 1 else parts[0]  # type: ignore[arg-type]
    path.write_bytes(before)
    done = repair(path)
    assert questions(path) == (expected if expected is not None else EVERY), done
    assert said in " ".join(done.mended), done.mended
    if lost is not None:
        assert len(done.lost) == lost, done
    if done.rescued:
        lines = before.splitlines(keepends=True)
        assert done.rescued.read_bytes() == b"".join(lines[number - 1] for number in done.lost)
    sound(path, before, done)


def test_what_parses_keeps_its_bytes(path: Path) -> None:
    """The lines beside a broken one stay byte by byte: odd spaces, fields that are not known."""
    odd = A.replace(b'"id": ', b'"id" :  ').replace(b'"cell": null', b'"cell":null,"newer":1.50')
    path.write_bytes(b"\n".join((HEADER, odd + b",", B[:50] + b",", C, b"]}", b"")))
    repair(path)
    assert path.read_bytes() == b"\n".join((HEADER, odd + b",", C, b"]}", b""))


def test_a_layout_keeps_what_is_not_known(path: Path) -> None:
    """A file laid out anew gets the order of its fields back; unknown ones are kept, last."""
    known, newer = asked("x"), asked("y", newer={"z": 1, "a": [1.5, None]})
    held = whole(known, newer, first=HEADER[:-16] + b', "theirs": 2, "exchanges": [')
    path.write_bytes(json.dumps(json.loads(held), indent=3, sort_keys=True).encode())
    repair(path)
    restored = json.loads(path.read_bytes())["exchanges"]
    for record, exchange in zip(restored, (known, newer), strict=True):
        assert list(record) == list(exchange.to_record())
        assert list(record["reply"]) == list(exchange.to_record()["reply"])
    assert json.loads(path.read_bytes()) == json.loads(held)
    assert list(DialogueFile(path))[1].extra == {"newer": {"z": 1, "a": [1.5, None]}}
    assert b'"theirs": 2' in path.read_bytes().split(b"\n")[0]


def test_the_notebook_in_a_first_line_made_anew(path: Path) -> None:
    """Its name is what is left of the line says, else that of the notebook that is there."""
    path.write_bytes(HEADER[:-3].replace(b"analysis", b"before") + b"\n" + A)
    repair(path)
    assert json.loads(path.read_bytes())["notebook"] == "before.ipynb"
    path.write_bytes(A)
    repair(path)
    assert json.loads(path.read_bytes())["notebook"] is None
    path.with_name("analysis.ipynb").write_text("{}")
    path.write_bytes(A)
    repair(path)
    assert json.loads(path.read_bytes())["notebook"] == "analysis.ipynb"


# --- merge conflicts ---------------------------------------------------------------------


def conflicted(path: Path, *parts: bytes) -> Repaired:
    """Write a file of these parts, repair it and check it."""
    before = b"".join(parts)
    path.write_bytes(before)
    with pytest.raises(DialogueDamaged):
        len(DialogueFile(path))
    done = repair(path)
    sound(path, before, done)
    return done


def text(*exchanges: Exchange) -> bytes:
    """Return lines as they stand at the end of a file."""
    return b",\n".join(map(line, exchanges)) + b"\n"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["plain", "Windows"])
@pytest.mark.parametrize("base", [None, text(ONE)], ids=["merge", "diff3"])
def test_both_sides_of_a_conflict_are_kept(path: Path, base: bytes | None, end: bytes) -> None:
    """Ours come first, then theirs; what both have stands once; the base's part is passed over."""
    old, ours, theirs = asked("old"), asked("ours"), asked("theirs")
    marked = conflict(text(ONE, ours), text(ONE, theirs), base)
    held = HEADER + b"\n" + line(old) + b",\n" + marked + b"]}\n"
    done = conflicted(path, held.replace(b"\n", end))
    assert questions(path) == ["old", "one", "ours", "theirs"]
    assert done.mended[0] == "Both sides of the merge conflict at line 3 are kept."
    assert "1 record that stood on both sides: kept once." in done.mended
    assert done.lost == ()


@pytest.mark.usefixtures("quick")
def test_several_conflicts(path: Path) -> None:
    """Each is mended, and all are named."""
    parts = [
        conflict(text(asked(f"a{n}")), text(asked(f"b{n}"))) + line(asked(f"c{n}")) + b",\n"
        for n in range(7)
    ]
    done = conflicted(path, HEADER, b"\n", *parts, b"]}\n")
    assert questions(path) == [f"{side}{n}" for n in range(7) for side in "abc"]
    assert "lines 2, 8, 14, 20, 26 and 2 more" in done.mended[0]


@pytest.mark.usefixtures("quick")
def test_a_conflict_in_the_first_line(path: Path) -> None:
    """Two branches that each began the file, for a notebook renamed on one: our first line stands."""
    ours, theirs = whole(ONE, TWO), whole(ONE, THREE, first=header("renamed.ipynb"))
    conflicted(path, conflict(ours, theirs))
    assert questions(path) == EVERY
    assert json.loads(path.read_bytes())["notebook"] == "analysis.ipynb"


@pytest.mark.usefixtures("quick")
def test_a_conflict_in_a_conflict(path: Path) -> None:
    """Markers that were committed and merged again: all three sides are kept, each once."""
    a, b, c = asked("a"), asked("b"), asked("c")
    inner = conflict(text(ONE, a), text(ONE, b))
    done = conflicted(path, HEADER, b"\n", conflict(inner, text(ONE, c)), b"]}\n")
    assert questions(path) == ["one", "a", "b", "c"]
    assert done.lost == ()


@pytest.mark.usefixtures("quick")
def test_a_conflict_in_the_base_of_a_conflict(path: Path) -> None:
    """Criss-cross merges mark the base's own conflict with longer markers: it is passed over."""
    base = conflict(text(asked("x")), text(asked("y")), text(asked("z")), size=9)
    conflicted(path, HEADER, b"\n", conflict(text(ONE), text(TWO), base), b"]}\n")
    assert questions(path) == ["one", "two"]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("gone", range(3))
def test_markers_of_which_one_is_gone(path: Path, gone: int) -> None:
    """Somebody began to resolve by hand: every record that is there is kept."""
    lines = conflict(text(ONE), text(TWO)).splitlines(keepends=True)
    del lines[gone * 2]
    conflicted(path, HEADER, b"\n", *lines, line(THREE), b"\n]}\n")
    assert questions(path) == EVERY


@pytest.mark.usefixtures("quick")
def test_a_conflict_in_a_file_laid_out_anew(path: Path) -> None:
    """Both branches have an indented file, and git marks the middle of records."""
    ours, theirs = (indented(ONE, item, indent=2) for item in (TWO, THREE))
    (path.parent / "ours").write_bytes(ours)
    (path.parent / "theirs").write_bytes(theirs)
    (path.parent / "base").write_bytes(indented(ONE, indent=2))
    command = ["git", "merge-file", "-p", "ours", "base", "theirs"]
    merged = subprocess.run(command, cwd=path.parent, stdout=subprocess.PIPE, check=False).stdout
    for name in ("ours", "theirs", "base"):
        (path.parent / name).unlink()
    assert b"<<<<<<<" in merged
    done = conflicted(path, merged)
    assert questions(path) == EVERY
    assert "laid the file out anew" in " ".join(done.mended)


@pytest.mark.usefixtures("quick")
def test_a_conflict_with_a_file_laid_out_anew(path: Path) -> None:
    """Only our branch has indented it: theirs stays as it stands, ours is a record a line again."""
    done = conflicted(path, conflict(indented(ONE, TWO, indent=2) + b"\n", whole(ONE, THREE)))
    assert questions(path) == EVERY
    assert done.lost == ()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("ours", "theirs", "wins"),
    [
        pytest.param("13:00", "14:00", "theirs", id="theirs is later"),
        pytest.param("14:00", "13:00", "ours", id="ours is later"),
        pytest.param("13:00", "13:00", "theirs", id="a tie"),
        pytest.param("", "13:00", "theirs", id="no time of ours"),
        pytest.param("14:00", "yesterday", "theirs", id="no time of theirs"),
        pytest.param(
            "2024-05-01T15:00:00+02:00", "2024-05-01T14:00:00Z", "theirs", id="time zones"
        ),
        pytest.param("2024-05-01T15:00:00", "2024-05-01T14:00:00Z", "ours", id="no zone is UTC"),
    ],
)
def test_a_slot_answered_on_both_sides(path: Path, ours: str, theirs: str, wins: str) -> None:
    """Both answers are kept, the later in time is the later in the file and is replayed, and it is said."""
    mine, other = asked("q", "ours", at=ours), asked("q", "theirs", at=theirs)
    done = conflicted(path, HEADER, b"\n", conflict(text(ONE, mine), text(ONE, other)), b"]}\n")
    assert len(DialogueFile(path)) == 3
    assert answer(path, mine) == wins
    assert "1 request answered on both sides" in " ".join(done.mended)


@pytest.mark.usefixtures("quick")
def test_a_clock_that_ran_backwards_decides_nothing(path: Path) -> None:
    """Ours says it is later, but its slot's earlier answer says later still: theirs comes last."""
    old = asked("q", "old", at="18:00")
    mine, other = asked("q", "ours", at="14:00"), asked("q", "theirs", at="13:00")
    conflicted(path, HEADER, b"\n", conflict(text(old, mine), text(old, other)), b"]}\n")
    assert answer(path, mine) == "theirs"


@pytest.mark.usefixtures("quick")
def test_an_answer_earlier_than_its_parent_decides_nothing(path: Path) -> None:
    """The same, told by the turn before."""
    first = asked("first", at="18:00")
    mine = asked("q", "ours", at="14:00", parent=first)
    other = asked("q", "theirs", at="13:00", parent=first)
    conflicted(path, HEADER, b"\n", conflict(text(first, mine), text(first, other)), b"]}\n")
    assert answer(path, mine) == "theirs"


@pytest.mark.usefixtures("quick")
def test_a_side_that_has_gone_on_is_ahead_whatever_the_clocks_say(path: Path) -> None:
    """Theirs asked anew after the answer that ours ends with: no contest."""
    old, new = asked("q", "old", at="14:00"), asked("q", "new", at="13:00")
    done = conflicted(path, HEADER, b"\n", conflict(text(old, ONE), text(old, new)), b"]}\n")
    assert answer(path, old) == "new"
    assert "both sides:" in " ".join(done.mended)
    assert "answered on both sides" not in " ".join(done.mended)


@pytest.mark.usefixtures("quick")
def test_the_same_answer_on_both_sides_stands_once(path: Path) -> None:
    """Both asked, at other times, and were answered the same: one record, the first side's."""
    mine, other = asked("q", "same", at="13:00"), asked("q", "same", at="14:00")
    conflicted(path, HEADER, b"\n", conflict(text(mine), text(other)), b"]}\n")
    assert [item.created for item in DialogueFile(path)] == [mine.created]


@pytest.mark.usefixtures("quick")
def test_an_answer_given_again_stands_as_often_as_one_side_has_it(path: Path) -> None:
    """Theirs asked anew and got its first answer again, after another: that is its answer."""
    first, second = asked("q", "first", at="12:00"), asked("q", "second", at="12:10")
    again = asked("q", "first", at="12:20")
    conflicted(
        path, HEADER, b"\n", conflict(text(first, second), text(first, second, again)), b"]}\n"
    )
    assert len(DialogueFile(path)) == 3
    assert answer(path, first) == "first"


@pytest.mark.usefixtures("quick")
def test_records_with_one_id_that_say_something_else_are_both_kept(path: Path) -> None:
    """Somebody edited an answer by hand: nothing that was said is lost."""
    edited = line(ONE).replace(b"Answer to", b"Reply to")
    conflicted(path, HEADER, b"\n", conflict(text(ONE, TWO), edited + b"\n"), b"]}\n")
    assert questions(path) == ["one", "two", "one"]


@pytest.mark.usefixtures("quick")
def test_parents_come_before_their_children(path: Path) -> None:
    """Also where the answer they follow is moved behind theirs; a missing parent hinders nobody."""
    mine, other = asked("q", "ours", at="15:00"), asked("q", "theirs", at="14:00")
    below, below_theirs = asked("below ours", parent=mine), asked("below theirs", parent=other)
    lost = asked("of no known turn", parent="0" * 64)
    sides = conflict(text(mine, below, lost), text(other, below_theirs))
    conflicted(path, HEADER, b"\n", sides, b"]}\n")
    order = [item.id for item in DialogueFile(path)]
    assert order.index(mine.id) < order.index(below.id)
    assert order.index(other.id) < order.index(below_theirs.id) < len(order)
    assert answer(path, mine) == "ours"
    assert len(order) == 5


@pytest.mark.usefixtures("quick")
def test_records_that_follow_one_another_in_a_circle(path: Path) -> None:
    """No file of ours has them; they are kept in their order all the same."""

    def record(name: str, parent: str) -> bytes:
        return (
            line(ONE)
            .replace(ONE.id.encode(), name.encode())
            .replace(b'"parent": null', b'"parent": "%s"' % parent.encode())
        )

    sides = conflict(record("a", "b") + b",\n" + record("b", "a") + b"\n", record("c", "c") + b"\n")
    conflicted(path, HEADER, b"\n", sides, b"]}\n")
    ids = [record["id"] for record in json.loads(path.read_bytes())["exchanges"]]
    assert ids == ["a", "b", "c"]


# --- what is no dialogue file --------------------------------------------------------------

NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
FOREIGN = {
    "a notebook": ("a.ipynb", json.dumps(NOTEBOOK, indent=1).encode(), "is a notebook"),
    "a notebook with our name": ("a.dialogue.json", json.dumps(NOTEBOOK).encode(), "is a notebook"),
    "a notebook in a conflict": (
        *(
            "a.ipynb",
            conflict(*(json.dumps(NOTEBOOK).encode() + b"\n" for _ in "ab")),
        ),
        *("notebook",),
    ),
    "a broken notebook with a record in it": ("a.ipynb", b'{"cells": [\n' + A + b"\n]", "notebook"),
    "other JSON": ("a.json", b'{"a": 1}', "not a dialogue file"),
    "other JSON, broken": ("a.json", b'{\n  "version": 2,,\n}\n', "not a dialogue file"),
    "half a brace": ("a.json", b"{\n", "not a dialogue file"),
    "a list": ("a.json", b"[1, 2]", "not a dialogue file"),
    "other lines of JSON": ("a.json", b'{"a": 1}\n{"a": 2}\n', "not a dialogue file"),
    "text": ("a.md", b"# Read me\n\n```\n" + whole(ONE) + b"```\n", "not a dialogue file"),
    "a picture": ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "not a dialogue file"),
    "zeros": ("a.json", b"\0" * 5000, "not a dialogue file"),
    "conflict markers and no more": ("a.json", conflict(b"a\n", b"b\n"), "not a dialogue file"),
    "UTF-16": ("a.json", whole(ONE).decode().encode("utf-16"), "not a dialogue file"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_dialogue_is_refused(tmp_path: Path, name: str) -> None:
    """It is left alone, and the message says what it is and what to name instead."""
    file, held, said = FOREIGN[name]
    path = tmp_path / file
    path.write_bytes(held)
    with pytest.raises(DialogueError, match=said) as failed:
        repair(path)
    assert failed.value.remedy
    assert len(str(failed.value).splitlines()) == 2
    assert path.read_bytes() == held
    assert beside(path) == []


def test_a_source_file_that_shows_the_format_is_refused() -> None:
    """The format's own description begins a line as the format does."""
    from openai_magics import dialogue

    with pytest.raises(DialogueError, match="not a dialogue"):
        repair(dialogue.__file__, dry_run=True)


def test_a_first_line_that_is_too_long(path: Path) -> None:
    """Another tool's field of 100 kB beside the records cannot be kept, so nothing is changed."""
    held = json.dumps({**json.loads(whole(ONE)), "theirs": "x" * 100_000}, indent=1).encode()
    path.write_bytes(held)
    with pytest.raises(DialogueError, match="too much beside its records"):
        repair(path)
    assert path.read_bytes() == held


def test_a_folder_and_nothing(tmp_path: Path) -> None:
    """Neither can be repaired, and neither is made."""
    with pytest.raises(DialogueError, match="is a folder"):
        repair(tmp_path)
    with pytest.raises(DialogueError, match="is not there"):
        repair(tmp_path / "no.dialogue.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "held",
    [
        pytest.param(whole(ONE, first=HEADER.replace(b": 1,", b": 2,")), id="healthy"),
        pytest.param(HEADER.replace(b": 1,", b": 2,") + b"\n" + A[:99], id="cut"),
        pytest.param(HEADER.replace(b": 1,", b": 2,")[:-9] + b"\n" + A, id="a damaged first line"),
        pytest.param(indented(ONE, indent=2).replace(b": 1,", b": 2,", 1), id="laid out anew"),
        pytest.param(
            conflict(whole(ONE), whole(TWO, first=HEADER.replace(b": 1,", b": 2,"))),
            id="one side of a conflict",
        ),
    ],
)
def test_a_newer_version_is_refused(path: Path, held: bytes) -> None:
    """What it means is not known here, so nothing is changed."""
    path.write_bytes(held)
    with pytest.raises(DialogueTooNew, match="version 2"):
        repair(path)
    assert path.read_bytes() == held
    assert beside(path) == []


# --- large files ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "held",
    [
        pytest.param(whole(ONE, TWO) + b"x" * 90000, id="one long line"),
        pytest.param(whole(ONE, TWO) + b"x\n" * 45000, id="many lines"),
        pytest.param(indented(*[ONE] * 120, indent=2), id="laid out anew"),
        pytest.param(indented(*[ONE] * 120), id="in one line"),
    ],
)
def test_too_much_in_one_piece(path: Path, held: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are read one by one; what cannot be, and is too large to be held, is said to be so."""
    monkeypatch.setattr(salvage, "LARGEST", 80000)
    monkeypatch.setattr(salvage, "MOST", 40000)
    path.write_bytes(held)
    with pytest.raises(DialogueError, match="no record begins in the next"):
        repair(path)
    assert path.read_bytes() == held
    assert beside(path) == []


def limited(*arguments: str, memory: int = 0, size: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command of ours in little memory, or where files cannot grow."""

    def limit() -> None:
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        if size:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return subprocess.run(
        [sys.executable, "-m", "openai_magics", *arguments],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )


def test_a_gigabyte_in_little_memory(path: Path) -> None:
    """A file of 1 GB that is not lines gives a message, not a crash."""
    with path.open("wb") as file:
        file.write(whole(ONE, TWO)[:-4])
        file.truncate(1 << 30)
    done = limited("repair", str(path), memory=1 << 30)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 2
    assert "no record begins in the next 100 MB" in done.stderr
    assert path.stat().st_size == 1 << 30
    assert beside(path) == []


def test_memory_does_not_grow_with_the_records(path: Path) -> None:
    """150 MB of records, one of them broken, in less memory than they are."""
    large = line(asked("large", "word " * 75_000))
    with path.open("wb") as file:
        file.write(HEADER + b"\n")
        for _ in range(200):
            file.write(large.replace(b"large", b"%5d" % file.tell()) + b",\n")
            file.write(large + b",\n")
        file.write(large[:-50])
    done = limited("repair", "--json", str(path), memory=140 << 20)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)[0]
    assert (said["kept"], said["lost"]) == (400, [402])


# --- the disk, and others that have the file in use -----------------------------------------


def test_a_full_disk_changes_nothing(path: Path) -> None:
    """Where the copy or the new file cannot be written whole, the file stays, and nothing beside it."""
    held = whole(*(asked(f"q{n}") for n in range(30)))[:-4]
    path.write_bytes(held)
    done = limited("repair", str(path), size=len(held) // 2)
    assert done.returncode == 2
    assert "cannot be read, or not be written: File too large" in done.stderr
    assert done.stderr.count("\n") == 2
    assert path.read_bytes() == held
    assert beside(path) == []


@pytest.mark.parametrize("failing", ["fsync", "replace", "copymode"])
def test_no_litter_where_it_fails(
    path: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever step fails, the file is as it was and alone."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    path.write_bytes(whole(ONE)[:-4])
    where: Any = {"fsync": os, "replace": Path, "copymode": shutil}[failing]
    monkeypatch.setattr(where, failing, fail)
    with pytest.raises(DialogueUnwritable, match="Input/output error"):
        repair(path)
    assert path.read_bytes() == whole(ONE)[:-4]
    assert beside(path) == []


def test_where_an_open_file_cannot_be_replaced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows the file is overwritten instead, the copy being there already."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "The process cannot access the file")

    before = whole(ONE, TWO)[:-4] + b"\n" * 400
    path.write_bytes(before)
    monkeypatch.setattr(Path, "replace", refuse)
    done = repair(path)
    sound(path, before, done)
    assert questions(path) == ["one", "two"]


def test_links_and_modes_stay(tmp_path: Path) -> None:
    """A link goes on pointing at the file that was mended; who may read it is as before."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    real, link = folder / "real.dialogue.json", tmp_path / "a.dialogue.json"
    real.write_bytes(whole(ONE)[:-4])
    real.chmod(0o640)
    link.symlink_to(real)
    done = repair(link)
    assert link.is_symlink()
    assert real.read_bytes() == whole(ONE)
    assert real.stat().st_mode & 0o777 == 0o640
    assert done.set_aside is not None
    assert done.set_aside.parent == folder
    assert done.set_aside.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_read_only(path: Path) -> None:
    """A healthy file may be read-only; a damaged one is said not to be writable."""
    path.write_bytes(whole(ONE))
    path.chmod(0o444)
    assert repair(path).mended == ()
    path.chmod(0o644)
    path.write_bytes(whole(ONE)[:-4])
    path.chmod(0o444)
    with pytest.raises(DialogueUnwritable, match="Permission denied"):
        repair(path)


def test_who_has_the_file_open_goes_on_with_the_mended_one(path: Path) -> None:
    """An index made before a repair is not used after it; what is appended comes into the new file."""
    path.write_bytes(whole(ONE, TWO, THREE))
    kernel = DialogueFile(path)
    assert len(kernel) == 3
    with path.open("ab") as file:
        file.write(line(asked("four")) + b"\n")
    repair(path)
    assert kernel.get(asked("four").fingerprint, 0) is not None
    drop(path, [ONE.id])
    kernel.append(asked("five"))
    assert questions(path) == ["two", "three", "four", "five"]
    assert kernel.get(ONE.fingerprint, 0) is None
    assert [item.id for item in kernel] == [item.id for item in DialogueFile(path)]


APPENDING = """
import sys
from pathlib import Path
from openai_magics.dialogue import DialogueFile
from tests.unit.test_repair import asked
file = DialogueFile(Path(sys.argv[1]), fsync=False)
for number in range(150):
    file.append(asked(f"{sys.argv[2]}{number}"))
"""


def test_nothing_is_lost_while_others_append(path: Path) -> None:
    """Two processes append while the file is rewritten again and again: every record is there."""
    DialogueFile(path).append(*(asked(f"old{number}") for number in range(100)))
    running = [
        subprocess.Popen([sys.executable, "-c", APPENDING, str(path), name]) for name in "ab"
    ]
    dropped = 0
    while any(process.poll() is None for process in running):
        drop(path, [asked(f"old{dropped}").id])
        repair(path)
        dropped += 1
        time.sleep(0.02)
    assert [process.returncode for process in running] == [0, 0]
    kept = set(questions(path))
    assert dropped > 1
    assert {f"{name}{number}" for name in "ab" for number in range(150)} <= kept
    assert kept.isdisjoint({f"old{number}" for number in range(min(dropped, 100))})


# --- removing records ------------------------------------------------------------------------


def test_records_are_removed_by_id(path: Path) -> None:
    """The copy comes first; what stays keeps its bytes, its order and its slot."""
    odd = line(TWO).replace(b'"id": ', b'"id" : ')
    before = whole(ONE, THREE).replace(b",\n{", b",\n" + odd + b",\n{")
    path.write_bytes(before)
    done = drop(path, [ONE.id, THREE.id, "not there"])
    assert path.read_bytes() == HEADER + b"\n" + odd + CLOSING
    assert (done.kept, done.mended) == (1, ("2 records are removed.",))
    assert done.set_aside is not None
    assert ".before-prune-" in done.set_aside.name
    assert done.set_aside.read_bytes() == before
    assert beside(path) == [done.set_aside.name]


def test_removing_all_nothing_and_not_yet(path: Path) -> None:
    """All leaves an empty dialogue; ids that are not there change nothing, nor does a dry run."""
    path.write_bytes(whole(ONE, TWO))
    empty = path.with_name("empty.dialogue.json")
    empty.touch()
    assert drop(empty, ["not there"]) == Repaired(empty, None, 0)
    empty.unlink()
    assert drop(path, ["not there"]) == Repaired(path, None, 2)
    assert drop(path, [ONE.id], dry_run=True).mended == ("1 record is removed.",)
    assert path.read_bytes() == whole(ONE, TWO)
    assert beside(path) == []
    drop(path, [ONE.id, TWO.id])
    assert path.read_bytes() == whole()
    DialogueFile(path).append(THREE)
    assert questions(path) == ["three"]


@pytest.mark.parametrize(
    ("held", "at"),
    [(whole(ONE, TWO)[:-4], 3), (HEADER + b"\n" + conflict(text(ONE), text(TWO)) + b"]}\n", 2)],
    ids=["cut", "conflict"],
)
def test_nothing_is_removed_from_a_damaged_file(path: Path, held: bytes, at: int) -> None:
    """It is to be repaired first; the message says the line and the command."""
    path.write_bytes(held)
    with pytest.raises(DialogueDamaged, match="repair") as failed:
        drop(path, [ONE.id])
    assert failed.value.line == at
    assert path.read_bytes() == held
    assert beside(path) == []


# --- the shell -------------------------------------------------------------------------------


def test_repair_from_a_shell(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says for people what it did, with the names of the files it made; 0 healthy or mended."""
    path.write_bytes(b"\n".join((HEADER, A, B[:80], C)))
    assert main(["repair", "--dry-run", str(path)]) == 0
    assert "would be mended, 2 records" in capsys.readouterr().out
    assert beside(path) == []
    assert main(["repair", str(path)]) == 0
    said = capsys.readouterr().out
    aside, rescued = beside(path)
    assert ".before-repair-" in aside
    assert ".rescued-" in rescued
    assert f"{path}: mended, 2 records.\n" in said
    assert aside in said
    assert rescued in said
    assert "What cannot be read is set aside as it was: line 3.\n" in said
    assert main(["repair", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: healthy, 2 records. It is left as it is.\n"


def test_repair_for_machines(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` gives an object a file; one that fails does not keep the others from it."""
    path.write_bytes(whole(ONE)[:-4])
    missing = path.with_name("no.dialogue.json")
    assert main(["repair", "--json", str(missing), str(path), str(path)]) == 2
    out, err = capsys.readouterr()
    failed, mended, healthy = json.loads(out)
    assert failed["error"]["problem"] == f"{missing} is not there."
    assert (mended["healthy"], mended["kept"], mended["lost"]) == (False, 1, [])
    assert Path(mended["set_aside"]).exists()
    assert (healthy["healthy"], healthy["set_aside"]) == (True, None)
    assert err.count("\n") == 2


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            ["repiar", "x"],
            "There is no command 'repiar' (did you mean 'repair'?).\nThere are: verify",
        ),
        (["frobnicate"], "There is no command 'frobnicate'.\nThere are: verify"),
        ([], "which command? One of: verify"),
        (["repair"], "the following arguments are required: FILE"),
        (["repair", "--jsn", "x"], "unrecognized arguments: --jsn"),
        (["merge-driver"], "BASE, OURS and THEIRS are needed"),
    ],
    ids=["near", "far", "none", "no file", "unknown option", "no sides"],
)
def test_what_was_typed_wrong(
    typed: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two lines on stderr, the nearest command, and status 2."""
    assert main(typed) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert err.count("\n") == 2
    assert out == ""


def test_help_imports_nothing_heavy() -> None:
    """``--help`` lists the commands without importing what they need."""
    code = (
        "import sys\nfrom openai_magics.__main__ import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([name for name in sys.modules if name.startswith(('openai', 'portalocker', 'IPython'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *listed, modules = done.stdout.splitlines()
    assert "    repair" in "\n".join(listed)
    rooms = {".".join(name.split(".")[:2]) for name in eval(modules)}
    assert rooms == {"openai_magics", "openai_magics.__main__", "openai_magics.errors"}


def test_a_closed_pipe_is_no_traceback(path: Path) -> None:
    """``repair … | head -0`` ends quietly."""
    path.write_bytes(whole(ONE))
    command = f"{sys.executable} -m openai_magics repair {path} | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_fields_are_known() -> None:
    """The order of the fields that are written anew is that of the records themselves."""
    make: Callable[[], dict[str, Any]] = asked("x").to_record
    assert list(json.loads(entries.rewritten(dict(reversed(make().items()))))) == list(make())


# --- whatever happens to the bytes -------------------------------------------------------------

DAMAGE = st.lists(
    st.tuples(
        st.sampled_from(["cut out", "insert", "copy", "move"]),
        st.floats(0, 1),
        st.one_of(st.integers(0, 3), st.integers(0, 900)),
        st.one_of(
            st.binary(max_size=5),
            st.sampled_from(
                [b"\n", b",", b"}", b"{", b"]}\n", b'"', b"\\", b"\n<<<<<<< a\n", b"\r"]
            ),
            st.sampled_from([b"\n=======\n", b"\n>>>>>>> b\n", b"\n||||||| c\n", HEADER, A]),
        ),
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(DAMAGE)
def test_any_damage(
    quick: None,
    tmp_path_factory: pytest.TempPathFactory,
    damages: list[tuple[str, float, int, bytes]],
) -> None:
    """What comes out is a healthy dialogue that opens; every line that was whole is in it."""
    path = tmp_path_factory.mktemp("any") / "analysis.dialogue.json"
    held = whole(ONE, TWO, THREE)
    for kind, where, size, data in damages:
        at = int(where * len(held))
        piece = held[at : at + size]
        if kind in ("cut out", "move"):
            held = held[:at] + held[at + size :]
        if kind in ("copy", "move"):
            held += piece
        if kind == "insert":
            held = held[:at] + data + held[at:]
    path.write_bytes(held)
    try:
        done = repair(path)
    except DialogueError:  # its beginning is not that of a dialogue, or a newer one's
        assert path.read_bytes() == held
        assert beside(path) == []
        return
    if done.mended:
        sound(path, held, done)
    kept = [item.id for item in DialogueFile(path)]
    assert len(kept) == done.kept
    if b"|||||||" not in held:
        lines = {item.strip(b" \t\r,") for item in held.split(b"\n")}
        assert {item.id for item in (ONE, TWO, THREE) if line(item) in lines} <= set(kept)
