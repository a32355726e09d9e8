"""The rows and pages of the training panel: problems, jobs, one job with its curve and events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from openai_magics import charts
from openai_magics.panels.forms import facts
from openai_magics.panels.table import Column, Row

if TYPE_CHECKING:
    import pandas as pd

    from openai_magics.training.check import Check
    from openai_magics.training.follow import State

__all__ = [
    "ENDED",
    "EVENTS",
    "JOBS",
    "PROBLEMS",
    "curve",
    "event_rows",
    "job_page",
    "job_rows",
    "problem_rows",
]

PROBLEMS = (
    Column("line", "line", "right"),
    Column("severity", "severity"),
    Column("problem", "problem", wide=True),
    Column("remedy", "remedy", wide=True),
    Column("column", "place"),
    Column("file", "file"),
)
JOBS = (
    Column("id", "job"),
    Column("status", "status"),
    Column("description", "description", wide=True),
    Column("model", "model"),
    Column("fine_tuned_model", "tuned model"),
    Column("created", "started (UTC)"),
)
EVENTS = (
    Column("created", "at (UTC)"),
    Column("level", "level"),
    Column("message", "message", wide=True),
)
ENDED = ("succeeded", "failed", "cancelled")
STATES = {"failed": "wrong", "cancelled": "off", "paused": "warning"}
LEVELS = {"error": "wrong", "warn": "warning"}


def problem_rows(found: Check) -> list[Row]:
    """Return a row a problem, as far as they are listed."""
    rows = []
    for number, line in enumerate(found.problems.to_dict("records")):
        cells = [_said(line[column.name]) for column in PROBLEMS]
        rows.append(Row(str(number), cells, "wrong" if line["severity"] == "error" else "warning"))
    return rows


def job_rows(frame: pd.DataFrame, now: Mapping[str, State]) -> list[Row]:
    """Return a row a job; of those that are watched as they are *now*."""
    rows = []
    for line in frame.to_dict("records"):
        seen = now.get(str(line["id"]))
        if seen is not None:
            line |= {name: seen.job.get(name) for name in ("status", "fine_tuned_model")}
        cells = [_said(line[column.name]) for column in JOBS]
        rows.append(Row(str(line["id"]), cells, STATES.get(str(line["status"]), "")))
    return rows


def event_rows(state: State) -> list[Row]:
    """Return a row an event, the newest first."""
    from openai_magics.training.jobs import events_frame

    rows = []
    for number, line in enumerate(events_frame(state.events).to_dict("records")):
        cells = [_said(line[column.name]) for column in EVENTS]
        rows.append(Row(str(number), cells, LEVELS.get(str(line["level"]), "")))
    return rows[::-1]


def job_page(state: State) -> str:
    """Return what there is to say of a job."""
    from openai_magics.training.jobs import progress

    job = state.job
    done, total = progress(job, state.events)
    error = (job.get("error") or {}).get("message")
    rows = [
        ("job", _said(job.get("id"))),
        ("status", _said(job.get("status"))),
        ("steps", f"{done} of {total}" if total else ""),
        ("left", f"about {state.left:,.0f} s" if state.left is not None else ""),
        ("model", _said(job.get("model"))),
        ("tuned model", _said(job.get("fine_tuned_model"))),
        ("trained tokens", _said(job.get("trained_tokens"))),
        ("why it failed", _said(error)),
    ]
    return facts([(name, value) for name, value in rows if value])


def curve(state: State) -> str:
    """Return the losses of a job by step as a chart, ``""`` while none is told."""
    from openai_magics.training.jobs import points

    losses = {
        name: line for name, line in points(state.events, state.result).items() if "loss" in name
    }
    return charts.curves(losses, "Loss by step") if losses else ""


def _said(value: Any) -> str:
    """Return a cell's text; ``""`` for what is missing."""
    if value is None or value != value or str(value) in ("<NA>", "NaT"):  # noqa: PLR0124 - NaN
        return ""
    if hasattr(value, "strftime"):
        return str(value.strftime("%Y-%m-%d %H:%M:%S"))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
