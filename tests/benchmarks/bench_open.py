"""Opening 100,000 records, each time in a new process: its time, and the memory it leaves taken."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figures import Figure, Given, Pair, one_by_one, ratio
from tests.benchmarks.kernels import ROOT
from tests.benchmarks.records import filled

RECORDS = 100_000
ROUNDS = 7
# The peak is that of the status file where there is one: what getrusage tells begins with the
# peak of the process that started this one.
CHILD = """
import gc, json, sys, time
from pathlib import Path
small, large, way = sys.argv[1:]

def peak():
    try:
        status = Path("/proc/self/status").read_text("ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except OSError:
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT

UNIT = 1 if sys.platform == "darwin" else 1024
if way == "json.load":
    def opened(path):
        with open(path, "rb") as file:
            return len(json.load(file)["exchanges"])
else:
    from openai_magics.dialogue import DialogueFile
    kept = []
    def opened(path):
        kept.append(DialogueFile(Path(path)))
        return len(kept[-1])

opened(small)
before, begun = peak(), time.perf_counter()
count = opened(large)
print(json.dumps({"count": count, "ms": (time.perf_counter() - begun) * 1e3, "bytes": peak() - before}))
"""


def run(given: Given) -> Iterator[Figure]:
    """Yield the time and the memory."""
    large, small = given.folder / "large.dialogue.json", given.folder / "small.dialogue.json"
    filled(large, RECORDS)
    filled(small, 10)
    taken: dict[str, list[float]] = {"json.load": [], "dialogue": []}

    def opening(way: str) -> float:
        told = _told(small, large, way)
        taken[way].append(told["bytes"] / 1e6)
        return told["ms"]

    pairs = one_by_one(lambda: opening("json.load"), lambda: opening("dialogue"), ROUNDS)
    size = large.stat().st_size / 1e6
    name = f"open {RECORDS:,} records ({size:.0f} MB)"
    yield ratio(f"{name}: time", "json.load of the file", pairs, 0.25)
    memory: list[Pair] = list(zip(taken["json.load"], taken["dialogue"], strict=True))
    yield ratio(f"{name}: memory", "json.load of the file", memory, 0.1, unit="MB")
    large.unlink()


def _told(small: Path, large: Path, way: str) -> dict[str, float]:
    command = [sys.executable, "-c", CHILD, str(small), str(large), way]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    told: dict[str, float] = json.loads(said)
    assert told["count"] == RECORDS
    return told
