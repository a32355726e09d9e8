"""Starting the queue and its trainers: processes that find this package wherever it lies."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from openai_magics.local.jobs import job as jobs
from openai_magics.local.jobs import store

__all__ = ["TRAINER", "WORKED_ON", "ensure", "python"]

QUEUE = "openai_magics.local.jobs.queue"
TRAINER = "openai_magics.local.train"
WORKED_ON = frozenset({"validating_files", "queued", "running"})
"""States in which a job is the queue's to move."""


def python(arguments: list[str], log: Any, *, child: bool) -> subprocess.Popen[bytes]:
    """Start a Python that finds this package wherever it lies, out of reach of an interrupt."""
    root = str(Path(__file__).parents[3])
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), root]))
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    else:
        flags = 0
    return subprocess.Popen(  # noqa: S603 - our own modules, no shell
        [sys.executable, *arguments],
        # A child ends when this pipe does, also where this process is killed.
        stdin=subprocess.PIPE if child else subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        # The notebook's folder may hold a json.py; a data folder holds none.
        cwd=Path(log.name).parent,
        env=os.environ | {"PYTHONPATH": path},
        start_new_session=True,
        creationflags=flags,
    )


def ensure(kept: store.Store, trainer: str = TRAINER) -> None:
    """Start the queue where there is work for it and none is running.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    if not kept.jobs.is_dir() or not any(job.status in WORKED_ON for job in jobs.every(kept)):
        return
    if store.held(kept.lock):
        return
    with kept.log.open("ab") as log:
        process = python(["-m", QUEUE, str(kept.folder), trainer], log, child=False)
    # It may well outlive this process; where it does not, no zombie is left of it.
    threading.Thread(target=process.wait, daemon=True).start()
