"""A notebook with assistants, run again from nothing but its dialogue file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from openai_magics.verify import verify
from tests.scripted import ScriptedServer

CELLS = (
    "%load_ext openai_magics",
    "%%assistant save tutor -t 0.5 --file notes.txt\nAsk back.\nBe kind.",
    "%assistant tutor",
    "%ask What is a tide?",
    "%assistant edit tutor -p seed=7",
    "%%ask --no-history\nAnd an ebb?",
    "%assistant",
    "%assistant import old.json",
    "%assistants",
    "%assistant none",
    "%assistant export mine.json",
    "%assistant delete tutor",
)


def test_nothing_but_the_dialogue_file(
    tmp_path: Path, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same outputs, byte by byte, in a folder without the files; none is written there."""
    made, bare = tmp_path / "made", tmp_path / "bare"
    made.mkdir()
    bare.mkdir()
    (made / "notes.txt").write_text("The moon pulls.", "utf-8")
    old = {"id": "asst_1", "name": "coach", "model": "gpt-4o", "instructions": "Run."}
    (made / "old.json").write_text(json.dumps(old), "utf-8")
    monkeypatch.setenv("OPENAI_BASE_URL", scripted.base_url)
    monkeypatch.setenv("OPENAI_MAGICS_MODEL", "gpt-4o")
    node = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS])
    nbformat.write(node, made / "a.ipynb")
    NotebookClient(node, resources={"metadata": {"path": str(made)}}).execute()
    nbformat.write(node, made / "a.ipynb")
    sent = [each.json["messages"][0]["content"] for each in scripted.requests if each.json]
    assert sent == ["Ask back.\nBe kind.\n\nThe file notes.txt:\n\nThe moon pulls."] * 2
    monkeypatch.delenv("OPENAI_BASE_URL")
    for name in ("a.ipynb", "a.dialogue.json"):
        shutil.copy(made / name, bare)
    count = len(scripted.requests)
    report = verify(bare / "a.ipynb")
    assert report.findings == ()
    assert report.ok
    assert len(scripted.requests) == count
    assert sorted(item.name for item in bare.iterdir()) == ["a.dialogue.json", "a.ipynb"]
