"""Restart & Run All: another kernel, with no server, no key and no network, shows the same bytes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.kernel.kernels import LOAD, Kernel, Output, environment, loaded, records, same_bytes
from tests.scripted import ScriptedServer, answer, error, failures
from tests.scripted.fixtures import serving

TABLE = "| x | y |\n|---|--:|\n| å | 1.5 |\n\n$5 and $6, $$\\alpha$$, <b>not bold</b>, ![x](http://x/y.png)"
CELLS = {
    "load": LOAD,
    "plain": "%%ask\nWhat is a tide?",
    "system": '%%ask -s "Be brief." -t 0\nAnd a table, please.',
    "data": "%ask --no-history -f json -o shape Its shape?",
    "use": "shape.data['sides'], _answer.usage['completion_tokens'] > 0, _answer.sentiment",
    "code": "%%ask -f code -c draft\nA function.",
    "surrogate": "%ask -f text -c draft Odd characters?",
    "fails": "1/0",
    "explain": "%ask --error",
    "refused": "%ask --no-history Say something bad.",
    "too long": "%ask -c draft " + "long " * 50,
    "empty": "%ask --no-history Say nothing.",
    "loop": """\
from openai_magics import get_session
for n in range(3):
    print(get_session().ask("Toss a coin.", history=False).text)""",
    "async": """\
