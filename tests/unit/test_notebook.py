"""Which notebook a kernel runs, and which cell: the parts that need no kernel."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from openai_magics import cells, contents, notebook
from openai_magics.errors import NotebookNotFound

LOAD, ASK, TELL = "%load_ext openai_magics", "%%ask\nWhat is it?", "%%ask\nTell me."
INJECTED = "# Parameters\ncity = 'Oslo'\n"


def write(path: Path, *sources: str, **metadata: Any) -> Path:
    """Write a notebook of code cells, whose ids are ``cell0`` and so on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held = [
        {"cell_type": "code", "id": f"cell{at}", "source": text.splitlines(keepends=True)}
        for at, text in enumerate(sources)
    ]
    path.write_text(json.dumps({"cells": held, "metadata": metadata, "nbformat": 4}), "utf-8")
    return path


def papermill(source: str, target: str) -> dict[str, Any]:
    """Return the metadata papermill writes."""
    return {"papermill": {"input_path": source, "output_path": target}}


def shell_with(message: dict[str, Any], **attributes: Any) -> Any:
    """Return what a kernel's shell is to us, answering this message."""
    kernel = SimpleNamespace(get_parent=lambda channel: message if channel == "shell" else {})
    return SimpleNamespace(kernel=kernel, **attributes)


class Shell:
    """A kernel's shell as far as we look at it."""

    def __init__(self, **attributes: Any) -> None:
        """Have these attributes."""
        self.__dict__.update(attributes)


def headless(folder: Path, *history: str, test: str = "") -> Any:
    """Return the shell of a kernel that a client started in the folder and ran cells in."""
    message = {
        "header": {"msg_type": "execute_request"},
        "metadata": {},
        "content": {"code": history[-1], "allow_stdin": False, "store_history": not test},
    }
    return Shell(
        kernel=SimpleNamespace(get_parent=lambda _: message),
        starting_dir=str(folder),
        user_ns={},
        history_manager=SimpleNamespace(input_hist_raw=["", *([] if test else history)]),
    )


def choose(folder: Path, *executed: str, named: tuple[Path, ...] = ()) -> list[str]:
    found = contents.choose(
        contents.notebooks_in(folder), contents.Executed(executed), named, [folder]
    )
    return [path.relative_to(folder).as_posix() for path in found]


@pytest.mark.parametrize(
    ("held", "executed", "fitting"),
    [
        pytest.param([LOAD, ASK], [LOAD], True, id="the first cell"),
        pytest.param([LOAD, ASK], [LOAD, ASK], True, id="all cells"),
        pytest.param([LOAD, ASK], [ASK, LOAD], None, id="another order"),
        pytest.param([LOAD, ASK], [LOAD, TELL], None, id="a cell it does not hold"),
        pytest.param([LOAD, ASK], [LOAD, ASK, ASK], None, id="more often than it is there"),
        pytest.param([LOAD, "", " \n", ASK], [LOAD, ASK], True, id="blank cells are not executed"),
        pytest.param([LOAD, TELL, ASK], [LOAD, ASK], False, id="a cell was passed over"),
        pytest.param([LOAD, ASK], [LOAD, INJECTED, ASK], True, id="papermill added a cell"),
        pytest.param([LOAD, INJECTED, ASK], [LOAD, INJECTED, ASK], True, id="and it is there"),
        pytest.param([LOAD, ASK + "\n\n"], [LOAD, ASK], True, id="newlines at the end"),
        pytest.param([LOAD, ASK.replace("\n", "\r\n")], [LOAD, ASK], True, id="CRLF"),
        pytest.param([LOAD, ASK], [], None, id="nothing was executed"),
        pytest.param([], [LOAD], None, id="no cells"),
    ],
)
def test_fit(held: list[str], executed: list[str], fitting: bool | None) -> None:
    """A notebook fits when what was executed stands in its code cells, in order."""
    assert contents.fit(held, contents.Executed(tuple(executed))) is fitting


def test_a_part_is_never_an_exact_fit() -> None:
    """When only the last cell is known, standing first in a notebook means nothing."""
    assert contents.fit([ASK], contents.Executed((ASK,), whole=False)) is False


