"""Files and jobs of the engine's front: real HTTP, real processes and files.

The trainer (`tests.local.fake_trainer`) has no model.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import openai
import pytest

from openai_magics.local.jobs import job as jobs
from openai_magics.local.jobs import start as starting
from openai_magics.local.jobs import store
from tests.local import fronts
from tests.local.fronts import LINES, line, messages, start, upload, wait

pytest.importorskip("aiohttp")
posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture
def data(tmp_path):
    """The folder of the store; no queue or trainer of it is left over."""
    folder = tmp_path / "store"
    yield folder
    kept = store.Store(folder)
    for job in jobs.every(kept):
        if job.status not in jobs.FINISHED:
            job.finish("cancelled")
    for _ in range(200):
        if not store.held(kept.lock):
            return
        time.sleep(0.05)
    pytest.fail("the queue is still there")


@pytest.fixture
def client(data):
    """A client of a front."""
    with fronts.front(data) as base_url, fronts.client(base_url) as made:
        yield made


def state(data, job):
    return jobs.Job(data / "jobs" / job)


def trainer_of(data, job):
    """Wait for the process that trains a job; return its id."""
    path = data / "jobs" / job / "progress.json"
    for _ in range(400):
        try:
            return store.read(path)["process"]
        except (OSError, ValueError):
            time.sleep(0.05)
    pytest.fail("no trainer has begun")


def test_files(client):
    """Files are uploaded, listed by pages and purpose, retrieved, read and deleted."""
    names = [upload(client, LINES * count) for count in (1, 2, 3)]
    other = client.files.create(file=("a.txt", b"text"), purpose="user_data")
    assert [each.id for each in client.files.list(purpose="fine-tune", limit=2)] == names[::-1]
    assert [each.id for each in client.files.list(order="asc")] == [*names, other.id]
    assert client.files.retrieve(names[1]).bytes == 2 * len(LINES)
    assert client.files.content(names[2]).content == LINES * 3
    assert client.files.delete(names[0]).deleted
    with pytest.raises(openai.NotFoundError, match="No such File object"):
        client.files.retrieve(names[0])
    with pytest.raises(openai.NotFoundError):
        client.files.content("file-..%2F..%2Fqueue.log")


@pytest.mark.parametrize(
    ("name", "content", "purpose", "said"),
    [
        ("data.csv", b"a,b\n", "fine-tune", "Invalid extension csv"),
        ("data.jsonl", b"", "fine-tune", "The file is empty"),
        ("data.jsonl", b"{}", "fun", "Invalid value: 'fun'"),
    ],
    ids=["not JSONL", "empty", "no such purpose"],
)
def test_a_file_may_be_refused(client, data, name, content, purpose, said):
    """What cannot be used is refused at the upload, and nothing of it is kept."""
    with pytest.raises(openai.BadRequestError, match=said):
        client.files.create(file=(name, content), purpose=purpose)
    assert list((data / "files").iterdir()) == []


def test_a_job_goes_through_its_states(client, data):
    """A job is validated, queued, trained and done, with events, checkpoints, results, a model."""
    chosen = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}}
    job = start(client, "slow", method=chosen, metadata={"notebook": "a"}, seed=7)
    running = wait(client, job, "running")
    assert running.hyperparameters.n_epochs == 3
    assert running.hyperparameters.batch_size == 4
    done = wait(client, job)
    assert (done.status, done.error, done.trained_tokens) == ("succeeded", None, 360)
    assert (done.seed, done.metadata) == (7, {"notebook": "a"})
    model = f"ft:{fronts.MODEL}:this-machine:slow:{job[-8:]}"
    assert done.fine_tuned_model == model
    listed = {each.id: each.owned_by for each in client.models.list()}
    assert listed == {fronts.MODEL: "system", model: "this-machine"}
    points = list(client.fine_tuning.jobs.checkpoints.list(job))
    assert [each.step_number for each in points] == [12, 8, 4]
    assert points[0].fine_tuned_model_checkpoint == f"{model}:ckpt-step-12"
    assert points[0].metrics.full_valid_loss == 2.5
    rows = client.files.content(done.result_files[0]).text.splitlines()
    assert (
        rows[0] == "step,train_loss,train_mean_token_accuracy,valid_loss,valid_mean_token_accuracy"
    )
    assert (len(rows), rows[1]) == (13, "1,3.0,0.0,,")
    said = messages(client, job)
    assert said[:4] == [
        f"Created fine-tuning job: {job}",
        f"Validating training file: {done.training_file}",
        "Files validated, moving job to queued state",
        "Fine-tuning job started",
    ]
    assert said[-1] == "The job has successfully completed"
    assert sum(text.startswith("Step ") for text in said) == 12


def test_a_model_is_deleted(client, data):
    """A deleted model is listed no more, and its files are gone; the engine's own stays."""
    model = wait(client, start(client)).fine_tuned_model
    assert client.models.retrieve(f"{model}:ckpt-step-4").owned_by == "this-machine"
    with pytest.raises(openai.BadRequestError, match="goes with the model"):
        client.models.delete(f"{model}:ckpt-step-4")
    assert client.models.delete(model).deleted
    assert [each.id for each in client.models.list()] == [fronts.MODEL]
    assert list(data.glob("jobs/*/checkpoints")) == []
    with pytest.raises(openai.NotFoundError, match="does not exist on this machine"):
        client.models.delete(model)
    with pytest.raises(openai.PermissionDeniedError, match="own model"):
        client.models.delete(fronts.MODEL)


