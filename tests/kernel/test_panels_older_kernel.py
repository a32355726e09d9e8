"""The panels in a kernel of the oldest ipykernel that is promised, by the messages of a front end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scripted import ScriptedServer

pytestmark = pytest.mark.timeout(600)
OLDEST = "6.29.5"
ROOT = Path(__file__).resolve().parents[2]
VIEW = "application/vnd.jupyter.widget-view+json"
PATIENCE = 180


class Front:
    """A front end without a screen: executes, and talks to widgets."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def run(self, code: str) -> list[Any]:
        """Execute code as if somebody were there, and return what the kernel tells."""
        told: list[Any] = []
        self.client.execute_interactive(
            code, allow_stdin=True, timeout=PATIENCE, output_hook=told.append
        )
        return told

    def tell(self, widget: str, **content: Any) -> None:
        """Tell a widget something."""
        data = {"comm_id": widget, "data": {"method": "custom", "content": content}}
        self.client.shell_channel.send(self.client.session.msg("comm_msg", data))

    def hear(self, kind: str) -> Any:
        """Wait until a widget says something of this kind, and return it."""
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            data = message["content"].get("data")
            content = data.get("content") if isinstance(data, dict) else None
            if isinstance(content, dict) and content.get("type") == kind:
                return content


@pytest.fixture
def front(tmp_path: Path, scripted: ScriptedServer) -> Iterator[Front]:
    """A kernel of the oldest ipykernel, installed over the one of this environment."""
    from jupyter_client.manager import KernelManager

    over = tmp_path / "over"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(over)]
    installed = subprocess.run(
        [*pip, f"ipykernel=={OLDEST}"], capture_output=True, text=True, timeout=300, check=False
    )
    if installed.returncode:
        pytest.skip(f"ipykernel {OLDEST} cannot be installed: {installed.stderr.strip()[-300:]}")
    variables = {
        **os.environ,
        "OPENAI_BASE_URL": scripted.base_url,
        "OPENAI_MAGICS_MODEL": "gpt-5.4-mini",
        "PYTHONPATH": f"{over}{os.pathsep}{ROOT}",
    }
    manager = KernelManager()
    manager.start_kernel(env=variables, cwd=str(tmp_path))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(PATIENCE)
        yield Front(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_each_panel_talks(front: Front) -> None:
    """Each is shown and answers its view; in the chat somebody asks and is answered."""
    told = front.run("import ipykernel; print(ipykernel.__version__)")
    texts = [item["content"]["text"] for item in told if item["msg_type"] == "stream"]
    assert "".join(texts).strip() == OLDEST
    front.run("%load_ext openai_magics")
    for name in ("chat", "dialogue", "images", "models", "training"):
        told = front.run(f"%panel {name}")
        assert [item["content"] for item in told if item["msg_type"] == "error"] == []
        [data] = [item["content"]["data"] for item in told if item["msg_type"] == "display_data"]
        assert {"text/plain", "text/html"} <= set(data)
        root = widget = data[VIEW]["model_id"]
        opened = [item["content"] for item in told if item["msg_type"] == "comm_open"]
        assert root in {content["comm_id"] for content in opened}
        if name != "chat":  # its keeper talks
            [widget] = [
                content["comm_id"]
                for content in opened
                if content["data"]["state"].get("root") == root
            ]
        front.tell(widget, type="ready", view="v")
        assert front.hear("opened")["model"] == root
        if name == "chat":
            front.tell(widget, type="ask", text="Hello?", images=[], view="v", number=1)
            assert front.hear("ended")["turn"]["text"].startswith("You said: Hello?")
