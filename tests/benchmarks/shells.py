"""An IPython shell of this process, the magics in it, and a server that they ask."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from tests.scripted import process

if TYPE_CHECKING:
    from openai import OpenAI

    from openai_magics.session import Session

__all__ = ["Asker", "asker"]


@dataclass(frozen=True)
class Asker:
    """Both sides of a comparison: the magics, and the bare client, kept, for the same server."""

    magic: Callable[[str, str, str], Any]
    session: Session
    client: OpenAI


@contextlib.contextmanager
def asker(path: Path, *options: str) -> Iterator[Asker]:
    """Run a server with *options* and yield who asks it; the session records in *path*."""
    import openai_magics
    from openai_magics import session

    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    openai_magics.load_ipython_extension(shell)
    with process("--no-check", "--no-record", *options) as address:
        os.environ["OPENAI_BASE_URL"] = address
        os.environ["OPENAI_API_KEY"] = "sk-benchmark"
        session.current = session.Session(dialogue_log_path=path)
        from openai import OpenAI

        try:
            with OpenAI(max_retries=0) as client:
                yield Asker(shell.run_cell_magic, session.current, client)
        finally:
            session.current = None
            del os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"]
            openai_magics.unload_ipython_extension(shell)
