"""One piece of work over many items."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Iterator

import pytest

from openai_magics.many import AHEAD, each


def test_in_order_whatever_ends_first() -> None:
    """Results come in the order of the items, errors in their places."""

    def work(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        if item == 4:
            raise ValueError(item)
        return -item

    made = list(each(range(20), work, concurrency=5))
    assert [each.item for each in made] == list(range(20))
    assert [each.value for each in made] == [None if n == 4 else -n for n in range(20)]
    assert [str(each.error) for each in made if each.error] == ["4"]


def test_no_more_at_once_than_asked_for() -> None:
    """As many as asked for are under way together, never more."""
    together = threading.Barrier(4, timeout=20)
    mutex, now, most = threading.Lock(), 0, 0

    def work(_: int) -> None:
        nonlocal now, most
        with mutex:
            now += 1
            most = max(most, now)
        together.wait()
        with mutex:
            now -= 1

    list(each(range(16), work, concurrency=4))
    assert most == 4


def test_items_are_taken_as_they_are_needed() -> None:
    """However many there are, few are held: memory does not grow with their number."""
    taken: list[int] = []

    def items() -> Iterator[int]:
        for n in range(1000):
            taken.append(n)
            yield n

    running = each(items(), lambda item: item, concurrency=2)
    next(running)
    next(running)
    assert len(taken) <= 2 * AHEAD + 2
    running.close()
    assert len(taken) < 20


def test_what_concerns_all_stops_all() -> None:
    """No other item is begun; those before it are yielded; then it is raised."""
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 3:
            raise PermissionError("no key")
        time.sleep(0.002)
        return item

    running = each(range(1000), work, concurrency=2, stops=(PermissionError,))
    got = []
    with pytest.raises(PermissionError, match="no key"):
        got.extend(each.value for each in running)
    assert got in ([], [0, 1, 2])
    assert len(begun) < 10


def test_the_caller_s_context() -> None:
    """A thread knows which cell it works for: the context is the caller's."""
    cell = contextvars.ContextVar("cell", default="")
    cell.set("c1")
    assert {each.value for each in each(range(5), lambda _: cell.get(), concurrency=2)} == {"c1"}


def test_nothing() -> None:
    """No items, no results."""
    assert list(each([], lambda item: item, concurrency=3)) == []