def test_one_after_the_other(client):
    """Two jobs at once: the second waits, says so, and is trained when the first is done."""
    first, second = start(client, "slow"), start(client, "slow")
    wait(client, first, "running")
    wait(client, second, "queued")
    assert wait(client, first).status == "succeeded"
    assert wait(client, second).status == "succeeded"
    assert "Waiting: 1 other job is before it, and one is trained at a time" in messages(
        client, second
    )
    jobs_done = client.fine_tuning.jobs.list().data
    assert [each.id for each in jobs_done] == [second, first]


@pytest.mark.parametrize("when", ["validating_files", "queued", "running", "paused"])
def test_cancel(client, data, when):
    """A job is cancelled in whatever state it is before its end, at once; its trainer is gone."""
    if when in ("validating_files", "queued"):
        other = start(client, "slow")
        wait(client, other, "running")
    job = start(client, "slow")
    process = None
    if when in ("running", "paused"):
        wait(client, job, "running")
        process = trainer_of(data, job)
    if when == "queued":
        wait(client, job, "queued")
    if when == "paused":
        client.fine_tuning.jobs.pause(job)
    assert client.fine_tuning.jobs.cancel(job).status == "cancelled"
    assert messages(client, job)[-1] == "Fine-tuning job cancelled"
    assert client.fine_tuning.jobs.retrieve(job).fine_tuned_model is None
    with pytest.raises(openai.BadRequestError, match=r"Cannot cancel job .* it is cancelled"):
        client.fine_tuning.jobs.cancel(job)
    if process is not None:
        wait_until_gone(process)


def wait_until_gone(process):
    for _ in range(400):
        try:
            os.kill(process, 0)
        except OSError:
            return
        time.sleep(0.05)
    pytest.fail("the trainer is still there")


def test_a_finished_job_is_not_cancelled(client):
    """What is done stays done."""
    job = start(client)
    wait(client, job)
    for act in ("cancel", "pause", "resume"):
        with pytest.raises(openai.BadRequestError, match=f"Cannot {act} job"):
            getattr(client.fine_tuning.jobs, act)(job)
    assert client.fine_tuning.jobs.retrieve(job).status == "succeeded"


