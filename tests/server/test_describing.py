"""Describing images: one as a reply, many as rows, each kept and replayed."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from openai_magics import Session, describing, render
from openai_magics.errors import (
    ImageRefused,
    Interrupted,
    KeyRefused,
    OptionError,
    ReplayMiss,
    ServiceError,
)
from openai_magics.images import shown
from tests.scripted import Request, ScriptedServer, answer, errors
from tests.server.ways import records, run, session
from tests.unit.pictures import drawing, encoded, photograph, saved

mpl.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images, the third of which is cut off, and a text file."""
    for n in range(6):
        saved(tmp_path, f"f/{n}.png", drawing(40 + n, 30))
    saved(tmp_path, "f/2.png", encoded(photograph(), "PNG")[:500])
    saved(tmp_path, "f/readme.txt", b"no image")
    return tmp_path / "f"


def width(request: Request) -> str:
    """Answer with the width of the image, in pixels."""
    part = request.messages[-1]["content"][-1]
    data = base64.b64decode(part["image_url"]["url"].partition(",")[2])
    (size,) = [int.from_bytes(data[16:20], "big")]
    return f"{size} pixels wide."


def test_one_image(scripted: ScriptedServer, tmp_path: Path) -> None:
    """It is asked outside of any conversation; the reply is recorded as a description."""
    path = saved(tmp_path, "a.png", drawing(40, 30))
    live = session(scripted)
    live.ask("Before")
    reply = live.describe_image(path, detail="low", temperature=0)
    sent = scripted.requests[-1].json
    assert [part["type"] for part in sent["messages"][0]["content"]] == ["text", "image_url"]
    assert sent["messages"][0]["content"][0]["text"] == describing.PROMPT
    assert sent["messages"][0]["content"][1]["image_url"]["detail"] == "low"
    assert sent["temperature"] == 0
    record = records(live)[-1]
    assert (record.request.kind, record.conversation) == ("describe", None)
    assert "thumbnail" not in record.resolved.images[0]
    again = Session(mode="replay")
    assert again.describe_image("a.png", detail="low", temperature=0).id == reply.id
    other = Session(mode="replay")
    assert run(other.live, other.adescribe_image("a.png", detail="low", temperature=0)).replayed
    with pytest.raises(ReplayMiss):
        Session(mode="replay").describe_image("a.png", detail="high", temperature=0)


def test_a_question_about_it(scripted: ScriptedServer, tmp_path: Path) -> None:
    """In place of a description, with a system instruction; a figure is drawn for it."""
    figure, axes = plt.subplots()
    axes.plot([1, 2])
    plt.close(figure)
    live = session(scripted)
    made = live.adescribe_image(figure, "Does it rise?", system_instruction="Be brief.")
    assert run(live.live, made).text.startswith("You said: Does it rise?")
    assert scripted.requests[0].json["messages"][0] == {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("image", "more", "said"),
    [
        ("f", {}, "There are 6 images"),
        ("f/0.png", {"detail": "fine"}, "no detail 'fine'"),
        ("f/0.png", {"prompt": " "}, "empty"),
        ("f/0.png", {"temprature": 1}, None),
        ("gone.png", {}, "no file"),
        ("f/2.png", {}, "cut off"),
    ],
)
def test_what_is_wrong(
    scripted: ScriptedServer, folder: Path, image: str, more: dict[str, Any], said: str | None
) -> None:
    """Several images, a detail there is none of, no prompt, no image: said before it is sent."""
    live = session(scripted)
    if said is None:
        with pytest.raises(ServiceError):  # an unknown parameter is the service's to refuse
            live.describe_image(image, **more)
        scripted.take_problems()
        return
    with pytest.raises(OptionError, match=said):
        live.describe_image(image, **more)
    assert scripted.requests == []


def test_many(scripted: ScriptedServer, folder: Path) -> None:
    """One row an image, in order; a broken one is a row with its error; all is replayed."""
    scripted.script.always(width)
    told: list[tuple[int, int | None, int]] = []
    live = session(scripted)
    live.settings.profile["model"] = "gpt-4o"
    frame = live.describe_images("f", on_progress=lambda *given: told.append(given))
    assert list(frame.columns) == ["source", "description", "tokens", "cost", "error"]
    assert list(frame["source"]) == [f"f/{n}.png" for n in range(6)]
    wide = [None if n == 2 else f"{40 + n} pixels wide." for n in range(6)]
    assert [text if isinstance(text, str) else None for text in frame["description"]] == wide
    assert frame["error"][2] == "ImageRefused: f/2.png is cut off: a part of it is missing."
    assert frame["error"].notna().sum() == 1
    assert frame["tokens"].notna().sum() == 5
    assert str(frame["tokens"].dtype) == "Int64"
    assert [each[:2] for each in told] == [(n, 6) for n in range(1, 7)]
    assert told[-1][2] == 1
    again = Session(mode="replay")
    replayed = again.describe_images("f")
    assert replayed.equals(frame)
    ids = {each.resolved.images[0]["name"]: each.id for each in records(live) if each.reply}
    assert len(scripted.requests) == len(ids) == 5


