"""The training panel: check data, see its price, start a job, follow it, ask the tuned model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from openai_magics.errors import MagicsError, OptionError
from openai_magics.panels import datasets, jobs, past
from openai_magics.panels.drop import drop
from openai_magics.panels.forms import bar, chosen, facts, html_box, offer, text
from openai_magics.panels.table import as_html, as_plain, put, table
from openai_magics.panels.training_acts import FIELDS, TrainingActs

if TYPE_CHECKING:
    from ipywidgets import Widget

    from openai_magics.training.follow import State

__all__ = ["TrainingPanel"]

AUTO = "auto"
SENTIMENTS = ("positive", "neutral", "negative")


class TrainingPanel(TrainingActs):
    """Starts and follows fine-tuning jobs; each is in the dialogue file and in ``job_ids.json``."""

    name = "training"

    def compose(self) -> Sequence[Widget]:
        """Return the tabs: the data, the jobs."""
        import ipywidgets as w

        self._tabs = w.Tab(
            [w.VBox(self._data_part()), w.VBox(self._jobs_part())], titles=("Data", "Jobs")
        )
        return [self._tabs]

    def _data_part(self) -> list[Widget]:
        import ipywidgets as w

        wide = {"description_width": "initial"}
        self._drop = drop(
            lambda name, content: self.safely(lambda: self.take_file(name, content)),
            lambda said: self.tell(said, "warn"),
            label="Choose a file",
            hint="or drop one here: .jsonl, .csv, .parquet",
            accept=".jsonl,.json,.csv,.tsv,.parquet",
            several=False,
        )
        self._variable = w.Dropdown(description="Variable", style=wide)
        self._conversation = w.Dropdown(description="Conversation", style=wide)
        self._sentiment = w.Dropdown(description="Answers", style=wide)
        offer(self._sentiment, [(name, name) for name in SENTIMENTS], None)
        self._path = w.Text(description="Path", placeholder="examples.jsonl", style=wide)
        self._fields = {
            name: w.Text(description=f"{name.capitalize()} column", style=wide) for name in FIELDS
        }
        self._fields["system"].description = "System instruction"
        self._model = w.Text(description="Model to tune", placeholder="the session's", style=wide)
        self._suffix = w.Text(description="Suffix", style=wide)
        self._epochs = w.Text(description="Epochs", value=AUTO, style=wide)
        self._validation = w.Text(
            description="Validation data", placeholder="a path or a variable", style=wide
        )
        self._split = w.Text(description="Hold out", placeholder="a part, such as 0.1", style=wide)
        self._description = w.Text(description="Description", style=wide)
        for widget in (
            *self._fields.values(),
            self._model,
            self._suffix,
            self._epochs,
            self._validation,
            self._split,
            self._description,
        ):
            self.when(widget, "value", self._typed)
        self._columns_bar = bar(*self._fields.values())
        self._check = self.button("Check", self.check_data, button_style="primary")
        self._ask = self.button("Start…", self.ask_to_start)
        self._taken_is = html_box()
        self._summary = html_box()
        self._problems = table(jobs.PROBLEMS, "Problems in the data", height=260)
        self._question = html_box()
        self._confirm = w.VBox(
            [
                self._question,
                bar(
                    self.button("Send and start", self.start, button_style="warning"),
                    self.button("Not now", self.not_now),
                ),
            ]
        )
        return [
            self._drop,
            bar(
                self._variable,
                self.button("Take variable", self._take_chosen),
                self._path,
                self.button("Take path", lambda: self.take_path(self._path.value)),
                self.button("Look again", self.look),
            ),
            bar(
                self._conversation,
                self._sentiment,
                self.button("Take this dialogue", self._take_said),
            ),
            self._taken_is,
            self._columns_bar,
            bar(self._model, self._suffix, self._epochs, self._description),
            bar(self._validation, self._split),
            bar(self._check, self._ask),
            self._confirm,
            self._summary,
            self._problems,
        ]

    def _jobs_part(self) -> list[Widget]:
        self._jobs = table(jobs.JOBS, "Jobs", empty="No job is listed.", height=220)
        self.when(self._jobs, "selected", self.choose)
        self._watch = self.button("Follow", self.watch)
        self._unwatch = self.button("Stop following", self._stop_following)
        self._cancel = self.button("Cancel job", partial(self.act, "cancel"))
        self._pause = self.button("Pause job", partial(self.act, "pause"))
        self._resume = self.button("Resume job", partial(self.act, "resume"))
        self._ask_model = self.button("Ask this model", self.ask_this_model)
        self._job_page = html_box()
        self._curve = html_box()
        self._events = table(jobs.EVENTS, "Events of the job", height=200)
        return [
            bar(self.button("Refresh", self.list_jobs)),
            self._jobs,
            bar(
                self._watch,
                self._unwatch,
                self._cancel,
                self._pause,
                self._resume,
                self._ask_model,
            ),
            self._job_page,
            self._curve,
            self._events,
        ]

    def _take_chosen(self) -> None:
        if not self._variable.value:
            raise OptionError("No variable holds data.", "Make a DataFrame or a list in a cell.")
        self.take_variable(self._variable.value)

    def _take_said(self) -> None:
        self.take_dialogue(chosen(self._conversation.value), chosen(self._sentiment.value))

    def _stop_following(self) -> None:
        self.stop_watching()
        self.tell("Following stops; the job goes on.")

    def _typed(self, _: Any) -> None:
        epochs = self._epochs.value.strip() or AUTO
        if epochs != AUTO and not epochs.isdecimal():
            raise OptionError(f"{epochs!r} epochs are not possible.", "A whole number, or: auto")
        hyper = {} if epochs == AUTO else {"n_epochs": int(epochs)}
        given = {
            "model": self._model.value.strip(),
            "suffix": self._suffix.value.strip(),
            "description": self._description.value.strip(),
            "hyperparameters": hyper,
            "validation": self._validation.value.strip(),
            "split": _part(self._split.value.strip()),
        }
        columns = {name: widget.value.strip() for name, widget in self._fields.items()}
        self.set_options({name: value for name, value in given.items() if value}, columns)

    def opened(self) -> None:
        """List the jobs."""
        self.list_jobs()
        self.look()

    def draw(self) -> None:
        """Bring the widgets up to the state."""
        found = datasets.variables(self.variables())
        if list(self._variable.options) != found:
            self._variable.options = found
        if found and self._variable.value is None:
            self._variable.value = found[0]
        self._variable.disabled = not found
        named = [(name, name) for name in self.conversations]
        offer(self._conversation, named, chosen(self._conversation.value))
        self._taken_is.value = facts([("data", self.called)]) if self.called else ""
        is_table = datasets.columns_of(self.data) is not None
        self._columns_bar.layout.display = "" if is_table else "none"
        self._check.disabled = self.data is None
        self._ask.disabled = self.check is None or not self.check.ok or self.confirming
        self._confirm.layout.display = "" if self.confirming else "none"
        self._question.value = self._asked() if self.confirming else ""
        self._summary.value = facts(self.check.summary) if self.check is not None else ""
        problems = jobs.problem_rows(self.check) if self.check is not None else []
        self._problems.layout.display = "" if problems else "none"
        put(self._problems, problems)
        self._draw_jobs()

    def _asked(self) -> str:
        assert self.check is not None
        model = self.options.get("model") or self.session.model or "the endpoint's default"
        try:
            where = self.session.live.target_without_asking().endpoint
        except MagicsError as error:
            where = str(error)
        told = dict(self.check.summary)
        wanted = ("examples", "tokens", "epochs", "price")
        rows = [("send to", where), ("tune", model), ("data", self.called)]
        rows += [(name, told[name]) for name in wanted if name in told]
        return f"<h4>Start this job?</h4>{facts(rows)}"

    def _draw_jobs(self) -> None:
        rows = jobs.job_rows(self.frame, self.states) if self.frame is not None else []
        put(self._jobs, rows, self.chosen if any(row.id == self.chosen for row in rows) else "")
        state = self.states.get(self.chosen)
        ended = state is not None and state.job.get("status") in jobs.ENDED
        self._watch.disabled = not self.chosen or self.following or ended
        self._unwatch.disabled = not self.following
        for button in (self._cancel, self._pause, self._resume):
            button.disabled = not self.chosen or ended
        self._ask_model.disabled = not self.tuned()
        self._job_page.value = jobs.job_page(state) if state is not None else ""
        self._curve.value = jobs.curve(state) if state is not None else ""
        events = jobs.event_rows(state) if state is not None else []
        self._events.layout.display = "" if events else "none"
        put(self._events, events)

    # What stands for it without a kernel.

    def _facts(self) -> list[tuple[str, str]]:
        rows = [("data", self.called or "none is taken")]
        if self.check is not None:
            rows += self.check.summary[1:]
        state: State | None = self.states.get(self.chosen)
        if state is not None:
            rows += [("job", self.chosen), ("status", str(state.job.get("status")))]
        return rows

    def _past(self) -> list[State]:
        """Return the jobs of the dialogue file, where those of the endpoint are not listed yet."""
        try:
            return past.jobs(self.session.dialogue)
        except MagicsError:  # the dialogue panel tells of a damaged file
            return []

    def plain(self) -> str:
        """Return the data, what was found in it, and the jobs as text."""
        rows = [f"{name}: {value}" for name, value in self._facts()]
        if self.frame is not None and len(self.frame):
            rows.append(as_plain(jobs.JOBS, jobs.job_rows(self.frame, self.states)))
        elif known := self._past():
            rows.append(as_plain(past.JOBS, past.job_rows(known), widest=60))
        return "\n".join(["Training panel", *rows])

    def html(self) -> str:
        """Return the data, what was found in it, and the jobs as HTML."""
        rows: Any = "".join(
            f"<li>{text(name)}: {text(value)}</li>" for name, value in self._facts()
        )
        listed = ""
        if self.frame is not None and len(self.frame):
            listed = as_html(jobs.JOBS, jobs.job_rows(self.frame, self.states))
        elif known := self._past():
            listed = as_html(past.JOBS, past.job_rows(known)) + jobs.curve(known[0])
        return f"<ul>{rows}</ul>{listed}"


def _part(typed: str) -> float | None:
    """Return the part of the data that is held out, ``None`` where none is."""
    if not typed:
        return None
    try:
        part = float(typed)
    except ValueError:
        part = 0.0
    if not 0 < part < 1:
        raise OptionError(f"{typed!r} cannot be held out.", "A part between 0 and 1, such as 0.1.")
    return part
