"""A check as its record keeps it: so that what a cell showed does not hang on this machine.

Which tokens there are depends on what is installed (a vocabulary, the engine's model), so a
check is recorded as an answer is, under what the notebook says and the SHA-256 of the data.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from openai_magics.calls import Listener
from openai_magics.exchange import Reply, Request
from openai_magics.training.check import Check
from openai_magics.training.lengths import Lengths
from openai_magics.training.problems import Problem, Report
from openai_magics.training.sources import Source

__all__ = ["Checking", "identity", "of_payload", "to_payload"]


@dataclass(frozen=True)
class Checking:
    """The sender that checks; *look* does it."""

    look: Callable[[], Check]

    def send(self, request: Request, listener: Listener = Listener()) -> Reply:  # noqa: ARG002
        """Return the reply whose payload is the check."""
        return Reply(payload=to_payload(self.look()))

    async def asend(self, request: Request, listener: Listener = Listener()) -> Reply:
        """As `send`, without blocking the event loop."""
        return await asyncio.to_thread(self.send, request, listener)


def identity(source: Source) -> dict[str, Any]:
    """Return what tells some data from other: its name, and the SHA-256 of its lines.

    Lines of a table are known by their numbers too, which problems name.
    """
    lines = hashlib.sha256()
    numbers = hashlib.sha256()
    made = False
    for block in source.blocks():
        lines.update(block.data)
        for problem in block.problems:
            lines.update(problem.problem.encode())
        if block.numbers is not None:
            made = True
            numbers.update(array("q", block.numbers).tobytes())
    found = {"name": source.name, "sha256": lines.hexdigest()}
    return found | ({"rows": numbers.hexdigest()} if made else {})


def to_payload(found: Check) -> dict[str, Any]:
    """Return a check as plain values."""
    return {
        "name": found.name,
        "method": found.method,
        "training": _lengths(found.training),
        "validation": _lengths(found.validation) if found.validation is not None else None,
        "epochs": found.epochs,
        "price": None if math.isnan(found.price) else found.price,
        "trains": found.where,
        "retires": found.retires,
        "counts": [[*key, count] for key, count in found.report.counts.items()],
        "problems": [asdict(row) for row in found.report.rows],
    }


def of_payload(payload: dict[str, Any]) -> Check:
    """Return the check that a record holds."""
    counts = Counter({(severity, kind): n for severity, kind, n in payload["counts"]})
    held_out = payload["validation"]
    return Check(
        payload["name"],
        payload["method"],
        _of_lengths(payload["training"]),
        None if held_out is None else _of_lengths(held_out),
        payload["epochs"],
        math.nan if payload["price"] is None else payload["price"],
        Report(counts, [Problem(**row) for row in payload["problems"]]),
        payload["trains"],
        payload["retires"],
    )


def _lengths(held: Lengths) -> dict[str, Any]:
    return {**asdict(held), "spread": {str(size): n for size, n in sorted(held.spread.items())}}


def _of_lengths(held: dict[str, Any]) -> Lengths:
    spread = Counter({int(size): n for size, n in held["spread"].items()})
    return Lengths(**{**held, "spread": spread})
