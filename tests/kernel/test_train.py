"""From data to a tuned model that is asked, in real kernels; and all of it again without a server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.kernels import LOAD, PATIENCE, Kernel, environment, same_bytes
from tests.scripted import ScriptedServer, training
from tests.scripted.fixtures import serving

ROWS = "rows = [(f'What is {n} + {n}?', f'It is {2 * n}.') for n in range(12)]"
CELLS = {
    "load": LOAD,
    "rows": ROWS,
    "check": "%train check rows",
    "start": "%train start rows --suffix sums --epochs 2 -d 'sums' --yes",
    "watch": "%jobs watch --every 0 -o job",
    "list": "%jobs",
    "metrics": "%jobs metrics",
    "plot": "%jobs plot",
    "checkpoints": "%jobs checkpoints",
    "events": "%jobs events",
    "ask": "%%ask -m ft:gpt-4o-mini:org-scripted:sums:000001\nWhat is 2 + 2?",
    "show": "%jobs show",
    "again": """\
%%train --yes
data: rows
n_epochs: 3
description: once more""",
}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Give a scripted server."""
    with serving() as made:
        yield made


def env(tmp_path: Path, server: ScriptedServer | None) -> dict[str, str]:
    """Return an environment whose model can be tuned."""
    there = environment(tmp_path, server.base_url if server else None)
    if server is None:
        without = tmp_path / "without"
        without.mkdir(exist_ok=True)
        (without / "quicktok.py").write_text("raise ImportError", "utf-8")
        path = os.pathsep.join((str(without), there["PYTHONPATH"]))
        return {**there, "OPENAI_MAGICS_MODE": "replay", "PYTHONPATH": path}
    return {**there, "OPENAI_MAGICS_MODEL": "gpt-4o-mini"}


def test_a_notebook_that_trains_replays(tmp_path: Path, server: ScriptedServer) -> None:
    """Check, start, watch, look, ask, start another: a kernel without a server shows the same.

    Without the extra that counts tokens, too.
    """
    folder = tmp_path / "work"
    shown = {}
    with Kernel(folder, env(tmp_path, server)) as kernel:
        for name, code in CELLS.items():
            ran = kernel.run(code, name)
            assert ran.status == "ok", (name, ran.error)
            shown[name] = ran
    checked = shown["check"].outputs[0]["data"]["text/plain"]
    assert "12" in checked
    assert "o200k_base" in checked
    watched = shown["watch"].text
    assert "succeeded: it is done" in watched
    assert "training loss" in watched
    assert "▁" in watched
    assert "<svg" in shown["watch"].outputs[0]["data"]["text/html"]
    assert "update_display_data" in shown["watch"].kinds
    story = shown["show"].text
    for cell in ("start", "ask"):
        assert cell in story
    assert set(json.loads((folder / "job_ids.json").read_text("utf-8"))) == {
        "ftjob-000001",
        "ftjob-000002",
    }
    count = len(server.requests)
    with Kernel(folder, env(tmp_path, None), watched=False) as kernel:
        for name, code in CELLS.items():
            ran = kernel.run(code, name)
            assert ran.status == "ok", (name, ran.error)
            assert same_bytes(ran.outputs) == same_bytes(shown[name].outputs), name
    assert len(server.requests) == count


def test_nobody_to_say_yes(tmp_path: Path, server: ScriptedServer) -> None:
    """A headless run without --yes is told so; a person is asked once, and no is no."""
    folder = tmp_path / "work"
    with Kernel(folder, env(tmp_path, server), watched=False) as kernel:
        kernel.run(LOAD)
        kernel.run(ROWS)
        ran = kernel.run("%train start rows")
        assert "nobody is here to say yes" in ran.error
        assert "--yes" in ran.error
    assert server.training.jobs == {}
    assert not [each for each in server.requests if each.method == "POST"]


def asked(kernel: Kernel, code: str) -> tuple[str, str]:
    """Send a cell that asks; return the message's id and what it asks, once it waits."""
    sent = kernel.send(code, "start")
    message = kernel.client.get_stdin_msg(timeout=PATIENCE)
    return sent, str(message["content"]["prompt"])


