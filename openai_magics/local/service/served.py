"""Servers of tuned models: one for each that is asked, started on demand, a few at a time.

A server of its own for each adapter: switching adapters on one server between requests gives
answers of the other one (llama.cpp #26207).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from openai_magics.errors import EngineError
from openai_magics.local import process
from openai_magics.local.jobs.create import Refused
from openai_magics.local.jobs.models import Tuned

__all__ = ["MOST", "Servers"]

MOST = 2
"""Servers of tuned models at a time; each holds its model in memory."""


class Servers:
    """The servers that are up, the one that was asked last at the end."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._up: dict[str, process.Child] = {}
        self._busy: dict[str, int] = {}
        self._turn = asyncio.Condition()

    @asynccontextmanager
    async def reach(self, model: Tuned) -> AsyncIterator[process.Engine]:
        """Give the engine that serves *model*, kept up as long as the block lasts.

        Raises
        ------
        Refused
            It cannot be started.
        """
        async with self._turn:
            await self._turn.wait_for(lambda: self._room(model.name))
            child = self._up.pop(model.name, None)
            if child is None or not child.alive:
                await self._make_room()
                child = await asyncio.to_thread(_start, model)
            self._up[model.name] = child
            self._busy[model.name] = self._busy.get(model.name, 0) + 1
        try:
            yield child.engine
        finally:
            async with self._turn:
                self._busy[model.name] -= 1
                self._turn.notify_all()

    async def stop(self, model: str | None = None) -> None:
        """End the server of a model (and of its checkpoints), or all of them."""
        async with self._turn:
            for name in [each for each in self._up if model is None or each.startswith(model)]:
                await asyncio.to_thread(self._up.pop(name).stop)

    def _room(self, name: str) -> bool:
        """Whether the server is up, there is room for it, or another one is idle."""
        idle = [each for each in self._up if not self._busy.get(each)]
        return name in self._up or len(self._up) < self.most or bool(idle)

    async def _make_room(self) -> None:
        while len(self._up) >= self.most:
            # The first is the one that has not been asked for longest.
            idle = next(each for each in self._up if not self._busy.get(each))
            await asyncio.to_thread(self._up.pop(idle).stop)


def _start(model: Tuned) -> process.Child:
    base = Path(model.base["path"])
    if not base.is_file():
        raise Refused(
            404,
            f"{model.name} was tuned from {base}, which is not there any more.",
            "model_not_available",
            "model",
        )
    try:
        return process.start(base, name=model.name, adapter=model.adapter)
    except EngineError as error:
        raise Refused(404, str(error), "model_not_available", "model") from None
