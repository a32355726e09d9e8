"""The scripted server's files and fine-tuning jobs, met by the real ``openai`` client.

Every reply of these routes is checked against the API description as it goes out, and a fault
fails the test.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.scripted import ScriptedServer, training

LINE = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
PAIR = b'{"input": {"messages": []}, "preferred_output": [], "non_preferred_output": []}\n'


@pytest.fixture
def client(scripted: ScriptedServer) -> Iterator[OpenAI]:
    """Give a client of the server that does not retry."""
    with OpenAI(base_url=scripted.base_url, api_key="sk-test", max_retries=0) as made:
        yield made


def upload(client: OpenAI, content: bytes = LINE * 10) -> str:
    """Upload training data and return the file's id."""
    return client.files.create(file=("data.jsonl", content), purpose="fine-tune").id


def start(client: OpenAI, **fields: Any) -> str:
    """Start a job and return its id."""
    given = {"model": "gpt-4o-mini", "training_file": upload(client), **fields}
    return client.fine_tuning.jobs.create(**given).id


def follow(client: OpenAI, job: str) -> list[str]:
    """Retrieve a job until it is over and return the states it was seen in."""
    seen: list[str] = []
    while not seen or seen[-1] not in ("succeeded", "failed", "cancelled"):
        seen.append(str(client.fine_tuning.jobs.retrieve(job).status))
    return seen


def test_files(client: OpenAI) -> None:
    """Files are uploaded, listed by pages and purpose, retrieved, read and deleted."""
    names = [upload(client, LINE * count) for count in (1, 2, 3)]
    other = client.files.create(file=("a.txt", b"text"), purpose="user_data")
    assert [each.id for each in client.files.list(purpose="fine-tune", limit=2)] == names[::-1]
    assert [each.id for each in client.files.list(order="asc")] == [*names, other.id]
    assert client.files.retrieve(names[1]).bytes == 2 * len(LINE)
    assert client.files.content(names[2]).content == LINE * 3
    assert client.files.delete(names[0]).deleted
    with pytest.raises(openai.NotFoundError, match="No such File object"):
        client.files.retrieve(names[0])


def test_training_data_is_jsonl(client: OpenAI) -> None:
    """Only ``.jsonl`` is taken for fine-tuning."""
    with pytest.raises(openai.BadRequestError, match="Invalid extension csv"):
        client.files.create(file=("data.csv", b"a,b\n"), purpose="fine-tune")


def test_a_form_is_checked(client: OpenAI, scripted: ScriptedServer) -> None:
    """A purpose that does not exist is refused and is a problem; an expiry is taken."""
    soon: Any = {"anchor": "created_at", "seconds": 3600}
    client.files.create(file=("a.txt", b"x"), purpose="user_data", expires_after=soon)
    wrong: Any = "fun"
    with pytest.raises(openai.BadRequestError, match="Invalid value: 'fun'"):
        client.files.create(file=("a.txt", b"x"), purpose=wrong)
    assert scripted.take_problems()[0].fault.param == "purpose"


def test_a_job_succeeds(client: OpenAI, scripted: ScriptedServer) -> None:
    """Each look at a job moves it one state on; in the end there is a model and a result file."""
    scripted.training.steps = 2
    chosen: Any = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}
    job = start(client, suffix="mine", method=chosen, metadata={"notebook": "a"})
    assert follow(client, job) == ["queued", "running", "running", "running", "succeeded"]
    done = client.fine_tuning.jobs.retrieve(job)
    assert done.hyperparameters.n_epochs == 2
    assert (done.metadata, done.estimated_finish) == ({"notebook": "a"}, None)
    assert str(done.fine_tuned_model).startswith("ft:gpt-4o-mini:org-scripted:mine:")
    assert client.models.retrieve(str(done.fine_tuned_model)).owned_by == "org-scripted"
    rows = client.files.content(done.result_files[0]).text.splitlines()
    assert rows[:2] == [
        "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy",
        "1,2.0,0.5,,",
    ]


def test_events_and_checkpoints_come_newest_first(client: OpenAI) -> None:
    """Events are paged, newest first, those with metrics among them; so are checkpoints."""
    job = start(client)
    follow(client, job)
    events = list(client.fine_tuning.jobs.list_events(job, limit=2))
    assert events[0].message == "The job has successfully completed"
    assert events[-1].message == f"Created fine-tuning job: {job}"
    metrics: list[Any] = [each.data for each in events if each.type == "metrics"]
    assert [each["step"] for each in metrics] == [3, 2, 1]
    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job, limit=2))
    assert [each.step_number for each in checkpoints] == [3, 2, 1]
    assert checkpoints[0].metrics.train_loss == metrics[0]["train_loss"]


