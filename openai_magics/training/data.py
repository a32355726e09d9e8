"""The data of a session's jobs: what it is, where it would go, and what is wrong with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from openai_magics.client import Live
from openai_magics.config import Settings
from openai_magics.connection import LOCAL, OPENAI, Target, choose, host
from openai_magics.errors import NotConnected, SettingError
from openai_magics.training.check import Check, check
from openai_magics.training.job import JobOptions, method_checked
from openai_magics.training.material import split
from openai_magics.training.mend import Mended, mend
from openai_magics.training.selection import Selection, chosen
from openai_magics.training.sources import Source, source_of

if TYPE_CHECKING:
    from openai_magics.views import Dialogue

__all__ = ["Data"]


class Data:
    """Reads and checks training data; sends nothing.

    Parameters
    ----------
    settings : Settings
    live : Live
        Whose key decides where a job would go.
    dialogue : Dialogue
        The records, which may be training data themselves.
    """

    def __init__(self, settings: Settings, live: Live, dialogue: Dialogue) -> None:
        self.settings = settings
        self.live = live
        self.dialogue = dialogue

    def source(self, data: Any, options: JobOptions = JobOptions()) -> Source:
        """Return the source of some data (see `openai_magics.training.sources.source_of`)."""
        return source_of(data, options.columns, options.method, options.name)

    def from_dialogue(self, wanted: Selection) -> tuple[Source, tuple[str, ...]]:
        """Return examples from the dialogue as a source, and the cells that they come from.

        Raises
        ------
        OptionError
            There is no such conversation, or nothing to learn.
        """
        found = chosen(self.dialogue.exchanges(), wanted)
        return replace(source_of(list(found.examples)), name="dialogue"), found.cells

    def check(
        self, data: Any, options: JobOptions = JobOptions(), target: Target | None = None
    ) -> Check:
        """Find what is wrong with training data; nothing is sent.

        Without a *target* (where a job will go) only what the notebook says counts, so that
        the same data is told the same of on every machine.

        Raises
        ------
        OptionError
            The data cannot be read.
        """
        source, validation = self.both(data, options)
        said = self.settings.said
        model = options.model or said("model")
        address = options.base_url or said("base_url")
        local = LOCAL in (model, address) or (target is not None and target.local)
        endpoint = None if local else target.endpoint if target else address and host(address)
        return check(
            source,
            validation,
            method=method_checked(options.method),
            model="local" if local else model,
            epochs=options.epochs,
            hosted=not local and endpoint == host(OPENAI),
            price=(lambda _: 0.0) if local else None,
        )

    def mend(self, data: Any, method: str, options: JobOptions = JobOptions()) -> Mended:
        """Write a mended copy of some data (see `openai_magics.training.mend.mend`)."""
        source, validation = self.both(data, options)
        return mend(source, method, validation)

    def both(self, data: Any, options: JobOptions) -> tuple[Source, Source | None]:
        """Return training and validation data."""
        source = self.source(data, options)
        if options.split is not None:
            return split(source, options.split, options.seed or 0)
        if options.validation is None:
            return source, None
        return source, self.source(options.validation, replace(options, name="validation"))

    def target(self, options: JobOptions) -> Target | None:
        """Return where a job would go; ``None`` where it cannot be told without asking."""
        try:
            return choose(self.settings, options.model, options.base_url, given=self.live.key)
        except (NotConnected, SettingError):
            return None
