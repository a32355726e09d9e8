"""What views tell the kernel: each message once, and in its order.

On its way a message can be lost (the line is cut, the kernel does not listen yet), come after
a later one (ipykernel runs a widget's messages in more than one thread), or twice (a view
that hears nothing tells it again). So views number what they tell, hold it until it is
acknowledged, and tell it again until then (``front/link.js``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["Inbox"]

Message = Mapping[str, Any]


class Inbox:
    """Hands on what views tell.

    Parameters
    ----------
    take : callable
        Gets a message and its buffers; it must not raise.
    acknowledge : callable
        Gets a view, and the number up to which all that it told was handed on.
    """

    def __init__(
        self,
        take: Callable[[Message, Sequence[Any]], None],
        acknowledge: Callable[[str, int], None],
    ) -> None:
        self._take = take
        self._acknowledge = acknowledge
        self._had: dict[str, int] = {}
        self._early: dict[str, dict[int, tuple[Message, Sequence[Any]]]] = {}
        # Held while a message is handed on: the one after it may come in another thread.
        self._mutex = threading.RLock()

    def put(self, message: Message, buffers: Sequence[Any] = ()) -> None:
        """Take a message as it came; one without a ``number`` is handed on as it is."""
        number = message.get("number")
        if not isinstance(number, int):
            self._take(message, buffers)
            return
        view = str(message.get("view"))
        with self._mutex:
            had, early = self._had.get(view, 0), self._early.setdefault(view, {})
            if number > had:
                early[number] = (message, buffers)
            while (next_one := early.pop(had + 1, None)) is not None:
                had += 1
                self._had[view] = had
                self._take(*next_one)
            self._acknowledge(view, had)
