"""Replay: what it needs (nothing), and what it says where there is nothing to replay."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from openai_magics import Session
from openai_magics import errors as ours
from openai_magics.exchange import Reply
from openai_magics.replay import Replay, ReplayThenLive
from tests.scripted import ScriptedServer, answer, errors, failures
from tests.server.ways import ALL, BOTH, WHOLE, Way, live, records, request, session

NOTEBOOK = """
import asyncio
from openai_magics import Session, errors

def notebook(**arguments):
    held = Session(**arguments)
    said = [held.ask("Hello")]
    said.append(held.ask("And?", on_text=lambda piece: None))
    said.append(held.ask("Hello", conversation="other", temperature=0, seed=7))
    said += [held.ask("A number.", history=False) for _ in range(2)]
    said.append(asyncio.run(held.aask("More?", system_instruction="Be brief.")))
    said.append(held.ask("Bad?", sentiment="model", new=True))
    try:
        held.ask("Refuse this.", history=False)
    except errors.ContentRefused as refused:
        said.append(refused.reply)
    return [(str(each), each.refusal, each.finish_reason, each.model, dict(each.usage),
             each.sentiment, each.id, each.fingerprint) for each in said]
"""

BARE = """
import socket, sys

for name in ("openai", "httpx2", "httpx", "pandas", "PIL", "ipywidgets", "numpy", "keyring",
             "genai_prices", "xllamacpp"):
    sys.modules[name] = None  # importing it fails

def refuse(*arguments, **options):
    raise AssertionError("a socket was made")

socket.socket.__init__ = refuse
"""

REPORT = """
import json
print(json.dumps(notebook(mode="replay")))
try:
    Session(mode="replay").ask("Something else")
except errors.ReplayMiss as miss:
    print(json.dumps(str(miss)))
"""


def script(server: ScriptedServer) -> None:
    """Let *server* answer what the notebook asks."""
    server.script.then("One.", "Two.", "Three.", "4", "5", "Six.", "It is splendid!", "positive")
    server.script.then(answer(refusal="I won't."))


def test_replay_needs_nothing(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No key, no socket, no optional package: the same replies, in another process and folder."""
    script(scripted)
    monkeypatch.setenv("OPENAI_BASE_URL", scripted.base_url)
    monkeypatch.setenv("OPENAI_MAGICS_MODEL", "gpt-4o")
    names: dict[str, Any] = {}
    exec(NOTEBOOK, names)
    recorded = names["notebook"]()
    assert [text for text, *_ in recorded[:3]] == ["One.", "Two.", "Three."]
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.delenv("OPENAI_MAGICS_MODEL")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Path("notebook.dialogue.json").rename(elsewhere / "notebook.dialogue.json")
    before = (elsewhere / "notebook.dialogue.json").read_bytes()
    # asyncio's loop talks to itself over a socket pair, so only what is asked may make none.
    bare = BARE.replace("socket.socket.__init__ = refuse", "socket.socket.connect = refuse")
    for first in (bare, BARE):
        code = first + NOTEBOOK + REPORT
        if first is BARE:
            code = code.replace("asyncio.run(held.aask(", "_run(held.aask(")
            code = "def _run(ask):\n    try:\n        ask.send(None)\n    except StopIteration as end:\n        return end.value\n" + code  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            cwd=elsewhere, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.stderr == ""
        replies, miss = map(json.loads, done.stdout.splitlines())
        assert [tuple(each) for each in replies] == recorded
        assert "Nothing is recorded for this ask" in miss
    assert (elsewhere / "notebook.dialogue.json").read_bytes() == before


@pytest.mark.parametrize("way", ALL)
def test_the_three_senders_are_one_seam(scripted: ScriptedServer, way: Way) -> None:
    """Live, Replay and the two in turn take the same request and give the same reply."""
    held = session(scripted)
    replied = way.ask(held, "Hi")
    replay = Replay(held._dialogue_file())
    for sender in (replay, ReplayThenLive(replay, live(None, base_url="http://127.0.0.1:9/v1"))):
        assert way.send(sender, request()) == replied  # type: ignore[arg-type]
    assert way.send(live(scripted), request()).text == replied.text


