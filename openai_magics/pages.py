"""A listing whole, whatever pages the server cuts it into: one request, one record.

OpenAI's listings answer ``{"data": […], "has_more": true}`` and take ``limit`` and ``after``,
the id of the last item seen (``ListPaginatedFineTuningJobsResponse``, ``ListFilesResponse``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from openai_magics.calls import Listener
from openai_magics.exchange import Reply, Request
from openai_magics.replay import Sender

__all__ = ["Pages"]

PAGE = 100
"""Items asked for at once; servers that cap it lower are followed by their ``has_more``."""
MOST = 10_000
"""Pages: a server that repeats itself for ever is not listened to for ever."""


class Pages:
    """The sender that asks for every page and gives them as one listing.

    Parameters
    ----------
    live : Sender
        Asks for a page.
    limit : int, optional
        Stop at so many items; all by default.
    """

    def __init__(self, live: Sender, limit: int | None = None) -> None:
        self.live = live
        self.limit = limit

    def send(self, request: Request, listener: Listener = Listener()) -> Reply:
        """Return the listing.

        Raises
        ------
        NotConnected, ServiceError, Interrupted
            As `Live.send`.
        """
        held: list[Any] = []
        for _ in range(MOST):
            reply = self.live.send(self._page(request, held), listener)
            if self._last(reply.payload, held):
                break
        return self._whole(reply, held)

    async def asend(self, request: Request, listener: Listener = Listener()) -> Reply:
        """As `send`, without blocking the event loop."""
        held: list[Any] = []
        for _ in range(MOST):
            reply = await self.live.asend(self._page(request, held), listener)
            if self._last(reply.payload, held):
                break
        return self._whole(reply, held)

    @staticmethod
    def _page(request: Request, held: list[Any]) -> Request:
        after = {"after": held[-1]["id"]} if held else {}
        return replace(request, parameters={**request.parameters, "limit": PAGE, **after})

    def _last(self, payload: Mapping[str, Any], held: list[Any]) -> bool:
        """Take the items of a page; return whether it is the last one needed."""
        seen = {item["id"] for item in held}
        data = payload.get("data")
        new = [
            item
            for item in (data if isinstance(data, list) else ())
            if isinstance(item, dict) and isinstance(item.get("id"), str) and item["id"] not in seen
        ]
        held.extend(new)
        enough = self.limit is not None and len(held) >= self.limit
        return enough or not new or not payload.get("has_more")

    def _whole(self, reply: Reply, held: list[Any]) -> Reply:
        whole = {"object": "list", "data": held[: self.limit], "has_more": False}
        return replace(reply, payload=whole)
