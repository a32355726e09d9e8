"""What a record costs: in a long file and in a short one, and beside a bare append."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import portalocker

from openai_magics.dialogue import DialogueFile, record_line
from tests.benchmarks.figures import Figure, Given, Measure, compare, timed
from tests.benchmarks.records import exchange, filled

ROUNDS = 100
WARM = 5
SHORT, LONG = 9, 9_999


def run(given: Given) -> Iterator[Figure]:
    """Yield the figures of a record, with and without what the disk takes."""
    numbers = itertools.count(LONG)
    long = filled(given.folder / "long.dialogue.json", LONG)
    bare = given.folder / "bare.jsonl"
    for fsync in (False, True):
        said = ", fsync" if fsync else ""
        long.fsync = fsync
        yield compare(
            f"the {LONG + 1:,}th record{said}",
            f"the {SHORT + 1}th",
            _short(given.folder, numbers, fsync=fsync),
            _appending(long, numbers),
            rounds=ROUNDS,
            bound=1.3,
            warm=WARM,
        )
    yield compare(
        f"the {LONG + 1:,}th record, fsync",
        "lock, write, fsync",
        _bare(bare, numbers),
        _appending(long, numbers),
        rounds=ROUNDS,
        bound=3,
        warm=WARM,
    )


def _appending(file: DialogueFile, numbers: Iterator[int]) -> Measure:
    def append() -> float:
        record = exchange(next(numbers))
        return timed(lambda: file.append(record), perf_counter)

    return append


def _short(folder: Path, numbers: Iterator[int], *, fsync: bool) -> Measure:
    """Return what appends the tenth record, to another file each time; they are made before."""
    files = [
        filled(folder / f"short-{fsync}-{number}.dialogue.json", SHORT)
        for number in range(ROUNDS + WARM)
    ]
    for file in files:
        file.fsync = fsync
        with file.path.open("rb") as written:
            os.fsync(written.fileno())
    left = iter(files)

    def append() -> float:
        return _appending(next(left), numbers)()

    return append


def _bare(path: Path, numbers: Iterator[int]) -> Measure:
    """Return what appends the line of a record as it is: opened, locked, written, flushed."""
    path.touch()

    def appender(line: bytes) -> Callable[[], None]:
        def append() -> None:
            with path.open("ab", buffering=0) as file:
                portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
                file.write(line)
                os.fsync(file.fileno())
                portalocker.unlock(file)

        return append

    return lambda: timed(appender(record_line(exchange(next(numbers))) + b"\n"), perf_counter)
