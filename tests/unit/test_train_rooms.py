"""The smaller rooms of training: repeats, mending, jobs that are kept, the dialogue as data, pictures."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from openai_magics import cells
from openai_magics import errors as ours
from openai_magics.conversation import Place
from openai_magics.training import jobs, repeats, shown
from openai_magics.training.follow import State
from openai_magics.training.job import JobOptions, from_mapping
from openai_magics.training.kept import JobsFile
from openai_magics.training.lineage import cells_that_make, cells_that_ran
from openai_magics.training.mend import mend
from openai_magics.training.repeats import Pair, Repeats
from openai_magics.training.selection import Selection, chosen
from openai_magics.training.sources import source_of
from openai_magics.turns.shown import Shown
from tests.unit.dialogues import Talk

# --- repeats


@pytest.mark.parametrize("run", [1 << 16, 100, 1000], ids=["in memory", "runs of 100", "of 1000"])
def test_repeats(monkeypatch: pytest.MonkeyPatch, run: int) -> None:
    """Duplicates and other answers are counted as a dict would, in memory and from the disk."""
    monkeypatch.setattr(repeats, "RUN", run)
    some, held = random.Random(run), Repeats()
    given = [(some.randrange(1500), some.randrange(3)) for _ in range(2500)]
    for place, (prompt, answer) in enumerate(given, 1):
        held.prompts.append(hash((prompt, "salt")))
        held.answers.append(answer)
        held.places.append(place)
        held.full()
    found = held.found()
    same, other = found.same, found.other
    firsts: dict[Any, int] = {}
    expected: dict[str, list[Pair]] = {"same": [], "other": []}
    for place, (prompt, answer) in enumerate(given, 1):
        if (prompt, answer) in firsts:
            expected["same"].append(Pair(place, firsts[prompt, answer]))
        elif prompt in firsts:
            expected["other"].append(Pair(place, firsts[prompt]))
        firsts.setdefault((prompt, answer), place)
        firsts.setdefault(prompt, place)
    assert (same.count, other.count) == (len(expected["same"]), len(expected["other"]))
    assert same.pairs == expected["same"][: repeats.MOST] or run < 1 << 16
    assert [pair.place for pair in other.pairs] == [
        pair.place for pair in expected["other"][: repeats.MOST]
    ]


def test_one_line_many_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of one line leaves a row a run, and of one prompt a hundred."""
    monkeypatch.setattr(repeats, "RUN", 1000)
    held = Repeats()
    for place in range(20_000):
        held.prompts.append(1)
        held.answers.append(place if place < 10_000 else 0)
        held.places.append(place)
        held.full()
    assert held._file.seek(0, 2) <= 24 * (10 * 101 + 10)
    found = held.found()
    same, other = found.same, found.other
    assert same.count >= 9_990
    assert other.count + same.count == 19_999


# --- mending


def test_mend(tmp_path: Path) -> None:
    """What can be mended is, what cannot be is left out, both are said, and nothing is written over."""
    user, answer = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    lines: list[Any] = [
        {"messages": [user, answer]},
        {"messages": [user, answer]},
        "",
        "{",
        {"messages": [{"role": "human", "content": "c"}, {"role": "GPT", "content": "d"}], "id": 1},
        {"messages": [user, {"role": "system", "content": "s"}, answer, user]},
        {"conversations": [{"from": "human", "value": "e"}, {"from": "gpt", "value": "f"}]},
        {"instruction": "add", "input": "1 2", "output": "3"},
        {"messages": [{"role": "user", "content": "g\ud800"}, answer]},
        {"messages": [user]},
        b'{"prompt": "caf\xe9", "completion": "h"}',
    ]
    path = tmp_path / "d.jsonl"
    data = [
        line
        if isinstance(line, bytes)
        else (line if isinstance(line, str) else json.dumps(line)).encode()
        for line in lines
    ]
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(data))
    before = path.read_bytes()
    done = mend(source_of(path), "supervised")
    assert done.path == tmp_path / "d.fixed.jsonl"
    assert mend(source_of(path), "supervised").path == tmp_path / "d.fixed-2.jsonl"
    assert path.read_bytes() == before
    kept = [json.loads(line)["messages"] for line in done.path.read_bytes().splitlines()]
    assert [[each["content"] for each in example] for example in kept] == [
        ["a", "b"],
        ["c", "d"],
        ["s", "a", "b"],
        ["e", "f"],
        ["add\n\n1 2", "3"],
        ["g", "b"],
        ["café", "h"],
    ]
    assert done.left_out == {"duplicate": 1, "blank line": 1, "not JSON": 1, "no answer": 1}
    assert (done.changed["encoding"], done.changed["encoding of the file"]) == (1, 1)
    assert "7 examples" in str(done)
    from openai_magics.training.check import check

    assert check(source_of(done.path)).ok


