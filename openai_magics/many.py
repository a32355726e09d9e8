"""One piece of work over many items: so many at once, results in order, and little memory.

Threads, not tasks: what is done for an item (reading, hashing, scaling an image, waiting for a
server and for the disk) is done outside of Python's lock, and a kernel's event loop stays free.
No more items are taken than are under way or wait for their turn to be yielded, so memory does
not grow with their number.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Once", "Outcome", "each"]

Item = TypeVar("Item")
Made = TypeVar("Made")

AHEAD = 4
"""How many times as many items as are worked on may be done and wait for a slow one before them."""


@dataclass(frozen=True)
class Outcome(Generic[Item, Made]):
    """What became of an item: a value, or the error that the work raised."""

    item: Item
    value: Made | None = None
    error: Exception | None = None


def each(
    items: Iterable[Item],
    work: Callable[[Item], Made],
    *,
    concurrency: int,
    stops: tuple[type[Exception], ...] = (),
) -> Iterator[Outcome[Item, Made]]:
    """Yield what becomes of each item, in their order.

    Parameters
    ----------
    items : iterable
        Taken as they are needed.
    work : callable
        Is called with an item, in a thread, in the context (`contextvars`) of the caller.
    concurrency : int
        How many items are worked on at once.
    stops : tuple of exception types
        What concerns all items, not one: no further item is begun, and it is raised once those
        before it are yielded.

    Raises
    ------
    Exception
        One of *stops*. What the generator's owner raises, or its end, lets the items under way
        come to theirs and begins no other.
    """
    stopped = threading.Event()

    def done(item: Item) -> Outcome[Item, Made]:
        try:
            # One that was waiting for a thread when the work stopped is behind what stopped it.
            return Outcome(item) if stopped.is_set() else Outcome(item, work(item))
        except Exception as error:  # noqa: BLE001 - of whatever kind, it is this item's
            if isinstance(error, stops):
                stopped.set()
            return Outcome(item, error=error)

    ahead: deque[Future[Outcome[Item, Made]]] = deque()
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="openai_magics-many")
    left = iter(items)
    try:
        while True:
            while len(ahead) < concurrency * AHEAD and not stopped.is_set():
                try:
                    item = next(left)
                except StopIteration:
                    break
                ahead.append(pool.submit(copy_context().run, done, item))
            if not ahead:
                return
            outcome = ahead.popleft().result()
            if isinstance(outcome.error, stops):
                raise outcome.error
            yield outcome
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class Once(Generic[Made]):
    """Does what has one name once; who asks for it meanwhile waits for that.

    Which of two equal items came first would be the threads' affair, and with it which of two
    answers is recorded for which: so they share one.
    """

    def __init__(self) -> None:
        self._begun: dict[str, Future[Made]] = {}
        self._mutex = threading.Lock()

    def do(self, name: str, work: Callable[[], Made]) -> Made:
        """Return what *work* returns, or raise what it raises."""
        with self._mutex:
            first = name not in self._begun
            done = self._begun.setdefault(name, Future())
        if first:
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)
                raise
        return done.result()
