"""`%jobs export`: what can be exported, what its folder is called, and when it is exported again."""

from __future__ import annotations

from pathlib import Path

import pytest

from openai_magics import errors as ours
from openai_magics.exchange import Reply
from openai_magics.local.train.card import card
from openai_magics.training.exporting import Exporting, folder_for
from tests.scripted import ScriptedServer
from tests.server.ways import session

ROWS = [(f"What is {n} + {n}?", f"It is {2 * n}.") for n in range(12)]
TUNED = "ft:SmolLM2-135M-Instruct:this-machine:sailor:0a1b2c3d"


def test_what_cannot_be_exported(scripted: ScriptedServer) -> None:
    """A job without a model, and a model of a service, say why and what to do."""
    held = session(scripted, model="gpt-4o-mini")
    held.train(ROWS)
    scripted.training.pace = "hand"
    with pytest.raises(ours.OptionError, match="has no model to export"):
        held.training.export()
    scripted.training.pace = "poll"
    held.training.watch(every=0)
    with pytest.raises(ours.OptionError, match="gives no weights away"):
        held.training.export()
    with pytest.raises(ours.OptionError, match="gives no weights away"):
        held.training.export("ft:gpt-4o-mini:org::1")
    with pytest.raises(ours.ModelNotFound, match=r"no model .*sailor"):
        held.training.export(TUNED)
    assert not list(Path().glob("sailor*"))


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        (TUNED, "sailor-0a1b2c3d"),
        ("ft:SmolLM2-135M-Instruct:this-machine::0a1b2c3d", "SmolLM2-135M-Instruct-0a1b2c3d"),
        (f"{TUNED}:ckpt-step-5", "sailor-0a1b2c3d-ckpt-step-5"),
    ],
)
def test_what_a_folder_is_called(model: str, folder: str) -> None:
    """The suffix, or the base model where there is none, and the number."""
    assert folder_for(model) == folder


def test_a_record_of_an_export_stands(tmp_path: Path) -> None:
    """Where the folder is, or the model is not on this machine, nothing is written anew."""
    reply = Reply(payload={"model": TUNED, "folder": str(tmp_path), "files": {}})
    assert Exporting(TUNED, str(tmp_path), {}).stands(reply)
    gone = Reply(payload={"model": TUNED, "folder": str(tmp_path / "gone"), "files": {}})
    assert Exporting(TUNED, str(tmp_path / "gone"), {}).stands(gone)


def test_the_card_tells_of_the_notebook() -> None:
    """Its data and cells stand in the card where the export was made in one."""
    lineage = {
        "model": TUNED,
        "base": {"name": "b", "file": "b.gguf", "sha256": "0", "license": None},
        "job": "ftjob-1",
        "method": "supervised",
        "hyperparameters": {},
        "seed": 1,
        "data": {},
        "trained_tokens": 1,
        "checkpoints": [],
        "created": "then",
        "finished": "now",
        "notebook": {"data": "d.jsonl", "started in cells": ["a", "b"]},
    }
    assert "| in the notebook: started in cells | a, b |" in card(lineage)
    del lineage["notebook"]
    assert "in the notebook" not in card(lineage)
