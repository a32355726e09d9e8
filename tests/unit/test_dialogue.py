"""The dialogue file on a real disk: written, cut, damaged, shared, full, taken away."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from openai_magics.dialogue import DialogueFile, record_line
from openai_magics.errors import (
    DialogueDamaged,
    DialogueError,
    DialogueTooNew,
    DialogueUnwritable,
    MagicsError,
)
from openai_magics.exchange import Exchange, Reply
from openai_magics.scan import CLOSING, header
from tests.unit.making import ask, exchange, texts, whole, written

ONE, TWO, THREE = (exchange(f"Question {n}?", f"Answer {n}.") for n in (1, 2, 3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the dialogue file is to be."""
    return tmp_path / "a.dialogue.json"


def opened(path: Path) -> DialogueFile:
    """Open it as a newly started kernel does."""
    return DialogueFile(path, "a.ipynb", fsync=False)


def answer(file: DialogueFile, made: Exchange) -> str | None:
    """Return what is recorded for a request."""
    found = file.get(made.fingerprint, made.occurrence or 0)
    return found.reply.text if found and found.reply else None


def rescued(path: Path) -> list[bytes]:
    """Return what was set aside."""
    return [item.read_bytes() for item in path.parent.glob(f"{path.name}.rescued-*")]


# --- the format


def test_the_format_to_the_byte(path: Path) -> None:
    """A header, one exchange a line, closing brackets: valid JSON, made for git."""
    record = exchange(
        "Größe?\n", 'It is\u2028 "5"\\.', cell="c1", conversation="main", duration=0.5
    )
    data = written(path, record)
    assert (
        data
        == (
            '{"format": "openai_magics.dialogue", "version": 1, "notebook": "a.ipynb", "exchanges": [\n'
            f'{{"fingerprint": "{record.fingerprint}", "occurrence": 0, "id": "{record.id}", '
            '"kind": "ask", "conversation": "main", "cell": "c1", "parent": null, '
            '"request": {"model": null, "endpoint": null, "parameters": {}, "schema": null, '
            '"tools": null, "system": null, "messages": [{"role": "user", "content": "Größe?\\n"}], '
            '"max_history": null, "resolved": {"model": null, "endpoint": null, "system": null, '
            '"parameters": {}}}, '
            '"reply": {"text": "It is\u2028 \\"5\\"\\\\.", "refusal": null, "tool_calls": [], '
            '"finish_reason": "stop", "payload": null, "model": null, "response_id": null, '
            '"system_fingerprint": null}, '
            '"error": null, "usage": {}, "cost": null, "sentiment": null, "format": null, '
            '"created": "", "duration": 0.5}\n'
            "]}\n"
        ).encode()
    )


def test_records_are_separated_by_a_comma_and_a_line_end(path: Path) -> None:
    """The whole file is header, lines, brackets, whether appended at once or one by one."""
    lines = b",\n".join(record_line(item) for item in (ONE, TWO, THREE))
    expected = header("a.ipynb") + b"\n" + lines + CLOSING
    assert written(path, ONE, TWO, THREE) == expected
    path.unlink()
    for item in (ONE, TWO, THREE):
        written(path, item)
    assert path.read_bytes() == expected


def test_append_in_place(path: Path) -> None:
    """Appending leaves every byte before the closing brackets, and the file itself, alone."""
    before = written(path, ONE)
    number = path.stat().st_ino
    after = written(path, TWO)
    assert after.startswith(before.removesuffix(CLOSING) + b",\n")
    assert path.stat().st_ino == number
    assert texts(path) == ["Answer 1.", "Answer 2."]


def test_no_litter(path: Path) -> None:
    """Beside the notebook stands one file, and no lock."""
    written(path, ONE)
    assert answer(opened(path), ONE) == "Answer 1."
    assert os.listdir(path.parent) == [path.name]


def test_nothing_is_made_before_the_first_record(path: Path) -> None:
    """Opening, reading and checking make no file."""
    file = opened(path)
    file.check_writable()
    assert (len(file), list(file), file.get("v1:x", 0), file.slots("v1:x")) == (0, [], None, [])
    assert not path.exists()


