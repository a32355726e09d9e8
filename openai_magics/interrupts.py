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
from types import FrameType, TracebackType
from typing import Any, ClassVar, TypeVar

__all__ = ["Held", "check", "heard"]

Result = TypeVar("Result")


class Held:
    """Hold back an interrupt until the ``with`` ends, also inside what is `heard`.

    Signals reach the main thread only: elsewhere there is nothing to hold back.
    """

    _handler: ClassVar[_Handler | None] = None
    """The handler in force, of the main thread."""

    def __init__(self) -> None:
        self._own: _Handler | None = None
        self._within: _Handler | None = None
        self._hearing = False

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        if Held._handler is not None:
            self._within, self._hearing = Held._handler, Held._handler.hearing
            self._within.hearing = False
        elif (before := signal.getsignal(signal.SIGINT)) is not None:  # None: not Python's
            own = _Handler(before)
            signal.signal(signal.SIGINT, own)
            self._own = Held._handler = own

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._own is not None:
            Held._handler = None
            signal.signal(signal.SIGINT, self._own.before)
            if self._own.noted:
                signal.raise_signal(signal.SIGINT)
        elif self._within is not None:
            self._within.hearing = self._hearing
            if self._hearing:
                self._within.deliver()


class _Handler:
    """The handler of SIGINT: passes it on while something is heard, else keeps it in mind."""

    def __init__(self, before: Any) -> None:
        self.before = before
        self.hearing = False
        self.noted = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not self.hearing:
            self.noted = True
        elif callable(self.before):
            self.before(number, frame)
        elif self.before != signal.SIG_IGN:
            raise KeyboardInterrupt

    def deliver(self) -> None:
        """Pass on what was kept in mind."""
        if self.noted:
            self.noted = False
            self(signal.SIGINT, None)


def heard(work: Callable[[], Result]) -> Result:
    """Do what takes time, and may be interrupted, inside `Held`.

    Raises
    ------
    KeyboardInterrupt
        An interrupt came, now or while it was held back.
    """
    handler = _in_force()
    if handler is None:
        return work()
    before = handler.hearing
    handler.hearing = True
    try:
        handler.deliver()
        return work()
    finally:
        handler.hearing = before


def check() -> None:
    """Raise what is held back, where one waits and has taken nothing yet.

    Raises
    ------
    KeyboardInterrupt
        An interrupt was held back.
    """
    heard(bool)


def _in_force() -> _Handler | None:
    on_main = threading.current_thread() is threading.main_thread()
    return Held._handler if on_main else None  # noqa: SLF001 - the same room
