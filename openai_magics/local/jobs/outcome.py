"""What becomes of a job, in words and numbers: chosen hyperparameters, its end, its results."""

from __future__ import annotations

import errno
import shutil
import signal
from pathlib import Path
from typing import Any

__all__ = ["COLUMNS", "disk_full", "result_csv", "told", "why_ended"]

COLUMNS = (
    "step",
    "train_loss",
    "train_mean_token_accuracy",
    "valid_loss",
    "valid_mean_token_accuracy",
)
"""Of the result file, named as the metrics of a checkpoint are."""
SEEN = 150
"""Examples (with repetition) that a small model needs to take on a style."""


def told(chosen: dict[str, Any], examples: int) -> None:
    """Put numbers for ``"auto"`` among the hyperparameters of a job with so many *examples*.

    ``n_epochs``: as many as show 150 examples, 1 to 10. ``batch_size``: 4, for over a thousand
    examples one for each 256, 16 at most. ``learning_rate_multiplier``: 1. ``beta``: 0.1.
    """
    automatic = {
        "n_epochs": max(1, min(10, round(SEEN / examples))),
        "batch_size": max(4, min(16, examples // 256)),
        "learning_rate_multiplier": 1.0,
        "beta": 0.1,
    }
    for name, value in chosen.items():
        if value == "auto":
            chosen[name] = automatic[name]


def result_csv(metrics: list[dict[str, Any]]) -> bytes:
    """Return the result file: a row a step, empty where nothing was measured."""
    rows = [",".join(COLUMNS)]
    for row in metrics:
        values = (row.get(name) for name in COLUMNS)
        rows.append(",".join("" if value is None else str(value) for value in values))
    return ("\n".join(rows) + "\n").encode()


def disk_full(error: OSError, folder: Path) -> tuple[str, str]:
    """Return code and message of a failure of the disk."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        free = shutil.disk_usage(folder).free / 1e6
        text = f"The disk is full ({free:.0f} MB are free in {folder})."
        return "disk_full", f"{text} Make room, then start the job again."
    return "disk_error", f"The files of the job cannot be written: {error}"


def why_ended(status: int, folder: Path) -> dict[str, Any]:
    """Return the outcome of a trainer that left none: what its exit status and its log tell."""
    if status == -getattr(signal, "SIGKILL", 9):
        text = (
            "The trainer was killed (by the system, where there is too little memory, or by hand)."
        )
        return {"status": "died", "code": "killed", "message": text}
    try:
        lines = (folder / "trainer.log").read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        lines = []
    said = lines[-1].strip() if lines else "it said nothing"
    text = f"The trainer ended with status {status}: {said}"
    return {"status": "died", "code": "trainer_failed", "message": text}