def test_jobs_are_listed(client: OpenAI) -> None:
    """Jobs are listed newest first, by pages, and by metadata; listing does not move them."""
    jobs = [start(client, metadata={"n": str(n % 2)}) for n in range(5)]
    assert [each.id for each in client.fine_tuning.jobs.list(limit=2)] == jobs[::-1]
    assert [each.id for each in client.fine_tuning.jobs.list(metadata={"n": "1"})] == jobs[3::-2]
    assert {each.status for each in client.fine_tuning.jobs.list()} == {"validating_files"}


def test_a_result_file_may_be_base64(client: OpenAI, scripted: ScriptedServer) -> None:
    """The result CSV comes encoded, as the service sometimes does."""
    scripted.training.base64 = True
    job = start(client)
    follow(client, job)
    content = client.files.content(client.fine_tuning.jobs.retrieve(job).result_files[0]).content
    assert base64.b64decode(content, validate=True).startswith(b"step,train_loss")


def test_pause_resume_cancel(client: OpenAI) -> None:
    """A paused job does not move until it is resumed; a cancelled one is over."""
    jobs = client.fine_tuning.jobs
    job = start(client)
    with pytest.raises(openai.BadRequestError, match="Cannot pause"):
        jobs.pause(job)
    assert [jobs.retrieve(job).status for _ in range(2)] == ["queued", "running"]
    assert str(jobs.pause(job).status) == "paused"
    # The client's own list of states has no "paused".
    assert [str(jobs.retrieve(job).status) for _ in range(2)] == ["paused", "paused"]
    assert jobs.resume(job).status == "queued"
    assert jobs.cancel(job).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="it is cancelled"):
        jobs.cancel(job)


@pytest.mark.parametrize(
    ("content", "method", "code"),
    [
        pytest.param(LINE * 9, "supervised", "invalid_n_examples", id="too few"),
        pytest.param(LINE * 9 + b"{", "supervised", "invalid_training_file", id="not JSON"),
        pytest.param(LINE * 9 + b"[]", "supervised", "invalid_training_file", id="a list"),
        pytest.param(LINE * 10, "dpo", "invalid_training_file", id="another method's"),
    ],
)
def test_bad_data_fails_the_job(client: OpenAI, content: bytes, method: str, code: str) -> None:
    """What is wrong with the data is found while the job validates it, not when it is created."""
    job = start(client, training_file=upload(client, content), method={"type": method})
    assert follow(client, job) == ["failed"]
    problem = client.fine_tuning.jobs.retrieve(job).error
    assert problem is not None
    assert (problem.code, problem.param) == (code, "training_file")


def test_preference_data(client: OpenAI) -> None:
    """A DPO job takes pairs of answers."""
    job = start(client, training_file=upload(client, PAIR * 10), method={"type": "dpo"})
    assert follow(client, job)[-1] == "succeeded"


def test_a_job_may_fail(client: OpenAI, scripted: ScriptedServer) -> None:
    """A job fails while it runs, with an error and an event that say so."""
    scripted.training.outcome = "failed"
    job = start(client)
    assert follow(client, job) == ["queued", "running", "failed"]
    event = next(iter(client.fine_tuning.jobs.list_events(job)))
    assert (event.level, event.message.split(":")[0]) == ("error", "The job failed")


def test_jobs_moved_by_hand_or_by_the_clock(client: OpenAI, scripted: ScriptedServer) -> None:
    """A test may move jobs itself, or let time do it."""
    scripted.training.pace = "hand"
    job = start(client)
    assert client.fine_tuning.jobs.retrieve(job).status == "validating_files"
    assert scripted.training.move(job) == "queued"
    assert client.fine_tuning.jobs.retrieve(job).status == "queued"
    scripted.training.pace = 0.001
    assert follow(client, job)[-1] == "succeeded"


def test_new_jobs_may_be_refused(client: OpenAI, scripted: ScriptedServer) -> None:
    """Hosted fine-tuning is closed to an organisation with 403; jobs it has are still there."""
    job = start(client)
    scripted.training.refuse = training.closed()
    with pytest.raises(openai.PermissionDeniedError, match="no longer available"):
        start(client)
    assert client.fine_tuning.jobs.retrieve(job).id == job


def test_a_wrong_job_is_refused(client: OpenAI, scripted: ScriptedServer) -> None:
    """A model that cannot be tuned, a file or a job that does not exist, an epoch too many."""
    with pytest.raises(openai.BadRequestError, match="not available for fine-tuning"):
        start(client, model="gpt-5.5")
    with pytest.raises(openai.BadRequestError, match="invalid training_file: file-nix"):
        start(client, training_file="file-nix")
    with pytest.raises(openai.NotFoundError, match="Could not find fine tune: nix"):
        client.fine_tuning.jobs.retrieve("nix")
    assert scripted.problems == []
    with pytest.raises(openai.BadRequestError, match="Expected a value <= 50"):
        start(client, hyperparameters={"n_epochs": 51})
    assert scripted.take_problems()[0].fault.param == "hyperparameters.n_epochs"