def test_the_one_that_fits(tmp_path: Path) -> None:
    """Of the notebooks in a folder, the one that holds what was executed is it."""
    write(tmp_path / "a.ipynb", LOAD, ASK)
    write(tmp_path / "b.ipynb", LOAD, TELL)
    assert choose(tmp_path, LOAD, ASK) == ["a.ipynb"]
    assert choose(tmp_path, LOAD, TELL) == ["b.ipynb"]
    assert choose(tmp_path, TELL, LOAD) == []


def test_several_fit(tmp_path: Path) -> None:
    """All that fit equally well are given."""
    write(tmp_path / "a.ipynb", LOAD, ASK)
    write(tmp_path / "b.ipynb", LOAD, ASK)
    assert choose(tmp_path, LOAD, ASK) == ["a.ipynb", "b.ipynb"]


def test_without_gaps_first(tmp_path: Path) -> None:
    """A notebook that was executed from its top goes before one where cells are missing."""
    write(tmp_path / "a.ipynb", LOAD, TELL, ASK)
    write(tmp_path / "b.ipynb", LOAD, ASK)
    assert choose(tmp_path, LOAD, ASK) == ["b.ipynb"]


def test_named_by_the_client(tmp_path: Path) -> None:
    """Of several, the one the client was started with is it, if it fits at all."""
    write(tmp_path / "a.ipynb", LOAD, ASK)
    named = write(tmp_path / "b.ipynb", LOAD, TELL, ASK)
    assert choose(tmp_path, LOAD, ASK, named=(named,)) == ["b.ipynb"]
    other = write(tmp_path / "c.ipynb", TELL)
    assert choose(tmp_path, LOAD, ASK, named=(other,)) == ["a.ipynb"]


def test_named_elsewhere(tmp_path: Path) -> None:
    """A notebook the client was started with is looked into wherever it is."""
    named = write(tmp_path / "sub" / "a.ipynb", LOAD, ASK)
    assert choose(tmp_path, LOAD, ASK, named=(named,)) == ["sub/a.ipynb"]
    around = tmp_path / "sub" / ".." / "sub" / "a.ipynb"
    write(tmp_path / "b.ipynb", LOAD, ASK)
    assert choose(tmp_path, LOAD, ASK, named=(named, around)) == ["sub/a.ipynb"]


@pytest.mark.parametrize("source", ["in.ipynb", "templates/in.ipynb"])
def test_papermill_output_is_its_input(tmp_path: Path, source: str) -> None:
    """What papermill writes while it runs stands for the notebook it runs."""
    write(tmp_path / source, LOAD, ASK)
    write(tmp_path / "out.ipynb", LOAD, INJECTED, ASK, **papermill(source, "out.ipynb"))
    assert choose(tmp_path, LOAD, INJECTED, ASK) == [source]


def test_papermill_ran_elsewhere(tmp_path: Path) -> None:
    """Papermill's paths are meant from where it ran, which its output's own path tells."""
    write(tmp_path / "in.ipynb", LOAD)
    out = tmp_path / "run" / "out.ipynb"
    write(out, LOAD, ASK, **papermill("in.ipynb", "run/out.ipynb"))
    found = contents.choose([out], contents.Executed((LOAD, ASK)), [], [tmp_path / "run"])
    assert found == [tmp_path / "in.ipynb"]


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param(papermill("gone.ipynb", "out.ipynb"), id="its input is gone"),
        pytest.param(papermill("in.ipynb", "another.ipynb"), id="renamed since"),
        pytest.param(papermill("out.ipynb", "out.ipynb"), id="in place"),
        pytest.param(papermill("s3://bucket/in.ipynb", "out.ipynb"), id="its input is remote"),
        pytest.param({"papermill": {"input_path": None, "output_path": 3}}, id="not paths"),
        pytest.param({"papermill": []}, id="not metadata"),
    ],
)
def test_papermill_output_on_its_own(tmp_path: Path, metadata: dict[str, Any]) -> None:
    """Papermill's output whose input cannot be told is a notebook like others."""
    write(tmp_path / "in.ipynb", TELL)
    write(tmp_path / "out.ipynb", LOAD, ASK, **metadata)
    assert choose(tmp_path, LOAD, ASK) == ["out.ipynb"]


