"""Ask language models from a notebook, so that anyone can run it again: no key, no network, the same outputs.

``%load_ext openai_magics`` registers the magics; `Session` is the same from Python. Every
exchange is kept in one JSON file beside the notebook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from openai_magics import errors
    from openai_magics.exchange import Reply
    from openai_magics.session import Session, get_session

__version__ = "0.1.0"
__all__ = ["Reply", "Session", "errors", "get_session", "load_ipython_extension"]

HOMES = {"Session": "session", "get_session": "session", "Reply": "exchange", "errors": ""}


def __getattr__(name: str) -> Any:
    """Import what is named at its first use: importing the package costs next to nothing."""
    import importlib

    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not HOMES[name]:
        return importlib.import_module(f"{__name__}.{name}")
    return getattr(importlib.import_module(f"{__name__}.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics (``%load_ext openai_magics``)."""
    from openai_magics import magics

    magics.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics' hooks out again (``%unload_ext openai_magics``)."""
    from openai_magics import magics

    magics.unload(shell)
