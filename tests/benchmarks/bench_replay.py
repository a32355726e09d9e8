"""A replayed ask beside what others replay, and a replayed notebook beside one that prints."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from tests.benchmarks.figures import (
    Figure,
    Given,
    Measure,
    NotMeasured,
    compare,
    one_by_one,
    ratio,
    timed,
)
from tests.benchmarks.kernels import ROOT, environment
from tests.benchmarks.records import MODEL, answer, filled, question
from tests.scripted import process

if TYPE_CHECKING:
    from nbformat import NotebookNode

RECORDS = 10_000
STRIDE = 4_933
"""Has no divisor in common with RECORDS: goes through all of them, here and there."""
CELLS = 100
NOTEBOOK_ROUNDS = 15
INSTALLED = ("langchain-openai", "langchain-community", "vcrpy")
PEERS = (
    ("langchain", "a LangChain SQLiteCache hit", 0.1, 60),
    ("vcrpy", "a vcrpy playback", 0.01, 15),
)


def run(given: Given) -> Iterator[Figure]:
    """Yield the figures of an ask, where the peers are installed, and of a notebook."""
    yield from _asks(given)
    yield from _notebooks(given.folder / "notebooks")


def _asks(given: Given) -> Iterator[Figure]:
    name = f"a replayed ask out of {RECORDS:,} records"
    try:
        interpreter = _interpreter(given)
    except NotMeasured as reason:
        for _, against, _, _ in PEERS:
            yield Figure(name, against, why_not=f"{against}: {reason}")
        return
    from openai_magics import Session

    path = given.folder / "replayed.dialogue.json"
    filled(path, RECORDS)
    session = Session(dialogue_log_path=path, mode="replay")
    numbers = (STRIDE * number % RECORDS for number in itertools.count())

    def ours() -> float:
        number = next(numbers)
        text, replies = question(number), []
        taken = timed(
            lambda: replies.append(session.ask(text, new=True, model=MODEL)), perf_counter
        )
        assert replies[0].replayed
        assert replies[0].text == answer(number)
        return taken

    with _peers(given.folder, interpreter) as ask:
        for peer, against, bound, rounds in PEERS:
            floor = _asking(ask, peer)
            yield compare(name, against, floor, ours, rounds=rounds, bound=bound, warm=3)


def _asking(ask: Callable[[str, int], float], peer: str) -> Measure:
    numbers = (STRIDE * number % RECORDS for number in itertools.count())
    return lambda: ask(peer, next(numbers))


def _interpreter(given: Given) -> str:
    """Return an interpreter that has the peers; they are installed, once, where none is given.

    Raises
    ------
    NotMeasured
        They are not wanted, or cannot be installed.
    """
    if given.peers == "none":
        raise NotMeasured("--peers none was given")
    if given.peers is not None:
        return given.peers
    own = given.made / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (given.made / "installed").exists():
        print(f"installing {', '.join(INSTALLED)} …", flush=True)
        venv.create(given.made, with_pip=True, clear=True)
        done = subprocess.run(
            [own, "-m", "pip", "install", "--quiet", *INSTALLED], capture_output=True, text=True
        )
        if done.returncode:
            raise NotMeasured(f"the peers cannot be installed: {done.stderr.strip()[-200:]}")
        (given.made / "installed").touch()
    return str(own)


@contextlib.contextmanager
def _peers(folder: Path, interpreter: str) -> Iterator[Callable[[str, int], float]]:
    """Run the peers; yield what asks one of them a question and tells the milliseconds."""
    exchanges = folder / "exchanges.json"
    exchanges.write_text(json.dumps([(question(n), answer(n)) for n in range(RECORDS)]), "utf-8")
    module = ("-W", "ignore", "-m", "tests.benchmarks.peers")
    command = [interpreter, *module, str(exchanges), str(folder)]
    # The environment of the virtual environment that runs this one is not theirs.
    own = environment(folder, {})
    own.pop("VIRTUAL_ENV", None)
    with subprocess.Popen(
        command, cwd=ROOT, env=own, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        asked, told = running.stdin, running.stdout
        if not told.readline():
            raise RuntimeError("the peers did not start: what they said is above")

        def ask(peer: str, number: int) -> float:
            asked.write(f"{peer} {number}\n")
            asked.flush()
            return float(told.readline())

        yield ask
        asked.close()


def _notebooks(folder: Path) -> Iterator[Figure]:
    asking, printing = folder / "asking", folder / "printing"
    asking.mkdir(parents=True)
    printing.mkdir()
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    asks = [f"%%ask -m {MODEL}\n{question(number)}" for number in range(CELLS)]
    cells = ["%load_ext openai_magics", *asks]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, asking / "asking.ipynb")
    with process("--no-check", "--no-record") as address:
        _execute(notebook, asking, {"OPENAI_BASE_URL": address, "OPENAI_API_KEY": "sk-benchmark"})
    said = [cell.outputs[0].data["text/plain"] for cell in notebook.cells[1:]]
    assert (asking / "asking.dialogue.json").is_file()
    literals = ["pass", *(f"print({text!r})" for text in said)]
    printed = new_notebook(cells=[new_code_cell(cell) for cell in literals])

    taken: dict[str, list[float]] = {"printed": [], "replayed": []}

    def running(name: str, each: NotebookNode, where: Path, settings: dict[str, str]) -> float:
        begun = sum(os.times()[:4])
        seconds = timed(lambda: _execute(each, where, settings), perf_counter)
        taken[name].append((sum(os.times()[:4]) - begun) * 1000)
        return seconds

    pairs = one_by_one(
        lambda: running("printed", printed, printing, {}),
        lambda: running("replayed", notebook, asking, {"OPENAI_MAGICS_MODE": "replay"}),
        NOTEBOOK_ROUNDS,
    )
    name, against = f"a replayed notebook of {CELLS} cells", "answers as print literals"
    yield ratio(f"{name}: time", against, pairs, 1.15)
    both = zip(taken["printed"][1:], taken["replayed"][1:], strict=True)
    yield ratio(f"{name}: CPU, with client and kernel", against, list(both))
    assert [cell.outputs[0].data["text/plain"] for cell in notebook.cells[1:]] == said
    shutil.rmtree(folder)


def _execute(notebook: NotebookNode, folder: Path, settings: dict[str, str]) -> None:
    """Run all cells in a new kernel, as ``jupyter execute`` does."""
    from nbclient import NotebookClient

    client = NotebookClient(notebook, resources={"metadata": {"path": str(folder)}})
    client.execute(stderr=subprocess.DEVNULL, env=environment(folder.parent, settings))
