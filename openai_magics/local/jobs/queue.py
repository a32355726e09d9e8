"""The queue: a process of its own that takes the jobs up one after the other.

There is one for a store, since it holds ``queue.lock`` as long as it lives. It is started by
whichever engine sees an unfinished job and no queue (`start.ensure`), outlives that engine and its
kernel, and ends when nothing is left to do. Training itself is a child of it, a process for
each job: a trainer that is killed, or that takes more memory than there is, leaves the queue
able to say so, and to let the trainer go on from where it was.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai_magics.local.jobs import job as jobs
from openai_magics.local.jobs import store
from openai_magics.local.jobs.check import LEAST, BadData, check
from openai_magics.local.jobs.files import Files
from openai_magics.local.jobs.job import Job
from openai_magics.local.jobs.outcome import disk_full, result_csv, told, why_ended
from openai_magics.local.jobs.start import TRAINER, WORKED_ON, python

__all__ = ["Queue", "main"]

GRACE = 60.0
"""Seconds for a trainer to keep what it has when its job is paused."""
STALLED = 1800.0
"""Seconds without a sign of a trainer after which it is ended: it hangs."""
TRIES = 2
"""How often in a row a trainer may be started without getting any further."""


@dataclass
class Training:
    """The trainer at work: its job, its process, and the step it began at."""

    job: Job
    process: subprocess.Popen[bytes]
    began_at: int
    stopping: float | None = None


class Queue:
    """Works on the jobs of a store; *trainer* is the module that trains one (`python -m`)."""

    def __init__(
        self, kept: store.Store, trainer: str = TRAINER, *, grace: float = GRACE, pause: float = 0.2
    ) -> None:
        self.kept = kept
        self.trainer = trainer
        self.grace = grace
        self.pause = pause
        self._training: Training | None = None
        self._fruitless: dict[str, int] = {}
        self._waiting: set[str] = set()

    def run(self) -> None:
        """Work until nothing is left to do; return at once where another queue is at work."""
        while any(job.status in WORKED_ON for job in jobs.every(self.kept)):
            if not self._run_alone():
                return
            # Looked at again without the lock: a job may have come since the last look.

    def _run_alone(self) -> bool:
        import portalocker

        try:
            # Not `store.locked`: who finds the queue at work does not wait for its end. For a
            # moment though, since `store.held` takes the lock for one.
            with portalocker.Lock(self.kept.lock, "a", timeout=1):
                try:
                    while self.step():
                        time.sleep(self.pause)
                finally:
                    if self._training is not None:
                        self._training.process.kill()
                        self._training.process.wait()
        except portalocker.LockException:
            return False
        return True

    def step(self) -> bool:
        """Look at all jobs once; return whether there is anything left to do."""
        if self._training is not None:
            self._watch(self._training)
        unfinished: list[Job] = []
        for job in jobs.every(self.kept):
            try:
                if job.status in WORKED_ON:
                    self._take_up(job, len(unfinished))
                    unfinished.append(job)
            except jobs.WrongState:
                continue  # cancelled or paused at this moment
            except OSError as error:
                self._fail(job, error)
        return bool(unfinished) or self._training is not None

    def _take_up(self, job: Job, before: int) -> None:
        status = job.status
        if status == "validating_files":
            self._validate(job)
        elif status == "running" and (self._training is None or self._training.job.id != job.id):
            # Whoever had it is gone: the machine, or a queue that was killed.
            with job.changing("running") as value:
                value["shown"]["status"] = "queued"
            job.event("The training was interrupted and will go on", "warn")
        elif status == "queued" and self._training is None:
            self._start(job)
        elif status == "queued" and before and job.id not in self._waiting:
            self._waiting.add(job.id)
            one = "1 other job is" if before == 1 else f"{before} other jobs are"
            job.event(f"Waiting: {one} before it, and one is trained at a time")

    def _validate(self, job: Job) -> None:
        shown = job.shown
        method = shown["method"]["type"]
        counts = {}
        for what, least in (("training_file", LEAST), ("validation_file", 1)):
            if shown[what] is None:
                continue
            content = Files(self.kept).content(shown[what])
            try:
                counts[what] = check(content, method, what, least)
            except BadData as wrong:
                job.fail(wrong.code, wrong.message, what, "validating_files")
                return
            except FileNotFoundError:
                text = f"The file {shown[what]} has been deleted."
                job.fail("file_not_found", text, what, "validating_files")
                return
        same = _same(self.kept, shown)
        with job.changing("validating_files") as value:
            shown = value["shown"]
            shown["status"] = "queued"
            chosen = shown["method"][method]["hyperparameters"]
            told(chosen, counts["training_file"].examples)
            shown["hyperparameters"] = {key: chosen[key] for key in chosen if key != "beta"}
        if same:
            text = "The validation file equals the training file: its loss says nothing of new text"
            job.event(text, "warn")
        job.event("Files validated, moving job to queued state")

    def _start(self, job: Job) -> None:
        with job.changing("queued") as value:
            value["shown"]["status"] = "running"
        for name in ("stop", "outcome.json"):
            (job.folder / name).unlink(missing_ok=True)
        (job.folder / "progress.json").touch()
        began_at = _reached(job)
        how = f"Fine-tuning job goes on after step {began_at}" if began_at else ""
        job.event(how or "Fine-tuning job started")
        with (job.folder / "trainer.log").open("ab") as log:
            process = python(["-m", self.trainer, "--job", str(job.folder)], log, child=True)
        self._training = Training(job, process, began_at)

    def _watch(self, training: Training) -> None:
        """Look after the trainer: end it where its job is to stop, conclude where it has ended."""
        job, process = training.job, training.process
        status = job.status
        if process.poll() is not None:
            self._training = None
            if status == "running":
                self._conclude(training)
            return
        if status == "running" and training.stopping is None:
            if time.time() - (job.folder / "progress.json").stat().st_mtime > STALLED:
                process.kill()
        elif status in jobs.FINISHED:
            process.kill()
        elif training.stopping is None:
            job.stop_file.touch()
            training.stopping = time.monotonic()
        elif time.monotonic() - training.stopping > self.grace:
            process.kill()

    def _conclude(self, training: Training) -> None:
        job = training.job
        try:
            outcome: dict[str, Any] = store.read(job.folder / "outcome.json")
        except (OSError, ValueError):
            outcome = why_ended(training.process.returncode, job.folder)
        try:
            if outcome["status"] == "succeeded":
                self._succeed(job, outcome)
            elif outcome["status"] == "failed":
                job.fail(outcome["code"], outcome["message"], outcome.get("param"), "running")
            elif outcome["status"] == "stopped" or self._gets_on(training):
                with job.changing("running") as value:
                    value["shown"]["status"] = "queued"
                if outcome["status"] != "stopped":
                    text = f"{outcome['message']} It is tried again"
                    job.event(f"{text} from step {_reached(job)}", "warn")
            else:
                tried = f" It was tried {TRIES} times without getting any further."
                job.fail(outcome["code"], outcome["message"] + tried, None, "running")
        except jobs.WrongState:
            pass  # cancelled or paused at this moment
        except OSError as error:
            self._fail(job, error)

    def _gets_on(self, training: Training) -> bool:
        """Whether a trainer that died is worth another try."""
        name = training.job.id
        if _reached(training.job) > training.began_at:
            self._fruitless[name] = 0
            return True
        self._fruitless[name] = self._fruitless.get(name, 0) + 1
        return self._fruitless[name] < TRIES

    def _succeed(self, job: Job, outcome: dict[str, Any]) -> None:
        result = Files(self.kept).write(
            "step_metrics.csv", "fine-tune-results", result_csv(job.metrics())
        )
        model = job.model
        job.finish(
            "succeeded",
            "running",
            says=[f"New fine-tuned model created: {model}", "The job has successfully completed"],
            fine_tuned_model=model,
            result_files=[result["id"]],
            trained_tokens=outcome["trained_tokens"],
        )

    def _fail(self, job: Job, error: OSError) -> None:
        """Say in the job what the disk said; where even that does not go, at the next look."""
        with suppress(OSError, jobs.WrongState):
            job.fail(*disk_full(error, self.kept.folder), None, *WORKED_ON)


def _reached(job: Job) -> int:
    """Return the step from which a trainer would go on."""
    try:
        return int(store.read(job.folder / "resume" / "state.json")["step"])
    except (OSError, ValueError):
        return 0


def _same(kept: store.Store, shown: dict[str, Any]) -> bool:
    files = Files(kept)
    first, second = shown["training_file"], shown["validation_file"]
    if second is None:
        return False
    one, other = files.content(first), files.content(second)
    return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()


def main(arguments: list[str]) -> int:
    """Run the queue of the store at a folder; ``[folder, trainer]``."""
    folder, trainer = arguments
    Queue(store.Store(Path(folder)), trainer).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
