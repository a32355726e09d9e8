"""What a session lists, and whom it asks as: the part of `Session` about models and assistants."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from openai_magics import frames
from openai_magics.exchange import Request
from openai_magics.turns import Asking
from openai_magics.twins import twin

if TYPE_CHECKING:
    import pandas as pd

    from openai_magics.assistants.assistant import Assistant
    from openai_magics.assistants.desk import Desk
    from openai_magics.client import Live
    from openai_magics.config import Settings
    from openai_magics.turns import Turns

__all__ = ["Listings"]

log = logging.getLogger("openai_magics")


class Listings:
    """Models and assistants, for `Session`, which has these."""

    settings: Settings
    turns: Turns
    live: Live
    _desk: Desk | None = None

    def list_models(self, *, fresh: bool = False, mode: str | None = None) -> pd.DataFrame:
        """Return the models of the endpoint: ``id, created, owned_by, shutdown_date``, ….

        The listing is recorded and replayed as answers are; *fresh* asks for it anew.

        Raises
        ------
        ReplayMiss, NotConnected, ServiceError, DialogueError
            As `ask`.
        """
        request = Request(kind="models", endpoint=self.settings.said("base_url"))
        reply = self.turns.run(Asking(request, fresh=fresh, mode=mode))
        return frames.models_frame(reply.payload)

    async def alist_models(self, *, fresh: bool = False, mode: str | None = None) -> pd.DataFrame:
        """As `list_models`, without blocking the event loop."""
        request = Request(kind="models", endpoint=self.settings.said("base_url"))
        reply = await self.turns.arun(Asking(request, fresh=fresh, mode=mode))
        return frames.models_frame(reply.payload)

    def list_assistants(self, *, fresh: bool = False, mode: str | None = None) -> pd.DataFrame:
        """Return the assistants: those kept here, and those the server still has.

        Columns: ``name, id, description, model, instructions, parameters, tools, files``;
        ``where`` (``notebook``, ``user``, ``server``); ``version``, the hash of the set-up.
        Why a server lists none is logged. The listing is recorded and replayed; *fresh* asks
        the server anew (what is kept here is read anew each time).

        Raises
        ------
        AssistantsError
            A file of assistants cannot be read.
        ReplayMiss, DialogueError
            As `ask`.
        """
        frame, note = self.assistants.listing(fresh=fresh, mode=mode)
        if note:
            log.warning("%s", note)
        return frame

    async def alist_assistants(
        self, *, fresh: bool = False, mode: str | None = None
    ) -> pd.DataFrame:
        """As `list_assistants`, without blocking the event loop."""
        frame, note = await self.assistants.alisting(fresh=fresh, mode=mode)
        if note:
            log.warning("%s", note)
        return frame

    def set_assistant(self, name_or_id: str | None) -> Assistant | None:
        """Ask as an assistant from now on, or with ``None`` as none; return it.

        Its instructions, model, parameters, tools and schema enter each request as if they
        had been typed; what is given to an ask counts before them, what is set for the
        session after them. The set-up is recorded, and replayed where its file is missing.

        Raises
        ------
        OptionError
            There is none of that name or id, or several have the name.
        AssistantsError
            A file of assistants cannot be read.
        ReplayMiss, DialogueError
            As `ask`.
        """
        if name_or_id is not None:
            self.assistants.use(name_or_id)
        elif self._desk is not None:
            self._desk.current = None
        return self.assistant

    aset_assistant = twin(set_assistant)

    @property
    def assistants(self) -> Desk:
        """What is done with assistants: listing, saving, editing, importing, … (``%assistant``)."""
        if self._desk is None:
            from openai_magics.assistants.desk import Desk

            self._desk = Desk(self.settings, self.turns, self.live)
        return self._desk

    @property
    def assistant(self) -> Assistant | None:
        """The assistant in use; set it by its name or id, or to ``None``."""
        return self._desk.current if self._desk is not None else None

    @assistant.setter
    def assistant(self, name_or_id: str | None) -> None:
        self.set_assistant(name_or_id)
