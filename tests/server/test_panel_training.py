"""The training panel against a server: data, problems, price, a job from start to end, its model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openai_magics.panels import training_acts
from openai_magics.panels.training import TrainingPanel
from openai_magics.session import Session
from tests.scripted import ScriptedServer
from tests.scripted.training import closed
from tests.unit.hostile import read

PATIENCE = 60


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at a watched job often."""
    monkeypatch.setattr(training_acts, "EVERY", 0.01)


def settled(panel: TrainingPanel) -> TrainingPanel:
    """Wait until nothing goes on."""
    while jobs := panel.jobs:
        assert jobs[0].wait(PATIENCE)
    return panel


def example(number: int) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": f"What comes after {number}?"},
            {"role": "assistant", "content": f"{number + 1} does."},
        ]
    }


GOOD = [example(number) for number in range(12)]


@pytest.fixture
def panel(scripted: ScriptedServer) -> TrainingPanel:
    """The panel of a session that tunes gpt-4.1-mini, with variables to choose from."""
    import pandas as pd

    made = TrainingPanel(Session("gpt-4.1-mini", base_url=scripted.base_url))
    table = pd.DataFrame({"q": [f"Is {n} odd?" for n in range(12)], "a": ["yes", "no"] * 6})
    made.names = {"good": GOOD, "table": table, "number": 3, "path": "x.jsonl", "_hidden": GOOD}
    _ = made.widget
    return settled(made)


def test_variables_that_may_be_data_are_offered(panel: TrainingPanel) -> None:
    """DataFrames, lists of examples and paths; nothing else."""
    assert list(panel._variable.options) == ["good", "table", "path"]


def test_a_job_from_the_data_to_its_model(panel: TrainingPanel, scripted: ScriptedServer) -> None:
    """Check, see the price, confirm, follow it to its end, ask its model."""
    panel._variable.value = "good"
    panel._take_chosen()
    assert panel._ask.disabled
    panel._suffix.value = "counting"
    panel._epochs.value = "2"
    panel._description.value = "counts on"
    panel._check.click()
    assert "12 (24 messages)" in settled(panel)._summary.value
    panel._ask.click()
    assert panel._confirm.layout.display == ""
    for told in ("gpt-4.1-mini", "127.0.0.1", "12 (24", "2: ", "price"):
        assert told in panel._question.value
    assert scripted.training.jobs == {}
    panel.start()
    settled(panel)
    job = panel.chosen
    assert panel.states[job].job["status"] == "succeeded"
    assert "<svg" in panel._curve.value
    assert [row["cells"][1] for row in panel._jobs.rows] == ["succeeded"]
    assert panel._jobs.rows[0]["cells"][2] == "counts on"
    assert any("successfully completed" in row["cells"][2] for row in panel._events.rows)
    sent = next(iter(scripted.training.jobs.values())).shown
    assert sent["hyperparameters"]["n_epochs"] == 2
    assert panel._cancel.disabled
    panel._ask_model.click()
    assert panel.session.model == panel.tuned()
    assert "counting" in str(panel.session.model)
    assert json.loads(Path("job_ids.json").read_text())


def test_another_number_of_epochs_is_another_price(panel: TrainingPanel) -> None:
    """What was checked before is not what would be sent."""
    panel.take_variable("good")
    panel.check_data()
    assert not settled(panel)._ask.disabled
    panel._epochs.value = "3"
    assert panel._ask.disabled
    assert panel._summary.value == ""


def test_not_now_sends_nothing(panel: TrainingPanel, scripted: ScriptedServer) -> None:
    """The question is taken back."""
    panel.take_variable("good")
    panel.check_data()
    settled(panel).ask_to_start()
    panel.not_now()
    assert panel._confirm.layout.display == "none"
    assert scripted.training.jobs == {}


def test_problems_are_listed_and_stop_it(panel: TrainingPanel) -> None:
    """With their line and remedy; data with errors cannot be sent."""
    Path("bad.jsonl").write_text('{"messages": []}\nnot json\n')
    panel._path.value = "bad.jsonl"
    panel.take_path(panel._path.value)
    panel.check_data()
    rows = settled(panel)._problems.rows
    assert "wrong" in {row["state"] for row in rows}
    assert "2" in {row["cells"][0] for row in rows}
    assert panel._ask.disabled
    assert "mend them" in panel._note.value


def test_columns_are_asked_for_where_it_is_a_table(panel: TrainingPanel) -> None:
    """And only there."""
    panel.take_variable("good")
    assert panel._columns_bar.layout.display == "none"
    panel.take_variable("table")
    assert panel._columns_bar.layout.display == ""
    panel._fields["prompt"].value = "q"
    panel._fields["completion"].value = "a"
    panel.check_data()
    assert "12 (24 messages)" in settled(panel)._summary.value


def test_a_dropped_file_is_kept_beside_the_notebook(panel: TrainingPanel) -> None:
    """Under its name; no file there is written over."""
    content = "".join(json.dumps(item) + "\n" for item in GOOD).encode()
    panel.take_file("more.jsonl", content)
    assert Path("more.jsonl").read_bytes() == content
    panel.take_file("more.jsonl", content)
    assert panel.data == str(Path("more.jsonl").resolve()) or panel.data == "more.jsonl"
    panel.take_file("more.jsonl", content + content)
    assert Path("more.jsonl").read_bytes() == content
    assert len(list(Path().glob("more-*.jsonl"))) == 1
    panel.safely(lambda: panel.take_file("../evil.exe", b"MZ"))
    assert "no training data" in panel._note.value
    assert not Path("../evil.exe").exists()


