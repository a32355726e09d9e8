"""The dialogue of a notebook as its training data, through `%train`, in real kernels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.kernel.kernels import LOAD, Kernel, environment, same_bytes
from tests.scripted import ScriptedServer
from tests.scripted.fixtures import serving

TUNED = "ft:gpt-4o-mini:org-scripted::000001"
CELLS = {
    "load": LOAD,
    "good": "%%ask\nIs the tide in?",
    "bad": "%%ask\nAre you sure?",
    "other": "%%ask -c draft\nWrite a line.",
    "check": "%train check --from-dialogue --force",
    "start": "%train start --from-dialogue --yes",
    "one": "%train start --from-dialogue --conversation draft --yes",
    "cell": "%train start --from-dialogue --cell bad --yes",
    "kind": "%train start --from-dialogue --sentiment positive --yes",
    # What is asked after it was started is not what it was trained on.
    "later": f"%%ask -m {TUNED}\nAnd now?",
}


def learned(server: ScriptedServer, job: str) -> list[list[tuple[str, Any]]]:
    """Return what was uploaded for a job: each example's contents, with the weights."""
    upload = server.training.jobs[job].shown["training_file"]
    content = server.files.contents[upload]
    return [
        [(message["content"], message.get("weight")) for message in json.loads(line)["messages"]]
        for line in content.splitlines()
    ]


def test_the_dialogue_is_trained_on(tmp_path: Path) -> None:
    """All of it, a conversation, a cell or a sentiment; what was not chosen is context.

    Run again, with what was asked further down in the file, it is the same data and the same
    job: live and in a replay.
    """
    with serving() as server:
        server.script.then(
            "Yes, wonderful, I love it!",
            "No, that is terrible and I hate it.",
            "A great line, and a happy one!",
        )
        here = {**environment(tmp_path, server.base_url), "OPENAI_MAGICS_MODEL": "gpt-4o-mini"}
        folder = tmp_path / "work"
        with Kernel(folder, here) as kernel:
            shown = {name: kernel.ok(code, name) for name, code in CELLS.items()}
        names = list(server.training.jobs)
        assert len(names) == 4
        whole, draft, cell, kind = (learned(server, name) for name in names)
        good = [("Is the tide in?", None), ("Yes, wonderful, I love it!", None)]
        bad = [("Are you sure?", None), ("No, that is terrible and I hate it.", None)]
        line = [("Write a line.", None), ("A great line, and a happy one!", None)]
        assert whole == [[*good, *bad], line]
        assert draft == [line]
        assert cell == [[good[0], (good[1][0], 0), *bad]]
        assert kind == [good, line]
        assert "made in cells  good, bad" in " ".join(_story(folder, names[0]))
        for mode in ("auto", "replay"):
            with Kernel(folder, {**here, "OPENAI_MAGICS_MODE": mode}, watched=False) as kernel:
                for name, code in CELLS.items():
                    again = kernel.ok(code, name)
                    assert same_bytes(again.outputs) == same_bytes(shown[name].outputs), name
        assert list(server.training.jobs) == names
        with Kernel(folder, here, watched=False) as kernel:
            kernel.ok(LOAD)
            ran = kernel.run("%train check --from-dialogue", "c")
            assert "no whole answer to train on" in ran.error
            assert "--all" in ran.error
            every = kernel.ok("%train check --from-dialogue --all --force", "d")
            assert "whole dialogue" in str(every.outputs)


def _story(folder: Path, job: str) -> list[str]:
    """Return what a job was made in, as the record has it."""
    records = json.loads((folder / "notebook.dialogue.json").read_text("utf-8"))["exchanges"]
    made = next(
        each["reply"]["payload"]["openai_magics"]["made_in"]
        for each in records
        if each["kind"] == "train" and each["reply"]["payload"]["id"] == job
    )
    return ["made in cells ", ", ".join(made)]
