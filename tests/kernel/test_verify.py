"""Verifying a notebook: what was changed in it, or in its dialogue file, is found and named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from openai_magics import Session
from openai_magics.errors import NotebookNotFound
from openai_magics.panels.worker import Worker
from openai_magics.verify import Report, verify
from tests.scripted import ScriptedServer

SOURCES = ("%load_ext openai_magics", "%ask one?", "%ask two?", "_answer.text")


def record(
    path: Path, server: ScriptedServer, *sources: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Write a notebook and run it live against the scripted server."""
    node = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in sources])
    nbformat.write(node, path)
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_MAGICS_MODEL", "gpt-5.4-mini")
    NotebookClient(node, resources={"metadata": {"path": str(path.parent)}}).execute()
    nbformat.write(node, path)
    monkeypatch.delenv("OPENAI_BASE_URL")


@pytest.fixture
def story(tmp_path: Path, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recorded notebook of two turns, its server gone from the environment."""
    path = tmp_path / "story.ipynb"
    record(path, scripted, *SOURCES, monkeypatch=monkeypatch)
    assert len(scripted.requests) == 2
    return path


def kinds(report: Report) -> list[str]:
    """Return what was found, in order."""
    return [item.kind for item in report.findings]


def change_cell(path: Path, index: int, source: str | None = None, **changes: Any) -> None:
    """Edit a cell of a notebook on disk."""
    document = json.loads(path.read_text())
    cell = document["cells"][index]
    if source is not None:
        cell["source"] = source
    cell.update(changes)
    path.write_text(json.dumps(document))


def test_a_notebook_as_recorded_verifies(story: Path, scripted: ScriptedServer) -> None:
    """Nothing is found, nothing is asked and not a byte is written."""
    before = {item.name: item.read_bytes() for item in story.parent.iterdir() if item.is_file()}
    asked = len(scripted.requests)
    report = verify(story)
    assert report.ok
    assert report.findings == ()
    assert (report.cells, report.records, report.replayed) == (4, 2, 2)
    assert len(scripted.requests) == asked
    after = {item.name: item.read_bytes() for item in story.parent.iterdir() if item.is_file()}
    assert after == before


def test_an_edited_prompt_is_missing_and_leaves_an_orphan(story: Path) -> None:
    """A cell whose prompt was edited asks what is not recorded; later ones are stale."""
    change_cell(story, 1, "%ask uno?")
    report = verify(story)
    assert not report.ok
    # The turn after it has nothing before it now, and _answer was never set.
    assert kinds(report) == ["missing", "stale", "failed", "orphan", "orphan"]
    missing = report.findings[0]
    assert missing.cell == 2
    assert "one?" in missing.what


def test_a_cell_asked_before_an_earlier_one_changed_is_stale(
    tmp_path: Path, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first cell was edited and asked again; the second still shows its old answer."""
    path = tmp_path / "stale.ipynb"
    record(path, scripted, *SOURCES, monkeypatch=monkeypatch)
    old = json.loads(path.read_text())["cells"][2]
    record(path, scripted, *SOURCES[:1], "%ask uno?", monkeypatch=monkeypatch)
    document = json.loads(path.read_text())
    document["cells"].append(old)
    path.write_text(json.dumps(document))
    report = verify(path)
    stale = [item for item in report.findings if item.kind == "stale"]
    assert [item.cell for item in stale] == [3]
    assert "one?" in stale[0].what


def test_an_edited_output_is_found(story: Path) -> None:
    """An output that shows another text than its record is named with its cell."""
    document = json.loads(story.read_text())
    document["cells"][1]["outputs"][0]["data"]["text/plain"] = "I never said that."
    story.write_text(json.dumps(document))
    report = verify(story)
    assert not report.ok
    assert "edited" in kinds(report)
    assert {item.cell for item in report.findings} == {2}


def test_a_changed_record_is_found(story: Path) -> None:
    """A record whose text was altered no longer matches its id."""
    path = story.with_suffix(".dialogue.json")
    path.write_text(path.read_text().replace("You said: one?", "You said: eins?"))
    report = verify(story)
    assert not report.ok
    changed = next(item for item in report.findings if item.kind == "changed")
    assert changed.line == 2


def test_a_damaged_file_is_found(story: Path) -> None:
    """A line that cannot be read is named, with the command that mends it."""
    path = story.with_suffix(".dialogue.json")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[1][:90] + "\n", *lines[2:]]))
    report = verify(story)
    assert not report.ok
    damaged = next(item for item in report.findings if item.kind == "damaged")
    assert (damaged.line, "repair" in damaged.remedy) == (2, True)
    assert "(4 cells, 2 records replayed)" in str(Report(story, path, 4, 0, 2))


