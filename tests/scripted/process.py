"""The server as a process of its own, for benchmarks: its work does not slow the client's."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def process(*options: str) -> Iterator[str]:
    """Run ``python -m tests.scripted`` with *options* and yield its base_url."""
    command = [sys.executable, "-m", "tests.scripted", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            address = running.stdout.readline().strip()
            if not address:
                raise RuntimeError(f"The scripted server did not start: {' '.join(command)}")
            yield address
        finally:
            running.terminate()