def test_pause_and_resume(client, data):
    """A paused job keeps what it has, lets others go first, and goes on where it was."""
    job = start(client, "slow")
    wait(client, job, "running")
    process = trainer_of(data, job)
    while len(state(data, job).metrics()) < 2:
        time.sleep(0.05)
    assert str(client.fine_tuning.jobs.pause(job).status) == "paused"
    wait_until_gone(process)
    reached = store.read(data / "jobs" / job / "resume" / "state.json")["step"]
    assert 2 <= reached < 12
    assert wait(client, start(client, "other")).status == "succeeded"
    assert client.fine_tuning.jobs.retrieve(job).status == "paused"
    assert client.fine_tuning.jobs.resume(job).status == "queued"
    assert wait(client, job).status == "succeeded"
    assert f"Fine-tuning job goes on after step {reached}" in messages(client, job)
    assert (data / "jobs" / job / "checkpoints" / "12" / "adapter.gguf").read_text() == "78"
    assert [row["step"] for row in state(data, job).metrics()] == list(range(1, 13))


@posix
def test_a_killed_trainer_goes_on(client, data):
    """A trainer killed half-way is started again from its checkpoint, and says so."""
    job = start(client, "dies")
    assert wait(client, job).status == "succeeded"
    assert any("The trainer was killed" in text for text in messages(client, job))
    assert "Fine-tuning job goes on after step 4" in messages(client, job)
    # 1 + 2 + … + 12: no step was lost, and none was done twice.
    assert (data / "jobs" / job / "checkpoints" / "12" / "adapter.gguf").read_text() == "78"


@posix
def test_a_trainer_that_always_dies_fails(client):
    """A trainer that is killed again without getting any further ends the job, with the reason."""
    failed = wait(client, start(client, "dies-always"))
    assert failed.status == "failed"
    assert failed.error.code == "killed"
    assert "too little memory" in failed.error.message


@posix
def test_a_killed_queue(data):
    """Queue and front killed half-way: the trainer ends, and the next front lets the job go on."""
    with fronts.front(data) as base_url, fronts.client(base_url) as made:
        job = start(made, "slow")
        wait(made, job, "running")
        process = trainer_of(data, job)
        while len(state(data, job).metrics()) < 5:
            time.sleep(0.05)
        queue = parent_of(process)
    os.kill(queue, signal.SIGKILL)
    wait_until_gone(process)
    assert state(data, job).status == "running"
    with fronts.front(data) as base_url, fronts.client(base_url) as made:
        assert wait(made, job).status == "succeeded"
        said = messages(made, job)
        assert "The training was interrupted and will go on" in said
        assert "Fine-tuning job goes on after step 4" in said
    assert (data / "jobs" / job / "checkpoints" / "12" / "adapter.gguf").read_text() == "78"


def parent_of(process):
    import psutil

    return psutil.Process(process).ppid()


def test_a_job_goes_on_without_the_front(data):
    """The front goes, with its kernel: the job is trained to its end all the same."""
    with fronts.front(data) as base_url, fronts.client(base_url) as made:
        job = start(made, "slow")
        wait(made, job, "running")
    for _ in range(400):
        if state(data, job).status in jobs.FINISHED:
            break
        time.sleep(0.05)
    with fronts.front(data) as base_url, fronts.client(base_url) as made:
        assert made.fine_tuning.jobs.retrieve(job).status == "succeeded"