def test_fsync(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is forced to the disk before `append` returns, unless that is turned off."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    DialogueFile(path, fsync=False).append(ONE)
    assert synced == []
    DialogueFile(path).append(TWO, THREE)
    assert len(synced) == 1


def test_one_fsync_serves_all_that_wait(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of several threads wait for the disk together; none returns before it is there."""
    written(path, ONE)
    file, begun, go = DialogueFile(path), threading.Event(), threading.Event()
    covered: list[int] = []

    def fsync(number: int) -> None:
        size = os.fstat(number).st_size
        if not covered:
            begun.set()
            assert go.wait(90)
        covered.append(size)

    monkeypatch.setattr(os, "fsync", fsync)
    first = threading.Thread(target=file.append, args=(TWO,))
    first.start()
    assert begun.wait(90)
    others = [threading.Thread(target=file.append, args=(exchange(said=f"{n}"),)) for n in range(5)]
    for thread in others:
        thread.start()
    while len(file) < 7:  # all are written, which the disk does not hold up
        time.sleep(0.001)
    assert all(thread.is_alive() for thread in (first, *others))
    go.set()
    for thread in (first, *others):
        thread.join(90)
    assert covered[1:] == [path.stat().st_size]


def test_a_new_file_is_durable_with_its_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry of a new file in its folder is forced to the disk as well."""
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda number: synced.append(os.readlink(f"/proc/self/fd/{number}"))
    )
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("descriptors have no names here")
    DialogueFile(path).append(ONE)
    assert synced == [str(path), str(path.parent)]


# --- reading


def test_get_and_slots(path: Path) -> None:
    """A slot is a fingerprint and an occurrence; the slots of a request are listed in order."""
    made = [exchange(said=f"{n}", occurrence=n) for n in (1, 0, 2)]
    written(path, *made, ONE)
    file = opened(path)
    assert file.slots(made[0].fingerprint) == [0, 1, 2]
    assert [answer(file, item) for item in made] == ["1", "0", "2"]
    assert file.get(made[0].fingerprint, 3) is None
    assert file.slots("v1:unknown") == []


def test_the_last_record_of_a_slot_is_its_answer(path: Path) -> None:
    """Asking anew appends; what was said before stays in the file as history."""
    first, second = exchange(said="First."), exchange(said="Second.")
    written(path, first, ONE, second)
    assert answer(opened(path), first) == "Second."
    assert texts(path) == ["First.", "Answer 1.", "Second."]
    assert len(opened(path)) == 3


def test_what_is_never_replayed(path: Path) -> None:
    """A record without an occurrence is in the file, but in no slot."""
    cut = exchange(said="Half an", occurrence=None)
    written(path, cut)
    file = opened(path)
    assert (file.slots(cut.fingerprint), file.get(cut.fingerprint, 0), len(file)) == ([], None, 1)
    assert [item.occurrence for item in file] == [None]


def test_iteration_is_in_the_order_of_the_file(path: Path) -> None:
    """All exchanges come out as they went in; their lines are counted from 1."""
    written(path, ONE, TWO, THREE)
    assert list(opened(path)) == [ONE, TWO, THREE]
    assert [number for number, _ in opened(path).records()] == [2, 3, 4]


def test_own_records_are_found_without_reading_again(path: Path) -> None:
    """What was appended is found at once, between what was there before."""
    written(path, ONE)
    file = opened(path)
    file.append(TWO, exchange(said="Later.", occurrence=1))
    assert (answer(file, ONE), answer(file, TWO), len(file)) == ("Answer 1.", "Answer 2.", 3)
    assert file.slots(exchange().fingerprint) == [1]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x" * 1_500_000, id="1.5 million characters"),
        pytest.param('"}]}\n]}\n{"fingerprint": "v1:x", "occurrence": 0}\n', id="like the format"),
        pytest.param("<<<<<<< ours\n=======\n>>>>>>> theirs", id="like a conflict"),
        pytest.param("\x00\x01\x1f\x7f\x80\x85\u2028\u2029\ufeff", id="control characters"),
        pytest.param("a\r\nb\rc\nd\x0be\x0cf", id="line ends of all kinds"),
        pytest.param("\ud800 \udfff \ude00\ud83d", id="lone surrogates"),
        pytest.param("👋🏽‍♀️ \u202eשלום \u200f مرحبا", id="emoji and right to left"),
        pytest.param("", id="nothing"),
    ],
)
def test_any_text_survives(path: Path, text: str) -> None:
    """What was asked and what was said come back to the character, and the file stays JSON."""
    made = exchange(text, text)
    written(path, ONE, made, TWO)
    file = opened(path)
    assert file.get(made.fingerprint, 0) == made
    assert texts(path) == ["Answer 1.", text, "Answer 2."]
    assert len(path.read_bytes().splitlines()) >= 5
    assert path.read_bytes().count(b"\n") == 5


