"""The dialogue panel: what is in the file, one record as it was sent, its lineage, usage, verify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from openai_magics.browse import Browser, Pattern, Summary
from openai_magics.errors import MagicsError
from openai_magics.panels import record
from openai_magics.panels.forms import FormPanel, bar, chosen, facts, html_box, offer, text
from openai_magics.panels.lines import (
    FINDINGS,
    LINEAGE,
    RECORDS,
    finding_rows,
    kin_rows,
    record_row,
    verdict,
)
from openai_magics.panels.table import Row, as_html, as_plain, put, table
from openai_magics.panels.thumbs import thumbnails
from openai_magics.panels.usage import MEASURES, usage_html

if TYPE_CHECKING:
    from ipywidgets import Widget

    from openai_magics.exchange import Exchange
    from openai_magics.panels.worker import Job
    from openai_magics.sent import Lineage
    from openai_magics.session import Session
    from openai_magics.verify import Report

__all__ = ["DialoguePanel"]

PAGE = 50
ALONE = "(none)"


class DialoguePanel(FormPanel):
    """Browses the dialogue file; asks nothing and changes nothing."""

    name = "dialogue"

    def __init__(self, session: Session, number: int = 0) -> None:
        super().__init__(session, number)
        self.pattern = Pattern()
        self.rows: list[int] = []
        self.at = 0
        self.total = 0
        self.shown: list[Summary] = []
        self.selected = ""
        self.chosen: Exchange | None = None
        self.lineage: Lineage | None = None
        self.pictures: dict[str, str] = {}
        self.measure = "tokens"
        self.usage: Any = None
        self.report: Report | None = None
        self._search: Job | None = None

    @property
    def browser(self) -> Browser:
        """What is looked through."""
        return self.session.dialogue.browse()

    # What a person does; each is a call of the session's dialogue, made in the background.

    def look(self, pattern: Pattern | None = None) -> Job:
        """Find what is wanted, and show its first page; without a pattern look again."""
        if pattern is not None:
            self.pattern, self.at = pattern, 0
        if self._search is not None:
            self._search.stop()
        browser, wanted, at = self.browser, self.pattern, self.at

        def work(job: Job) -> tuple[int, list[int], list[Summary], Job]:
            total = browser.refresh(job.stopping)
            rows = browser.find(wanted, job.stopping)
            return total, rows, browser.summaries(rows[at : at + PAGE]), job

        self._search = self.run("Reading the dialogue…", work, self._found)
        return self._search

    def narrow(self, **changes: str | None) -> Job:
        """Look with some fields of the pattern changed."""
        return self.look(replace(self.pattern, **changes))  # type: ignore[arg-type]

    def _found(self, result: tuple[int, list[int], list[Summary], Job]) -> str:
        total, rows, shown, job = result
        if not job.stopping.is_set():  # else another search has taken its place
            self.total, self.rows, self.shown = total, rows, shown
        return ""

    def turn(self, pages: int) -> Job:
        """Go some pages on, or back."""
        last = max(0, len(self.rows) - 1) // PAGE * PAGE
        self.at = min(max(0, self.at + pages * PAGE), last)
        wanted = self.rows[self.at : self.at + PAGE]

        def then(shown: list[Summary]) -> None:
            self.shown = shown

        return self.run("", lambda _: self.browser.summaries(wanted), then)

    def choose(self, identity: str) -> Job:
        """Show the record with this id, and where it comes from."""
        self.selected = self.in_detail = identity

        def work(job: Job) -> tuple[Exchange, Lineage, dict[str, str]] | None:
            self.browser.refresh(job.stopping)  # it may not have been read yet
            row = self.browser.row_of(identity)
            if row is None:
                return None
            item = self.browser.exchange(row)
            folder = self.session.dialogue.path.parent
            return item, self.browser.lineage(item), thumbnails(item, folder)

        def then(found: tuple[Exchange, Lineage, dict[str, str]] | None) -> str:
            if found is None:
                return "That record is no longer in the file."
            if self.selected == identity:  # else another one was chosen since
                self.chosen, self.lineage, self.pictures = found
            return ""

        return self.run("", work, then)

    def count(self, measure: str | None = None) -> Job:
        """Count what was used, by model and day."""
        self.measure = measure or self.measure

        def then(frame: Any) -> None:
            self.usage = frame

        return self.run(
            "Counting what was used…",
            lambda _: self.session.dialogue.usage(("day", "model"), whole=True),
            then,
        )

    def verify(self) -> Job:
        """Run the notebook in replay, in a kernel of its own, and compare."""

        def then(report: Report) -> str:
            self.report = report
            return ""

        said = "Running a copy of the notebook in replay; this takes as long as the notebook does…"
        return self.run(said, lambda _: self.session.dialogue.verify(), then)

    # What is shown.

    def compose(self) -> Sequence[Widget]:
        """Return the tabs: records, usage, verify."""
        import ipywidgets as w

        wide = {"description_width": "initial"}
        self._text = w.Text(
            description="Search",
            placeholder="in requests and replies",
            continuous_update=False,
            style=wide,
        )
        self._conversation = w.Dropdown(description="Conversation", style=wide)
        self._kind = w.Dropdown(description="Kind", style=wide)
        self._model = w.Dropdown(description="Model", style=wide)
        self.when(self._text, "value", lambda new: self.narrow(text=new))
        self.when(self._kind, "value", lambda new: self.narrow(kind=chosen(new)))
        self.when(self._model, "value", lambda new: self.narrow(model=chosen(new)))
        self.when(
            self._conversation,
            "value",
            lambda new: self.narrow(conversation="" if new == ALONE else chosen(new)),
        )
        self._table = table(RECORDS, "Records", empty="No record fits.")
        self.when(self._table, "selected", self.choose)
        self._newer = self.button("Newer", partial(self.turn, -1))
        self._older = self.button("Older", partial(self.turn, 1))
        self._place = html_box()
        self._place.layout.width = "auto"
        self._page = html_box()
        self._kin = table(LINEAGE, "Lineage of the record", height=180)
        self.when(self._kin, "selected", self.choose)
        self._lineage = html_box()
        records = w.VBox(
            [
                bar(self._text, self._conversation, self._kind, self._model),
                self._table,
                bar(self._newer, self._older, self.button("Refresh", self.look), self._place),
                self._page,
                self._lineage,
                self._kin,
            ]
        )
        self._measure = w.Dropdown(description="Measure", options=list(MEASURES), style=wide)
        self.when(self._measure, "value", self.count)
        self._chart = html_box()
        usage = w.VBox([bar(self._measure, self.button("Count again", self.count)), self._chart])
        self._verify = self.button("Verify", self.verify, button_style="primary")
        self._verdict = html_box()
        self._findings = table(FINDINGS, "Findings of verify", height=320)
        verify = w.VBox([bar(self._verify), self._verdict, self._findings])
        self._tabs = w.Tab([records, usage, verify], titles=("Records", "Usage", "Verify"))
        self.when(self._tabs, "selected_index", self._opened_tab)
        return [self._tabs]

    def opened(self) -> None:
        """Read the file."""
        self.look()

    def _opened_tab(self, index: int) -> None:
        if index == 1 and self.usage is None:
            self.count()

    def draw(self) -> None:
        """Bring the widgets up to the state."""
        kinds, conversations, models = self.browser.choices()
        wanted = self.pattern
        named = [(name or ALONE, name or ALONE) for name in conversations]
        conversation = ALONE if wanted.conversation == "" else wanted.conversation
        offer(self._conversation, named, conversation)
        offer(self._kind, [(name, name) for name in kinds], wanted.kind)
        offer(self._model, [(name, name) for name in models], wanted.model)
        self._text.value = wanted.text
        put(self._table, map(record_row, self.shown), self.selected)
        self._place.value = text(self._position())
        self._newer.disabled = self.at == 0
        self._older.disabled = self.at + PAGE >= len(self.rows)
        self._draw_record()
        self._measure.value = self.measure
        self._chart.value = usage_html(self.usage, self.measure) if self.usage is not None else ""
        self._draw_report()

    def _position(self) -> str:
        if not self.rows:
            return f"none of {self.total:,} records"
        last = min(self.at + PAGE, len(self.rows))
        of = "" if len(self.rows) == self.total else f", of {self.total:,} in the file"
        return f"{self.at + 1:,} to {last:,} of {len(self.rows):,} records{of}"

    def _draw_record(self) -> None:
        kin: list[Row] = []
        if self.chosen is not None and self.lineage is not None:
            notebook = self.session.dialogue.path
            beside = notebook.with_name(notebook.name.removesuffix(".dialogue.json") + ".ipynb")
            cell = record.cell_of(beside, self.chosen.cell) if beside.exists() else ""
            self._page.value = record.page(self.chosen, self.lineage, cell, self.pictures)
            missing = " The turn before is not in the file." if self.lineage.missing else ""
            self._lineage.value = f"<h4>Lineage</h4>{text(missing)}"
            kin = kin_rows(self.lineage)
        self._kin.layout.display = "" if kin else "none"
        self._lineage.layout.display = (
            "" if kin or (self.lineage and self.lineage.missing) else "none"
        )
        put(self._kin, kin, "")

    def _draw_report(self) -> None:
        self._verify.disabled = self.busy
        report = self.report
        self._findings.layout.display = "" if report is not None and report.findings else "none"
        if report is None:
            self._verdict.value = text(
                "Runs a copy of the notebook in a kernel that may only replay, and compares."
            )
            return
        self._verdict.value = facts(verdict(report))
        put(self._findings, finding_rows(report))

    # What stands for it without a kernel.

    def _newest(self) -> list[Summary]:
        self.total, newest = self.browser.newest(10)
        return newest

    def plain(self) -> str:
        """Return the file and its newest records as text."""
        try:
            newest = self._newest()
        except MagicsError as error:
            return f"Dialogue panel: {error}"
        head = f"Dialogue panel: {self.session.dialogue.path.name}, {self.total} records"
        kept = [replace(line, created=line.created[:16]) for line in newest]
        return f"{head}\n{as_plain(RECORDS, map(record_row, kept))}" if newest else head

    def html(self) -> str:
        """Return the file and its newest records as HTML."""
        try:
            newest = self._newest()
        except MagicsError as error:
            return f"<p>{text(str(error))}</p>"
        head = f"{self.session.dialogue.path.name}: {self.total:,} records"
        if self.total > len(newest):
            head += f", the newest {len(newest)}:"
        return f"<p>{text(head)}</p>" + (
            as_html(RECORDS, map(record_row, newest)) if newest else ""
        )
