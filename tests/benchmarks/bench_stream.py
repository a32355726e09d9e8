"""A streamed chunk beside the bare client's, and what showing it in a real kernel costs."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator
from time import perf_counter, process_time

from tests.benchmarks.figures import Figure, Given, compare, one_by_one, ratio, timed
from tests.benchmarks.kernels import Kernel, Ran, kernel
from tests.benchmarks.records import MODEL, question
from tests.benchmarks.shells import Asker, asker
from tests.scripted import process

CHUNKS = 2_000
ROUNDS = 15
KERNEL_ROUNDS = 7
PART = """\
## The tide, part {0}

The moon pulls the water on its own side of the earth *more* than the earth, and the earth more
than the water beyond it, so there are **two** bulges, under which every coast turns once a day:

- the first follows the moon,
- the second stands opposite, and `cos(2 * t)` is what a gauge shows.

"""
TEXT = "".join(PART.format(number) for number in range(24))
"""Some 10,000 characters of Markdown: five a chunk."""
HIDDEN = """\
from openai_magics import get_session
pieces = []
reply = get_session().ask({text!r}, new=True, model={model!r}, on_text=pieces.append)
assert len(pieces) >= {least}, len(pieces)
"""


def run(given: Given) -> Iterator[Figure]:
    """Yield the figures of a chunk: through the client, and on the screen."""
    streamed = ("--text", TEXT, "--chunks", str(CHUNKS))
    with asker(given.folder / "stream.dialogue.json", *streamed) as who:
        both = _Both(who)
        for name, clock in (("time", perf_counter), ("CPU", process_time)):
            both.clock = clock
            yield compare(
                f"a streamed chunk of {CHUNKS:,}: {name}",
                "create(stream=True)",
                both.bare,
                both.ours,
                rounds=ROUNDS,
                bound=0.3,
                warm=2,
            )
    with process("--no-check", "--no-record", *streamed, "--delay", "0.001") as address:
        settings = {"OPENAI_BASE_URL": address, "OPENAI_API_KEY": "sk-benchmark"}
        with kernel(given.folder, settings) as watched:
            yield from _shown(watched)


class _Both:
    """The same stream, by the bare client and by a session that has a listener, per chunk."""

    def __init__(self, who: Asker) -> None:
        self._who = who
        self._numbers = itertools.count()
        self.clock = perf_counter

    def bare(self) -> float:
        """``create(stream=True)``, the text put together."""
        prompt = question(next(self._numbers))

        def work() -> str:
            stream = self._who.client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": prompt}], stream=True
            )
            return "".join(
                chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices
            )

        return timed(work, self.clock) / CHUNKS

    def ours(self) -> float:
        """`Session.ask` with ``on_text``, judged and recorded."""
        pieces: list[str] = []
        prompt = question(next(self._numbers))
        ask = self._who.session.ask
        taken = timed(lambda: ask(prompt, new=True, model=MODEL, on_text=pieces.append), self.clock)
        assert "".join(pieces) == TEXT
        return taken / CHUNKS


def _shown(watched: Kernel) -> Iterator[Figure]:
    numbers = itertools.count()
    shown: list[Ran] = []

    def hide() -> float:
        text = question(next(numbers))
        return watched.run(HIDDEN.format(text=text, model=MODEL, least=CHUNKS * 0.9)).cpu * 1000

    def show() -> float:
        shown.append(watched.run(f"%%ask --new -m {MODEL}\n{question(next(numbers))}"))
        return shown[-1].cpu * 1000

    watched.run("%load_ext openai_magics")
    pairs = one_by_one(hide, show, KERNEL_ROUNDS)
    yield ratio(f"{CHUNKS:,} chunks, 1 ms apart, shown: CPU", "the same, not shown", pairs, 1.5)
    of = ("update_display_data", "display_data")
    updates = [len(ran.of(*of)) / ran.seconds for ran in shown[1:]]
    yield Figure(
        f"{CHUNKS:,} chunks, 1 ms apart, shown: updates",
        "a second",
        ours=statistics.median(updates),
        bound=15,
        unit="/s",
        rounds=len(updates),
    )
