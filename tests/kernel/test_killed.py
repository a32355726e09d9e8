"""A kernel that is killed, or stopped again and again, loses no answer that it acknowledged."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from openai_magics import Session
from openai_magics.dialogue import DialogueFile
from tests.kernel.kernels import KEY, PATIENCE, Kernel, environment, loaded, records
from tests.scripted import ScriptedServer, answer, process

LOOP = """\
import os
from openai_magics import get_session
session = get_session()
told = os.open("acknowledged", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
n = {first}
while True:
    reply = session.ask(f"Question {{n}}", history=False, sentiment="off")
    print(reply.id)
    # Printed by a thread, an id may die with the kernel; what is written here does not.
    os.write(told, f"{{n}} {{reply.id}}\\n".encode())
    n += 1
"""
LONG = "word " * 20_000


@pytest.fixture(scope="module", params=["short", "long"])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the address of a server whose answers are short, or of a hundred kilobytes."""
    text = "Yes, of course." if request.param == "short" else LONG
    with process("--text", text, "--no-check", "--no-record") as base_url:
        yield base_url


def acknowledged(folder: Path) -> dict[int, str]:
    """Return the ids that a kernel has said, by question."""
    path = folder / "acknowledged"
    lines = path.read_text().splitlines() if path.exists() else []
    return {int(number): name for number, name in map(str.split, lines)}


def wait_until(kernel: Kernel, sent: str, count: int) -> None:
    """Return when a kernel has said so many ids; where it does not, fail with what it does."""
    end = time.monotonic() + PATIENCE
    while len(acknowledged(kernel.folder)) < count:
        if time.monotonic() > end:
            kernel.interrupt()
            pytest.fail(kernel.finish(sent).error)
        time.sleep(0.005)


@pytest.mark.parametrize("seed", range(5))
def test_killed(tmp_path: Path, server: str, seed: int) -> None:
    """SIGKILL at any moment: what was acknowledged is in the file and replays; the rest is mended."""
    chance = random.Random(seed)
    path = tmp_path / "notebook.dialogue.json"
    with loaded(tmp_path, environment(tmp_path, server)) as kernel:
        sent = kernel.send(LOOP.format(first=0))
        wait_until(kernel, sent, chance.randrange(1, 40))
        time.sleep(chance.random() * 0.02)
        kernel.kill()
    ids = acknowledged(tmp_path)
    assert ids
    replay = Session(dialogue_log_path=path, mode="replay")
    for number, name in ids.items():
        reply = replay.ask(f"Question {number}", history=False)
        assert (reply.id, reply.replayed) == (name, True)
    held = {each.id for each in DialogueFile(path)}
    assert set(ids.values()) <= held
    # At most the one under way is there besides.
    assert len(held) <= len(ids) + 1
    # The file is appended to as if nothing had been.
    again = Session("gpt-4o", base_url=server, api_key=KEY, dialogue_log_path=path)
    assert not again.ask("Another", history=False).replayed
    assert {each["id"] for each in records(path)} > held
    litter = {each.name for each in tmp_path.iterdir() if each.is_file()} - {"acknowledged"}
    assert all(name.startswith(path.name) for name in litter), litter


def test_killed_while_streaming(tmp_path: Path, scripted: ScriptedServer) -> None:
    """A kernel killed in the middle of an answer leaves the answers before it, and asks again."""
    env = environment(tmp_path, scripted.base_url)
    hold = threading.Event()
    with loaded(tmp_path, env) as kernel:
        first = kernel.ok("%ask First", "a")
        scripted.script.then(answer("one two three", hold=hold, hold_after=2))
        sent = kernel.send("%ask Second", "b")
        kernel.finish(sent, until=lambda ran: bool(ran.of("display_data")))
        kernel.kill()
    hold.set()
    with loaded(tmp_path, env) as kernel:
        assert kernel.ok("%ask First", "a").outputs[0]["data"] == first.outputs[0]["data"]
        assert kernel.ok("%ask Second", "b").text == "You said: Second. (turn 2, messages 3)"
    assert len(records(tmp_path / "notebook.dialogue.json")) == 2


def test_interrupted_again_and_again(tmp_path: Path, server: str) -> None:
    """Stop at random moments of a loop: no answer is lost, and the file stays whole."""
    chance = random.Random(7)
    path = tmp_path / "notebook.dialogue.json"
    with Kernel(tmp_path, environment(tmp_path, server)) as kernel:
        first = 0
        for _ in range(15):
            sent = kernel.send(LOOP.format(first=first), "c")
            wait_until(kernel, sent, len(acknowledged(tmp_path)) + 1)
            time.sleep(chance.random() * 0.02)
            kernel.interrupt()
            ran = kernel.finish(sent)
            assert ran.reply["ename"] in ("Interrupted", "KeyboardInterrupt"), ran.error
            first = max(acknowledged(tmp_path)) + 1
            json.loads(path.read_text("utf-8"))
        assert kernel.run("1 + 1").status == "ok"
    ids = acknowledged(tmp_path)
    kept = [each for each in records(path) if each["occurrence"] is not None]
    assert set(ids.values()) <= {each["id"] for each in kept}
    assert len(kept) == len({each["id"] for each in kept})
    replay = Session(dialogue_log_path=path, mode="replay")
    texts = {each["id"]: each["reply"]["text"] for each in kept}
    for number, name in ids.items():
        # An answer recorded in the moment of the stop has the first slot, the one that was
        # acknowledged then the second.
        assert replay.ask(f"Question {number}", history=False).text == texts[name]