def test_surrogates_in_two_halves_become_their_character(path: Path) -> None:
    """A pair that came in two pieces is written as the character, and its hashes hold."""
    made = exchange("\ud83d\ude00", "\ud83d\ude00")
    written(path, made)
    found = opened(path).get(made.fingerprint, 0)
    assert found is not None
    assert (found.fingerprint, found.id) == (made.fingerprint, made.id)
    assert texts(path) == ["😀"]


def test_number_keys_keep_the_fingerprint(path: Path) -> None:
    """``logit_bias={9: …, 10: …}`` has text keys in JSON; the record is the same one."""
    made = Exchange(ask(parameters={"logit_bias": {9: 1, 10: -1}}), Reply("x"))
    written(path, made)
    found = opened(path).get(made.fingerprint, 0)
    assert found is not None
    assert (found.fingerprint, found.id) == (made.fingerprint, made.id)


def test_any_mapping_is_written(path: Path) -> None:
    """Parameters may be held in a mapping that is not a dict."""
    made = Exchange(ask(parameters=MappingProxyType({"top_p": 0.5})), Reply("x"))
    written(path, made)
    assert whole(path)[0]["request"]["parameters"] == {"top_p": 0.5}
    assert opened(path).get(made.fingerprint, 0) == made


def test_repr(path: Path) -> None:
    """A file tells which it is."""
    assert repr(opened(path)) == f"DialogueFile({str(path)!r})"


# --- what a crash leaves


@pytest.fixture(scope="module")
def quick_folder() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of files are made in it."""
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


def test_cut_at_every_byte(quick_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Wherever a crash cut the file, every whole record is read and can be appended to.

    What there was of a last record is set aside, but for white space at its end; nothing is
    set aside where nothing was lost.
    """
    caplog.set_level(logging.ERROR)
    path = quick_folder / "a.json"
    short = [Exchange(ask(f"{n}"), Reply(f"{{{n}}}"), cell="}") for n in (1, 2)]
    data = written(path, *short)
    path.unlink()
    ends = [data.index(record_line(item)) + len(record_line(item)) for item in short]
    head = len(header("a.ipynb"))
    added = exchange("More?", "Yes.")
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        file = opened(path)
        recovered = [item for item, end in zip(short, ends, strict=True) if end <= cut]
        assert list(file) == recovered
        assert all(file.get(item.fingerprint, 0) == item for item in recovered)
        file.append(added)
        assert texts(path) == [*(item.reply.text for item in recovered if item.reply), "Yes."]
        # What was lost is what stood behind the last whole record, and was more than marks.
        begin = max((end for end in (head, *ends) if end <= cut), default=0)
        lost = data[begin:cut].strip(b",\n]}") if begin else data[:cut]
        aside = rescued(path)
        assert len(aside) == bool(lost)
        assert not lost or lost.rstrip() in aside[0]
        for item in quick_folder.iterdir():
            item.unlink()