# --- what is said of a miss

NEAREST = "Nothing is recorded for this ask. The nearest record differs in: "


def missed(held: Session, message: str, way: Way, **options: Any) -> list[str]:
    """Return the lines of the error of an ask that is not recorded."""
    with pytest.raises(ours.ReplayMiss) as caught:
        way.ask(held, message, **options)
    *problem, remedy = str(caught.value).splitlines()
    assert remedy.startswith("To ask it live: --mode auto")
    return problem


@pytest.mark.parametrize("way", BOTH)
def test_nothing_is_recorded(scripted: ScriptedServer, way: Way) -> None:
    """It says whether the file is missing, or holds nothing of the kind."""
    (line,) = missed(session(mode="replay"), "Hi", way)
    assert line == "Nothing is recorded for this ask: there is no notebook.dialogue.json."
    session(scripted).list_models()
    (line,) = missed(session(mode="replay"), "Hi", way)
    assert line == "Nothing is recorded for this ask: notebook.dialogue.json holds no such record."


@pytest.mark.parametrize("way", BOTH)
def test_the_nearest_record_and_what_differs(scripted: ScriptedServer, way: Way) -> None:
    """The fields are named, with a short diff of the prompt."""
    held = session(scripted)
    held.ask("Explain tides.\nBriefly.", history=False)
    held.ask("What is a whale?", history=False, temperature=1)
    replaying = session(mode="replay", model="gpt-4o")
    said = missed(
        replaying, "Explain tides.\nAt length.", way,
        history=False, temperature=0.5, system_instruction="Be kind.",
    )  # fmt: skip
    assert said == [
        NEAREST + "model, parameters, system, messages.",
        "  model: recorded None, now 'gpt-4o'",
        "  parameters: recorded {}, now {'temperature': 0.5}",
        "  system: recorded None, now 'Be kind.'",
        "  -Briefly.",
        "  +At length.",
    ]
    said = missed(session(mode="replay"), "What is a whale?", way, history=False)
    assert said == [
        NEAREST + "parameters.",
        "  parameters: recorded {'temperature': 1}, now {}",
    ]


