"""What views tell is handed on once each and in order, however it comes."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from openai_magics.panels.inbox import Inbox


class Kernel:
    """Notes what it is handed, and what is acknowledged."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int]] = []
        self.acknowledged: dict[str, int] = {}
        self.inbox = Inbox(self.take, self.acknowledged.__setitem__)

    def take(self, message: Mapping[str, Any], _: Sequence[Any]) -> None:
        self.taken.append((message["view"], message["number"]))

    def tell(self, number: int, view: str = "v") -> None:
        self.inbox.put({"type": "ask", "view": view, "number": number})


def test_twice() -> None:
    """What is told again is not done again, but acknowledged again."""
    kernel = Kernel()
    kernel.tell(1)
    kernel.acknowledged.clear()
    kernel.tell(1)
    assert kernel.taken == [("v", 1)]
    assert kernel.acknowledged == {"v": 1}


def test_out_of_order() -> None:
    """What comes too early waits for what was told before it, and is not acknowledged until then."""
    kernel = Kernel()
    kernel.tell(3)
    kernel.tell(2)
    assert kernel.taken == []
    assert kernel.acknowledged == {"v": 0}
    kernel.tell(1)
    assert kernel.taken == [("v", 1), ("v", 2), ("v", 3)]
    assert kernel.acknowledged == {"v": 3}


def test_views_count_for_themselves() -> None:
    """One view's messages do not wait for another's."""
    kernel = Kernel()
    kernel.tell(2, "one")
    kernel.tell(1, "two")
    assert kernel.taken == [("two", 1)]


def test_without_a_number() -> None:
    """What needs no order (a view asks for all that there is) is handed on at once."""
    taken: list[Any] = []
    inbox = Inbox(lambda message, _: taken.append(message), lambda *_: taken.append("acknowledged"))
    inbox.put({"type": "ready", "view": "v"})
    assert taken == [{"type": "ready", "view": "v"}]


def test_a_line_that_loses_and_doubles() -> None:
    """Told over many threads, at random, until acknowledged: each once, in order."""
    kernel = Kernel()
    chance = random.Random(7)
    most = 60

    def view() -> None:
        while (had := kernel.acknowledged.get("v", 0)) < most:
            kernel.tell(chance.randint(had, min(had + 4, most)))

    threads = [threading.Thread(target=view) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kernel.taken == [("v", number) for number in range(1, most + 1)]
