"""Which notebook a kernel runs, asked in real kernels of real clients and servers.

Each notebook has a cell that writes down what it was told, to a file the environment names.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60
ODD = "Ærlig talt, 笔记 1.ipynb"
PLACE = """\
import json, os
from openai_magics import cells, notebook
from openai_magics.errors import NotebookNotFound
told = {"cell": cells.cell_id(), "execution": cells.execution(), "watched": cells.watched()}
try:
    place = notebook.locate()
    told |= {"notebook": place.notebook and str(place.notebook)}
    told |= {"dialogue": str(place.dialogue), "how": place.how}
except NotebookNotFound as error:
    told |= {"error": str(error)}
with open(os.environ["PLACES"], "a") as file:
    file.write(json.dumps(told) + "\\n")
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which nothing of this machine's Jupyter is seen."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JPY_", "JUPYTER_", "OPENAI_", "PYTEST_", "IPYTHON"))
    }
    return {
        **kept,
        "PATH": os.pathsep.join((os.fspath(Path(sys.executable).parent), kept.get("PATH", ""))),
        "PYTHONPATH": os.fspath(ROOT),
        "PYTHONUTF8": "1",
        "IPYTHONDIR": os.fspath(tmp_path / "ipython"),
        "JUPYTER_RUNTIME_DIR": os.fspath(tmp_path / "runtime"),
        "JUPYTER_CONFIG_DIR": os.fspath(tmp_path / "config"),
        "JUPYTER_DATA_DIR": os.fspath(tmp_path / "data"),
        "PLACES": os.fspath(tmp_path / "places"),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of the notebooks, with a space in its name."""
    path = tmp_path / "my notebooks"
    path.mkdir()
    return path


def write(path: Path, *sources: str) -> Path:
    """Write a notebook; the last cell says where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"{path.stem if path.stem.isascii() else 'x'}-{at}".replace(" ", "-"),
            "source": text,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for at, text in enumerate((*sources, "", PLACE))
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {
        "cells": held,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(document), "utf-8")
    return path


def run(environment: dict[str, str], where: Path, *command: str | Path) -> list[dict[str, Any]]:
    """Run a module's command in a folder; return what the notebooks' cells wrote."""
    done = subprocess.run(
        [sys.executable, "-m", *(os.fspath(word) for word in command)],
        cwd=where,
        env={**environment, "PWD": os.fspath(where)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return said(environment)


def said(environment: dict[str, str]) -> list[dict[str, Any]]:
    """Return what cells wrote, and forget it."""
    path = Path(environment["PLACES"])
    lines = path.read_text("utf-8").splitlines()
    path.unlink()
    return [json.loads(line) for line in lines]


def only(
    environment: dict[str, str], where: Path, *command: str | Path, watched: bool = False
) -> dict[str, Any]:
    """Run a command whose notebook asks once, and check what holds for every client."""
    (told,) = run(environment, where, *command)
    assert told["watched"] is watched
    assert told["cell"] is None
    assert told["execution"]
    return told


def check(told: dict[str, Any], path: Path, how: str) -> None:
    """Check that the notebook was found, and its dialogue is beside it."""
    beside = path.with_name(f"{path.stem}.dialogue.json")
    assert told.get("error") is None
    assert (told["notebook"], told["dialogue"], told["how"]) == (str(path), str(beside), how)


CLIENTS = [
    pytest.param(("jupyter", "execute"), id="jupyter execute"),
    pytest.param(("jupyter", "nbconvert", "--execute", "--to", "notebook"), id="nbconvert"),
    pytest.param(("jupyter", "nbconvert", "--execute", "--to", "html"), id="nbconvert to HTML"),
    pytest.param(("pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax"), id="nbval"),
    pytest.param(("papermill", "-p", "x", "1"), id="papermill"),
]


WRITING = ("jupyter execute", "nbconvert", "papermill")


@pytest.mark.parametrize("client", CLIENTS)
def test_client(environment: dict[str, str], folder: Path, client: tuple[str]) -> None:
    """Clients that tell the kernel no name: the notebook is found by what was executed."""
    path = write(folder / "sub folder" / ODD, "x = 0", "y = x")
    write(path.with_name("other.ipynb"), "x = 0", "y = 2")
    written = [path.with_name("out.ipynb")] if client[0] == "papermill" else []
    where = path.parent if written else folder
    check(only(environment, where, *client, path, *written), path, "found by content")


@pytest.mark.parametrize("client", [one for one in CLIENTS if one.id in WRITING])
def test_client_run_again(environment: dict[str, str], folder: Path, client: tuple[str]) -> None:
    """What an earlier run wrote, and a copy, are not taken for the notebook that is run."""
    path = write(folder / "b.ipynb", "x = 0", "y = x")
    (folder / "a copy.ipynb").write_bytes(path.read_bytes())
    written = ["out.ipynb"] if client[0] == "papermill" else []
    for _ in range(2):
        check(only(environment, folder, *client, path.name, *written), path, "found by content")


def test_output_of_an_earlier_run(environment: dict[str, str], folder: Path) -> None:
    """The file a client is told to write to is not the notebook it is told to run."""
    path = write(folder / "b.ipynb", "x = 0")
    command = ("jupyter", "nbconvert", "--execute", "--to", "notebook", "--output", "a.ipynb")
    for _ in range(2):
        check(only(environment, folder, *command, "b.ipynb"), path, "found by content")


def test_nbval_over_a_folder(environment: dict[str, str], folder: Path) -> None:
    """Under nbval, which keeps no history, the notebooks of a folder are told apart."""
    paths = [write(folder / name, "x = 0") for name in ("a.ipynb", "b.ipynb")]
    command = ("pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax", ".")
    told = run(environment, folder, *command)
    for one, path in zip(told, paths, strict=True):
        check(one, path, "found by content")


@pytest.mark.parametrize(
    ("where", "extra"),
    [
        pytest.param("elsewhere", (), id="from another folder"),
        pytest.param(".", (), id="from the folder above"),
        pytest.param(".", ("--cwd", "elsewhere"), id="with a working directory"),
    ],
)
def test_papermill_elsewhere(
    environment: dict[str, str], folder: Path, where: str, extra: tuple[str]
) -> None:
    """Papermill's kernel runs in neither notebook's folder: its input is found all the same."""
    path = write(folder / "in" / ODD, "x = 0", "y = x")
    for name in ("out", "elsewhere"):
        (folder / name).mkdir()
    start = (folder / where).resolve()
    names = [os.path.relpath(folder / name, start) for name in (f"in/{ODD}", "out/out.ipynb")]
    told = only(environment, start, "papermill", *names, "-p", "x", "1", *extra)
    check(told, path, "found by content")


def test_papermill_api(environment: dict[str, str], folder: Path) -> None:
    """A script that calls papermill names nothing: its output, written first, tells the input."""
    path = write(folder / "in" / "a.ipynb", "x = 0", "y = x")
    script = "import papermill; papermill.execute_notebook('in/a.ipynb', 'out.ipynb', {'x': 1})"
    (folder / "run.py").write_text(script, "utf-8")
    check(only(environment, folder, "run"), path, "found by content")


EXECUTE = """
import os, nbformat
from nbclient import NotebookClient
document = nbformat.read({path!r}, 4)
NotebookClient(document, resources={{"metadata": {{"path": {where!r}}}}}).execute({env})
"""


def test_nbclient_api(environment: dict[str, str], folder: Path) -> None:
    """A notebook run through nbclient's API in its folder is found; another one is not."""
    path, other = write(folder / "a.ipynb", "x = 1"), write(folder / "sub" / "b.ipynb", "x = 2")
    for executed in (path, other):
        text = EXECUTE.format(path=str(executed), where=str(folder), env="")
        (folder / "run.py").write_text(text, "utf-8")
        told = only(environment, folder, "run")
        if executed is path:
            check(told, path, "found by content")
        else:
            assert told["notebook"] is None
            assert told["dialogue"] == str(folder / "notebook.dialogue.json")


def test_several_fit(environment: dict[str, str], folder: Path) -> None:
    """When nothing tells two notebooks apart, the error names both and the settings."""
    path = write(folder / "a.ipynb", "x = 1")
    write(folder / "b.ipynb", "x = 1")
    text = EXECUTE.format(path=str(path), where=str(folder), env="")
    (folder / "run.py").write_text(text, "utf-8")
    told = only(environment, folder, "run")
    assert "a.ipynb, b.ipynb" in told["error"]
    assert "OPENAI_MAGICS_NOTEBOOK" in told["error"]


def test_directory_changed(environment: dict[str, str], folder: Path) -> None:
    """A notebook that changes its directory keeps its place."""
    path = write(folder / "a.ipynb", "import os\nos.makedirs('sub')\nos.chdir('sub')")
    text = EXECUTE.format(path=str(path), where=str(folder), env="")
    (folder / "run.py").write_text(text, "utf-8")
    check(only(environment, folder, "run"), path, "found by content")


def test_terminal(environment: dict[str, str], folder: Path) -> None:
    """Terminal IPython has no notebook, also beside one that holds what is typed."""
    path = write(folder / "a.ipynb")
    script = folder / "cell.ipy"
    script.write_text(PLACE, "utf-8")
    told = only(environment, folder, "IPython", "--simple-prompt", script)
    assert told["how"] == "no notebook is known"
    assert told["dialogue"] == str(path.with_name("notebook.dialogue.json"))


class Server:
    """A Jupyter server of its own on a free port of this machine, or on a socket."""

    def __init__(self, environment: dict[str, str], root: Path, *options: str) -> None:
        """Start it over a folder and wait until it answers."""
        self.environment, self.root = environment, root
        self.runtime = Path(environment["JUPYTER_RUNTIME_DIR"])
        self.log = root.with_name("server.log").open("w")
        command = [sys.executable, "-m", "jupyter", "server", "--no-browser", "--allow-root"]
        self.process = subprocess.Popen(
            [*command, *(options or ("--ServerApp.port=0", "--ServerApp.ip=127.0.0.1"))],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )
        self.file = self.runtime / f"jpserver-{self.process.pid}.json"
        self.wait(self.listening)

    def listening(self) -> bool:
        """Tell whether the server answers; its file is there a little before."""
        try:
            self.info = json.loads(self.file.read_text("utf-8"))
            self.ask("GET", "sessions")
        except (OSError, ValueError):
            return False
        return True

    def wait(self, ready: Callable[[], bool]) -> None:
        """Wait until something is so, as long as the server runs."""
        end = time.monotonic() + PATIENCE
        while not ready():
            assert self.process.poll() is None, self.root.with_name("server.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.05)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return what the server answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.info["port"], timeout=PATIENCE)
        if self.info["sock"]:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(self.info["sock"])
        headers = {"Authorization": f"token {self.info['token']}"}
        connection.request(method, f"{self.info['base_url']}api/{path}", json.dumps(body), headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        assert answer.status < 300, data
        return json.loads(data) if data else None

    def open(self, name: str, kernel: str | None = None, kind: str = "notebook") -> dict[str, Any]:
        """Open a session as JupyterLab does; return it."""
        known = {"id": kernel} if kernel else {"name": "python3"}
        body = {"path": name, "name": Path(name).name, "type": kind, "kernel": known}
        session: dict[str, Any] = self.ask("POST", "sessions", body)
        return session

    def execute(
        self, session: dict[str, Any], code: str = PLACE, *, cell: str = "c1", stdin: bool = True
    ) -> list[dict[str, Any]]:
        """Execute code as a cell of JupyterLab; return what was said."""
        client = BlockingKernelClient(
            connection_file=os.fspath(self.runtime / f"kernel-{session['kernel']['id']}.json")
        )
        client.load_connection_file()
        client.start_channels(iopub=False, stdin=False, hb=False)
        try:
            content = {"code": code, "silent": False, "store_history": True}
            content |= {"user_expressions": {}, "allow_stdin": stdin, "stop_on_error": True}
            metadata = {"cellId": cell, "deletedCells": [], "recordTiming": False}
            message = client.session.msg("execute_request", content, metadata=metadata)
            client.shell_channel.send(message)
            while True:
                reply = client.get_shell_msg(timeout=PATIENCE)
                if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                    break
            assert reply["content"]["status"] == "ok", reply["content"]
        finally:
            client.stop_channels()
        told = said(self.environment)
        if code == PLACE:
            assert told[0]["execution"] == message["header"]["msg_id"]
            assert told[0]["cell"] == cell
            assert told[0]["watched"] is stdin
        return told

    def stop(self) -> None:
        """End the server and its kernels."""
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.close()


@pytest.fixture
def server(environment: dict[str, str], folder: Path) -> Iterator[Server]:
    """Return a running Jupyter server over the folder."""
    running = Server(environment, folder)
    yield running
    running.stop()


@pytest.mark.parametrize("stdin", [True, False], ids=["watched", "by a client on its own"])
def test_server(server: Server, stdin: bool) -> None:
    """The server tells the notebook, and at once its new name when it is renamed."""
    name = f"sub folder/{ODD}"
    path = write(server.root / name, "x = 1")
    session = server.open(name)
    (told,) = server.execute(session, stdin=stdin)
    check(told, path, "told by the Jupyter server")
    new = "another/Ø #1%20 (2).ipynb"
    (server.root / "another").mkdir()
    server.ask("PATCH", "contents/" + urllib.parse.quote(name), {"path": new})
    server.ask("PATCH", f"sessions/{session['id']}", {"path": new, "name": Path(new).name})
    (told,) = server.execute(session, stdin=stdin)
    check(told, server.root / new, "told by the Jupyter server")


def test_server_with_a_base_url(environment: dict[str, str], folder: Path) -> None:
    """A server below a path, listening on every address, is asked on this machine."""
    path = write(folder / "a.ipynb")
    running = Server(environment, folder, "--ServerApp.port=0", "--ServerApp.base_url=/user/me/")
    try:
        info = {**running.info, "hostname": "0.0.0.0"}
        running.file.write_text(json.dumps(info), "utf-8")
        check(running.execute(running.open("a.ipynb"))[0], path, "told by the Jupyter server")
    finally:
        running.stop()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are none on this system")
def test_server_on_a_socket(environment: dict[str, str], folder: Path) -> None:
    """A server on a unix socket is asked through it."""
    path = write(folder / "a.ipynb")
    # Not below tmp_path: the name of a socket may not be long.
    with tempfile.TemporaryDirectory() as short:
        running = Server(environment, folder, f"--ServerApp.sock={short}/s")
        try:
            session = running.open("a.ipynb")
            path = path.rename(path.with_name("b.ipynb"))
            running.ask("PATCH", f"sessions/{session['id']}", {"path": "b.ipynb"})
            check(running.execute(session)[0], path, "told by the Jupyter server")
        finally:
            running.stop()


def test_server_that_cannot_be_asked(server: Server) -> None:
    """Without an answer, the connection file tells; after a rename, the cell's id in the file."""
    path = write(server.root / "sub" / "a.ipynb")
    write(server.root / "sub" / "b.ipynb")
    session = server.open("sub/a.ipynb")
    info = {**server.info, "token": ""}  # as that of a server with a password
    server.file.write_text(json.dumps(info), "utf-8")
    check(server.execute(session)[0], path, "told by the Jupyter server")
    renamed = path.rename(path.with_name("c.ipynb"))
    check(server.execute(session, cell="a-1")[0], renamed, "told by the Jupyter server")
    (told,) = server.execute(session, cell="unsaved")
    assert told["notebook"] is None
    assert told["dialogue"] == str(path.with_name("notebook.dialogue.json"))


def test_console(server: Server) -> None:
    """A console has no notebook, unless it is one of a notebook's kernel."""
    path = write(server.root / "a.ipynb", "x = 1")
    session = server.open("console-1", kind="console")
    assert server.execute(session)[0]["how"] == "no notebook is known"
    session = server.open("a.ipynb")
    attached = server.open("console-2", kernel=session["kernel"]["id"], kind="console")
    check(server.execute(attached)[0], path, "told by the Jupyter server")


def test_two_notebooks_on_a_kernel(server: Server) -> None:
    """Of two notebooks that share a kernel, it is the one the cell is in."""
    path, other = write(server.root / "a.ipynb"), write(server.root / "b.ipynb")
    session = server.open("a.ipynb")
    server.open("b.ipynb", kernel=session["kernel"]["id"])
    for one in (path, other):
        check(server.execute(session, cell=f"{one.stem}-1")[0], one, "told by the Jupyter server")
    (told,) = server.execute(session, cell="unsaved")
    assert "a.ipynb, b.ipynb" in told["error"]


@pytest.mark.parametrize("env", ["", "env=dict(os.environ)"], ids=["inherited", "passed on"])
def test_client_inside_a_notebook(server: Server, env: str) -> None:
    """A kernel started from a notebook's kernel is not taken for the outer notebook's."""
    path = write(server.root / "outer.ipynb")
    inner = write(server.root / "sub" / "inner.ipynb", "x = 1")
    session = server.open("outer.ipynb")
    code = EXECUTE.format(path=str(inner), where=str(inner.parent), env=env)
    # nbclient runs its own loop, which it may not in the thread of the kernel's.
    code = f"import threading\nt = threading.Thread(target=exec, args=({code!r}, {{}}))\n"
    told = server.execute(session, code + "t.start()\nt.join()")
    check(told[0], inner, "found by content")
    assert told[0]["watched"] is False
    check(server.execute(session)[0], path, "told by the Jupyter server")


def test_executions_are_told_apart(server: Server) -> None:
    """Two runs of a cell are two executions; two asks in one run are one."""
    write(server.root / "a.ipynb")
    session = server.open("a.ipynb")
    first, again = server.execute(session, PLACE + "\n" + PLACE)
    assert first["execution"] == again["execution"]
    (later,) = server.execute(session)
    assert later["execution"] != first["execution"]
    assert later["cell"] == first["cell"]
