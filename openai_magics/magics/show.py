"""One answer on the screen: it grows in one place while it comes, and one output is left.

Three stages, one interface: `InNotebook` updates one display in place, `Once` shows the
finished answer only (a replay, or nobody is watching: nbval knows no updates), `InTerminal`
writes text as it comes.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

from IPython.display import DisplayHandle, publish_display_data

from openai_magics import cells, render
from openai_magics.render import Bundle

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from openai_magics.rounds.steps import Step

__all__ = ["InNotebook", "InTerminal", "Once", "Stage", "bar", "stage"]

INTERVAL = 0.1
"""Seconds between updates: ten a second is what an eye can follow."""
SHARE = 4.0
"""Between two updates lies at least this many times what the last one took to render, so
that a long answer costs no more than a fifth of a core."""


class Stage(Protocol):
    """Where an answer is shown."""

    def on_text(self, piece: str) -> None: ...

    def on_notice(self, line: str) -> None: ...

    def on_step(self, step: Step) -> None: ...

    def on_state(self, bundle: Bundle) -> None: ...

    def finish(self, bundle: Bundle | None) -> None: ...


class Once:
    """Shows the finished answer, once."""

    def on_text(self, piece: str) -> None:
        """Nothing is shown before the end."""

    def on_notice(self, line: str) -> None:
        """Nobody is there to read it."""

    def on_step(self, step: Step) -> None:
        """It is in the finished answer."""

    def on_state(self, bundle: Bundle) -> None:
        """Only how it ended is shown."""

    def finish(self, bundle: Bundle | None) -> None:
        """Show *bundle*, if there is one."""
        if bundle is not None:
            data, metadata = bundle
            publish_display_data(data, metadata)


class InNotebook(Once):
    """Shows the answer as it comes, in one display that is updated in place."""

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None
        self._pieces: list[str] = []
        self._steps: list[Step] = []
        self._next = 0.0

    def on_text(self, piece: str) -> None:
        """Take a piece of the answer; update the display where it is time to."""
        self._pieces.append(piece)
        now = time.monotonic()
        if now >= self._next:
            self._show(render.partial("".join(self._pieces), *self._steps))
            done = time.monotonic()
            self._next = done + max(INTERVAL, SHARE * (done - now))

    def on_notice(self, line: str) -> None:
        """Show a line until the next one or the answer takes its place."""
        if line or self._handle is not None:
            self._show(render.notice(line))

    def on_step(self, step: Step) -> None:
        """Show what came of an exchange; the text begins anew below it."""
        self._steps.append(step)
        self._pieces.clear()
        self._show(render.partial("", *self._steps))

    def on_state(self, bundle: Bundle) -> None:
        """Show how far something has come, in place of what was shown."""
        self._show(bundle)

    def finish(self, bundle: Bundle | None) -> None:
        """Leave *bundle* as the only output."""
        if self._handle is None:
            super().finish(bundle)
        else:
            self._show(bundle or render.notice(""))

    def _show(self, bundle: Bundle) -> None:
        data, metadata = bundle
        if self._handle is None:
            # Before it is shown: what is shown when somebody stops right then can be updated.
            self._handle = DisplayHandle()
            self._handle.display(data, raw=True, metadata=metadata)
        else:
            self._handle.update(data, raw=True, metadata=metadata)


class InTerminal:
    """Writes the answer as plain text; notices go to standard error."""

    def __init__(self, *, stream: bool = True) -> None:
        self._written, self._stream = False, stream

    def on_text(self, piece: str) -> None:
        """Write a piece of the answer."""
        sys.stdout.write(render.printable(piece))
        sys.stdout.flush()
        self._written = True

    def on_notice(self, line: str) -> None:
        """Write over the line before."""
        sys.stderr.write(f"\r\x1b[K{render.printable(line)}")
        sys.stderr.flush()

    def on_step(self, step: Step) -> None:
        """End the line, and write what tools were called."""
        if not self._stream:  # it stands in the finished answer
            return
        lines = render.called(step)
        sys.stdout.write(("\n" if self._written else "") + "".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
        self._written = False

    def on_state(self, bundle: Bundle) -> None:
        """Write how far something has come as one line, over the line before."""
        lines = str(bundle[0]["text/plain"]).splitlines()
        self.on_notice("  ".join(" ".join(line.split()) for line in lines)[:120])

    def finish(self, bundle: Bundle | None) -> None:
        """End the line, or write what was not streamed."""
        if self._written:
            sys.stdout.write("\n")
        elif bundle is not None:
            sys.stdout.write(bundle[0]["text/plain"] + "\n")


def bar(label: str, done: int, total: int | None, failed: int = 0) -> str:
    """Return a line that tells how far a long work has come; *total* ``None``: nobody knows."""
    said = f" ({failed} failed)" if failed else ""
    if not total:
        return f"{label}  {done}{said}"
    filled = round(20 * done / total)
    return f"{label}  {'█' * filled}{'░' * (20 - filled)}  {done} of {total}{said}"


def stage(shell: InteractiveShell | None, *, stream: bool) -> Stage:
    """Return where an answer is shown in *shell*; *stream* tells whether as it comes."""
    if shell is not None and not hasattr(shell, "kernel"):
        return InTerminal(stream=stream)
    if stream and cells.watched(shell) and not _captured(shell):
        return InNotebook()
    return Once()


def _captured(shell: Any) -> bool:
    """Whether outputs go to ``%%capture``, where an update would be lost."""
    return "Captur" in type(getattr(shell, "display_pub", None)).__name__
