"""The table of the magics, and what stands for each until it is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["FAMILIES", "Magic"]

FAMILIES = {
    "ask": ("ask", "AskMagics", ("line", "cell")),
    "assistant": ("assistants", "AssistantMagics", ("line", "cell")),
    "assistants": ("assistants", "AssistantMagics", ("line",)),
    "describe": ("describe", "DescribeMagics", ("line", "cell")),
    "dialogue": ("dialogue", "DialogueMagics", ("line",)),
    "jobs": ("jobs", "JobsMagics", ("line",)),
    "models": ("service", "ServiceMagics", ("line",)),
    "openai": ("service", "ServiceMagics", ("line",)),
    "panel": ("panel", "PanelMagics", ("line",)),
    "train": ("train", "TrainMagics", ("line", "cell")),
}
"""A magic → its room, the class there, and whether it is for a line, a cell, or both."""


class Magic:
    """A magic by its name; what it is stands in its family's room.

    To IPython it is a function: it is called, asked for its ``__doc__``, and not expanded.
    """

    _ipython_magic_no_var_expand = True  # what @no_var_expand sets

    def __init__(self, name: str, shell: InteractiveShell) -> None:
        self.__name__ = name
        self._shell = shell

    def __call__(self, line: str, cell: str | None = None) -> Any:
        if cell is None:
            return self.method(line)
        return self.method(line, cell)

    @property
    def method(self) -> Any:
        """The magic itself, bound to its family."""
        room, kind, _ = FAMILIES[self.__name__]
        held = self._shell.magics_manager.registry
        if kind not in held:
            module = importlib.import_module(f"openai_magics.magics.{room}")
            held[kind] = getattr(module, kind)(self._shell)
        return getattr(held[kind], self.__name__)

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        """The manual page."""
        return self.method.__doc__  # type: ignore[no-any-return]
