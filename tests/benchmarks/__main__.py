"""Measure, print a table, write a JSON: ``python -m tests.benchmarks [figure …]``."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.figures import Figure, Given, NotMeasured
from tests.benchmarks.kernels import ROOT, environment

NAMES = (
    "load",
    "ask",
    "stream",
    "append",
    "open",
    "engine",
    "replay",
    "images",
    "describe",
    "train",
    "panel",
    "training",
)
PEERS = ROOT / "tests" / "artefacts" / "peers"
RESULTS = ROOT / "tests" / "artefacts" / "benchmarks.json"
COLUMNS = ("figure", "against", "floor", "ours", "ratio", "bound", "reached")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for; return 0, or with ``--strict`` 1 where a bound is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("names", nargs="*", metavar="figure", help=f"{', '.join(NAMES)} (all)")
    parser.add_argument("--strict", action="store_true", help="fail where a bound is missed")
    parser.add_argument(
        "--peers",
        metavar="PYTHON",
        help="an interpreter that has LangChain and vcrpy, or `none` (default: one is made, once)",
    )
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE", help=f"({RESULTS})")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    given.json.parent.mkdir(parents=True, exist_ok=True)
    into = given.json.absolute()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as made:
        folder = Path(made)
        settings = environment(folder, {})
        os.environ.clear()
        os.environ.update(settings)
        os.chdir(folder)
        print(f"{os.cpu_count()} cores, load {load()}\n\n{line(COLUMNS)}", flush=True)
        for name in given.names or NAMES:
            for figure in measured(name, Given(folder, given.peers, PEERS)):
                figures.append(figure)
                print(line(shown(figure)), flush=True)
        os.chdir(ROOT)
    into.write_text(json.dumps(report(figures), indent=1) + "\n", "utf-8")
    missed = [figure.name for figure in figures if figure.reached is False]
    print(f"\n{len(figures)} rows, {len(missed)} missed: {'; '.join(missed) or 'none'}")
    return int(given.strict and bool(missed))


def measured(name: str, given: Given) -> Iterator[Figure]:
    """Yield the figures of a module as they are measured."""
    try:
        yield from importlib.import_module(f"tests.benchmarks.bench_{name}").run(given)
    except NotMeasured as reason:
        yield Figure(name, "", why_not=str(reason))


def shown(figure: Figure) -> tuple[str, ...]:
    """Return the cells of a row."""
    if figure.why_not:
        return figure.name, f"not measured: {figure.why_not}", "", "", "", "", ""
    reached = {True: "yes", False: "NO", None: "–"}[figure.reached]
    unit = figure.unit if figure.floor is None else "×"
    return (
        figure.name,
        figure.against,
        number(figure.floor, figure.unit),
        number(figure.ours, figure.unit),
        number(figure.ratio, "×"),
        number(figure.bound, unit),
        reached,
    )


def number(value: float | None, unit: str) -> str:
    """Return a number to three digits."""
    if value is None:
        return "–"
    if 0 < abs(value) < 0.01:
        return f"{value:.2g} {unit}"
    digits = max(0, 3 - len(str(int(abs(value))))) if abs(value) >= 1 else 3
    return f"{value:.{digits}f} {unit}"


def line(cells: Sequence[str]) -> str:
    """Return a line of the table."""
    widths = (63, 30, 9, 9, 8, 8, 7)
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def load() -> float | None:
    """Return how many processes wanted a core in the last minute, where the system tells it."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def report(figures: Sequence[Figure]) -> dict[str, object]:
    """Return what the JSON holds; no names of machines or folders."""
    return {
        "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "load": load(),
        "versions": {name: version(name) for name in ("openai", "openai_magics", "ipykernel")},
        "figures": [dataclasses.asdict(each) | {"reached": each.reached} for each in figures],
    }


if __name__ == "__main__":
    sys.exit(main())
