"""The chat panel as it is seen: its first token, 2,000 chunks and 1,000 turns in a real browser."""

from __future__ import annotations

import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figures import Figure, Given
from tests.benchmarks.page import RUN, Tab, tab
from tests.benchmarks.records import MODEL
from tests.scripted import ScriptedServer, answer

ROUNDS = 5
OPENED = 3
NOTED = """
import os, time
from pathlib import Path
import openai_magics

Path("kernel.txt").write_text(str(os.getpid()))
asks = openai_magics.get_session().chat_panel().asks
heard = asks._heard

def noted(pending, piece):
    if not pending.growing._pieces:
        Path("arrived.txt").write_text(repr(time.time()))
    heard(pending, piece)

asks._heard = noted
"""
"""A cell that notes when the first piece of an answer is there."""


def run(given: Given, text: str, chunks: int, dialogue: Path, turns: int) -> Iterator[Figure]:
    """Yield the figures; *dialogue* is a file with a conversation of so many *turns*.

    Raises
    ------
    NotMeasured
        There is no browser on this machine.
    """
    with (
        ScriptedServer(check=False, record=False) as server,
        tab(
            given.folder / "page",
            OPENAI_BASE_URL=server.base_url,
            OPENAI_API_KEY="sk-benchmark",
            OPENAI_MAGICS_MODEL=MODEL,
        ) as opened,
    ):
        opened.notebook("asked.ipynb", "%panel chat", NOTED)
        for number in range(3):
            opened.cell(number)
        opened.page.locator(".oai[aria-busy=false]").wait_for()
        yield from _first(opened, server)
        yield from _streamed(opened, server, text, chunks)
        shutil.copyfile(dialogue, opened.lab.root / "turns.dialogue.json")
        yield from _turns(opened, turns)


def _write(opened: Tab, text: str) -> None:
    box = opened.page.get_by_label("Message", exact=True)
    box.fill(text)
    box.press("Enter")


def _first(opened: Tab, server: ScriptedServer) -> Iterator[Figure]:
    """From the first piece in the kernel, and from when the server sends it, to the screen."""
    page, arrived = opened.page, opened.lab.root / "arrived.txt"
    kernel, network = [], []
    for number in range(-1, ROUNDS):  # one does not count: it imports
        hold = threading.Event()
        server.script.then(answer("Tides come twice a day.", hold=hold, hold_after=1))
        _write(opened, f"Round {number}")
        page.locator(".oai-running").wait_for()
        begun = time.monotonic()
        while server.script.left:
            assert time.monotonic() < begun + 120, "the server is asked"
            page.wait_for_timeout(50)
        page.wait_for_timeout(500)  # until all that the start of the answer does is done
        page.evaluate(
            """() => { window.first = window.changed(document.querySelector(".oai-log"), (log) =>
                log.querySelector(".oai-running .oai-markdown")?.textContent.trim()); }"""
        )
        sent = time.time()
        hold.set()
        seen = page.evaluate("() => window.first")
        page.locator(".oai-running").wait_for(state="detached")
        if number >= 0:
            kernel.append(seen - float(arrived.read_text()) * 1000)
            network.append(seen - sent * 1000)
    name = "first token: from the kernel to the screen"
    yield Figure(name, "", ours=statistics.median(kernel), bound=100, rounds=ROUNDS)
    name = "first token: from the server to the screen"
    yield Figure(name, "", ours=statistics.median(network), rounds=ROUNDS)


def _streamed(opened: Tab, server: ScriptedServer, text: str, chunks: int) -> Iterator[Figure]:
    import psutil

    page = opened.page
    kernel = psutil.Process(int((opened.lab.root / "kernel.txt").read_text()))

    def used() -> tuple[float, float, float]:
        times = kernel.cpu_times()
        return time.perf_counter(), times.user + times.system, opened.processor()

    told = []
    for number in range(ROUNDS):
        server.script.then(answer(text, chunks=chunks, delay=0.001))
        before = used()
        page.evaluate(
            """() => {
                const log = document.querySelector(".oai-log");
                const begun = window.changed(log, () => log.querySelector(".oai-running"));
                window.whole = begun.then(() =>
                    window.changed(log, () => !log.querySelector(".oai-running")));
            }"""
        )
        _write(opened, f"Stream {number}")
        page.evaluate("() => window.whole")
        took, inside, shown = (now - then for now, then in zip(used(), before, strict=True))
        seen = page.locator(".oai-markdown").last.text_content()
        assert "".join(seen.split()) == "".join(text.replace("*", "").split()), "none is lost"
        told.append((100 * inside / took, 100 * shown / took))
    parts = [statistics.median(part) for part in zip(*told, strict=True)]
    name = f"{chunks:,} chunks, 1 ms apart, to the screen: share of a core"
    whole = statistics.median(map(sum, told))
    yield Figure(name, "kernel and page", ours=whole, bound=25, unit="%", rounds=ROUNDS)
    for against, part in zip(("kernel", "page"), parts, strict=True):
        yield Figure(name, against, ours=part, unit="%", rounds=ROUNDS)


def _turns(opened: Tab, turns: int) -> Iterator[Figure]:
    """Of a kernel that knows nothing yet and of one that does; then back to the first turn."""
    page = opened.page
    last, shown, chosen, scrolled = f"q{turns - 1}", [], [], []
    seen = f"window.changed(document.body, () => window.ending({last!r}))"
    for _ in range(OPENED):
        opened.notebook("turns.ipynb", "%panel chat")
        opened.cell(0)
        shown.append(
            page.evaluate(
                f"async () => {{ const begun = Date.now(); ({RUN})(1); return await {seen} - begun; }}"
            )
        )
        page.get_by_role("button", name="New conversation").click()
        page.locator(".oai-empty").wait_for()
        chosen.append(
            page.evaluate(
                f"""async () => {{
                    const begun = Date.now();
                    [...document.querySelectorAll(".oai-name")].at(-1).click();
                    return await {seen} - begun;
                }}"""
            )
        )
        scrolled.append(
            page.evaluate(
                """async () => {
                    const [begun, log] = [Date.now(), document.querySelector(".oai-log")];
                    const first = () => {
                        const words = log.querySelector(".oai-list > :first-child .oai-asked");
                        return /q0$/.test(words.textContent);
                    };
                    while (!first()) {
                        if (Date.now() - begun > 120000) throw new Error("there is no first turn");
                        log.scrollTop = 0;
                        await window.painted();
                    }
                    log.scrollTop = 0;
                    return await window.painted() - begun;
                }"""
            )
        )
        assert page.locator(".oai-turn").count() == turns, "each turn is there once"
        page.get_by_text("q0", exact=True).first.wait_for()
    name = f"open a conversation of {turns:,} turns: its last turn on the screen"
    for against, took in (("%panel chat", shown), ("choose it in the list", chosen)):
        yield Figure(name, against, ours=statistics.median(took), bound=1000, rounds=OPENED)
    name = f"scroll up through {turns:,} turns to the first one"
    yield Figure(name, "", ours=statistics.median(scrolled), rounds=OPENED)
