"""The jobs of a session: list them, look at one, wait for it, stop it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openai_magics.calls import Listener
from openai_magics.client import Live
from openai_magics.config import Settings
from openai_magics.connection import LOCAL, choose
from openai_magics.errors import (
    JobsFileError,
    ModelNotFound,
    NotConnected,
    OptionError,
    RequestRefused,
    SettingError,
    nearest,
)
from openai_magics.exchange import Reply, Request
from openai_magics.pages import Pages
from openai_magics.training import jobs
from openai_magics.training.checks import Checks
from openai_magics.training.follow import Following, State
from openai_magics.training.kept import JobsFile
from openai_magics.training.lineage import Lineage, lineage
from openai_magics.training.submit import MARK
from openai_magics.turns import Asking, Turns

if TYPE_CHECKING:
    import pandas as pd

    from openai_magics.views import Dialogue

__all__ = ["Desk"]

JOB_IDS = "job_ids.json"


class Desk(Checks):
    """Looks after jobs.

    Parameters
    ----------
    settings : Settings
    live : Live
    turns : Turns
        The way of every request.
    dialogue : Dialogue
        The records; jobs are kept beside its file.
    """

    def __init__(self, settings: Settings, live: Live, turns: Turns, dialogue: Dialogue) -> None:
        super().__init__(settings, live, turns, dialogue)
        self.current: str | None = None
        self._started: list[str] = []

    def file(self, name: str | Path = JOB_IDS) -> JobsFile:
        """Return the file of jobs, beside the dialogue file unless its path says otherwise."""
        return JobsFile(self.dialogue.path.parent / Path(name).expanduser())

    def descriptions(self) -> dict[str, str]:
        """Return the descriptions of jobs by id: as recorded, and over that as kept.

        Raises
        ------
        JobsFileError
            The file of jobs is damaged.
        """
        found: dict[str, str] = {}
        for item in self.dialogue:
            payload = item.reply.payload if item.reply else None
            if item.request.kind == "train" and isinstance(payload, dict):
                about = payload.get(MARK) or {}
                found[str(payload.get("id"))] = str(about.get("description") or "")
        for name, entry in self.file().read().items():
            found[name] = str(entry.get("description") or found.get(name) or "")
        return found

    def known(self) -> set[str]:
        """Return the ids of the jobs that were started from here."""
        found = set(self.file().read())
        for item in self.dialogue:
            if item.request.kind == "train" and item.reply and isinstance(item.reply.payload, dict):
                found.add(str(item.reply.payload.get("id")))
        return found

    def tuned(self) -> list[str]:
        """Return the models that recorded jobs made, each once."""
        found: dict[str, None] = {}
        for item in self.dialogue:
            payload = item.reply.payload if item.reply else None
            job = payload.get("job", payload) if isinstance(payload, dict) else None
            if isinstance(job, dict) and isinstance(model := job.get("fine_tuned_model"), str):
                found[model] = None
        return list(found)

    def jobs(
        self, *, base_url: str | None = None, fresh: bool = False, mode: str | None = None
    ) -> pd.DataFrame:
        """Return the jobs of the endpoint, newest first (`jobs.jobs_frame`).

        A recorded listing is shown again when every job in it has ended and it knows the jobs
        that this run has started; else it is asked for anew, where that is possible.

        Raises
        ------
        ReplayMiss, NotConnected, ServiceError, DialogueError
            As `Session.ask`.
        """

        def whole(payload: Any) -> bool:
            held = {str(job.get("id")) for job in payload["data"]}
            return all(map(jobs.ended, payload["data"])) and held.issuperset(self._started)

        endpoint = self.settings.check("base_url", base_url, "base_url")
        request = Request(kind="jobs", endpoint=endpoint or self.settings.said("base_url"))
        asking = Asking(
            request,
            fresh=fresh,
            mode=mode,
            through=Pages(self.live),
            stands=lambda reply: self._stands(reply, request, whole),
        )
        payload = self.turns.run(asking).payload
        return jobs.jobs_frame(payload["data"], self.descriptions())

    def job(self, name: str | None = None, *, fresh: bool = False, mode: str | None = None) -> Any:
        """Return a job as the API shows it (a dict); by default the current one.

        Raises
        ------
        OptionError
            No job is current.
        ModelNotFound
            There is none of this id; the nearest is named.
        """
        return self._run("job", self.id(name), jobs.ended, fresh=fresh, mode=mode).payload

    def state(
        self, name: str | None = None, *, fresh: bool = False, mode: str | None = None
    ) -> State:
        """Return a job with its events, checkpoints and figures as they are now."""
        through = Following(self.live, once=True)
        reply = self._run(
            "progress",
            self.id(name),
            lambda payload: jobs.ended(payload["job"]),
            through=through,
            fresh=fresh,
            mode=mode,
        )
        return State.of(reply.payload)

    def watch(
        self,
        name: str | None = None,
        on_state: Callable[[State], None] | None = None,
        *,
        every: float | None = None,
        listener: Listener = Listener(),
        fresh: bool = False,
        mode: str | None = None,
    ) -> State:
        """Wait until a job has ended, and return how it did.

        Raises
        ------
        WatchingStopped
            The person stopped it; the job goes on.
        """
        through = Following(self.live, on_state, every)
        reply = self._run(
            "watch",
            self.id(name),
            lambda payload: jobs.ended(payload["job"]),
            through=through,
            listener=listener,
            fresh=fresh,
            mode=mode,
        )
        return State.of(reply.payload)

    def act(
        self,
        action: str,
        name: str | None = None,
        *,
        fresh: bool = False,
        mode: str | None = None,
    ) -> Any:
        """Cancel, pause or resume a job; return it as it then is."""
        return self._run(action, self.id(name), lambda _: True, fresh=fresh, mode=mode).payload

    def lineage(self, job: dict[str, Any]) -> Lineage:
        """Return what a job was made of and where its model was used."""
        held = {item.id: item for item in self.dialogue.exchanges()}
        started = (item for item in self.dialogue if item.request.kind == "train")
        return lineage([*started, *held.values()], job, self.ran())

    def id(self, name: str | None) -> str:
        """Return a job's id: of the one named, or by its model or a checkpoint, or the current one.

        Raises
        ------
        OptionError
            No job is current.
        """
        if name is None:
            if self.current is None:
                raise OptionError("Which job?", self._last_kept())
            return self.current
        if ":" in name:
            for item in self.dialogue:
                payload = item.reply.payload if item.reply else None
                job = payload.get("job", payload) if isinstance(payload, dict) else None
                if not isinstance(job, dict) or not (tuned := job.get("fine_tuned_model")):
                    continue
                # A checkpoint has the name of its model and a step after it.
                if f"{name}:".startswith(f"{tuned}:"):
                    return str(job["id"])
        return name

    def _last_kept(self) -> str:
        """Say which job was kept last: after a restart none is current."""
        with contextlib.suppress(JobsFileError):
            if kept := list(self.file().read()):
                return f"Name one: the last one started here is {kept[-1]}. See %jobs."
        return "Name one: see %jobs."

    def _endpoint_of(self, name: str) -> str | None:
        """Return the endpoint that the notebook named when it started a job, if it named one."""
        for item in self.dialogue:
            payload = item.reply.payload if item.reply else None
            if item.request.kind == "train" and isinstance(payload, dict):
                if payload.get("id") != name:
                    continue
                own = item.request.endpoint
                return LOCAL if own is None and item.request.model == LOCAL else own
        return None

    def _run(
        self,
        kind: str,
        name: str,
        over: Callable[[Any], bool],
        *,
        through: Any = None,
        listener: Listener = Listener(),
        fresh: bool = False,
        mode: str | None = None,
    ) -> Reply:
        endpoint = self._endpoint_of(name) or self.settings.said("base_url")
        request = Request(kind=kind, endpoint=endpoint, parameters={"job": name})
        asking = Asking(
            request,
            fresh=fresh,
            mode=mode,
            through=through,
            stands=lambda reply: self._stands(reply, request, over),
        )
        try:
            return self.turns.run(asking, listener)
        except RequestRefused as problem:
            problem.remedy = f"See its state: %jobs show {name}"
            raise
        except ModelNotFound as problem:
            known = set()
            with contextlib.suppress(Exception):
                known = self.known()
            raise ModelNotFound(
                f"The service knows no job {name!r}{nearest(name, sorted(known))}.",
                "See those it has: %jobs",
                problem.status,
                problem.code,
            ) from None

    def _stands(self, reply: Reply, request: Request, over: Callable[[Any], bool]) -> bool:
        """Whether a recorded reply holds: it is over, or another service would be asked."""
        if over(reply.payload):
            return True
        try:
            target = choose(self.settings, None, request.endpoint, given=self.live.key)
        except (NotConnected, SettingError):
            return True
        return target.endpoint != reply.resolved.endpoint
