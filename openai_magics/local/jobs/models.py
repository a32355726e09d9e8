"""The tuned models of a store: those of jobs that succeeded, and their checkpoints by name."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai_magics.local import OWNER
from openai_magics.local.jobs import job as jobs
from openai_magics.local.jobs import store
from openai_magics.local.jobs.job import Job

__all__ = ["CHECKPOINT", "Tuned", "delete", "every", "find"]

CHECKPOINT = ":ckpt-step-"
"""Between a tuned model's name and the step of a checkpoint of it."""


@dataclass(frozen=True)
class Tuned:
    """A tuned model: its name, its job, what it was tuned from, and where its adapter is.

    ``base`` has ``name`` and ``path``; ``folder`` holds ``adapter.gguf`` and the files of PEFT.
    """

    name: str
    job: Job
    base: dict[str, Any]
    folder: Path
    created: int

    @property
    def adapter(self) -> Path:
        """The adapter as llama.cpp reads it."""
        return self.folder / "adapter.gguf"

    @property
    def shown(self) -> dict[str, Any]:
        """The model as ``/v1/models`` shows it."""
        return {"id": self.name, "object": "model", "created": self.created, "owned_by": OWNER}


def every(kept: store.Store) -> list[Tuned]:
    """Return the models of all jobs that succeeded and were not deleted, the oldest first."""
    found = []
    for job in jobs.every(kept):
        shown = job.shown
        if shown["status"] == "succeeded" and (model := _of(job, shown["fine_tuned_model"])):
            found.append(model)
    return found


def find(kept: store.Store, name: str) -> Tuned | None:
    """Return the tuned model (or checkpoint) of that name, ``None`` where there is none."""
    model, _, step = name.partition(CHECKPOINT)
    for job in jobs.every(kept):
        if job.model == model:
            return _of(job, name, step)
    return None


def delete(kept: store.Store, name: str) -> bool:
    """Delete a model with its checkpoints; return whether there was one of that name."""
    model = find(kept, name)
    if model is None or CHECKPOINT in name:
        return False
    shutil.rmtree(model.job.checkpoints_folder)
    return True


def _of(job: Job, name: str, step: str = "") -> Tuned | None:
    """Return a job's model: of one step, or of its last where the job has succeeded."""
    value = job.read()
    checkpoints = job.checkpoints()
    if step:
        checkpoints = [each for each in checkpoints if str(each["step_number"]) == step]
    elif value["shown"]["status"] != "succeeded":
        return None
    if not checkpoints:
        return None
    folder = job.checkpoints_folder / str(checkpoints[-1]["step_number"])
    created = value["shown"]["finished_at"] or checkpoints[-1]["created_at"]
    return Tuned(name, job, value["settings"]["base"], folder, created)
