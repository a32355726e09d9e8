"""What the panels made of forms share: work in the background, what is said of it, safe texts.

Their state is in Python: `FormPanel.draw` brings the widgets up to it, so that every view
shows the same, and what a widget tells is one call of a method that a test can make too.
"""

from __future__ import annotations

import asyncio
import html
import logging
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from openai_magics import logs, render
from openai_magics.errors import Interrupted, KeyMissing, KeyRefused, MagicsError
from openai_magics.panels import keeper
from openai_magics.panels.base import Panel
from openai_magics.panels.worker import Job

if TYPE_CHECKING:
    from ipywidgets import Widget

    from openai_magics.session import Session

__all__ = ["FormPanel", "bar", "button", "chosen", "facts", "html_box", "note", "offer", "text"]

log = logging.getLogger("openai_magics")

ANY = "any"
LONGEST = 100_000
"""Characters of one text that a panel shows; the dialogue file has all of it."""


class FormPanel(Panel):
    """A panel composed of widgets."""

    def __init__(self, session: Session, number: int = 0) -> None:
        super().__init__(session, number)
        self.said: tuple[str, str] = ("", "")
        """What is told below the form, and how: ``""``, ``"warn"`` or ``"wrong"``."""
        self.jobs: list[Job] = []
        self.key_wanted = False
        self.in_detail = ""
        """What of many is shown in detail, and is there after a restart."""
        self._refused: Callable[[], Any] | None = None
        self._drawing = False

    def build(self) -> Widget:
        """Make the widgets once; what they show is `draw`'s."""
        import ipywidgets

        self._keeper = keeper.keeper(self)
        self._note = keeper.note()
        self._key = ipywidgets.Password(
            description="API key", style={"description_width": "initial"}
        )
        self._set_key = self.button("Use this key", self._typed_key)
        self._keys = bar(self._key, self._set_key)
        parts = [self._keeper, *self.compose(), self._note, self._keys]
        root = ipywidgets.VBox(parts, model_id=self.model_id)
        root.add_class("oai-form").add_class(f"oai-{self.name}")
        self._widget = root
        self.redraw()
        self.opened()
        return root

    @abstractmethod
    def compose(self) -> Sequence[Widget]:
        """Return the widgets, top to bottom."""

    @abstractmethod
    def draw(self) -> None:
        """Bring the widgets up to the state."""

    def opened(self) -> None:
        """Begin what a shown panel begins with."""

    def revive(self, detail: str = "") -> None:
        """Make the widgets anew, with what the view showed in detail."""
        with self.lock:
            super().revive(detail)
            if detail:
                self.safely(lambda: self.choose(detail))

    def choose(self, identity: str) -> Any:
        """Show one thing of many in detail."""

    def use_key(self, key: str) -> None:
        """Use this key from now on."""
        self.session.use_key(key)
        self.key_wanted = False
        self.tell("The key is held in this kernel's memory only.")
        self.keyed()

    def keyed(self) -> None:
        """Do again what a key was wanted for."""
        again, self._refused = self._refused, None
        if again is not None:
            again()

    def _has_key(self) -> bool:
        try:
            self.session.live.target_without_asking()
        except MagicsError:
            return False
        return True

    def _typed_key(self) -> None:
        typed = self._key.value
        self._key.value = ""  # the front end is not to keep it either
        self.use_key(typed)

    @property
    def busy(self) -> bool:
        """Whether something is going on."""
        return any(not job.done.is_set() for job in self.jobs)

    def tell(self, said: str, how: str = "") -> None:
        """Say something below the form, in all views."""
        with self.lock:
            self.said = said, how
            self.redraw()

    def redraw(self) -> None:
        """Show the state, if there is something to show it in."""
        with self.lock:
            if self._widget is None:
                return
            self._drawing = True
            try:
                said, how = self.said
                with self._note.hold_sync():
                    self._note.value, self._note.how = _shown(said), how
                self._keys.layout.display = "" if self.key_wanted else "none"
                self.draw()
                self._keeper.detail = self.in_detail
            finally:
                self._drawing = False

    def run(self, what: str, work: Callable[[Job], Any], then: Callable[[Any], str | None]) -> Job:
        """Do something in the background.

        Parameters
        ----------
        what : str
            Is told while it goes on.
        work : callable
            As `Worker.start` takes it.
        then : callable
            Takes its result into the state; what it returns is told.
        """

        def ended(result: Any, error: BaseException | None) -> None:
            with self.lock:
                how = ""
                if error is None:
                    try:
                        said = then(result) or ""
                    except Exception as problem:  # noqa: BLE001 - it is shown
                        said, how = problem_of(problem), "wrong"
                else:
                    said, how = problem_of(error), "wrong"
                # Only now: what `then` begins belongs to it for who waits until nothing goes on.
                self.jobs = [other for other in self.jobs if other is not job]
                refused = isinstance(error, (KeyMissing, KeyRefused))
                if refused:
                    self._refused = partial(self.run, what, work, then)
                self.key_wanted = refused or (
                    self.key_wanted and (error is not None or not self._has_key())
                )
                if isinstance(error, (asyncio.CancelledError, Interrupted)):
                    how = "warn"
                if said or self.said == (what, ""):  # else something was told since
                    self.said = said, how
                self.redraw()

        with self.lock:
            job = self.worker.start(work, ended)
            if not job.done.is_set():
                self.jobs.append(job)
            self.tell(what)
        return job

    def stop(self) -> None:
        """Stop what is going on."""
        with self.lock:
            for job in self.jobs:
                job.stop()

    def when(self, widget: Widget, name: str, act: Callable[[Any], Any]) -> None:
        """Act on what a person set a widget to; what fails is shown here, not in a log.

        *act* gets the new value: by the time it has the lock, a redraw by another thread may
        have put the widget back to the state before.
        """

        def changed(change: Any) -> None:
            with self.lock:
                if not self._drawing:
                    self.safely(lambda: act(change["new"]))

        widget.observe(changed, name)

    def safely(self, act: Callable[[], Any]) -> None:
        """Act under the lock, and show what fails."""
        with self.lock:
            try:
                act()
            except Exception as error:  # noqa: BLE001 - a callback's error would be seen by nobody
                self.tell(problem_of(error), "wrong")

    def button(self, label: str, act: Callable[[], Any], **more: Any) -> Any:
        """Return a button that acts."""
        made = button(label, **more)
        made.on_click(lambda _: self.safely(act))
        return made


