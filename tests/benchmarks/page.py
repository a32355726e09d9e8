"""JupyterLab in headless Chromium, for figures of what a person sees in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import NotMeasured

__all__ = ["SHOWN", "Tab", "tab"]

SHOWN = """
window.painted = () => new Promise((done) => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => done(Date.now());
    port2.postMessage(null);
}));
window.changed = (inside, seen) => new Promise((done, failed) => {
    setTimeout(() => failed(new Error(`not seen: ${seen}`)), 120000);
    const look = () => {
        if (!seen(inside)) return;
        watcher.disconnect();
        window.painted().then(done);
    };
    const watcher = new MutationObserver(look);
    watcher.observe(inside, { childList: true, subtree: true, characterData: true });
    look();
});
window.ending = (words) => {
    const log = document.querySelector(".oai-log");
    const last = log?.querySelector(".oai-list > :last-child");
    if (!last?.querySelector(".oai-asked")?.textContent.includes(words)) return false;
    const [inner, outer] = [last.getBoundingClientRect(), log.getBoundingClientRect()];
    return inner.height > 0 && inner.bottom <= outer.bottom + 1 && inner.bottom > outer.top;
};
"""
"""``painted()``: the time when what is there now is on the screen; ``changed(inside, seen)``: when
``seen(inside)`` had become true and was painted (an error after two minutes); ``ending(words)``:
whether the last turn is in sight, and asks this. Times are those of ``Date.now()``, the clock of
``time.time()``."""


@dataclass
class Tab:
    """A page of Chromium in which notebooks of a folder are opened."""

    lab: Any
    page: Any
    chromium: Any

    def notebook(self, name: str, *sources: str) -> None:
        """Write a notebook after a cell that loads the magics, open it in a kernel of its own."""
        self.lab.put(name, *sources)
        self.lab.close()
        self.lab.open(self.page, name)
        self.page.evaluate(SHOWN)

    def cell(self, number: int) -> None:
        """Run a cell and wait for its end."""
        self.page.evaluate(f"() => ({RUN})({number})")

    def processor(self) -> float:
        """Return the CPU seconds that the pages have taken so far, drawing them left out."""
        told = self.chromium.send("SystemInfo.getProcessInfo")["processInfo"]
        return sum(float(each["cpuTime"]) for each in told if each["type"] == "renderer")


RUN = """async (number) => {
    window.jupyterapp.shell.currentWidget.content.activeCellIndex = number;
    await window.jupyterapp.commands.execute("notebook:run-cell");
}"""


@contextlib.contextmanager
def tab(folder: Path, **variables: str) -> Iterator[Tab]:
    """Run JupyterLab over a new folder in *folder*, whose kernels have these *variables*.

    Raises
    ------
    NotMeasured
        There is no Chromium, Playwright or JupyterLab on this machine.
    """
    try:
        import jupyterlab  # noqa: F401 - is run as a process
        from playwright.sync_api import sync_playwright

        from tests.browser.lab import CHROMIUM, FLAGS, PATIENCE, serve
    except ImportError as error:
        raise NotMeasured(f"{error.name} is not installed") from error
    if not CHROMIUM:
        raise NotMeasured("there is no chromium on this machine")
    folder.mkdir()
    with (
        contextlib.contextmanager(serve)(folder) as jupyter,
        jupyter.lab("measured", **variables) as lab,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            page = browser.new_page(viewport={"width": 1200, "height": 900})
            page.set_default_timeout(PATIENCE * 1000)
            yield Tab(lab, page, browser.new_browser_cdp_session())
        finally:
            browser.close()