def test_it_goes_on_where_it_stopped(scripted: ScriptedServer, folder: Path) -> None:
    """What is recorded is replayed; what failed at the moment is asked again."""
    scripted.script.then(answer("One."), errors.server_error(), answer("Three."))
    live = session(scripted)
    first = live.describe_images("f", concurrency=1)
    assert first["error"].notna().sum() == 2
    asked = len(scripted.requests)
    scripted.script.always("Later.")
    second = session(scripted).describe_images("f", concurrency=3)
    assert len(scripted.requests) == asked + 1
    assert list(second["description"][:2]) == ["One.", "Later."]
    assert second["error"].notna().sum() == 1


def test_what_concerns_all_ends_the_run(scripted: ScriptedServer, folder: Path) -> None:
    """A wrong key is not six rows of errors; what was described before it is kept."""
    scripted.script.then(answer("One."), errors.invalid_key("sk-x"))
    live = session(scripted)
    with pytest.raises(KeyRefused):
        live.describe_images("f", concurrency=1)
    assert len(scripted.requests) == 2
    assert [each.reply.text for each in records(live) if each.reply] == ["One."]
    with pytest.raises(ReplayMiss):
        Session(mode="replay").describe_images("f")


def test_equal_images_share_an_answer(scripted: ScriptedServer, tmp_path: Path) -> None:
    """However the threads run: one request, and the same answers when it is replayed."""
    for n in range(8):
        saved(tmp_path, f"f/{n}.png", drawing(40 + n % 2, 30))
    scripted.script.always(lambda request: f"No. {request.number}")
    frame = session(scripted).describe_images("f", concurrency=8)
    assert len(scripted.requests) == 2
    assert len(set(frame["description"][::2])) == len(set(frame["description"][1::2])) == 1
    assert Session(mode="replay").describe_images("f", concurrency=2).equals(frame)


def test_a_list_of_anything(scripted: ScriptedServer, tmp_path: Path) -> None:
    """Paths, arrays, pictures, bytes, figures; what is none, or gone, is a row with its error."""
    figure, axes = plt.subplots()
    axes.plot([1, 2])
    plt.close(figure)
    path = saved(tmp_path, "a.png", drawing(40, 30))
    several: list[object] = [path, np.zeros((9, 8), "uint8"), drawing(9, 9), figure, 3, "gone.png"]
    several.append(encoded(drawing(7, 7), "PNG"))
    frame = session(scripted).describe_images(several)
    assert list(frame["source"]) == [
        str(path),
        *(f"images[{n}]" for n in (1, 2, 3, 4)),
        "gone.png",
        "images[6]",
    ]
    assert list(frame["error"].notna()) == [False] * 4 + [True, True, False]
    assert "type int" in frame["error"][4]
    lazily = Session(mode="replay").describe_images(iter(several))
    assert lazily.equals(frame)


def test_an_iterator_is_taken_as_it_is_needed(scripted: ScriptedServer) -> None:
    """Images made one by one are not all held at once."""
    alive, most = 0, 0

    class Counted(np.ndarray):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def made() -> Iterator[Any]:
        nonlocal alive, most
        for n in range(60):
            alive += 1
            most = max(most, alive)
            yield np.full((4, 4 + n), 7, "uint8").view(Counted)

    frame = session(scripted).describe_images(made(), concurrency=2)
    assert len(frame) == 60
    assert most < 30


def test_at_once(scripted: ScriptedServer, folder: Path) -> None:
    """As many as asked for wait for the service together."""
    gate = threading.Event()
    scripted.script.always(answer("Fine.", hold=gate))
    live = session(scripted)
    thread = threading.Thread(target=live.describe_images, args=("f",), kwargs={"concurrency": 3})
    thread.start()
    while len(scripted.requests) < 3:
        time.sleep(0.005)
    time.sleep(0.05)
    assert len(scripted.requests) == 3
    gate.set()
    thread.join(90)
    assert len(scripted.requests) == 5


