"""One pass over training data: what is wrong, how long the examples are, which of them repeat.

A block of plain lines goes through a few calls in C: a typed decoder, hashes, lengths or token
counts. Where something in it is not plain, its lines are taken one by one, and those that are
not plain are read rule by rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from operator import attrgetter

import msgspec

from openai_magics.training import leaks
from openai_magics.training.diagnose import answers_of, diagnose
from openai_magics.training.formats import Decoder, NotPlain, identity
from openai_magics.training.lengths import (
    CHARACTERS,
    ESTIMATE,
    PER_EXAMPLE,
    PER_MESSAGE,
    VOCABULARY,
    Lengths,
    of_messages,
)
from openai_magics.training.problems import Problem, Report
from openai_magics.training.repeats import Repeats
from openai_magics.training.sources import Block, Source

__all__ = ["LEAKED", "PLACE", "Scan", "too_long"]

PLACE = 1 << 40
"""A place is a line plus this times the number of its file."""
REMEMBERED = 256
"""Texts whose tokens are remembered: system instructions repeat."""
DIFFERENT = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, NotPlain)
CONTENT = attrgetter("content")
LINE_END = ord("\n")


class Scan:
    """Reads sources one after the other.

    Parameters
    ----------
    method : str
        What the examples are for.
    most : int
        Tokens that an example may have.
    count : callable or None
        Counts the tokens of a text; without it they are estimated from the characters.
    """

    def __init__(self, method: str, most: int, count: Callable[[str], int] | None) -> None:
        self.report, self.repeats = Report(), Repeats()
        self.files: list[str] = []
        self._method, self._most = method, most
        self._decoder = Decoder(method)
        self._counts = count is not None
        self._measure = lru_cache(REMEMBERED)(count) if count is not None else len
        self._base = 0

    def read(self, source: Source) -> Lengths:
        """Read a source; return the lengths of its examples."""
        import numpy as np

        lengths = Lengths(self._counts, VOCABULARY if self._counts else ESTIMATE)
        number, file = 0, None
        for block in source.blocks():
            if block.file != file:
                number, file = 0, block.file
                self._base = len(self.files) * PLACE
                self.files.append(block.file)
            first = block.numbers[0] if block.numbers else number + 1
            self.report.add(block.problems, first, block.file)
            ends = np.count_nonzero(np.frombuffer(block.data, np.uint8) == LINE_END)
            count = int(ends) + (block.data[-1:] not in (b"\n", b""))
            numbers = block.numbers or range(number + 1, number + 1 + count)
            if count and not self._plainly(block, numbers, lengths):
                self._by_line(block, numbers, lengths)
            number += count
            self.repeats.full()
        return lengths

    def _plainly(self, block: Block, numbers: Sequence[int], lengths: Lengths) -> bool:
        """Take a block in which every line is plain; return whether it is."""
        import numpy as np

        try:
            prompts, answers, everything = self._decoder.block(block.data)
        except DIFFERENT:
            return False
        texts = list(map(CONTENT, chain.from_iterable(everything)))
        if len(everything) != len(numbers) or any(map(str.isspace, texts)):
            return False
        counts = np.fromiter(map(len, everything), np.int64, len(everything))
        starts = np.zeros(len(everything), np.int64)
        np.cumsum(counts[:-1], out=starts[1:])
        sizes = np.fromiter(map(self._measure, texts), np.int64, len(texts))
        tokens = np.add.reduceat(sizes, starts)
        if not self._counts:
            tokens = -(-tokens // CHARACTERS)
        tokens += PER_MESSAGE * counts + PER_EXAMPLE
        lengths.add(tokens, len(texts))
        if graded := self._method == "reinforcement":
            lines = (line.rstrip(b"\r") for line in block.data.split(b"\n"))
        places = (
            np.arange(numbers[0], numbers[-1] + 1, dtype=np.int64)
            if block.numbers is None
            else np.array(numbers, np.int64)
        )
        self.repeats.extend(
            np.fromiter(map(hash, prompts), np.int64, len(places)),
            np.fromiter(map(hash, lines if graded else answers), np.int64, len(places)),
            self._base + places,
        )
        for n in np.flatnonzero(tokens > self._most).tolist():
            self.report.add([too_long(int(tokens[n]), self._most)], numbers[n], block.file)
        if marks := leaks.suspects(block.data):
            for at, line in zip(numbers, block.data.split(b"\n"), strict=False):
                self.report.add(leaks.found(line, marks), at, block.file)
        return True

    def _by_line(self, block: Block, numbers: Sequence[int], lengths: Lengths) -> None:
        marks = leaks.suspects(block.data)
        for at, line in zip(numbers, block.data.split(b"\n"), strict=False):
            try:
                prompt, answer, everything = self._decoder.line(line)
                texts = list(map(CONTENT, everything))
            except DIFFERENT:
                texts = []
            if not texts or any(map(str.isspace, texts)):
                self._careful(line, at, block.file, lengths)
            else:
                self._take(sum(map(self._measure, texts)), len(texts), at, block.file, lengths)
                self._keep(hash(prompt), hash(answer), line, at)
            if marks:
                self.report.add(leaks.found(line, marks), at, block.file)

    def _careful(self, line: bytes, at: int, file: str, lengths: Lengths) -> None:
        """Read a line rule by rule."""
        if not line.strip():
            self.report.add([BLANK], at, file)
            return
        problems, example = diagnose(line, self._method)
        self.report.add(problems, at, file)
        if example is None:
            lengths.examples += 1
            return
        prompt, answer, everything = answers_of(example, self._method)
        size = of_messages(everything, self._measure)
        self._take(size, len(everything), at, file, lengths)
        if prompt or answer:
            self._keep(identity(prompt), identity(answer), line, at)

    def _take(self, size: int, messages: int, at: int, file: str, lengths: Lengths) -> None:
        if not self._counts:
            size = -(-size // CHARACTERS)
        size += PER_MESSAGE * messages + PER_EXAMPLE
        lengths.add([size], messages)
        if size > self._most:
            self.report.add([too_long(size, self._most)], at, file)

    def _keep(self, prompt: int, answer: int, line: bytes, at: int) -> None:
        self.repeats.prompts.append(prompt)
        # What is graded differs by the keys for the grader, which only the line has.
        graded = self._method == "reinforcement"
        self.repeats.answers.append(hash(line.rstrip(b"\r")) if graded else answer)
        self.repeats.places.append(self._base + at)

    def validation_follows(self) -> None:
        """Say that the sources to come are validation data."""
        self.repeats.validation_from(len(self.files) * PLACE)

    def tell_repeats(self) -> None:
        """Report what repeats."""
        found = self.repeats.found()
        for told, (kind, severity, what, remedy) in (
            (found.same, DUPLICATE),
            (found.leaked, LEAKED),
            (found.other, CONTRADICTED),
            (found.half_leaked, HALF_LEAKED),
        ):
            for pair in told.pairs:
                file, line = divmod(pair.place, PLACE)
                first_file, first = divmod(pair.first, PLACE)
                where = f"line {first}"
                if file != first_file:
                    where += f" of {self.files[first_file]}"
                self.report.add(
                    [Problem(kind, what.format(where), remedy, severity)], line, self.files[file]
                )
            if (over := told.count - len(told.pairs)) > 0:
                self.report.counts[severity, kind] += over


BLANK = Problem("blank line", "The line is blank.", "Remove it (--fix does).", "warning")
DUPLICATE = (
    "duplicate",
    "warning",
    "The example is the same as {}.",
    "Leave it out (--fix does), or keep it to weigh it more.",
)
LEAKED = (
    "split leakage",
    "error",
    "The example is also {}: validation would flatter the model.",
    "Take it out of one of the two.",
)
CONTRADICTED = (
    "contradiction",
    "warning",
    "It answers the prompt of {} otherwise.",
    "Keep the better answer, unless both are meant.",
)
HALF_LEAKED = (
    "split leakage",
    "warning",
    "It has the prompt of {}, with another answer.",
    "Take it out of one of the two.",
)


def too_long(size: int, most: int) -> Problem:
    """Return the problem of an example that is cut off: *size* and *most* in tokens."""
    return Problem(
        "too long",
        f"The example has {size:,} tokens; what is over {most:,} is cut off in training.",
        "Shorten or split it.",
        "warning",
    )
