"""The panels: a session in widgets, for a person who does not write code.

A panel holds no logic of its own: every action is a call of `Session` or of what hangs on it,
made by a worker (`openai_magics.panels.worker`) off the main thread, and what is shown is
rendered by the same room as a cell's output. Each panel is one room here, with a row in
`PANELS`; ``%panel NAME`` and ``Session.<name>_panel()`` show it.
"""

from __future__ import annotations

import importlib
import threading
from typing import TYPE_CHECKING

from openai_magics.errors import OptionError, nearest

if TYPE_CHECKING:
    from openai_magics.panels.base import Panel
    from openai_magics.session import Session

__all__ = ["PANELS", "HasPanels", "panel"]

PANELS = {
    "chat": ("chat", "ChatPanel"),
    "dialogue": ("dialogue", "DialoguePanel"),
    "images": ("images", "ImagesPanel"),
    "models": ("models", "ModelsPanel"),
    "training": ("training", "TrainingPanel"),
}
"""A panel → its room here, and the class in it."""

_shown: dict[Session, dict[str, Panel]] = {}
"""Sessions in the order in which they first showed a panel."""
_mutex = threading.Lock()


def panel(name: str, session: Session) -> Panel:
    """Return the panel of a session, the same one each time: showing it again is another view.

    Raises
    ------
    OptionError
        There is no such panel.
    """
    if name not in PANELS:
        raise OptionError(
            f"There is no panel {name!r}{nearest(name, PANELS)}.", f"Panels: {', '.join(PANELS)}."
        )
    room, kind = PANELS[name]
    with _mutex:
        held = _shown.setdefault(session, {})
        if name not in held:
            module = importlib.import_module(f"openai_magics.panels.{room}")
            # The number is the same after a restart, and so is the widget that is displayed.
            number = list(_shown).index(session)
            held[name] = getattr(module, kind)(session, number)
        return held[name]


class HasPanels:
    """What a session shows to a person who does not write code: display what a method returns."""

    def chat_panel(self) -> Panel:
        """Return the panel to ask in, conversation by conversation."""
        return panel("chat", self)  # type: ignore[arg-type]  # it is a Session

    def dialogue_panel(self) -> Panel:
        """Return the panel that shows what is recorded, and its upkeep."""
        return panel("dialogue", self)  # type: ignore[arg-type]

    def models_panel(self) -> Panel:
        """Return the panel that shows the endpoint's models, and chooses one."""
        return panel("models", self)  # type: ignore[arg-type]

    def images_panel(self) -> Panel:
        """Return the panel that has images described."""
        return panel("images", self)  # type: ignore[arg-type]

    def training_panel(self) -> Panel:
        """Return the panel that checks training data, and starts and follows jobs."""
        return panel("training", self)  # type: ignore[arg-type]
