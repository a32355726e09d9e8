"""What a tool prints or displays while it runs: given to the model, not to the cell.

A replay runs no tool, so what the cell shows cannot come from one. What was printed stands in
the result, which is recorded.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO, cast

__all__ = ["kept"]

_buffer: ContextVar[io.StringIO | None] = ContextVar("printed by a tool", default=None)


class _Stream:
    """Standard output, or standard error, of whoever writes: a tool's own, else the real one."""

    def __init__(self, real: TextIO) -> None:
        self.real = real

    def write(self, text: str) -> int:
        """Write to the tool's buffer, if a tool writes."""
        return (_buffer.get() or self.real).write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


_mutex = threading.Lock()
_users: list[int] = []


@contextmanager
def kept() -> Iterator[io.StringIO]:
    """Keep what is printed inside, in this context (task, thread), and what is displayed."""
    buffer = io.StringIO()
    token = _buffer.set(buffer)
    _enter()
    try:
        with _displays(buffer):
            yield buffer
    finally:
        _leave()
        _buffer.reset(token)


def _enter() -> None:
    with _mutex:
        if not _users:
            sys.stdout = cast("TextIO", _Stream(sys.stdout))
            sys.stderr = cast("TextIO", _Stream(sys.stderr))
        _users.append(threading.get_ident())


def _leave() -> None:
    with _mutex:
        _users.pop()
        if not _users:
            for name in ("stdout", "stderr"):
                held = getattr(sys, name)
                if isinstance(held, _Stream):
                    setattr(sys, name, held.real)


@contextmanager
def _displays(buffer: io.StringIO) -> Iterator[None]:
    """Turn what is displayed in the main thread into its plain text."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    from IPython.core.displaypub import CapturingDisplayPublisher

    before = shell.display_pub
    shell.display_pub = CapturingDisplayPublisher()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        buffer.writelines(
            f"{output.get('data', {}).get('text/plain', '')}\n"
            for output in shell.display_pub.outputs
        )
        shell.display_pub = before
