"""Panels without a mouse, without a key, and without a server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.lab import Jupyter, Lab
from tests.scripted import ScriptedServer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
KEY = "sk-proj-typed-in-a-browser-00000000"
NAMED = "button|checkbox|combobox|grid|img|listbox|log|spinbutton|tab|textbox"
VARIABLE = "from PIL import Image; harbour = Image.new('RGB', (64, 48), 'steelblue')"
REACHED = """async (panel) => {
  const of = (element) => element.closest("[role=tablist]") ?? element.closest("tbody") ?? element;
  const wanted = new Set([...panel.querySelectorAll(
    "button, input, select, textarea, summary, [tabindex='0']")]
    .filter((one) => !one.disabled && one.tabIndex >= 0 && one.checkVisibility({
      checkVisibilityCSS: true }) && one.getClientRects().length).map(of));
  window.reached = { wanted, of };
  return wanted.size;
}"""
LEFT = """() => {
  const now = window.reached.of(document.activeElement);
  window.reached.wanted.delete(now);
  return [...window.reached.wanted].map((one) => one.outerHTML.slice(0, 160));
}"""


@pytest.fixture(scope="module")
def closed(jupyter: Jupyter, server: ScriptedServer) -> Iterator[Lab]:
    """A folder whose kernels ask a server that wants a key, and have none."""
    server.script.key = KEY
    asks = {"OPENAI_BASE_URL": server.base_url, "OPENAI_MAGICS_MODEL": "gpt-5.4-mini"}
    with jupyter.lab("closed", **asks) as folder:
        yield folder
    server.script.key = None


def shown(lab: Lab, page: Any, name: str, *sources: str) -> None:
    """Open a notebook with these cells, and run them."""
    path = lab.put(f"{name}.ipynb", *sources)
    page.set_viewport_size({"width": 1200, "height": 5000})  # else cells out of sight are not drawn
    lab.open(page, path.name)
    lab.run_all(page)


@pytest.mark.parametrize("name", ["chat", "dialogue", "images", "models", "training"])
def test_by_name_and_by_keyboard(lab: Lab, page: Any, name: str) -> None:
    """Every control has a name for who cannot see it, and Tab reaches it; news has its place."""
    shown(lab, page, f"names-{name}", VARIABLE, f"%panel {name}")
    panel = page.locator(".oai[aria-busy=false]" if name == "chat" else f".oai-{name}").first
    panel.wait_for()
    if name == "images":
        panel.get_by_role("button", name="Add variable").click()
        panel.locator("td img").wait_for()
    if name == "models":
        panel.get_by_text(re.compile(r"[1-9] of \d+ models")).wait_for()
    said = panel.aria_snapshot()
    nameless = [line for line in said.splitlines() if re.match(rf"\s*- ({NAMED})(:|$| \[)", line)]
    assert nameless == []
    assert panel.locator("[role=status]").count() >= 1
    assert panel.locator("[role=alert]").count() >= 1
    assert panel.evaluate(REACHED) > 3
    panel.evaluate(
        "panel => { panel.tabIndex = -1; panel.focus(); panel.removeAttribute('tabindex'); }"
    )
    left: list[str] = ["?"]
    for _ in range(80):
        page.keyboard.press("Tab")
        left = page.evaluate(LEFT)
        if not left:
            break
    assert left == []


def test_a_key_is_asked_for(closed: Lab, page: Any) -> None:
    """A field that does not show it; with it what was wanted is done, and it is kept nowhere."""
    shown(closed, page, "keys", VARIABLE, "%panel images", "%panel models")
    models, images = page.locator(".oai-models"), page.locator(".oai-images")
    models.get_by_role("alert").filter(has_text="wants a key, and none is set").wait_for()
    images.get_by_role("button", name="Add variable").click()
    images.locator("td img").wait_for()
    images.get_by_role("button", name="Describe all").click()
    field = images.get_by_label("API key")
    field.wait_for()
    assert field.get_attribute("type") == "password"
    field.fill(KEY)
    images.get_by_role("button", name="Use this key").click()
    images.get_by_text("All is described.").wait_for()
    field.wait_for(state="hidden")
    models.get_by_role("button", name="Check endpoint").click()
    models.get_by_text(re.compile(r"answers: \d+ models")).wait_for()
    models.get_by_label("API key").wait_for(state="hidden")
    closed.save(page)
    assert page.evaluate("key => document.documentElement.innerHTML.includes(key)", KEY) is False
    for file in closed.root.rglob("*.*"):
        assert file.is_dir() or KEY not in file.read_text("utf-8")
    assert page.errors == []


def test_a_chat_asks_for_a_key(closed: Lab, page: Any) -> None:
    """Below what was asked; with the key it is asked again by itself."""
    shown(closed, page, "chat-key", "%panel chat")
    panel = page.locator(".oai[aria-busy=false]")
    panel.get_by_label("Message", exact=True).fill("Hello?")
    panel.get_by_label("Message", exact=True).press("Enter")
    field = panel.get_by_label("API key (not shown, not saved)")
    field.wait_for()
    assert field.get_attribute("type") == "password"
    field.fill(KEY)
    panel.get_by_role("button", name="Use it").click()
    panel.locator(".oai-markdown", has_text="You said: Hello?").wait_for(state="attached")
    for file in closed.root.rglob("*.*"):
        assert file.is_dir() or KEY not in file.read_text("utf-8")
    assert page.errors == []


def test_no_server(jupyter: Jupyter, page: Any) -> None:
    """Each panel says that nothing answers; when the server is back they go on."""
    with ScriptedServer() as gone:
        port = gone.port
    asks = {"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1", "OPENAI_MAGICS_MODEL": "gpt-5.4-mini"}
    with jupyter.lab("gone", **asks) as lab:
        shown(lab, page, "gone", "%panel chat", "%panel models", "%panel training")
        panel = page.locator(".oai[aria-busy=false]")
        panel.get_by_label("Message", exact=True).fill("Anybody?")
        panel.get_by_label("Message", exact=True).press("Enter")
        again = panel.get_by_role("button", name="Try again")
        again.wait_for()
        models = page.locator(".oai-models")
        for form in (models, page.locator(".oai-training")):
            form.get_by_role("alert").filter(has_text=f"127.0.0.1:{port}").wait_for()
        with ScriptedServer(port=port):
            again.click()
            panel.locator(".oai-markdown", has_text="You said: Anybody?").wait_for(state="attached")
            models.get_by_role("button", name="Check endpoint").click()
            models.get_by_text(re.compile(r"answers: \d+ models")).wait_for()
        assert page.errors == []
