"""The panels over the engine on this machine: no key, no server, a real model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from openai_magics.dialogue import DialogueFile
from tests.browser.lab import Jupyter, Lab, pictured

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.timeout(600)]
PICTURE = "from PIL import Image; harbour = Image.new('RGB', (64, 48), 'steelblue')"
PANELS = ("chat", "images", "models", "dialogue")


@pytest.fixture(scope="module")
def lab(jupyter: Jupyter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A folder whose kernels know neither a key nor a server."""
    data = str(tmp_path_factory.mktemp("data"))
    with jupyter.lab("engine", OPENAI_MAGICS_DATA=data) as folder:
        yield folder


def test_each_panel(lab: Lab, page: Any) -> None:
    """Asked in the chat, an image observed, the model listed; the dialogue panel shows both records."""
    path = lab.put("engine.ipynb", PICTURE, *[f"%panel {name}" for name in PANELS])
    lab.open(page, path.name)
    lab.run_all(page)

    chat = page.locator(".oai[aria-busy=false]")
    chat.get_by_label("Message", exact=True).fill("What is the capital of France?")
    chat.get_by_label("Message", exact=True).press("Enter")
    chat.locator(".oai-markdown", has_text="Paris").last.wait_for(state="attached")
    chat.get_by_text("Answered on this machine by SmolLM2-135M-Instruct").first.wait_for()

    images = page.locator(".oai-images")
    rows = images.get_by_role("grid", name="Images").locator("tbody tr")
    images.get_by_label("From the notebook").select_option("harbour")
    images.get_by_role("button", name="Add variable").click()
    rows.nth(0).locator("img").wait_for()
    images.get_by_role("button", name="Describe all").click()
    rows.nth(0).get_by_text("described").wait_for()

    models = page.locator(".oai-models")
    models.get_by_role("grid", name="Models").get_by_text("SmolLM2-135M-Instruct").wait_for()

    dialogue = page.locator(".oai-dialogue")
    dialogue.get_by_role("button", name="Refresh").click()  # it was read before they were asked
    records = dialogue.get_by_role("grid", name="Records")
    records.get_by_text("What is the capital of France?").first.wait_for()
    pictured(page, "panels-engine")
    asked = [item for item in DialogueFile(lab.root / "engine.dialogue.json") if item.reply]
    assert {item.resolved.endpoint for item in asked} == {"local"}
    assert {"ask", "describe", "models"} <= {item.request.kind for item in asked}
    assert page.errors == []
    assert page.strangers == []