def test_what_is_still_in_a_mended_copy(tmp_path: Path) -> None:
    """Keys and addresses stay, for a person to look at, and are said."""
    rows = [("key AKIAABCDEFGHIJKLMNOP", "a"), ("joe@corp.com", "b"), ("me@example.org", "c")]
    done = mend(source_of(rows), "supervised")
    assert done.still == {"key": 1, "e-mail address": 1}
    assert str(done).endswith("Still in it: 1 e-mail address, 1 key.")


def test_mend_against_validation(tmp_path: Path) -> None:
    """What is in the validation data is left out of the copy."""
    rows = [("a", "b"), ("c", "d")]
    done = mend(source_of(rows), "supervised", source_of(rows[1:]))
    assert (done.kept, done.left_out) == (1, {"also in the validation data": 1})
    assert done.path == Path("data.fixed.jsonl")


# --- jobs that are kept


def test_kept_jobs(tmp_path: Path) -> None:
    """The first version's file (an id and a description) is read; what is not known stays."""
    path = tmp_path / "job_ids.json"
    path.write_text('{"ftjob-0": "old", "ftjob-1": {"description": "x", "later": [1]}}')
    held = JobsFile(path)
    held.keep("ftjob-1", None, {"model": "m"})
    held.keep("ftjob-2", "new", {})
    assert held.read() == {
        "ftjob-0": {"description": "old"},
        "ftjob-1": {"description": "x", "later": [1], "model": "m"},
        "ftjob-2": {"description": "new"},
    }
    assert [each.name for each in tmp_path.iterdir() if "job_ids" in each.name] == ["job_ids.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00", '"a"'])
def test_a_damaged_file_is_kept(tmp_path: Path, content: str) -> None:
    """It is never written over."""
    path = tmp_path / "job_ids.json"
    path.write_text(content)
    with pytest.raises(ours.JobsFileError, match="damaged"):
        JobsFile(path).keep("ftjob-1", "x", {})
    assert path.read_text() == content


def test_two_processes_keep_jobs(tmp_path: Path) -> None:
    """Each keeps its own, and none is lost."""
    code = (
        "import sys; from pathlib import Path; from openai_magics.training.kept import JobsFile\n"
        "for n in range(20): JobsFile(Path('job_ids.json')).keep(f'{sys.argv[1]}-{n}', 'x', {})"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, name], cwd=tmp_path, env=dict(os.environ))
        for name in "abc"
    ]
    assert [each.wait(60) for each in started] == [0, 0, 0]
    assert len(JobsFile(tmp_path / "job_ids.json").read()) == 60


# --- what a job is to be


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"method": "sft"}, "no method 'sft'"),
        ({"hyperparameters": {"n_epoch": 1}}, "did you mean 'n_epochs'"),
        ({"hyperparameters": {"n_epochs": 51}}, "1 to 50"),
        ({"hyperparameters": {"n_epochs": 1.5}}, "a whole number"),
        ({"hyperparameters": {"batch_size": True}}, "batch_size = True"),
        ({"hyperparameters": {"reasoning_effort": "huge"}}, "not possible"),
        ({"suffix": ""}, "1 to 64"),
        ({"validation": "a", "split": 0.1}, "a split as well"),
        ({"metadata": {"k" * 65: "v"}}, "too long"),
        ({"metadata": dict.fromkeys("abcdefghijklmnop", "v")}, "16 keys"),
        ({"suffix": 5}, "suffix = 5 is no text"),
        ({"description": ["a"]}, "is no text"),
        ({"seed": "x"}, "seed = 'x' is not possible"),
        ({"seed": True}, "seed = True is not possible"),
        ({"split": "x"}, "split = 'x' is not possible"),
    ],
)
def test_impossible_jobs(given: dict[str, Any], says: str) -> None:
    """They are said before anything is read."""
    with pytest.raises(ours.OptionError) as caught:
        JobOptions(**given)
    assert says in str(caught.value)


