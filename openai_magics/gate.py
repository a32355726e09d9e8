"""A gate before the service: so many requests are on their way at once, and others get ready.

Who does many pieces of work lets more of them be under way than the service is asked at once:
while some wait for it, others read and hash their image or wait for the disk.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from openai_magics.calls import Listener

if TYPE_CHECKING:
    from openai_magics.exchange import Reply, Request
    from openai_magics.replay import Sender

__all__ = ["Gate"]


class Gate:
    """A sender through which *most* requests go at once to another sender.

    Parameters
    ----------
    sender : Sender
        Asks.
    most : int
    """

    def __init__(self, sender: Sender, most: int) -> None:
        self._sender = sender
        self._places = threading.Semaphore(most)

    def send(self, request: Request, listener: Listener = Listener()) -> Reply:
        """Wait for a place, then ask."""
        with self._places:
            return self._sender.send(request, listener)

    async def asend(self, request: Request, listener: Listener = Listener()) -> Reply:
        """Ask at once: a task must not wait for threads."""
        return await self._sender.asend(request, listener)
