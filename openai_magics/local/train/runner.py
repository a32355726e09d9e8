"""How a job's training goes: steps, checkpoints, what is kept for an interruption, the end.

It knows nothing of torch: `Work` is what is trained. It writes into the job's folder what
`openai_magics.local.jobs.job` describes and leaves every change of the job's state to the queue.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from openai_magics.local.jobs import store
from openai_magics.local.jobs.job import Job
from openai_magics.local.jobs.models import CHECKPOINT
from openai_magics.local.jobs.outcome import disk_full

__all__ = ["OutOfMemory", "TrainingFailed", "Work", "run"]

KEPT_EVERY = 60.0
"""Seconds of training that an interruption costs at most."""
MOST_EVENTS = 500
"""Events that tell a step, in all."""


class TrainingFailed(Exception):
    """The training cannot go on: ``code``, ``message`` and ``param`` of the job's error."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(code, message, param)
        self.code = code
        self.message = message
        self.param = param


class OutOfMemory(TrainingFailed):
    """There is too little memory, for one example at a time too."""

    def __init__(self, what: str) -> None:
        super().__init__(
            "out_of_memory",
            f"There is too little memory to train this: {what} Shorter examples, a smaller model "
            "or a machine with more memory would do.",
        )


class Work(Protocol):
    """What is trained.

    ``steps`` is how many there are in all, ``per_epoch`` how many an epoch has, and
    ``trained_tokens`` how many tokens of answers they see. Steps count from 1, and a step depends
    on its number and on what the steps before it have made of the adapter, on nothing else.
    """

    steps: int
    per_epoch: int
    trained_tokens: int

    def step(self, number: int) -> dict[str, float]:
        """Do a step; return ``train_loss`` and ``train_mean_token_accuracy``."""

    def validate(self) -> dict[str, float]:
        """Return ``valid_loss`` and ``valid_mean_token_accuracy``; empty without a file."""

    def save(self, folder: Path) -> None:
        """Write the adapter as it is now: PEFT's files and ``adapter.gguf``."""

    def keep(self, folder: Path) -> None:
        """Write what is needed to go on from here."""

    def go_on(self, folder: Path) -> None:
        """Go on from what was kept."""

    def verify(self, folder: Path) -> str:
        """Make sure that what was saved answers as what was trained; return what was found."""


def run(job: Job, begin: Callable[[Job], Work], *, kept_every: float = KEPT_EVERY) -> int:
    """Train a job and leave its outcome; return the exit status of the process.

    Parameters
    ----------
    job : Job
    begin : callable
        Loads what is trained.
    kept_every : float
        Seconds between two times that the state is kept.
    """
    try:
        # Another trainer of this job may be on its way out: its queue was killed.
        with store.locked(job.folder / "trainer.lock"):
            outcome = _Run(job, begin, kept_every).outcome()
            if outcome["status"] == "failed":  # the room that is kept for saying so
                (job.folder / "reserve").unlink(missing_ok=True)
            store.write(job.folder / "outcome.json", outcome)
    except OSError as error:
        traceback.print_exc()
        print(disk_full(error, job.folder)[1])  # noqa: T201 - the log, from which the queue quotes
        return 1
    return 0


class _Run:
    def __init__(self, job: Job, begin: Callable[[Job], Work], kept_every: float) -> None:
        self.job = job
        self.begin = begin
        self.kept_every = kept_every
        self.resume = job.folder / "resume"
        self.metrics = job.folder / "metrics.jsonl"
        self.began, self.first = time.time(), 0

    def outcome(self) -> dict[str, Any]:
        try:
            return self._train()
        except TrainingFailed as failed:
            error = (failed.code, failed.message, failed.param)
        except MemoryError as failed:
            lacking = OutOfMemory(str(failed))
            error = (lacking.code, lacking.message, None)
        except OSError as failed:
            traceback.print_exc()
            error = (*disk_full(failed, self.job.folder), None)
        except Exception as failed:  # noqa: BLE001 - whatever it is, the job says it
            traceback.print_exc()
            error = ("trainer_failed", f"{type(failed).__name__}: {failed}", None)
        return {"status": "failed", "code": error[0], "message": error[1], "param": error[2]}

    def _train(self) -> dict[str, Any]:
        job = self.job
        self._progress(0, 0)
        work = self.begin(job)
        done = self._go_on(work)
        last_kept = time.monotonic()
        every = max(1, work.steps // MOST_EVENTS)
        self.began, self.first = time.time(), done
        for number in range(done + 1, work.steps + 1):
            if job.stop_file.exists():
                self._keep(work, number - 1)
                return {"status": "stopped"}
            row = {"step": number, **work.step(number)}
            ends_epoch = number % work.per_epoch == 0 or number == work.steps
            if ends_epoch:
                row |= work.validate()
            self._add(row)
            self._progress(number, work.steps)
            if number % every == 0 or ends_epoch:
                self._tell(row, work.steps)
            if ends_epoch:
                self._checkpoint(work, row)
            if ends_epoch or time.monotonic() - last_kept > self.kept_every:
                self._keep(work, number)
                last_kept = time.monotonic()
        found = work.verify(job.checkpoints_folder / str(work.steps))
        job.event(f"The adapter answers in llama.cpp as it was trained: {found}")
        return {"status": "succeeded", "trained_tokens": work.trained_tokens, "verified": found}

    def _go_on(self, work: Work) -> int:
        """Return the step that was done last, in this run or one before it."""
        try:
            done = int(store.read(self.resume / "state.json")["step"])
            work.go_on(self.resume)
        except (OSError, ValueError):
            done = 0
        rows = [row for row in self.job.metrics() if row["step"] <= done]
        self.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return done

    def _add(self, row: dict[str, Any]) -> None:
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def _tell(self, row: dict[str, Any], steps: int) -> None:
        text = f"Step {row['step']}/{steps}: training loss={row['train_loss']:.2f}"
        if "valid_loss" in row:
            text += f", validation loss={row['valid_loss']:.2f}"
        self.job.event(text, data={**row, "total_steps": steps})

    def _checkpoint(self, work: Work, row: dict[str, Any]) -> None:
        step = row["step"]
        folder = self.job.checkpoints_folder / str(step)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            work.save(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shown = {
            "object": "fine_tuning.job.checkpoint",
            "id": f"ftckpt-{self.job.id.removeprefix('ftjob-')}-{step}",
            "created_at": int(time.time()),
            "fine_tuned_model_checkpoint": f"{self.job.model}{CHECKPOINT}{step}",
            "fine_tuning_job_id": self.job.id,
            "step_number": step,
            "metrics": {
                **row,
                **{f"full_{name}": row[name] for name in row if name.startswith("valid_")},
            },
        }
        store.write(folder / "checkpoint.json", shown)
        self.job.event(f"Checkpoint created at step {step}")

    def _keep(self, work: Work, step: int) -> None:
        new = self.job.folder / "resume.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        try:
            work.keep(new)
            store.write(new / "state.json", {"step": step})
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        shutil.rmtree(self.resume, ignore_errors=True)
        new.replace(self.resume)

    def _progress(self, step: int, steps: int) -> None:
        """Give a sign of life, and when it will probably be done."""
        finish = None
        if step > self.first:
            each = (time.time() - self.began) / (step - self.first)
            finish = int(time.time() + each * (steps - step))
        path = self.job.folder / "progress.json"
        store.write(path, {"step": step, "steps": steps, "finish": finish, "process": os.getpid()})
