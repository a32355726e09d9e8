"""A real kernel, and a front end that sends it cells as JupyterLab does and keeps what it says."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from jupyter_client.manager import KernelManager

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90.0
"""Seconds before a kernel that says nothing is given up; nothing is measured by it."""
KEY = "sk-test-0123456789abcdefghij"
MODEL = "gpt-4o"
LOAD = "%load_ext openai_magics"
SHOWN = ("display_data", "update_display_data", "execute_result", "error", "stream")

Output = dict[str, Any]
Message = dict[str, Any]


def environment(tmp_path: Path, base_url: str | None = None, **more: str) -> dict[str, str]:
    """Return an environment that knows nothing of this machine's Jupyter, keys and settings.

    With a *base_url* there is a key and a model for it as well.
    """
    hidden = ("JPY_", "JUPYTER_", "OPENAI_", "PYTEST_", "IPYTHON", "COV_CORE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    there = {
        "PATH": os.pathsep.join((os.fspath(Path(sys.executable).parent), kept.get("PATH", ""))),
        "PYTHONPATH": os.fspath(ROOT),
        "PYTHONUTF8": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "XDG_CONFIG_HOME": os.fspath(tmp_path / "no-config"),
        "IPYTHONDIR": os.fspath(tmp_path / "ipython"),
        "JUPYTER_RUNTIME_DIR": os.fspath(tmp_path / "runtime"),
        "JUPYTER_CONFIG_DIR": os.fspath(tmp_path / "config"),
        "JUPYTER_DATA_DIR": os.fspath(tmp_path / "data"),
    }
    if base_url is not None:
        there |= {
            "OPENAI_BASE_URL": base_url,
            "OPENAI_API_KEY": KEY,
            "OPENAI_MAGICS_MODEL": MODEL,
        }
    return {**kept, **there, **more}


@dataclass
class Ran:
    """What came of one cell: the kernel's messages in order, and its reply."""

    messages: list[Message] = field(default_factory=list)
    reply: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the contents of the messages of a kind."""
        return [each["content"] for each in self.messages if each["msg_type"] == kind]

    @property
    def kinds(self) -> list[str]:
        """What was shown, message by message, by kind."""
        return [each["msg_type"] for each in self.messages if each["msg_type"] in SHOWN]

    @property
    def status(self) -> str:
        """``ok`` or ``error``."""
        return str(self.reply["status"])

    @property
    def error(self) -> str:
        """What a front end shows of the failure, without colours; ``""`` where there is none."""
        return "\n".join(line for each in self.of("error") for line in each["traceback"])

    @property
    def stdout(self) -> str:
        """What was printed."""
        return "".join(each["text"] for each in self.of("stream") if each["name"] == "stdout")

    @property
    def stderr(self) -> str:
        """What was printed to standard error."""
        return "".join(each["text"] for each in self.of("stream") if each["name"] == "stderr")

    @property
    def outputs(self) -> list[Output]:
        """The outputs as a front end saves them: an update replaces what it updates."""
        kept: list[Output] = []
        places: dict[str, int] = {}
        for message in self.messages:
            kind, content = message["msg_type"], message["content"]
            name = (content.get("transient") or {}).get("display_id")
            bundle = {key: content.get(key) for key in ("data", "metadata")}
            if kind == "update_display_data":
                kept[places[name]].update(bundle)
            elif kind in ("display_data", "execute_result"):
                if name:
                    places[name] = len(kept)
                kept.append({"output_type": kind, **bundle})
            elif kind in {"error", "stream"}:
                kept.append({"output_type": kind, **content})
        return kept

    @property
    def text(self) -> str:
        """The ``text/plain`` of the only output."""
        (output,) = self.outputs
        return str(output["data"]["text/plain"])

    @property
    def record(self) -> dict[str, Any]:
        """Our metadata (fingerprint, id, model) on the only output."""
        (output,) = self.outputs
        return cast("dict[str, Any]", output["metadata"]["openai_magics"])


class Kernel:
    """A kernel started in a folder, which is where its dialogue file will be.

    *watched* is whether somebody is there, as far as the front end tells: what it sends as
    ``allow_stdin``.
    """

    def __init__(self, folder: Path, env: Mapping[str, str], *, watched: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.watched = folder, watched
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=os.fspath(folder), env=dict(env))
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    def send(
        self, code: str, cell: str | None = None, *, watched: bool | None = None, **content: Any
    ) -> str:
        """Send a cell; return the message's id."""
        told = {"silent": False, "store_history": True, "user_expressions": {}}
        told |= {"allow_stdin": self.watched if watched is None else watched}
        told |= {"stop_on_error": True, "code": code, **content}
        metadata = {"cellId": cell, "deletedCells": [], "recordTiming": False} if cell else {}
        message = self.client.session.msg("execute_request", told, metadata=metadata)
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def finish(
        self, sent: str, ran: Ran | None = None, until: Callable[[Ran], bool] | None = None
    ) -> Ran:
        """Return what came of a cell once it is done, or, where *until* is given, so far."""
        ran = Ran() if ran is None else ran
        while True:
            if until is not None and until(ran):
                return ran
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != sent:
                continue
            if message["msg_type"] != "status":
                ran.messages.append(message)
            elif message["content"]["execution_state"] == "idle":
                break
        while True:
            message = self.client.get_shell_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") == sent:
                ran.reply = message["content"]
                return ran

    def run(
        self, code: str, cell: str | None = None, *, watched: bool | None = None, **content: Any
    ) -> Ran:
        """Run a cell and return what came of it."""
        return self.finish(self.send(code, cell, watched=watched, **content))

    def ok(self, code: str, cell: str | None = None, *, watched: bool | None = None) -> Ran:
        """Run a cell that must not fail."""
        ran = self.run(code, cell, watched=watched)
        assert ran.status == "ok", ran.error
        return ran

    def value(self, expression: str) -> Any:
        """Return what an expression is in the kernel, through JSON; no cell is run."""
        asked = {"value": f"__import__('json').dumps({expression})"}
        told = self.run("", silent=True, store_history=False, user_expressions=asked).reply
        got = told["user_expressions"]["value"]
        assert got["status"] == "ok", got
        # The repr of a str: JSON in Python's quotes.
        return json.loads(__import__("ast").literal_eval(got["data"]["text/plain"]))

    def wait(self, expression: str) -> None:
        """Return when an expression has become true in the kernel."""
        end = time.monotonic() + PATIENCE
        while not self.value(f"bool({expression})"):
            assert time.monotonic() < end, expression
            time.sleep(0.05)

    def complete(self, code: str, at: int | None = None) -> list[str]:
        """Return what Tab gives with the cursor at a place of a cell (its end)."""
        sent = self.client.complete(code, len(code) if at is None else at)
        while True:
            message = self.client.get_shell_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") == sent:
                return list(message["content"]["matches"])

    def interrupt(self) -> None:
        """Send the signal that the stop button sends."""
        self.manager.interrupt_kernel()

    def kill(self) -> None:
        """Kill it (SIGKILL)."""
        self.manager.provisioner.process.kill()  # type: ignore[union-attr]

    def close(self) -> None:
        """End it, if it is still there, without waiting for what it does."""
        with contextlib.suppress(queue.Empty):
            self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def loaded(folder: Path, env: Mapping[str, str], *, watched: bool = True) -> Iterator[Kernel]:
    """Yield a kernel with the extension loaded."""
    with Kernel(folder, env, watched=watched) as kernel:
        kernel.ok(LOAD)
        yield kernel


def records(path: Path) -> list[dict[str, Any]]:
    """Return the records of a dialogue file, as any JSON reader has them."""
    return list(json.loads(path.read_text("utf-8"))["exchanges"])


def same_bytes(outputs: Any) -> str:
    """Return outputs as JSON, execution counts aside: equal text is equal bytes."""

    def uncounted(fields: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if name != "execution_count"}

    return json.dumps(json.loads(json.dumps(outputs), object_hook=uncounted), sort_keys=True)
