"""1,000 images of a folder described at once, against a server that answers after 50 ms.

The floor is what that latency sets: images / concurrency x latency. The memory is the peak of the
process above what it had with the first 500 images, so what is kept for each image shows.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figures import Figure, Given, ratio
from tests.benchmarks.kernels import ROOT
from tests.scripted import process

IMAGES, FEW, CONCURRENCY, LATENCY = 1000, 500, 32, 0.05
SIZE = 160, 120
ROUNDS = 3
CHILD = """
import json, sys, time
from pathlib import Path
from openai_magics import Session
folder, address, log, concurrency = sys.argv[1:]

def peak():
    try:
        status = Path("/proc/self/status").read_text("ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except OSError:
        import resource
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

session = Session("gpt-4o", base_url=address, api_key="sk-test-0123456789", dialogue_log_path=log)
few = session.describe_images(folder + "/few", concurrency=int(concurrency))
before, begun, cpu = peak(), time.perf_counter(), time.process_time()
frame = session.describe_images(folder + "/many", concurrency=int(concurrency))
took = time.perf_counter() - begun
assert frame["error"].isna().all() and few["error"].isna().all()
grown = peak() - before
cpu = time.process_time() - cpu
begun = time.perf_counter()
session = Session("gpt-4o", base_url=address, mode="replay", dialogue_log_path=log)
assert len(session.describe_images(folder + "/many", concurrency=int(concurrency))) == len(frame)
print(json.dumps({"s": took, "cpu": cpu, "grown": grown, "again": time.perf_counter() - begun}))
"""


def run(given: Given) -> Iterator[Figure]:
    """Yield the time against the limit of the latency, and the memory that many images take."""
    folder = given.folder / "described"
    _write(folder / "few", FEW, 0)
    _write(folder / "many", IMAGES, FEW)
    limit = IMAGES / CONCURRENCY * LATENCY
    told = []
    options = ("--text", "Soft shapes in colours.", "--first-delay", str(LATENCY))
    with process(*options, "--no-check", "--no-record") as address:
        for number in range(ROUNDS):
            log = given.folder / f"described-{number}.dialogue.json"
            command = [sys.executable, "-c", CHILD, str(folder), address, str(log)]
            ran = subprocess.run(
                [*command, str(CONCURRENCY)], cwd=ROOT, check=True, capture_output=True, text=True
            )
            told.append(json.loads(ran.stdout))
    name = f"{IMAGES:,} images described, concurrency {CONCURRENCY}"
    yield ratio(
        f"{name}: time",
        f"the limit of {LATENCY * 1000:.0f} ms",
        [(limit * 1000, each["s"] * 1000) for each in told],
        1 / 0.8,
    )
    yield ratio(
        f"{name}: CPU", "the time", [(each["s"] * 1000, each["cpu"] * 1000) for each in told]
    )
    yield Figure(
        f"{name}: memory above {FEW} images",
        "",
        ours=sorted(each["grown"] for each in told)[ROUNDS // 2] / 1e6,
        bound=8.0,
        unit="MB",
        rounds=ROUNDS,
    )
    yield ratio(
        f"{IMAGES:,} images replayed", "described", [(each["s"], each["again"]) for each in told]
    )


def _write(folder: Path, count: int, first: int) -> None:
    """Write photographs, each another."""
    from PIL import Image

    folder.mkdir(parents=True)
    width, height = SIZE
    for number in range(count):
        bands = [
            Image.effect_noise((width // 8, height // 8), sigma).resize(SIZE)
            for sigma in (60, 70, 80)
        ]
        image = Image.merge("RGB", bands)
        image.putpixel((0, 0), ((first + number) % 256, (first + number) // 256, 0))
        image.save(folder / f"{number:04}.jpg", quality=85)