def test_a_cut_is_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The person is told that something was set aside, and where."""
    data = written(path, ONE, TWO)
    path.write_bytes(data[:-200])
    assert list(opened(path)) == [ONE]
    assert "ended in the middle of a record" in caplog.text
    assert ".rescued-" in caplog.text


def test_a_cut_is_mended_once(path: Path) -> None:
    """The next one to open the file finds it whole."""
    data = written(path, ONE, TWO)
    path.write_bytes(data[:-200])
    assert list(opened(path)) == list(opened(path)) == [ONE]
    assert len(rescued(path)) == 1


def test_a_cut_behind_our_back(path: Path) -> None:
    """A file that another process left cut off is mended by the next append."""
    file = opened(path)
    file.append(ONE, TWO)
    path.write_bytes(path.read_bytes()[:-200])
    file.append(THREE)
    assert texts(path) == ["Answer 1.", "Answer 3."]
    assert (answer(file, ONE), answer(file, TWO), answer(file, THREE)) == (
        "Answer 1.",
        None,
        "Answer 3.",
    )


@pytest.mark.parametrize("content", [b"", b" ", b'{"format": '], ids=["empty", "blank", "cut off"])
def test_a_file_without_a_record(path: Path, content: bytes) -> None:
    """A file in which nothing was ever recorded takes the first record."""
    path.write_bytes(content)
    file = opened(path)
    assert (len(file), list(file)) == (0, [])
    file.append(ONE)
    assert texts(path) == ["Answer 1."]


def test_zeros_at_the_end(path: Path) -> None:
    """A disk may leave zeros where a record was about to be; they are set aside."""
    data = written(path, ONE)
    path.write_bytes(data.removesuffix(CLOSING) + b",\n" + b"\x00" * 300)
    assert list(opened(path)) == [ONE]
    assert rescued(path) == [b"\x00" * 300]


# --- damage


LINE_ONE, LINE_TWO = record_line(ONE), record_line(TWO)
FILE = (
    header("a.ipynb") + b"\n" + LINE_ONE + b",\n" + LINE_TWO + b",\n" + record_line(THREE) + CLOSING
)
MERGE = LINE_TWO + b"\n=======\n" + LINE_ONE + b"\n>>>>>>> other\n"

DAMAGE = [
    pytest.param(FILE.replace(LINE_TWO, b"<<<<<<< HEAD\n" + MERGE), 3, id="a merge conflict"),
    pytest.param(FILE.replace(b"},\n", b"}\n", 1), 2, id="a comma is missing"),
    pytest.param(FILE.replace(b"\n]}", b",\n]}"), 4, id="a comma too many"),
    pytest.param(FILE + b"more", 6, id="text after the end"),
    pytest.param(FILE.replace(LINE_TWO, LINE_TWO[:50]), 3, id="a broken line in the middle"),
    pytest.param(FILE.replace(LINE_TWO, b""), 3, id="a line that is only a comma"),
    pytest.param(FILE[50:], 1, id="the beginning is lost"),
    pytest.param(json.dumps(json.loads(FILE)).encode(), 1, id="json.dump wrote it"),
    pytest.param(json.dumps(json.loads(FILE), indent=1).encode(), 1, id="formatted"),
    pytest.param(b"\x89PNG\r\n\x1a\n", 1, id="a picture"),
]


@pytest.mark.parametrize(("data", "line"), DAMAGE)
def test_a_damaged_file_is_not_touched(path: Path, data: bytes, line: int) -> None:
    """It is never treated as empty and never overwritten; the error names the line.

    The answer that could not be written is kept, and found once the file is mended.
    """
    path.write_bytes(data)
    file = opened(path)
    uses: list[Callable[[], object]] = [
        lambda: len(file),
        lambda: list(file),
        lambda: file.slots("v1:x"),
        lambda: file.get("v1:x", 0),
        file.check_writable,
        lambda: file.append(exchange()),
    ]
    for use in uses:
        with pytest.raises(DialogueDamaged) as caught:
            use()
        assert caught.value.line == line
        assert path.read_bytes() == data
    assert os.listdir(path.parent) == [path.name]
    path.write_bytes(FILE)
    assert answer(file, exchange()) == "The sea's breath."
    assert texts(path)[-1] == "The sea's breath."


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "is a notebook"),
        (b'{"a": 1}\n', "JSON, but not a dialogue file"),
        (b"[]", "JSON, but not a dialogue file"),
    ],
    ids=["a notebook", "an object", "a list"],
)
def test_a_file_of_somebody_else_is_not_touched(path: Path, data: bytes, words: str) -> None:
    """A path that leads to another file is an error that says what is there."""
    path.write_bytes(data)
    file = opened(path)
    for use in (lambda: list(file), lambda: file.append(ONE)):
        with pytest.raises(DialogueError, match=words):
            use()
    assert path.read_bytes() == data


def test_a_newer_version_is_not_touched(path: Path) -> None:
    """Nor is a file of a format that is not known yet."""
    data = FILE.replace(b'"version": 1', b'"version": 2')
    path.write_bytes(data)
    file = opened(path)
    for use in (lambda: list(file), lambda: file.append(ONE)):
        with pytest.raises(DialogueTooNew, match="version 2"):
            use()
    assert path.read_bytes() == data


def test_a_minor_version_is_read_and_appended_to(path: Path) -> None:
    """A newer minor version keeps its header, and its unknown fields, to the byte."""
    data = FILE.replace(b'"version": 1', b'"version": 1.1, "tool": {"name": "x"}')
    data = data.replace(b'"kind": "ask"', b'"kind": "ask", "verdict": [1]')
    path.write_bytes(data)
    file = opened(path)
    assert [item.extra for item in file] == [{"verdict": [1]}] * 3
    file.append(exchange())
    assert path.read_bytes().startswith(data.removesuffix(CLOSING))
    assert len(whole(path)) == 4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"\n", b"\r\n", id="CRLF"),
        pytest.param(b'"fingerprint": "', b'"fingerprint":"', id="a space less"),
        pytest.param(b"\n{", b"\n\n{", id="blank lines"),
        pytest.param(b"]}\n", b"]}", id="no line end at the end"),
    ],
)
def test_harmless_changes(path: Path, old: bytes, new: bytes) -> None:
    """What editors and git change in lines is read, answered from, and appended to."""
    path.write_bytes(FILE.replace(old, new))
    file = opened(path)
    assert (list(file), answer(file, TWO)) == ([ONE, TWO, THREE], "Answer 2.")
    file.append(exchange())
    assert texts(path) == ["Answer 1.", "Answer 2.", "Answer 3.", "The sea's breath."]
    assert list(opened(path)) == [ONE, TWO, THREE, exchange()]
    assert rescued(path) == []


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(LINE_TWO.replace(b'"request"', b'"request'), id="a quote is missing"),
        pytest.param(LINE_TWO.replace(b"Answer", b"Answ\xff"), id="not UTF-8"),
        pytest.param(LINE_TWO.replace(b'"usage": {}', b'"usage": ' + b"[" * 10**5), id="deep"),
        pytest.param(LINE_TWO.replace(b'"kind": "ask", ', b""), id="a field is missing"),
        pytest.param(LINE_TWO.replace(b'"parameters": {}', b'"parameters": {"a": NaN}'), id="NaN"),
    ],
)
def test_a_damaged_record_is_met_when_it_is_asked_for(path: Path, line: bytes) -> None:
    """The other records can be used; the damaged one is an error with its line."""
    line = line if line.endswith(b"}") else line + b"}"
    path.write_bytes(FILE.replace(LINE_TWO, line))
    file = opened(path)
    assert (answer(file, ONE), answer(file, THREE)) == ("Answer 1.", "Answer 3.")
    for use in (lambda: answer(file, TWO), lambda: list(file)):
        with pytest.raises(DialogueDamaged) as caught:
            use()
        assert caught.value.line == 3


def test_a_tampered_record_is_noticed(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A record that is not as it was written is used and said, with its line."""
    path.write_bytes(FILE.replace(b"Answer 2.", b"Answer 7."))
    file = opened(path)
    assert answer(file, ONE) == "Answer 1."
    assert caplog.text == ""
    assert answer(file, TWO) == "Answer 7."
    assert f"{path}, line 3: the record is not as it was written" in caplog.text


