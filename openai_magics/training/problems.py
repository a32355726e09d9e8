"""What is wrong with training data: rows with a place and a remedy, and a report that stays small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "Problem", "Report"]

COLUMNS = ("file", "line", "column", "severity", "problem", "remedy")
EACH = 200
"""Rows kept of one kind of problem: a hundred thousand alike say no more than these."""


@dataclass(frozen=True)
class Problem:
    """A thing that is wrong.

    Attributes
    ----------
    kind : str
        What it is counted under, a few words.
    problem, remedy : str
        What is wrong, and how to mend it.
    severity : {"error", "warning"}
        An error is refused by the service, or would train what nobody wants.
    line : int or None
        From 1: of the file, or the row of a table; ``None`` for the data as a whole.
    column : str
        The character from 1 in a line that does not parse, else the place in the example
        (``messages[2].content``) or the column of a table.
    file : str
        The name of the file or variable.
    """

    kind: str
    problem: str
    remedy: str
    severity: str = "error"
    line: int | None = None
    column: str = ""
    file: str = ""


@dataclass
class Report:
    """The problems of some data: all are counted, `EACH` of a kind are kept."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    rows: list[Problem] = field(default_factory=list)

    def add(self, problems: Iterable[Problem], line: int | None, file: str) -> None:
        """Take what was found in a line."""
        for item in problems:
            key = item.severity, item.kind
            self.counts[key] += 1
            if self.counts[key] <= EACH:
                self.rows.append(replace(item, line=line, file=file))

    def count(self, severity: str) -> int:
        """Return how many problems there are of a severity."""
        return sum(count for (known, _), count in self.counts.items() if known == severity)

    def left_out(self) -> dict[str, int]:
        """Return how many problems are counted but have no row, by kind."""
        over = {kind: count - EACH for (_, kind), count in self.counts.items()}
        return {kind: count for kind, count in over.items() if count > 0}

    def frame(self) -> pd.DataFrame:
        """Return a row a problem (`COLUMNS`), the errors first, then by file and line."""
        import pandas as pd

        rows = sorted(self.rows, key=lambda row: (row.severity, row.file, row.line or 0))
        held = [[getattr(row, name) for name in COLUMNS] for row in rows]
        frame = pd.DataFrame(held, columns=pd.Index(COLUMNS), dtype=object)
        frame["line"] = frame["line"].astype("Int64")
        return cast("pd.DataFrame", frame)
