"""Jobs as the API tells of them → DataFrames, and what there is to say of one.

Shapes: ``FineTuningJob``, ``FineTuningJobEvent``, ``FineTuningJobCheckpoint`` of OpenAI's API
description; the result file is CSV with ``step, train_loss, train_accuracy, valid_loss,
valid_mean_token_accuracy``.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ENDED",
    "checkpoints_frame",
    "ended",
    "events_frame",
    "jobs_frame",
    "metrics_frame",
    "points",
    "progress",
]

ENDED = ("succeeded", "failed", "cancelled")
JOBS = (
    "id",
    "status",
    "description",
    "model",
    "fine_tuned_model",
    "created",
    "finished",
    "trained_tokens",
    "error",
)
EVENTS = ("created", "level", "message")
METRICS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy")
CHECKPOINTS = ("step", "model", *METRICS[1:], "created", "id")
NAMES: Mapping[str, tuple[str, ...]] = {
    "train_loss": ("train_loss",),
    "train_accuracy": ("train_accuracy", "train_mean_token_accuracy", "train_mean_accuracy"),
    "valid_loss": ("full_valid_loss", "valid_loss"),
    "valid_accuracy": (
        "full_valid_mean_token_accuracy",
        "valid_mean_token_accuracy",
        "valid_accuracy",
    ),
}
"""A metric → what services call it, the whole validation before a batch of it."""


def ended(job: Mapping[str, Any]) -> bool:
    """Whether a job is over."""
    return job.get("status") in ENDED


def jobs_frame(
    jobs: Iterable[Mapping[str, Any]], descriptions: Mapping[str, str] = {}
) -> pd.DataFrame:
    """Return one row a job, newest first.

    Columns: ``id, status, description, model, fine_tuned_model``; ``created, finished`` (UTC);
    ``trained_tokens``; ``error`` (why it failed). ``description`` is the one kept at submission.
    """
    import pandas as pd

    rows = [
        {
            **{name: job.get(name) for name in JOBS},
            "description": descriptions.get(str(job.get("id"))) or None,
            "created": job.get("created_at"),
            "finished": job.get("finished_at"),
            "error": (job.get("error") or {}).get("message") or None,
        }
        for job in jobs
    ]
    frame = pd.DataFrame(rows, columns=pd.Index(JOBS))
    for name in ("created", "finished"):
        frame[name] = pd.to_datetime(frame[name], unit="s", utc=True, errors="coerce")
    frame["trained_tokens"] = frame["trained_tokens"].astype("Int64")
    return cast("pd.DataFrame", frame)


def events_frame(events: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row an event, the oldest first: ``created`` (UTC), ``level, message``."""
    import pandas as pd

    rows = [
        {"created": item.get("created_at"), **{name: item.get(name) for name in EVENTS[1:]}}
        for item in events
    ]
    frame = pd.DataFrame(rows, columns=pd.Index(EVENTS))
    frame["created"] = pd.to_datetime(frame["created"], unit="s", utc=True, errors="coerce")
    return cast("pd.DataFrame", frame)


def metrics_frame(events: Iterable[Mapping[str, Any]], result: str | None = None) -> pd.DataFrame:
    """Return one row a step: `METRICS`, NaN where a step has none.

    They are read from the result file, and from the events where there is none yet.
    """
    import pandas as pd

    frame = pd.DataFrame(_rows(events, result), columns=pd.Index(METRICS))
    frame["step"] = frame["step"].astype("Int64")
    for name in METRICS[1:]:
        frame[name] = frame[name].astype("float64")
    return cast("pd.DataFrame", frame)


def checkpoints_frame(checkpoints: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row a checkpoint, the earliest first; ``model`` is the name to ask it by."""
    import pandas as pd

    rows = [
        {
            **_metrics(item.get("metrics") or {}),
            "step": item.get("step_number"),
            "model": item.get("fine_tuned_model_checkpoint"),
            "created": item.get("created_at"),
            "id": item.get("id"),
        }
        for item in sorted(checkpoints, key=lambda item: item.get("step_number") or 0)
    ]
    frame = pd.DataFrame(rows, columns=pd.Index(CHECKPOINTS))
    frame["created"] = pd.to_datetime(frame["created"], unit="s", utc=True, errors="coerce")
    return cast("pd.DataFrame", frame)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _metrics(given: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for name, aliases in NAMES.items():
        numbers = (_number(given.get(alias)) for alias in aliases)
        found[name] = next((number for number in numbers if not math.isnan(number)), math.nan)
    return found


def _rows(events: Iterable[Mapping[str, Any]], result: str | None) -> list[dict[str, Any]]:
    given: Iterable[Mapping[str, Any]]
    if result:
        given = csv.DictReader(io.StringIO(result))
    else:
        given = [item["data"] for item in events if isinstance(item.get("data"), Mapping)]
    by_step: dict[int, dict[str, Any]] = {}
    for item in given:
        step, metrics = _number(item.get("step")), _metrics(item)
        if math.isnan(step):
            continue
        row = by_step.setdefault(int(step), {"step": int(step)})
        # A step may be told of twice: its training first, then its validation.
        row.update({k: v for k, v in metrics.items() if k not in row or not math.isnan(v)})
    return [by_step[step] for step in sorted(by_step)]


def points(
    events: Sequence[Mapping[str, Any]], result: str | None = None
) -> dict[str, list[tuple[float, float]]]:
    """Return the curves of a job by metric: points ``(step, value)``."""
    rows = _rows(events, result)
    found = {
        name: [(float(row["step"]), row[name]) for row in rows if not math.isnan(row[name])]
        for name in METRICS[1:]
    }
    return {name: line for name, line in found.items() if line}


def progress(job: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Return the steps done and in all; ``(0, 0)`` where they are not told."""
    done, total = 0, 0
    for item in events:
        data = item.get("data")
        if not isinstance(data, Mapping):
            continue
        step, steps = _number(data.get("step")), _number(data.get("total_steps"))
        done = max(done, 0 if math.isnan(step) else int(step))
        total = max(total, 0 if math.isnan(steps) else int(steps))
    if job.get("status") == "succeeded":
        done = total
    return done, total
