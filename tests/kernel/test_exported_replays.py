"""An exported notebook replays: in nbclient, with no key, no server and no network, to the same outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from openai_magics import Session
from openai_magics.verify import verify
from tests.kernel.kernels import environment, loaded
from tests.scripted import ScriptedServer
from tests.unit.dialogues import HOSTILE

CELLS = [
    "%%ask\nWhat is a tide?",
    "%%ask --temperature 0.2 -p top_p=0.9\nAnd an ebb?\n\nSay it in {two} lines, $please.",
    "%%ask -c fork --branch-from 1\nFork here.",
    '%%ask -c "my draft" --system "Don\'t \\"hedge\\"." --max-tokens 50\nSketch it.',
    "%ask Is this a question?",
    "%%ask --no-history -f json\nJSON, please.",
    "%%ask --new\nFrom the start.",
    "%%ask -c fork --branch-from fork:1\nFork again.",
    "%%ask --max-history 1\nGo on.",
    "%config OpenAIMagics.system_instruction = 'Two\\nlines.'",
    "%%ask -m gpt-4o-mini\nWhat now?",
    "%config OpenAIMagics.system_instruction = None",
    "%%ask\nAnd at last?",
]


def executed(path: Path, tmp_path: Path, mode: str) -> Any:
    """Run a notebook as nbclient does in a folder of its own; nothing can be asked."""
    document = nbformat.read(path, as_version=4)
    hidden = environment(tmp_path, OPENAI_MAGICS_MODE=mode, OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    client = NotebookClient(
        document,
        timeout=90,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute(env=hidden)
    return document


def without_counts(document: Any) -> str:
    plain = json.loads(json.dumps(document))
    for cell in plain["cells"]:
        cell.pop("execution_count", None)
    plain["metadata"] = {}
    return json.dumps(plain, sort_keys=True)


@pytest.mark.parametrize("mode", ["replay", "auto"])
def test_an_exported_notebook_replays_at_once(
    tmp_path: Path, scripted: ScriptedServer, mode: str
) -> None:
    """What was asked in cells, exported and run where nothing can be asked, gives the bytes that were exported."""
    scripted.script.then("The sea's *breath*.", *HOSTILE[:4], '{"a": [1, 2]}')
    env = environment(tmp_path, scripted.base_url)
    with loaded(tmp_path / "work", env) as kernel:
        for number, source in enumerate(CELLS):
            kernel.ok(source, f"cell-{number}")
        kernel.ok("import pathlib; pathlib.Path('../given').mkdir()")
        said = kernel.ok("%dialogue export ../given/talk.ipynb").text
    assert "Not found" not in said
    given = tmp_path / "given" / "talk.ipynb"
    before = nbformat.read(given, as_version=4)
    asked = len(scripted.requests)
    after = executed(given, tmp_path, mode)
    assert without_counts(after) == without_counts(before)
    assert len(scripted.requests) == asked
    held = json.loads(given.with_name("talk.dialogue.json").read_text("utf-8"))["exchanges"]
    assert len(held) == len([cell for cell in CELLS if "ask" in cell])


def test_what_was_asked_from_python_replays_as_well(
    tmp_path: Path, scripted: ScriptedServer
) -> None:
    """Prompts that no magic can say, repeated asks, conversations side by side: all are found again."""
    given = tmp_path / "given"
    given.mkdir()
    session = Session(
        "gpt-4o", base_url=scripted.base_url, api_key="sk-test", dialogue_log_path="a.dialogue.json"
    )
    scripted.script.always(
        lambda request: f"answer {len(scripted.requests)} to {request.said[:40]}"
    )
    for text in HOSTILE:
        session.ask(text)
    session.ask("  ends in blanks \n\n", system_instruction="Two\nlines, \"quoted\" and 'so'.")
    session.ask("two\r\nlines", conversation='it\'s "a" draft', stop=["'", '"'], temperature=0)
    for _ in range(3):
        session.ask("again", history=False)
        session.ask("anew", conversation="loop", new=True)
    session.ask("after the loop", conversation="loop")
    done = session.dialogue.exported(given / "talk.ipynb")
    assert done.notes == (
        "Its dialogue file is talk.dialogue.json.",
        "Left out: 2 no longer part of the conversation.",
    )
    before = nbformat.read(done.path, as_version=4)
    after = executed(done.path, tmp_path, "replay")
    assert without_counts(after) == without_counts(before)


def test_the_magic_verifies_the_notebook(tmp_path: Path, scripted: ScriptedServer) -> None:
    """``%dialogue verify`` runs the notebook beside the dialogue file in replay, once, and says what came of it."""
    work = tmp_path / "work"
    work.mkdir()
    path = work / "story.ipynb"
    cells = ["%load_ext openai_magics", "%%ask\nWhat is a tide?", "%dialogue verify"]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    nbformat.write(made, path)
    env = environment(tmp_path, scripted.base_url, OPENAI_MAGICS_NOTEBOOK=str(path))
    with loaded(work, env) as kernel:
        made.cells[1].outputs = [nbformat.from_dict(kernel.ok(cells[1]).outputs[0])]
        nbformat.write(made, path)
        (said,) = (each["data"]["text/plain"] for each in kernel.ok(cells[2]).of("display_data"))
    assert "story.ipynb: the same outputs (3 cells, 1 of 1 records replayed)" in said


def test_an_exported_notebook_verifies(tmp_path: Path, scripted: ScriptedServer) -> None:
    """`openai_magics.verify` finds nothing that keeps it from giving the same outputs."""
    session = Session(
        "gpt-4o",
        base_url=scripted.base_url,
        api_key="sk-test",
        dialogue_log_path=tmp_path / "a.dialogue.json",
    )
    session.ask("What is a tide?")
    session.ask("And an ebb?", temperature=0)
    report = verify(session.dialogue.export(tmp_path / "talk.ipynb"))
    assert report.ok, str(report)
    assert (report.findings, report.replayed) == ((), 2)