LONG = "word " * 100
DIFFS = {
    "lines that look like a header": (
        "-- a\n++ b\nc", "-- A\n++ b\nc", ["  --- a", "  +-- A"],
    ),
    "a rule": ("a\n---\nb", "a\nb", ["  ----"]),
    "far inside a line": (
        f"{LONG}then", f"{LONG}now",
        [f"  -…{LONG[-40:]}then", f"  +…{LONG[-40:]}now"],
    ),
    "a line end": (
        "a\nb", "a\r\nb", ["  messages: the same lines, but for line ends or roles"],
    ),
    "many lines": (
        "\n".join("ab"), "\n".join(map(str, range(500))),
        ["  -a", "  -b", *(f"  +{number}" for number in range(6))],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("then", "now", "shown"), [pytest.param(*row, id=name) for name, row in DIFFS.items()]
)
def test_the_diff_is_short_and_shows_the_difference(
    scripted: ScriptedServer, then: str, now: str, shown: list[str]
) -> None:
    """Eight lines at most, none of them over 160 characters, from the first difference on."""
    session(scripted).ask(then)
    problem = missed(session(mode="replay"), now, WHOLE)
    assert problem[0].endswith("differs in: messages.")
    assert problem[1:] == shown


def test_a_diff_of_many_alike_lines(scripted: ScriptedServer) -> None:
    """A long prompt of lines that come again is told from another without a whole comparison."""
    then = "\n".join(str(number % 997) for number in range(200_000))
    now = "\n".join(str(number % 991) for number in range(200_000))
    session(scripted).ask(then)
    problem = missed(session(mode="replay"), now, WHOLE)
    assert problem[1:] == [*(f"  -{number}" for number in range(991, 997)), "  +44", "  +45"]


@pytest.mark.parametrize("way", BOTH)
def test_another_answer_before_it(scripted: ScriptedServer, way: Way) -> None:
    """Where only the parent differs, the turn before is named and what became of it."""
    scripted.script.then("Blue.", "Like the sea.", "Red.")
    held = session(scripted)
    held.ask("A colour?")
    held.ask("Like what?")
    session(scripted).ask("A colour?", fresh=True)
    replaying = session(mode="replay")
    way.ask(replaying, "A colour?")
    assert missed(replaying, "Like what?", way) == [
        "This ask is recorded, but after another turn.",
        "  The turn before it, 'A colour?', has another answer now.",
    ]


@pytest.mark.parametrize("way", BOTH)
def test_another_turn_before_it(scripted: ScriptedServer, way: Way) -> None:
    """An earlier cell was edited, moved or left out: both turns are named."""
    held = session(scripted)
    for text in ("A colour?", "A shape?"):
        held.ask(text, new=True)
    held.ask("Like what?")
    replaying = session(mode="replay")
    way.ask(replaying, "A colour?")
    changed = "an earlier cell was edited, moved or left out since."
    assert missed(replaying, "Like what?", way) == [
        "This ask is recorded, but after another turn.",
        f"  Recorded after 'A shape?', now after 'A colour?': {changed}",
    ]
    assert missed(session(mode="replay"), "Like what?", way) == [
        "This ask is recorded, but after another turn.",
        f"  Recorded after 'A shape?', now after nothing: {changed}",
    ]


@pytest.mark.parametrize("way", BOTH)
def test_recorded_but_cut_off(scripted: ScriptedServer, way: Way) -> None:
    """An answer that was stopped, or failed at that moment, is no answer."""
    scripted.script.then(failures.cut(), errors.overloaded())
    held = session(scripted)
    for _ in range(2):
        with pytest.raises(ours.ServiceError):
            held.ask("Hi", on_text=[].append)
    assert missed(session(mode="replay"), "Hi", way) == [
        "This was asked, but its answer was cut off or failed at that moment."
    ]


@pytest.mark.parametrize("way", BOTH)
def test_asked_more_often_than_recorded(scripted: ScriptedServer, way: Way) -> None:
    """It says how often it is recorded; what was cut off in between does not count."""
    held = session(scripted)
    scripted.script.then(failures.cut(), "One.", "Two.")
    with pytest.raises(ours.BadReply):
        held.ask("Hi", history=False)
    held.ask("Hi", history=False)
    replaying = session(mode="replay")
    way.ask(replaying, "Hi", history=False)
    assert missed(replaying, "Hi", way, history=False) == [
        "This ask is recorded once; this is number 2."
    ]
    held.ask("Hi", history=False)
    replaying = session(mode="replay")
    for _ in range(2):
        way.ask(replaying, "Hi", history=False)
    assert missed(replaying, "Hi", way, history=False) == [
        "This ask is recorded 2 times; this is number 3."
    ]


def test_a_miss_takes_no_slot(scripted: ScriptedServer) -> None:
    """An ask that missed is asked again as the same one, once it is there."""
    replaying = session(mode="replay")
    for _ in range(3):
        with pytest.raises(ours.ReplayMiss):
            replaying.ask("Hi")
    session(scripted).ask("Hi")
    assert replaying.ask("Hi").replayed


def test_what_another_process_records_is_seen(scripted: ScriptedServer) -> None:
    """A session that is open replays what was appended since."""
    waiting = session(scripted)
    waiting.ask("a", history=False)
    session(scripted).ask("b", history=False)
    assert waiting.ask("b", history=False, mode="replay").replayed


def test_replaying_from_many_threads(scripted: ScriptedServer) -> None:
    """Each of several identical asks gets a recorded answer of its own."""
    held = session(scripted)
    said = {held.ask("Hi", history=False).id for _ in range(8)}
    replaying = session(mode="replay")
    got: list[Reply] = []
    threads = [
        threading.Thread(target=lambda: got.append(replaying.ask("Hi", history=False)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {reply.id for reply in got} == said
    assert len(records(held)) == 8
