"""What is told of an image where no model sees it."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from openai_magics import Session, render
from openai_magics.errors import EngineError, ImageRefused
from openai_magics.local import observe
from openai_magics.magics.describe import DescribeMagics
from tests.unit.pictures import encoded, photograph, saved


def asked(mode: str = "auto") -> Session:
    return Session("local", dialogue_log_path="a.dialogue.json", mode=mode)


def test_it_says_what_it_is(tmp_path: Path) -> None:
    """Size, mode and colours; that it is no description; where to read how to get one. It replays."""
    flag = Image.new("RGB", (300, 200), "white")
    flag.paste((200, 20, 20), (0, 0, 100, 200))
    saved(tmp_path, "flag.png", flag)
    reply = asked().describe_image("flag.png")
    assert reply.text.startswith("This is a local observation, not a description")
    assert "- Size: 300 x 200 pixels" in reply.text
    assert "- Mode: colour" in reply.text
    assert re.search(r"- Dominant colours: white 6\d%, red 3\d%", reply.text)
    assert "(%describe? tells how one would)" in reply.text
    assert "OPENAI_MAGICS_LOCAL_MMPROJ" in str(DescribeMagics.describe.__doc__)
    assert (reply.model, reply.resolved.endpoint) == (observe.MODEL, "local")
    again = asked("replay").describe_image("flag.png")
    assert (again.text, again.id, again.replayed) == (reply.text, reply.id, True)
    assert render.notes(reply) == []


def test_no_engine_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes neither weights nor the engine's package."""
    from openai_magics.local import process

    monkeypatch.setattr(process, "engine", None)
    assert "- Mode: grey" in asked().describe_image(Image.new("L", (9, 9), 128)).text


def test_many(tmp_path: Path) -> None:
    """A folder is observed as it would be described; a broken image is a row with its error."""
    for n in range(3):
        saved(tmp_path, f"f/{n}.png", Image.new("RGB", (9 + n, 9), "blue"))
    saved(tmp_path, "f/broken.png", encoded(photograph(), "PNG")[:400])
    frame = asked().describe_images("f")
    assert frame["description"].notna().sum() == 3
    assert asked("replay").describe_images("f").equals(frame)


def test_what_takes_a_model(tmp_path: Path) -> None:
    """A question in a conversation is not answered by measuring; an address is not fetched."""
    with pytest.raises(EngineError, match="does not see images") as caught:
        asked().ask("What is it?", images=Image.new("L", (9, 9)))
    assert "OPENAI_MAGICS_LOCAL_MMPROJ" in caught.value.remedy
    with pytest.raises(ImageRefused, match="not on this machine"):
        asked().describe_image("https://example.org/a.png")


def test_without_ocr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that reads text is named."""
    monkeypatch.setattr(observe, "find_spec", lambda _: None)
    text = asked().describe_image(Image.new("L", (9, 9))).text
    assert 'not looked for (pip install "openai_magics[vision]"' in text


@pytest.mark.skipif(find_spec("rapidocr") is None, reason="the extra `vision` is not installed")
def test_text_is_read(tmp_path: Path) -> None:
    """What it is sure of, line by line; where there is none, that is said."""
    page = Image.new("RGB", (640, 200), "white")
    font = ImageFont.load_default(size=40)
    draw = ImageDraw.Draw(page)
    draw.text((30, 30), "The tide turns at noon", "black", font=font)
    draw.text((30, 110), "Bergen 1897", "black", font=font)
    text = asked().describe_image(page).text
    assert "read by OCR" in text
    assert "      Bergen 1897" in text
    assert "- Text: none found" in asked().describe_image(Image.new("RGB", (200, 90), "white")).text
    assert "rapidocr" in sys.modules
