"""Watching a job until it ends: many requests, one record.

What is recorded is how the job ended, with all its events, checkpoints and figures, under the
one request "watch this job". So a replay shows the end at once; and watching that was stopped
(by the person, a killed kernel) leaves nothing that a replay could freeze at: it goes on.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from openai_magics import failures
from openai_magics.calls import Listener
from openai_magics.errors import Interrupted, ServiceError
from openai_magics.exchange import Reply, Request
from openai_magics.logs import kind
from openai_magics.pages import Pages
from openai_magics.replay import Sender
from openai_magics.training import jobs

__all__ = ["Following", "State", "WatchingStopped"]

QUICK, SLOW = 0.5, 15.0
"""Seconds between two looks at a job: at first, and at most."""
LISTED = 250
"""Events that a record keeps whole: of more, what the result file tells of steps is left out."""
PATIENCE = 20
"""Looks in a row that may fail before watching does."""


class WatchingStopped(Interrupted):
    """The person stopped watching a job; the job goes on."""

    def __init__(self, job: str) -> None:
        super().__init__()
        self.args = (job,)
        self.job = job

    def __str__(self) -> str:
        return f"stopped watching; the job goes on (%jobs watch {self.job})"


@dataclass
class State:
    """A job as it is seen at a moment.

    ``job`` and ``checkpoints`` as the API shows them, ``events`` the oldest first and each once,
    ``result`` the text of the result file. ``left`` is how many seconds it may still take.
    """

    job: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    result: str | None = None
    left: float | None = None

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> State:
        """Return the state that a record holds."""
        return cls(
            dict(payload["job"]),
            list(payload.get("events") or ()),
            list(payload.get("checkpoints") or ()),
            payload.get("result"),
        )

    @property
    def payload(self) -> dict[str, Any]:
        """What is recorded."""
        events = self.events
        if self.result and len(events) > LISTED:  # the same figures, at a tenth of the size
            events = [item for item in events if item.get("type") != "metrics"]
        return {
            "job": self.job,
            "events": events,
            "checkpoints": self.checkpoints,
            "result": self.result,
        }


class Following:
    """The sender that looks at a job again and again until it ends.

    Parameters
    ----------
    live : Sender
        Asks.
    on_state : callable, optional
        Gets the state each time it was looked at.
    every : float, optional
        Seconds between two looks; by default from half a second up to 15.
    once : bool
        Look once, whether the job has ended or not.
    """

    def __init__(
        self,
        live: Sender,
        on_state: Callable[[State], None] | None = None,
        every: float | None = None,
        *,
        once: bool = False,
    ) -> None:
        self.live = live
        self.once = once
        self.on_state = on_state
        self.every = every
        self._stop = threading.Event()
        self._seen: set[str] = set()
        self._first: tuple[float, int] | None = None

    def send(self, request: Request, listener: Listener = Listener()) -> Reply:
        """Return the reply when the job has ended; its payload is that of a `State`.

        Raises
        ------
        WatchingStopped
            The person stopped it.
        ServiceError
            The job is not known, or cannot be looked at for long.
        """
        name = str(request.parameters["job"])
        try:
            return self._follow(request, listener)
        except KeyboardInterrupt:
            raise WatchingStopped(name) from None
        finally:
            listener.notice("")

    async def asend(self, request: Request, listener: Listener = Listener()) -> Reply:
        """As `send`, without blocking the event loop."""
        try:
            return await asyncio.to_thread(self.send, request, listener)
        except asyncio.CancelledError:
            self._stop.set()
            raise

    def _follow(self, request: Request, listener: Listener) -> Reply:
        state, failed, pause = State(), 0, QUICK
        while True:
            before = state.job.get("status"), len(state.events)
            try:
                reply = self._look(request, state)
                failed = 0
            except ServiceError as problem:
                failed += 1
                if (
                    not failures.is_passing(problem)
                    or failed > PATIENCE
                    or not state.job
                    or self.once
                ):
                    raise
                again = "The job is looked at again."
                listener.notice(f"{problem.problem} {again}", f"{kind(problem)}. {again}")
            else:
                if self.on_state is not None:
                    self.on_state(state)
                if self.once or jobs.ended(state.job):
                    return replace(reply, payload=state.payload)
            moved = (state.job.get("status"), len(state.events)) != before
            pause = QUICK if moved else min(pause * 1.5, SLOW)
            if self._stop.wait(self.every if self.every is not None else pause):
                raise KeyboardInterrupt

    def _look(self, request: Request, state: State) -> Reply:
        """Bring *state* up to date; return the reply that told of the job."""
        reply = self._ask(request, "job")
        job = dict(reply.payload)
        # The events after the state: what is said of an end has then come.
        state.events += self._news(request)
        if self.once or jobs.ended(job):
            pages = Pages(self.live)
            kind = replace(request, kind="checkpoints")
            state.checkpoints = _or_nothing(lambda: pages.send(kind).payload["data"], [])
            files = job.get("result_files") or ()
            if files:
                wanted = replace(request, kind="content", parameters={"file": files[0]})
                content = _or_nothing(lambda: self.live.send(wanted).payload, {})
                state.result = content.get("content")
        state.job = job
        state.left = self._left(job, state.events)
        return reply

    def _ask(self, request: Request, kind: str, **parameters: Any) -> Reply:
        given = {**request.parameters, **parameters}
        return self.live.send(replace(request, kind=kind, parameters=given))

    def _news(self, request: Request) -> list[dict[str, Any]]:
        """Return the events that were not seen yet, the oldest first."""
        found: list[dict[str, Any]] = []
        after: dict[str, Any] = {}
        while True:
            payload = self._ask(request, "events", limit=100, **after).payload
            page = [item for item in payload.get("data") or () if isinstance(item, dict)]
            new = [item for item in page if str(item.get("id")) not in self._seen]
            self._seen |= {str(item.get("id")) for item in new}
            found += new
            if not page or len(new) < len(page) or not payload.get("has_more"):
                return found[::-1]
            after = {"after": page[-1]["id"]}

    def _left(self, job: Mapping[str, Any], events: list[dict[str, Any]]) -> float | None:
        """Return the seconds that are left, as the service or the steps so far tell."""
        if jobs.ended(job):
            return None
        if estimate := job.get("estimated_finish"):
            return max(0.0, float(estimate) - time.time())
        done, total = jobs.progress(job, events)
        now = time.monotonic()
        if self._first is None or done < self._first[1]:
            self._first = now, done
        begun, first = self._first
        if done <= first or not total:
            return None
        return (now - begun) / (done - first) * (total - done)


def _or_nothing(ask: Callable[[], Any], nothing: Any) -> Any:
    """Return what is asked, or nothing where the service has no such route or file."""
    try:
        return ask()
    except ServiceError as problem:
        if failures.is_passing(problem):
            raise
        return nothing
