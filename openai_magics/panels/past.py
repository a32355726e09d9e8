"""What was done in panels before, as the dialogue file tells it.

A panel holds its state in the kernel. After a restart, and for whoever opens the notebook without
a kernel, what it shows comes from here: a function of the records alone, so that a replay
anywhere shows the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from openai_magics.browse import Pattern
from openai_magics.chains import mark_of
from openai_magics.images.shown import SMALL_IMAGE
from openai_magics.panels.table import Column, Row

if TYPE_CHECKING:
    from openai_magics.exchange import Exchange
    from openai_magics.training.follow import State
    from openai_magics.views import Dialogue

__all__ = ["JOBS", "described", "job_rows", "jobs", "models"]

MOST = 200
"""Records of a kind that are looked at, the newest."""
JOBS = (
    Column("id", "job"),
    Column("status", "status"),
    Column("model", "model"),
    Column("fine_tuned_model", "tuned model"),
    Column("trained_tokens", "tokens", "right"),
)
STATE = ("watch", "progress")
"""Records that hold a job with its events; the others hold the job alone."""
JOB = ("train", "job", "cancel", "pause", "resume")


def _standing(dialogue: Dialogue, *kinds: str) -> Iterator[Exchange]:
    """Yield the records of these kinds that stand, in the order of the file."""
    browser = dialogue.browse()
    browser.refresh()
    rows = [row for kind in kinds for row in browser.find(Pattern(kind=kind))[:MOST]]
    for row in sorted(rows):
        item = browser.exchange(row)
        if item.reply is not None and not mark_of(item):
            yield item


def described(dialogue: Dialogue) -> list[Row]:
    """Return a row an image that was described in a panel, with what was said of it last.

    The cells are the name (in place of the picture, and again), the text, and the state.

    Raises
    ------
    DialogueError
        The file cannot be read.
    """
    found: dict[str, Row] = {}
    for item in _standing(dialogue, "describe"):
        image = next(iter(item.resolved.images), {})
        if item.made_in is None or item.reply is None or not image:
            continue
        name = str(image.get("name") or "image")
        small = str(image.get("thumbnail"))
        key = str(image.get("sha256") or item.id)
        said = item.reply.text or item.reply.refusal or ""
        picture = small if SMALL_IMAGE.fullmatch(small) else ""
        found.pop(key, None)  # the last one described stands last
        found[key] = Row(key, (name, name, said, "recorded"), "", picture)
    return list(found.values())


def jobs(dialogue: Dialogue) -> list[State]:
    """Return the jobs that the file knows as they were seen last, the newest first.

    Raises
    ------
    DialogueError
        The file cannot be read.
    """
    from openai_magics.training.follow import State

    found: dict[str, State] = {}
    for item in _standing(dialogue, *JOB, *STATE):
        payload: Any = item.reply.payload if item.reply is not None else None
        whole = item.request.kind in STATE
        job = payload.get("job") if isinstance(payload, dict) and whole else payload
        if not isinstance(job, dict) or not job.get("id"):
            continue
        before = found.get(str(job["id"]), State())
        found[str(job["id"])] = (
            State.of(payload)
            if whole
            else State(dict(job), before.events, before.checkpoints, before.result)
        )
    return list(found.values())[::-1]


def job_rows(states: list[State]) -> list[Row]:
    """Return a row a job."""
    rows = []
    for state in states:
        job = state.job
        trained = job.get("trained_tokens")
        told = [str(job.get(column.name) or "") for column in JOBS[:-1]]
        tokens = f"{trained:,}" if isinstance(trained, int) else ""
        rows.append(Row(told[0], (*told, tokens)))
    return rows


def models(dialogue: Dialogue) -> Exchange | None:
    """Return the record of the listing of models that was made last, ``None`` without one.

    Raises
    ------
    DialogueError
        The file cannot be read.
    """
    found = None
    for found in _standing(dialogue, "models"):  # noqa: B007 - the last one is wanted
        pass
    return found
