"""What every panel is: a widget over a session, and what stands for it where there is none.

A panel's bundle has three forms: the widget, for a front end with a kernel behind it;
``text/html``, safe and static, and ``text/plain``, of the state at that moment, for whoever
opens the notebook without one (nbconvert, GitHub, a page whose kernel is gone). Where nobody
is there to use it (nbclient, papermill, nbval) the widget is left out: its saved state would
be shown in place of what is true.
"""

from __future__ import annotations

import os
import sys
import threading
import uuid
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openai_magics import cells, render
from openai_magics.panels.worker import Worker

if TYPE_CHECKING:
    from ipywidgets import Widget

    from openai_magics.render import Bundle
    from openai_magics.session import Session

__all__ = ["VIEW", "Panel", "front", "live"]

FRONT = Path(__file__).parent / "front"
VIEW = "application/vnd.jupyter.widget-view+json"
NAMESPACE = uuid.UUID("9c1d57cc-46b2-5d8e-9a53-0d86cbd27c9c")


class Panel(ABC):
    """One panel of a session.

    Parameters
    ----------
    session : Session
        Whose calls it makes.
    number : int
        Tells the panels of several sessions in one kernel apart.
    """

    name = ""
    """As in ``%panel NAME``."""

    def __init__(self, session: Session, number: int = 0) -> None:
        self.session = session
        self.number = number
        self.worker = Worker()
        self.lock = threading.RLock()
        """Held whenever the panel's state is read or changed: callbacks come from any thread."""
        self._widget: Widget | None = None

    @property
    def model_id(self) -> str:
        """The id of the panel's widget, the same in every run: the saved output does not change."""
        return uuid.uuid5(NAMESPACE, f"{self.name}:{self.number}").hex

    @property
    def widget(self) -> Widget:
        """The widget, made at first use."""
        with self.lock:
            if self._widget is None:
                self._widget = self.build()
            return self._widget

    @property
    def revivable(self) -> bool:
        """Whether a view may ask a new kernel for the same panel: it is the notebook's own."""
        session = getattr(sys.modules.get("openai_magics.session"), "current", None)
        return self.number == 0 and session is self.session

    def revive(self, detail: str = "") -> None:  # noqa: ARG002 - for panels that show one thing of many
        """Make the widget in a kernel that was restarted, for a view that is still open.

        *detail* is what the view shows.
        """
        _ = self.widget

    @abstractmethod
    def build(self) -> Widget:
        """Make the widget (with `model_id`); ipywidgets is imported here."""

    @abstractmethod
    def plain(self) -> str:
        """Return the state at this moment as text."""

    @abstractmethod
    def html(self) -> str:
        """Return the state at this moment as HTML in which nothing is active."""

    def bundle(self) -> Bundle:
        """Return what is displayed (see the module's docstring)."""
        data: dict[str, Any] = {"text/plain": render.printable(self.plain())}
        data["text/html"] = f'<div class="{render.CLASSES}" dir="auto">{self.html()}</div>'
        if live():
            model = self.widget.model_id
            data[VIEW] = {"version_major": 2, "version_minor": 0, "model_id": model}
        # A panel shows the state of the moment: `verify` compares it with nothing.
        return data, {"openai_magics": {"panel": self.name}}

    def _repr_mimebundle_(self, **_: Any) -> Bundle:
        return self.bundle()

    def show(self) -> None:
        """Display it in the cell that runs now."""
        from IPython.display import publish_display_data

        data, metadata = self.bundle()
        publish_display_data(data, metadata)


def front(*names: str) -> str:
    """Return the source of files in ``front``, joined to one module or style sheet.

    They are plain JavaScript and CSS: there is no build.
    """
    return "\n".join((FRONT / name).read_text("utf-8") for name in names)


def live() -> bool:
    """Whether somebody is there to use a widget: in a front end, or behind Voilà."""
    shell = cells.current_shell()
    if getattr(shell, "kernel", None) is None:
        return False
    return cells.watched(shell) or os.environ.get("SERVER_SOFTWARE", "").startswith("voila/")
