"""``%jobs`` and its sub-commands: look at fine-tuning jobs, watch, stop them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from openai_magics.config import MODES
from openai_magics.errors import OptionError
from openai_magics.magics import show
from openai_magics.magics.base import Family

if TYPE_CHECKING:
    from openai_magics.training.service import Training

__all__ = ["ACTIONS", "JobsMagics"]

ACTIONS = (
    "list",
    "show",
    "watch",
    "events",
    "metrics",
    "plot",
    "checkpoints",
    "cancel",
    "pause",
    "resume",
    "export",
)


@magics_class
class JobsMagics(Family):
    """Fine-tuning jobs."""

    @no_var_expand
    @line_magic
    @magic_arguments()
    @argument("action", nargs="?", default="list", choices=ACTIONS, help="what to do")
    @argument("job", nargs="?", help="the job, or its tuned model (default: the last one started)")
    @argument("folder", nargs="?", help="for `export`: a new folder (default: the model's suffix)")
    @argument("--every", type=float, metavar="SECONDS", help="for `watch`: how often to look")
    @argument("--base-url", metavar="URL", help="whose jobs are listed; `local` is this machine")
    @argument("--fresh", action="store_true", help="ask anew, whatever is recorded")
    @argument("--mode", choices=MODES, help="replay, live or auto")
    @argument("-o", "--out", metavar="NAME", help="the variable that gets what is shown")
    def jobs(self, line: str) -> Any:
        """List the fine-tuning jobs as a DataFrame; look at one, watch it, stop it.

        ``watch`` shows progress and the curves of loss and accuracy until the job ends, and
        then leaves one picture. Stopping it (the stop button) does not stop the job. A job
        that has ended is shown from the dialogue file; one that has not is asked for anew.

        Examples::

            %jobs
            %jobs show ftjob-abc123          (what it was made of, and where it was asked)
            %jobs watch
            %jobs events ftjob-abc123        (a DataFrame, the oldest first)
            %jobs metrics                    (a DataFrame, a row a step)
            %jobs plot
            %jobs checkpoints                (each can be asked: %%ask -m NAME)
            %jobs cancel ftjob-abc123
            %jobs pause ftjob-abc123
            %jobs resume ftjob-abc123
            %jobs export ftjob-abc123 tides   (adapter, merged GGUF and card of a local model)
        """
        typed = self.typed(self.jobs, "%jobs", line)
        if typed.every is not None and not 0 <= typed.every < 86_400:
            raise OptionError(f"%jobs: --every {typed.every} is not possible.", "Give seconds.")
        if typed.folder is not None and typed.action != "export":
            raise OptionError(f"%jobs: {typed.folder!r} is too much.", f"%jobs {typed.action} JOB")
        training = self.session.training
        if typed.action in ("list", "events", "metrics", "checkpoints"):
            frame = self._frame(training, typed)
            if typed.out is None:
                return frame
            self.names[typed.out] = frame
            return None
        getattr(self, f"_{typed.action}", self._act)(training, typed)
        return None

    def _frame(self, training: Training, typed: Any) -> Any:
        from openai_magics.training import jobs

        how = {"fresh": typed.fresh, "mode": typed.mode}
        if typed.action == "list":
            if typed.job is not None:
                raise OptionError(f"%jobs: {typed.job!r} is too much.", "%jobs show JOB")
            return training.jobs(base_url=typed.base_url, **how)
        state = training.state(typed.job, **how)
        if typed.action == "events":
            return jobs.events_frame(state.events)
        if typed.action == "checkpoints":
            return jobs.checkpoints_frame(state.checkpoints)
        return jobs.metrics_frame(state.events, state.result)

    def _show(self, training: Training, typed: Any) -> None:
        from openai_magics.training import shown

        job = training.job(typed.job, fresh=typed.fresh, mode=typed.mode)
        self._keep(typed, job)
        described = training.descriptions().get(str(job.get("id")))
        rows = [("description", described)] if described else []
        show.Once().finish(shown.job_bundle(job, [*rows, *training.lineage(job).rows]))

    def _plot(self, training: Training, typed: Any) -> None:
        from openai_magics.training import shown

        state = training.state(typed.job, fresh=typed.fresh, mode=typed.mode)
        show.Once().finish(shown.curves(state))

    def _watch(self, training: Training, typed: Any) -> None:
        from openai_magics.calls import Listener
        from openai_magics.training import shown

        stage = show.stage(self.shell, stream=True)
        last: list[Any] = []

        def on_state(state: Any) -> None:
            last[:] = [shown.state_bundle(state)]
            stage.on_state(last[0])

        try:
            state = training.watch(
                typed.job,
                on_state,
                every=typed.every,
                listener=Listener(on_notice=stage.on_notice if not last else None),
                fresh=typed.fresh,
                mode=typed.mode,
            )
        except BaseException:
            stage.finish(last[0] if last else None)
            raise
        self._keep(typed, state.job)
        stage.finish(shown.state_bundle(state))
        if state.job.get("status") == "failed":
            raise shown.failed(state.job)

    def _export(self, training: Training, typed: Any) -> None:
        from openai_magics.calls import Listener
        from openai_magics.training import shown

        stage = show.stage(self.shell, stream=True)
        try:
            made = training.export(
                typed.job,
                typed.folder,
                listener=Listener(on_notice=stage.on_notice),
                fresh=typed.fresh,
                mode=typed.mode,
            )
        except BaseException:
            stage.finish(None)
            raise
        self._keep(typed, made)
        stage.finish(shown.exported_bundle(made))

    def _act(self, training: Training, typed: Any) -> None:
        from openai_magics.training import shown

        job = training.act(typed.action, typed.job, fresh=typed.fresh, mode=typed.mode)
        self._keep(typed, job)
        show.Once().finish(shown.job_bundle(job, ()))

    def _keep(self, typed: Any, job: dict[str, Any]) -> None:
        if typed.out is not None:
            self.names[typed.out] = job
