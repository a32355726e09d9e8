"""Preparing large images, each time in a new process: the CPU it takes, and its peak of memory.

The peer is the way of most scripts: open, convert, resize, encode, to the same size and quality,
with the filter that is mostly recommended (Lanczos) and with Pillow's default (bicubic).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figures import Figure, Given, Pair, one_by_one, ratio
from tests.benchmarks.kernels import ROOT

ROUNDS = 7
# The peak is that of the status file, as in bench_open. A small image of the same kind first: what
# is imported for it does not count.
CHILD = """
import io, json, sys, time
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
if way in ("LANCZOS", "BICUBIC"):
    from PIL import Image
    Image.MAX_IMAGE_PIXELS = None
    def made(path):
        image = Image.open(path).convert("RGB")
        width = 1024 if image.width > 1024 else image.width
        size = width, image.height * width // image.width
        stream = io.BytesIO()
        image.resize(size, Image.Resampling[way]).save(stream, "JPEG", quality=88)
        return (*size, len(stream.getvalue()))
elif way == "ours":
    from openai_magics.images.source import sources
    from openai_magics.images.prepare import prepare
    def made(path):
        sent = prepare(sources(path)[0], "high")
        return sent.width, sent.height, len(sent.data)
else:
    from openai_magics.images.source import sources
    from openai_magics.images.prepare import said
    def made(path):
        return 1024, 768, len(said(sources(path)[0], "high")["sha256"])

made(small)
before, begun = peak(), time.process_time()
width, height, size = made(large)
print(json.dumps({"size": [width, height], "sent": size,
                  "ms": (time.process_time() - begun) * 1e3, "bytes": peak() - before}))
"""


def run(given: Given) -> Iterator[Figure]:
    """Yield CPU and memory for a photograph of a camera, and for a large PNG."""
    for megapixels, kind, (cpu, memory) in ((12, "JPEG", (0.4, 0.4)), (48, "PNG", (0.75, None))):
        large = given.folder / f"large.{kind.lower()}"
        small = given.folder / f"small.{kind.lower()}"
        side = {12: 1000, 48: 2000}[megapixels]
        _photograph(large, 4 * side, 3 * side)
        _photograph(small, 400, 300)
        name = f"{megapixels}-megapixel {kind}"
        for way, bounds in (("LANCZOS", (cpu, memory)), ("BICUBIC", (None, None))):
            told = f"open, convert, resize ({way.lower()}), encode"
            pairs, peaks = _measured(small, large, way, "ours")
            yield ratio(f"{name} prepared: CPU", told, pairs, bounds[0])
            yield ratio(f"{name} prepared: memory", told, peaks, bounds[1], unit="MB")
        pairs, _ = _measured(small, large, "ours", "said")
        yield ratio(f"{name} replayed: CPU", "prepared", pairs)
        large.unlink()


def _measured(small: Path, large: Path, floor: str, ours: str) -> tuple[list[Pair], list[Pair]]:
    """Return pairs of CPU, in milliseconds, and of memory, in MB."""
    taken: dict[str, list[float]] = {floor: [], ours: []}

    def making(way: str) -> float:
        command = [sys.executable, "-c", CHILD, str(small), str(large), way]
        ran = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        told = json.loads(ran.stdout)
        assert told["size"] == [1024, 768]
        taken[way].append(told["bytes"] / 1e6)
        milliseconds: float = told["ms"]
        return milliseconds

    pairs = one_by_one(lambda: making(floor), lambda: making(ours), ROUNDS, warm=0)
    return pairs, list(zip(taken[floor], taken[ours], strict=True))


def _photograph(path: Path, width: int, height: int) -> None:
    """Write soft shapes with noise, in colours: about as large in bytes as a camera's."""
    from PIL import Image

    bands = []
    for sigma in (60, 70, 80):
        soft = Image.effect_noise((width // 64, height // 64), sigma)
        soft = soft.resize((width, height), Image.Resampling.BICUBIC)
        bands.append(Image.blend(soft, Image.effect_noise((width, height), 20), 0.3))
    image = Image.merge("RGB", bands)
    if path.suffix == ".jpeg":
        image.save(path, quality=90)
    else:
        image.save(path)
