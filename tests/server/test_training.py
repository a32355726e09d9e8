"""`Session.train` and the jobs of a session against a real server."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from openai_magics import Session
from openai_magics import errors as ours
from openai_magics.calls import Listener
from openai_magics.exchange import Reply
from openai_magics.exchange import Request as Exchanged
from openai_magics.training import shown
from openai_magics.training.follow import State, WatchingStopped
from openai_magics.training.job import JobOptions
from openai_magics.training.material import material
from openai_magics.training.sources import source_of
from openai_magics.training.submit import MARK, Submitting
from tests.scripted import Request, ScriptedServer, error, failures, training
from tests.server.ways import records, session

ROWS = [(f"What is {n} + {n}?", f"It is {2 * n}.") for n in range(12)]


def tuning(server: ScriptedServer | None, **arguments: Any) -> Session:
    """Return a session whose surroundings say a model that can be tuned."""
    held = session(server, **arguments)
    held.settings.profile["model"] = "gpt-4o-mini"
    return held


def sent(server: ScriptedServer, method: str, route: str) -> list[Request]:
    """Return the requests that went to a route."""
    return [each for each in server.requests if (each.method, each.route) == (method, route)]


def jobs_of(server: ScriptedServer) -> list[str]:
    """Return the ids of the jobs that a server has."""
    return list(server.training.jobs)


def test_a_job_from_rows(scripted: ScriptedServer) -> None:
    """The data is uploaded as chat lines, the job is submitted, recorded, and kept with all it was made of."""
    held = tuning(scripted)
    name = held.train(
        ROWS, suffix="sums", seed=3, hyperparameters={"n_epochs": 2}, description="sums to 22"
    )
    assert [name] == jobs_of(scripted) == [held.current_job_id]
    (upload,) = sent(scripted, "POST", "/files")
    lines = [json.loads(line) for line in upload.json["file"].content.splitlines()]
    assert lines[3] == {
        "messages": [
            {"role": "user", "content": "What is 3 + 3?"},
            {"role": "assistant", "content": "It is 6."},
        ]
    }
    (submitted,) = sent(scripted, "POST", "/fine_tuning/jobs")
    body = submitted.json
    assert (body["model"], body["suffix"], body["seed"]) == ("gpt-4o-mini", "sums", 3)
    assert body["method"] == {
        "type": "supervised",
        "supervised": {"hyperparameters": {"n_epochs": 2}},
    }
    kept = json.loads(Path("job_ids.json").read_text("utf-8"))[name]
    assert kept["description"] == "sums to 22"
    assert kept["training_file"] == body["training_file"]
    assert (kept["model"], kept["hyperparameters"]) == ("gpt-4o-mini", {"n_epochs": 2})
    train = next(item for item in records(held) if item.request.kind == "train")
    assert train.request.parameters["training"]["sha256"] == kept["sha256"]
    assert train.request.fingerprint == body["metadata"][MARK]
    assert train.request.model is None, "the model is the surroundings', not the notebook's"


def test_a_replay_needs_no_server(scripted: ScriptedServer) -> None:
    """The same cell in replay gives the same job, uploads nothing and asks nobody."""
    first = tuning(scripted)
    name = first.train(ROWS)
    count = len(scripted.requests)
    again = Session(mode="replay")
    assert again.train(ROWS) == name == again.current_job_id
    assert tuning(scripted).train(ROWS) == name
    assert len(scripted.requests) == count
    with pytest.raises(ours.ReplayMiss):
        Session(mode="replay").train(ROWS[:-1])


def test_what_is_uploaded_is_not_uploaded_again(scripted: ScriptedServer) -> None:
    """A file is known at the service by its SHA-256, whoever uploaded it."""
    tuning(scripted).train(ROWS)
    tuning(scripted).train(ROWS, hyperparameters={"n_epochs": 5})
    assert len(sent(scripted, "POST", "/files")) == 1
    assert len(jobs_of(scripted)) == 2
    tuning(scripted, dialogue_log_path="other.dialogue.json").train(ROWS[:-1])
    assert len(sent(scripted, "POST", "/files")) == 2


def test_fresh_starts_another_job(scripted: ScriptedServer) -> None:
    """Asked anew, the same cell is another job: it is not taken for one whose answer was lost."""
    held = tuning(scripted)
    names = [held.train(ROWS), held.train(ROWS, fresh=True)]
    assert jobs_of(scripted) == names
    assert len(set(names)) == 2


class Losing:
    """Drops the connection after a job was created, as often as it is told."""

    def __init__(self, server: ScriptedServer, times: int) -> None:
        self._create, self.times = server.training._create, times
        server.route("POST", "/fine_tuning/jobs", self)

    def __call__(self, request: Request) -> Any:
        answer = self._create(request)
        self.times -= 1
        return failures.hang_up() if self.times >= 0 else answer


def test_a_lost_answer_does_not_submit_twice(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is found at the service by its request's fingerprint, and is taken for the answer."""
    monkeypatch.setattr("openai_magics.training.submit.Submitting.pause", 0.0)
    Losing(scripted, 1)
    held = tuning(scripted)
    name = held.train(ROWS)
    assert jobs_of(scripted) == [name]
    assert len(sent(scripted, "POST", "/fine_tuning/jobs")) == 1


