"""The images panel against a server: adding, describing, editing, stopping, taking away."""

from __future__ import annotations

import re
import threading
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from openai_magics.panels import gallery
from openai_magics.panels.images import WANTED, ImagesPanel
from openai_magics.session import Session
from tests.scripted import ScriptedServer, answer, error
from tests.scripted.asking import KEY
from tests.unit.dialogues import HOSTILE
from tests.unit.hostile import read

PATIENCE = 30
PICTURE = re.compile(
    r'<img src="data:image/png;base64,[A-Za-z0-9+/=]+" alt="[^"<>]*" style="max-width: 128px">'
)


def settled(panel: ImagesPanel) -> ImagesPanel:
    """Wait until nothing goes on."""
    while jobs := panel.jobs:
        assert jobs[0].wait(PATIENCE)
    return panel


def png(colour: str, size: int = 20) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (size, size), colour).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def panel(scripted: ScriptedServer) -> ImagesPanel:
    """The panel of a session, with a notebook's variables to choose from."""
    made = ImagesPanel(Session("gpt-4o", base_url=scripted.base_url))
    made.session.settings.arguments["retries"] = 0
    made.names = {
        "photo": Image.new("RGB", (30, 20), "red"),
        "pixels": np.zeros((20, 20, 3), dtype="uint8"),
        "numbers": np.zeros((4, 2)),
        "Out": {3: Image.new("L", (9, 9))},
        "text": "x.png",
    }
    _ = made.widget
    return settled(made)


def said(panel: ImagesPanel) -> list[tuple[str, str]]:
    """Return what stands beside each image, and its state."""
    return [(row["cells"][2], row["cells"][3]) for row in panel._table.rows]


def test_dropped_described_and_taken_away(panel: ImagesPanel, scripted: ScriptedServer) -> None:
    """Thumbnails at once; descriptions as they come; a DataFrame in a variable."""
    scripted.script.then("A red square.", "A blue square.")
    panel.add(png("red"), "red.png")
    settled(panel).add(png("blue"), "blue.png")
    assert [row["cells"][1] for row in settled(panel)._table.rows] == ["red.png", "blue.png"]
    assert panel._table.rows[0]["cells"][0]["picture"].startswith("data:image/png;base64,")
    panel._all.click()
    assert {text for text, _ in said(settled(panel))} == {"A red square.", "A blue square."}
    assert {state for _, state in said(panel)} == {"described"}
    frame = panel.to_frame("descriptions")
    assert panel.names["descriptions"] is frame
    assert list(frame["source"]) == ["red.png", "blue.png"]
    assert frame["tokens"].gt(0).all()
    assert not frame["edited"].any()
    assert "2 rows" in panel._note.value


def test_variables_that_are_images_are_offered(panel: ImagesPanel) -> None:
    """Pictures, arrays as images are, outputs; not tables of numbers."""
    assert list(panel._variables.options) == ["photo", "pixels", "Out[3]"]
    panel._variables.value = "Out[3]"
    panel._add_variable()
    assert len(settled(panel)._table.rows) == 1


def test_paths_and_patterns(panel: ImagesPanel) -> None:
    """As they are typed; the same image is there once; nothing there is said."""
    for name in ("a", "b"):
        Path(f"{name}.png").write_bytes(png("red" if name == "a" else "green"))
    panel.add_named("*.png")
    assert len(settled(panel)._table.rows) == 2
    panel.add_named("a.png")
    assert "there already" in settled(panel)._note.value
    panel.safely(lambda: panel.add_named("none.png"))
    assert panel._note.how


def test_an_edit_stays(panel: ImagesPanel, scripted: ScriptedServer) -> None:
    """It is the person's; the DataFrame says so, and the record stays what it was."""
    scripted.script.then("A red square.")
    panel.add(png("red"), "red.png")
    settled(panel).describe()
    settled(panel)._said.value = "A tomato, cut square."
    panel.redraw()  # as when another image's description comes
    panel._edit.click()
    assert said(panel) == [("A tomato, cut square.", "edited")]
    frame = panel.to_frame("d")
    assert bool(frame["edited"].iloc[0])
    assert frame["description"].iloc[0] == "A tomato, cut square."
    assert "A red square." in panel.session.dialogue.path.read_text()


def test_alt_text_and_a_question(panel: ImagesPanel, scripted: ScriptedServer) -> None:
    """What is asked for is what is sent."""
    panel.add(png("red"), "red.png")
    settled(panel)._wanted.value = WANTED[1]
    panel.describe()
    settled(panel)
    assert "alternative text" in scripted.requests[-1].said
    panel._wanted.value = WANTED[2]
    assert panel._question.layout.display == ""
    panel._one.click()
    assert "There is no question." in panel._note.value
    panel._question.value = "Which colour?"
    panel._one.click()
    settled(panel)
    assert scripted.requests[-1].said == "Which colour?"
    assert said(panel)[0][1] == "described"


