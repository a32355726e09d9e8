"""The magics, a family a room: parse, call, display. ``%ask?`` is the manual page of each.

`families` has the table of them. A family is imported when one of its magics is first used,
completed or looked up: loading the extension costs the same however many there are.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from openai_magics.magics import configurable
from openai_magics.magics.families import FAMILIES, Magic

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

__all__ = ["load", "unload"]


def _cell_ran(result: ExecutionResult) -> None:
    """After a cell that succeeded: what it no longer asks, it no longer says."""
    # A thread may be importing the module at this moment: see `warm`.
    session = getattr(sys.modules.get("openai_magics.session"), "current", None)
    if session is not None and result.success:
        from openai_magics.turns import here

        session.turns.cell_ran(here())


def load(shell: InteractiveShell) -> None:
    """Register the magics, their settings and completions in *shell*."""
    from openai_magics import warm
    from openai_magics.magics import complete, displayed, questions

    for name, (_, _, kinds) in FAMILIES.items():
        for kind in kinds:
            shell.magics_manager.magics[kind][name] = Magic(name, shell)
    configurable.install(shell)
    shell.events.register("post_run_cell", _cell_ran)
    complete.install(shell)
    questions.install(shell)
    displayed.install(shell)
    warm.import_soon(os.environ)


def unload(shell: InteractiveShell) -> None:
    """Take out what `load` put in."""
    from openai_magics.magics import complete, displayed, questions

    shell.events.unregister("post_run_cell", _cell_ran)
    complete.remove(shell)
    questions.remove(shell)
    displayed.remove(shell)
    configurable.remove(shell)
    for name, (_, kind, places) in FAMILIES.items():
        for place in places:
            shell.magics_manager.magics[place].pop(name, None)
        held = shell.magics_manager.registry.pop(kind, None)
        shell.configurables[:] = [item for item in shell.configurables if item is not held]
