"""Calling a function within a time, so that an interrupt still works.

In the main thread of a kernel a timer's signal (``SIGALRM``) breaks it off: the function runs
where the notebook's own code runs, and what it holds (a connection of sqlite3, a figure) works.
Elsewhere, and on Windows, it runs in a thread that is left behind when its time is up.
"""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["TimeUp", "acalled", "called"]


class TimeUp(Exception):
    """The time of a call is up."""


class _Broken(BaseException):
    """Raised inside a function whose time is up; not an `Exception`, which it may catch."""


def called(function: Callable[[], Any], seconds: float) -> Any:
    """Call *function*; an awaitable that it gives is awaited in a loop of its own.

    Raises
    ------
    TimeUp
        It took longer than *seconds*.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and hasattr(signal, "setitimer") and signal.getitimer(signal.ITIMER_REAL)[0] == 0:
        made = _with_timer(function, seconds)
    else:
        made = _in_thread(function, seconds)
    if isinstance(made, Awaitable):
        return _in_thread(lambda: asyncio.run(_awaited(made, seconds)), seconds + 1)
    return made


async def acalled(function: Callable[[], Any], seconds: float, *, waits: bool) -> Any:
    """As `called`, without blocking the event loop; *waits* is whether it gives an awaitable.

    Raises
    ------
    TimeUp
        It took longer than *seconds*.
    """
    if not waits:
        made = await asyncio.to_thread(_in_thread, function, seconds)
        return await _awaited(made, seconds) if isinstance(made, Awaitable) else made
    return await _awaited(function(), seconds)


async def _awaited(made: Awaitable[Any], seconds: float) -> Any:
    task = asyncio.ensure_future(made)
    try:
        done, _ = await asyncio.wait([task], timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.cancel()
        raise TimeUp
    return task.result()


def _with_timer(function: Callable[[], Any], seconds: float) -> Any:
    runs = [True]

    def ring(*_: object) -> None:
        if runs:
            raise _Broken

    before = signal.signal(signal.SIGALRM, ring)
    try:
        # Again each second: the function may swallow the first one.
        signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
        return function()
    except _Broken:
        raise TimeUp from None
    finally:
        runs.clear()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _in_thread(function: Callable[[], Any], seconds: float) -> Any:
    held: dict[str, Any] = {}
    context = contextvars.copy_context()  # what it prints goes to the cell that called it

    def work() -> None:
        try:
            held["value"] = context.run(function)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            held["error"] = error

    thread = threading.Thread(target=work, daemon=True, name="openai_magics tool")
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeUp
    if "error" in held:
        raise held["error"]
    return held.get("value")
