"""A projector by its name on Hugging Face: from a hub that is a real server on loopback."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from openai_magics.local import weights

pytest.importorskip("huggingface_hub")

NAME = "somebody/Seeing-GGUF/mmproj-model-f16.gguf"
PLACE = "/somebody/Seeing-GGUF/resolve/main/mmproj-model-f16.gguf"
CONTENT = weights.MAGIC + bytes(range(256)) * 40
ASK = (
    "from openai_magics.local import weights\n"
    "from openai_magics.errors import MagicsError\n"
    "try: print(weights.mmproj())\n"
    "except MagicsError as error: print(type(error).__name__, error)"
)


class Hub(ThreadingHTTPServer):
    """A hub that has one file, with what the client looks for in the headers."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Files)
        self.content = content
        self.asked: list[str] = []


class Files(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        there = self.path == PLACE
        body = self.server.content if there else b"Entry not found"
        self.send_response(200 if there else 404)
        if there:
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", "0" * 40)
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub in a thread."""
    with Hub(CONTENT) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def said(name: str, folder: Path, server: Hub) -> str:
    """Return what a new process says of the projector *name*; the client reads its surroundings once."""
    env = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(folder),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        weights.MMPROJ_VARIABLE: name,
    }
    env.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, "-c", ASK]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_it_is_fetched_once_and_kept(hub: Hub, tmp_path: Path) -> None:
    """The path is that of the file in the client's cache; the second time nobody is asked."""
    path = Path(said(NAME, tmp_path, hub))
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(tmp_path)
    assert f"GET {PLACE}" in hub.asked
    hub.asked.clear()
    hub.content = weights.MAGIC + b"another by now"
    assert said(NAME, tmp_path, hub) == str(path)
    assert hub.asked == []
    assert path.read_bytes() == CONTENT


def test_what_is_not_there_is_said(hub: Hub, tmp_path: Path) -> None:
    """The file, the repository, and which setting names the projector."""
    told = said("somebody/Seeing-GGUF/gone.gguf", tmp_path, hub)
    assert told.startswith(
        "EngineError gone.gguf of somebody/Seeing-GGUF could not be fetched from Hugging Face: "
    )
    assert f"{weights.MMPROJ_VARIABLE}=" in told


def test_what_is_no_gguf_is_refused(hub: Hub, tmp_path: Path) -> None:
    """A page that says to log in, for one."""
    hub.content = b"<html>Log in</html>"
    assert f"projector '{NAME}' is not a GGUF file" in said(NAME, tmp_path, hub)
