"""The panels made of forms in a real JupyterLab, used as a person would."""

from __future__ import annotations

import os
import re
import threading
from base64 import b64encode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser.lab import ARTEFACTS, DARK, LIGHT, LOAD, Lab, settled, themed
from tests.scripted import ScriptedServer, answer
from tests.unit.dialogues import HOSTILE, Talk

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "pictures"
PICTURES = bool(os.environ.get("PICTURES"))
"""Whether the README's pictures are made anew: ``PICTURES=1 pytest tests/browser/test_panel_forms.py``."""
PANELS = ("dialogue", "images", "models", "training")
RIGHT_TO_LEFT = "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645"


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    """A scripted OpenAI server for the whole module."""
    with ScriptedServer() as scripted:
        scripted.models.clear()
        for name in ("gpt-5.4-mini", "gpt-5.5", "gpt-6", "gpt-6-mini", "gpt-4o-mini-transcribe"):
            scripted.models.add(name)
        scripted.models.add("gpt-5", "2026-12-11")
        scripted.models.add("gpt-4o", "2027-01-14")
        scripted.models.add("<img src=x onerror=alert(1)>", "2027-01-14")
        yield scripted


def shown(lab: Lab, page: Any, name: str, *sources: str) -> Any:
    """Open a notebook with *sources*, run it, and return its first panel."""
    lab.open(page, lab.put(f"{name}.ipynb", *sources).name)
    lab.run_all(page)
    panel = page.locator(".oai-form").first
    panel.wait_for()
    return panel


def pictured(page: Any, panel: Any, name: str, height: int = 1500) -> None:
    """Take pictures of a panel in both themes and narrow; the README has the panels themselves."""
    ARTEFACTS.mkdir(exist_ok=True)
    # The folders of the machine that takes the picture are nobody's business.
    panel.evaluate(
        "panel => panel.querySelectorAll('.oai-facts td').forEach((cell) => {"
        " cell.textContent = cell.textContent.replace(/\\/\\S+\\/(?=\\S+\\.dialogue)/, '~/'); })"
    )
    for theme, suffix, width in ((DARK, "-dark", 1100), (LIGHT, "-narrow", 560), (LIGHT, "", 1100)):
        page.set_viewport_size({"width": width, "height": height})
        themed(page, theme)
        taken = ARTEFACTS / f"panel-{name}{suffix}.png"
        panel.screenshot(path=taken)
        if not suffix and PICTURES and name in PANELS:
            # Few colours: it is small, and looks the same.
            Image.open(taken).convert("RGB").quantize(48).save(DOCS / taken.name, optimize=True)
    page.set_viewport_size({"width": 1200, "height": 900})


def unharmed(page: Any) -> None:
    """Nothing ran, nothing was loaded from elsewhere, nothing failed."""
    assert page.errors == []
    assert page.dialogs == []
    assert page.strangers == []
    assert page.locator(".oai-form script, .oai-form iframe, .oai-form img[src='x']").count() == 0


def talk(path: Path) -> Talk:
    """Write a dialogue of two conversations, with every text that would do harm if it could."""
    made = Talk(path)
    before = None
    for number in range(60):
        said = f"Why does the tide come later on day {number}?"
        answer = f"The moon has moved on by then, some **{number} times fifty minutes** in all."
        before = made.said(said, answer, after=before, conversation="tides")
    for text in HOSTILE:
        made.said(text, text, reply={"model": "<script>m</script>"}, conversation="hostile")
    made.said("x" * 1_000_000, RIGHT_TO_LEFT * 1000)
    return made


def test_dialogue(lab: Lab, page: Any) -> None:
    """Browse, search, a record as it was sent, its lineage, usage, verify; two views in step."""
    talk(lab.root / "tides.dialogue.json")
    panel = shown(lab, page, "tides", "%panel dialogue", "%panel dialogue")
    other = page.locator(".oai-form").nth(1)
    rows = panel.get_by_role("grid", name="Records").locator("tbody tr")
    page.wait_for_function("() => document.querySelectorAll('.oai-table tbody tr').length >= 100")
    unharmed(page)

    panel.get_by_label("Search").fill("day 4")
    panel.get_by_label("Search").press("Enter")
    panel.get_by_text("1 to 11 of 11 records, of 77 in the file").wait_for()
    assert rows.count() == 11
    other.get_by_text("1 to 11 of 11 records, of 77 in the file").wait_for()

    rows.first.click()
    panel.get_by_text("Request, as sent").wait_for()
    page.keyboard.press("ArrowDown")
    chosen = panel.locator("tr[aria-selected='true']")
    chosen.filter(has_text="on day 48?").wait_for()
    assert chosen.count() == 1
    assert rows.nth(1).evaluate("row => row === document.activeElement")
    other.locator("tr[aria-selected='true']", has_text="on day 48?").wait_for()
    kin = panel.get_by_role("grid", name="Lineage of the record").locator("tbody tr")
    assert kin.last.locator("td").first.inner_text() == "a turn after"
    pictured(page, panel, "dialogue")

    panel.get_by_label("Search").fill("")
    panel.get_by_label("Search").press("Enter")
    panel.get_by_label("Conversation").select_option("hostile")
    panel.get_by_text(f"1 to {len(HOSTILE)} of {len(HOSTILE)} records").wait_for()
    for number in range(len(HOSTILE)):
        page.keyboard.press("ArrowDown") if number else rows.first.click()
        rows.nth(number).and_(page.locator("[aria-selected=true]")).wait_for()
    settled(page)
    unharmed(page)

    panel.get_by_role("tab", name="Usage").click()
    panel.locator("svg").wait_for()
    pictured(page, panel, "usage", 900)
    panel.get_by_role("tab", name="Verify").click()
    panel.get_by_role("button", name="Verify").click()
    panel.get_by_text("the same outputs", exact=True).wait_for()
    pictured(page, panel, "verify", 900)
    unharmed(page)


