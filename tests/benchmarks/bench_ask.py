"""One ask through ``run_cell_magic``, recorded, beside ``create`` of one kept client."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

from openai_magics.exchange import AskOptions, Message
from tests.benchmarks.figures import Figure, Given, compare, timed
from tests.benchmarks.records import MODEL, question
from tests.benchmarks.shells import Asker, asker

ROUNDS = 150
LONG_ROUNDS = 60
TURNS = 100
CREATE = "client.chat.completions.create"


def run(given: Given) -> Iterator[Figure]:
    """Yield the figures of one ask: alone, at the end of a long conversation, and in its parts."""
    with asker(given.folder / "ask.dialogue.json") as who:
        both = _Both(who)
        file = who.session.turns.file()
        file.fsync = False
        yield compare(
            "one ask, 1 message, recorded",
            CREATE,
            both.created,
            both.asked,
            rounds=ROUNDS,
            bound=1.2,
            warm=10,
        )
        for _ in range(TURNS):
            who.magic("ask", f"-q -c long -m {MODEL}", question(next(both.numbers)))
        yield compare(
            f"one ask, {2 * TURNS + 1} messages, recorded",
            CREATE,
            both.created_long,
            both.asked_long,
            rounds=LONG_ROUNDS,
            bound=0.1,
            warm=4,
        )
        file.fsync = True
        yield compare(
            "one ask, 1 message, recorded, fsync",
            CREATE,
            both.created,
            both.asked,
            rounds=ROUNDS,
            warm=4,
        )
        file.fsync = False
        yield compare(
            "one ask, 1 message, --sentiment off",
            CREATE,
            both.created,
            lambda: both.asked("--sentiment off"),
            rounds=ROUNDS,
            warm=4,
        )


class _Both:
    """The same question, by the bare client and by the magic; each one is new."""

    def __init__(self, who: Asker) -> None:
        self._who = who
        self.numbers = itertools.count()

    def _create(self, messages: Sequence[Message]) -> float:
        sent: Any = list(messages)
        create = self._who.client.chat.completions.create
        return timed(lambda: create(model=MODEL, messages=sent), perf_counter)

    def created(self) -> float:
        """``create`` with one message."""
        return self._create([{"role": "user", "content": question(next(self.numbers))}])

    def asked(self, more: str = "") -> float:
        """``%%ask`` in a conversation that it begins."""
        text, line = question(next(self.numbers)), f"-q --new -m {MODEL} {more}"
        return timed(lambda: self._who.magic("ask", line, text), perf_counter)

    def created_long(self) -> float:
        """``create`` with all that the next ask would send."""
        options = AskOptions(conversation="long", max_history=TURNS)
        asking = self._who.session.asking(question(next(self.numbers)), options)
        request = self._who.session.turns.complete(asking)
        messages = (*request.history, *request.messages)
        assert len(messages) == 2 * TURNS + 1
        return self._create(messages)

    def asked_long(self) -> float:
        """``%%ask`` at the end of the long conversation."""
        text = question(next(self.numbers))
        line = f"-q -c long --max-history {TURNS} -m {MODEL}"
        return timed(lambda: self._who.magic("ask", line, text), perf_counter)