def test_a_kernel_that_died_after_submitting_does_not_submit_twice(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was recorded of the first try; the second one finds its job and its file."""
    held = tuning(scripted)
    appended = held._dialogue_file().append

    def dying(exchange: Any) -> Any:
        if exchange.request.kind == "train":
            raise SystemExit
        return appended(exchange)

    monkeypatch.setattr(held._dialogue_file(), "append", dying)
    with pytest.raises(SystemExit):
        held.train(ROWS)
    (name,) = jobs_of(scripted)
    assert tuning(scripted).train(ROWS) == name
    assert jobs_of(scripted) == [name]
    assert len(sent(scripted, "POST", "/files")) == 1


class Stopped:
    """A sender at which the person presses stop, as the job is submitted."""

    def send(self, request: Exchanged, _: Listener = Listener()) -> Reply:
        if request.kind == "train":
            raise KeyboardInterrupt
        return Reply(payload={"data": [], "id": "file-1"})

    async def asend(self, request: Exchanged, listener: Listener = Listener()) -> Reply:
        return self.send(request, listener)


def test_a_start_that_was_stopped() -> None:
    """It is said that the cell can run again, and that nothing is sent twice."""
    with ExitStack() as stack:
        data = material(source_of(ROWS), stack)
        stopped = Stopped()
        through = Submitting(stopped, stopped.send, data, None, set, dict)
        with pytest.raises(ours.Interrupted, match="run the cell again") as caught:
            through.send(Exchanged(kind="train", parameters={"method": "supervised"}))
    assert "not sent twice" in caught.value._render_traceback_()[0]


def test_a_closed_platform(scripted: ScriptedServer) -> None:
    """403 says since when, and where one can train instead; nothing is kept as a job."""
    scripted.training.refuse = training.closed()
    with pytest.raises(ours.AccessRefused) as caught:
        tuning(scripted).train(ROWS)
    assert "takes no fine-tuning job" in caught.value.problem
    assert "2027-01-06" in caught.value.remedy
    assert "%openai use local" in caught.value.remedy
    assert not Path("job_ids.json").exists()


def test_a_model_that_cannot_be_tuned(scripted: ScriptedServer) -> None:
    """It is said with some that can."""
    with pytest.raises(ours.RequestRefused, match="cannot be fine-tuned") as caught:
        tuning(scripted).train(ROWS, model="gpt-5.5")
    assert "gpt-4.1-mini" in caught.value.remedy


def test_data_with_errors_is_not_sent(scripted: ScriptedServer) -> None:
    """The first of them are said; with force it is sent as it is."""
    rows = [*ROWS, ("What?", "")]
    with pytest.raises(ours.OptionError, match="not fit for training") as caught:
        tuning(scripted).train(rows)
    assert "line 13: A message of the assistant is empty." in caught.value.problem
    assert scripted.requests == []
    assert tuning(scripted).train(rows, force=True) in jobs_of(scripted)


def test_validation_equal_to_training(scripted: ScriptedServer) -> None:
    """It is an error, whether the file is the same or only its examples are."""
    with pytest.raises(ours.OptionError, match="validation"):
        tuning(scripted).train(ROWS, validation=list(ROWS))
    with pytest.raises(ours.OptionError, match="is the training data"):
        tuning(scripted).train(ROWS, validation=list(ROWS), force=True)
    assert scripted.requests == []


def test_a_split(scripted: ScriptedServer) -> None:
    """Training and validation data share nothing, and are the same each time."""
    rows = [(f"q{n}", f"a{n}") for n in range(100)]
    tuning(scripted).train(rows, split=0.2)
    uploads = [each.json["file"].content.splitlines() for each in sent(scripted, "POST", "/files")]
    assert sorted(map(len, uploads)) == [22, 78] or sum(map(len, uploads)) == 100
    assert not set(uploads[0]) & set(uploads[1])
    assert scripted.training.jobs[jobs_of(scripted)[0]].shown["validation_file"]
    assert Session(mode="replay").train(rows, split=0.2) == jobs_of(scripted)[0]


def test_a_damaged_file_of_jobs_is_never_written_over(scripted: ScriptedServer) -> None:
    """Nothing is submitted that could not be kept."""
    Path("job_ids.json").write_text('{"ftjob-1": ')
    with pytest.raises(ours.JobsFileError, match="damaged"):
        tuning(scripted).train(ROWS)
    assert Path("job_ids.json").read_text() == '{"ftjob-1": '
    assert jobs_of(scripted) == []


# --- looking at jobs


def test_watch(scripted: ScriptedServer) -> None:
    """The job is looked at until it ends; the end is one record, with events in order and once."""
    held = tuning(scripted)
    name = held.train(ROWS)
    seen: list[str] = []
    state = held.training.watch(on_state=lambda state: seen.append(state.job["status"]), every=0.0)
    assert seen == ["queued", "running", "running", "running", "running", "succeeded"]
    assert state.job["fine_tuned_model"].startswith("ft:gpt-4o-mini:")
    messages = [event["message"] for event in state.events]
    assert messages[0] == f"Created fine-tuning job: {name}"
    assert messages[-1] == "The job has successfully completed"
    assert len({event["id"] for event in state.events}) == len(state.events)
    assert state.result is not None
    assert state.result.startswith("step,train_loss")
    watched = [item for item in records(held) if item.request.kind in ("watch", "job")]
    assert [item.request.kind for item in watched] == ["watch"]
    again = Session(mode="replay").training.watch(name)
    assert again == State.of(state.payload)


def test_watching_goes_on_in_another_kernel(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopping ends the watching, not the job, and leaves nothing that a replay would freeze at."""
    held = tuning(scripted)
    name = held.train(ROWS)

    def stop(state: State) -> None:
        if state.job["status"] == "running":
            raise KeyboardInterrupt

    with pytest.raises(WatchingStopped, match=f"the job goes on .*{name}"):
        held.training.watch(name, stop, every=0.0)
    state = tuning(scripted).training.watch(name, every=0.0)
    assert state.job["status"] == "succeeded"


def test_an_outage_does_not_end_watching(scripted: ScriptedServer) -> None:
    """A service that fails for a while is waited for."""
    held = tuning(scripted)
    name = held.train(ROWS)
    retrieve, times = scripted.training._retrieve, [0]

    def failing(request: Request, fine_tuning_job_id: str) -> Any:
        times[0] += 1
        if 2 <= times[0] <= 4:
            return failures.hang_up()
        return retrieve(request, fine_tuning_job_id)

    scripted.route("GET", training.JOB, failing)
    assert held.training.watch(name, every=0.0).job["status"] == "succeeded"


def test_a_job_that_failed(scripted: ScriptedServer) -> None:
    """Watching ends with what the service says of it."""
    scripted.training.outcome = "failed"
    held = tuning(scripted)
    held.train(ROWS)
    state = held.training.watch(every=0.0)
    assert (state.job["status"], state.result) == ("failed", None)
    assert "internal error" in state.job["error"]["message"]


def test_an_unknown_job(scripted: ScriptedServer) -> None:
    """The nearest that is known is named."""
    held = tuning(scripted)
    name = held.train(ROWS)
    with pytest.raises(ours.ModelNotFound, match=f"did you mean '{name}'"):
        held.job(name[:-1] + "2")
    with pytest.raises(ours.OptionError, match="Which job"):
        tuning(scripted).job()


def test_a_job_that_has_not_ended_is_asked_anew(scripted: ScriptedServer) -> None:
    """Its last recorded state is what a replay shows, and what is shown where nobody can be asked."""
    name = tuning(scripted).train(ROWS)
    assert [tuning(scripted).job(name)["status"] for _ in range(3)] == [
        "queued",
        "running",
        "running",
    ]
    assert Session(mode="replay").job(name)["status"] == "running"
    scripted.close()
    assert tuning(scripted).job(name)["status"] == "running"


def test_a_job_is_looked_for_where_it_was_started(scripted: ScriptedServer) -> None:
    """What the notebook named for the job alone is asked again, also in another kernel."""
    held = session(None)
    held.settings.profile["model"] = "gpt-4o-mini"
    with ScriptedServer() as other:
        held.settings.profile["base_url"] = other.base_url
        name = held.training.start(ROWS, JobOptions(base_url=scripted.base_url)).id
        assert held.training.watch(every=0.0).job["status"] == "succeeded"
        assert list(held.training.jobs(base_url=scripted.base_url)["id"]) == [name]
        assert list(held.list_jobs()["id"]) == []
        assert other.training.jobs == {}
    assert Session(mode="replay").training.watch(name).job["id"] == name


def test_list_jobs(scripted: ScriptedServer) -> None:
    """Newest first, with the description kept here; a listing is replayed once all have ended."""
    held = tuning(scripted)
    first = held.train(ROWS, description="the first")
    assert list(held.list_jobs()["id"]) == [first]
    second = held.train(ROWS, hyperparameters={"n_epochs": 4})
    frame = held.list_jobs()
    assert list(frame["id"]) == [second, first]
    assert list(frame["description"])[1] == "the first"
    for name in (first, second):
        held.training.watch(name, every=0.0)
    assert set(tuning(scripted).list_jobs()["status"]) == {"succeeded"}
    count = len(scripted.requests)
    assert set(tuning(scripted).list_jobs()["status"]) == {"succeeded"}
    assert len(scripted.requests) == count
    assert len(Session(mode="replay").list_jobs()) == 2


def test_an_action_that_the_state_does_not_allow(scripted: ScriptedServer) -> None:
    """The service's refusal stands with how to see the job's state."""
    held = tuning(scripted)
    scripted.training.pace = "hand"
    name = held.train(ROWS)
    with pytest.raises(ours.RequestRefused, match=f"%jobs show {name}") as caught:
        held.training.act("pause")
    assert "validating_files" in str(caught.value)
    assert "dry-run" not in str(caught.value)


@pytest.mark.parametrize(
    ("moves", "action", "then"),
    [
        pytest.param(0, "cancel", "cancelled", id="cancel while files are validated"),
        pytest.param(1, "cancel", "cancelled", id="cancel in the queue"),
        pytest.param(2, "cancel", "cancelled", id="cancel while it runs"),
        pytest.param(2, "pause", "paused", id="pause while it runs"),
        pytest.param(9, "cancel", None, id="cancel what has ended"),
        pytest.param(1, "pause", None, id="pause in the queue"),
        pytest.param(2, "resume", None, id="resume while it runs"),
    ],
)
def test_actions(scripted: ScriptedServer, moves: int, action: str, then: str | None) -> None:
    """In each state a job is stopped, or the service's refusal is said."""
    scripted.training.pace = "hand"
    held = tuning(scripted)
    name = held.train(ROWS)
    for _ in range(moves):
        scripted.training.move(name)
    if then is None:
        with pytest.raises(ours.RequestRefused, match=f"Cannot {action}"):
            held.training.act(action, name)
        return
    assert held.training.act(action, name)["status"] == then
    if then == "paused":
        assert held.training.act("cancel", name)["status"] == "cancelled"
    assert Session(mode="replay").training.act(action, name)["status"] == then


@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "base64"])
def test_figures_of_a_job(scripted: ScriptedServer, encoded: bool) -> None:
    """Metrics come from the result file, whether plain or base64, and before that from the events."""
    from openai_magics.training.jobs import checkpoints_frame, metrics_frame

    scripted.training.base64 = encoded
    held = tuning(scripted)
    name = held.train(ROWS)
    for _ in range(3):
        state = held.training.state(name, fresh=True)
    assert list(metrics_frame(state.events, state.result)["train_loss"]) == [2.0]
    state = held.training.watch(name, every=0.0)
    frame = metrics_frame(state.events, state.result)
    assert list(frame["step"]) == [1, 2, 3]
    assert list(frame["train_accuracy"]) == [0.5, 0.75, 0.8333]
    checkpoints = checkpoints_frame(state.checkpoints)
    assert list(checkpoints["step"]) == [1, 2, 3]
    assert checkpoints["model"][0].endswith(":ckpt-step-1")