def test_papermill_chain(tmp_path: Path) -> None:
    """The output of an output stands for the first input; a circle ends."""
    write(tmp_path / "a.ipynb", LOAD)
    write(tmp_path / "b.ipynb", LOAD, ASK, **papermill("a.ipynb", "b.ipynb"))
    write(tmp_path / "c.ipynb", LOAD, ASK, **papermill("b.ipynb", "c.ipynb"))
    assert choose(tmp_path, LOAD, ASK) == ["a.ipynb"]
    write(tmp_path / "a.ipynb", LOAD, **papermill("c.ipynb", "a.ipynb"))
    assert len(choose(tmp_path, LOAD, ASK, named=(tmp_path / "c.ipynb",))) == 1


def test_nbconvert_output(tmp_path: Path) -> None:
    """What ``nbconvert --to notebook`` wrote stands back behind the notebook beside it."""
    write(tmp_path / "a.nbconvert.ipynb", LOAD, ASK)
    assert choose(tmp_path, LOAD, ASK) == ["a.nbconvert.ipynb"]
    write(tmp_path / "a.ipynb", LOAD, ASK)
    assert choose(tmp_path, LOAD, ASK) == ["a.ipynb"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(f'{{"cells": [{{"source": "{LOAD}"'.encode(), id="cut off"),
        pytest.param(f'["{LOAD}"]'.encode(), id="not an object"),
        pytest.param(f'{{"cells": "{LOAD}"}}'.encode(), id="cells that are no list"),
        pytest.param(f'{{"cells": ["{LOAD}", 3, null]}}'.encode(), id="cells that are no cells"),
        pytest.param(
            f'{{"cells": [{{"cell_type": "code", "source": {{"{LOAD}": 1}}}}]}}'.encode(),
            id="a source that is no text",
        ),
        pytest.param(b"\xff\xfe\xff" + LOAD.encode(), id="not UTF-8"),
        pytest.param(b"[" * 200_000 + LOAD.encode(), id="nested without end"),
    ],
)
def test_invalid_notebooks_are_passed_over(tmp_path: Path, data: bytes) -> None:
    """A file that is no notebook is neither an error nor the notebook."""
    (tmp_path / "a.ipynb").write_bytes(data)
    (tmp_path / "folder.ipynb").mkdir()
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "gone.ipynb")
    (tmp_path / "circle.ipynb").symlink_to(tmp_path / "circle.ipynb")
    write(tmp_path / "b.ipynb", LOAD)
    assert choose(tmp_path, LOAD) == ["b.ipynb"]


