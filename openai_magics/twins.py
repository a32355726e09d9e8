"""Async twins of methods that may wait for a service."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

__all__ = ["as_typed", "twin"]

P = ParamSpec("P")
T = TypeVar("T")


def twin(method: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return the coroutine function that does what *method* does, without blocking the loop.

    It runs in a thread, under a copy of the caller's context, so that what it asks belongs to
    the caller's cell. Arguments, result and errors are those of *method*. Cancelling the
    task leaves the thread to end by itself: what it asked is recorded.
    """

    @functools.wraps(method)
    async def later(*given: P.args, **named: P.kwargs) -> T:
        return await asyncio.to_thread(method, *given, **named)

    later.__name__ = f"a{method.__name__}"
    later.__qualname__ = f"{method.__qualname__.rpartition('.')[0]}.{later.__name__}"
    later.__doc__ = f"As `{method.__name__}`, without blocking the event loop."
    return later


def as_typed(
    method: Callable[P, T],
) -> Callable[[Callable[..., Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """Let a coroutine function that is written by itself take what *method* takes.

    Its signature is that of *method*, for people, for Tab and for type checkers.
    """

    def decorated(
        later: Callable[..., Coroutine[Any, Any, T]],
    ) -> Callable[P, Coroutine[Any, Any, T]]:
        later.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]
        return later

    return decorated
