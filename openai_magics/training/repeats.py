"""Which examples are the same, or answer the same prompt differently, in bounded memory.

Each example leaves three numbers: the hash of its prompt, the hash of its answer, and where it
stands. They are sorted in runs that go to a temporary file, each cut into `PARTS` by the hash,
and compared a part at a time: 24 bytes an example on the disk, and in memory `RUN` examples or
a 256th of them all.
"""

from __future__ import annotations

import tempfile
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Found", "Pair", "Repeats"]

RUN = 1 << 16
PARTS = 256
SAME_PROMPT = 100
"""Other answers to one prompt that a run keeps; more are counted and left."""
MOST = 500
"""Pairs of a kind that are told; all are counted."""


@dataclass(frozen=True)
class Pair:
    """Two places: where an example stands, and the first with the same prompt."""

    place: int
    first: int


@dataclass
class Told:
    """Pairs of one kind: how many there are, and the first of them."""

    count: int = 0
    pairs: list[Pair] = field(default_factory=list)

    def add(self, places: Any, firsts: Any) -> None:
        """Take pairs as two arrays; of all that came the first `MOST` by place are kept."""
        import numpy as np

        self.count += len(places)
        for n in np.argsort(places)[:MOST]:
            self.pairs.append(Pair(int(places[n]), int(firsts[n])))
        self.pairs = sorted(self.pairs, key=lambda pair: pair.place)[:MOST]


@dataclass
class Found:
    """What repeats: the same examples, and those that answer a prompt otherwise than its first.

    ``leaked`` and ``half_leaked`` are those of the two whose first stands before `boundary`, and
    they do not.
    """

    boundary: int = 1 << 62
    same: Told = field(default_factory=Told)
    other: Told = field(default_factory=Told)
    leaked: Told = field(default_factory=Told)
    half_leaked: Told = field(default_factory=Told)

    def add(self, places: Any, firsts: Any, *, same: bool) -> None:
        """Take pairs as two arrays."""
        across = (places >= self.boundary) & (firsts < self.boundary)
        within, leak = (self.same, self.leaked) if same else (self.other, self.half_leaked)
        within.add(places[~across], firsts[~across])
        leak.add(places[across], firsts[across])


class Repeats:
    """Takes examples with `prompts`, `answers` and `places`, then tells of those that repeat.

    A caller appends to the three arrays (a method call for each example would cost as much as
    decoding it), or gives many at a time to `extend`, and calls `full` now and then.
    """

    def __init__(self) -> None:
        self.prompts, self.answers, self.places = array("q"), array("q"), array("q")
        self._found = Found()
        self._file: Any = None
        self._runs: list[tuple[int, list[int]]] = []

    def extend(self, prompts: Any, answers: Any, places: Any) -> None:
        """Take many examples: three NumPy arrays of ``int64``, of one length."""
        self.prompts.frombytes(prompts.tobytes())
        self.answers.frombytes(answers.tobytes())
        self.places.frombytes(places.tobytes())

    def validation_from(self, place: int) -> None:
        """Say that what comes from this place on is validation data."""
        self._found.boundary = place

    def full(self) -> None:
        """Write a run to the disk where enough has come."""
        if len(self.places) >= RUN:
            self._spill()

    def _taken(self) -> Any:
        """Return what has come as a table of three rows, and make room for more."""
        import numpy as np

        columns = (self.prompts, self.answers, self.places)
        table = np.array([np.array(column, np.int64) for column in columns])
        for column in columns:
            del column[:]
        return table

    def _spill(self) -> None:
        import numpy as np

        # What repeats within a run is counted here: a file of one line a million times over
        # leaves one row a run.
        table = _apart(_once(self._taken(), self._found), self._found, SAME_PROMPT)
        step = 2**64 // PARTS
        edges = np.array([-(2**63) + n * step for n in range(1, PARTS)], np.int64)
        cuts = [0, *np.searchsorted(table[0], edges).tolist(), table.shape[1]]
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this
        self._runs.append((self._file.seek(0, 2), cuts))
        self._file.write(np.ascontiguousarray(table.T).tobytes())

    def _parts(self) -> Iterator[Any]:
        import numpy as np

        if not self._runs:
            yield self._taken()
            return
        self._spill()
        for part in range(PARTS):
            pieces = []
            for start, cuts in self._runs:
                self._file.seek(start + 24 * cuts[part])
                data = self._file.read(24 * (cuts[part + 1] - cuts[part]))
                pieces.append(np.frombuffer(data, np.int64).reshape(-1, 3))
            yield np.concatenate(pieces).T
        self._file.close()

    def found(self) -> Found:
        """Return all that repeats."""
        for table in self._parts():
            _apart(_once(table, self._found), self._found, 0)
        return self._found


def _once(table: Any, found: Found) -> Any:
    """Count the examples that are there before; return a table without them, by prompt."""
    import numpy as np

    table = table[:, np.argsort(table[0])]
    if (table[0, 1:] != table[0, :-1]).all():
        return table
    table = table[:, np.lexsort((table[2], table[1], table[0]))]
    again = np.zeros(table.shape[1], bool)
    again[1:] = (table[:2, 1:] == table[:2, :-1]).all(axis=0)
    _tell(found, table[2], again, ~again, same=True)
    return table[:, ~again]


def _apart(table: Any, found: Found, kept: int) -> Any:
    """Count the examples after the first *kept* + 1 of a prompt; return a table without them.

    *table* is sorted by prompt.
    """
    import numpy as np

    begins = np.ones(table.shape[1], bool)
    begins[1:] = table[0, 1:] != table[0, :-1]
    if begins.all():
        return table
    table = table[:, np.lexsort((table[2], table[0]))]
    places = np.arange(table.shape[1])
    rank = places - np.maximum.accumulate(np.where(begins, places, 0))
    over = rank > kept
    _tell(found, table[2], over, begins, same=False)
    return table[:, ~over]


def _tell(found: Found, places: Any, chosen: Any, begins: Any, *, same: bool) -> None:
    import numpy as np

    firsts = np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))
    found.add(places[chosen], places[firsts[chosen]], same=same)