def test_lineage(scripted: ScriptedServer) -> None:
    """From the tuned model back to its data and job, and on to the cells that asked it."""
    held = tuning(scripted)
    held.training.start(ROWS, JobOptions(suffix="s", made_in=("cell-1",)))
    state = held.training.watch(every=0.0)
    found = held.training.lineage(state.job)
    assert (found.model, found.tuned) == ("gpt-4o-mini", state.job["fine_tuned_model"])
    assert found.made_in == ("cell-1",)
    assert found.sha256 is not None
    assert found.said["suffix"] == "s"
    scripted.close()
    again = Session(mode="replay").training
    for name in (state.job["fine_tuned_model"], f"{found.tuned}:ckpt-step-1"):
        assert again.id(name) == state.job["id"]
    assert again.id(f"{found.tuned}x") != state.job["id"]
    assert again.lineage(again.watch(str(found.tuned)).job).sha256 == found.sha256


def test_reinforcement_needs_a_grader(scripted: ScriptedServer) -> None:
    """It is asked for before anything is uploaded."""
    rows = [{"messages": [{"role": "user", "content": f"{n}"}], "answer": n} for n in range(12)]
    held = tuning(scripted)
    with pytest.raises(ours.OptionError, match="needs a grader"):
        held.training.start(rows)
    assert scripted.requests == []


