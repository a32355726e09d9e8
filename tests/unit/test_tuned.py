"""Tuned models and jobs as values: names, choices, results; nothing is started."""

from __future__ import annotations

import errno
import json

import pytest

from openai_magics import local
from openai_magics.config import Settings
from openai_magics.connection import choose
from openai_magics.errors import ModelNotFound
from openai_magics.keys import Secret
from openai_magics.local.jobs import outcome, store
from openai_magics.local.jobs.files import Files
from openai_magics.local.jobs.job import Job, WrongState, model_name
from openai_magics.local.train.card import card

NUMBER = "ftjob-" + "0123456789abcdef" * 2
TUNED = model_name(local.MODEL, "sailor", NUMBER)
SHOWN = {"status": "validating_files", "training_file": "file-1", "id": NUMBER}


def job(tmp_path):
    made = Job(tmp_path / NUMBER)
    made.create(dict(SHOWN), {"suffix": "", "base": {"name": local.MODEL}})
    return made


def test_a_tuned_model_is_known_by_its_name():
    """The name is shaped as OpenAI's, with this machine where the organisation stands."""
    assert f"ft:{local.MODEL}:this-machine:sailor:89abcdef" == TUNED
    assert local.is_tuned(TUNED)
    assert local.is_tuned(f"{TUNED}:ckpt-step-12")
    assert not any(map(local.is_tuned, (None, local.MODEL, "ft:gpt-4o-mini:org::abc")))


def test_a_tuned_model_is_asked_here():
    """By its name alone, also where a key is set; a server that is named has precedence."""
    key = Secret("sk-test-0123456789", "a test")
    target = choose(Settings(), TUNED, given=key)
    assert (target.local, target.model) == (True, TUNED)
    assert choose(Settings(), TUNED, "http://elsewhere:1/v1", given=key).endpoint == "elsewhere:1"
    assert choose(Settings(), "ft:gpt-4o-mini:org::abc", given=key).endpoint == "api.openai.com"


def test_a_tuned_model_has_no_default_system_prompt():
    """It is asked as it was trained; the engine's own model needs a prompt to be any good."""
    assert local.system_prompt(TUNED) is None
    assert local.system_prompt(local.MODEL) == local.DEFAULT_SYSTEM_PROMPT


@pytest.mark.parametrize(
    ("examples", "epochs", "batch"), [(10, 10, 4), (50, 3, 4), (1000, 1, 4), (100_000, 1, 16)]
)
def test_auto(examples, epochs, batch):
    """``auto`` becomes numbers by how many examples there are; what was chosen stays."""
    chosen = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": 2}
    outcome.told(chosen, examples)
    assert chosen == {"n_epochs": epochs, "batch_size": batch, "learning_rate_multiplier": 2}


def test_results_have_a_row_a_step():
    """What was not measured at a step is empty."""
    rows = [{"step": 1, "train_loss": 2.0, "train_mean_token_accuracy": 0.5}]
    header, row = outcome.result_csv(rows).decode().splitlines()
    assert header.split(",")[0] == "step"
    assert row == "1,2.0,0.5,,"


def test_a_full_disk_is_told_from_others(tmp_path):
    """No room has a code and a remedy of its own."""
    assert outcome.disk_full(OSError(errno.ENOSPC, "x"), tmp_path)[0] == "disk_full"
    assert outcome.disk_full(OSError(errno.EACCES, "x"), tmp_path)[0] == "disk_error"


def test_a_job_changes_only_from_the_states_that_are_named(tmp_path):
    """And stays as it was where it is in another one, or the change fails."""
    made = job(tmp_path)
    with pytest.raises(WrongState, match="validating_files"), made.changing("queued"):
        pass

    def fail():
        with made.changing("validating_files") as value:
            value["shown"]["status"] = "queued"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert made.status == "validating_files"


def test_a_line_cut_off_by_a_crash_costs_no_event(tmp_path):
    """Events before and after it are read."""
    made = job(tmp_path)
    with (made.folder / "events.jsonl").open("ab") as file:
        file.write(b'{"object": "fine_tun')
    made.event("after")
    assert [each["message"] for each in made.events()][-1] == "after"
    assert len(made.events()) == 3


@pytest.mark.parametrize("number", ["file-..", "file-../../x", "", "file-" + "g" * 24])
def test_an_id_leads_nowhere_else(tmp_path, number):
    """What is no id is not looked for on the disk."""
    kept = store.Store(tmp_path)
    kept.make()
    assert Files(kept).get(number) is None


def test_writing_is_whole_or_not_at_all(tmp_path):
    """A value that cannot be written leaves what stood there, and no litter."""
    path = tmp_path / "a.json"
    store.write(path, {"a": 1})
    with pytest.raises(TypeError):
        store.write(path, {"a": object()})
    assert store.read(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_model_is_not_exported(tmp_path):
    """The error names the models that there are."""
    with pytest.raises(ModelNotFound, match="There are: none"):
        local.export(TUNED, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_card_tells_the_lineage():
    """Base model with hash and licence, data, hyperparameters and losses."""
    lineage = {
        "model": TUNED,
        "base": {"name": "M", "file": "m.gguf", "sha256": "ab", "license": "apache-2.0"},
        "job": NUMBER,
        "method": "supervised",
        "hyperparameters": {"n_epochs": 3},
        "seed": 7,
        "data": {"training_file": {"filename": "d.jsonl", "sha256": "cd"}},
        "trained_tokens": 10,
        "checkpoints": [{"step": 4, "train_loss": 0.5}],
        "created": "2026-11-24",
        "finished": "2026-11-24",
    }
    said = card(json.loads(json.dumps(lineage)))
    for each in ("license: apache-2.0", "`ab`", "`cd`", "| n_epochs | 3 |", "| 4 | 0.5 |  |  |"):
        assert each in said
