"""The notebooks of this repository, replayed by every way there is to run one: the same bytes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
RUNNERS = {
    "jupyter-execute": ["jupyter", "execute", "--inplace", "{name}"],
    "nbconvert": ["jupyter", "nbconvert", "--to", "notebook", "--execute", "--inplace", "{name}"],
    "papermill": ["papermill", "{name}", "{name}"],
    "nbval": ["pytest", "--nbval", "-p", "no:cacheprovider", "{name}"],
    "verify": ["openai_magics", "verify", "{name}"],
}
VIEW = "application/vnd.jupyter.widget-view+json"
PLACE = re.compile(r"(?<![\w.])/(?:root|tmp|work|home|Users|var)/")
# Nothing may be reached: the proxy leads nowhere, and there is no key, no server, no weights.
OFFLINE = {
    "OPENAI_MAGICS_MODE": "replay",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "OPENAI_MAGICS_CACHE": "nowhere",
}


def outputs(path: Path) -> list[list[dict[str, Any]]]:
    """Return the outputs of a notebook's code cells, execution counts aside."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    found = []
    for cell in cells:
        if cell["cell_type"] == "code":
            for item in cell["outputs"]:
                item.pop("execution_count", None)
            found.append(cell["outputs"])
    return found


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_replay_gives_the_same_bytes(notebook: Path, runner: str, tmp_path: Path) -> None:
    """Whichever program runs the notebook, its outputs are those that are committed, byte for byte.

    And its dialogue file holds no more than it takes: `verify` has nothing to tell.
    """
    copy = tmp_path / notebook.name
    shutil.copy(notebook, copy)
    dialogue = notebook.with_suffix(".dialogue.json")
    shutil.copy(dialogue, tmp_path)
    said = ran(runner, copy)
    assert runner != "verify" or len(said.splitlines()) == 1, said
    assert outputs(copy) == outputs(notebook)
    assert (tmp_path / dialogue.name).read_bytes() == dialogue.read_bytes()


def ran(runner: str, copy: Path) -> str:
    """Run a notebook; it must not fail. Return what the program said."""
    command = [sys.executable, "-m", *(part.format(name=copy.name) for part in RUNNERS[runner])]
    done = subprocess.run(
        command, cwd=copy.parent, env={**os.environ, **OFFLINE}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("runner", ["nbval", "verify"])
def test_panels_that_a_front_end_saved(runner: str, tmp_path: Path) -> None:
    """What JupyterLab saves of a panel has its widget as well; it replays all the same."""
    notebook = ROOT / "notebooks" / "panels.ipynb"
    document = json.loads(notebook.read_text("utf-8"))
    shown = [item for cell in document["cells"] for item in cell.get("outputs", ())]
    panels = [item for item in shown if item["metadata"]["openai_magics"].get("panel")]
    assert len(panels) == 5
    for item in panels:
        item["data"][VIEW] = {"version_major": 2, "version_minor": 0, "model_id": "c0ffee"}
    copy = tmp_path / notebook.name
    copy.write_text(json.dumps(document), "utf-8")
    shutil.copy(notebook.with_suffix(".dialogue.json"), tmp_path)
    said = ran(runner, copy)
    if runner == "verify":  # and a panel that lists anew is nothing to look at
        assert len(said.splitlines()) == 1, said


def test_no_place_of_a_machine() -> None:
    """No file here names a folder of the machine that made it."""
    for path in (ROOT / "notebooks").iterdir():
        if path.suffix in (".ipynb", ".json"):
            found = PLACE.search(path.read_text("utf-8"))
            assert found is None, f"{path.name}: {found}"
