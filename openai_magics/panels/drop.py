"""Files from the person's computer, chosen, dropped or pasted (``front/drop.js``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["drop"]

FRONT = Path(__file__).parent / "front"
LARGEST = 100 * 2**20
"""Bytes of a file at most, where nothing else is said."""


@lru_cache(maxsize=1)
def _kind() -> Any:
    import traitlets
    from anywidget import AnyWidget

    class Drop(AnyWidget):
        """See the module's docstring."""

        _esm = FRONT / "drop.js"
        _css = FRONT / "form.css"
        label = traitlets.Unicode("Choose files").tag(sync=True)
        hint = traitlets.Unicode("").tag(sync=True)
        accept = traitlets.Unicode("").tag(sync=True)
        several = traitlets.Bool(True).tag(sync=True)  # noqa: FBT003 - traitlets' way
        largest = traitlets.Int(LARGEST).tag(sync=True)

    return Drop


def drop(took: Callable[[str, bytes], None], refused: Callable[[str], None], **traits: Any) -> Any:
    """Return a place for files.

    Parameters
    ----------
    took : callable
        Gets the name and the bytes of each file, once it is whole.
    refused : callable
        Gets what is to be said of a file that is too large.
    **traits
        ``label``, ``hint``, ``accept`` (as of HTML), ``several``, ``largest`` (bytes).
    """
    widget = _kind()(**traits)
    held: dict[str, bytearray] = {}

    def told(_: Any, content: dict[str, Any], buffers: Sequence[Any]) -> None:
        name = str(content.get("name", ""))
        most = widget.largest
        if content.get("type") == "piece" and buffers:
            identity = str(content.get("id"))
            data = held.setdefault(identity, bytearray())
            data += bytes(buffers[0])
            if len(data) > most:
                held.pop(identity)
                content = {"type": "refused"}
            elif content.get("last"):
                took(name, bytes(held.pop(identity)))
        if content.get("type") == "refused":
            refused(f"{name} is larger than {most >> 20} MB, and was not taken.")

    widget.on_msg(told)
    return widget
