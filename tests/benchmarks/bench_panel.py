"""The chat panel: its first token, 2,000 chunks, 1,000 turns, in the kernel and on the screen."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import panel_page
from tests.benchmarks.figures import Figure, Given
from tests.benchmarks.records import MODEL
from tests.scripted import process

CHUNKS = 2_000
TURNS = 1_000
ROUNDS = 5
PART = "The moon pulls the water *more* than the earth, so there are **two** bulges.\n\n"
TEXT = "".join(f"{n:04}: {PART.removeprefix('The ')}" for n in range(125))
"""10,000 characters of Markdown, five a chunk; no line stands twice, so that each is missed."""


class _Views:
    """The views of a panel: when each message was sent to them."""

    def __init__(self, folder: Path, base_url: str) -> None:
        from openai_magics.panels.chat import ChatPanel
        from openai_magics.session import Session

        self.session = Session(
            MODEL, base_url=base_url, api_key="sk-benchmark", dialogue_log_path=folder / "p.json"
        )
        self.panel = ChatPanel(self.session)
        self.panel.send = self.hear  # type: ignore[method-assign]
        self.sent: list[tuple[float, dict[str, Any]]] = []

    def hear(self, message: dict[str, Any], _: Sequence[bytes] = ()) -> None:
        self.sent.append((time.perf_counter(), message))

    def at(self, kind: str) -> float:
        """When the first message of a kind was sent; waits for it."""
        while True:
            for moment, message in list(self.sent):
                if message["type"] == kind:
                    return moment
            time.sleep(0.001)

    def asked(self, text: str) -> tuple[float, float, float]:
        """Ask; return ms from the first piece to its message, and the wall and CPU seconds."""
        self.sent.clear()
        heard = self.panel.asks._heard
        first: list[float] = []

        def hear(pending: Any, piece: str) -> None:
            first.append(time.perf_counter()) if not first else None
            heard(pending, piece)

        self.panel.asks._heard = hear  # type: ignore[method-assign]
        begun, used = time.perf_counter(), time.process_time()
        self.panel.asks.ask(text).wait()
        took, cpu = time.perf_counter() - begun, time.process_time() - used
        self.panel.asks._heard = heard  # type: ignore[method-assign]
        turn = next(message for _, message in self.sent if message["type"] == "ended")["turn"]
        assert turn["text"] == TEXT, "no chunk is lost"
        return (self.at("delta") - first[0]) * 1000, took, cpu


def run(given: Given) -> Iterator[Figure]:
    """Yield the figures.

    Raises
    ------
    NotMeasured
        There is no browser for the last ones.
    """
    from openai_magics.panels.base import front
    from openai_magics.panels.chat import FILES

    bundle = len((front(*FILES) + front("chat.css")).encode()) / 1000
    yield Figure("the chat panel's bundle", "", ours=bundle, bound=150, unit="kB")
    streamed = ("--text", TEXT, "--chunks", str(CHUNKS), "--delay", "0.001")
    with process("--no-check", "--no-record", *streamed) as address:
        views = _Views(given.folder, address)
        views.asked("What is a tide?")  # imports, and the connection
        told = [views.asked(f"Number {n}?") for n in range(ROUNDS)]
    assert len(TEXT) == 5 * CHUNKS
    first = statistics.median(row[0] for row in told)
    yield Figure("first token: to the views", "", ours=first, bound=100, rounds=ROUNDS)
    share = statistics.median(100 * cpu / took for _, took, cpu in told)
    name = f"{CHUNKS:,} chunks, 1 ms apart, in a panel: share of a core"
    yield Figure(name, "", ours=share, bound=25, unit="%", rounds=ROUNDS)
    yield _opened(given)
    yield from panel_page.run(given, TEXT, CHUNKS, given.folder / "turns" / "p.json", TURNS)


def _opened(given: Given) -> Figure:
    folder = given.folder / "turns"
    folder.mkdir()
    with process("--no-check", "--no-record", "--text", PART * 5) as address:
        parent, views = "", _Views(folder, address)
        views.session.settings.arguments["fsync"] = False
        for n in range(TURNS):
            parent = views.session.ask(
                f"q{n}", conversation="chat", after=parent, sentiment="off"
            ).id
        took = []
        for _ in range(ROUNDS):
            fresh = _Views(folder, address)  # as after a restart: nothing of the file is known
            begun = time.perf_counter()
            fresh.panel.receive({"type": "ready", "view": "v"})
            took.append((fresh.at("opened") - begun) * 1000)
    name = f"open a conversation of {TURNS:,} turns: to the views"
    return Figure(name, "", ours=statistics.median(took), bound=1000, rounds=ROUNDS)
