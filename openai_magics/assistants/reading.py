"""What a session does with assistants; every step of it is an exchange of the dialogue file.

The request of a step (kind ``assistant``) says what was typed: ``action``, ``name`` and the
fields. Its payload is the set-up that came of it (``assistant``, ``texts``, ``version``), so
that a replay shows and uses the same without any file of assistants, and writes none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openai_magics.assistants import remote, roster
from openai_magics.assistants.assistant import Assistant
from openai_magics.assistants.lookup import lookup
from openai_magics.client import Live
from openai_magics.config import Settings
from openai_magics.errors import OptionError
from openai_magics.exchange import Reply, Request
from openai_magics.turns import Asking, Turns

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Reading", "Step"]


@dataclass(frozen=True)
class Step:
    """What came of a step: the assistant, if one did, and what is to be said."""

    assistant: Assistant | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Step:
        """Return the step of a record."""
        held = Assistant.from_payload(payload) if payload.get("assistant") else None
        return cls(held, tuple(payload.get("notes") or ()))


class Reading:
    """Listing, showing and using assistants; ``current`` is the one in use."""

    def __init__(self, settings: Settings, turns: Turns, live: Live) -> None:
        self.settings, self.turns, self.live = settings, turns, live
        self.current: Assistant | None = None

    # --- looking

    def listing(self, *, fresh: bool = False, mode: str | None = None) -> tuple[pd.DataFrame, str]:
        """Return all assistants as a DataFrame, and what is to be said of it in a line."""
        from openai_magics.assistants import frame

        local, far = (self.turns.run(one) for one in self._listings(fresh=fresh, mode=mode))
        return frame.assistants_frame(local.payload, far.payload), remote.note(far.payload)

    async def alisting(
        self, *, fresh: bool = False, mode: str | None = None
    ) -> tuple[pd.DataFrame, str]:
        """As `listing`, without blocking the event loop."""
        from openai_magics.assistants import frame

        local, far = [await self.turns.arun(one) for one in self._listings(fresh=fresh, mode=mode)]
        return frame.assistants_frame(local.payload, far.payload), remote.note(far.payload)

    def _listings(self, *, fresh: bool, mode: str | None) -> tuple[Asking, Asking]:
        endpoint = self.settings.said("base_url")
        here = Request(kind="assistants", parameters={"where": "here"})
        far = Request(kind="assistants", endpoint=endpoint)
        look = lookup(
            lambda listener: remote.listed(self.live, endpoint, listener),
            _nothing,
            remote.settled,
        )
        return (
            Asking(here, mode=mode, answers=lookup(lambda _: self._kept_here(), _nothing)),
            Asking(far, fresh=fresh, mode=mode, answers=look),
        )

    def _kept_here(self) -> Reply | None:
        held = roster.stores(self.settings)
        if not any(store.path.exists() for store in held):
            return None
        rows = []
        for store in held:
            for item in store.all():
                try:
                    version = item.with_texts(store.path.parent).version
                except OptionError:  # a file that is gone
                    version = None
                rows.append({"where": store.where, "entry": item.to_entry(), "version": version})
        return Reply(payload={"data": rows})

    def use(self, name: str) -> Step:
        """Ask as an assistant from now on.

        Raises
        ------
        OptionError
            There is none of that name or id, or several have the name.
        AssistantsError
            The file of assistants cannot be read.
        ReplayMiss, DialogueError
            As `Session.ask`.
        """
        return self._in_use(self._read("use", name))

    def show(self, name: str) -> Step:
        """Return an assistant without using it; raises as `use`."""
        return self._read("show", name)

    def _read(self, action: str, name: str) -> Step:
        def look() -> Step | None:
            found = roster.find(roster.stores(self.settings), name)
            if found is None:
                return None
            store, assistant = found
            return Step(assistant.with_texts(store.path.parent))

        return self._step(action, name, {}, look)

    def _step(
        self,
        action: str,
        name: str,
        said: Mapping[str, Any],
        look: Callable[[], Step | None],
    ) -> Step:
        """Carry out a step where it may be, record what came of it, and return that."""

        def answer(_: object) -> Reply | None:
            step = look()
            if step is None:
                return None
            held = step.assistant.to_payload() if step.assistant else {}
            return Reply(payload={**held, "notes": list(step.notes)})

        def missing() -> Reply:
            raise roster.unknown(roster.stores(self.settings), name)

        parameters: dict[str, Any] = {"action": action, "name": name}
        parameters |= {key: value for key, value in said.items() if value}
        asking = Asking(
            Request(kind="assistant", parameters=parameters),
            answers=lookup(answer, missing),
        )
        return Step.of(self.turns.run(asking).payload)

    def _in_use(self, step: Step) -> Step:
        self.current = step.assistant
        return step


def _nothing() -> Reply:
    return Reply(payload={"data": []})
