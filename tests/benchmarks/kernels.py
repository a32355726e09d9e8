"""A real kernel, timed from outside as a front end sees it."""

from __future__ import annotations

import contextlib
import os
import queue
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

__all__ = ["ROOT", "Kernel", "Ran", "environment", "kernel"]

ROOT = Path(__file__).parents[2]
PATIENCE = 120


@dataclass
class Ran:
    """A cell that ran: seconds to its end, and its messages with the seconds they came after."""

    seconds: float = 0.0
    cpu: float = 0.0
    messages: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def of(self, *kinds: str) -> list[tuple[float, dict[str, Any]]]:
        """Return the messages of these types."""
        return [each for each in self.messages if each[1]["msg_type"] in kinds]


class Kernel:
    """A kernel and its client; somebody is watching it, as in JupyterLab."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client
        self._cpu = 0.0
        self.run("pass")

    def run(self, code: str) -> Ran:
        """Run a cell and wait for its end; the process's CPU seconds since the cell before.

        Raises
        ------
        RuntimeError
            The cell failed.
        """
        ran = Ran()
        clock = {"cpu": "__import__('time').process_time()"}
        begun = time.perf_counter()
        asked = self._client.execute(code, user_expressions=clock, allow_stdin=True)
        while True:
            message = self._client.get_iopub_msg(timeout=PATIENCE)
            now = time.perf_counter() - begun
            if message["parent_header"].get("msg_id") != asked:
                continue
            ran.messages.append((now, message))
            if message["msg_type"] == "error":
                raise RuntimeError("\n".join(message["content"]["traceback"]))
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        ran.seconds = now
        told = self._reply(asked)["content"]["user_expressions"]["cpu"]["data"]["text/plain"]
        ran.cpu, self._cpu = float(told) - self._cpu, float(told)
        return ran

    def _reply(self, asked: str) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = self._client.get_shell_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") == asked:
                return message


@contextlib.contextmanager
def kernel(folder: Path, settings: Mapping[str, str]) -> Iterator[Kernel]:
    """Start a kernel in *folder*, with *settings* as the only ones of ours in its environment."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder), env=environment(folder, settings), stderr=DEVNULL)
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=PATIENCE)
        with contextlib.suppress(queue.Empty):
            while True:  # what the start left
                client.get_iopub_msg(timeout=0.2)
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def environment(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the developer's keys, settings and profiles."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("OPENAI_") or name == "OPENAI_MAGICS_CACHE"
    }
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | {
        # An installed package is compiled, and so shall the tree be, without a trace in it.
        "PYTHONPYCACHEPREFIX": str(folder / "pycache"),
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(folder / "ipython"),
        "XDG_CONFIG_HOME": str(folder / "no-config"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        **settings,
    }
