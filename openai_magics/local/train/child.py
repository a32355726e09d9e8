"""The trainer as a child of the queue: it ends when the queue does, and gives way to people."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

__all__ = ["begin_process"]


def begin_process() -> None:
    """Make this process the queue's: it ends with it, and what a person does goes before it."""
    parent = os.getppid()

    def end_with_it() -> None:
        # Both, as in `openai_magics.local.server`: a fork may hold the pipe open.
        from openai_magics.local.server import end_with

        threading.Thread(target=end_with, args=(parent,), daemon=True).start()
        while os.read(0, 4096):  # not through `sys.stdin`, whose lock is wanted at the end
            pass
        os._exit(0)

    threading.Thread(target=end_with_it, daemon=True).start()
    if hasattr(os, "nice"):
        with suppress(OSError):
            os.nice(5)