@pytest.mark.parametrize("concurrency", [0, -1, 2.5, True])
def test_a_concurrency_that_is_none(concurrency: Any, folder: Path) -> None:
    """It is a whole number from 1."""
    with pytest.raises(OptionError, match="concurrency"):
        Session(mode="replay").describe_images("f", concurrency=concurrency)


def test_no_images(tmp_path: Path) -> None:
    """A folder without images, an empty list: said before anything is asked."""
    (tmp_path / "none").mkdir()
    for given, said in (
        ("none", "has no image"),
        ([], "empty list"),
        ("*.png", "No image matches"),
    ):
        with pytest.raises(OptionError, match=said):
            Session(mode="replay").describe_images(given)


def test_the_event_loop_is_free(scripted: ScriptedServer, folder: Path) -> None:
    """Describing many from a coroutine leaves the loop to others."""
    live = session(scripted)

    async def both() -> tuple[int, Any]:
        ticks = 0
        running = asyncio.ensure_future(live.adescribe_images("f"))
        while not running.done():
            ticks += 1
            await asyncio.sleep(0.001)
        return ticks, await running

    scripted.script.always(answer("Fine.", first_delay=0.05))
    ticks, frame = asyncio.run(both())
    assert len(frame) == 6
    assert ticks > 5


def test_stopped(scripted: ScriptedServer, folder: Path) -> None:
    """What was described before the stop is recorded, which is said."""
    live = session(scripted)

    def stop(done: int, total: int | None, failed: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        live.describe_images("f", concurrency=1, on_progress=stop)
    rows = live.describing_all(*[iter(())])
    assert list(rows) == []
    assert [each.reply is not None for each in records(live)][:2] == [True, True]


def test_stopped_while_it_waits(
    scripted: ScriptedServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says how many are recorded, and what to do."""

    def interrupted(*_: Any, **__: Any) -> Iterator[Any]:
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(describing.many, "each", interrupted)
    with pytest.raises(Interrupted, match="0 described so far are recorded: run it again"):
        session(scripted).describe_images("f")


def test_a_thumbnail_is_in_the_record(scripted: ScriptedServer, tmp_path: Path) -> None:
    """What a cell shows beside the answer comes from the record, live as replayed."""
    from dataclasses import replace

    from openai_magics.images.listed import only

    saved(tmp_path, "a.jpg", photograph(600, 400))
    live = session(scripted)
    item = replace(only("a.jpg"), thumbnail=True)
    reply = live.turns.run(live.describing(item))
    again = Session(mode="replay")
    replayed = again.turns.run(again.describing(replace(only("a.jpg"), thumbnail=True)))
    bundle = shown.described(reply)
    assert bundle == shown.described(replayed)
    assert bundle[0]["text/plain"] == reply.text
    assert '<img src="data:image/jpeg;base64,' in bundle[0]["text/html"]
    assert 'alt="a.jpg"' in bundle[0]["text/html"]
    assert live.dialogue_log_path.stat().st_size < 9000


def test_only_a_small_jpeg_is_shown(scripted: ScriptedServer) -> None:
    """A record may come from anywhere: nothing else becomes an image of the page."""
    from dataclasses import replace

    live = session(scripted)
    reply = live.describe_image(drawing(9, 9))
    for given in ("https://example.org/x.png", 'x" onerror="alert(1)', "data:image/svg+xml,x", 7):
        images = [{"thumbnail": given, "name": '"><script>'}]
        false = replace(reply, resolved=replace(reply.resolved, images=images))
        assert shown.described(false) == render.answer(false)
    images = [{"thumbnail": "data:image/jpeg;base64,AAAA", "name": '"><script>'}]
    named = replace(reply, resolved=replace(reply.resolved, images=images))
    assert "<script>" not in shown.described(named)[0]["text/html"]


def test_many_are_shown_as_a_table() -> None:
    """Names beside texts or errors; of very many the first ones, which is said."""
    from openai_magics.exchange import Reply

    rows = [(f"{n}.png", Reply("<b>Fine</b>", cost=0.001), None) for n in range(59)]
    rows.append(("z.png", None, ImageRefused("z.png is empty (0 bytes).", "Get it again.")))
    data, metadata = shown.descriptions(rows[-2:])
    assert data["text/plain"].splitlines() == [
        "2 images, 1 failed, 0.0010 USD",
        "58.png  <b>Fine</b>",
        "z.png   ImageRefused: z.png is empty (0 bytes).",
    ]
    assert "&lt;b&gt;" in data["text/html"]
    assert metadata == {}
    text = str(shown.descriptions(rows)[0]["text/plain"])
    assert text.startswith("60 images, 1 failed, 0.0590 USD; the first 50 are shown")
    assert len(text.splitlines()) == 51