def test_a_person_is_asked(tmp_path: Path, server: ScriptedServer) -> None:
    """No, nothing, or the stop button starts nothing and says so; yes starts one job, once.

    The question tells what would be trained, where, and the tokens; it is no part of the output.
    """
    start = "%train start rows --suffix sums"
    with Kernel(tmp_path / "work", env(tmp_path, server)) as kernel:
        kernel.ok(LOAD)
        kernel.ok(ROWS)
        for answer in ("n", "", "maybe"):
            sent, question = asked(kernel, start)
            assert "examples: 12 (24 messages)" in question
            assert "Train gpt-4o-mini at 127.0.0.1" in question
            kernel.client.input(answer)
            ran = kernel.finish(sent)
            assert ran.status == "error"
            assert "Not started: the answer was no." in ran.error
        sent, _ = asked(kernel, start)
        kernel.interrupt()
        ran = kernel.finish(sent)
        assert ran.status == "error"
        assert len(ran.error.splitlines()) == 1
        assert server.training.jobs == {}
        assert not [each for each in server.requests if each.method == "POST"]
        sent, _ = asked(kernel, start)
        kernel.client.input("Yes")
        ran = kernel.finish(sent)
        assert ran.status == "ok", ran.error
        assert list(server.training.jobs) == ["ftjob-000001"]
        assert "ftjob-000001" in ran.outputs[-1]["data"]["text/plain"]
        again = kernel.ok(start, "start")
        assert "Train gpt" not in str(again.outputs)
        assert len(server.training.jobs) == 1


def test_what_fails_is_said(tmp_path: Path, server: ScriptedServer) -> None:
    """A closed platform, a failed job, an unknown job: a line that says what to do, and a failed cell."""
    folder = tmp_path / "work"
    with Kernel(folder, env(tmp_path, server)) as kernel:
        kernel.run(LOAD)
        kernel.run(ROWS)
        server.training.outcome = "failed"
        kernel.run("%train start rows --yes")
        ran = kernel.run("%jobs watch --every 0")
        assert ran.status == "error"
        assert "JobFailed: The job ftjob-000001 failed: " in ran.error
        assert "--fresh" in ran.error
        assert "failed: it failed" in ran.outputs[0]["data"]["text/plain"]
        ran = kernel.run("%jobs show ftjob-000002")
        assert "did you mean 'ftjob-000001'" in ran.error
        server.training.refuse = training.closed()
        ran = kernel.run("%train start rows --yes --fresh")
        assert "2027-01-06" in ran.error
        assert len(ran.error.splitlines()) <= 3
        kernel.run("table = [{'ask': 'a', 'say': 'b'}]")
        ran = kernel.run("%train check table --prompt nope")
        assert "has no column 'nope'" in ran.error


def test_cells_are_named_headless(tmp_path: Path, server: ScriptedServer) -> None:
    """A client that tells no ids of cells: they are known by their source, in a replay as well."""
    folder = tmp_path / "work"
    folder.mkdir()
    ask = "%%ask -m ft:gpt-4o-mini:org-scripted:sums:000001\nWhat is 2 + 2?"
    start = "%train start rows --suffix sums --yes"
    sources = [LOAD, ROWS, start, "%jobs watch --every 0", ask, ask, "%%ask\nHello"]
    sources += ["%train check --from-dialogue --cell c6 -o found\nprint(len(found))", "%jobs show"]
    held = [
        {"cell_type": "code", "id": f"c{n}", "source": text.splitlines(keepends=True)}
        for n, text in enumerate(sources)
    ]
    (folder / "tides.ipynb").write_text(json.dumps({"cells": held, "metadata": {}}), "utf-8")
    for there in (env(tmp_path, server), env(tmp_path, None)):
        with Kernel(folder, there, watched=False) as kernel:
            *_, show = [kernel.ok(text) for text in sources]
        rows = dict(line.split("  ", 1) for line in show.text.splitlines())
        told = {name: rows[name].strip() for name in rows if name.endswith(("cell", "cells"))}
        assert told == {
            "data made in cells": "c1",
            "started in cell": "c2",
            "asked in cells": "c4, c5",
        }
    assert json.loads((folder / "job_ids.json").read_text("utf-8"))["ftjob-000001"]["cell"] == "c2"