def test_large_notebooks_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook that would take long to read is not looked into."""
    write(tmp_path / "a.ipynb", LOAD, ASK, more="x" * 1000)
    write(tmp_path / "b.ipynb", LOAD, ASK)
    monkeypatch.setattr(contents, "LARGEST", 1000)
    assert choose(tmp_path, LOAD, ASK) == ["b.ipynb"]


@pytest.mark.parametrize(
    "text",
    [
        "%%ask\nÆ 是什么?",
        "是什么",
        'print("a\\tb", \'\\\\\', "</b>")',
        "x = '''\n\t\n'''",
        "%%ask\n🙂",
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_any_text_is_found(tmp_path: Path, text: str, ascii_only: bool) -> None:
    """A cell is found however JSON writes its characters."""
    document = {"cells": [{"cell_type": "code", "source": text}], "metadata": {}}
    written = json.dumps(document, ensure_ascii=ascii_only)
    (tmp_path / "a.ipynb").write_text(written, "utf-8")
    assert choose(tmp_path, text) == ["a.ipynb"]


def test_same_cell(tmp_path: Path) -> None:
    """A notebook is also known by the id of a cell, and only as an id."""
    write(tmp_path / "a.ipynb", LOAD, ASK)
    write(tmp_path / "b.ipynb", "cell1")
    assert contents.same_cell(contents.notebooks_in(tmp_path), "cell1") == [tmp_path / "a.ipynb"]


def test_headless(tmp_path: Path) -> None:
    """A kernel run by a client finds its notebook by what it executed, and stays with it."""
    path = write(tmp_path / "a.ipynb", LOAD, ASK)
    shell = headless(tmp_path, LOAD, ASK)
    place = notebook.locate(shell)
    assert place == notebook.Place(path, tmp_path / "a.dialogue.json", "found by content")
    write(tmp_path / "b.ipynb", LOAD, ASK)
    assert notebook.locate(shell) == place


def test_headless_several(tmp_path: Path) -> None:
    """Several that fit are an error that names them and the setting that decides."""
    write(tmp_path / "a b.ipynb", LOAD, ASK)
    write(tmp_path / "c.ipynb", LOAD, ASK)
    with pytest.raises(NotebookNotFound) as caught:
        notebook.locate(headless(tmp_path, LOAD, ASK))
    assert caught.value.problem == (
        "This kernel may be running any of these notebooks: a b.ipynb, c.ipynb."
    )
    assert "OPENAI_MAGICS_NOTEBOOK='a b.ipynb'" in caught.value.remedy
    assert "%config OpenAIMagics.notebook = 'a b.ipynb'" in caught.value.remedy
    place = notebook.locate(headless(tmp_path, LOAD, ASK), explicit="c.ipynb")
    assert place.dialogue == tmp_path / "c.dialogue.json"


def test_headless_none(tmp_path: Path) -> None:
    """Where none fits there is no notebook, also when one appears later in the run."""
    shell = headless(tmp_path, LOAD, ASK)
    place = notebook.locate(shell)
    nowhere = tmp_path / "notebook.dialogue.json"
    assert place == notebook.Place(None, nowhere, "no notebook is known")
    write(tmp_path / "a.ipynb", LOAD, ASK)
    assert notebook.locate(shell) == place


def test_pytest_names_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under nbval, which keeps no history, the test at which the kernel was started decides."""
    write(tmp_path / "a.ipynb", LOAD, ASK)
    write(tmp_path / "b.ipynb", ASK)
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "folder/b.ipynb::Cell 0 (setup)")
    shell = headless(tmp_path, ASK, test="b.ipynb")
    assert notebook.locate(shell).notebook == tmp_path / "b.ipynb"
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "tests/test_all.py::test_b (call)")
    with pytest.raises(NotebookNotFound, match=r"a\.ipynb, b\.ipynb"):
        notebook.locate(headless(tmp_path, ASK, test="b.ipynb"))


def test_explicit(tmp_path: Path) -> None:
    """The setting goes before everything, relative to where the kernel was started."""
    path = write(tmp_path / "sub" / "a.v2.ipynb", LOAD)
    shell = headless(tmp_path, LOAD)
    shell.user_ns["__vsc_ipynb_file__"] = str(write(tmp_path / "b.ipynb", LOAD))
    for explicit in ("sub/a.v2.ipynb", path, str(path)):
        place = notebook.locate(shell, explicit=explicit)
        assert place.notebook == path
        assert place.dialogue == tmp_path / "sub" / "a.v2.dialogue.json"
        assert place.how == "set by the notebook setting"


def test_explicit_that_is_not_there(tmp_path: Path) -> None:
    """A setting that names no file is an error, not a new dialogue file."""
    with pytest.raises(NotebookNotFound, match=r"set to b\.ipynb, and there is no such file"):
        notebook.locate(headless(tmp_path, LOAD), explicit="b.ipynb")


def test_vs_code(tmp_path: Path) -> None:
    """VS Code puts the notebook's path among its variables."""
    path = write(tmp_path / "sub" / "a.ipynb", LOAD)
    shell = headless(tmp_path, ASK)
    shell.user_ns["__vsc_ipynb_file__"] = str(path)
    place = notebook.locate(shell)
    assert (place.notebook, place.how) == (path, "told by VS Code")


