"""A notebook recorded as in JupyterLab, run again by the programs that run notebooks on their own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest

from tests.kernel.kernels import LOAD, PATIENCE, Kernel, environment, records, same_bytes
from tests.scripted import ScriptedServer, answer, errors
from tests.scripted.fixtures import serving

CELLS = [
    LOAD,
    "%%ask\nWhat is a tide?",
    "%ask -f json --no-history -o shape Its shape?",
    "shape.data",
    "print('before')\n%ask First?\nprint('between')\n%ask Second?",
    "%ask --no-history Much too long.",
    "%%ask -f code\nA function, please.",
]
ANSWERS = [
    answer("The **rise** and *fall* of the sea, for $5 or $6.", chunks=5),
    '{"sides": 3}',
    "One.",
    answer("Two 🌊.", chunks=2),
    errors.context_too_long(),
    "```python\nprint('<b>')\n```",
]
ASKED = len(ANSWERS)


class Recorded(NamedTuple):
    """A notebook with its outputs, its dialogue file beside it, and the server that was asked."""

    path: Path
    server: ScriptedServer

    @property
    def dialogue(self) -> Path:
        """The dialogue file."""
        return self.path.with_name("tides.dialogue.json")

    def copy(self, to: Path) -> Recorded:
        """Copy both files to a new folder."""
        to.mkdir(parents=True)
        shutil.copy(self.dialogue, to)
        return self._replace(path=Path(shutil.copy(self.path, to)))

    @property
    def outputs(self) -> list[Any]:
        """The outputs of the code cells."""
        return [cell.outputs for cell in nbformat.read(self.path, 4).cells]

    def edit(self, change: Callable[[Any], None]) -> None:
        """Change the notebook on disk."""
        document = nbformat.read(self.path, 4)
        change(document)
        nbformat.write(document, self.path)


def write(path: Path) -> Any:
    """Write the notebook as it is before it was ever run."""
    cells = [nbformat.v4.new_code_cell(code, id=f"cell-{n}") for n, code in enumerate(CELLS)]
    cells[5].metadata.tags = ["raises-exception"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(document, path)
    return document


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """Run the notebook live, watched, and save it with its outputs, as JupyterLab does."""
    folder = tmp_path_factory.mktemp("recorded")
    path = folder / "tides.ipynb"
    document = write(path)
    with serving() as server:
        server.script.then(*ANSWERS)
        env = environment(folder, server.base_url, OPENAI_MAGICS_NOTEBOOK=str(path))
        with Kernel(folder, env) as kernel:
            for cell in document.cells:
                ran = kernel.run(cell.source, cell.id)
                cell.outputs = [nbformat.from_dict(each) for each in ran.outputs]
                cell.execution_count = ran.reply["execution_count"]
        for cell in document.cells:
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = cell.execution_count
        nbformat.validate(document)
        nbformat.write(document, path)
        made = Recorded(path, server)
        assert [each["kind"] for each in records(made.dialogue)] == ["ask"] * ASKED
        server.requests.clear()
        yield made
        assert server.requests == []


def run(
    made: Recorded, tmp_path: Path, *command: str, key: bool = True, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a program in the notebook's folder; where *key* is set, it could ask the server."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=made.path.parent,
        env=environment(tmp_path, made.server.base_url if key else None, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )


def nbval(made: Recorded, tmp_path: Path, option: str = "--nbval") -> tuple[int, str]:
    """Run nbval on the notebook; return its exit code and what it said."""
    command = ("pytest", "-q", "-p", "no:cacheprovider", option, made.path.name)
    done = run(made, tmp_path, *command)
    return done.returncode, done.stdout + done.stderr


def test_passes(recorded: Recorded, tmp_path: Path) -> None:
    """Nbval finds every output as it was saved; with a key and a server there, nothing is asked."""
    made = recorded.copy(tmp_path / "nb")
    kept = made.path.read_bytes(), made.dialogue.read_bytes()
    code, said = nbval(made, tmp_path)
    assert code == 0, said
    assert f"{len(CELLS)} passed" in said
    assert (made.path.read_bytes(), made.dialogue.read_bytes()) == kept


def other_outputs(document: Any) -> None:
    """Change a word of an answer, and of one that is shown between others, in the notebook."""
    data = document.cells[1].outputs[0].data
    data["text/plain"] = data["text/plain"].replace("rise", "rice")
    document.cells[4].outputs[1].data["text/plain"] = "Eins."


def other_prompt(document: Any) -> None:
    """Change a prompt."""
    document.cells[1].source = "%%ask\nWhat is a tidal wave?"


@pytest.mark.parametrize(
    ("change", "option", "failed"),
    [
        pytest.param(other_outputs, "--nbval", [1, 4], id="other answers"),
        # The turns after it were recorded after another turn.
        pytest.param(other_prompt, "--nbval-lax", [1, 4, 6], id="another prompt"),
    ],
)
def test_fails(
    recorded: Recorded,
    tmp_path: Path,
    change: Callable[[Any], None],
    option: str,
    failed: list[int],
) -> None:
    """Nbval fails the cells whose output, or prompt, is not what was recorded, and no others."""
    made = recorded.copy(tmp_path / "nb")
    made.edit(change)
    code, said = nbval(made, tmp_path, option)
    assert code == 1, said
    for n in range(len(CELLS)):
        assert (f"FAILED tides.ipynb::Cell {n}" in said) is (n in failed), (n, said)


def without_failure(document: Any) -> None:
    """Take out the cell that fails, as it should."""
    del document.cells[5]


EXECUTE = ("jupyter", "execute", "--inplace", "tides.ipynb")
CONVERT = ("jupyter", "nbconvert", "--execute", "--to=notebook", "--output=o", "tides.ipynb")
PAPERMILL = ("papermill", "tides.ipynb", "o.ipynb")


@pytest.mark.parametrize(
    ("command", "key"),
    [
        pytest.param(EXECUTE, True, id="execute, with a key"),
        pytest.param(CONVERT, False, id="nbconvert"),
        pytest.param(PAPERMILL, False, id="papermill"),
    ],
)
def test_same_outputs(recorded: Recorded, tmp_path: Path, command: tuple[str], key: bool) -> None:
    """Every program gives the outputs that JupyterLab saved, byte for byte, and asks nothing."""
    made = recorded.copy(tmp_path / "nb")
    if command is PAPERMILL:  # which fails in the end where a cell failed, whatever its tags
        made.edit(without_failure)
    expected, kept = made.outputs, made.dialogue.read_bytes()
    # With a key: in the mode auto, the server that was asked still there.
    more = {} if key else {"OPENAI_MAGICS_MODE": "replay"}
    done = run(made, tmp_path, *command, key=key, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    written = "tides.ipynb" if command is EXECUTE else "o.ipynb"
    again = made._replace(path=made.path.with_name(written))
    assert same_bytes(again.outputs) == same_bytes(expected)
    assert made.dialogue.read_bytes() == kept
    names = {each.name for each in made.path.parent.iterdir()}
    assert names == {"tides.ipynb", "tides.dialogue.json", written}


def test_recorded_by_a_program(tmp_path: Path, scripted: ScriptedServer) -> None:
    """``jupyter execute`` of a notebook never run asks, and saves what nbval then finds."""
    (tmp_path / "nb").mkdir()
    made = Recorded(tmp_path / "nb" / "tides.ipynb", scripted)
    write(made.path)
    scripted.script.then(*ANSWERS)
    done = run(made, tmp_path, "jupyter", "execute", "--inplace", made.path.name)
    assert done.returncode == 0, done.stderr
    assert len(scripted.requests) == len(records(made.dialogue)) == ASKED
    assert [each["output_type"] for each in made.outputs[1]] == ["display_data"]
    code, said = nbval(made, tmp_path)
    assert code == 0, said
    assert len(scripted.requests) == ASKED


def test_unanswered_cell_stops_the_run(recorded: Recorded, tmp_path: Path) -> None:
    """In replay, a cell that asks what is not recorded makes the program fail, and says why."""
    made = recorded.copy(tmp_path / "nb")
    made.edit(other_prompt)
    command = ("jupyter", "execute", made.path.name)
    done = run(made, tmp_path, *command, OPENAI_MAGICS_MODE="replay")
    assert done.returncode != 0
    assert "ReplayMiss: Nothing is recorded for this ask" in done.stderr
    assert "-What is a tide?" in done.stderr
    assert json.loads(made.dialogue.read_text("utf-8"))["notebook"] == "tides.ipynb"
