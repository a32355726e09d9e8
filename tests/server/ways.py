"""The ways to ask: whole or streamed, blocking or not; a test of one is a test of all four."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from openai_magics import Session
from openai_magics.client import Listener, Live
from openai_magics.config import Settings
from openai_magics.exchange import Exchange, Reply, Request
from openai_magics.keys import Secret
from tests.scripted import ScriptedServer
from tests.scripted.asking import KEY

Answer = TypeVar("Answer")

__all__ = [
    "ALL",
    "ASTREAMED",
    "BOTH",
    "STREAMED",
    "STREAMS",
    "WHOLE",
    "Heard",
    "Way",
    "asked",
    "live",
    "records",
    "request",
    "run",
    "session",
    "until",
]


@dataclass
class Heard:
    """What a listener heard: pieces of text, and notices."""

    pieces: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The pieces, joined."""
        return "".join(self.pieces)


@dataclass(frozen=True)
class Way:
    """How to ask."""

    streams: bool
    waits: bool

    def send(self, live: Live, asked: Request, heard: Heard | None = None) -> Reply:
        """Send *asked*; *heard* hears the notices and, where it streams, the text."""
        heard = Heard() if heard is None else heard
        listener = Listener(heard.pieces.append if self.streams else None, heard.notices.append)
        if self.waits:
            return live.send(asked, listener)
        return run(live, live.asend(asked, listener))

    def ask(self, session: Session, message: str, **options: Any) -> Reply:
        """Ask with ``ask`` or ``aask``."""
        if self.streams:
            options.setdefault("on_text", [].append)
        if self.waits:
            return session.ask(message, **options)
        return run(session.live, session.aask(message, **options))


WHOLE, STREAMED = Way(streams=False, waits=True), Way(streams=True, waits=True)
ASTREAMED = Way(streams=True, waits=False)
ALL = [
    pytest.param(WHOLE, id="whole"),
    pytest.param(STREAMED, id="streamed"),
    pytest.param(Way(streams=False, waits=False), id="async"),
    pytest.param(ASTREAMED, id="async streamed"),
]
BOTH = [ALL[0], ALL[3]]
"""Every form and every colour, once."""
STREAMS = [ALL[1], ALL[3]]


def live(server: ScriptedServer | None, **settings: Any) -> Live:
    """Return a sender to *server* that does not try again, unless *settings* say so."""
    given = {"model": "gpt-4o", "retries": 0, **settings}
    if server is not None:
        given.setdefault("base_url", server.base_url)
    return Live(Settings(arguments=given), Secret(KEY))


def session(server: ScriptedServer | None = None, **arguments: Any) -> Session:
    """Return a session whose surroundings (not the notebook) say *server* and model."""
    made = Session(**{"api_key": KEY, **arguments})
    around = {"model": "gpt-4o", "retries": 0}
    if server is not None:
        around["base_url"] = server.base_url
    made.settings.profile = around
    return made


def request(message: str = "Hi", **fields: Any) -> Request:
    """Return a request of one message."""
    return Request(messages=({"role": "user", "content": message},), **fields)


def run(live: Live, ask: Coroutine[Any, Any, Answer]) -> Answer:
    """Run *ask* in a loop of its own, and close the connections that *live* leaves there."""

    async def closing() -> Answer:
        try:
            return await ask
        finally:
            kept = getattr(live, "_async", {})  # a sender that replays has none
            for client in kept.get(asyncio.get_running_loop(), {}).values():
                await client.close()

    return asyncio.run(closing())


async def until(check: Callable[[], bool]) -> None:
    """Let the loop go on until *check*; what it waits for happens in the server's thread."""
    while not check():  # noqa: ASYNC110 - nobody there sets an event of the loop
        await asyncio.sleep(0.005)


def asked(server: ScriptedServer) -> list[list[tuple[str, str]]]:
    """Return what each request for an answer said: role and content of its messages."""
    return [
        [(message["role"], message["content"]) for message in each.messages]
        for each in server.requests
        if each.route == "/chat/completions"
    ]


def records(held: Session) -> list[Exchange]:
    """Return what the dialogue file of a session holds, read by a session of its own."""
    return list(Session(dialogue_log_path=held.dialogue_log_path).dialogue)
