"""What stands in every panel made of forms: what it says is read out, and it comes back.

A view is asked for by a kernel that knows nothing of it after a restart; ``front/keeper.js``
notices, says so, and offers to have the panel made anew (`Panel.revive`), in all its views.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from openai_magics.panels.base import front

if TYPE_CHECKING:
    from openai_magics.panels.base import Panel

__all__ = ["keeper", "note"]

FILES = ("dom.js", "link.js", "keeper.js")


@lru_cache(maxsize=1)
def _kind() -> Any:
    import traitlets
    from anywidget import AnyWidget

    class Keeper(AnyWidget):
        """See the module's docstring."""

        _esm = front(*FILES)
        panel = traitlets.Unicode("").tag(sync=True)
        root = traitlets.Unicode("").tag(sync=True)
        detail = traitlets.Unicode("").tag(sync=True)

    return Keeper


def keeper(panel: Panel) -> Any:
    """Return the keeper of a panel.

    Its ``detail`` is given to `Panel.revive`.
    """
    made = _kind()(panel=panel.name, root=panel.model_id)

    def told(widget: Any, content: dict[str, Any], _: Any) -> None:
        if content.get("type") == "ready":
            model = panel.model_id if panel.revivable else None
            widget.send({"type": "opened", "view": content.get("view"), "model": model})

    made.on_msg(told)
    return made


@lru_cache(maxsize=1)
def _note() -> Any:
    import traitlets
    from anywidget import AnyWidget

    class Note(AnyWidget):
        """See `note`."""

        _esm = front("note.js")
        value = traitlets.Unicode("").tag(sync=True)
        how = traitlets.Unicode("").tag(sync=True)

    return Note


def note() -> Any:
    """Return the place where a panel says something; screen readers read it out.

    ``value`` is the text, ``how`` is ``""``, ``"warn"`` or ``"wrong"``.
    """
    return _note()()
