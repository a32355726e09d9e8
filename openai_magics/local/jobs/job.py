"""One fine-tuning job on the disk: its state, its events, and what its trainer leaves.

::

    jobs/<job id>/
      job.json          {"shown": what the API shows, "settings": what it does not, "order": ns}
      job.lock          held while the state is changed or an event is added
      events.jsonl      one event a line, the oldest first
      metrics.jsonl     one step a line
      checkpoints/      <step>/: adapter_model.safetensors, adapter_config.json, adapter.gguf,
                        checkpoint.json (last, so a folder without it is none)
      resume/           where the trainer goes on after an interruption
      stop              there while the trainer is to stop
      outcome.json      how the trainer ended
      trainer.log       what it said
      reserve           room on the disk for saying that there is none

The front of the engine creates, cancels, pauses and resumes; the queue does all other moves;
the trainer of a job adds events, metrics, checkpoints and the outcome, and moves nothing.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from openai_magics.local import OWNER
from openai_magics.local.jobs import store

__all__ = ["CANCELLABLE", "FINISHED", "Job", "WrongState", "every", "find", "model_name"]

FINISHED = frozenset({"succeeded", "failed", "cancelled"})
CANCELLABLE = frozenset({"validating_files", "queued", "running", "paused"})
RESERVE = 64 * 1024
"""Bytes kept in each job's folder."""


class WrongState(Exception):
    """The job's ``status`` does not allow what was asked."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class Job:
    """A job, by its folder; every reading is of what is on the disk now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name

    @property
    def checkpoints_folder(self) -> Path:
        """Where the checkpoints are, a folder each."""
        return self.folder / "checkpoints"

    @property
    def stop_file(self) -> Path:
        """There while the trainer is to stop at its next step, keeping what it has."""
        return self.folder / "stop"

    def read(self) -> dict[str, Any]:
        """Return ``{"shown", "settings", "order"}``.

        Raises
        ------
        OSError, ValueError
            There is no such job.
        """
        return store.read(self.folder / "job.json")

    @property
    def shown(self) -> dict[str, Any]:
        """What the API shows."""
        value: dict[str, Any] = self.read()["shown"]
        return value

    @property
    def settings(self) -> dict[str, Any]:
        """What it does not: ``suffix``, ``base``, ``options``, …."""
        value: dict[str, Any] = self.read()["settings"]
        return value

    @property
    def status(self) -> str:
        """The state it is in."""
        return str(self.shown["status"])

    def create(self, shown: dict[str, Any], settings: dict[str, Any]) -> None:
        """Write a new job, and the events that tell so.

        Raises
        ------
        OSError
            There is no room; nothing is left behind.
        """
        try:
            self.folder.mkdir()
            (self.folder / "reserve").write_bytes(bytes(RESERVE))
            self.event(f"Created fine-tuning job: {self.id}")
            self.event(f"Validating training file: {shown['training_file']}")
            store.write(
                self.folder / "job.json",
                {"shown": shown, "settings": settings, "order": time.time_ns()},
            )
        except OSError:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    @contextmanager
    def changing(self, *states: str) -> Iterator[dict[str, Any]]:
        """Give all that `read` returns, to be changed; written when the block ends well.

        Parameters
        ----------
        *states : str
            Those in which it may be changed; none: in every one.

        Raises
        ------
        WrongState
            It is in another state.
        OSError
            It could not be written; it is as before.
        """
        with store.locked(self.folder / "job.lock"):
            value = self.read()
            if states and value["shown"]["status"] not in states:
                raise WrongState(value["shown"]["status"])
            yield value
            store.write(self.folder / "job.json", value)

    def finish(
        self,
        status: str,
        *states: str,
        says: Sequence[str] = (),
        level: str = "info",
        **fields: Any,
    ) -> dict[str, Any]:
        """End the job from one of *states*, with events; return what is shown then."""
        with self.changing(*states) as value:
            shown: dict[str, Any] = value["shown"]
            shown |= {"status": status, "finished_at": int(time.time()), "estimated_finish": None}
            shown |= fields
            # Who sees that it has ended asks for its events once more, and never again.
            with suppress(OSError):
                for text in says:
                    self.event(text, level)
        shutil.rmtree(self.folder / "resume", ignore_errors=True)
        return shown

    def fail(self, code: str, message: str, param: str | None = None, *states: str) -> None:
        """End the job with an error, also where the disk is full."""
        with suppress(OSError):
            (self.folder / "reserve").unlink()
        # What it would go on from is of no use any more, and may be what filled the disk.
        shutil.rmtree(self.folder / "resume", ignore_errors=True)
        error = {"code": code, "message": message, "param": param}
        says = [f"The job failed: {message}"]
        self.finish("failed", *states, says=says, level="error", error=error)

    def event(self, message: str, level: str = "info", data: dict[str, Any] | None = None) -> None:
        """Add an event; one with *data* is of type ``metrics``."""
        with store.locked(self.folder / "events.lock"):
            path = self.folder / "events.jsonl"
            number = store.new_id("ftevent-")
            event: dict[str, Any] = {
                "object": "fine_tuning.job.event",
                "id": number,
                "level": level,
            }
            event |= {"created_at": int(time.time()), "message": message}
            event |= {"type": "metrics" if data else "message", "data": data or {}}
            with path.open("ab") as file:
                before = file.tell()
                try:
                    # A new line first: the one before may have been cut off by a crash.
                    file.write(b"\n" + json.dumps(event).encode() + b"\n")
                    file.flush()
                except OSError:
                    file.truncate(before)
                    raise

    def events(self) -> list[dict[str, Any]]:
        """Return the events, the oldest first."""
        return _lines(self.folder / "events.jsonl")

    def metrics(self) -> list[dict[str, Any]]:
        """Return what the trainer measured, a row a step."""
        return _lines(self.folder / "metrics.jsonl")

    def checkpoints(self) -> list[dict[str, Any]]:
        """Return the checkpoints as the API shows them, the oldest first."""
        found = []
        for path in self.checkpoints_folder.glob("*/checkpoint.json"):
            with suppress(OSError, ValueError):
                found.append(store.read(path))
        return sorted(found, key=lambda each: int(each["step_number"]))

    @property
    def model(self) -> str:
        """What its tuned model is called, or will be."""
        value = self.read()
        return model_name(value["settings"]["base"]["name"], value["settings"]["suffix"], self.id)


def model_name(base: str, suffix: str, number: str) -> str:
    """Return the name of a tuned model, shaped as OpenAI's are."""
    return f"ft:{base}:{OWNER}:{suffix}:{number[-8:]}"


def every(kept: store.Store) -> list[Job]:
    """Return all jobs of a store, the oldest first."""
    found = []
    for folder in kept.jobs.glob("ftjob-*"):
        with suppress(OSError, ValueError):
            found.append((Job(folder).read()["order"], folder))
    return [Job(folder) for _, folder in sorted(found)]


def find(kept: store.Store, number: str) -> Job | None:
    """Return the job of that id, ``None`` where there is none."""
    job = Job(kept.jobs / number)
    if not store.is_id(number, "ftjob-") or not (job.folder / "job.json").is_file():
        return None
    return job


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    found = []
    for line in content.splitlines():
        with suppress(ValueError):  # being written, or cut off by a crash
            found.append(json.loads(line))
    return found
