"""``%config OpenAIMagics.x = …``: the settings as IPython configures things.

IPython's ``%config`` logs what a configurable refuses and lets the cell pass, and traitlets
only warns of an unknown name. So an assignment to one of ours is carried out here, where it
fails the cell; anything else goes to IPython's own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import traitlets
from traitlets.config import Configurable

from openai_magics import config

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["OpenAIMagics", "install", "remove", "set_for_notebook"]

NAMED = re.compile(r"\s*(open_?ai_?magics?)\.(\w+)", re.IGNORECASE)
ASSIGNMENT = re.compile(r"\s*OpenAIMagics\.(\w+)\s*=(?!=)\s*(.+)", re.DOTALL)


class OpenAIMagics(Configurable):
    """The settings of openai_magics (``%config OpenAIMagics`` lists them with their values)."""

    vars().update(
        {
            setting.name: traitlets.Any(None, allow_none=True, help=setting.purpose).tag(
                config=True
            )
            for setting in config.SETTINGS.values()
        }
    )


def set_for_notebook(name: str, value: Any) -> None:
    """Set a setting for this notebook, as a cell says; ``None`` takes it back.

    Raises
    ------
    SettingError
        There is no such setting, or it does not take that value.
    """
    checked = config.Settings().check(name, value, f"%config OpenAIMagics.{name}")
    if checked is None:
        config.NOTEBOOK.pop(name, None)
    else:
        config.NOTEBOOK[name] = checked
    if _shown is not None:
        setattr(_shown, name, checked)


_original: Callable[[str], Any] | None = None
_shown: OpenAIMagics | None = None
"""What ``%config OpenAIMagics`` lists."""


def install(shell: InteractiveShell) -> None:
    """Make the settings known to ``%config``; take over what the user's profile sets."""
    global _original, _shown  # noqa: PLW0603 - one shell a process
    remove(shell)
    _shown = OpenAIMagics(parent=shell)
    for name in config.SETTINGS:
        if (value := getattr(_shown, name)) is not None:
            config.PROFILE[name] = value
        if name in config.NOTEBOOK:
            setattr(_shown, name, config.NOTEBOOK[name])
    shell.configurables.append(_shown)  # type: ignore[arg-type]  # any Configurable
    _original = original = shell.find_line_magic("config")

    def assign(line: str) -> Any:
        named = NAMED.match(line)
        if named is not None:  # IPython would take a wrong one, and nobody would read it
            ours = named[1] == OpenAIMagics.__name__
            config.Settings().check(named[2] if ours else named[0].strip(), None, "%config")
        match = ASSIGNMENT.fullmatch(line)
        if match is None:
            return original(line)
        set_for_notebook(match[1], shell.ev(match[2]))
        return None

    assign.__doc__ = original.__doc__
    # register_magic_function would set an attribute `config`, which is a trait there.
    shell.magics_manager.magics["line"]["config"] = assign


def remove(shell: InteractiveShell) -> None:
    """Give IPython its ``%config`` back."""
    global _original, _shown  # noqa: PLW0603
    _shown = None
    if _original is not None:
        shell.magics_manager.magics["line"]["config"] = _original
        _original = None
    shell.configurables[:] = [
        item for item in shell.configurables if not isinstance(item, OpenAIMagics)
    ]
