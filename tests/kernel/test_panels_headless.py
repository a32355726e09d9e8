"""Panels where nobody is there to use them: what is saved is text and safe HTML, and true."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tests.scripted import ScriptedServer
from tests.unit.hostile import read

PANELS = ("dialogue", "images", "models", "training")


def test_panels_without_a_front_end(scripted: ScriptedServer, tmp_path: Path) -> None:
    """No widget, no error; what each shows is what is so at that moment; nbconvert shows it."""
    cells = [
        "import os; os.environ['OPENAI_BASE_URL'] = " + repr(scripted.base_url),
        "%load_ext openai_magics",
        "%ask -m gpt-4o How high is the <b>tide</b>?",
        *(f"%panel {name}" for name in PANELS),
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in cells])
    path = tmp_path / "panels.ipynb"
    nbformat.write(notebook, path)
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = {}
    for name, cell in zip(PANELS, notebook.cells[3:], strict=True):
        [output] = cell.outputs
        assert set(output.data) == {"text/plain", "text/html"}
        problems = read(output.data["text/html"]).problems
        assert [one for one in problems if "text-align: right" not in one] == []
        shown[name] = output.data["text/plain"]
    assert "How high is the <b>tide</b>?" in shown["dialogue"]
    assert "gpt-4o" in shown["models"]
    assert "0 images" in shown["images"]
    assert "none is taken" in shown["training"]

    from nbconvert import HTMLExporter

    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert "1 records" in page or "1 record" in page
    assert "&lt;b&gt;tide&lt;/b&gt;?" in page