def test_edited_in_place(path: Path) -> None:
    """What an editor changed in the open file is seen, though its size is the same."""
    path.write_bytes(FILE)
    file = opened(path)
    assert answer(file, TWO) == "Answer 2."
    edited = FILE.replace(b"Answer 2.", b"Answer 7.")
    with path.open("r+b") as stream:
        stream.write(edited)
    os.utime(path, ns=(1, 1))
    assert answer(file, TWO) == "Answer 7."


def test_records_that_changed_places(path: Path) -> None:
    """After lines of one length were swapped in place, each request has its own answer."""
    path.write_bytes(FILE)
    file = opened(path)
    assert answer(file, ONE) == "Answer 1."
    with path.open("r+b") as stream:
        stream.write(
            FILE.replace(LINE_ONE, b"?").replace(LINE_TWO, LINE_ONE).replace(b"?,", LINE_TWO + b",")
        )
    os.utime(path, ns=(1, 1))
    assert len(path.read_bytes()) == len(FILE)
    assert (answer(file, ONE), answer(file, TWO)) == ("Answer 1.", "Answer 2.")


def test_another_content_under_the_same_inode(path: Path) -> None:
    """A longer file whose lines end at the same places is read anew (inodes are used again)."""
    file = opened(path)
    file.append(ONE, TWO)
    with path.open("r+b") as stream:
        stream.write(
            header("a.ipynb")
            + b"\n"
            + record_line(THREE)
            + b",\n"
            + LINE_ONE
            + b",\n"
            + LINE_TWO
            + CLOSING
        )
    assert answer(file, THREE) == "Answer 3."
    assert len(file) == 3


