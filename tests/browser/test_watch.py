"""`%jobs watch` in JupyterLab: one picture that changes in place, and one that stays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.browser.lab import Jupyter, notebook, outputs, pictured
from tests.scripted import ScriptedServer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
CELLS = (
    "%load_ext openai_magics\nrows = [(f'What is {n} + {n}?', f'It is {2 * n}.') for n in range(12)]",
    "%train start rows --suffix sums --yes",
    "%jobs watch --every 0.2",
)


def test_a_job_is_watched(jupyter: Jupyter, server: ScriptedServer, page: Any) -> None:
    """State, bar and curves change in one output; at the end one plain picture with text is left."""
    server.training.pace = "hand"
    server.training.steps = 12
    more = {
        "OPENAI_BASE_URL": server.base_url,
        "OPENAI_API_KEY": "sk-test-0123456789abcdefghij",
        "OPENAI_MAGICS_MODEL": "gpt-4o-mini",
    }
    with jupyter.lab("watch", **more) as lab:
        path = lab.root / "watch.ipynb"
        path.write_text(json.dumps(notebook(*CELLS)), "utf-8")
        lab.open(page, path.name)
        page.evaluate(
            "() => { window.ran = window.jupyterapp.commands.execute('notebook:run-all-cells'); }"
        )
        shown = page.locator(".jp-Cell").nth(2).locator(".jp-OutputArea-output")
        shown.get_by_text("the service looks at the files").wait_for()
        (job,) = server.training.jobs
        for _ in range(9):
            server.training.move(job)
        shown.get_by_text("7 of 12").first.wait_for()
        shown.locator("svg").first.wait_for()
        assert shown.count() == 1
        pictured(page, "watch-running")
        for _ in range(6):
            server.training.move(job)
        shown.get_by_text("succeeded: it is done").wait_for()
        page.evaluate("() => window.ran")
        assert shown.count() == 1
        assert shown.locator("svg").count() == 2
        assert shown.get_by_text("of 12").count() == 0
        pictured(page, "watch-ended")
        lab.save(page)
        (output,) = outputs(path)[2]
        assert "training loss" in "".join(output["data"]["text/plain"])
        assert "<svg" in "".join(output["data"]["text/html"])
    assert page.errors == []
