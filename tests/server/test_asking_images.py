"""Images in what is asked: sent for real, recorded by what the notebook holds, replayed unread."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from PIL import Image

from openai_magics import Session
from openai_magics.errors import ImageRefused, OptionError, ReplayMiss
from openai_magics.images import pixels
from tests.scripted import ScriptedServer
from tests.server.ways import ALL, Way, records, session
from tests.unit.pictures import drawing, photograph, saved

mpl.use("Agg")
import matplotlib.pyplot as plt

URL = "https://example.org/cat.png"


def sent(server: ScriptedServer, number: int = -1) -> list[dict[str, Any]]:
    """Return the parts of the last message of a request."""
    content = server.requests[number].json["messages"][-1]["content"]
    assert isinstance(content, list)
    return content


def picture(part: dict[str, Any]) -> Image.Image:
    """Return the image in a part as it came over the wire."""
    head, data = part["image_url"]["url"].split(",", 1)
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    opened = Image.open(io.BytesIO(base64.b64decode(data)))
    opened.load()
    return opened


@pytest.mark.parametrize("way", ALL)
def test_an_image_is_sent_and_replayed(way: Way, scripted: ScriptedServer, tmp_path: Path) -> None:
    """Its pixels go out without metadata; its record holds no bytes; a replay asks nothing."""
    path = saved(tmp_path, "photo.jpg", photograph(3000, 200))
    live = session(scripted)
    reply = way.ask(live, "What is it?", images=[path])
    text, image = sent(scripted)
    assert text == {"type": "text", "text": "What is it?"}
    assert image["image_url"]["detail"] == "auto"
    assert picture(image).size == (2048, 136)
    assert reply.text == "You said: What is it?. (turn 1, messages 1, images 1)"
    record = records(live)[0]
    part = record.request.messages[0]["content"][1]
    assert set(part) == {"type", "sha256", "detail"}
    (kept,) = record.resolved.images
    assert kept["name"] == str(path)
    assert (kept["width"], kept["height"], kept["original"]) == (2048, 136, [3000, 200])
    assert live.dialogue_log_path.stat().st_size < 3000
    again = way.ask(Session(mode="replay"), "What is it?", images=[path])
    assert (again.text, again.id, again.replayed) == (reply.text, reply.id, True)
    assert len(scripted.requests) == 1


def test_images_stand_where_they_are_meant(scripted: ScriptedServer, tmp_path: Path) -> None:
    """In a list of texts and images each has its place; texts that follow one another are one."""
    one, other = drawing(40, 30), drawing(60, 30)
    session(scripted).ask(["Is ", "this ", one, " or this ", other, " wider?"])
    kinds = [part.get("text") or picture(part).size for part in sent(scripted)]
    assert kinds == ["Is this ", (40, 30), " or this ", (60, 30), " wider?"]


def test_the_same_bytes_are_the_same_request(scripted: ScriptedServer, tmp_path: Path) -> None:
    """A touched file, or one by another name, is replayed; one with another pixel is asked."""
    path = saved(tmp_path, "a.png", drawing(40, 30))
    live = session(scripted)
    live.ask("Which?", images=path, history=False)
    os.utime(path, (1, 1))
    again = Session(mode="replay").ask("Which?", images="a.png", history=False)
    moved = path.rename(tmp_path / "b.png")
    other = Session(mode="replay").ask("Which?", images=[moved], history=False)
    assert again.replayed
    assert other.replayed
    changed = drawing(40, 30)
    changed.putpixel((0, 0), (1, 2, 3))
    changed.save(moved)
    with pytest.raises(ReplayMiss):
        Session(mode="replay").ask("Which?", images=[moved], history=False)
    assert not session(scripted).ask("Which?", images=[moved], history=False).replayed


def test_a_url_is_left_to_the_service(scripted: ScriptedServer) -> None:
    """An address goes out as it is; a private one is refused before anything is sent."""
    live = session(scripted)
    live.ask("What is it?", images=URL)
    assert sent(scripted)[1] == {"type": "image_url", "image_url": {"url": URL, "detail": "auto"}}
    with pytest.raises(OptionError, match="machine or its network"):
        live.ask("And this?", images="http://10.0.0.1/a.png")
    assert len(scripted.requests) == 1


def test_later_turns_send_earlier_images_again(scripted: ScriptedServer, tmp_path: Path) -> None:
    """Also where the earlier turn was replayed in this run; `max_history` drops them."""
    path = saved(tmp_path, "a.png", drawing(40, 30))
    session(scripted).ask("What is it?", images=path)
    later = session(scripted)
    assert later.ask("What is it?", images=path).replayed
    later.ask("And in one word?")
    messages = scripted.requests[-1].json["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert picture(messages[0]["content"][1]).size == (40, 30)
    assert records(later)[1].resolved.images == ()
    path.unlink()
    later.ask("A third thing?", max_history=1)
    assert "image_url" not in json.dumps(scripted.requests[-1].json)
    with pytest.raises(OptionError, match=r"a\.png"):
        later.ask("A fourth thing?")


def test_the_same_image_twice_is_prepared_once(
    scripted: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two places of one image are two parts of the message, made of one."""
    from openai_magics.images import attached

    count: list[str] = []
    prepare = attached.prepare.prepare
    monkeypatch.setattr(
        attached.prepare,
        "prepare",
        lambda *given, **more: count.append("") or prepare(*given, **more),
    )
    path = saved(tmp_path, "a.png", drawing(40, 30))
    session(scripted).ask(["Is ", path, " the same as ", path, "?"])
    assert len(sent(scripted)) == 5
    assert len(count) == 1