def test_text_that_grew_in_the_middle(path: Path) -> None:
    """A record that was edited to be longer is read anew, with all that follow."""
    path.write_bytes(FILE)
    file = opened(path)
    assert len(file) == 3
    with path.open("r+b") as stream:
        stream.write(FILE.replace(b"Answer 1.", b"A much longer answer, number one."))
    assert (answer(file, ONE), answer(file, THREE)) == (
        "A much longer answer, number one.",
        "Answer 3.",
    )


# --- files that come and go


def test_replaced_between_opens(path: Path) -> None:
    """A file that git replaced is read anew, and appended to."""
    file = opened(path)
    file.append(ONE)
    other = path.with_name("other")
    written(other, TWO)
    os.replace(other, path)
    assert (answer(file, ONE), answer(file, TWO)) == (None, "Answer 2.")
    file.append(THREE)
    assert texts(path) == ["Answer 2.", "Answer 3."]


def test_deleted_under_us(path: Path) -> None:
    """A file that was deleted holds nothing; the next record makes it anew."""
    file = opened(path)
    file.append(ONE)
    path.unlink()
    assert (answer(file, ONE), len(file), file.slots(ONE.fingerprint), list(file)) == (
        None,
        0,
        [],
        [],
    )
    file.append(TWO)
    assert texts(path) == ["Answer 2."]


def test_deleted_between_two_looks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that goes away just after it was looked at is as one that was not there."""
    written(path, ONE)
    file = opened(path)
    look = Path.stat

    def stat(self: Path, **options: Any) -> os.stat_result:
        found = look(self, **options)
        if self == path:
            path.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(Path, "stat", stat)
    assert len(file) == 0
    monkeypatch.undo()
    file.append(ONE)
    monkeypatch.setattr(file, "_refresh", lambda: path.unlink(missing_ok=True))
    gone = file._index.forget

    def forget() -> None:
        monkeypatch.undo()
        gone()

    monkeypatch.setattr(file._index, "forget", forget)
    assert answer(file, ONE) is None


@pytest.mark.parametrize(
    "use",
    [
        lambda file: next(iter(file)),
        lambda file: list(file.lines()),
        DialogueFile.since,
        lambda file: file.following(ONE.id),
    ],
    ids=["iterated", "lines", "since", "following"],
)
def test_gone_before_it_is_opened(
    use: Callable[[DialogueFile], object], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is taken away after it was looked at is an error that names it."""
    written(path, ONE)
    file = opened(path)
    look = file._refresh

    def looked() -> None:
        look()
        path.unlink()

    monkeypatch.setattr(file, "_refresh", looked)
    with pytest.raises(DialogueUnwritable, match="cannot be read"):
        use(file)


def test_a_folder_in_its_place(path: Path) -> None:
    """A path that leads to a folder is an error that says so."""
    path.mkdir()
    file = opened(path)
    for use in (lambda: list(file), file.check_writable):
        with pytest.raises(DialogueError, match="is a folder, not a dialogue file"):
            use()
    with pytest.raises(DialogueUnwritable, match="kept in memory"):
        file.append(ONE)
    path.rmdir()
    assert answer(file, ONE) == "Answer 1."
    assert texts(path) == ["Answer 1."]


def test_no_folder(path: Path) -> None:
    """A folder that does not exist is said before anything is asked, and the answer kept."""
    deep = path.parent / "none" / path.name
    file = opened(deep)
    with pytest.raises(DialogueUnwritable, match="The folder of the dialogue file"):
        file.check_writable()
    with pytest.raises(DialogueUnwritable, match="kept in memory"):
        file.append(ONE)
    deep.parent.mkdir()
    file.append(TWO)
    assert texts(deep) == ["Answer 1.", "Answer 2."]


def test_a_file_for_a_folder(path: Path) -> None:
    """A path through a file is an error of ours, not of the system's."""
    path.write_bytes(FILE)
    file = opened(path / "a.dialogue.json")
    for use in (lambda: len(file), file.check_writable, lambda: file.append(ONE)):
        with pytest.raises(DialogueUnwritable):
            use()
    assert path.read_bytes() == FILE


# --- read-only, full


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder, and nobody's rights in it: root, who may write anything, steps down."""
    if not hasattr(os, "setresuid"):
        pytest.skip("no rights of this kind here")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written(folder / "warm.json", ONE)  # imports what is needed, with the rights to
        if root := os.geteuid() == 0:
            for item in (folder, *folder.iterdir()):
                os.chown(item, 65534, -1)
            os.setresuid(65534, 65534, 0)
        try:
            yield folder
        finally:
            if root:
                os.setresuid(0, 0, 0)
            folder.chmod(0o700)