def test_stop_keeps_what_has_come(panel: ImagesPanel, scripted: ScriptedServer) -> None:
    """Stopped within a moment; the others wait to be described again."""
    gate = threading.Event()
    scripted.script.always(
        lambda request: answer("Late.", hold=gate) if "slow" in request.said else "Soon."
    )
    panel.add(png("red"), "red.png")
    settled(panel).describe()
    settled(panel).add(png("blue"), "blue.png")
    settled(panel)._wanted.value = WANTED[2]
    panel._question.value = "slow?"
    panel.describe()
    while len(scripted.requests) < 2:
        time.sleep(0.01)
    assert not panel._stop.disabled
    panel._stop.click()
    settled(panel)  # though the server holds its answer back
    gate.set()
    assert said(panel) == [("Soon.", "described"), ("", "")]
    assert "Stopped." in panel._note.value
    assert panel._stop.disabled


def test_one_that_fails_does_not_stop_the_others(
    panel: ImagesPanel, scripted: ScriptedServer
) -> None:
    """Its error stands in its row; Describe all tries it again."""
    scripted.script.then(error(400, None, "This image is not allowed."))
    panel.add(png("red"), "red.png")
    settled(panel).add(png("blue"), "blue.png")
    settled(panel).describe()
    states = [state for _, state in said(settled(panel))]
    assert sorted(states) == ["described", "failed"]
    assert "1 of 2 images could not be described." in panel._note.value


def test_a_key_is_asked_for_once(panel: ImagesPanel, scripted: ScriptedServer) -> None:
    """What would fail for every image is said once, and a key can be typed."""
    scripted.script.key = KEY
    panel.add(png("red"), "red.png")
    settled(panel).describe()
    assert panel._keys.layout.display == "none"
    assert settled(panel)._keys.layout.display == ""
    assert said(panel) == [("", "")]
    panel._key.value = KEY
    panel._set_key.click()
    panel.describe()
    assert said(settled(panel))[0][1] == "described"


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"", "empty"), (b"%PDF-1.7 x", "PDF"), (b"<svg xmlns='x'/>", "SVG"), (b"\x89PNG", "")],
    ids=["empty", "pdf", "svg", "cut"],
)
def test_what_is_no_image_is_said(panel: ImagesPanel, content: bytes, what: str) -> None:
    """By its name; nothing is added."""
    panel.add(content, "page.bin")
    assert settled(panel)._note.how
    assert what in panel._note.value
    assert panel._table.rows == []


def test_a_large_image(panel: ImagesPanel) -> None:
    """Thirty megabytes are an image like any other."""
    noise = np.random.default_rng(0).integers(0, 255, (3300, 3300, 3), dtype="uint8")
    stream = BytesIO()
    Image.fromarray(noise).save(stream, "PNG", compress_level=0)
    assert len(stream.getvalue()) > 30 * 2**20
    panel.add(stream.getvalue(), "large.png")
    picture = settled(panel)._table.rows[0]["cells"][0]["picture"]
    assert len(picture) < 100_000


def test_too_many_are_refused(panel: ImagesPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what does take them."""
    monkeypatch.setattr(gallery, "MOST", 1)
    panel.add(png("red"), "a")
    settled(panel).add(png("blue"), "b")
    assert "%describe" in settled(panel)._note.value


def test_nothing_said_is_active(panel: ImagesPanel, scripted: ScriptedServer) -> None:
    """Names and descriptions are text, without a front end too."""
    for number, text in enumerate(HOSTILE[:6]):
        scripted.script.then(text)
        panel.add(png("red", 20 + number), text)
        settled(panel).describe()
        settled(panel).choose(panel._table.rows[-1]["id"])
        problems: list[Any] = read(panel._chosen.value).problems
        assert [
            p for p in problems if not p.startswith(("<img src='data:", "<img>", "<img alt="))
        ] == []
    shown, pictures = PICTURE.subn("", panel.bundle()[0]["text/html"])
    assert pictures == 6
    assert not read(shown).problems


def test_after_a_restart(panel: ImagesPanel, scripted: ScriptedServer) -> None:
    """What was said is still there, with a small picture, from the dialogue file alone."""
    scripted.script.then("A red square.", "A blue square.", "A red square, again.")
    panel.add(png("red"), "red.png")
    settled(panel).describe()
    settled(panel).add(png("blue"), "blue.png")
    settled(panel).describe()
    settled(panel).wanted = WANTED[1]
    panel.describe([panel.gallery.pictures[next(iter(panel.gallery.pictures))].id])
    settled(panel)
    scripted.requests.clear()
    first, second = (
        ImagesPanel(Session(mode="replay", dialogue_log_path=panel.session.dialogue.path))
        for _ in range(2)
    )
    data, _ = first.bundle()
    assert data == second.bundle()[0]
    lines = data["text/plain"].splitlines()
    assert [line.split("  ")[0] for line in lines[2:]] == ["blue.png", "red.png"]
    assert "A red square, again." in lines[3]
    assert data["text/html"].count('<img src="data:image/jpeg;base64,') == 2
    _ = first.widget
    rows = settled(first)._table.rows
    assert [row["cells"][3] for row in rows] == ["recorded", "recorded"]
    settled(first).add(png("red"), "red.png")
    assert [row["cells"][3] for row in settled(first)._table.rows] == ["recorded", ""]
    assert scripted.requests == []


def test_without_a_front_end(panel: ImagesPanel) -> None:
    """The state at this moment."""
    assert "0 images" in panel.plain()
    panel.add(png("red"), "red.png")
    assert "red.png" in settled(panel).plain()
    assert "red.png" in panel.html()