def test_a_replay_needs_no_pillow(scripted: ScriptedServer, tmp_path: Path) -> None:
    """A file's record is found by its bytes, without a package that reads images."""
    path = saved(tmp_path, "a.png", drawing(40, 30))
    session(scripted).ask("What is it?", images=path)
    code = (
        "import sys; sys.modules['PIL'] = None\n"
        "from openai_magics import Session\n"
        "print(Session(mode='replay').ask('What is it?', images='a.png'))\n"
        "assert not {'numpy', 'openai', 'matplotlib'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout.startswith("You said: What is it?"), ran.stderr


def plotted(height: float = 3.0, dpi: int = 100) -> Any:
    """Return a new figure of two bars."""
    figure, axes = plt.subplots(dpi=dpi)
    axes.bar(["a", "b"], [1, height])
    plt.close(figure)
    return figure


def drawn_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw figures with some other pixels, as another version of matplotlib does."""
    draw = pixels._drawn

    def other(figure: Any) -> Any:
        picture, content = draw(figure)
        changed = picture.convert("RGB")
        changed.putpixel((3, 3), (0, 0, 9))
        return changed, content

    monkeypatch.setattr(pixels, "_drawn", other)


def test_a_figure_that_is_drawn_otherwise(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is replayed by its content and look, which is said; the turns after it are, too."""
    live = session(scripted)
    first = live.ask("Which is higher?", images=plotted())
    second = live.ask("By how much?")
    drawn_elsewhere(monkeypatch)
    again = Session(mode="replay")
    with caplog.at_level(logging.WARNING, "openai_magics"):
        replayed = again.ask("Which is higher?", images=plotted())
    assert "drawn otherwise" in caplog.text
    assert (replayed.id, replayed.fingerprint) == (first.id, first.fingerprint)
    assert again.ask("By how much?").id == second.id
    # A later live turn sends the figure as it is drawn here.
    after = session(scripted)
    assert after.ask("Which is higher?", images=plotted()).replayed
    after.ask("Why?")
    assert len(scripted.requests[-1].json["messages"][0]["content"]) == 2


def test_a_figure_of_other_data_is_another_request(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However alike they look; so is another question, and another detail of the request."""
    session(scripted).ask("Which is higher?", images=plotted(3.0))
    drawn_elsewhere(monkeypatch)
    for message, figure, more in (
        ("Which is higher?", plotted(3.1), {}),
        ("Which is lower?", plotted(3.0), {}),
        ("Which is higher?", plotted(3.0), {"temperature": 0}),
    ):
        with pytest.raises(ReplayMiss):
            Session(mode="replay").ask(message, images=figure, **more)


def test_a_miss_names_the_image(scripted: ScriptedServer, tmp_path: Path) -> None:
    """What differs is said by the image's hash, not by its bytes."""
    session(scripted).ask("What is it?", images=saved(tmp_path, "a.png", drawing(40, 30)))
    other = saved(tmp_path, "b.png", drawing(41, 30))
    with pytest.raises(ReplayMiss) as caught:
        Session(mode="replay").ask("What is it?", images=other)
    assert "-[image " in str(caught.value)
    assert "+[image " in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param("gone.png", "no file 'gone.png'", id="missing"),
        pytest.param("none", "has no image", id="folder without images"),
        pytest.param("empty.png", "is empty", id="0 bytes"),
        pytest.param("cut.jpg", "cut off", id="truncated"),
        pytest.param("bomb.png", "refused", id="bomb"),
        pytest.param("drawing.svg", "SVG", id="svg"),
        pytest.param("paper.pdf", "PDF", id="pdf"),
        pytest.param(3, "no image", id="number"),
        pytest.param([], None, id="none"),
    ],
)
def test_what_is_no_image(
    scripted: ScriptedServer, tmp_path: Path, given: Any, said: str | None
) -> None:
    """It is refused by name and nothing is sent; what is there but cannot be read is replayed."""
    from tests.unit.pictures import encoded, png_that_claims

    (tmp_path / "none").mkdir()
    saved(tmp_path, "empty.png", b"")
    saved(tmp_path, "cut.jpg", encoded(photograph(), "JPEG")[:900])
    saved(tmp_path, "bomb.png", png_that_claims(60_000, 60_000))
    saved(tmp_path, "drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    saved(tmp_path, "paper.pdf", b"%PDF-1.7\n")
    live = session(scripted)
    if said is None:
        assert isinstance(live.ask("Hi", images=given).text, str)
        return
    with pytest.raises(OptionError, match=said):
        live.ask("Hi", images=given)
    assert scripted.requests == []
    if isinstance(given, str) and Path(given).is_file():
        with pytest.raises(ImageRefused, match=said) as caught:
            Session(mode="replay").ask("Hi", images=given)
        assert caught.value.replayed
        # Asked again it is tried again, and not recorded a second time.
        with pytest.raises(ImageRefused, match=said):
            session(scripted).ask("Hi", images=given)
        assert len(records(live)) == 1
    else:
        assert not live.dialogue_log_path.exists()


def test_an_image_that_can_be_read_by_now(
    scripted: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was too large, or of a kind that nothing read, is asked once it can be read."""
    saved(tmp_path, "large.png", drawing(80, 60))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ImageRefused, match="MAX_IMAGE_PIXELS"):
        session(scripted).ask("Hi", images="large.png")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert session(scripted).ask("Hi", images="large.png").text.startswith("You said: Hi")
    assert Session(mode="replay").ask("Hi", images="large.png").replayed


def test_an_empty_prompt(tmp_path: Path) -> None:
    """An image without a word is no question, unless it stands in a list by itself."""
    saved(tmp_path, "a.png", drawing(4, 3))
    with pytest.raises(OptionError, match="empty"):
        Session(mode="replay").ask(" ", images="a.png")
    with pytest.raises(OptionError, match="empty"):
        Session(mode="replay").ask([" ", ""])
    with pytest.raises(ReplayMiss):
        Session(mode="replay").ask([Path("a.png")])