@pytest.mark.parametrize("told", ["Untitled-1.ipynb", "gone/a.ipynb", "", 3])
def test_vs_code_without_a_file(
    tmp_path: Path, told: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook VS Code has not saved yet is none, also if a file here has its name."""
    write(tmp_path / "Untitled-1.ipynb", LOAD)
    monkeypatch.chdir(tmp_path)
    shell = headless(tmp_path, ASK)
    shell.user_ns["__vsc_ipynb_file__"] = told
    assert notebook.locate(shell).notebook is None


def test_beside_a_link(tmp_path: Path) -> None:
    """A notebook that is a link has its dialogue beside the link, under the link's name."""
    write(tmp_path / "store" / "x1.ipynb", LOAD)
    (tmp_path / "a.ipynb").symlink_to(tmp_path / "store" / "x1.ipynb")
    place = notebook.locate(headless(tmp_path, LOAD), explicit="store/../a.ipynb")
    assert place.dialogue == tmp_path / "a.dialogue.json"


def test_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script and terminal IPython have no notebook."""
    write(tmp_path / "a.ipynb", LOAD)
    monkeypatch.chdir(tmp_path)
    place = notebook.locate()
    assert place.notebook is None
    assert place.dialogue == Path.cwd() / "notebook.dialogue.json"
    terminal: Any = SimpleNamespace(starting_dir=str(tmp_path))
    assert notebook.locate(terminal).how == "no notebook is known"


@pytest.mark.parametrize("hostname", ["example.org", "10.0.0.1", "fe80::1", None])
def test_only_this_machine_is_asked(hostname: str | None) -> None:
    """A server on another machine is sent neither a question nor a token."""
    server = {"hostname": hostname, "port": 1, "base_url": "/", "token": "t"}
    assert notebook._sessions(server) is None


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        pytest.param({"cellId": "a1b2"}, "a1b2", id="JupyterLab"),
        pytest.param(
            {"cellId": "vscode-notebook-cell:/folder/a.ipynb#W3sZmlsZQ%3D%3D"},
            "vscode:W3",
            id="VS Code",
        ),
        pytest.param(
            {"cellId": "vscode-notebook-cell://ssh-remote%2Bbox/s/a.ipynb#X12sdnNjb2Rl"},
            "vscode:X12",
            id="VS Code, on another machine",
        ),
        pytest.param({"cellId": "vscode-notebook-cell:/a.ipynb"}, None, id="no fragment"),
        pytest.param({"cellId": ""}, None, id="empty"),
        pytest.param({"cellId": 3}, None, id="not text"),
        pytest.param({}, None, id="nbclient"),
        pytest.param(None, None, id="no metadata"),
    ],
)
def test_cell_id(metadata: dict[str, Any] | None, found: str | None) -> None:
    """The cell is known by what of the front end's id stays the same."""
    assert cells.cell_id(shell_with({"metadata": metadata})) == found


def test_no_cell_outside_a_kernel() -> None:
    """Terminal IPython and scripts tell no cell."""
    terminal: Any = SimpleNamespace(execution_count=3)
    assert cells.cell_id(terminal) is None
    assert cells.cell_id() is None


def test_execution() -> None:
    """An execution is the front end's message, else the prompt, else the call."""
    assert cells.execution(shell_with({"header": {"msg_id": "m1"}})) == "m1"
    terminal: Any = SimpleNamespace(execution_count=3)
    assert cells.execution(terminal) == cells.execution(terminal) == "prompt:3"
    assert cells.execution() != cells.execution()


@pytest.mark.parametrize(
    ("message", "there"),
    [
        pytest.param({"content": {"allow_stdin": True}}, True, id="a front end"),
        pytest.param({"content": {"allow_stdin": False}}, False, id="a client on its own"),
        pytest.param({"content": {"comm_id": "x"}}, True, id="a widget was used"),
        pytest.param({}, False, id="before any message"),
    ],
)
def test_watched(message: dict[str, Any], there: bool) -> None:
    """Somebody watches where a cell could ask for input."""
    assert cells.watched(shell_with(message)) is there


@pytest.mark.parametrize("tty", [True, False])
def test_watched_in_a_terminal(monkeypatch: pytest.MonkeyPatch, tty: bool) -> None:
    """Terminal IPython is watched when it reads from a terminal."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: tty))
    terminal: Any = SimpleNamespace(execution_count=1)
    assert cells.watched(terminal) is tty
    monkeypatch.setattr("sys.stdin", None)
    assert cells.watched(terminal) is False


def test_environment_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``JPY_SESSION_NAME``, which a kernel may have inherited, decides nothing."""
    outer = write(tmp_path / "outer.ipynb", LOAD)
    monkeypatch.setenv("JPY_SESSION_NAME", os.fspath(outer))
    shell = headless(tmp_path, ASK)
    shell.user_ns["__session__"] = os.fspath(outer)
    assert notebook.locate(shell).notebook is None