def test_models(lab: Lab, page: Any, server: ScriptedServer) -> None:
    """Search, sort, choose; the warning where the model retires; the endpoint's status."""
    panel = shown(lab, page, "models", "%panel models", "%ask Hello", "%panel models")
    rows = panel.get_by_role("grid", name="Models").locator("tbody tr")
    panel.get_by_text("8 of 8 models").wait_for()
    panel.get_by_label("Search").press_sequentially("gpt-5")
    panel.get_by_text("3 of 8 models").wait_for()
    panel.get_by_role("button", name="retires").click()
    page.wait_for_function(
        "() => document.querySelector('.oai-table tbody tr').dataset.id === 'gpt-5'"
    )
    rows.first.click()
    panel.get_by_role("button", name="Use this model").click()
    panel.get_by_text("gpt-5 is shut down on 2026-12-11: choose another.", exact=True).wait_for()
    panel.get_by_text("To keep it: %openai use gpt-5").wait_for()
    panel.get_by_role("button", name="Check endpoint").click()
    panel.get_by_text("answers: 8 models.").wait_for()
    panel.get_by_label("Search").fill("")
    panel.get_by_text("8 of 8 models").wait_for()
    pictured(page, panel, "models")
    unharmed(page)
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    panel.get_by_text("The kernel was restarted.").first.wait_for()
    lab.run_all(page)
    panel.get_by_text("8 of 8 models").wait_for()
    assert panel.get_by_text("The kernel was restarted.").count() == 0


