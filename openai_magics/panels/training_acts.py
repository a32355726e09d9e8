"""What the training panel does: take and check data, start and follow jobs, ask the tuned model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from openai_magics import cells
from openai_magics.errors import OptionError
from openai_magics.panels import datasets
from openai_magics.panels.forms import FormPanel

if TYPE_CHECKING:
    import pandas as pd

    from openai_magics.panels.worker import Job
    from openai_magics.session import Session
    from openai_magics.training.check import Check
    from openai_magics.training.follow import State
    from openai_magics.training.job import JobOptions
    from openai_magics.training.service import Started

__all__ = ["FIELDS", "TrainingActs"]

EVERY = 1.0
"""Seconds between two looks at a job that is watched."""
FIELDS = ("prompt", "completion", "system")
"""The columns of a table, as `Session.train` calls them."""


class TrainingActs(FormPanel):
    """What a person can do about training; the rest of the panel shows it."""

    def __init__(self, session: Session, number: int = 0) -> None:
        super().__init__(session, number)
        self.names: Mapping[str, Any] | None = None
        self.data: Any = None
        self.called = ""
        self.made_in: tuple[str, ...] = ()
        self.options: dict[str, Any] = {}
        self.columns: dict[str, str] = {}
        self.conversations: list[str] = []
        self.check: Check | None = None
        self.confirming = False
        self.frame: pd.DataFrame | None = None
        self.chosen = ""
        self.states: dict[str, State] = {}
        self.watching: Job | None = None

    # What a person does; each is a call of the session.

    def take(self, data: Any, called: str) -> None:
        """Take data: a path, or what a variable holds."""
        self.tell(self._take(data, called))

    def _take(self, data: Any, called: str, made_in: tuple[str, ...] = ()) -> str:
        self.data, self.called, self.made_in = data, called, made_in
        self.check, self.confirming = None, False
        return f"{called} is taken. Check it before it is sent."

    def take_dialogue(self, conversation: str | None = None, sentiment: str | None = None) -> Job:
        """Take what the dialogue file holds, as ``%train start --from-dialogue --all`` does.

        What panels and earlier runs have said is in it too.

        Parameters
        ----------
        conversation : str, optional
            Only this one.
        sentiment : {"positive", "negative", "neutral"}, optional
            Only answers of this sentiment are learned.
        """
        from openai_magics.training.selection import Selection

        wanted = Selection(conversation, sentiments=(sentiment,) if sentiment else ())
        narrowed = [one for one in (conversation, sentiment and f"{sentiment} answers") if one]
        called = f"this dialogue ({', '.join(narrowed)})" if narrowed else "this dialogue"

        def then(found: tuple[Any, tuple[str, ...]]) -> str:
            return self._take(found[0], called, found[1])

        return self.run(
            "Reading the dialogue…",
            lambda _: self.session.training.from_dialogue(wanted, all_runs=True),
            then,
        )

    def look(self) -> Job:
        """See which variables and conversations there are now."""
        browser = self.session.dialogue.browse()

        def work(job: Job) -> list[str]:
            browser.refresh(job.stopping)
            return [name for name in browser.choices()[1] if name]

        def then(names: Any, error: BaseException | None) -> None:
            with self.lock:
                if error is None:  # else taking the dialogue says it
                    self.conversations = names
                self.redraw()

        return self.worker.start(work, then)

    def take_variable(self, name: str) -> None:
        """Take what a variable of the notebook holds."""
        if name not in self.variables():
            raise OptionError(f"There is no variable {name!r}.", "Make one in a cell.")
        self.take(self.variables()[name], name)

    def take_path(self, typed: str) -> None:
        """Take a file, or a folder of files."""
        if not typed.strip():
            raise OptionError("No file was named.", "Type a path, such as examples.jsonl.")
        self.take(typed.strip(), typed.strip())

    def take_file(self, name: str, content: bytes) -> None:
        """Take a file that was dropped; it is kept beside the notebook."""
        path = datasets.kept_beside(self.session.dialogue.path.parent, name, content)
        self.take(str(path), path.name)
        self.tell(f"{path.name} is kept beside the notebook. Check it before it is sent.")

    def check_data(self) -> Job:
        """Find what is wrong with the data, and what it would cost; nothing is sent."""
        data, options = self._taken(), self._job_options()

        def then(found: Check) -> str:
            self.check = found
            return "" if found.ok else "The data has errors: mend them before it is sent."

        return self.run(
            f"Checking {self.called}…", lambda _: self.session.training.check(data, options), then
        )

    def set_options(self, options: dict[str, Any], columns: dict[str, str]) -> None:
        """Say how to train, as `Session.train` takes it; what changes the price is checked anew."""
        telling = ("model", "hyperparameters", "validation", "split")
        if columns != self.columns or any(
            options.get(one) != self.options.get(one) for one in telling
        ):
            self.check = None
        self.options, self.columns, self.confirming = options, columns, False
        self.redraw()

    def ask_to_start(self) -> None:
        """Show what would be sent, and its price, and ask."""
        self._taken()
        if self.check is None:
            raise OptionError("The data is not checked yet.", "Check it first.")
        self.confirming = True
        self.redraw()

    def not_now(self) -> None:
        """Start nothing."""
        self.confirming = False
        self.tell("Nothing was sent.")

    def start(self) -> Job:
        """Upload the data and start a job."""
        data, options = self._taken(), self._job_options()
        self.confirming = False

        def then(started: Started) -> str:
            job = started.id
            self.chosen = self.in_detail = job
            self.list_jobs()
            self.watch(job)
            return f"{job} has started."

        return self.run(
            "Uploading and starting…",
            lambda _: self.session.training.start(data, options),
            then,
        )

    def list_jobs(self) -> Job:
        """List the jobs of the endpoint as they are now."""

        def then(frame: pd.DataFrame) -> None:
            self.frame = frame
            if not self.chosen and len(frame):
                self.chosen = str(frame["id"].iloc[0])

        return self.run("Listing the jobs…", lambda _: self.session.list_jobs(), then)

    def choose(self, job: str) -> Job:
        """Show a job with its events and its curve."""
        self.chosen = self.in_detail = job

        def then(state: State) -> None:
            self.states[job] = state

        return self.run("", lambda _: self.session.training.state(job), then)

    def watch(self, job: str | None = None) -> Job:
        """Follow a job until it ends; it goes on when this is stopped."""
        name = job or self._job()
        self.stop_watching()

        def work(going: Job) -> State:
            def on_state(state: State) -> None:
                with self.lock:
                    self.states[name] = state
                self.redraw()
                if going.stopping.is_set():
                    raise KeyboardInterrupt

            return self.session.training.watch(name, on_state, every=EVERY)

        def then(state: State) -> str:
            self.states[name] = state
            self.list_jobs()
            return f"{name}: {state.job.get('status')}."

        with self.lock:
            self.watching = self.run(f"Following {name}…", work, then)
            self.redraw()
            return self.watching

    @property
    def following(self) -> bool:
        """Whether a job is followed."""
        return self.watching in self.jobs

    def stop_watching(self) -> None:
        """Follow no job; the jobs themselves go on."""
        if self.watching is not None:
            self.watching.stop()
            self.watching = None

    def act(self, action: str) -> Job:
        """Cancel, pause or resume the chosen job."""
        name = self._job()

        def then(job: dict[str, Any]) -> str:
            self.list_jobs()
            self.choose(name)
            return f"{name}: {job.get('status')}."

        return self.run(
            f"{action} {name}…", lambda _: self.session.training.act(action, name), then
        )

    def ask_this_model(self) -> None:
        """Ask the chosen job's model from now on."""
        model = self.tuned()
        if not model:
            raise OptionError("This job has no model yet.", "Wait until it has succeeded.")
        self.session.model = model
        self.tell(f"{model} is asked from now on, in this run. To keep it: %openai use {model}")

    def _taken(self) -> Any:
        if self.data is None:
            raise OptionError("There is no data yet.", "Choose a variable or a file.")
        return self.data

    def _job_options(self) -> JobOptions:
        from openai_magics.training.job import JobOptions
        from openai_magics.training.tables import Columns

        given = {**self.options, "made_in": self.made_in}
        held_out = str(given.get("validation"))
        if held_out in self.variables():
            given["validation"] = self.variables()[held_out]
        columns = {}
        if datasets.columns_of(self.data) is not None:
            columns = {name: value for name, value in self.columns.items() if value}
        return JobOptions(**given, columns=Columns(**columns))

    def _job(self) -> str:
        if not self.chosen:
            raise OptionError("No job is chosen.", "Choose one in the table.")
        return self.chosen

    def tuned(self) -> str | None:
        """The model of the chosen job, where it has one."""
        state = self.states.get(self.chosen)
        return state.job.get("fine_tuned_model") if state is not None else None

    def variables(self) -> Mapping[str, Any]:
        """The notebook's variables."""
        if self.names is not None:
            return self.names
        return getattr(cells.current_shell(), "user_ns", {})
