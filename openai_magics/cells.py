"""The cell now executing, as the front end told the kernel.

Everything is read from the message the kernel is answering (its *request*): an
``execute_request`` while a cell runs, a ``comm_msg`` in a widget's callback. What the front
ends send with a cell (JupyterLab 4.6, vscode-jupyter 2026.6, nbclient 0.11, nbval 0.11,
papermill 2.7, Voilà 0.5):

=====================  =============================================  ===========  =============
front end              ``metadata``                                   allow_stdin  store_history
=====================  =============================================  ===========  =============
JupyterLab, Notebook   ``cellId``: the cell's id in the notebook      true         true
VS Code                ``cellId``: ``vscode-notebook-cell:/…#W3s…``   true         true
nbclient, nbconvert    empty                                          false        true
papermill, Voilà       empty                                          false        true
nbval                  empty                                          false        false
=====================  =============================================  ===========  =============
"""

from __future__ import annotations

import itertools
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = [
    "HANDLE",
    "apart",
    "cell_id",
    "code",
    "current_shell",
    "execution",
    "request",
    "set_apart",
    "watched",
]

_calls = itertools.count(1)
_apart: ContextVar[str | None] = ContextVar("apart", default=None)


HANDLE = "vscode:"
"""How an id begins that is none of the notebook file's, but a front end's own."""


def set_apart(name: str) -> None:
    """Say that what runs in this context is of no cell: *name* is what tells it from the rest.

    A panel's work runs while cells do, and the kernel cannot tell them apart.
    """
    _apart.set(name)


def apart() -> bool:
    """Whether what runs here is of no cell (see `set_apart`)."""
    return _apart.get() is not None


def current_shell() -> InteractiveShell | None:
    """Return the running IPython shell; a plain script has none, and does not import IPython."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def request(shell: InteractiveShell | None = None) -> dict[str, Any]:
    """Return the message the kernel is answering; empty outside a kernel.

    In a thread it is that of the cell whose context the thread runs in (ipykernel 7), else
    of the cell that was started last.
    """
    if _apart.get() is not None:
        return {}
    kernel = getattr(shell or current_shell(), "kernel", None)
    get_parent = getattr(kernel, "get_parent", None)
    if get_parent is None:
        return {}
    # By name, since without it ipykernel 6 answers by the thread that asks.
    parent = get_parent("shell")
    return parent if isinstance(parent, dict) else {}


def cell_id(shell: InteractiveShell | None = None) -> str | None:
    """Return the id of the cell now executing, ``None`` where the front end tells none.

    JupyterLab and Notebook send the id that is in the notebook file. VS Code sends a URI
    (``vscode-notebook-cell:/folder/a.ipynb#W3sZmlsZQ==``) whose path changes when the notebook
    is renamed and whose fragment ends in the encoded scheme of the file system: what stays is
    the cell's handle before it, ``vscode:W3``. Handles are dealt out when a notebook is
    opened, so there an id holds for as long as the notebook stays open.
    """
    metadata = request(shell).get("metadata")
    told = metadata.get("cellId") if isinstance(metadata, dict) else None
    if not isinstance(told, str) or not told:
        return None
    if told.startswith("vscode-notebook-cell:"):
        handle = told.partition("#")[2].partition("s")[0]
        return f"{HANDLE}{handle}" if handle else None
    return told


def code(shell: InteractiveShell | None = None) -> str:
    """Return the source of the cell now executing; ``""`` where there is none."""
    content = request(shell).get("content")
    told = content.get("code") if isinstance(content, dict) else None
    return told if isinstance(told, str) else ""


def execution(shell: InteractiveShell | None = None) -> str:
    """Return what tells this execution of a cell from every other one, also of the same cell.

    The id of the front end's message; in terminal IPython the number of the prompt; in a
    script each call is an execution of its own.
    """
    if (apart := _apart.get()) is not None:
        return apart
    shell = shell or current_shell()
    header = request(shell).get("header")
    message = header.get("msg_id") if isinstance(header, dict) else None
    if message:
        return str(message)
    if shell is not None:
        return f"prompt:{shell.execution_count}"
    return f"call:{next(_calls)}"


def watched(shell: InteractiveShell | None = None) -> bool:
    """Tell whether somebody is there to watch, stop or answer.

    The clients that run a notebook on their own send ``allow_stdin: false``. A message without
    it comes from a widget somebody has used.
    """
    if _apart.get() is not None:
        return False
    shell = shell or current_shell()
    message = request(shell)
    if message:
        content = message.get("content")
        return not isinstance(content, dict) or content.get("allow_stdin", True) is not False
    if getattr(shell, "kernel", None) is not None:
        return False  # start-up code, before any message
    return sys.stdin is not None and sys.stdin.isatty()