def test_a_job_that_is_refused_names_no_option_of_asking(scripted: ScriptedServer) -> None:
    """What to do is said of a job, which has no --dry-run."""
    scripted.training.refuse = error(400, "invalid_request", "The suffix is taken.")
    with pytest.raises(ours.RequestRefused, match="The suffix is taken") as caught:
        tuning(scripted).train(ROWS)
    assert "%train?" in str(caught.value.remedy)


def test_a_description_outlives_its_file(scripted: ScriptedServer) -> None:
    """It is in the record of the job as well; one that was written into the file counts more."""
    held = tuning(scripted)
    name = held.train(ROWS, description="as recorded")
    assert held.training.descriptions() == {name: "as recorded"}
    held.save_job_id(name, "as edited")
    assert held.training.descriptions() == {name: "as edited"}
    Path("job_ids.json").unlink()
    assert list(held.list_jobs()["description"]) == ["as recorded"]
    with pytest.raises(ours.OptionError, match="Which job") as caught:
        Session(mode="replay").training.job()
    assert caught.value.remedy == "Name one: see %jobs."
    held.save_job_id(name, "again")
    with pytest.raises(ours.OptionError, match="Which job") as caught:
        Session(mode="replay").training.job()
    assert name in str(caught.value.remedy)


def test_events_of_a_job_that_has_ended(scripted: ScriptedServer) -> None:
    """They are those that there were while it ran, its steps too."""
    held = tuning(scripted)
    name = held.train(ROWS)
    assert held.training.watch(every=0.0).job["status"] == "succeeded"
    seen = [event["message"] for event in held.training.state().events]
    assert seen == [event["message"] for event in scripted.training.jobs[name].events]
    assert "Step 1/3: training loss=2.00" in seen


def test_settings_of_a_method() -> None:
    """What a method alone takes is shown with the rest."""
    own = {"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 2, "beta": 0.2}}}
    job = {"id": "ftjob-1", "status": "cancelled", "model": "m", "method": own}
    bundle, _ = shown.state_bundle(State(job))
    assert "n_epochs 2, beta 0.2" in bundle["text/plain"]
    assert "ended without figures" in bundle["text/plain"]