def problem_of(error: BaseException) -> str:
    """Return what is told of a failure."""
    if isinstance(error, asyncio.CancelledError):
        return "Stopped."
    if isinstance(error, (MagicsError, Interrupted)):
        return str(error)
    log.error("A panel's work failed: %s", logs.told(error))
    return f"{type(error).__name__}: {error}"


def note(said: str, how: str = "") -> str:
    """Return a line as HTML; what is wrong is read out by screen readers when it appears."""
    if not said:
        return ""
    if how:
        return f'<div class="oai-note oai-{how}" role="alert" dir="auto">{text(said)}</div>'
    return f'<div class="oai-note" dir="auto">{text(said)}</div>'


def _shown(said: str) -> str:
    return render.printable(said if len(said) <= LONGEST else f"{said[:LONGEST]}…")


def text(said: str, longest: int = LONGEST) -> str:
    """Return a text as HTML in which nothing is active, and what was left out of it."""
    shown = html.escape(render.printable(said[:longest]))
    if len(said) <= longest:
        return shown
    return f"{shown}… <em>({len(said) - longest:,} more characters: see the dialogue file)</em>"


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """Return names and values as a table."""
    body = "".join(
        f'<tr><th scope="row">{text(name)}</th><td dir="auto">{text(value)}</td></tr>'
        for name, value in rows
    )
    return f'<table class="oai-facts">{body}</table>'


def html_box() -> Any:
    """Return a widget for HTML that this package made."""
    import ipywidgets

    made = ipywidgets.HTML()
    made.layout.width = "100%"
    return made


def button(label: str, **more: Any) -> Any:
    """Return a button."""
    import ipywidgets

    return ipywidgets.Button(description=label, **more)


def bar(*widgets: Any) -> Any:
    """Return widgets beside one another, in as many lines as they need."""
    import ipywidgets

    return ipywidgets.Box(widgets).add_class("oai-bar")


def chosen(value: str | None) -> str | None:
    """Return what a Dropdown of `offer` says: ``None`` for any."""
    return None if value == ANY else value


def offer(widget: Any, named: list[tuple[str, str]], value: str | None) -> None:
    """Give a Dropdown its options, and choose one; a chosen one that is gone stays there."""
    options = [(ANY, ANY), *named]
    if value is not None and value not in {held for _, held in options}:
        options.append((value, value))
    if tuple(widget.options) != tuple(options):
        widget.options = options
    widget.value = ANY if value is None else value
