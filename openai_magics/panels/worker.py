"""Where the requests of panels run: off the main thread, and stopped within a moment.

Widgets call back in the main thread, or in another one (ipykernel 7.0 to 7.3), and while they
do nothing else of the kernel gets through. So a callback only starts a `Job` and returns.
A job is a coroutine, which a stop cancels wherever it waits (the async twins of `Session`:
what had come of an answer is recorded as cut off), or a function, which runs in a thread of
its own, gets an event, and stops where it looks at it.

What a job does belongs to no cell (`openai_magics.cells.set_apart`).
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import itertools
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from openai_magics import cells, logs

__all__ = ["Job", "Worker"]

log = logging.getLogger("openai_magics")

_numbers = itertools.count(1)
_mutex = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_running: set[asyncio.Task[None]] = set()


def _running_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop of all panels, in a thread of its own.

    One for all, since the client keeps its connections by loop.
    """
    global _loop  # noqa: PLW0603 - one thread for all panels
    with _mutex:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            thread = threading.Thread(
                target=_loop.run_forever, name="openai_magics panels", daemon=True
            )
            thread.start()
        return _loop


class Job:
    """One piece of work that a panel started.

    Attributes
    ----------
    stopping : threading.Event
        Set when it is to stop; a function that works long looks at it.
    done : threading.Event
        Set when it has ended and its ``then`` was called.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.done = threading.Event()
        self._cancel: Callable[[], Any] | None = None

    def _cancellable(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        if self.stopping.is_set():
            task.cancel()

    def stop(self) -> None:
        """Ask it to stop; returns at once."""
        self.stopping.set()
        if self._cancel is not None:
            self._cancel()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for its end, as tests do; return whether it has ended."""
        return self.done.wait(seconds)


class Worker:
    """Starts the jobs of one panel."""

    def start(
        self,
        work: Callable[[Job], Any],
        then: Callable[[Any, BaseException | None], None] | None = None,
    ) -> Job:
        """Run *work* and return at once.

        Parameters
        ----------
        work : callable
            A function (it runs in a thread of its own) or a coroutine function (it runs in
            the panels' event loop and must not block); it gets the `Job`.
        then : callable, optional
            Gets ``(result, None)`` or ``(None, error)`` at its end, in the same thread; the
            error of a job that was stopped is ``asyncio.CancelledError``, or its own.
        """
        job = Job()
        context = contextvars.copy_context()
        context.run(cells.set_apart, f"panel:{next(_numbers)}")
        if inspect.iscoroutinefunction(work):
            loop = _running_loop()

            def begin() -> None:
                if job.stopping.is_set():
                    _hand_on(None, asyncio.CancelledError(), job, then)
                    return
                task = context.run(loop.create_task, _ended(work, job, then))
                _running.add(task)  # the loop itself holds it only weakly
                task.add_done_callback(_running.discard)
                # Not `call_soon_threadsafe(task.cancel)` at once: a task that is cancelled
                # before its first step would never hand anything on.
                loop.call_soon(job._cancellable, loop, task)  # noqa: SLF001

            loop.call_soon_threadsafe(begin)
            return job

        def run() -> None:
            result, error = None, None
            try:
                result = work(job)
            except BaseException as problem:  # noqa: BLE001 - it is handed on
                error = problem
            _hand_on(result, error, job, then)

        threading.Thread(target=context.run, args=(run,), daemon=True).start()
        return job


async def _ended(
    work: Callable[[Job], Awaitable[Any]],
    job: Job,
    then: Callable[[Any, BaseException | None], None] | None,
) -> None:
    result, error = None, None
    try:
        result = await work(job)
    except BaseException as problem:  # noqa: BLE001 - it is handed on
        error = problem
    _hand_on(result, error, job, then)


def _hand_on(
    result: Any,
    error: BaseException | None,
    job: Job,
    then: Callable[[Any, BaseException | None], None] | None,
) -> None:
    try:
        if then is not None:
            then(result, error)
        elif error is not None:
            log.error("A panel's work failed: %s", logs.told(error))
    except Exception as problem:  # noqa: BLE001 - a thread has nobody to raise it to
        log.error("A panel failed to show what became of its work: %s", logs.told(problem))  # noqa: TRY400
    finally:
        job.done.set()
