"""Stop (SIGINT) while something is done that must be done whole: it is heard right after.

An interrupt can strike between any two steps of Python. Where it strikes between taking a lock
and noting that it is taken, the traceback that is kept for the person keeps the lock, and the
next one waits for it. So the steps before and after a request are taken inside `Held`, and only
what takes time is `heard`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, TypeVar

__all__ = ["Held", "check", "heard"]

Result = TypeVar("Result")


class Held:
    """Hold back an interrupt until the ``with`` ends; one inside another adds nothing.

    Signals reach the main thread only: elsewhere there is nothing to hold back.
    """

    outer: ClassVar[Held | None] = None
    """The one in force, of the main thread."""

    def __init__(self) -> None:
        self.before: Any = None
        self.noted = False

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread() and Held.outer is None:
            self.before = signal.getsignal(signal.SIGINT)
            if self.before is not None:  # else it was set by something that is not Python
                signal.signal(signal.SIGINT, self.note)
                Held.outer = self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if Held.outer is self:
            Held.outer = None
            signal.signal(signal.SIGINT, self.before)
            if self.noted:
                signal.raise_signal(signal.SIGINT)

    def note(self, *_: object) -> None:
        """Be the handler: keep in mind that it was asked for."""
        self.noted = True


def heard(work: Callable[[], Result]) -> Result:
    """Do what takes time, and may be interrupted, inside `Held`.

    Raises
    ------
    KeyboardInterrupt
        An interrupt came, now or while it was held back.
    """
    outer = _in_force()
    if outer is None:
        return work()
    Held.outer = None  # what it calls may hold back on its own
    signal.signal(signal.SIGINT, outer.before)
    try:
        if outer.noted:
            outer.noted = False
            signal.raise_signal(signal.SIGINT)
        return work()
    finally:
        signal.signal(signal.SIGINT, outer.note)
        Held.outer = outer


def check() -> None:
    """Raise what is held back, where one waits and has taken nothing yet.

    Raises
    ------
    KeyboardInterrupt
        An interrupt was held back.
    """
    outer = _in_force()
    if outer is not None and outer.noted:
        outer.noted = False
        raise KeyboardInterrupt


def _in_force() -> Held | None:
    return Held.outer if threading.current_thread() is threading.main_thread() else None
