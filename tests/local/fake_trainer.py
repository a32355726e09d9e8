"""A trainer without a model: the real runner, process and files, with steps that cost nothing.

The suffix of the job says how it goes: ``slow`` (0.1 s a step), ``dies`` (killed once, after
step 5), ``dies-always``, ``full`` (no room for the checkpoint), ``fills`` (a checkpoint of 8 MB,
for which a small disk has no room), ``memory``, ``limit`` (the system gives it no more memory), ``differs`` (what is
saved answers otherwise), ``broken`` (an error nobody foresaw); anything else succeeds at once.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from pathlib import Path

from openai_magics.local.jobs.job import Job
from openai_magics.local.train.child import begin_process
from openai_magics.local.train.runner import OutOfMemory, TrainingFailed, run

STEPS, EPOCHS = 12, 3


class Fake:
    """Adds up the numbers of its steps: what is lost or done twice shows in the sum."""

    steps, per_epoch, trained_tokens = STEPS, STEPS // EPOCHS, 360

    def __init__(self, job: Job) -> None:
        self.how = job.settings["suffix"]
        self.killed = job.folder / "killed"
        self.total = 0
        if self.how == "memory":
            raise OutOfMemory("2 GB were asked for.")

    def step(self, number):
        if self.how.startswith("slow"):
            time.sleep(0.1)
        dies = self.how == "dies-always" or (self.how == "dies" and not self.killed.exists())
        if dies and number == 6:
            self.killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "limit":
            import resource

            resource.setrlimit(resource.RLIMIT_AS, (1 << 32, 1 << 32))
            self.held = bytearray(1 << 40)
        if self.how == "broken":
            raise RuntimeError("a shape that does not fit")
        self.total += number
        return {"train_loss": 3.0 / number, "train_mean_token_accuracy": 1 - 1 / number}

    def validate(self):
        return {"valid_loss": 2.5, "valid_mean_token_accuracy": 0.5}

    def save(self, folder: Path):
        (folder / "adapter.gguf").write_text(str(self.total))
        if self.how == "fills":
            (folder / "adapter.gguf").write_bytes(bytes(8_000_000))
        if self.how == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def keep(self, folder: Path):
        (folder / "total.json").write_text(json.dumps(self.total))

    def go_on(self, folder: Path):
        self.total = json.loads((folder / "total.json").read_text())

    def verify(self, _folder: Path):
        if self.how == "differs":
            raise TrainingFailed("adapter_differs", "The adapter answers otherwise in llama.cpp.")
        return "it is the same sum"


if __name__ == "__main__":
    begin_process()
    sys.exit(run(Job(Path(sys.argv[sys.argv.index("--job") + 1])), Fake))
