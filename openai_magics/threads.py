"""The conversations of a session, and which of them an ask continues."""

from __future__ import annotations

from collections.abc import Callable

from openai_magics.config import Settings
from openai_magics.conversation import Conversation
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import OptionError
from openai_magics.turns import Turns

__all__ = ["Threads"]

MAIN = "main"


class Threads:
    """The conversations, for `Session`, which has these."""

    settings: Settings
    turns: Turns
    _dialogue_file: Callable[[], DialogueFile]
    _thread = MAIN

    @property
    def thread(self) -> str:
        """The conversation that an ask continues where it names none; ``main`` at first."""
        return self._thread

    @thread.setter
    def thread(self, name: str | None) -> None:
        if name is not None and (not isinstance(name, str) or not name.strip()):
            raise OptionError(f"{name!r} is no name of a conversation.", "Give it as text.")
        self._thread = MAIN if name is None else self.named(name)

    def named(self, name: str) -> str:
        """Return the conversation that a name means: the one that had it and was renamed.

        A cell that still says the old name goes on with what it began, also when it runs
        again. Once another conversation is renamed to that name, it means that one.
        """
        return self.turns.renamed.get(name, name)

    def rename_conversation(self, old: str, new: str) -> None:
        """Give a conversation another name, in this run and in the dialogue file.

        For the rest of this run the old name means it too (see `named`).

        The file as it was is kept beside it. Fingerprints and ids do not change: what was
        recorded is replayed as before.

        Raises
        ------
        OptionError
            There is no such conversation, or one of the new name.
        DialogueError
            The dialogue file cannot be read or written, or is damaged.
        """
        from openai_magics import renaming

        writing = self.settings.get("mode") != "replay"
        renaming.rename(
            self._dialogue_file(), self.turns.conversations, (old, new), writing=writing
        )
        self.turns.rename(old, new)
        if self._thread == old:
            self._thread = new

    @property
    def conversations(self) -> dict[str, Conversation]:
        """The conversations of this run by name."""
        return self.turns.conversations
