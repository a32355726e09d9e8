"""Training data of every kind becomes lines, with the numbers that people know them by."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from openai_magics import errors as ours
from openai_magics.training.check import check
from openai_magics.training.material import material, split
from openai_magics.training.mend import mend
from openai_magics.training.own import Counter
from openai_magics.training.sources import source_of
from openai_magics.training.tables import Columns


def examples(data: Any, columns: Columns = Columns(), method: str | None = None) -> list[Any]:
    """Return the examples of some data."""
    return [
        json.loads(line)
        for block in source_of(data, columns, method).blocks()
        for line in block.data.splitlines()
        if line.strip()
    ]


def numbers(data: Any) -> list[int]:
    """Return the number of each line of a table."""
    return [n for block in source_of(data).blocks() for n in block.numbers or ()]


def pair(prompt: str, answer: str, system: str | None = None) -> dict[str, Any]:
    """Return a chat example."""
    first = [{"role": "system", "content": system}] if system else []
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return {"messages": [*first, *turns]}


def test_csv(tmp_path: Path) -> None:
    """Quotes, commas and line breaks in cells; each row has the number of its first line."""
    path = tmp_path / "d.csv"
    path.write_bytes(
        b'\xef\xbb\xbfprompt,completion\r\n"a, ""b""","one\r\ntwo"\r\n\r\nc,d\r\ne\r\n'
    )
    assert examples(path) == [pair('a, "b"', "one\r\ntwo"), pair("c", "d"), pair("e", "")]
    assert numbers(path) == [2, 5, 6]
    result = check(source_of(path))
    assert [(r.line, r.kind) for r in result.report.rows if r.severity == "error"] == [
        (6, "empty content")
    ]


def test_csv_with_problems(tmp_path: Path) -> None:
    """A row that does not fit, and a line that is not UTF-8, is told at its line; the rest is read.

    A mended copy has what could be read, and says what it leaves out; so has each part of a split.
    """
    path = tmp_path / "d.csv"
    rows = [f"q{n},a{n}".encode() for n in range(1200)]
    rows[3], rows[700] = b"caf\xe9,a3", b"q700,a,700"
    path.write_bytes(b"prompt,completion\n" + b"\n".join(rows))
    told = [(5, "encoding", "error"), (702, "cells", "error")]
    result = check(source_of(path))
    assert [(row.line, row.kind, row.severity) for row in result.report.rows] == told
    assert "0xe9" in result.report.rows[0].problem
    assert "3 cells for 2 columns" in result.report.rows[1].problem
    assert result.training.examples == 1199
    mended = mend(source_of(path), "supervised")
    assert (mended.kept, dict(mended.left_out)) == (1199, {"cells": 1})
    assert mended.changed == {"encoding of the file": 1}
    assert examples(mended.path)[3] == pair("café", "a3")
    apart = check(*split(source_of(path), 0.5))
    assert [(row.line, row.kind, row.severity) for row in apart.report.rows] == told
    own = check(source_of(path), own=Counter(len, "messages", 100))
    assert own.training.tokens == 2 * 1199
    path.write_text("prompt,completion\ncafé,b\n", "utf-16")
    assert examples(path) == [pair("café", "b")]
    assert [row.kind for row in check(source_of(path)).report.rows] == ["encoding", "few examples"]
    path.write_bytes(b'prompt,completion\r"a\rb",c\rd,e\r')
    assert examples(path) == [pair("a\rb", "c"), pair("d", "e")]


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_delimiters(tmp_path: Path, mark: str) -> None:
    """What spreadsheets of other countries write is read as well."""
    path = tmp_path / ("d.tsv" if mark == "\t" else "d.csv")
    path.write_text(f"question{mark}answer{mark}n\na, b{mark}c{mark}1\n")
    assert examples(path) == [pair("a, b", "c")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'prompt,completion\n"a,b\n', "near line 2"),
        (b"", "is empty"),
        (b"x,y\n1,2\n", "Which columns of d.csv"),
    ],
    ids=["open quote", "empty", "unknown columns"],
)
def test_csv_that_is_none(tmp_path: Path, content: bytes, says: str) -> None:
    """It is said what is wrong with it, and what to do."""
    path = tmp_path / "d.csv"
    path.write_bytes(content)
    with pytest.raises(ours.OptionError, match=says) as caught:
        examples(path)
    assert caught.value.remedy


