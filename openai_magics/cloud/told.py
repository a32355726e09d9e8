"""What a person is told of the cloud: once, and never in the output of a cell.

A synchronisation ends in the background, under whatever cell runs at that moment, and
whether it fails is the machine's matter, not the notebook's: said in a cell, it would be a
difference between two runs of one notebook. In a kernel it waits here, therefore, for
``%openai`` and ``%dialogue sync``, whose outputs are of this machine anyway; what is not in
the cloud at the end of the process is said then, on standard error. A script, or IPython in a terminal, says it on standard error at once. A
program with a logging of its own gets it as any other record, of the logger
``openai_magics.cloud``.
"""

from __future__ import annotations

import logging
import threading

from openai_magics import cells

__all__ = ["STANDING", "aside", "log"]

STANDING = {"standing": True}
"""Extra of a record of what `openai_magics.cloud.sync.Sync.state` tells as long as it is so."""

log = logging.getLogger("openai_magics.cloud")


class Aside(logging.Handler):
    """Keeps warnings for where they may be shown; outside of a kernel, shows them at once.

    ``held_back`` is whether there was something that nobody was shown at once.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.held_back = False
        self._waiting: list[str] = []
        self._mutex = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, or give it to standard error where nothing else handles it."""
        if getattr(cells.current_shell(), "kernel", None) is not None:
            self.held_back = True
            if not hasattr(record, *STANDING):
                with self._mutex:
                    self._waiting.append(record.getMessage())
        elif log.parent is not None and not log.parent.hasHandlers() and logging.lastResort:
            logging.lastResort.handle(record)

    def taken(self) -> list[str]:
        """Return what nobody was told yet; from now on it is told."""
        with self._mutex:
            told, self._waiting = self._waiting, []
        return list(dict.fromkeys(told))


aside = Aside()
log.addHandler(aside)