def png(colour: str, size: int) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (size, size * 3 // 4), colour).save(stream, "PNG")
    return stream.getvalue()


DROP = """async ([selector, name, encoded, type]) => {
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  const held = new DataTransfer();
  held.items.add(new File([bytes], name, { type }));
  const place = document.querySelector(selector);
  for (const kind of ["dragenter", "dragover", "drop"])
    place.dispatchEvent(new DragEvent(kind, { dataTransfer: held, bubbles: true, cancelable: true }));
}"""


def dropped(page: Any, panel: str, name: str, content: bytes, kind: str = "image/png") -> None:
    """Drop a file on a panel's place for files."""
    page.evaluate(DROP, [f"{panel} .oai-drop", name, b64encode(content).decode(), kind])


def test_images(lab: Lab, page: Any, server: ScriptedServer) -> None:
    """Chosen, dropped, 30 MB of it, a PDF, a figure of the notebook; described, edited, stopped."""
    said = "The tide table of a harbour, as a blue rectangle."
    gate = threading.Event()
    server.script.always(
        lambda request: (
            answer("Never.", hold=gate)
            if "slow" in request.said
            else answer(f"{said} {RIGHT_TO_LEFT} <img src=x onerror=alert(1)>")
        )
    )
    figure = (
        "import matplotlib.pyplot as plt\nfig, ax = plt.subplots(); ax.plot([1, 3, 2]); plt.close()"
    )
    panel = shown(lab, page, "images", figure, "%panel images", "%panel images")
    other = page.locator(".oai-images").nth(1)
    rows = panel.get_by_role("grid", name="Images").locator("tbody tr")
    with page.expect_file_chooser() as chooser:
        panel.get_by_role("button", name="Choose images").click()
    chooser.value.set_files(
        {"name": "harbour.png", "mimeType": "image/png", "buffer": png("steelblue", 300)}
    )
    rows.nth(0).locator("img").wait_for()
    dropped(page, ".oai-images", "paper.pdf", b"%PDF-1.7\n1 0 obj", "application/pdf")
    panel.get_by_role("alert").filter(has_text="PDF").wait_for()
    dropped(page, ".oai-images", "boat.png", png("darkorange", 240))
    rows.nth(1).locator("img").wait_for()
    panel.get_by_label("From the notebook").select_option("fig")
    panel.get_by_role("button", name="Add variable").click()
    rows.nth(2).locator("img").wait_for()

    panel.get_by_role("button", name="Describe all").click()
    for number in range(3):
        rows.nth(number).get_by_text("described").wait_for()
    other.get_by_role("grid", name="Images").locator("tbody tr").nth(2).get_by_text(said).wait_for()
    rows.nth(1).click()
    panel.get_by_role("heading", name="boat.png").wait_for()  # until then another is chosen
    edit = panel.get_by_label("Description", exact=True)
    page.wait_for_function("() => document.querySelector('.oai-images textarea').value.length > 9")
    edit.fill("A boat, all orange.")
    panel.get_by_role("button", name="Keep edit").click()
    rows.nth(1).get_by_text("A boat, all orange.").wait_for()
    panel.get_by_role("button", name="To DataFrame").click()
    panel.get_by_text("descriptions is a DataFrame of 3 rows now.").wait_for()
    pictured(page, panel, "images", 1000)

    noise = os.urandom(3300 * 3300 * 3)
    stream = BytesIO()
    Image.frombytes("RGB", (3300, 3300), noise).save(stream, "PNG", compress_level=0)
    with page.expect_file_chooser() as chooser:
        panel.get_by_role("button", name="Choose images").click()
    large = lab.root / "large.png"
    large.write_bytes(stream.getvalue())
    chooser.value.set_files(large)
    rows.nth(3).locator("img").wait_for()
    panel.get_by_label("Ask for").select_option("answer to a question")
    panel.get_by_label("Question", exact=True).fill("slow?")
    panel.get_by_label("Question", exact=True).press("Tab")
    panel.get_by_role("button", name="Describe all").click()
    rows.nth(3).get_by_text("waiting").wait_for()
    panel.get_by_role("button", name="Stop").click()
    panel.get_by_text("Stopped.").wait_for()
    gate.set()
    unharmed(page)


def test_training(lab: Lab, page: Any, server: ScriptedServer) -> None:
    """A dropped file with a problem, a variable without; price, confirmed, followed, asked."""
    server.training.steps = 12
    server.training.pace = "hand"
    data = (
        "good = [{'messages': [{'role': 'user', 'content': f'What comes after {n}?'},"
        " {'role': 'assistant', 'content': f'{n + 1} does.'}]} for n in range(40)]"
    )
    panel = shown(lab, page, "training", data, "%panel training")
    bad = b'{"messages": [{"role": "user", "content": "<script>alert(1)</script>"}]}\nnot json\n'
    dropped(page, ".oai-training", "bad.jsonl", bad, "application/jsonl")
    panel.get_by_text("bad.jsonl is kept beside the notebook").wait_for()
    panel.get_by_role("button", name="Check", exact=True).click()
    problems = panel.get_by_role("grid", name="Problems in the data").locator("tbody tr")
    problems.nth(1).wait_for()
    assert panel.get_by_role("button", name="Start").first.is_disabled()
    pictured(page, panel, "training-problems", 1000)

    panel.get_by_label("Variable").select_option("good")
    panel.get_by_role("button", name="Take variable").click()
    panel.get_by_text("good is taken.").wait_for()
    panel.get_by_label("Model to tune").fill("gpt-4.1-mini")
    panel.get_by_label("Suffix").fill("counting")
    panel.get_by_label("Description").fill("counts on from a number")
    panel.get_by_label("Description").press("Tab")
    panel.get_by_role("button", name="Check", exact=True).click()
    panel.get_by_role("button", name="Start…").click()
    panel.get_by_text("Start this job?").wait_for()
    pictured(page, panel, "training-price", 1000)
    panel.get_by_role("button", name="Send and start").click()
    panel.get_by_role("tab", name="Jobs").click()
    jobs = panel.get_by_role("grid", name="Jobs").locator("tbody tr")
    jobs.first.get_by_text("validating").wait_for()
    [job] = server.training.jobs
    while server.training.move(job) != "running":
        pass
    jobs.first.get_by_text("running").wait_for()
    while server.training.move(job) != "succeeded":
        pass
    jobs.first.get_by_text("succeeded").wait_for()
    panel.locator("svg").wait_for()
    panel.get_by_role("button", name="Ask this model").click()
    panel.get_by_text("is asked from now on, in this run").wait_for()
    pictured(page, panel, "training", 1100)
    unharmed(page)


def test_in_notebook_7(lab: Lab, page: Any, server: ScriptedServer) -> None:
    """The same panels in Notebook 7: the cells are run with the keyboard, a model is searched for."""
    lab.put("seven.ipynb", "%panel models")
    lab.open(page, "seven.ipynb", "notebooks")
    page.errors.clear()  # Notebook 7 itself raises one (of a setting's schema) as it starts
    for source in (LOAD, "%panel models"):
        page.get_by_text(source).click()
        page.keyboard.press("Shift+Enter")
    panel = page.locator(".oai-models")
    panel.get_by_text(re.compile(r"\d of \d models")).wait_for()
    panel.get_by_label("Search").press_sequentially("gpt-6")
    panel.get_by_text(re.compile(r"2 of \d models")).wait_for()
    panel.get_by_role("grid", name="Models").locator("tbody tr").first.click()
    panel.get_by_role("button", name="Use this model").click()
    panel.get_by_text("gpt-6 is asked from now on").wait_for()
    panel.screenshot(path=ARTEFACTS / "panel-models-notebook7.png")
    unharmed(page)
