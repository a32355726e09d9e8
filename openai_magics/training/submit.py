"""Starting a job: upload what is not there yet, and submit once, whatever is lost on the way.

A file is known at the service by its name, which holds its SHA-256, and its size. A job carries
the fingerprint of the request that started it in its metadata; before submitting, and before
submitting again after an answer was lost, the jobs of the service are looked through for one
with this fingerprint that nobody here knows of.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from openai_magics import failures
from openai_magics.calls import Listener
from openai_magics.errors import AccessRefused, Interrupted, RequestRefused, ServiceError
from openai_magics.exchange import Reply, Request
from openai_magics.logs import kind
from openai_magics.pages import Pages
from openai_magics.replay import Sender
from openai_magics.training.material import Material

__all__ = ["MARK", "Submitting"]

MARK = "openai_magics"
"""The key of a job's metadata under which its request's fingerprint stands."""
LOOKED_AT = 200
"""Jobs that are looked through: one whose answer was lost is among the newest."""
TRIES = 4
CLOSED = (
    "OpenAI's fine-tuning has been closed to new organisations since 2026-05-07 and to inactive "
    "ones since 2026-07-02; it takes no new job from anybody from 2027-01-06 on. The same cell "
    "trains on this machine (%openai use local), or on any server with fine_tuning/jobs (Azure, "
    "Nebius, a LiteLLM proxy: %openai use https://…/v1)."
)
TUNABLE = (
    "Name one that can: at OpenAI gpt-4.1, gpt-4.1-mini, gpt-4.1-nano or gpt-4o-mini (--model); "
    "on this machine --model local."
)
STOPPED = (
    "stopped before the job was known to be started; run the cell again: what was uploaded or "
    "submitted is found, and not sent twice"
)
REFUSED = "Change what the job says, then run the cell again: %train? lists what it takes."


@dataclass
class Submitting:
    """The sender that starts a job.

    Attributes
    ----------
    live : Sender
        Asks.
    upload : callable
        Takes the request for an upload through, so that it is recorded.
    training, validation : Material
    known : callable
        Gives the ids of the jobs that were started from here.
    about : callable
        Asks the person, before anything is sent, and raises where the answer is no; gives what
        the record keeps beside the job: the data, and where it was made.
    model : str, optional
        The model where the request names none.
    pause : float
        Seconds to wait after an answer that was lost.
    """

    live: Sender
    upload: Callable[[Request, Listener], Reply]
    training: Material
    validation: Material | None
    known: Callable[[], set[str]]
    about: Callable[[], Mapping[str, Any]]
    model: str | None = None
    pause: float = 1.0
    _files: list[dict[str, Any]] | None = field(default=None, repr=False)

    def send(self, request: Request, listener: Listener = Listener()) -> Reply:
        """Return the reply whose payload is the job.

        Raises
        ------
        NotConnected, ServiceError, Interrupted
            As `Live.send`; a closed platform and a model that cannot be tuned say what to do.
        """
        about = self.about()
        try:
            reply = self._submitted(request, listener)
            return replace(reply, payload={**reply.payload, MARK: dict(about)})
        except KeyboardInterrupt:
            raise Interrupted(said=STOPPED) from None
        except AccessRefused as problem:
            raise _told(problem, "The service takes no fine-tuning job", CLOSED) from None
        except RequestRefused as problem:
            said = problem.problem.lower()
            if "not available for fine-tuning" in said or problem.code == "model_not_available":
                raise _told(problem, "The model cannot be fine-tuned", TUNABLE) from None
            problem.remedy = REFUSED
            raise
        finally:
            listener.notice("")

    async def asend(self, request: Request, listener: Listener = Listener()) -> Reply:
        """As `send`, without blocking the event loop."""
        return await asyncio.to_thread(self.send, request, listener)

    def _submitted(self, request: Request, listener: Listener) -> Reply:
        mark = request.fingerprint
        files = {"training_file": self._file(request, self.training, listener)}
        if self.validation is not None:
            files["validation_file"] = self._file(request, self.validation, listener)
        body = {**_body(request.parameters), **files}
        body["metadata"] = {**(request.parameters.get("metadata") or {}), MARK: mark}
        known = self.known()
        model = self.model if request.model is None else request.model
        asked = replace(request, model=model, parameters=body)
        for left in range(TRIES - 1, -1, -1):
            if (job := self._lost(request, body, known, listener)) is not None:
                listener.notice(f"The job {job.payload['id']} was submitted before: not again.")
                return job
            try:
                return self.live.send(asked, listener)
            except ServiceError as problem:
                if not failures.is_passing(problem) or not left:
                    raise
                wait = self.pause if problem.retry_after is None else problem.retry_after
                looking = "Looking whether the job was submitted."
                listener.notice(f"{problem.problem} {looking}", f"{kind(problem)}. {looking}")
                time.sleep(min(wait, 60.0))
        raise AssertionError("the last try raises")

    def _file(self, request: Request, wanted: Material, listener: Listener) -> str:
        """Return the id of a file, uploading it where it is not there."""
        for held in self._listed(request, listener):
            if (
                held.get("filename") == wanted.filename
                and held.get("bytes") == wanted.size
                and held.get("status") != "error"
            ):
                return str(held["id"])
        said = {**wanted.said, "filename": wanted.filename, "purpose": "fine-tune"}
        asked = Request(kind="file", endpoint=request.endpoint, parameters=said, upload=wanted.path)
        return str(self.upload(asked, listener).payload["id"])

    def _listed(self, request: Request, listener: Listener) -> Sequence[Mapping[str, Any]]:
        if self._files is None:
            asked = Request(
                kind="files", endpoint=request.endpoint, parameters={"purpose": "fine-tune"}
            )
            self._files = self._data(asked, listener)
        return self._files

    def _lost(
        self, request: Request, body: Mapping[str, Any], known: set[str], listener: Listener
    ) -> Reply | None:
        """Return the job that this very request started, if nobody here knows of it."""
        asked = Request(kind="jobs", endpoint=request.endpoint)
        for job in self._data(asked, listener):
            metadata = job.get("metadata") or {}
            if job.get("id") in known:
                continue
            same = metadata.get(MARK) == request.fingerprint
            if not metadata:  # a server that keeps none
                same = all(
                    job.get(name) == body.get(name) for name in ("training_file", "validation_file")
                ) and str(job.get("model")).startswith(request.model or "")
            if same:
                asked = Request(
                    kind="job", endpoint=request.endpoint, parameters={"job": job["id"]}
                )
                return self.live.send(asked, listener)
        return None

    def _data(self, asked: Request, listener: Listener) -> list[dict[str, Any]]:
        """Return a listing; nothing where the service has no such route."""
        try:
            payload = Pages(self.live, LOOKED_AT).send(asked, listener).payload
        except ServiceError as problem:
            if failures.is_passing(problem) or isinstance(problem, AccessRefused):
                raise
            return []
        return list(payload["data"])


def _body(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a submission without its files."""
    method = str(said["method"])
    hyper = said.get("hyperparameters")
    body: dict[str, Any] = {
        "method": {"type": method, method: {"hyperparameters": hyper} if hyper else {}}
    }
    if (grader := said.get("grader")) is not None:
        body["method"][method]["grader"] = grader
    kept = ("suffix", "seed", "integrations")
    return body | {name: said[name] for name in kept if said.get(name) is not None}


def _told(problem: ServiceError, what: str, remedy: str) -> ServiceError:
    said = problem.problem.partition(": ")[2] or problem.problem
    made = type(problem)(
        f"{what}: {said}",
        remedy,
        problem.status,
        problem.code,
        problem.request_id,
        problem.retry_after,
    )
    made.reply = problem.reply
    return made
