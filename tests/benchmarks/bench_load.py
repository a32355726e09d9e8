"""Loading the extension, and the first ask two seconds later, each in a kernel of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.benchmarks.figures import Figure, Given, one_by_one, ratio
from tests.benchmarks.kernels import kernel
from tests.scripted import process

ROUNDS = 7
TYPING = 2.0
"""Seconds in which a person types the first question."""
LOAD = "%load_ext openai_magics"
ASK = "%%ask -m gpt-4o\nWhat is a fingerprint?"
WITHOUT_CLIENT = (
    "from openai_magics import warm\n"
    "warm.NEEDED = tuple(n for n in warm.NEEDED if n != 'openai' and n[:4] != 'http')"
)
WITHOUT_ANYTHING = "from openai_magics import warm\nwarm.NEEDED = ()"


def run(given: Given) -> Iterator[Figure]:
    """Yield the figures of the first seconds of a notebook."""
    with process("--no-check", "--no-record") as address:
        settings = {"OPENAI_BASE_URL": address, "OPENAI_API_KEY": "sk-benchmark"}
        first = _First(given.folder, settings)
        yield ratio(
            "load the extension",
            "`import openai`",
            one_by_one(first.importing, first.loading, ROUNDS),
            0.05,
        )
        asked = one_by_one(lambda: first.asking(WITHOUT_CLIENT), first.asking, ROUNDS, warm=0)
        yield ratio("load, 2 s, first ask", "openai imported at the ask", asked, 0.2)
        asked = one_by_one(lambda: first.asking(WITHOUT_ANYTHING), first.asking, ROUNDS, warm=0)
        yield ratio("load, 2 s, first ask", "all imported at the ask", asked)


class _First:
    """The first cells of new kernels, in milliseconds."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._folder, self._settings = folder, settings
        self._asked = 0

    def importing(self) -> float:
        """``import openai`` in a cell."""
        with kernel(self._folder, self._settings) as fresh:
            return fresh.run("import openai").seconds * 1000

    def loading(self) -> float:
        """``%load_ext`` in a cell."""
        with kernel(self._folder, self._settings) as fresh:
            return fresh.run(LOAD).seconds * 1000

    def asking(self, without: str = "pass") -> float:
        """The first ask, not recorded before, two seconds after the extension was loaded."""
        self._asked += 1
        own = {"OPENAI_MAGICS_DIALOGUE": str(self._folder / f"first-{self._asked}.dialogue.json")}
        with kernel(self._folder, {**self._settings, **own}) as fresh:
            fresh.run(without)
            fresh.run(LOAD)
            time.sleep(TYPING)
            return fresh.run(ASK).seconds * 1000
