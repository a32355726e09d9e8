"""Which notebook this kernel runs, and where its dialogue file is.

Front ends tell a kernel its notebook in different ways, or not at all. The first of these
that gives an existing file decides:

1. the setting ``notebook``
2. ``__vsc_ipynb_file__``, which VS Code puts among the notebook's variables
3. the Jupyter server that started the kernel: its sessions API, which is right also after a
   rename; failing that (no token for it, no answer), the ``jupyter_session`` it wrote into
   the kernel's connection file. The environment's ``JPY_SESSION_NAME`` says the same, but a
   kernel started from a notebook's kernel inherits it, and would take the outer notebook.
4. for a kernel run by a client on its own (nbclient, papermill, nbval, …), the notebook in
   its working directory that holds what was executed: see `openai_magics.contents`

Else there is none: a script, terminal IPython, a console.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from openai_magics import cells, contents
from openai_magics.errors import NotebookNotFound

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["Place", "locate"]

PATIENCE = 1.0
"""Seconds to wait for the Jupyter server, which is on this machine."""


@dataclass(frozen=True)
class Place:
    """A notebook (if there is one), its dialogue file, and how it was found."""

    notebook: Path | None
    dialogue: Path
    how: str


# What was found by content holds for the rest of the run, whatever happens to the files
# meanwhile: one run, one dialogue file.
_found: WeakKeyDictionary[InteractiveShell, Place] = WeakKeyDictionary()


def locate(shell: InteractiveShell | None = None, *, explicit: Path | str | None = None) -> Place:
    """Return where the notebook and its dialogue file are.

    Parameters
    ----------
    shell
        The IPython shell; the running one if not given.
    explicit
        The notebook as it was set by hand; relative to the working directory.

    Raises
    ------
    NotebookNotFound
        The notebook that was set by hand is not there, or several may be it.
    """
    shell = shell or cells.current_shell()
    # Where the kernel was started: a notebook may change the directory as it runs.
    folder = Path(getattr(shell, "starting_dir", "") or os.getcwd())  # noqa: PTH109
    if explicit:
        given = folder / Path(explicit).expanduser()
        if not given.is_file():
            raise NotebookNotFound(
                f"The notebook is set to {os.fspath(explicit)}, and there is no such file.",
                "Correct OPENAI_MAGICS_NOTEBOOK or OpenAIMagics.notebook, or leave it out.",
            )
        return _beside(given, "set by the notebook setting")
    none = Place(None, folder / "notebook.dialogue.json", "no notebook is known")
    if shell is None or getattr(shell, "kernel", None) is None:
        return none
    if shell in _found:
        return _found[shell]
    path, how = _told(shell, folder)
    if path is None and _headless(shell):
        path, how = _only(_by_content(shell, folder), folder), "found by content"
        _found[shell] = _beside(path, how) if path else none
    return _beside(path, how) if path else none


def _told(shell: InteractiveShell, folder: Path) -> tuple[Path | None, str]:
    told = shell.user_ns.get("__vsc_ipynb_file__")
    # A notebook that was never saved has a name, but no folder.
    if isinstance(told, str) and Path(told).is_absolute() and Path(told).is_file():
        return Path(told), "told by VS Code"
    return _only(_told_by_server(shell, folder), folder), "told by the Jupyter server"


def _only(paths: Sequence[Path], folder: Path) -> Path | None:
    if len(paths) < 2:
        return paths[0] if paths else None
    names = [path.name if path.parent == folder else str(path) for path in paths]
    raise NotebookNotFound(
        f"This kernel may be running any of these notebooks: {', '.join(names)}.",
        f"Say which: OPENAI_MAGICS_NOTEBOOK={names[0]!r} in the environment,"
        f" or %config OpenAIMagics.notebook = {names[0]!r} in a cell.",
    )


def _beside(notebook: Path, how: str) -> Place:
    # The folder without ".." and links; a notebook that is a link keeps the name it has there.
    notebook = notebook.parent.resolve() / notebook.name
    return Place(notebook, notebook.with_name(f"{notebook.stem}.dialogue.json"), how)


# --- told by the Jupyter server


def _told_by_server(shell: InteractiveShell, folder: Path) -> list[Path]:
    """Return the notebook the server has for this kernel; several may share a kernel."""
    kernel, session = _connection()
    cell = cells.cell_id(shell)
    server = _server() if kernel else None
    sessions = _sessions(server) if server else None
    if server and sessions is not None:
        # It answered: a session it does not know was inherited from the kernel that started
        # this one.
        paths = [_file(server, told) for told in sessions if told["kernel"]["id"] == kernel]
        known = [path for path in dict.fromkeys(paths) if path]
        return contents.same_cell(known, cell) or known if len(known) > 1 and cell else known
    if Path(session).suffix != ".ipynb":
        return []
    path = Path(session) if Path(session).is_absolute() else folder / Path(session).name
    if path.is_file():
        return [path]
    # Renamed, by a server that does not let us ask (it has a password): by its cell, then.
    return contents.same_cell(contents.notebooks_in(folder), cell) if cell else []


def _connection() -> tuple[str, str]:
    """Return the kernel's id and the session its connection file was written for, or ``""``."""
    try:
        from ipykernel.connect import get_connection_file

        path = Path(get_connection_file())
        session = json.loads(path.read_bytes()).get("jupyter_session")
    except (ImportError, RuntimeError, OSError, ValueError, AttributeError):
        return "", ""
    return path.stem.removeprefix("kernel-"), session if isinstance(session, str) else ""


