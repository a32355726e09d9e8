"""A job as people see it: its state while it runs, and one plain picture when it has ended.

What is shown of a job that has ended is a function of its record alone: no clock, no width of
a screen. The curves are SVG made here, for a plotting library's pictures differ from version
to version; in text they are a line of blocks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from openai_magics import charts, render
from openai_magics.calls import bar
from openai_magics.errors import JobFailed
from openai_magics.render import Bundle
from openai_magics.training import jobs
from openai_magics.training.follow import State

__all__ = [
    "curves",
    "exported_bundle",
    "failed",
    "job_bundle",
    "spark",
    "started_bundle",
    "state_bundle",
]

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 40
TITLES = {
    "train_loss": "training loss",
    "valid_loss": "validation loss",
    "train_accuracy": "training accuracy",
    "valid_accuracy": "validation accuracy",
}
PICTURES = (
    ("Loss", ("train_loss", "valid_loss")),
    ("Accuracy", ("train_accuracy", "valid_accuracy")),
)
STATES = {
    "validating_files": "the service looks at the files",
    "queued": "it waits for its turn",
    "running": "it is being trained",
    "paused": "it is paused (%jobs resume)",
    "succeeded": "it is done",
    "failed": "it failed",
    "cancelled": "it was cancelled",
}


def spark(values: Sequence[float], width: int = WIDTH) -> str:
    """Return numbers as a line of blocks, the mean of those that share one."""
    held = [value for value in values if math.isfinite(value)]
    if not held:
        return ""
    count = min(width, len(held))
    edges = [len(held) * n // count for n in range(count + 1)]
    means = [math.fsum(held[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, span = min(means), (max(means) - min(means)) or 1.0
    return "".join(BLOCKS[min(7, int(8 * (value - low) / span))] for value in means)


def curves(state: State) -> Bundle:
    """Return the curves of a job: pictures, and in text a line each."""
    points = jobs.points(state.events, state.result)
    if not points:
        over = jobs.ended(state.job)
        text = "The job has ended without figures." if over else "No figures have come yet."
        return {"text/plain": text, "text/html": f"<p>{text}</p>"}, {}
    width = max(len(TITLES[name]) for name in points)
    lines = [
        f"{TITLES[name]:<{width}}  {spark([y for _, y in line])}  "
        f"{line[0][1]:.4g} to {line[-1][1]:.4g} (step {line[-1][0]:.0f})"
        for name, line in points.items()
    ]
    drawn = []
    for title, names in PICTURES:
        series = {TITLES[name]: points[name] for name in names if name in points}
        if series:
            label = f"{title} by step of {state.job.get('id')}"
            drawn.append(f"<div><strong>{title}</strong></div>{charts.curves(series, label)}")
    return {"text/plain": "\n".join(lines), "text/html": "".join(drawn)}, {}


def _facts(job: Mapping[str, Any]) -> list[tuple[str, str]]:
    status = str(job.get("status"))
    rows = [
        ("job", str(job.get("id"))),
        ("status", f"{status}: {STATES[status]}" if status in STATES else status),
        ("model", str(job.get("model"))),
    ]
    if job.get("trained_tokens") is not None:
        rows.append(("tokens trained on", f"{job['trained_tokens']:,}"))
    if hyper := _settings(job):
        rows.append(("settings", ", ".join(f"{k} {v}" for k, v in hyper.items() if v is not None)))
    if error := (job.get("error") or {}).get("message"):
        rows.append(("error", str(error)))
    if tuned := job.get("fine_tuned_model"):
        rows += [("tuned model", str(tuned)), ("ask it", f"%%ask -m {tuned}")]
    return rows


def _settings(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters of a job; those of its method alone stand in the method."""
    method = job.get("method")
    inner = method.get(method.get("type")) if isinstance(method, Mapping) else None
    own = inner.get("hyperparameters") if isinstance(inner, Mapping) else None
    return {**(job.get("hyperparameters") or {}), **(own or {})}


def _joined(*bundles: Bundle) -> Bundle:
    plain = "\n\n".join(data["text/plain"] for data, _ in bundles)
    shown = "".join(data["text/html"] for data, _ in bundles)
    return {"text/plain": plain, "text/html": shown}, {}


def state_bundle(state: State) -> Bundle:
    """Return a job and its curves; while it runs, with a progress bar and the time left."""
    rows = _facts(state.job)
    if not jobs.ended(state.job):
        done, total = jobs.progress(state.job, state.events)
        if total:
            rows.append(("steps", bar("", done, total, "steps").strip()))
        if state.left is not None:
            rows.append(("time left", f"about {_duration(state.left)}"))
        if state.events:
            rows.append(("last event", str(state.events[-1].get("message"))))
    return _joined(render.table(rows), curves(state))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def job_bundle(job: Mapping[str, Any], lineage: Sequence[tuple[str, str]]) -> Bundle:
    """Return a job and what it was made of."""
    rows = _facts(job)
    held = {name for name, _ in rows} | {"base model"}
    return render.table([*rows, *(row for row in lineage if row[0] not in held)])


def started_bundle(job: Mapping[str, Any], summary: Sequence[tuple[str, str]]) -> Bundle:
    """Return a job that was started, and the summary of its data."""
    rows = [*_facts(job), ("watch it", f"%jobs watch {job.get('id')}"), *summary]
    return render.table(rows)


def exported_bundle(made: Mapping[str, Any]) -> Bundle:
    """Return what was exported: the folder, its files, and how they are used."""
    folder = made["folder"]
    files = [(f"  {name}", f"{size / 1e6:,.1f} MB") for name, size in made["files"].items()]
    rows = [
        ("model", str(made["model"])),
        ("folder", str(folder)),
        *files,
        ("use it", f"OPENAI_MAGICS_LOCAL_MODEL={folder}/model.gguf, or any program of llama.cpp"),
        ("where it comes from", f"{folder}/README.md"),
    ]
    return render.table(rows)


REMEDIES = {
    "invalid_training_file": "Look at the data: %train check DATA (--fix writes a mended copy).",
    "invalid_validation_file": "Look at the validation data: %train check DATA.",
    "invalid_n_examples": "Add examples, then start again.",
    "server_error": "Start it again: %train start … --fresh",
    "out_of_memory": "Start it with a smaller batch (--batch-size 1) or a smaller model.",
}


def failed(job: Mapping[str, Any]) -> JobFailed:
    """Return the error for a job that failed."""
    error = job.get("error") or {}
    said = str(error.get("message") or "no reason was given").rstrip(".")
    remedy = REMEDIES.get(str(error.get("code")), f"See what happened: %jobs events {job['id']}")
    return JobFailed(f"The job {job['id']} failed: {said}.", remedy)
