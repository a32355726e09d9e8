"""What is to be trained, as one value: from a job on the disk, or from a command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai_magics.local.jobs.files import Files
from openai_magics.local.jobs.job import Job
from openai_magics.local.jobs.store import Store

__all__ = ["Plan", "of_job"]


@dataclass(frozen=True)
class Plan:
    """A training.

    Parameters
    ----------
    model : str
        A GGUF file's path, or a Hugging Face model: a folder, or a name where there is a network.
    data : Path
        Examples, in the format of *method*.
    validation : Path or None
        Examples of which only the loss is measured.
    method : {"supervised", "dpo"}
    n_epochs, batch_size : int
    learning_rate_multiplier : float
        Of 1e-3, or for models of a thousand million parameters and more of 2e-4.
    beta : float
        How closely ``dpo`` stays with the model it began with.
    seed : int
        Of the order of the examples and of the adapter's first values.
    adapter : str or None
        A folder with an adapter of PEFT to go on from.
    rank : int
        Of the adapter's matrices.
    device : str or None
        ``"cpu"``, ``"cuda"``, …; ``None`` takes a GPU where there is one.
    gradient_checkpointing : bool or None
        Less memory for a third more time; ``None`` decides by the longest example.
    """

    model: str
    data: Path
    validation: Path | None = None
    method: str = "supervised"
    n_epochs: int = 3
    batch_size: int = 4
    learning_rate_multiplier: float = 1.0
    beta: float = 0.1
    seed: int = 42
    adapter: str | None = None
    rank: int = 8
    device: str | None = None
    gradient_checkpointing: bool | None = None

    @property
    def gguf(self) -> Path | None:
        """The model's file where it is a GGUF, which llama.cpp can serve with the adapter."""
        return Path(self.model) if self.model.endswith(".gguf") else None


def of_job(job: Job) -> Plan:
    """Return what a job trains."""
    value = job.read()
    shown: dict[str, Any] = value["shown"]
    files, base = Files(Store(job.folder.parents[1])), value["settings"]["base"]
    method = shown["method"]["type"]
    second = shown["validation_file"]
    return Plan(
        base["path"],
        files.content(shown["training_file"]),
        None if second is None else files.content(second),
        method,
        seed=shown["seed"],
        adapter=base.get("adapter"),
        **shown["method"][method]["hyperparameters"],
    )
