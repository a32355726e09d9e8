"""Figures: pairs of measurements, and what becomes of them.

A pair is the floor and ours, one right after the other, in an order that alternates: what else
the machine does meanwhile strikes both. The figure is the median of the ratios of the pairs.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Figure", "Given", "Measure", "NotMeasured", "compare", "one_by_one", "ratio", "timed"]

Measure = Callable[[], float]
"""Does a piece of work and returns what it cost; what it prepares for it does not count."""
Pair = tuple[float, float]
"""What the floor cost, and what ours did."""


class NotMeasured(Exception):
    """A figure cannot be had here; the text says why."""


@dataclass(frozen=True)
class Given:
    """What the command line gave: a folder to work in, and the interpreter that has the peers.

    ``peers`` is a path, ``"none"``, or ``None``: then an environment is made in ``made``.
    """

    folder: Path
    peers: str | None = None
    made: Path = Path("peers")


@dataclass(frozen=True)
class Figure:
    """A row of the table.

    ``floor`` and ``ours`` are medians in ``unit``; ``ratio`` is not their quotient but the
    median of the quotients. ``floor`` is ``None`` where the bound is not a ratio but a number
    of ``unit``, ``bound`` where nothing is promised and the row is for information.
    """

    name: str
    against: str
    ours: float | None = None
    floor: float | None = None
    ratio: float | None = None
    bound: float | None = None
    unit: str = "ms"
    rounds: int = 0
    why_not: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the bound is kept; ``None`` where there is none, or nothing was measured."""
        value = self.ours if self.floor is None else self.ratio
        return None if self.bound is None or value is None else value <= self.bound


def timed(work: Callable[[], object], clock: Callable[[], float]) -> float:
    """Return what *work* takes by *clock*, in thousandths."""
    begun = clock()
    work()
    return (clock() - begun) * 1000


def one_by_one(floor: Measure, ours: Measure, rounds: int, *, warm: int = 1) -> list[Pair]:
    """Measure *rounds* pairs after *warm* more that do not count."""
    return list(_pairs(floor, ours, rounds, warm))


def _pairs(floor: Measure, ours: Measure, rounds: int, warm: int) -> Iterator[Pair]:
    for number in range(-warm, rounds):
        if number % 2:
            second, first = ours(), floor()
        else:
            first, second = floor(), ours()
        if number >= 0:
            yield first, second


def ratio(
    name: str,
    against: str,
    pairs: Sequence[Pair],
    bound: float | None = None,
    *,
    unit: str = "ms",
) -> Figure:
    """Return the figure of *pairs*; *bound* is what the ratio may be."""
    return Figure(
        name,
        against,
        ours=statistics.median(ours for _, ours in pairs),
        floor=statistics.median(floor for floor, _ in pairs),
        ratio=statistics.median(ours / floor for floor, ours in pairs),
        bound=bound,
        unit=unit,
        rounds=len(pairs),
    )


def compare(
    name: str,
    against: str,
    floor: Measure,
    ours: Measure,
    *,
    rounds: int,
    bound: float | None = None,
    warm: int = 1,
) -> Figure:
    """Measure pairs of *floor* and *ours* and return their figure."""
    return ratio(name, against, one_by_one(floor, ours, rounds, warm=warm), bound)
