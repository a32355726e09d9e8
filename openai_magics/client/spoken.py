"""Which protocol a request speaks: how it is sent, and how its answer is read."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol, cast

from openai_magics import failures, routes
from openai_magics.calls import Listener
from openai_magics.client.kept import Kept
from openai_magics.client.prepared import Prepared
from openai_magics.exchange import Reply, Request, Resolved
from openai_magics.routes import ROUTES
from openai_magics.wire import bodies, chat, responses
from openai_magics.wire.events import EventReader

__all__ = ["Wire", "reader_of", "start", "whole", "wire_of"]


class Wire(Protocol):
    """What a room of `openai_magics.wire` offers."""

    ROUTE: str
    StreamReader: type[EventReader]

    def body(
        self,
        request: Request,
        resolved: Resolved,
        parts: Mapping[bytes, Mapping[str, Any]] | None = None,
        *,
        stream: bool,
    ) -> dict[str, Any]:
        """Return the JSON body of a request."""

    def reply_of(self, content: bytes, content_type: str, request: Request) -> Reply:
        """Return the reply in a body that was not streamed."""


def wire_of(api: str) -> Wire:
    """Return the room that speaks a protocol (``chat`` or ``responses``)."""
    return cast("Wire", responses if api == "responses" else chat)


def start(kept: Kept, wire: Wire, sent: Prepared, listener: Listener) -> Any:
    """Send the request; return the response (or what awaits it), its body unread."""
    if (route := ROUTES.get(sent.request.kind)) is not None:
        path, given = routes.call(route, sent.request, sent.resolved, listener)
        import httpx2

        return getattr(kept.client, route.method)(path, cast_to=httpx2.Response, **given)
    streamed = listener.on_text is not None
    body = wire.body(sent.request, sent.resolved, sent.parts, stream=streamed)
    return kept.post(wire.ROUTE, bodies.encode(body))


def reader_of(wire: Wire, response: Any) -> EventReader | None:
    """Return the reader of a stream; ``None`` where the body is to be read whole."""
    kind = response.headers.get("content-type", "")
    if response.is_success and "text/event-stream" in kind:
        return wire.StreamReader()
    return None


def whole(wire: Wire, content: bytes, response: Any, request: Request) -> Reply:
    """Return the reply in a body that was read whole.

    Raises
    ------
    ServiceError
        It is none.
    """
    if not response.is_success:
        raise failures.failure(response.status_code, response.headers, content)
    kind = response.headers.get("content-type", "")
    if (route := ROUTES.get(request.kind)) is not None:
        return Reply(payload=routes.read(route, content, kind))
    if content.startswith((b"data:", b"event:")):  # a stream that does not say so
        reader = wire.StreamReader()
        deque(reader.feed(content), maxlen=0)
        return reader.reply(request)
    return wire.reply_of(content, kind, request)
