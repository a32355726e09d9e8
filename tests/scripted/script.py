"""What the server answers to the requests for an answer: a queue, then a default.

The default is a function of the messages alone, so that the same notebook always gets the same
answers: "You said: What is 2 + 2?. (turn 1, messages 1)".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tests.scripted.replies import Answer, answer
from tests.scripted.wire import Plan, Reply, Request

Step = Reply | str | Callable[[Request], "Reply | str"]


def echo(request: Request) -> Reply:
    """Return the answer that says what was said."""
    messages = request.messages
    turn = sum(message.get("role") == "user" for message in messages)
    images = sum(
        part.get("type") in ("image_url", "input_image")
        for message in messages
        if isinstance(message.get("content"), list)
        for part in message["content"]
    )
    seen = f", images {images}" if images else ""
    return Answer(f"You said: {request.said}. (turn {turn}, messages {len(messages)}{seen})")


class Script:
    """The replies to come; a step is a reply, a text, or a function of the request."""

    def __init__(self, default: Step = echo, key: str | None = None) -> None:
        self.key = key
        self._default = default
        self._queue: deque[Step] = deque()

    def then(self, *steps: Step) -> Script:
        """Give these replies, each once and in this order, before the default."""
        self._queue.extend(_built(step) for step in steps)
        return self

    def always(self, step: Step) -> Script:
        """Give this reply whenever the queue is empty."""
        self._default = _built(step)
        return self

    @property
    def left(self) -> int:
        """How many replies of the queue have not been asked for."""
        return len(self._queue)

    def reply(self, request: Request) -> Plan:
        """Return the plan of the next reply."""
        step = self._queue.popleft() if self._queue else self._default
        if callable(step):
            step = step(request)
        return (answer(step) if isinstance(step, str) else step).plan(request)


def _built(step: Step) -> Step:
    """Return *step*, a text as a checked answer: a fault in a script shows where it is written."""
    return answer(step) if isinstance(step, str) else step