def test_jobs_as_written() -> None:
    """Hyperparameters stand among the other keys, or as in the API; other names are errors."""
    assert from_mapping({"training_file": "d", "n_epochs": 2}) == {
        "data": "d",
        "hyperparameters": {"n_epochs": 2},
    }
    method = {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.1}}}
    assert from_mapping({"data": "d", "method": method, "batch_size": "auto"}) == {
        "data": "d",
        "method": "dpo",
        "hyperparameters": {"beta": 0.1, "batch_size": "auto"},
    }
    told = {"suffix": 2024, "metadata": {"run": 3, "who": "me"}, "description": 1.5}
    assert from_mapping(told) == {
        "suffix": "2024",
        "metadata": {"run": "3", "who": "me"},
        "description": "1.5",
        "hyperparameters": {},
    }
    for name in ("metadata", "hyperparameters", "grader"):
        with pytest.raises(ours.OptionError, match=f"{name} is not a set of keys"):
            from_mapping({name: "x"})
    with pytest.raises(ours.OptionError, match=r"method\.dpo is not a set of keys"):
        from_mapping({"method": {"type": "dpo", "dpo": "x"}})
    with pytest.raises(ours.OptionError, match="did you mean 'suffix'"):
        from_mapping({"sufix": "a"})
    with pytest.raises(ours.OptionError, match="not a set of keys"):
        from_mapping(["a"])


# --- the dialogue as data


def test_the_dialogue_as_data() -> None:
    """Conversations as they stand; chosen answers have weight, the others are context."""
    talk = Talk()
    first = talk.said("one", "1", cell="c1", reply={"sentiment": "positive"})
    second = talk.said("two", "2", after=first, cell="c2", reply={"sentiment": "negative"})
    talk.said("three", "3", after=second, cell="c3", reply={"sentiment": "positive"})
    talk.said("other", "4", conversation="draft", cell="c4", reply={"sentiment": "positive"})
    whole = chosen(talk.file, Selection())
    assert [len(each["messages"]) for each in whole.examples] == [6, 2]
    assert whole.cells == ("c1", "c2", "c3", "c4")
    (main,) = chosen(talk.file, Selection("main", sentiments=("positive",))).examples
    weights = [each.get("weight") for each in main["messages"] if each["role"] == "assistant"]
    assert weights == [None, 0, None]
    cut = chosen(talk.file, Selection(cells=("c2",)))
    (example,) = cut.examples
    assert [each["content"] for each in example["messages"]] == ["one", "1", "two", "2"]
    assert [each.get("weight") for each in example["messages"]] == [None, 0, None, None]
    assert cut.cells == ("c2",)
    with pytest.raises(ours.OptionError, match="did you mean 'draft'"):
        chosen(talk.file, Selection("drafts"))
    with pytest.raises(
        ours.OptionError, match="has the cell 'c9' and the sentiment 'neu"
    ) as caught:
        chosen(talk.file, Selection(cells=("c9",), sentiments=("neutral",)))
    assert caught.value.remedy == (
        "Cells with answers: c1, c2, c3, c4. Sentiments of answers: negative 1, positive 3."
    )
    with pytest.raises(ours.OptionError, match="no whole answer"):
        chosen([], Selection(sentiments=("neutral",)))


def test_cells_that_make(tmp_path: Path) -> None:
    """Cells that assign a variable, or name a file; a notebook that cannot be read has none."""
    cells = [
        ("a", "rows = [1]"),
        ("b", "%time x = 1\nfor rows in y: pass"),
        ("c", "print(rows)"),
        ("d", "df.to_json('data/d.jsonl')"),
        ("e", "%%writefile d.jsonl\n{}"),
        ("f", "1 +"),
    ]
    path = tmp_path / "n.ipynb"
    held = [{"cell_type": "code", "id": name, "source": [text]} for name, text in cells]
    path.write_text(json.dumps({"cells": held}))
    assert cells_that_make(path, "rows", file=False) == ("a", "b")
    assert cells_that_make(path, "d.jsonl", file=True) == ("d", "e")
    path.write_text("{")
    assert cells_that_make(path, "rows", file=False) == ()
    assert cells_that_make(tmp_path / "none.ipynb", "rows", file=False) == ()