def test_a_read_only_file(unprivileged: Path) -> None:
    """It is replayed from; writing is refused before anything is asked, and the answer kept."""
    path = unprivileged / "a.json"
    data = written(path, ONE)
    path.chmod(0o444)
    file = opened(path)
    assert answer(file, ONE) == "Answer 1."
    with pytest.raises(DialogueUnwritable, match="Make it writable"):
        file.check_writable()
    with pytest.raises(DialogueUnwritable, match="kept in memory"):
        file.append(TWO)
    assert path.read_bytes() == data
    assert [item.fingerprint for item in file] == [ONE.fingerprint, TWO.fingerprint]
    path.chmod(0o644)
    assert answer(file, TWO) == "Answer 2."
    assert texts(path) == ["Answer 1.", "Answer 2."]


def test_a_read_only_file_that_is_cut_off(
    unprivileged: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is whole of it is replayed from; it is said that it cannot be mended here."""
    path = unprivileged / "a.json"
    data = written(path, ONE, TWO)[:-200]
    path.write_bytes(data)
    path.chmod(0o444)
    assert answer(opened(path), ONE) == "Answer 1."
    assert "cannot be mended here" in caplog.text
    assert path.read_bytes() == data


def test_a_read_only_folder(unprivileged: Path) -> None:
    """A folder in which no file can be made is said before anything is asked."""
    unprivileged.chmod(0o555)
    file = opened(unprivileged / "a.json")
    with pytest.raises(DialogueUnwritable, match="Permission denied"):
        file.check_writable()
    with pytest.raises(DialogueUnwritable, match="kept in memory"):
        file.append(ONE)
    unprivileged.chmod(0o755)
    file.append(TWO)
    assert texts(unprivileged / "a.json") == ["Answer 1.", "Answer 2."]


def test_an_unreadable_file(unprivileged: Path) -> None:
    """What may not be read is not treated as empty."""
    path = unprivileged / "a.json"
    data = written(path, ONE)
    path.chmod(0)
    file = opened(path)
    for use in (lambda: len(file), file.check_writable, lambda: file.append(TWO)):
        with pytest.raises(DialogueUnwritable, match="Permission denied"):
            use()
    path.chmod(0o600)
    assert path.read_bytes() == data


def test_a_file_that_root_may_not_write_either(path: Path) -> None:
    """The same for whoever may write everything else (an immutable file)."""
    data = written(path, ONE)
    chattr = shutil.which("chattr")
    if chattr is None or subprocess.run([chattr, "+i", path], capture_output=True).returncode:
        pytest.skip("files cannot be made immutable here")
    try:
        file = opened(path)
        assert answer(file, ONE) == "Answer 1."
        with pytest.raises(DialogueUnwritable, match="kept in memory"):
            file.append(TWO)
        assert path.read_bytes() == data
    finally:
        subprocess.run([chattr, "-i", path], check=True)
    assert answer(file, TWO) == "Answer 2."


def check_full(file: DialogueFile, make_room: Callable[[], None]) -> None:
    """Fill the disk, and show that nothing is lost."""
    file.append(ONE)
    data = file.path.read_bytes()
    large = exchange("Large?", "x" * 300_000)
    for _ in range(2):
        with pytest.raises(DialogueUnwritable, match="kept in memory"):
            file.append(large)
        assert file.path.read_bytes() == data
        assert list(opened(file.path)) == [ONE]
    with pytest.raises(DialogueUnwritable):
        file.get(large.fingerprint, 0)
    make_room()
    file.append(TWO)
    assert [len(text) for text in texts(file.path)] == [9, 300_000, 300_000, 9]
    assert list(file) == list(opened(file.path)) == [ONE, large, large, TWO]


LIMITED = """
import resource, signal, sys
from pathlib import Path
from openai_magics.dialogue import DialogueFile
from tests.unit.test_dialogue import check_full

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
check_full(
    DialogueFile(Path(sys.argv[1])),
    lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)),
)
"""


def test_a_file_that_may_not_grow(path: Path) -> None:
    """A write that fails half-way leaves the file as it was; the answer is written later."""
    pytest.importorskip("resource")
    done = subprocess.run([sys.executable, "-c", LIMITED, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a disk of 256 KiB."""
    mount = shutil.which("mount")
    command = [mount or "", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]
    if mount is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk(tmp_path: Path) -> None:
    """The same on a disk that is full, and the error says to make room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder):
        file = DialogueFile(folder / "a.json")
        file.append(ONE)
        data = file.path.read_bytes()
        ballast = folder / "ballast"
        ballast.write_bytes(b"x" * 200_000)
        large = exchange("Large?", "x" * 100_000)
        with pytest.raises(DialogueUnwritable, match="Make room on the disk"):
            file.append(large)
        assert file.path.read_bytes() == data
        ballast.unlink()
        assert file.get(large.fingerprint, 0) == large
        assert list(opened(file.path)) == [ONE, large]


def test_a_disk_full_from_the_start(tmp_path: Path) -> None:
    """Where not even the first record finds room, it is written when there is some."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder):
        ballast = folder / "ballast"
        ballast.write_bytes(b"x" * 250_000)
        file = DialogueFile(folder / "a.json", "a.ipynb")
        large = exchange("Large?", "x" * 100_000)
        with pytest.raises(DialogueUnwritable, match="Make room on the disk"):
            file.append(large)
        ballast.unlink()
        file.append(ONE)
        assert list(opened(file.path)) == [large, ONE]


