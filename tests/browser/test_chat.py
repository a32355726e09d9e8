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

ARTEFACTS = Path(__file__).resolve().parent.parent / "artefacts"


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


ANSWER = """# Tides

The **sea's** breath: the Moon pulls the water *towards* itself.

| body | share |
|---|---|
| Moon | 69 % |
| Sun | 31 % |

1. Two bulges
2. The Earth turns below them

```python
def height(t: float, amplitude=1.2) -> float:
    # The height of the water, in metres.
    return amplitude * math.cos(2 * math.pi * t / 12.42)  # hours
```

> It costs $5 or $6, and `$x$` is code. See [NOAA](https://tides.noaa.gov).
"""


def open_chat(lab: Lab, page: Any, name: str, *more: str) -> Any:
    """Open a notebook that shows the chat panel; return the panel."""
    path = put(lab, name, "%load_ext openai_magics", "%panel chat", *more)
    lab.open(page, path.name)
    lab.run_all(page)
    panel = page.locator(".oai").first
    panel.wait_for()
    return panel


def ask(panel: Any, text: str) -> None:
    """Type and send."""
    box = panel.get_by_label("Message", exact=True)
    box.fill(text)
    box.press("Enter")


def answered(panel: Any, count: int) -> None:
    """Wait until so many turns are answered."""
    panel.page.wait_for_function(
        "n => document.querySelectorAll('.oai-turn:not(.oai-running) .oai-answer').length >= n",
        arg=count,
    )


def test_typed_and_answered(lab: Lab, page: Any, server: ScriptedServer) -> None:
    """What is typed is asked with Enter; the answer stands in the panel and in the dialogue file."""
    server.script.then(answer(ANSWER, chunks=40, delay=0.01))
    panel = open_chat(lab, page, "chat.ipynb")
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "chat-empty.png")
    ask(panel, "What is a tide?")
    answered(panel, 1)
    assert panel.locator("strong").inner_text() == "sea's"
    assert panel.locator("pre span.k").first.inner_text() == "def"
    assert "sea's" in (lab.root / "chat.dialogue.json").read_text()
    page.screenshot(path=ARTEFACTS / "chat-answered.png")
    assert page.errors == []