def test_columns(tmp_path: Path) -> None:
    """Columns are named, or known by their usual names; a name that is not there is an error."""
    frame = pd.DataFrame({"q": ["a", None], "a": ["b", 3], "n": [1.0, float("nan")]})
    named = Columns(prompt="q", completion="a", system="Be brief.")
    assert examples(frame, named) == [pair("a", "b", "Be brief."), pair("", "3", "Be brief.")]
    with pytest.raises(ours.OptionError, match=r"no column 'qq' .did you mean 'q'"):
        examples(frame, Columns(prompt="qq", completion="a"))
    with pytest.raises(ours.OptionError, match="Which columns"):
        examples(frame)
    assert examples(frame.rename(columns={"q": "Question", "a": "Answer"}))[0] == pair("a", "b")
    own = pd.DataFrame({"system": ["s"], "prompt": ["p"], "completion": ["c"]})
    assert examples(own) == [pair("p", "c", "s")]


def test_alpaca(tmp_path: Path) -> None:
    """What an instruction is about stands in a column of its own, and is asked with it."""
    rows = [
        {"instruction": "Add.", "input": "1, 2", "output": "3"},
        {"instruction": "Greet.", "input": "", "output": "Hello."},
    ]
    expected = [pair("Add.\n\n1, 2", "3"), pair("Greet.", "Hello.")]
    assert examples(rows) == expected == examples(pd.DataFrame(rows))
    assert examples(rows, Columns("instruction", "output"))[0] == pair("Add.", "3")
    path = tmp_path / "d.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    mended = mend(source_of(path), "supervised")
    assert examples(mended.path) == expected


def test_other_methods() -> None:
    """A table with a better and a worse answer is preferences; graded rows keep their columns."""
    frame = pd.DataFrame({"prompt": ["p"], "chosen": ["c"], "rejected": ["r"]})
    (made,) = examples(frame)
    assert made["preferred_output"] == [{"role": "assistant", "content": "c"}]
    assert made["non_preferred_output"] == [{"role": "assistant", "content": "r"}]
    (named,) = examples(frame, Columns("prompt", "rejected", "chosen"))
    assert named["preferred_output"][0]["content"] == "r"
    graded = pd.DataFrame({"prompt": ["p"], "answer": [4]})
    (made,) = examples(graded, method="reinforcement")
    assert made == {"messages": [{"role": "user", "content": "p"}], "answer": 4}


def test_whole_examples(tmp_path: Path) -> None:
    """A table, or a list, that holds messages is taken as it is."""
    held = [pair("a", "b"), pair("c", "d")]
    frame = pd.DataFrame({"messages": [held[0]["messages"], json.dumps(held[1]["messages"])]})
    assert examples(frame) == held == examples(held) == examples(tuple(held))
    assert examples([("a", "b"), ["c", "d"]]) == held
    assert examples(held[0]) == held[:1]
    path = tmp_path / "d.json"
    path.write_text(json.dumps(held))
    assert examples(path) == held
    path.write_text('[{"messages": ]')
    with pytest.raises(ours.OptionError, match="It is not JSON"):
        examples(path)


def test_json_lines_with_columns(tmp_path: Path) -> None:
    """Rows as JSON lines are a table where columns are named."""
    path = tmp_path / "d.jsonl"
    path.write_text('{"q": "a", "a": "b"}\n\n{"q": "c", "a": "d"}\n')
    assert examples(path, Columns("q", "a")) == [pair("a", "b"), pair("c", "d")]
    assert source_of(path).path == path
    path.write_text('{"q":\r"a", "a": "b"}\r\n', newline="")
    assert examples(path, Columns("q", "a")) == [pair("a", "b")]
    path.write_text('{"q": "a"')
    with pytest.raises(ours.OptionError, match="line 1"):
        examples(path, Columns("q", "a"))


def test_parquet(tmp_path: Path) -> None:
    """It is read in batches, with the extra; what is no Parquet is said."""
    pytest.importorskip("pyarrow")
    path = tmp_path / "d.parquet"
    rows = 1200
    pd.DataFrame(
        {"prompt": [f"q{n}" for n in range(rows)], "completion": [f"a{n}" for n in range(rows)]}
    ).to_parquet(path)
    held = examples(path)
    assert (len(held), held[1100]) == (rows, pair("q1100", "a1100"))
    assert numbers(path)[-1] == rows
    path.write_bytes(b"PAR1 no")
    with pytest.raises(ours.OptionError, match="no Parquet file"):
        examples(path)


