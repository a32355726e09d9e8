"""The logs of the engine's servers: where they are, and what they say of a failed start."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from openai_magics.errors import EngineError
from openai_magics.local import weights

__all__ = ["not_started", "open_log"]

KEPT_LOGS = 8
LOGGED_ERROR = re.compile(r"^[\d.]+ E (?:\w+ +)?(?P<said>.+)$", re.MULTILINE)
"""A line of llama.cpp's log: time, level, component, text."""


def not_started(path: Path, log_path: Path, status: int) -> EngineError:
    """Return the error of a server that ended with *status* instead of starting."""
    text = log_path.read_text("utf-8", "replace") if log_path.exists() else ""
    # The first error is the cause, each later one a caller that passes it on.
    said = list(dict.fromkeys(match["said"].strip() for match in LOGGED_ERROR.finditer(text)))[:3]
    if not said:
        said = [line.strip() for line in text.splitlines() if line.strip()][-3:]
    if not said:
        said = [f"it ended with status {status} and said nothing"]
        if status == -9:
            said = ["it was killed while it loaded (out of memory, or it took too long)"]
    return EngineError(
        f"The engine on this machine did not start with {path.name}: {' · '.join(said)}",
        f"Its log: {log_path}",
    )


def open_log() -> tuple[IO[bytes], Path]:
    """Open a new log; return it and its path."""
    folder = weights.cache_folder() / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        kept = sorted(folder.glob("engine-*.log"), key=lambda path: path.stat().st_mtime)
        for old in kept[: -KEPT_LOGS + 1]:
            with suppress(OSError):  # held open elsewhere, on Windows
                old.unlink()
        path = folder / f"engine-{os.getpid()}-{secrets.token_hex(2)}.log"
        return path.open("wb"), path
    except OSError:
        # A cache that is read-only still serves the weights.
        handle, name = tempfile.mkstemp(prefix="openai_magics-engine-", suffix=".log")
        return os.fdopen(handle, "wb"), Path(name)