def test_cells_that_ran(tmp_path: Path) -> None:
    """Known by their source; of several alike the first to run is the first, the last stays it."""
    sources = [("a", "%%ask\nHello"), ("b", "x = 1"), ("c", "%%ask\nHello\n"), ("d", "%%ask\nYes")]
    path = tmp_path / "n.ipynb"
    held = [{"cell_type": "code", "id": name, "source": text} for name, text in sources]
    path.write_text(json.dumps({"cells": held}))
    hello = "%%ask\nHello"
    ran = [(hello, ["1", "2"]), ("%%ask\nNo", ["3"]), (hello, ["4"]), (hello, ["5"])]
    assert cells_that_ran(path, ran) == {"1": "a", "2": "a", "4": "c", "5": "c"}
    assert cells_that_ran(tmp_path / "none.ipynb", ran) == {}


# --- what is shown

CSV = (
    "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n"
    "1,2.0,0.5,,\n2,1.0,0.75,1.5,0.6\n3,0.5,,,\n"
)
JOB = {"id": "ftjob-1", "status": "succeeded", "model": "m", "fine_tuned_model": "ft:m:x"}


def test_metrics() -> None:
    """The result file, or the events where there is none; a step without a figure has NaN."""
    frame = jobs.metrics_frame([], CSV)
    assert list(frame["step"]) == [1, 2, 3]
    assert list(frame["valid_loss"].dropna()) == [1.5]
    events = [
        {"data": {"step": 2, "train_loss": 1.0, "total_steps": 9}},
        {"data": {"step": 1, "train_loss": "2.0"}},
        {"data": {"step": 2, "full_valid_loss": 3.0, "valid_loss": 4.0}},
        {"data": {}},
        {"data": None},
        {"data": {"step": "x"}},
    ]
    frame = jobs.metrics_frame(events)
    assert list(frame["train_loss"]) == [2.0, 1.0]
    assert list(frame["valid_loss"].dropna()) == [3.0]
    assert jobs.progress({"status": "running"}, events) == (2, 9)
    assert len(jobs.metrics_frame([])) == 0


def test_a_picture_of_a_job() -> None:
    """Text with a line of blocks, SVG with curves of both losses, the same each time."""
    state = State(job=dict(JOB), result=CSV)
    data, _ = shown.state_bundle(state)
    assert "ask it" in data["text/plain"]
    assert "training loss        █▃▁  2 to 0.5 (step 3)" in data["text/plain"]
    assert data["text/html"].count("<svg") == 2
    assert "currentColor" in data["text/html"]
    assert shown.state_bundle(State(job=dict(JOB), result=CSV)) == shown.state_bundle(state)
    ended, running = State(job=dict(JOB)), State(job={**JOB, "status": "running"})
    assert shown.curves(ended)[0]["text/plain"] == "The job has ended without figures."
    assert shown.curves(running)[0]["text/plain"] == "No figures have come yet."


def test_a_hostile_service() -> None:
    """What a service says of a job is shown as text."""
    job = {**JOB, "status": "<script>", "error": {"message": "<img onerror=x>"}, "model": "\x1b[2J"}
    event = {"message": "<b>", "data": {"step": 1, "train_loss": float("nan"), "total_steps": 2}}
    data, _ = shown.state_bundle(State(job=job, events=[event]))
    assert "<script>" not in data["text/html"]
    assert "<img" not in data["text/html"]
    assert "\x1b" not in data["text/plain"]


@pytest.mark.parametrize(
    ("values", "line"),
    [([], ""), ([1.0], "▁"), ([1.0, 2.0], "▁█"), ([float("nan"), 3.0, 3.0], "▁▁")],
)
def test_spark(values: list[float], line: str) -> None:
    """Numbers as blocks, at most so many."""
    assert shown.spark(values) == line
    assert len(shown.spark([float(n) for n in range(1000)])) == shown.WIDTH


def test_cells_are_known_whoever_runs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the id where it is the notebook file's; by their source where none, or a handle, is told."""
    monkeypatch.setattr(cells, "code", lambda: "%ask Hi")
    shown = Shown()
    shown.add(Place("a1", "one"), "first")
    shown.add(Place("vscode:W3", "two"), "second")
    shown.add(Place(None, "three"), "third")
    assert shown.named() == {"first": "a1"}
    assert shown.nameless() == [("%ask Hi", ["second"]), ("%ask Hi", ["third"])]
    shown.drop(Place("vscode:W3", "four"))
    assert shown.nameless() == [("%ask Hi", ["third"])]
