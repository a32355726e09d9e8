"""What the magics of every family share: the notebook's variables, and its session."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics

from openai_magics import cells
from openai_magics.magics import options

if TYPE_CHECKING:
    from openai_magics.keys import Secret
    from openai_magics.session import Session

__all__ = ["Family", "ask_key"]


class Family(Magics):
    """The magics of one family: parse, call, display, and nothing else."""

    @property
    def names(self) -> dict[str, Any]:
        """The notebook's variables."""
        assert self.shell is not None
        names: dict[str, Any] = self.shell.user_ns
        return names

    def filled(self, template: str) -> Any:
        """Return a prompt with its placeholders filled: text, or texts and images in order."""
        if "{{" not in template:
            return template
        from openai_magics import prompts

        names = dict(self.names)
        if (error := getattr(sys, "last_value", None)) is not None:
            names["Err"] = error
        return prompts.filled(template, names)

    @property
    def session(self) -> Session:
        """The notebook's session."""
        from openai_magics.session import get_session

        session = get_session()
        if session.live.ask_key is None and cells.watched(self.shell):
            session.live.ask_key = ask_key
        return session

    @staticmethod
    def typed(magic: Any, name: str, line: str) -> Any:
        """Return what was typed after *magic*, which has no prompt, as its parser reads it.

        Raises
        ------
        OptionError
            An option, or a value, is not possible.
        """
        return options.parse(options.parser_of(magic), name, options.words(line))


def ask_key() -> Secret | None:
    """Ask the person for the key, without echo; ``None`` where nobody is there."""
    from openai_magics.keys import Secret

    if not cells.watched():
        return None
    typed = getpass.getpass("API key (not shown, not saved): ").strip()
    return Secret(typed, "typed in this kernel") if typed else None
