"""1,000 images of a folder described at once, against a server that answers after 50 ms.

The floor is what that latency sets: images / concurrency x latency. What the machine allows is told
beside it: the same number of requests of the same size, made ready before, with bare aiohttp. The
memory is the peak of the
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


BARE = """
import asyncio, json, sys, time
address, concurrency, images = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
import aiohttp
url = "data:image/jpeg;base64," + "A" * 7000
content = [{"type": "text", "text": "x" * 200}, {"type": "image_url", "image_url": {"url": url}}]
body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": content}]}).encode()
headers = {"Authorization": "Bearer sk-test-0123456789", "Content-Type": "application/json"}

async def asked(many):
    left = iter(range(many))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        async def worker():
            for _ in left:
                posted = client.post(address + "/chat/completions", data=body, headers=headers)
                async with posted as response:
                    assert response.status == 200 and await response.read()
        begun = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(concurrency)))
        return time.perf_counter() - begun

asyncio.run(asked(concurrency))
print(json.dumps({"s": asyncio.run(asked(images))}))
"""


def run(given: Given) -> Iterator[Figure]:
    """Yield the time against the limit of the latency, and the memory that many images take."""
    folder = given.folder / "described"
    _write(folder / "few", FEW, 0)
    _write(folder / "many", IMAGES, FEW)
    limit = IMAGES / CONCURRENCY * LATENCY
    told: list[dict[str, float]] = []
    bare: list[float] = []
    options = ("--text", "Soft shapes in colours.", "--first-delay", str(LATENCY))
    with process(*options, "--no-check", "--no-record") as address:
        for number in range(ROUNDS):
            log = given.folder / f"described-{number}.dialogue.json"
            bare.append(_ran(BARE, address, str(CONCURRENCY), str(IMAGES))["s"])
            told.append(_ran(CHILD, str(folder), address, str(log), str(CONCURRENCY)))
    name = f"{IMAGES:,} images described, concurrency {CONCURRENCY}"
    yield ratio(
        f"{name}: time",
        f"the limit of {LATENCY * 1000:.0f} ms",
        [(limit * 1000, each["s"] * 1000) for each in told],
        1 / 0.8,
    )
    yield ratio(
        f"{IMAGES:,} bare requests, concurrency {CONCURRENCY}",
        f"the limit of {LATENCY * 1000:.0f} ms",
        [(limit * 1000, each * 1000) for each in bare],
    )
    yield ratio(
        f"{name}: time",
        "bare aiohttp",
        [(one * 1000, each["s"] * 1000) for one, each in zip(bare, told, strict=True)],
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


def _ran(code: str, *arguments: str) -> dict[str, float]:
    """Run *code* in a new process and return what it tells."""
    command = [sys.executable, "-c", code, *arguments]
    ran = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    told: dict[str, float] = json.loads(ran.stdout)
    return told


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
