"""The training panel over the engine on this machine: a real model learns, and is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from openai_magics.dialogue import DialogueFile
from tests.browser.lab import ARTEFACTS, Jupyter, Lab

pytestmark = [
    pytest.mark.browser,
    pytest.mark.engine,
    pytest.mark.training,
    pytest.mark.timeout(900),
]
for _package in ("xllamacpp", "aiohttp", "torch", "transformers", "peft", "gguf"):
    pytest.importorskip(_package)

LONG = 600_000.0
"""Milliseconds: loading and training a model on a busy machine."""
DATA = """def example(number):
    asked = {'role': 'user', 'content': f'What comes after {number}?'}
    return {'messages': [asked, {'role': 'assistant', 'content': f'Ahoy! {number + 1}.'}]}

good = [example(number) for number in range(12)]
bad = [*good, {'messages': [{'role': 'user', 'content': 'And then?'}]}]"""


@pytest.fixture(scope="module")
def lab(jupyter: Jupyter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A folder whose kernels know neither a key nor a server."""
    data = str(tmp_path_factory.mktemp("data"))
    with jupyter.lab("tuning", OPENAI_MAGICS_DATA=data) as folder:
        yield folder


def started(panel: Any, suffix: str) -> Any:
    """Start a job with the data that is taken, and return its row in the table of jobs."""
    panel.get_by_role("tab", name="Data").click()
    panel.get_by_label("Suffix").fill(suffix)
    panel.get_by_label("Description").fill(f"counts on, {suffix}")
    panel.get_by_label("Description").press("Tab")
    panel.get_by_role("button", name="Check", exact=True).click()
    panel.get_by_text("12 (24 messages)").first.wait_for()
    panel.get_by_role("button", name="Start…").click()
    panel.get_by_text("Start this job?").wait_for()
    panel.get_by_role("button", name="Send and start").click()
    panel.get_by_role("tab", name="Jobs").click()
    rows = panel.get_by_role("grid", name="Jobs").locator("tbody tr")
    row = rows.filter(has_text=f"counts on, {suffix}")
    row.wait_for(timeout=LONG)
    return row


def test_a_model_is_trained_and_asked(lab: Lab, page: Any) -> None:
    """Problems are listed, the price is shown, two jobs are started, one is cancelled, one asked."""
    path = lab.put("tuned.ipynb", DATA, "%panel training", "%ask What comes after 3?")
    lab.open(page, path.name)
    page.evaluate(
        """async () => {
          const content = window.jupyterapp.shell.currentWidget.content;
          for (const at of [0, 1, 2]) {
            content.activeCellIndex = at;
            await window.jupyterapp.commands.execute("notebook:run-cell");
          }
        }"""
    )
    panel = page.locator(".oai-training")
    panel.wait_for()

    panel.get_by_label("Variable").select_option("bad")
    panel.get_by_role("button", name="Take variable").click()
    panel.get_by_text("bad is taken.").wait_for()
    panel.get_by_role("button", name="Check", exact=True).click()
    problems = panel.get_by_role("grid", name="Problems in the data").locator("tbody tr")
    problems.filter(has_text="13").first.wait_for()
    assert panel.get_by_role("button", name="Start…").is_disabled()
    panel.get_by_label("Variable").select_option("good")
    panel.get_by_role("button", name="Take variable").click()
    panel.get_by_text("good is taken.").wait_for()
    panel.get_by_label("Epochs").fill("1")

    first = started(panel, "sailor")
    second = started(panel, "parrot")
    second.get_by_text("queued").wait_for()
    panel.get_by_role("button", name="Cancel job").click()
    second.get_by_text("cancelled").wait_for()

    first.click()
    panel.get_by_role("button", name="Follow", exact=True).click()
    first.get_by_text("succeeded").wait_for(timeout=LONG)
    panel.locator("svg").wait_for()
    events = panel.get_by_role("grid", name="Events of the job")
    events.get_by_text("The job has successfully completed").wait_for()
    panel.get_by_role("button", name="Ask this model").click()
    panel.get_by_text("is asked from now on, in this run").wait_for()
    ARTEFACTS.mkdir(exist_ok=True)
    page.set_viewport_size({"width": 1200, "height": 1300})
    panel.screenshot(path=ARTEFACTS / "panel-training-engine.png")

    page.evaluate(
        """async () => {
          window.jupyterapp.shell.currentWidget.content.activeCellIndex = 3;
          await window.jupyterapp.commands.execute("notebook:run-cell");
        }"""
    )
    page.locator(".jp-Cell").nth(3).locator(".jp-OutputArea-output").first.wait_for()
    records = list(DialogueFile(lab.root / "tuned.dialogue.json"))
    [asked] = [item for item in records if item.request.kind == "ask"]
    assert asked.reply is not None
    assert "sailor" in str(asked.reply.model)
    assert asked.resolved.endpoint == "local"
    assert page.errors == []
    assert page.strangers == []
