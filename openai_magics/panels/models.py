"""The models panel: what the endpoint has, when it retires, which one is asked, whether it answers."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from openai_magics import frames, status
from openai_magics.errors import MagicsError
from openai_magics.panels import past
from openai_magics.panels.base import live
from openai_magics.panels.forms import FormPanel, bar, facts, html_box, note, text
from openai_magics.panels.table import Column, Row, as_html, as_plain, put, table

if TYPE_CHECKING:
    import pandas as pd
    from ipywidgets import Widget

    from openai_magics.panels.worker import Job
    from openai_magics.render import Bundle
    from openai_magics.session import Session

__all__ = ["ModelsPanel"]

COLUMNS = (
    Column("id", "model", sortable=True),
    Column("use", "in use"),
    Column("shutdown_date", "retires", sortable=True),
    Column("owned_by", "owner", sortable=True),
    Column("created", "since", sortable=True),
)


class ModelsPanel(FormPanel):
    """Lists the models, and chooses the session's."""

    name = "models"

    def __init__(self, session: Session, number: int = 0) -> None:
        super().__init__(session, number)
        self.frame: pd.DataFrame | None = None
        self.pattern = ""
        self.only = "all"
        self.sort = ("id", "ascending")
        self.chosen = ""

    # What a person does; each is a call of the session.

    def load(self, *, fresh: bool = False) -> Job:
        """List the models; *fresh* asks the endpoint even where a listing is recorded."""
        return self.run("Listing the models…", lambda _: self._listed(fresh=fresh), lambda _: None)

    def check(self) -> Job | None:
        """Ask the endpoint whether it is there."""
        if self.session.settings.get("mode") == "replay":
            self.tell("In replay mode nothing is asked: this is the recorded listing.", "warn")
            return None

        def then(frame: pd.DataFrame) -> str:
            where = self.session.live.target_without_asking().endpoint
            return f"{where} answers: {len(frame)} models."

        return self.run("Asking the endpoint…", lambda _: self._listed(fresh=True), then)

    def use(self, name: str | None = None) -> None:
        """Ask this model from now on (by default the one that is chosen)."""
        name = name or self.chosen
        if not name:
            self.tell("Choose a model in the table first.", "warn")
            return
        self.session.model = name
        said = f"{name} is asked from now on, in this run. To keep it: %openai use {name}"
        retires = self._warning()
        self.tell(f"{retires}\n{said}" if retires else said, "warn" if retires else "")

    def keyed(self) -> None:
        """Try the key."""
        self.load(fresh=True)

    def choose(self, name: str) -> None:
        """Choose a row."""
        self.chosen = name
        self.redraw()

    def narrow(self, pattern: str | None = None, only: str | None = None) -> None:
        """Show the models whose name holds *pattern*; *only* is all, fine-tuned or retiring."""
        self.pattern = self.pattern if pattern is None else pattern
        self.only = self.only if only is None else only
        self.redraw()

    def sort_by(self, column: str, way: str) -> None:
        """Sort by a column, ``"ascending"`` or ``"descending"``."""
        self.sort = column, way
        self.redraw()

    def _listed(self, *, fresh: bool) -> pd.DataFrame:
        frame = self.session.list_models(fresh=fresh)
        with self.lock:
            self.frame = frame
            return frame

    # What is shown.

    def compose(self) -> Sequence[Widget]:
        """Return the status, the list, and the choice."""
        import ipywidgets as w

        wide = {"description_width": "initial"}
        self._status = html_box()
        self._warn = html_box()
        self._text = w.Text(
            description="Search", placeholder="part of a name", continuous_update=True, style=wide
        )
        self._only = w.Dropdown(
            description="Show", options=["all", "fine-tuned", "retiring"], style=wide
        )
        self.when(self._text, "value", self.narrow)
        self.when(self._only, "value", lambda new: self.narrow(only=new))
        self._table = table(COLUMNS, "Models", empty="No model to show.", height=300)
        self.when(self._table, "selected", self.choose)
        self.when(self._table, "sort", lambda new: self.sort_by(*new))
        self._use = self.button("Use this model", self.use, button_style="primary")
        self._use.layout.width = "auto"
        self._count = html_box()
        self._count.layout.width = "auto"
        return [
            self._status,
            bar(self.button("Check endpoint", self.check)),
            self._warn,
            bar(self._text, self._only, self._count),
            self._table,
            bar(self._use),
        ]

    def opened(self) -> None:
        """List the models, from the dialogue file where they are recorded."""
        self.load()

    def draw(self) -> None:
        """Bring the widgets up to the state."""
        self._status.value = facts(status.rows(self.session))
        self._warn.value = note(self._warning(), "warn")
        rows = self._rows()
        put(self._table, rows, self.chosen if any(row.id == self.chosen for row in rows) else "")
        total = 0 if self.frame is None else len(self.frame)
        self._count.value = text(f"{len(rows)} of {total} models")
        self._use.disabled = not self._table.selected

    def _in_use(self) -> str | None:
        try:
            return self.session.live.target_without_asking().model
        except MagicsError:
            return self.session.model

    def _warning(self) -> str:
        return "" if self.frame is None else status.retirement(self.frame, self._in_use())

    def _rows(self) -> list[Row]:
        if self.frame is None:
            return []
        frame = self.frame
        if self.pattern:
            frame = frame[frame["id"].str.contains(self.pattern, case=False, regex=False)]
        if self.only == "fine-tuned":
            frame = frame[frame["id"].str.startswith("ft:")]
        elif self.only == "retiring":
            frame = frame[frame["shutdown_date"].notna()]
        column, way = self.sort
        if column in frame:
            ascending = way == "ascending"
            frame = frame.sort_values(
                column, ascending=ascending, na_position="last", kind="stable"
            )
        used = self._in_use()
        return [_row(line, used) for line in frame.to_dict("records")]

    # What stands for it without a kernel.

    def bundle(self) -> Bundle:
        """As every panel's; where nobody can press a button the models are listed first."""
        if self.frame is None and not live():
            try:
                if past.models(self.session.dialogue) is None:
                    self._listed(fresh=False)
            except MagicsError as error:
                self.said = str(error), "wrong"
        return super().bundle()

    def _static(self) -> tuple[list[str], list[Row]]:
        """Return what is told, and the models, as the notebook and its records say: the same anywhere.

        Where the file is, whether there is a key, and which model would answer here are the
        moment's, and shown by the widget.
        """
        used = self.session.settings.said("model")
        told = [f"asked: {used}"] if used else []
        frame = self.frame
        with contextlib.suppress(MagicsError):  # the dialogue panel tells of a damaged file
            held = past.models(self.session.dialogue)
            if held is not None and held.reply is not None:
                frame = frames.models_frame(held.reply.payload)
                told.append(f"listed: {held.created[:10]}, {_place(held.resolved.endpoint)}")
        if frame is None:
            return [*told, *filter(None, [self.said[0]])], []
        retires = status.retirement(frame, used)
        return [*told, *filter(None, [retires])], [
            _row(line, used) for line in frame.sort_values("id", kind="stable").to_dict("records")
        ]

    def plain(self) -> str:
        """Return the models as text."""
        told, rows = self._static()
        return "\n".join(["Models panel", *told, *([as_plain(COLUMNS, rows, 60)] if rows else [])])

    def html(self) -> str:
        """Return the models as HTML."""
        told, rows = self._static()
        head = "".join(f"<p>{text(said)}</p>" for said in told)
        return head + (as_html(COLUMNS, rows) if rows else "")


def _place(endpoint: str | None) -> str:
    return "the engine on this machine" if endpoint == "local" else f"at {endpoint}"


def _row(line: dict[Any, Any], used: str | None) -> Row:
    import pandas as pd

    since, retires = line["created"], line["shutdown_date"]
    cells = (
        str(line["id"]),
        "in use" if line["id"] == used else "",
        "" if pd.isna(retires) else str(retires),
        "" if pd.isna(line["owned_by"]) else str(line["owned_by"]),
        "" if pd.isna(since) else str(since.date()),
    )
    return Row(cells[0], cells, "" if pd.isna(retires) else "warning")
