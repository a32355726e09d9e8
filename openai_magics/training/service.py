"""What a session holds of training: check data, start jobs, look at them, keep them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai_magics import cells
from openai_magics.calls import Listener
from openai_magics.connection import OPENAI, Target, host
from openai_magics.errors import OptionError
from openai_magics.exchange import Reply, Request
from openai_magics.training.check import Check
from openai_magics.training.desk import Desk
from openai_magics.training.exporting import Exporting, exportable, folder_for, model_of
from openai_magics.training.job import JobOptions
from openai_magics.training.lineage import cells_that_make
from openai_magics.training.material import material
from openai_magics.training.sources import Source
from openai_magics.training.submit import MARK, Submitting
from openai_magics.training.terms import DEFAULT
from openai_magics.turns import Asking

__all__ = ["Started", "Training"]


@dataclass(frozen=True)
class Started:
    """A job that was started, as its record tells: the job, and the summary of its data."""

    job: dict[str, Any]
    summary: list[tuple[str, str]]
    replayed: bool

    @property
    def id(self) -> str:
        """The job's id."""
        return str(self.job["id"])


class Training(Desk):
    """Training, as a session holds it.

    What it takes is what `Desk` does.
    """

    def start(
        self,
        data: Any,
        options: JobOptions = JobOptions(),
        *,
        confirm: Callable[[Check, Target | None], None] | None = None,
        listener: Listener = Listener(),
        fresh: bool = False,
        mode: str | None = None,
    ) -> Started:
        """Check the data, upload it, start a job and keep it.

        Parameters
        ----------
        data : path, DataFrame or iterable
        options : JobOptions
        confirm : callable, optional
            Is shown what would be done, before anything is sent; raises to stop it.

        Raises
        ------
        OptionError
            The data has errors (``force`` starts all the same), or cannot be read.
        ReplayMiss, NotConnected, ServiceError, DialogueError, Interrupted
            As `Session.ask`.
        JobsFileError
            The job runs, and is recorded, but ``job_ids.json`` could not be written.
        """
        source, validation = self.both(data, options)
        target = self.target(options)
        found = self.looked(data, options, own=False)
        if not found.ok and not options.force:
            raise _refused(found)
        if found.method == "reinforcement" and options.grader is None:
            raise OptionError(
                "Reinforcement needs a grader, which says how good an answer is.",
                "Give it as  grader:  in a %%train cell, in the API's shape: type, name, input, …",
            )
        with ExitStack() as stack:
            training = material(source, stack)
            held_out = material(validation, stack) if validation is not None else None
            if held_out is not None and held_out.sha256 == training.sha256:
                raise OptionError(
                    "The validation data is the training data.", "Give other data, or --split 0.1."
                )
            request = self._request(found.method, options, training.said, held_out)

            def whole() -> dict[str, Any]:
                """Ask, with tokens as a model of this machine counts them; a replay does neither."""
                own = target is not None and target.local
                seen = self.looked(data, options) if own else found
                if confirm is not None:
                    confirm(seen, target)
                described = {"description": options.description} if options.description else {}
                return {
                    **described,
                    "data": source.name,
                    "made_in": list(options.made_in or self._made_in(source)),
                    "summary": [list(row) for row in seen.summary],
                }

            own = self.settings.get("model") is None and options.model is None
            at_openai = target is not None and target.endpoint == host(OPENAI)
            through = Submitting(
                self.live,
                lambda asked, heard: self.turns.run(Asking(asked, fresh=True), heard),
                training,
                held_out,
                self.known,
                whole,
                model=DEFAULT if own and at_openai else None,
            )
            asking = Asking(request, fresh=fresh, mode=mode, through=through)
            reply = self.turns.run(asking, listener)
        return self._keep(reply, options, request)

    def export(
        self,
        name: str | None = None,
        folder: str | None = None,
        *,
        listener: Listener = Listener(),
        fresh: bool = False,
        mode: str | None = None,
    ) -> dict[str, Any]:
        """Export the model of a job, tuned on this machine, as a folder that others can use.

        Parameters
        ----------
        name : str, optional
            A job's id, or the name of its model or of a checkpoint; by default the current job.
        folder : str, optional
            What is made: new or empty; by default named after the model.

        Returns
        -------
        dict
            ``model``, ``folder``, and ``files``: their names and sizes in bytes.

        Raises
        ------
        OptionError
            The job has no model, or one of a service; or the folder is not empty.
        ModelNotFound, ExtraMissing, EngineError
            As `openai_magics.local.export`.
        """
        if name is not None and name.startswith("ft:"):
            model, job = exportable(name), {"id": self.id(name), "fine_tuned_model": name}
        else:
            job = self.job(name, mode=mode)
            model = model_of(job)
        made = Exporting(model, folder or folder_for(model), self.lineage(job).kept)
        parameters = {"model": model, "folder": made.folder}
        asking = Asking(
            Request(kind="export", parameters=parameters),
            fresh=fresh,
            mode=mode,
            through=made,
            stands=made.stands,
        )
        found: dict[str, Any] = self.turns.run(asking, listener).payload
        return found

    def _request(
        self, method: str, options: JobOptions, said: dict[str, Any], held_out: Any
    ) -> Request:
        given = {
            "method": method,
            "training": said,
            "validation": held_out.said if held_out is not None else None,
            "hyperparameters": dict(options.hyperparameters),
            "suffix": options.suffix,
            "seed": options.seed,
            "metadata": dict(options.metadata),
            "grader": options.grader,
        }
        own = self.settings.said
        return Request(
            kind="train",
            model=options.model or own("model"),
            endpoint=self.settings.check("base_url", options.base_url, "base_url")
            or own("base_url"),
            parameters={name: value for name, value in given.items() if value},
        )

    def _made_in(self, source: Source) -> tuple[str, ...]:
        return cells_that_make(self.notebook, source.name, file=Path(source.name).suffix != "")

    def _keep(self, reply: Reply, options: JobOptions, request: Request) -> Started:
        job = {name: value for name, value in reply.payload.items() if name != MARK}
        about = reply.payload.get(MARK) or {}
        started = Started(
            job, [(str(a), str(b)) for a, b in about.get("summary") or ()], reply.replayed
        )
        self.current = started.id
        self._started.append(started.id)
        if not reply.replayed:
            said = request.parameters
            more = {
                "model": job.get("model"),
                "endpoint": reply.resolved.endpoint,
                "data": about.get("data"),
                "sha256": said["training"]["sha256"],
                "training_file": job.get("training_file"),
                "validation_file": job.get("validation_file"),
                "method": said["method"],
                "hyperparameters": said.get("hyperparameters"),
                "cell": cells.cell_id() or self.ran().get(reply.id),
                "created": job.get("created_at"),
            }
            self.file().keep(
                started.id, options.description, {k: v for k, v in more.items() if v is not None}
            )
        return started


def _refused(found: Check) -> OptionError:
    first = [row for row in found.report.rows if row.severity == "error"][:3]
    lines = [
        f"  line {row.line}: {row.problem}" if row.line is not None else f"  {row.problem}"
        for row in first
    ]
    more = found.errors - len(first)
    if more > 0:
        lines.append(f"  and {more:,} more")
    return OptionError(
        "\n".join([f"{found.name} is not fit for training:", *lines]),
        "See all of it: %train check. A mended copy: %train check --fix. As it is: --force.",
    )
