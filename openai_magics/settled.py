"""What a session is set to, and can be set to while it is held."""

from __future__ import annotations

from openai_magics.client import Live
from openai_magics.config import Settings
from openai_magics.errors import OptionError
from openai_magics.keys import Secret

__all__ = ["Settled"]


class Settled:
    """The settings of a session, as properties.

    Attributes
    ----------
    settings : Settings
    live : Live
    of_notebook : bool
        Whether it is the notebook's own session: what is set then stands where a cell's
        ``%config`` stands, and a later cell can say otherwise.
    """

    settings: Settings
    live: Live
    of_notebook = False

    @property
    def model(self) -> str | None:
        """The model that is asked where no other is named; ``None`` leaves it to the endpoint.

        What is set here holds for this run: a cell says it again after a restart (``%openai
        use MODEL``), so that the notebook finds its records.
        """
        value: str | None = self.settings.get("model")
        return value

    @model.setter
    def model(self, name: str | None) -> None:
        settings = self.settings
        given = settings.arguments.get("model") is not None
        layer = settings.notebook if self.of_notebook and not given else settings.arguments
        layer["model"] = settings.check("model", name, "Session.model")

    @property
    def system_instruction(self) -> str | None:
        """The system instruction of every ask."""
        value: str | None = self.settings.get("system_instruction")
        return value

    @system_instruction.setter
    def system_instruction(self, text: str | None) -> None:
        self.settings.arguments["system_instruction"] = text

    def use_key(self, key: str) -> None:
        """Use this API key from now on; it is held in memory only.

        Raises
        ------
        OptionError
            It is empty.
        """
        if not key.strip():
            raise OptionError("No key was typed.", "Type or paste the key.")
        self.live.key = Secret(key, "typed in this kernel")
