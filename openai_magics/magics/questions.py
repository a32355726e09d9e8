"""A question may end with a question mark.

To IPython a line that ends with ``?`` asks for help on its last word: ``%ask Is it?`` would
look up ``it``. The transformer here takes the lines of our magics that carry a prompt first;
``%ask?`` is still the manual page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.inputtransformer2 import EscapedCommand

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["MAGICS", "install", "remove"]

MAGICS = ("ask", "describe")
"""The line magics whose line may end in a question mark: a prompt, or a pattern (``page?``)."""


class Question(EscapedCommand):
    """Takes ``%ask …`` at the beginning of a line, before IPython looks for a ``?`` at its end."""

    priority = 1

    @classmethod
    def find(cls, tokens_by_line: list[list[Any]]) -> Question | None:
        """Return the first such line of a cell."""
        for line in tokens_by_line:
            words = [token for token in line if token.string.strip()]
            if len(words) < 3 or words[0].string != "%" or words[1].string not in MAGICS:
                continue
            if words[1].end == words[2].start and words[2].string == "?":
                continue  # %ask? asks for the manual page
            return cls(words[0].start)
        return None


def install(shell: InteractiveShell) -> None:
    """Let lines of our magics end with a question mark in *shell*."""
    remove(shell)
    shell.input_transformer_manager.token_transformers.append(Question)


def remove(shell: InteractiveShell) -> None:
    """Undo `install`."""
    transformers = shell.input_transformer_manager.token_transformers
    transformers[:] = [item for item in transformers if item.__name__ != Question.__name__]
