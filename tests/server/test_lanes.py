"""Connections of the sync client: as many as there are requests at once, used again, never shared."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from openai_magics.client import lanes
from openai_magics.errors import ServiceError
from openai_magics.exchange import Request
from tests.scripted import ScriptedServer, answer, failures
from tests.server.ways import live, until

ASKED = Request(model="gpt-4o", messages=({"role": "user", "content": "Hello"},))


def opened(server: ScriptedServer) -> int:
    """Return how many connections have been opened to the server that are still open."""
    return len(server._open)


def test_each_request_has_its_own(scripted: ScriptedServer) -> None:
    """Eight at once open eight connections; the next eight open no other."""
    sender = live(scripted)
    for number in (1, 2):
        gate = threading.Event()
        scripted.script.always(answer("Fine.", hold=gate))
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(sender.send, ASKED) for _ in range(8)]
            asyncio.run(until(lambda most=8 * number: len(scripted.requests) == most))  # type: ignore[misc]
            gate.set()
            assert {one.result(60).text for one in asked} == {"Fine."}
        assert opened(scripted) == 8


def test_one_that_broke_is_made_anew(scripted: ScriptedServer) -> None:
    """A request whose connection breaks is asked again over another one."""
    scripted.script.then(answer("One."), failures.reset(), answer("Two."))
    sender = live(scripted, retries=1)
    assert [sender.send(ASKED).text for _ in range(2)] == ["One.", "Two."]
    assert opened(scripted) == 1


class Stopped(httpx2.SyncByteStream):
    """A body in whose closing an interrupt comes."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"{}"

    def close(self) -> None:
        raise KeyboardInterrupt


def test_one_that_was_interrupted_is_left() -> None:
    """A stop while a connection is given back: no later request waits for it."""
    given_back: list[bool] = []
    body = lanes._Body(Stopped(), lambda: given_back.append(True))
    with pytest.raises(KeyboardInterrupt):
        body.close()
    assert not given_back


def test_one_that_is_not_free_is_passed_over(scripted: ScriptedServer) -> None:
    """A lane in the stack whose connection is still in use, by whatever mishap, holds nobody up."""
    transport = lanes.Lanes()
    lane = httpx2.HTTPTransport(limits=lanes.ONE)
    url = f"{scripted.base_url}/models"
    with httpx2.Client(transport=transport, timeout=60) as client:
        held = lane.handle_request(client.build_request("GET", url))
        transport._idle.append((time.monotonic(), lane))
        assert client.get(url).status_code == 200
        assert lane not in [each for _, each in transport._idle]
        held.close()
    lane.close()


def test_one_that_nobody_takes_is_closed(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a minute without a request; here at once."""
    monkeypatch.setattr(lanes, "IDLE", -1.0)
    scripted.script.always("Fine.")
    transport = lanes.Lanes()
    with httpx2.Client(transport=transport) as client:
        for _ in range(3):
            assert client.get(f"{scripted.base_url}/models").status_code == 200
        assert len(transport._idle) == 1
    assert not transport._idle


def test_a_proxy_is_heeded(scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment sets one, the request goes there, whatever its host."""
    scripted.script.always("By proxy.")
    monkeypatch.setenv("HTTP_PROXY", scripted.base_url.removesuffix("/v1"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    sender = live(scripted)
    sender.settings.arguments["base_url"] = "http://service.example/v1"
    with pytest.raises(ServiceError, match="Invalid URL"):
        sender.send(ASKED)
    assert "service.example" in scripted.requests[-1].path
    scripted.take_problems()