def test_the_dialogue_itself_is_taken(panel: TrainingPanel, scripted: ScriptedServer) -> None:
    """All of it or one conversation; the job is the one that the magic would start."""
    for number in range(12):
        panel.session.ask(f"What comes after {number}?", conversation=f"c{number % 2}", new=True)
    assert panel.look().wait(PATIENCE)
    offered = [value for _, value in panel._conversation.options]
    assert {"c0", "c1"} <= set(offered)
    panel._conversation.value = "c1"
    panel._take_said()
    assert settled(panel).called == "this dialogue (c1)"
    panel._conversation.value = "any"
    panel._take_said()
    settled(panel).check_data()
    assert settled(panel).called == "this dialogue"
    assert panel.check is not None
    assert dict(panel.check.summary)["data"].startswith("whole dialogue ")
    panel.safely(lambda: panel.take_dialogue("no such"))
    assert "no such" in settled(panel)._note.value
    assert panel.called == "this dialogue", "what was taken before is still there"


def test_data_is_held_out(panel: TrainingPanel, scripted: ScriptedServer) -> None:
    """By a variable, or a part of the data; both is said, and what is no part."""
    panel.names = {**(panel.names or {}), "held": [example(n) for n in range(100, 103)]}
    panel.take_variable("good")
    panel._validation.value = "held"
    panel.check_data()
    settled(panel).start()
    sent = next(iter(settled(panel).session.list_jobs(fresh=True)["id"]))
    assert scripted.training.jobs[sent].shown["validation_file"]
    panel._split.value = "0.2"
    panel.safely(panel.check_data)
    assert "a split as well" in panel._note.value
    panel._validation.value = ""
    panel.check_data()
    assert settled(panel).check is not None
    panel._split.value = "most"
    assert "cannot be held out" in panel._note.value


def test_following_can_be_stopped(panel: TrainingPanel, scripted: ScriptedServer) -> None:
    """The job goes on, and can be cancelled."""
    scripted.training.pace = "hand"
    job = panel.session.train(GOOD)
    panel.list_jobs()
    settled(panel)
    watching = panel.watch(job)
    assert not panel._unwatch.disabled
    panel._stop_following()
    assert watching.wait(PATIENCE)
    assert scripted.training.jobs[job].shown["status"] == "validating_files"
    panel.act("cancel")
    settled(panel)
    assert scripted.training.jobs[job].shown["status"] == "cancelled"
    assert settled(panel)._jobs.rows[0]["cells"][1] == "cancelled"


def test_a_closed_platform_is_explained(panel: TrainingPanel, scripted: ScriptedServer) -> None:
    """The error stands in the panel, with what to do."""
    scripted.training.refuse = closed()
    panel.take_variable("good")
    panel.check_data()
    settled(panel).ask_to_start()
    panel.start()
    assert settled(panel)._note.how
    assert "trains on this machine" in panel._note.value


def test_what_cannot_be_done_is_said(panel: TrainingPanel) -> None:
    """Without data, without a job, with epochs that are none."""
    for act, said in (
        (panel.check_data, "no data"),
        (panel.ask_to_start, "no data"),
        (lambda: panel.take_path(" "), "No file"),
        (lambda: panel.act("cancel"), "No job"),
        (panel.ask_this_model, "no model"),
    ):
        panel.safely(act)
        assert said in panel._note.value
    panel._epochs.value = "many"
    assert "epochs are not possible" in panel._note.value


def test_after_a_restart(panel: TrainingPanel, scripted: ScriptedServer) -> None:
    """The jobs that the file knows are told with their curve, from the dialogue file alone."""
    panel.take_variable("good")
    panel.check_data()
    settled(panel).start()
    settled(panel)
    path = panel.session.dialogue.path
    Path("job_ids.json").unlink()
    scripted.requests.clear()
    data, _ = TrainingPanel(Session(mode="replay", dialogue_log_path=path)).bundle()
    told = data["text/plain"].splitlines()
    assert told[1] == "data: none is taken"
    assert [panel.chosen, "succeeded"] == told[3].split()[:2]
    assert str(panel.tuned()) in told[3]
    assert "<svg" in data["text/html"]
    assert scripted.requests == []


def test_without_a_front_end(panel: TrainingPanel) -> None:
    """Text and static HTML say what is taken, what was found, and the jobs."""
    panel.session.train(GOOD, description="<script>alert(1)</script>")
    panel.take_variable("good")
    panel.check_data()
    settled(panel).list_jobs()
    data, _ = settled(panel).bundle()
    assert "examples: 12" in data["text/plain"]
    assert "ftjob" in data["text/html"]
    assert [p for p in read(data["text/html"]).problems if "right" not in p] == []


def test_what_earlier_runs_said_is_taken(scripted: ScriptedServer, tmp_path: Path) -> None:
    """The dialogue that a panel takes is the file's: of another run, too."""
    path = tmp_path / "d.dialogue.json"
    Session("gpt-4.1-mini", base_url=scripted.base_url, dialogue_log_path=path).ask("Is it in?")
    made = TrainingPanel(
        Session("gpt-4.1-mini", base_url=scripted.base_url, dialogue_log_path=path)
    )
    _ = made.widget
    settled(made).take_dialogue()
    settled(made).check_data()
    assert settled(made).check is not None
    assert made.check.training.examples == 1
