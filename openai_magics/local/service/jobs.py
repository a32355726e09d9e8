"""``/v1/fine_tuning/jobs``: created, followed, and stopped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp import web

from openai_magics.local.jobs import job as jobs
from openai_magics.local.jobs import store
from openai_magics.local.jobs.create import Refused, create
from openai_magics.local.service import answers
from openai_magics.local.service.base import Base

__all__ = ["Routes"]

ROOT = "/v1/fine_tuning/jobs"


class Routes:
    """The routes of jobs; *ensure* starts the queue where none is at work."""

    def __init__(
        self,
        kept: store.Store,
        base: Base,
        packages: tuple[str, ...],
        ensure: Callable[[], None],
    ) -> None:
        self.kept = kept
        self.base = base
        self.packages = packages
        self.ensure = ensure

    def all(self) -> list[web.RouteDef]:
        """Return them."""
        return [
            web.post(ROOT, self._create),
            web.get(ROOT, self._list),
            web.get(f"{ROOT}/{{number}}", self._retrieve),
            web.get(f"{ROOT}/{{number}}/events", self._events),
            web.get(f"{ROOT}/{{number}}/checkpoints", self._checkpoints),
            web.post(f"{ROOT}/{{number}}/{{act:cancel|pause|resume}}", self._act),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        try:
            given = json.loads(await request.read())
        except ValueError as error:
            text = f"We could not parse the JSON body of your request. ({error})"
            raise Refused(400, text) from None

        def made() -> jobs.Job:
            job = create(
                self.kept, given, lambda name: self.base.to_tune(self.kept, name), self.packages
            )
            self.ensure()
            return job

        job = await asyncio.to_thread(made)
        return web.json_response(job.shown)

    async def _list(self, request: web.Request) -> web.Response:
        every = await asyncio.to_thread(jobs.every, self.kept)
        wanted = {
            name.removeprefix("metadata[").removesuffix("]"): value
            for name, value in request.query.items()
            if name.startswith("metadata[")
        }
        found = [
            shown
            for job in reversed(every)
            if wanted.items() <= ((shown := _shown(job))["metadata"] or {}).items()
        ]
        return web.json_response(answers.page(found, request.query, 20))

    async def _retrieve(self, request: web.Request) -> web.Response:
        return web.json_response(_shown(self._find(request)))

    async def _events(self, request: web.Request) -> web.Response:
        events = self._find(request).events()
        return web.json_response(answers.page(events[::-1], request.query, 20))

    async def _checkpoints(self, request: web.Request) -> web.Response:
        found = self._find(request).checkpoints()
        return web.json_response(answers.page(found[::-1], request.query, 10, named=True))

    async def _act(self, request: web.Request) -> web.Response:
        job = self._find(request)
        act = {"cancel": _cancel, "pause": _pause, "resume": _resume}[request.match_info["act"]]
        try:
            await asyncio.to_thread(act, job)
        except jobs.WrongState as wrong:
            text = f"Cannot {request.match_info['act']} job {job.id}: it is {wrong.status}."
            raise Refused(400, text, "invalid_job_state") from None
        await asyncio.to_thread(self.ensure)
        return web.json_response(_shown(job))

    def _find(self, request: web.Request) -> jobs.Job:
        number = request.match_info["number"]
        job = jobs.find(self.kept, number)
        if job is None:
            text = f"Could not find fine tune: {number}"
            raise Refused(404, text, "fine_tune_not_found", "fine_tune_id")
        return job


def _cancel(job: jobs.Job) -> None:
    job.finish("cancelled", *jobs.CANCELLABLE, says=["Fine-tuning job cancelled"])


def _pause(job: jobs.Job) -> None:
    with job.changing("queued", "running") as value:
        value["shown"]["status"] = "paused"
    job.event("Fine-tuning job paused")


def _resume(job: jobs.Job) -> None:
    with job.changing("paused") as value:
        value["shown"]["status"] = "queued"
    job.event("Fine-tuning job resumed")


def _shown(job: jobs.Job) -> dict[str, Any]:
    """Return what the API shows of a job, with when it will probably be done."""
    shown = job.shown
    if shown["status"] == "running":
        with suppress(OSError, ValueError):
            shown["estimated_finish"] = store.read(job.folder / "progress.json")["finish"]
    return shown
