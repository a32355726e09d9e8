"""The engine as this process sees it: started at first use, one for all, gone with it."""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import secrets
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from openai_magics.errors import ExtraMissing
from openai_magics.local import logs, weights
from openai_magics.local.weights import Progress

__all__ = ["Child", "Engine", "engine", "installed", "running", "start", "stop"]

PATIENCE = 300.0
"""Seconds a model may take to load: a large one from a slow disk takes minutes."""
CONTEXT, OTHER_CONTEXT = 4096, 8192
"""Tokens of our model (it takes 8192, for 90 MB more), and of others, which take what they can."""
MOST_THREADS = 8


@dataclass(frozen=True)
class Engine:
    """How to reach the engine: any OpenAI client takes ``base_url`` and ``api_key``.

    Behind ``base_url`` are its own ``model``, tuned ones, files and fine-tuning jobs. Behind
    ``direct`` is its own model alone, without a detour.
    """

    base_url: str
    api_key: str = field(repr=False)
    model: str
    direct: str = ""

    def address(self, model: str | None) -> str:
        """Return where an answer of *model* is to be had the fastest way."""
        return self.direct if model == self.model else self.base_url


@dataclass(frozen=True)
class Child:
    """A server process that this process started for the model ``wanted``."""

    engine: Engine
    process: subprocess.Popen[bytes] = field(repr=False)
    wanted: str

    @property
    def alive(self) -> bool:
        """Whether it is still there."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End it; an answer under way is cut off."""
        _end(self.process)


_child: Child | None = None
_lock = threading.Lock()


def installed() -> bool:
    """Tell whether the engine's package is installed, without importing it."""
    return importlib.util.find_spec("xllamacpp") is not None


def running() -> Engine | None:
    """Return the engine if this process has started it and it is still there."""
    child = _child
    return child.engine if child is not None and child.alive else None


def engine(on_progress: Progress | None = None) -> Engine:
    """Return the engine, started if it is not there: at first use, or when it has died.

    Cheap when it runs: ask anew before each request, since after a death or a change of
    ``OPENAI_MAGICS_LOCAL_MODEL`` or ``…_MMPROJ`` the address and the key are others.

    Parameters
    ----------
    on_progress : callable or None
        Called with a label, bytes done and bytes in all while the weights are fetched.

    Raises
    ------
    EngineError
        The weights cannot be had, or the server does not start.
    ExtraMissing
        The ``local`` extra is not installed.
    """
    global _child  # noqa: PLW0603 - one engine a process
    with _lock:
        model = weights.chosen()
        wanted = f"{model}\n{os.environ.get(weights.MMPROJ_VARIABLE, '')}"
        if _child is not None and _child.wanted == wanted and _child.alive:
            return _child.engine
        if not installed():
            raise ExtraMissing("The embedded engine", "local")
        path, projector = weights.ensure(on_progress, model), weights.mmproj()
        if _child is not None:
            _child.stop()
            _child = None
        _child = start(path, wanted=wanted, front=True, mmproj=projector)
        return _child.engine


def stop() -> None:
    """End the engine if this process has started one; `engine` starts another."""
    global _child  # noqa: PLW0603 - one engine a process
    with _lock:
        if _child is not None:
            _child.stop()
        _child = None


def start(
    path: Path,
    *,
    port: int = 0,
    wanted: str = "",
    name: str | None = None,
    adapter: Path | None = None,
    front: bool = False,
    mmproj: Path | None = None,
) -> Child:
    """Start a server of its own for a model file.

    Parameters
    ----------
    path : Path
        A GGUF file.
    port : int
        Where on loopback it listens; 0 for a free one.
    wanted : str
        What the caller calls the model, kept in the `Child`.
    name : str or None
        What the model is called in answers, where it is not the file's name.
    adapter : Path or None
        A GGUF adapter that the model is served with.
    front : bool
        Whether tuned models, files and jobs are served behind the same address.
    mmproj : Path, optional
        The projector with which the model sees images.

    Raises
    ------
    EngineError
        It did not start; the error quotes why, and names the log.
    """
    own = weights.name_of(path)
    key = f"sk-local-{secrets.token_hex(16)}"
    settings = {
        "model": str(path.absolute()),
        "mmproj": str(mmproj.absolute()) if mmproj else "",
        "name": own if name is None else name,
        "api_key": key,
        "context": CONTEXT if own == weights.MODEL else OTHER_CONTEXT,
        "threads": _threads(),
        "port": port,
        "parent": os.getpid(),
        "adapter": None if adapter is None else str(adapter.absolute()),
        "front": front,
    }
    log, log_path = logs.open_log()
    with log:
        process = _spawn(log)
    try:
        told = _started(process, settings)
        if told is None:
            raise logs.not_started(path, log_path, process.wait())  # noqa: TRY301 - its end is below
    except BaseException:
        _end(process)
        raise
    reached = Engine(told["base_url"], key, told["model"], told["direct"])
    return Child(reached, process, wanted)


def _started(process: subprocess.Popen[bytes], settings: dict[str, Any]) -> dict[str, str] | None:
    """Send the settings and wait; return what the server tells, ``None`` if it has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    # A timer, since a wait in a worker thread cannot be interrupted from outside.
    overdue = threading.Timer(PATIENCE, process.kill)
    overdue.daemon = True
    overdue.start()
    try:
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(settings).encode() + b"\n")
        with process.stdout as answer:
            line = answer.readline()
    finally:
        overdue.cancel()
    return json.loads(line) if line else None


def _spawn(log: IO[bytes]) -> subprocess.Popen[bytes]:
    # By its path: with -m the notebook's folder, and any json.py in it, would come first.
    command = [sys.executable, str(Path(__file__).with_name("server.py"))]
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    else:
        flags = 0
    return subprocess.Popen(  # noqa: S603 - our own file, no shell
        command,
        bufsize=0,  # no buffer whose lock a fork could copy while it is held
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,  # out of reach of the interrupt that stops a cell
        creationflags=flags,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _threads() -> int:
    """Return how many threads compute: all that this process may use but one.

    They wait for each other after every layer, so one that has to share its processor with
    the notebook holds up all: 54 tokens/s fell to 1 beside a busy process, and with a
    processor left free stayed at 26.
    """
    if sys.platform == "linux":
        count = len(os.sched_getaffinity(0))
        with suppress(OSError, ValueError):
            # A container's share of the processors, which the affinity does not show.
            quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
            count = min(count, max(1, int(quota) // int(period)))
    else:
        count = os.cpu_count() or 1
    return max(1, min(count - 1, MOST_THREADS))


def _forget() -> None:
    """Leave the engine to the parent: a forked child starts its own."""
    global _child, _lock  # noqa: PLW0603 - the state of one process
    _lock = threading.Lock()
    if _child is not None:
        process = _child.process
        if process.stdin is not None:
            process.stdin.close()
        # Not its child: waiting for it would fail, and its end would be warned of.
        process.returncode = 0
    _child = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
atexit.register(stop)
