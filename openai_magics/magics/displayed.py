"""A reply at the end of a cell is shown as the magic shows it: its text, and that rendered safely.

The formatter is registered by name, so that loading the extension imports nothing for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from openai_magics.exchange import Reply
    from openai_magics.render import Bundle

__all__ = ["install", "remove"]

REPLY = ("openai_magics.exchange.reply", "Reply")


def _bundle(reply: Reply) -> Bundle | None:
    if reply.payload is not None:  # a listing or a job: data, which its repr shows
        return None
    from openai_magics import render

    return render.answer(reply)


def _formatter(shell: InteractiveShell) -> Any:
    assert shell.display_formatter is not None
    return shell.display_formatter.mimebundle_formatter


def install(shell: InteractiveShell) -> None:
    """Show replies rendered in *shell*."""
    _formatter(shell).for_type_by_name(*REPLY, _bundle)


def remove(shell: InteractiveShell) -> None:
    """Undo `install`."""
    formatter = _formatter(shell)
    formatter.deferred_printers.pop(REPLY, None)
    for kind in list(formatter.type_printers):
        if (kind.__module__, kind.__name__) == REPLY:
            formatter.type_printers.pop(kind)
