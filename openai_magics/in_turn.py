"""Asks of an event loop in the order in which they were made, though their images are read first.

An image is known by the hash of its bytes: of a large file that takes a tenth of a second, so it
is done in a thread. Meanwhile later asks wait, and so do those without images: each finds the
conversation as it was when it was made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from openai_magics.asked import AskOptions

__all__ = ["InTurn"]


class InTurn:
    """Reads the images of asks, one ask after the other in each event loop."""

    def __init__(self) -> None:
        self._locks: WeakKeyDictionary[Any, asyncio.Lock] = WeakKeyDictionary()

    async def read(
        self, message: str | Sequence[Any], options: AskOptions
    ) -> tuple[str | Sequence[Any], AskOptions]:
        """Return what was given, its images read.

        Who goes on without another ``await`` comes before all who asked later.

        Raises
        ------
        OptionError
            One of them is no image, or cannot be read.
        """
        if not self._locks and not _to_read(message, options):
            return message, options  # nobody reads, so nobody is waited for
        lock = self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with lock:
            if isinstance(message, (list, tuple)):
                message = [one if isinstance(one, str) else await _read(one) for one in message]
            if _images(options):
                options = replace(options, images=await _read(options.images))
        return message, options


def _to_read(message: str | Sequence[Any], options: AskOptions) -> bool:
    parts = message if isinstance(message, (list, tuple)) else ()
    return _images(options) or not all(isinstance(part, str) for part in parts)


def _images(options: AskOptions) -> bool:
    return not isinstance(options.images, (list, tuple)) or bool(options.images)


async def _read(spec: Any) -> list[Any]:
    from openai_magics.images.attached import attached

    items = attached(spec)
    figures = [item for item in items if item.source.kind == "figure"]
    _ = [item.said for item in figures]  # no other thread may draw meanwhile
    await asyncio.to_thread(lambda: [item.said for item in items])
    return items
