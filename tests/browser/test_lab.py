"""Cells in JupyterLab, driven in a real browser as a person would."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.lab import Jupyter, Lab, outputs, pictured, settled
from tests.scripted import ScriptedServer, answer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
VIEW = "application/vnd.jupyter.widget-view+json"
HOSTILE = """Before.

<script>window.pwned = 1; alert('script')</script>
<img src=x onerror="window.pwned = 2; alert('img')">
<iframe src="javascript:window.parent.pwned = 3"></iframe>
<svg onload="window.pwned = 4"></svg>

![picture](http://evil.invalid/leak.png) [click](javascript:window.pwned=5)
[data](data:text/html,<script>window.pwned=6</script>) </textarea></pre></div>

It costs $5 or $6, and `$x$` is code. **Bold stays bold.**

مرحبا بالعالم
"""


def test_restart_and_run_all_gives_the_same_bytes(
    lab: Lab, page: Any, server: ScriptedServer
) -> None:
    """What was asked live and streamed is, after Restart & Run All, the same saved outputs, unasked."""
    server.script.always(
        lambda request: answer(f"**{request.said}** indeed. " * 40, chunks=60, delay=0.01)
    )
    path = lab.put(
        "story.ipynb",
        "%%ask\nIs the sea salt?",
        "%ask And the rivers?",
        "print(_answer.usage['completion_tokens'] > 0)",
    )
    lab.open(page, path.name)
    lab.run_all(page)
    first, asked = outputs(path), len(server.requests)
    assert asked == 2
    assert "<strong>Is the sea salt?</strong>" in "".join(first[1][0]["data"]["text/html"])
    assert (lab.root / "story.dialogue.json").exists()
    lab.run_all(page, restart=True)
    assert outputs(path) == first
    assert len(server.requests) == asked
    pictured(page, "lab-story")
    assert not page.errors


def test_an_answer_does_nothing(lab: Lab, page: Any, server: ScriptedServer) -> None:
    """Scripts, handlers, frames and remote images of an answer are text: nothing runs, nothing loads."""
    server.script.always(answer(HOSTILE))
    path = lab.put("hostile.ipynb", "%ask Attack me?")
    lab.open(page, path.name)
    lab.run_all(page)
    settled(page)
    assert page.evaluate("() => window.pwned") is None
    assert page.dialogs == []
    assert page.strangers == []
    shown = page.locator(".openai-magics")
    assert shown.locator("script, img, iframe, svg, mjx-container").count() == 0
    assert shown.locator("a[href^='javascript'], a[href^='data']").count() == 0
    assert "$5 or $6" in shown.inner_text()
    assert shown.locator("strong").inner_text() == "Bold stays bold."
    pictured(page, "lab-hostile")


def test_a_cell_run_again_replaces_its_turn(lab: Lab, page: Any, server: ScriptedServer) -> None:
    """JupyterLab tells the cell's id: running a cell again does not lengthen the conversation."""
    server.script.always(lambda request: f"answer to {request.said}")
    path = lab.put("again.ipynb", "%ask --fresh one", "%ask two")
    lab.open(page, path.name)
    before = len(server.requests)
    lab.run_all(page)
    lab.run_all(page)
    sent = [(request.said, len(request.messages)) for request in server.requests[before:]]
    # The second run asks `one` anew, with nothing before it; its answer is the same, so `two`
    # is the same request and is replayed.
    assert sent == [("one", 1), ("two", 3), ("one", 1)]


@pytest.fixture(scope="module")
def offline(jupyter: Jupyter) -> Iterator[Lab]:
    """A folder whose kernels have nobody to ask: no key, no server, no weights, replay."""
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    with jupyter.lab(
        "offline", OPENAI_MAGICS_MODE="replay", OPENAI_MAGICS_CACHE="nowhere", **nowhere
    ) as folder:
        yield folder


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_restart_and_run_all_of_a_notebook_here(offline: Lab, page: Any, notebook: Path) -> None:
    """Restart & Run All of a notebook of this repository saves the outputs that are committed."""
    copy = Path(shutil.copy(notebook, offline.root))
    shutil.copy(notebook.with_suffix(".dialogue.json"), offline.root)
    for more in notebook.parent.glob(f"{notebook.stem}.files"):
        shutil.copytree(more, offline.root / more.name)
    offline.open(page, copy.name)
    offline.run_all(page, restart=True)
    shown = outputs(copy)
    for item in (item for cell in shown for item in cell):
        if item.get("metadata", {}).get("openai_magics", {}).get("panel"):
            # Here somebody could use it: the widget is added to what stands for it.
            assert item["data"].pop(VIEW)["model_id"]
    assert shown == outputs(notebook)
    if copy.stem == "panels":
        _pictured(page)
    assert not page.errors


def _pictured(page: Any) -> None:
    """Take the picture of the panels that the notebook and the docs show."""
    page.locator(".oai-markdown", has_text="Mind the rocks.").first.wait_for()
    page.locator(".oai-images").get_by_role("grid", name="Images").locator("img").nth(2).wait_for()
    page.locator(".oai").first.scroll_into_view_if_needed()
    pictured(page, "panels-notebook")
