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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.scripted import ScriptedServer

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
DARK, LIGHT = "JupyterLab Dark", "JupyterLab Light"
PATIENCE = 120.0
LOAD = "%load_ext openai_magics"
ARTEFACTS = Path(__file__).resolve().parent.parent / "artefacts"


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


def pictured(page: Any, name: str) -> None:
    """Keep a picture of the page."""
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


def settled(page: Any) -> None:
    """Wait until what the page has begun is done: an answer that could run something would have."""
    page.evaluate("() => new Promise((done) => requestIdleCallback(() => setTimeout(done, 100)))")


def themed(page: Any, theme: str) -> None:
    """Show JupyterLab in a theme, and wait until it is."""
    page.evaluate(
        "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme
    )
    light = "false" if theme == DARK else "true"
    page.wait_for_function("light => document.body.dataset.jpThemeLight === light", arg=light)
    page.locator("#jupyterlab-splash").wait_for(state="detached")


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
    """A folder of notebooks in the JupyterLab of all tests; its kernels have an environment of their own.

    Attributes
    ----------
    url : str
        The server's address.
    root : Path
        The folder.
    """

    url: str
    root: Path
    specs: Path = field(repr=False)
    environment: dict[str, str] = field(repr=False)

    def put(self, name: str, *sources: str) -> Path:
        """Write a notebook into the folder; ``%load_ext openai_magics`` is its first cell."""
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(notebook(LOAD, *sources)))
        return path

    def go(self, page: Any, application: str, name: str) -> None:
        """Open a notebook in ``lab/tree``, ``notebooks`` or ``voila/render``."""
        spec = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "Python 3",
            "language": "python",
            "env": self.environment,
        }
        (self.specs / "kernel.json").write_text(json.dumps(spec))
        page.goto(f"{self.url}{application}/{self.root.name}/{name}?token=test&reset")

    def open(self, page: Any, name: str, application: str = "lab/tree") -> None:
        """Open a notebook and wait until its kernel is there."""
        self.go(page, application, name)
        page.wait_for_selector(".jp-Notebook .jp-Cell")
        page.wait_for_function(
            "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel"
            "?.status === 'idle'"
        )
        # JupyterLab's side takes room, and may come after the notebook; Notebook 7's is empty.
        page.evaluate("() => window.jupyterapp.shell.collapseLeft?.()")

    def run_all(self, page: Any, *, restart: bool = False) -> None:
        """Run all cells (after a restart of the kernel), wait for the end, and save."""
        name = "notebook:restart-run-all" if restart else "notebook:run-all-cells"
        page.evaluate("name => { window.ran = window.jupyterapp.commands.execute(name); }", name)
        if restart:
            page.click(".jp-Dialog button.jp-mod-warn")
        page.evaluate("() => window.ran")
        self.save(page)

    def save(self, page: Any) -> None:
        """Save the notebook."""
        page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")

    def close(self) -> None:
        """End the kernels of this folder."""
        held = [
            f"api/sessions/{session['id']}"
            for session in json.loads(self._ask("GET", "api/sessions"))
            if session["path"].startswith(f"{self.root.name}/")
        ]
        with ThreadPoolExecutor() as pool:  # each takes seconds, most of them waiting
            list(pool.map(lambda path: self._ask("DELETE", path), held))

    def _ask(self, method: str, path: str) -> bytes:
        request = Request(f"{self.url}{path}?token=test", method=method)
        with urlopen(request) as answer:
            return bytes(answer.read())


@dataclass
class Jupyter:
    """The JupyterLab server of all tests."""

    url: str
    root: Path
    specs: Path

    @contextlib.contextmanager
    def lab(self, name: str, **variables: str) -> Iterator[Lab]:
        """Yield a folder whose kernels have these variables in their environment."""
        folder = self.root / name
        folder.mkdir()
        lab = Lab(self.url, folder, self.specs, variables)
        try:
            yield lab
        finally:
            lab.close()


def environment(root: Path) -> dict[str, str]:
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
    return {**kept, **folders, "PYTHONPATH": str(source), "JUPYTER_PATH": str(root / "data")}


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


def serve(root: Path) -> Iterator[Jupyter]:
    """Run JupyterLab, with Notebook 7 and Voilà in it, over a folder of *root*."""
    files, specs = root / "files", root / "data" / "kernels" / "python3"
    files.mkdir()
    specs.mkdir(parents=True)
    variables = environment(root)
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
        "--JupyterNotebookApp.expose_app_in_browser=True",
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
        yield Jupyter(url, files, specs)
    finally:
        server.terminate()
        server.wait(60)
        log.close()


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """Give the JupyterLab server of all tests: it takes seconds to start."""
    yield from serve(tmp_path_factory.mktemp("jupyter"))


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    """Give a scripted OpenAI server for the whole module."""
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest, jupyter: Jupyter, server: ScriptedServer) -> Iterator[Lab]:
    """Give a folder of notebooks whose kernels ask the scripted server."""
    name = request.module.__name__.rpartition(".")[2]
    asks = {"OPENAI_BASE_URL": server.base_url, "OPENAI_MAGICS_MODEL": "gpt-5.4-mini"}
    with jupyter.lab(name, **asks) as folder:
        yield folder


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

    def failed(error: Any) -> None:
        # JupyterLab's own: what it had asked of a kernel that was restarted then.
        if "Canceled future for" not in str(error):
            tab.errors.append(str(error))

    tab.on("request", asked)
    tab.on("dialog", popped)
    tab.on("pageerror", failed)
    yield tab
    context.close()
