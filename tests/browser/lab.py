"""A real JupyterLab in a real browser: the fixtures of this layer, and how to drive it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 120.0


def notebook(*sources: str) -> dict[str, Any]:
    """Return a notebook with these code cells."""
    return {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{n}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": source,
            }
            for n, source in enumerate(sources)
        ],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def outputs(path: Path) -> list[list[dict[str, Any]]]:
    """Return the outputs of each cell of a saved notebook, execution counts aside."""
    document = json.loads(path.read_text("utf-8"))
    found = []
    for cell in document["cells"]:
        for item in cell.get("outputs", ()):
            item.pop("execution_count", None)
        found.append(cell.get("outputs", []))
    return found


@dataclass
class Lab:
    """A JupyterLab server over a folder."""

    url: str
    root: Path

    def open(self, page: Any, name: str) -> None:
        """Open a notebook and wait until its kernel is there."""
        page.goto(f"{self.url}lab/tree/{name}?token=test&reset")
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=PATIENCE * 1000)
        page.wait_for_function(
            "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel"
            "?.status === 'idle'",
            timeout=PATIENCE * 1000,
        )

    def run_all(self, page: Any, *, restart: bool = False) -> None:
        """Run all cells (after a restart of the kernel), wait for the end, and save."""
        name = "notebook:restart-run-all" if restart else "notebook:run-all-cells"
        page.evaluate("name => { window.ran = window.jupyterapp.commands.execute(name); }", name)
        if restart:
            page.click(".jp-Dialog button.jp-mod-warn", timeout=PATIENCE * 1000)
        page.evaluate("() => window.ran")
        self.save(page)

    def save(self, page: Any) -> None:
        """Save the notebook."""
        page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")


def environment(root: Path, **more: str) -> dict[str, str]:
    """Return the environment of a server that knows nothing of the developer's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    folders = {
        name: str(root / name.lower())
        for name in (
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_RUNTIME_DIR",
            "JUPYTERLAB_SETTINGS_DIR",
            "JUPYTERLAB_WORKSPACES_DIR",
            "IPYTHONDIR",
        )
    }
    source = Path(__file__).resolve().parent.parent.parent
    return {**kept, **folders, "PYTHONPATH": str(source), **more}


def answering(runtime: Path) -> str:
    """Return the address of the server that answers; ``""`` as long as none does.

    A server's file is there before it listens, and for a moment not whole.
    """
    for file in runtime.glob("jpserver-*.json"):
        with contextlib.suppress(ValueError, OSError):
            url = str(json.loads(file.read_text())["url"])
            urlopen(f"{url}api?token=test").read()
            return url
    return ""


def serve(root: Path, **more: str) -> Iterator[Lab]:
    """Run JupyterLab over *root* with the variables *more* in its environment."""
    files = root / "files"
    files.mkdir()
    variables = environment(root, **more)
    settings = root / "jupyterlab_settings_dir" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    # Else Lab asks whether it may fetch news, over what a test looks at.
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    log = (root / "lab.log").open("w")
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        "--port=0",
        "--IdentityProvider.token=test",
        f"--ServerApp.root_dir={files}",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    server = subprocess.Popen(command, env=variables, cwd=files, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE
        while not (url := answering(Path(variables["JUPYTER_RUNTIME_DIR"]))):
            assert server.poll() is None, (root / "lab.log").read_text()
            assert time.monotonic() < deadline, (root / "lab.log").read_text()
            time.sleep(0.1)
        yield Lab(url, files)
    finally:
        server.terminate()
        server.wait(30)
        log.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Give headless Chromium, the one of the machine.

    For one module, not for the session: while Playwright is open its event loop runs in this
    thread, and ``asyncio.run`` in a later test would find it.
    """
    if not CHROMIUM:
        pytest.skip("there is no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """Give a fresh page that notes its errors, dialogs and requests to other hosts."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    # Playwright's own 30 s are short for the first page of a new environment on a busy machine.
    context.set_default_timeout(PATIENCE * 1000)
    tab = context.new_page()
    tab.strangers, tab.dialogs, tab.errors = [], [], []

    def asked(request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1", "data:", "blob:", "about:")):
            tab.strangers.append(request.url)

    def popped(dialog: Any) -> None:
        tab.dialogs.append(dialog.message)
        dialog.dismiss()

    tab.on("request", asked)
    tab.on("dialog", popped)
    tab.on("pageerror", lambda error: tab.errors.append(str(error)))
    yield tab
    context.close()