import asyncio
session = get_session()
asked = [session.aask(f"Number {n}", history=False) for n in range(4)]
[reply.text for reply in await asyncio.gather(*asked)]""",
    "models": "%models 5.",
    "frame": "%dialogue",
    "again": "%%ask\nWhat did I ask first?",
    "reply": "_answer",
    "dialogue": "print(get_session().dialogue)\nget_session().dialogue",
}
ANSWERS = [
    "The **rise** and *fall* of the sea.\n\n1. high\n2. low\n",
    answer(TABLE, chunks=7, model="gpt-4o-2024-08-06"),
    '```json\n{"sides": 3}\n```',
    "Here:\n\n```python\ndef f(x):\n    return x < 1 & 2\n```\n\nDone.",
    failures.split_surrogates(),
    "It **cannot** divide by zero.",
    answer(None, refusal="I cannot help with that."),
    error(400, "context_length_exceeded", "This model's maximum context length is 9 tokens."),
    answer(""),
    *("heads", "tails", "heads"),
]
SITE = '''\
"""Forbid every connection but the kernel's own, which ZeroMQ makes without Python's sockets."""
import os, sys

def forbid(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen"):
        with open(os.environ["FORBIDDEN"], "a") as file:
            file.write(f"{event} {args[-2:]!r}\\n")
        raise OSError(f"{event} is forbidden here: {args!r}")

sys.addaudithook(forbid)
'''
ABSENT = "[name for name in ('openai', 'httpx2') if name in __import__('sys').modules]"


class Recorded(NamedTuple):
    """A folder with a dialogue file, and the outputs that the cells had when it was written."""

    folder: Path
    outputs: dict[str, list[Output]]

    def copy(self, to: Path) -> Path:
        """Copy the dialogue file, and nothing else, to a folder; return the copy."""
        to.mkdir()
        return Path(shutil.copy(self.folder / "notebook.dialogue.json", to))


def run_all(kernel: Kernel) -> dict[str, list[Output]]:
    """Run every cell, as Run All does with errors allowed; return their outputs."""
    return {name: kernel.run(code, name).outputs for name, code in CELLS.items()}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """Run the notebook live, watched; stop the server."""
    folder = tmp_path_factory.mktemp("recorded")
    with serving() as server:
        server.script.then(*ANSWERS)
        with Kernel(folder, environment(folder, server.base_url)) as kernel:
            outputs = run_all(kernel)
        assert server.script.left == 0
    failed = [
        name for name, shown in outputs.items() if shown and shown[-1]["output_type"] == "error"
    ]
    assert failed == ["fails", "refused", "too long"]
    return Recorded(folder, outputs)


@pytest.mark.parametrize("watched", [True, False], ids=["watched", "unwatched"])
@pytest.mark.parametrize("mode", ["replay", "auto"])
def test_restart_and_run_all(recorded: Recorded, tmp_path: Path, mode: str, watched: bool) -> None:
    """A new kernel gives the outputs byte for byte; it opens no connection and writes nothing."""
    dialogue = recorded.copy(tmp_path / "elsewhere")
    kept = dialogue.read_bytes()
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE, "utf-8")
    # In auto there is a key and the address of a server that is there no more.
    stopped = None if mode == "replay" else "http://127.0.0.1:9/v1"
    env = environment(tmp_path, stopped, OPENAI_MAGICS_MODE=mode)
    env["FORBIDDEN"] = str(tmp_path / "forbidden")
    env["PYTHONPATH"] = f"{tmp_path / 'site'}:{env['PYTHONPATH']}"
    with Kernel(dialogue.parent, env, watched=watched) as kernel:
        # The prohibition works; silent, for a traceback shows the execution count.
        kernel.run("import socket; socket.create_connection(('127.0.0.1', 9))", silent=True)
        assert "socket.getaddrinfo" in (tmp_path / "forbidden").read_text()
        (tmp_path / "forbidden").unlink()
        outputs = run_all(kernel)
        if mode == "replay":
            assert kernel.value(ABSENT) == []
    for name in CELLS:
        assert same_bytes(outputs[name]) == same_bytes(recorded.outputs[name]), name
    assert not (tmp_path / "forbidden").exists()
    assert dialogue.read_bytes() == kept
    assert [path.name for path in dialogue.parent.iterdir()] == [dialogue.name]


def test_text_is_the_models(recorded: Recorded) -> None:
    """``text/plain`` is what the model said; nothing in the HTML is active."""
    shown = recorded.outputs
    assert shown["system"][0]["data"]["text/plain"] == TABLE
    inner = shown["system"][0]["data"]["text/html"]
    assert "<table>" in inner
    assert "&lt;b&gt;" in inner
    assert "<img" not in inner
    assert "mathjax_ignore" in inner
    assert shown["surrogate"][0]["data"]["text/plain"] == "ab\U0001f600yz"
    assert "return x &lt; 1 &amp; 2" in shown["code"][0]["data"]["text/html"]
    assert shown["refused"][0]["evalue"].startswith("The model refused: I cannot help with that.")
    assert "empty answer" in shown["empty"][0]["data"]["text/html"]


def test_asked_or_replayed_tells_nothing(recorded: Recorded) -> None:
    """No clock, duration, key, address or random id is in what cells show."""
    asked = {
        name: shown for name, shown in recorded.outputs.items() if name not in ("frame", "models")
    }
    text = json.dumps(asked)
    for record in records(recorded.folder / "notebook.dialogue.json"):
        for secret in (
            record["created"],
            (record["reply"] or {}).get("response_id"),
            "sk-test",
            "127.0.0.1",
        ):
            assert secret is None or secret not in text


def test_missing_record(recorded: Recorded, tmp_path: Path) -> None:
    """In replay, an edited prompt fails its cell: the nearest record is named, with what differs."""
    dialogue = recorded.copy(tmp_path / "elsewhere")
    env = environment(tmp_path, "http://127.0.0.1:9/v1", OPENAI_MAGICS_MODE="replay")
    errors = []
    for n in range(2):
        with loaded(dialogue.parent, env, watched=bool(n)) as kernel:
            kernel.ok(CELLS["plain"], "plain")
            edited = kernel.run(CELLS["system"].replace("table", "list"), "system")
            assert edited.reply["ename"] == "ReplayMiss"
            assert "-And a table, please." in edited.error
            assert "+And a list, please." in edited.error
            assert "File" not in edited.error
            option = kernel.run(CELLS["system"].replace("-t 0", "-t 1"), "system")
            assert "parameters: recorded {'temperature': 0.0}" in option.error
            later = kernel.run(CELLS["again"], "again")
            assert "an earlier cell was edited, moved or left out" in later.error
            # A mode on the line does not get past the environment's replay.
            forced = kernel.run("%ask --mode live Anything", "x")
            assert forced.reply["ename"] == "ReplayMiss"
            errors.append([each.outputs for each in (edited, option, later, forced)])
    assert same_bytes(errors[0]) == same_bytes(errors[1])


def test_no_dialogue_file(tmp_path: Path) -> None:
    """In replay without a file, the error names the file that is not there, and makes none."""
    with loaded(tmp_path, environment(tmp_path, OPENAI_MAGICS_MODE="replay")) as kernel:
        ran = kernel.run("%ask Hi")
        assert ran.reply["ename"] == "ReplayMiss"
        assert "there is no notebook.dialogue.json" in ran.error
    assert not (tmp_path / "notebook.dialogue.json").exists()


def test_other_defaults(recorded: Recorded, tmp_path: Path, scripted: ScriptedServer) -> None:
    """Another default model, server, key and setting of streaming do not touch what is recorded."""
    dialogue = recorded.copy(tmp_path / "elsewhere")
    env = environment(tmp_path, scripted.base_url, OPENAI_MAGICS_STREAM="false")
    env |= {"OPENAI_MAGICS_MODEL": "gpt-5.5", "OPENAI_MAGICS_SYSTEM_INSTRUCTION": "Be long."}
    with Kernel(dialogue.parent, env) as kernel:
        outputs = run_all(kernel)
    for name in CELLS:
        assert same_bytes(outputs[name]) == same_bytes(recorded.outputs[name]), name
    assert scripted.requests == []


@pytest.mark.engine
def test_embedded_engine(tmp_path: Path) -> None:
    """What the engine on this machine answered is replayed where there is none."""
    env = environment(tmp_path)
    cells = {
        "a": "%%ask -m local --seed 1 -t 0 --max-tokens 12\nName a colour.",
        "b": "%ask And one more?",
    }
    with loaded(tmp_path, env) as kernel:
        live = [kernel.ok(code, name).outputs for name, code in cells.items()]
    assert "Answered on this machine" in live[0][0]["data"]["text/html"]
    assert "Starting" not in json.dumps(live)
    env |= {"OPENAI_MAGICS_MODE": "replay", "PATH": ""}
    with loaded(tmp_path, env, watched=False) as kernel:
        again = [kernel.ok(code, name).outputs for name, code in cells.items()]
        assert kernel.value("'xllamacpp' in __import__('sys').modules") is False
    assert same_bytes(again) == same_bytes(live)
