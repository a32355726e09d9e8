"""The chat panel in a real browser, used as a person would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.lab import Lab, browser, notebook, page, serve
from tests.scripted import ScriptedServer, answer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
__all__ = ["browser", "page"]


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    """A scripted OpenAI server for the whole module."""
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, server: ScriptedServer) -> Iterator[Lab]:
    """A JupyterLab whose kernels ask the scripted server."""
    yield from serve(
        tmp_path_factory.mktemp("lab"),
        OPENAI_BASE_URL=server.base_url,
        OPENAI_MAGICS_MODEL="gpt-5.4-mini",
    )


def put(lab: Lab, name: str, *sources: str) -> Path:
    """Write a notebook into the lab's folder."""
    path = lab.root / name
    path.write_text(json.dumps(notebook(*sources)))
    return path


def test_typed_and_answered(lab: Lab, page: Any, server: ScriptedServer) -> None:
    """What is typed is asked with Enter; the answer stands in the panel and in the dialogue file."""
    server.script.then(answer("The **sea's** breath."))
    path = put(lab, "chat.ipynb", "%load_ext openai_magics", "%panel chat")
    lab.open(page, path.name)
    lab.run_all(page)
    box = page.get_by_label("Message")
    box.fill("What is a tide?")
    box.press("Enter")
    page.wait_for_selector(".oai-chat strong")
    assert page.locator(".oai-chat strong").inner_text() == "sea's"
    assert "sea's" in (lab.root / "chat.dialogue.json").read_text()
    assert not page.errors