def test_a_missing_parent_and_a_circle_are_found(story: Path) -> None:
    """A chain that leads nowhere, or round, is told and does not hang."""
    path = story.with_suffix(".dialogue.json")
    lines = path.read_text().splitlines(keepends=True)
    first, second = (json.loads(line.rstrip(",\n")) for line in lines[1:3])
    path.write_text("".join([lines[0], lines[2].rstrip("\n") + "\n", lines[3]]))
    assert "chain" in kinds(verify(story))
    first["parent"] = second["id"]
    path.write_text(
        "".join([lines[0], json.dumps(first), ",\n", json.dumps(second), "\n", lines[3]])
    )
    assert {"chain", "changed"} & set(kinds(verify(story)))


def test_two_answers_to_one_slot_are_said(
    story: Path, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked anew, a slot has two answers: the last one counts, and verifying says that there are two."""
    scripted.script.then("Another answer.")
    monkeypatch.setenv("OPENAI_BASE_URL", scripted.base_url)
    Session(dialogue_log_path=story.with_suffix(".dialogue.json"), mode="live").ask("one?")
    assert "answers" in kinds(verify(story))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("none.ipynb", None, "There is no notebook"),
        ("broken.ipynb", "{", "is not a notebook"),
        ("list.ipynb", "[]", "has no cells"),
        (
            "x.dialogue.json",
            '{"format": "openai_magics.dialogue"}',
            "dialogue file, not a notebook",
        ),
    ],
)
def test_what_is_no_notebook_is_said(
    tmp_path: Path, name: str, text: str | None, said: str
) -> None:
    """A missing or invalid notebook, or its dialogue in its place, is named."""
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(NotebookNotFound, match=said):
        verify(tmp_path / name)


def test_the_command_tells_by_its_exit_status(story: Path) -> None:
    """``python -m openai_magics verify`` exits 0, 1 or 2, and speaks JSON when asked."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "openai_magics", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=story.parent)

    good = run("verify", story.name)
    assert good.returncode == 0, good.stderr
    assert "WARNING" not in good.stderr
    assert "the same outputs" in good.stdout
    change_cell(story, 2, "%ask drei?")
    bad = run("verify", "--json", story.name)
    assert bad.returncode == 1
    assert json.loads(bad.stdout)[0]["ok"] is False
    assert run("verify", "nowhere.ipynb").returncode == 2


def test_prune_removes_what_no_cell_asks_for(story: Path) -> None:
    """After a cell was taken out, its record is removed on request, after a backup."""
    document = json.loads(story.read_text())
    document["cells"] = document["cells"][:2]
    story.write_text(json.dumps(document))
    assert kinds(verify(story)) == ["orphan"]
    command = [sys.executable, "-m", "openai_magics", "prune", story.name]
    done = subprocess.run(command, capture_output=True, text=True, cwd=story.parent)
    assert done.returncode == 0, done.stderr
    report = verify(story)
    assert (report.records, report.findings) == (1, ())
    backups = [item for item in story.parent.iterdir() if ".before-" in item.name]
    assert len(backups) == 1


def test_what_was_asked_in_a_panel_is_no_orphan(story: Path, scripted: ScriptedServer) -> None:
    """No cell asks for it, but the panel shows it again: neither named nor removed by prune."""
    session = Session("gpt-5.4-mini", base_url=scripted.base_url, dialogue_log_path=file_of(story))
    replies: list[str] = []
    job = Worker().start(
        lambda _: replies.append(session.ask("Said in a panel", conversation="chat").id)
    )
    assert job.wait(90)
    (said,) = replies
    report = verify(story)
    assert report.ok
    assert kinds(report) == []
    run = subprocess.run(
        [sys.executable, "-m", "openai_magics", "prune", str(story)], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert said in file_of(story).read_text("utf-8")


def file_of(notebook: Path) -> Path:
    """Return a notebook's dialogue file."""
    return notebook.with_suffix(".dialogue.json")


def test_a_miss_that_was_saved_is_no_proof(story: Path) -> None:
    """A notebook saved after a replay that found nothing fails, unless its cell is to fail."""
    change_cell(story, 2, "%ask three?")
    node = nbformat.read(story, as_version=4)
    env = {**os.environ, "OPENAI_MAGICS_MODE": "replay"}
    client = NotebookClient(
        node, resources={"metadata": {"path": str(story.parent)}}, allow_errors=True
    )
    client.execute(env=env)
    nbformat.write(node, story)
    report = verify(story)
    assert not report.ok
    assert kinds(report)[0] == "missing"
    assert report.findings[0].cell == 3
    change_cell(story, 2, metadata={"tags": ["raises-exception"]})
    assert "missing" not in kinds(verify(story))


def test_a_renamed_notebook_is_told_to_rename_its_dialogue(story: Path) -> None:
    """The dialogue file that was left behind under the old name is named, and the name it needs."""
    new = story.rename(story.with_name("novel.ipynb"))
    found = next(item for item in verify(new).findings if item.kind == "renamed")
    assert "story.dialogue.json" in found.what
    assert "novel.dialogue.json" in found.what