@pytest.mark.parametrize(
    ("suffix", "code", "said"),
    [
        ("full", "disk_full", "The disk is full .* Make room"),
        ("memory", "out_of_memory", "too little memory"),
        ("differs", "adapter_differs", "answers otherwise in llama.cpp"),
        ("broken", "trainer_failed", "RuntimeError: a shape that does not fit"),
    ],
    ids=lambda each: each,
)
def test_a_job_fails_with_a_reason(client, data, suffix, code, said):
    """What goes wrong in training ends the job with a code and words that say what to do."""
    failed = wait(client, start(client, suffix))
    assert (failed.status, failed.error.code) == ("failed", code)
    assert failed.fine_tuned_model is None
    import re

    assert re.search(said, failed.error.message)
    assert messages(client, failed.id)[-1] == f"The job failed: {failed.error.message}"
    if suffix == "full":
        assert list(data.glob("jobs/*/checkpoints/*/*")) == []


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (LINES[: len(line("Question 0?", "Answer 0."))], "invalid_n_examples", "has 1 example"),
        (LINES + b"{", "invalid_training_file", "Line 11: it is not JSON"),
        (LINES + b"[]\n", "invalid_training_file", "Line 11: it is no JSON object"),
        (LINES + line("a", "\xe9").replace(b"\xc3\xa9", b"\xe9"), "invalid_training_file", "UTF-8"),
        (
            LINES + b'{"messages": [{"role": "user", "content": "a"}]}\n',
            "invalid_training_file",
            "no message from the assistant",
        ),
        (LINES.replace(b"user", b"alien"), "invalid_training_file", "Line 1: 'messages.0..role'"),
        (LINES + b'{"messages": 3}', "invalid_training_file", "no valid 'messages'"),
    ],
    ids=["one example", "cut off", "a list", "Latin 1", "no answer", "a role", "no messages"],
)
def test_bad_data_fails_the_job(client, content, code, said):
    """What is wrong with the data is said with its line while the job validates it."""
    import re

    failed = wait(client, start(client, training_file=upload(client, content)))
    assert (failed.status, failed.error.code, failed.error.param) == (
        "failed",
        code,
        "training_file",
    )
    assert re.search(said, failed.error.message)


def test_good_data_of_other_editors(client):
    """A byte order mark, CRLF and empty lines are no problem."""
    content = b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\r\n\r\n")
    assert wait(client, start(client, training_file=upload(client, content))).status == "succeeded"


def test_validation_equal_to_training_is_said(client):
    """The same file twice is trained, with a warning."""
    file = upload(client)
    job = start(client, training_file=file, validation_file=file)
    wait(client, job)
    assert any("validation file equals" in text for text in messages(client, job))


@pytest.mark.parametrize(
    ("given", "param", "said"),
    [
        ({"model": "gpt-4o-mini"}, "model", "not available for fine-tuning"),
        ({"training_file": "file-nix"}, "training_file", "invalid training_file: file-nix"),
        ({"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs", "from 1 to 50"),
        ({"hyperparameters": {"n_epochs": 1.5}}, "hyperparameters.n_epochs", "integer"),
        ({"hyperparameters": {"rate": 1}}, "hyperparameters.rate", "Unknown parameter"),
        ({"method": {"type": "reinforcement"}}, "method.type", "needs a grader"),
        ({"method": {"type": "magic"}}, "method.type", "'supervised', 'dpo'"),
        ({"suffix": "a:b"}, "suffix", "letters, digits"),
        ({"seed": -1}, "seed", "Invalid 'seed'"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]}, "integrations", "leave"),
    ],
    ids=lambda each: str(each) if isinstance(each, str) else None,
)
def test_a_wrong_job_is_refused(client, data, given, param, said):
    """What cannot be trained is refused when the job is created, and leaves none."""
    with pytest.raises(openai.BadRequestError, match=said) as caught:
        start(client, **given)
    assert caught.value.param == param
    assert list((data / "jobs").iterdir()) == []


def test_preference_data(client):
    """A dpo job takes pairs of answers, and has a beta."""
    pair = (
        b'{"input": {"messages": [{"role": "user", "content": "a"}]}, "preferred_output": '
        b'[{"role": "assistant", "content": "b"}], "non_preferred_output": '
        b'[{"role": "assistant", "content": "c"}]}\n'
    )
    chosen = {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.3}}}
    done = wait(client, start(client, training_file=upload(client, pair * 10), method=chosen))
    assert (done.status, done.method.dpo.hyperparameters.beta) == ("succeeded", 0.3)
    failed = wait(client, start(client, method={"type": "dpo"}))
    assert (failed.status, failed.error.param) == ("failed", "training_file")


def test_a_missing_package_is_named(client, data, tmp_path):
    """Without the `train` extra a job is refused with what to install."""
    from openai_magics.local.jobs.create import Refused, create

    with pytest.raises(Refused) as caught:
        create(
            store.Store(data),
            {"model": "m", "training_file": upload(client)},
            lambda name: {"name": name},
            ("json", "no_such_package"),
        )
    assert caught.value.code == "extra_missing"
    assert 'pip install "openai_magics[train]"' in caught.value.message