def test_parquet_without_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names what to install."""
    path = tmp_path / "d.parquet"
    path.write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ours.ExtraMissing, match=r"openai_magics\[parquet\]"):
        examples(path)


def test_a_folder(tmp_path: Path) -> None:
    """Its files are read by name, those below it too, and each line has its own file's number."""
    folder = tmp_path / "data"
    (folder / "more").mkdir(parents=True)
    (folder / "a.jsonl").write_text(json.dumps(pair("a", "b")))
    (folder / "b.csv").write_text("prompt,completion\nc,d\n,e\n")
    (folder / "more" / "c.jsonl").write_text(json.dumps(pair("a", "b")) + "\n{")
    (folder / "readme.txt").write_text("not data")
    result = check(source_of(folder))
    found = {(row.file, row.line, row.kind) for row in result.report.rows if row.line}
    assert found == {
        ("b.csv", 3, "empty content"),
        ("c.jsonl", 1, "duplicate"),
        ("c.jsonl", 2, "JSON"),
    }
    with ExitStack() as stack:
        made = material(source_of(folder), stack)
        assert len(made.path.read_bytes().splitlines()) == 5
    (tmp_path / "none").mkdir()
    with pytest.raises(ours.OptionError, match="holds no training data"):
        source_of(tmp_path / "none")


@pytest.mark.parametrize("data", [3, None, b"{}", "none.jsonl", "d.xlsx", [3]])
def test_what_is_no_data(tmp_path: Path, data: Any) -> None:
    """It is an error of ours, whatever it is."""
    Path("d.xlsx").write_bytes(b"")
    with pytest.raises(ours.OptionError):
        examples(data)


def test_what_can_be_read_once(tmp_path: Path) -> None:
    """A generator would be used up by the check, and nothing be left to train on: it is an error."""
    for data in (iter([("a", "b")]), zip("ab", "cd", strict=True)):
        with pytest.raises(ours.OptionError, match="only once") as caught:
            source_of(data)
        assert "list" in str(caught.value.remedy)
    assert examples({"k": ("a", "b")}.values()) == [pair("a", "b")]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The nearest one is named; an address is told how to be read."""
    (tmp_path / "examples.jsonl").touch()
    with pytest.raises(ours.OptionError, match=r"did you mean 'examples\.jsonl'"):
        source_of(tmp_path / "exmples.jsonl")
    with pytest.raises(ours.OptionError, match="no file or variable"):
        source_of(tmp_path / "none" / "exmples.jsonl")
    with pytest.raises(ours.OptionError, match=r"https://a\.b/c\.jsonl is an address"):
        source_of("https://a.b/c.jsonl")


def test_material_is_known_by_its_content(tmp_path: Path) -> None:
    """The same content has the same name at the service; a mark at its begin is taken off."""
    path, other = tmp_path / "träge daten.jsonl", tmp_path / "other.jsonl"
    line = json.dumps(pair("a", "b")) + "\n"
    path.write_text(line)
    other.write_bytes(b"\xef\xbb\xbf" + line.encode())
    with ExitStack() as stack:
        first, second = (material(source_of(each), stack) for each in (path, other))
        assert first.sha256 == second.sha256
        assert first.path == path
        assert second.path.read_text() == line
        assert first.filename == f"tr-ge-daten-{first.sha256[:16]}.jsonl"
    assert not second.path.exists()


def test_split_is_by_content() -> None:
    """An example goes the same way wherever it stands, and twice the same way."""
    rows = [pair(f"q{n}", "a") for n in range(300)]
    training, validation = split(source_of([*rows, rows[0]]), 0.2, 1)
    kept = [json.dumps(each) for each in examples(training)]
    held = [json.dumps(each) for each in examples(validation)]
    assert len(kept) + len(held) == 301
    assert 30 < len(held) < 90
    assert not set(kept) & set(held)
    _, reversed_ = split(source_of(rows[::-1]), 0.2, 1)
    assert {json.dumps(each) for each in examples(reversed_)} == set(held)
    assert examples(split(source_of(rows), 0.2, 2)[1]) != examples(
        split(source_of(rows), 0.2, 1)[1]
    )
    with pytest.raises(ours.OptionError, match="leaves no example"):
        split(source_of(rows[:2]), 0.0001)
