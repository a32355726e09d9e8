"""Two views of each panel in step, and what becomes of them when the kernel is restarted."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.browser.lab import ARTEFACTS, Lab
from tests.scripted import ScriptedServer, answer
from tests.unit.dialogues import Talk
from tests.unit.pictures import encoded, photograph

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
VARIABLES = """from PIL import Image
harbour = Image.new('RGB', (64, 48), 'steelblue')
good = [{'messages': [{'role': 'user', 'content': f'What comes after {n}?'},
         {'role': 'assistant', 'content': f'{n + 1} does.'}]} for n in range(12)]"""
LOST = "The kernel was restarted."
FORMS = ("dialogue", "images", "models", "training")


def shown(lab: Lab, page: Any, name: str, *sources: str) -> None:
    """Open a notebook with these cells, and run them."""
    path = lab.put(f"{name}.ipynb", *sources)
    page.set_viewport_size({"width": 1200, "height": 6000})  # else cells out of sight are not drawn
    lab.open(page, path.name)
    lab.run_all(page)


def both(page: Any, name: str) -> tuple[Any, Any]:
    """Return the two views of a panel, once both are there."""
    views = page.locator(f".oai-{name}")
    views.nth(1).wait_for()
    return views.nth(0), views.nth(1)


def rows(view: Any, grid: str) -> Any:
    """Return the rows of a table."""
    return view.get_by_role("grid", name=grid).locator("tbody tr")


def test_two_views_and_a_restart(lab: Lab, page: Any, server: ScriptedServer) -> None:
    """What is done in one view shows in the other; after a restart one click brings both back."""
    talk = Talk(lab.root / "both.dialogue.json")
    for number in range(5):
        talk.said(f"Is the tide of day {number} late?", f"By {number} hours.")
    server.script.always(answer("A harbour, all blue."))
    twice = [f"%panel {name}" for name in FORMS for _ in range(2)]
    shown(lab, page, "both", VARIABLES, *twice)

    one, other = both(page, "models")
    one.get_by_label("Search").fill("gpt")
    other.get_by_text(re.compile(r"\d+ of \d+ models")).wait_for()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.oai-models input[type=text]')]"
        ".every((box) => box.value === 'gpt')"
    )
    rows(one, "Models").first.click()
    other.locator("tr[aria-selected=true]").wait_for()

    one, other = both(page, "training")
    one.get_by_label("Variable").select_option("good")
    one.get_by_role("button", name="Take variable").click()
    other.get_by_text("good is taken.").wait_for()
    other.get_by_role("button", name="Check", exact=True).click()
    one.get_by_text("12 (24 messages)").first.wait_for()

    one, other = both(page, "images")
    other.get_by_label("From the notebook").select_option("harbour")
    other.get_by_role("button", name="Add variable").click()
    rows(one, "Images").locator("img").wait_for()
    one.get_by_role("button", name="Describe all").click()
    rows(other, "Images").get_by_text("A harbour, all blue.").wait_for()

    one, other = both(page, "dialogue")
    rows(one, "Records").nth(4).wait_for()
    one.get_by_label("Search").fill("day 3")
    one.get_by_label("Search").press("Enter")
    other.get_by_text("1 to 1 of 1 records").first.wait_for()
    rows(other, "Records").first.click()
    one.locator("pre", has_text="By 3 hours.").wait_for()

    page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    for name in FORMS:
        for view in both(page, name):
            view.get_by_text(LOST).wait_for()
    ARTEFACTS.mkdir(exist_ok=True)
    page.locator(".oai-models").first.screenshot(path=ARTEFACTS / "panel-restarted.png")
    for name in FORMS:
        one, other = both(page, name)
        one.get_by_role("button", name="Go on").click()
        for view in (one, other):
            view.get_by_text(LOST).wait_for(state="hidden")

    one, other = both(page, "models")
    other.get_by_text(re.compile(r"\d+ of \d+ models")).wait_for()
    one.get_by_label("Search").fill("gpt-5")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.oai-models input[type=text]')]"
        ".every((box) => box.value === 'gpt-5')"
    )
    one, other = both(page, "dialogue")
    rows(other, "Records").nth(4).wait_for()
    one.locator("pre", has_text="By 3 hours.").wait_for()
    page.locator(".oai-dialogue").first.screenshot(path=ARTEFACTS / "panel-revived.png")
    one, other = both(page, "training")
    other.get_by_role("tab", name="Jobs").click()
    one.get_by_text("No job is listed.").wait_for()
    one, other = both(page, "images")
    rows(other, "Images").get_by_text("A harbour, all blue.").wait_for()
    assert page.errors == []


def test_a_chat_keeps_its_pictures(lab: Lab, page: Any, server: ScriptedServer) -> None:
    """The thumbnail of an image that was sent is shown after the kernel was restarted."""
    shown(lab, page, "pictures", "%panel chat")
    panel = page.locator(".oai").first
    panel.get_by_role("button", name="Attach images").wait_for()
    with page.expect_file_chooser() as chooser:
        panel.get_by_role("button", name="Attach images").click()
    sea = {"name": "sea.png", "mimeType": "image/png", "buffer": encoded(photograph(), "PNG")}
    chooser.value.set_files(sea)
    panel.get_by_role("img", name="sea.png").wait_for()
    panel.get_by_label("Message", exact=True).fill("What is this?")
    panel.get_by_label("Message", exact=True).press("Enter")
    panel.locator(".oai-markdown", has_text="A harbour").wait_for(state="attached")
    panel.locator(".oai-asked img").wait_for()
    page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    panel.get_by_role("button", name="Go on").click()
    panel.locator(".oai-banner").wait_for(state="hidden")
    page.wait_for_function("() => document.querySelector('.oai-asked img')?.naturalWidth > 0")
    assert panel.locator(".oai-gone").count() == 0
    assert page.errors == []