def test_jobs_are_listed(client):
    """Newest first, by pages and by metadata; what is unknown is 404."""
    names = [start(client, metadata={"n": str(number % 2)}) for number in range(3)]
    assert [each.id for each in client.fine_tuning.jobs.list(limit=2)] == names[::-1]
    assert [each.id for each in client.fine_tuning.jobs.list(metadata={"n": "1"})] == [names[1]]
    with pytest.raises(openai.NotFoundError, match="Could not find fine tune: ftjob-nix"):
        client.fine_tuning.jobs.retrieve("ftjob-nix")
    for job in names:
        wait(client, job)


def test_the_key_is_needed(data):
    """Nobody else is answered: 401 on every route."""
    with fronts.front(data) as base_url, fronts.client(base_url, "sk-wrong") as made:
        for call in (made.files.list, made.fine_tuning.jobs.list, made.models.list):
            with pytest.raises(openai.AuthenticationError):
                call()


def test_answers_of_the_base_model_pass_through(data, scripted):
    """What asks the engine's model goes to its server, and a stream comes back as it is made."""
    import threading

    from tests.scripted import answer

    gate = threading.Event()
    scripted.script.then(answer("Hello there.", chunks=4, hold=gate, hold_after=2))
    root = scripted.base_url.removesuffix("/v1")
    message = {"role": "user", "content": "Hi"}
    with fronts.front(data, root) as base_url, fronts.client(base_url) as made:
        stream = made.chat.completions.create(model=fronts.MODEL, messages=[message], stream=True)
        first = next(iter(stream))  # while the server holds the rest back
        assert first.choices
        gate.set()
        rest = "".join(part.choices[0].delta.content or "" for part in stream if part.choices)
        assert rest.endswith("there.")
        with pytest.raises(openai.NotFoundError, match="gpt-4o` does not exist on this machine"):
            made.chat.completions.create(model="gpt-4o", messages=[message])
    assert scripted.requests[0].headers["authorization"] == f"Bearer {fronts.KEY}"


def test_a_full_disk_at_the_upload(client, data, monkeypatch):
    """An upload for which there is no room is an error that says so; nothing is left of it."""
    import errno

    from openai_magics.local.jobs import files

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.store, "write", full)
    with pytest.raises(openai.InternalServerError, match="The disk is full"):
        upload(client)
    assert list((data / "files").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 2 MB, where this machine lets us mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@posix
def test_a_disk_that_is_full(small_disk):
    """An upload and a training for which there is no room end with words; then others succeed."""
    kept = store.Store(small_disk / "store")
    with fronts.front(kept.folder) as base_url, fronts.client(base_url) as made:
        with pytest.raises(openai.InternalServerError, match="The disk is full"):
            upload(made, LINES * 10_000)
        assert list(kept.files.iterdir()) == []
        failed = wait(made, start(made, "fills"))
        assert (failed.status, failed.error.code) == ("failed", "disk_full")
        assert "Make room" in failed.error.message
        assert list(kept.jobs.glob("*/checkpoints/*/*")) == []
        assert wait(made, start(made, "after")).status == "succeeded"
    for _ in range(600):
        if not store.held(kept.lock):
            break
        time.sleep(0.05)


@posix
def test_memory_that_the_system_refuses(client):
    """A trainer that is given no more memory fails the job, and says what it was."""
    failed = wait(client, start(client, "limit"))
    assert (failed.status, failed.error.code) == ("failed", "out_of_memory")


def test_one_queue_for_a_store(data):
    """However many engines look after the jobs at once, one queue works on them."""
    kept = store.Store(data)
    with fronts.front(data) as base_url, fronts.client(base_url) as made:
        job = start(made, "slow")
        for _ in range(3):
            starting.ensure(kept, fronts.FAKE)
        assert wait(made, job).status == "succeeded"
        assert messages(made, job).count("Fine-tuning job started") == 1
    assert Path(kept.log).read_text() == ""
