"""Fine-tuning jobs, kept in memory: ``server.training``.

A job goes ``validating_files``, ``queued``, ``running`` (and as many times more as it has
``steps``), then ``succeeded`` or ``failed``: one such move each time the job is retrieved
(``pace = "poll"``), or each ``pace`` seconds, or only by ``move`` (``pace = "hand"``). A paused
job does not move. When it
has succeeded, its result file can be read and its model is one of ``server.models``.
"""

from __future__ import annotations

import base64
import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tests.scripted.errors import error
from tests.scripted.routes import page
from tests.scripted.wire import CREATED, Plan, Refusal, Reply, Request, as_json

if TYPE_CHECKING:
    from tests.scripted.server import ScriptedServer

JOB = "/fine_tuning/jobs/{fine_tuning_job_id}"
TUNABLE = re.compile(r"(ft:)?(gpt-4|gpt-3\.5-turbo|o4-mini|babbage-002|davinci-002)")
FORMATS = {"supervised": "messages", "dpo": "preferred_output", "reinforcement": "messages"}


@dataclass
class Job:
    """A job: what the API shows of it, its model's suffix, events and checkpoints in order."""

    shown: dict[str, Any]
    suffix: str
    events: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    moved: float = field(default_factory=time.monotonic)


class Training:
    """The jobs of a server, and how they go.

    *refuse* answers every new job (``closed()``), *base64* encodes result files as the service
    sometimes does, *least* is the number of examples below which a job fails.
    """

    def __init__(self, server: ScriptedServer) -> None:
        self.pace: Literal["poll", "hand"] | float = "poll"
        self.steps = 3
        self.outcome: Literal["succeeded", "failed"] = "succeeded"
        self.base64 = False
        self.least = 10
        self.refuse: Reply | None = None
        self.jobs: dict[str, Job] = {}
        self._server = server
        self._ticks = 0
        server.route("GET", "/fine_tuning/jobs", self._list_jobs)
        server.route("POST", "/fine_tuning/jobs", self._create)
        server.route("GET", JOB, self._retrieve)
        server.route("GET", f"{JOB}/events", self._events)
        server.route("GET", f"{JOB}/checkpoints", self._checkpoints)
        server.route("POST", f"{JOB}/cancel", self._cancel)
        server.route("POST", f"{JOB}/pause", self._pause)
        server.route("POST", f"{JOB}/resume", self._resume)

    def move(self, name: str) -> str:
        """Move the job called *name* one state (or step) on and return its status."""
        job = self.jobs[name]
        job.moved = time.monotonic()
        status = job.shown["status"]
        if status == "validating_files":
            self._validate(job)
        elif status == "queued":
            job.shown["status"] = "running"
            job.shown["estimated_finish"] = self._now() + 600
            self._event(job, "Fine-tuning job started")
        elif status == "running" and self.outcome == "failed":
            self._fail(job, "server_error", "The job failed due to an internal error.", None)
        elif status == "running" and len(job.checkpoints) < self.steps:
            self._step(job)
        elif status == "running":
            self._succeed(job)
        return str(job.shown["status"])

    def _now(self) -> int:
        self._ticks += 1
        return CREATED + self._ticks

    def _event(self, job: Job, message: str, level: str = "info", data: Any = None) -> None:
        event = {"object": "fine_tuning.job.event", "created_at": self._now(), "level": level}
        event |= {"id": f"ftevent-{self._ticks:06d}", "message": message}
        event |= {"type": "metrics" if data else "message", "data": data or {}}
        job.events.append(event)

    def _validate(self, job: Job) -> None:
        method = job.shown["method"]["type"]
        lines = self._server.files.contents[job.shown["training_file"]].decode().splitlines()
        for number, line in enumerate(lines, 1):
            try:
                wrong = FORMATS[method] not in json.loads(line)
            except ValueError:
                wrong = True
            if wrong:
                text = f"Invalid file format. Line {number} has no valid '{FORMATS[method]}'."
                return self._fail(job, "invalid_training_file", text, "training_file")
        if len(lines) < self.least:
            text = f"Training file has {len(lines)} example(s), but must have at least "
            text += f"{self.least} examples"
            return self._fail(job, "invalid_n_examples", text, "training_file")
        job.shown["status"] = "queued"
        return self._event(job, "Files validated, moving job to queued state")

    def _step(self, job: Job) -> None:
        step = len(job.checkpoints) + 1
        loss, accuracy = round(2.0 / step, 4), round(1 - 0.5 / step, 4)
        metrics = {"step": step, "train_loss": loss, "train_mean_token_accuracy": accuracy}
        text = f"Step {step}/{self.steps}: training loss={loss:.2f}"
        self._event(job, text, data={**metrics, "total_steps": self.steps})
        job.checkpoints.append(
            {
                "object": "fine_tuning.job.checkpoint",
                "id": f"ftckpt_{job.shown['id']}_{step}",
                "created_at": self._now(),
                "fine_tuned_model_checkpoint": f"{self._model(job)}:ckpt-step-{step}",
                "fine_tuning_job_id": job.shown["id"],
                "step_number": step,
                "metrics": metrics,
            }
        )

    def _model(self, job: Job) -> str:
        base = job.shown["model"].removeprefix("ft:").partition(":")[0]
        return f"ft:{base}:org-scripted:{job.suffix}:{job.shown['id'][-6:]}"

    def _succeed(self, job: Job) -> None:
        rows = ["step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"]
        for each in job.checkpoints:
            m = each["metrics"]
            rows.append(f"{m['step']},{m['train_loss']},{m['train_mean_token_accuracy']},,")
        content = ("\n".join(rows) + "\n").encode()
        content = base64.b64encode(content) if self.base64 else content
        result = self._server.files.add("step_metrics.csv", content, "fine-tune-results")
        model = self._model(job)
        self._server.models.add(model)
        job.shown |= {"status": "succeeded", "fine_tuned_model": model, "result_files": [result]}
        job.shown |= {"finished_at": self._now(), "trained_tokens": 1000 * self.steps}
        job.shown["estimated_finish"] = None
        self._event(job, f"New fine-tuned model created: {model}")
        self._event(job, "The job has successfully completed")

    def _fail(self, job: Job, code: str, message: str, param: str | None) -> None:
        job.shown |= {"status": "failed", "finished_at": self._now(), "estimated_finish": None}
        job.shown["error"] = {"code": code, "message": message, "param": param}
        self._event(job, f"The job failed: {message}", "error")

    def _create(self, request: Request) -> Reply:
        given = request.json
        if self.refuse is not None:
            return self.refuse
        for name in ("training_file", "validation_file"):
            if given.get(name) is not None and given[name] not in self._server.files.shown:
                return error(400, None, f"invalid {name}: {given[name]}", param=name)
        if not TUNABLE.match(given["model"]):
            text = f"Model {given['model']} is not available for fine-tuning or does not exist."
            return error(400, "model_not_available", text, param="model")
        name = f"ftjob-{len(self.jobs) + 1:06d}"
        method = given.get("method") or {"type": "supervised"}
        inner = method.get(method["type"]) or {}
        chosen = inner.get("hyperparameters") or {}
        chosen = {**(given.get("hyperparameters") or {}), **chosen}
        automatic = {"n_epochs": 3, "batch_size": 1, "learning_rate_multiplier": 1.8}
        used = {
            key: value if chosen.get(key, "auto") == "auto" else chosen[key]
            for key, value in automatic.items()
        }
        job = Job(
            {
                "object": "fine_tuning.job",
                "id": name,
                "created_at": self._now(),
                "model": given["model"],
                "organization_id": "org-scripted",
                "status": "validating_files",
                "training_file": given["training_file"],
                "validation_file": given.get("validation_file"),
                "hyperparameters": used,
                "method": {
                    "type": method["type"],
                    method["type"]: {**inner, "hyperparameters": {**chosen, **used}},
                },
                "seed": given.get("seed") or 42,
                "metadata": given.get("metadata"),
                "integrations": [],
                "result_files": [],
                **dict.fromkeys(("error", "fine_tuned_model", "finished_at", "trained_tokens")),
                "estimated_finish": None,
            },
            given.get("suffix") or "",
        )
        self.jobs[name] = job
        self._event(job, f"Created fine-tuning job: {name}")
        self._event(job, f"Validating training file: {given['training_file']}")
        return as_json(job.shown)

    def _list_jobs(self, request: Request) -> Reply:
        wanted = {
            key.removeprefix("metadata[").removesuffix("]"): value
            for key, value in request.query.items()
            if key.startswith("metadata[")
        }
        found = [
            job.shown
            for job in reversed(self.jobs.values())
            if wanted.items() <= (job.shown["metadata"] or {}).items()
        ]
        return as_json(page(found, request.query, default=20))

    def _retrieve(self, request: Request, fine_tuning_job_id: str) -> Reply:  # noqa: ARG002
        job = self._find(fine_tuning_job_id)
        if self.pace == "poll":
            self.move(fine_tuning_job_id)
        elif self.pace != "hand":
            for _ in range(int((time.monotonic() - job.moved) // self.pace)):
                self.move(fine_tuning_job_id)
        return as_json(job.shown)

    def _events(self, request: Request, fine_tuning_job_id: str) -> Reply:
        job = self._find(fine_tuning_job_id)
        return as_json(page(job.events[::-1], request.query, default=20))

    def _checkpoints(self, request: Request, fine_tuning_job_id: str) -> Reply:
        job = self._find(fine_tuning_job_id)
        return as_json(page(job.checkpoints[::-1], request.query, default=10, named=True))

    def _cancel(self, request: Request, fine_tuning_job_id: str) -> Reply:  # noqa: ARG002
        job = self._find(fine_tuning_job_id, "cancel", "validating_files queued running paused")
        job.shown |= {"status": "cancelled", "finished_at": self._now(), "estimated_finish": None}
        self._event(job, "Fine-tuning job cancelled")
        return as_json(job.shown)

    def _pause(self, request: Request, fine_tuning_job_id: str) -> Reply:  # noqa: ARG002
        job = self._find(fine_tuning_job_id, "pause", "running")
        job.shown["status"] = "paused"
        self._event(job, "Fine-tuning job paused")
        return as_json(job.shown)

    def _resume(self, request: Request, fine_tuning_job_id: str) -> Reply:  # noqa: ARG002
        job = self._find(fine_tuning_job_id, "resume", "paused")
        job.shown["status"] = "queued"
        self._event(job, "Fine-tuning job resumed")
        return as_json(job.shown)

    def _find(self, name: str, act: str = "", states: str = "") -> Job:
        """Return the job called *name*, which must be in one of *states* to *act* on it."""
        job = self.jobs.get(name)
        if job is None:
            text = f"Could not find fine tune: {name}"
            raise Refusal(error(404, "fine_tune_not_found", text, param="fine_tune_id"))
        if states and job.shown["status"] not in states.split():
            text = f"Cannot {act} job {name}: it is {job.shown['status']}."
            raise Refusal(error(400, None, text))
        return job


def closed() -> Plan:
    """403: hosted fine-tuning takes no new jobs of this organisation."""
    text = "Fine-tuning is no longer available to your organization."
    return error(403, "permission_denied", text)