def test_answers_that_wait_are_counted_as_slots(path: Path) -> None:
    """An answer that is not written yet has its slot, so that the next ask takes another."""
    path.mkdir()
    file = opened(path)
    with pytest.raises(DialogueUnwritable):
        file.append(exchange(occurrence=0), exchange(occurrence=1))
    path.rmdir()
    assert file.slots(exchange().fingerprint) == [0, 1]
    assert file.get(exchange().fingerprint, 1) == exchange(occurrence=1)


# --- several at once


def test_what_another_one_appends_is_seen(path: Path) -> None:
    """Two kernels on one notebook see each other's answers."""
    mine, other = opened(path), opened(path)
    mine.append(ONE)
    assert answer(other, ONE) == "Answer 1."
    other.append(TWO)
    mine.append(THREE)
    assert list(mine) == list(other) == [ONE, TWO, THREE]
    assert (answer(mine, TWO), answer(other, THREE)) == ("Answer 2.", "Answer 3.")


def test_threads(path: Path) -> None:
    """Records that threads append at the same time are all there, whole, each in its slot."""
    shared = opened(path)
    begin = threading.Barrier(6)

    def work(number: int, file: DialogueFile) -> None:
        begin.wait()
        for n in range(60):
            file.append(exchange(f"{number}", f"{number}-{n}", occurrence=n))

    threads = [
        threading.Thread(target=work, args=(n, shared if n % 2 else opened(path))) for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {f"{number}-{n}" for number in range(6) for n in range(60)}
    assert len(texts(path)) == len(expected)
    assert set(texts(path)) == expected
    assert shared.slots(exchange("4").fingerprint) == list(range(60))
    assert answer(shared, exchange("4", occurrence=59)) == "4-59"


APPENDING = """
import sys
from pathlib import Path
from openai_magics.dialogue import DialogueFile
from tests.unit.making import exchange

file = DialogueFile(Path(sys.argv[1]), fsync=False)
print("ready", flush=True)
sys.stdin.readline()
for n in range(300):
    file.append(exchange(sys.argv[2], f"{sys.argv[2]}-{n}", occurrence=n))
"""


def test_processes(path: Path) -> None:
    """So are those of two processes, each in its order; who had the file open sees them all."""
    mine = opened(path)
    mine.append(ONE)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", APPENDING, path, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name in ("a", "b")
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
    for worker in workers:
        worker.communicate(b"go\n")
    assert [worker.returncode for worker in workers] == [0, 0]
    assert len(mine) == 601
    assert answer(mine, exchange("b", occurrence=299)) == "b-299"
    said = texts(path)[1:]
    assert len(said) == 600
    for name in ("a", "b"):
        assert [text for text in said if text[0] == name] == [f"{name}-{n}" for n in range(300)]
    assert rescued(path) == []


def test_errors_are_ours(path: Path) -> None:
    """Whatever stands in the way is told as one of our errors, with the path."""
    path.mkdir()
    with pytest.raises(MagicsError, match=path.name):
        opened(path).append(ONE)
