"""Asks of an event loop whose images are read in a thread: in the order in which they were made."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from openai_magics.errors import OptionError
from openai_magics.images.source import Source
from tests.scripted import ScriptedServer
from tests.server.ways import asked, run, session
from tests.unit.pictures import drawing, saved


def test_the_loop_is_free_while_an_image_is_read(
    scripted: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is hashed in another thread; a later ask without one comes after it all the same."""
    saved(tmp_path, "a.png", drawing(40, 30))
    scripted.script.always("Fine.")
    live = session(scripted)
    ticked, hashed = threading.Event(), []
    whole = Source._hash

    def slow(self: Source, stream: Any) -> str:
        hashed.append((threading.current_thread(), ticked.wait(60)))
        return whole(self, stream)

    monkeypatch.setattr(Source, "_hash", slow)

    async def both() -> None:
        first = asyncio.ensure_future(live.aask("One", images="a.png"))
        second = asyncio.ensure_future(live.aask("Two"))
        await asyncio.sleep(0)
        ticked.set()  # what the thread waits for happens in the loop
        await asyncio.gather(first, second)

    run(live.live, both())
    assert hashed[0][0] is not threading.main_thread()
    assert hashed[0][1]
    last = scripted.requests[-1].messages
    assert [message["role"] for message in last] == ["user", "assistant", "user"]
    assert last[0]["content"][0]["text"] == "One"
    assert last[-1]["content"] == "Two"
    assert len(asked(scripted)) == 2


def test_what_is_no_image_is_said(scripted: ScriptedServer) -> None:
    """As where one waits; the next ask goes on."""
    scripted.script.always("Fine.")
    live = session(scripted)

    async def both() -> str:
        with pytest.raises(OptionError, match="There is no file"):
            await live.aask("One", images=["gone.png"])
        with pytest.raises(OptionError, match="There is no file"):
            await live.aask(["One", Path("gone.png")])
        return (await live.aask("Two")).text

    assert run(live.live, both()) == "Fine."
