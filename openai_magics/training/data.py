"""The data of a session's jobs: what it is, where it would go, and what is wrong with it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from openai_magics.client import Live
from openai_magics.config import Settings
from openai_magics.connection import Target, choose
from openai_magics.errors import NotConnected, SettingError
from openai_magics.training.check import Check, check
from openai_magics.training.job import JobOptions, method_checked
from openai_magics.training.material import split
from openai_magics.training.mend import Mended, mend
from openai_magics.training.sources import Source, source_of
from openai_magics.training.terms import own_counter, terms

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

    def looked(self, data: Any, options: JobOptions = JobOptions(), *, own: bool = True) -> Check:
        """Find what is wrong with training data, anew; nothing is sent.

        *own* is whether a model of this machine is asked for its tokens, which starts a process.

        Raises
        ------
        OptionError
            The data cannot be read.
        """
        source, validation = self.both(data, options)
        held = terms(self.settings, options, self.target(options))
        with own_counter(held) if own else nullcontext() as counter:
            return check(
                source,
                validation,
                method=method_checked(options.method),
                model="local" if held.local else held.model,
                epochs=options.epochs or held.epochs,
                refused_by=held.refused_by,
                price=held.price,
                own=counter,
                where=held.where,
                retires=held.retires,
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