def _server() -> dict[str, Any] | None:
    """Return what the Jupyter server above this process wrote about itself, if there is one.

    Only a server among our ancestors can have started this kernel: so others on the machine
    are never asked, and a token goes to none but the process that wrote it.
    """
    try:
        from jupyter_core.paths import jupyter_runtime_dir

        written = {path.name: path for path in Path(jupyter_runtime_dir()).glob("jpserver-*.json")}
        for process in _above() if written else ():
            if path := written.get(f"jpserver-{process['pid']}.json"):
                server = json.loads(path.read_bytes())
                return server if isinstance(server, dict) else None
    except (ImportError, OSError, ValueError):
        pass
    return None


def _sessions(server: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Ask a Jupyter server on this machine for its sessions; ``None`` without an answer."""
    import http.client
    import socket

    # One that listens on every address listens on loopback.
    host = str(server.get("hostname"))
    host = {"": "localhost", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    port = server.get("port")
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    try:
        if server.get("sock"):
            connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(PATIENCE)
            connection.sock.connect(server["sock"])
        elif host not in ("localhost", "::1") and not host.startswith("127."):
            return None
        elif server.get("secure"):
            import ssl

            # Its certificate, if by an authority at all, is for its name outside.
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection = http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=context)
        headers = {"Authorization": f"token {server['token']}"} if server.get("token") else {}
        connection.request("GET", f"{server.get('base_url', '/')}api/sessions", headers=headers)
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            return None
        sessions = json.loads(answer.read())
        return [told for told in sessions if isinstance(told["kernel"]["id"], str)]
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError):
        return None
    finally:
        connection.close()


def _file(server: dict[str, Any], session: dict[str, Any]) -> Path | None:
    """Return the notebook of a session; consoles and files that are elsewhere have none."""
    if session.get("type") != "notebook":
        return None
    path, root = str(session.get("path")), Path(str(server.get("root_dir")))
    # Extensions put a drive before it (``RTC:a.ipynb`` when several people edit it).
    names = (path.lstrip("/"), path.partition(":")[2].lstrip("/"))
    return next((root / name for name in names if name and (root / name).is_file()), None)


# --- found by content


def _headless(shell: InteractiveShell) -> bool:
    """Tell whether a client runs the notebook on its own; Voilà's widgets are such a one's."""
    header = cells.request(shell).get("header")
    asked = header.get("msg_type") if isinstance(header, dict) else None
    return asked != "execute_request" or not cells.watched(shell)


def _by_content(shell: InteractiveShell, folder: Path) -> list[Path]:
    content = cells.request(shell).get("content") or {}
    if content.get("store_history", True):
        history = getattr(shell.history_manager, "input_hist_raw", [""])
        executed = contents.Executed(tuple(history[1:]))
    else:
        # nbval: all that is known is the cell now executing.
        executed = contents.Executed((str(content.get("code", "")),), whole=False)
    arguments, bases = _client()
    bases = [folder, *bases]
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition("::")[0]
    if test.endswith(".ipynb"):
        named = [folder / Path(test).name]
    else:
        given = [name for name in arguments if name.endswith(".ipynb")]
        named = [base / name for name in given for base in bases]
    return contents.choose(contents.notebooks_in(folder), executed, named, bases)


def _client() -> tuple[list[str], list[Path]]:
    """Return the arguments of the client that started this kernel, and where it may have run.

    What it was told to write to is no notebook it was told to run, so that is left out.
    """
    client = next(_above(), {})
    # A client may change its directory, and what it started knows: PWD is where the person was.
    bases = [Path(told) for told in (client.get("cwd"), os.environ.get("PWD")) if told]
    arguments = client.get("cmdline") or []
    before = ["", *arguments]
    return [one for one, last in zip(arguments, before, strict=False) if last != "--output"], bases


def _above() -> Iterator[dict[str, Any]]:
    """Yield the processes above this one, nearest first; none where psutil is missing."""
    try:
        import psutil  # type: ignore[import-untyped]
    except ImportError:  # an ipykernel that does without it
        return
    process = psutil.Process()
    with contextlib.suppress(psutil.Error):
        while (process := process.parent()) is not None:
            yield process.as_dict(["pid", "cmdline", "cwd"])
