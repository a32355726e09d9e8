"""Connections for many requests at once: each request has one to itself, the last used first.

The client's own pool looks at every idle connection at each request, with a call of the system
that gives Python's lock away: of 32 threads each waits for all others 32 times. Here a request
takes the connection that was given back last and looks at that one only, whatever their number.

An interrupt may come at any line of the client, also while it gives a connection back: a lane that
was interrupted is left to itself, and one whose connection is not free is passed over. To wait for
it would be to wait for ever.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator

import httpx2

__all__ = ["Lanes"]

IDLE = 60.0
"""Seconds after which a connection that nobody took is closed."""
ONE = httpx2.Limits(max_connections=1, max_keepalive_connections=1)


class Lanes(httpx2.BaseTransport):
    """A transport that keeps a stack of connections, without limit to their number.

    It uses no proxy. How servers are trusted is read from the environment once (``SSL_CERT_FILE``).
    """

    def __init__(self) -> None:
        self._trust = httpx2.create_ssl_context()
        self._idle: deque[tuple[float, httpx2.HTTPTransport]] = deque()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        waits = {**request.extensions.get("timeout", {}), "pool": 0.0}
        request.extensions = {**request.extensions, "timeout": waits}
        while True:
            lane = self._taken()
            try:
                return self._sent(lane, request)
            except httpx2.PoolTimeout:
                continue

    def _sent(self, lane: httpx2.HTTPTransport, request: httpx2.Request) -> httpx2.Response:
        def back() -> None:
            self._idle.append((time.monotonic(), lane))

        try:
            response = lane.handle_request(request)
        except httpx2.PoolTimeout:
            raise
        except Exception:
            back()  # the lane has closed its connection, and makes another for the next request
            raise
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _Body(response.stream, back)
        return response

    def _taken(self) -> httpx2.HTTPTransport:
        longest = time.monotonic() - IDLE
        try:
            while self._idle[0][0] < longest:
                self._idle.popleft()[1].close()
            return self._idle.pop()[1]
        except IndexError:  # there is none, or another thread has taken it
            return httpx2.HTTPTransport(verify=self._trust, limits=ONE)

    def close(self) -> None:
        """Close the connections that no request has."""
        while self._idle:
            self._idle.pop()[1].close()

    def __del__(self) -> None:
        self.close()


class _Body(httpx2.SyncByteStream):
    """The body of a response, which gives its connection back when it is closed."""

    def __init__(self, body: httpx2.SyncByteStream, back: Callable[[], None]) -> None:
        self._body = body
        self._back: Callable[[], None] | None = back

    def __iter__(self) -> Iterator[bytes]:
        yield from self._body

    def close(self) -> None:
        back, self._back = self._back, None
        self._body.close()
        if back is not None:
            back()
