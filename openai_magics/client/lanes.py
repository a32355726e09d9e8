"""Connections for many requests at once: each request has one to itself, the last used first.

The client's own pool looks at every idle connection at each request, with a call of the system
that gives Python's lock away: of 32 threads each waits for all others 32 times. Here a request
takes the connection that was given back last and looks at that one only, whatever their number.

HTTP/1.1 is spoken by `http.client`, most of which is not Python's own code: a request takes a third
of the time that it takes by the client's transport, and holds Python's lock as much shorter.
"""

from __future__ import annotations

import http.client
import select
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx2

__all__ = ["Lanes"]

IDLE = 60.0
"""Seconds after which a connection that nobody took is closed."""
AT_ONCE = 64 * 1024
"""Bytes that are read at once, and up to which a body is sent together with its head."""
FAILURES = {
    "connect": (httpx2.ConnectTimeout, httpx2.ConnectError),
    "write": (httpx2.WriteTimeout, httpx2.WriteError),
    "read": (httpx2.ReadTimeout, httpx2.ReadError),
}
"""What is raised where a step took too long, and where it failed."""
CUT_OFF = "peer closed connection without sending complete message body"

Made = TypeVar("Made")
Origin = tuple[str, str, int | None]
"""Scheme, host and port (``None``: that of the scheme)."""


class Lanes(httpx2.BaseTransport):
    """A transport that keeps a stack of connections, without limit to their number.

    It uses no proxy. How servers are trusted is read from the environment once (``SSL_CERT_FILE``).
    """

    def __init__(self) -> None:
        self._idle: deque[tuple[float, _Lane]] = deque()
        self._trust = httpx2.create_ssl_context()
        self._trust.set_alpn_protocols(["http/1.1"])

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        lane = self._taken(request.url)
        try:
            answer = lane.asked(request)
        except BaseException:
            lane.close()
            raise
        headers = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in answer.headers.items()
        ]
        return httpx2.Response(
            answer.status,
            headers=headers,
            stream=_Body(lane, answer, lambda: self._idle.append((time.monotonic(), lane))),
            extensions={
                "http_version": b"HTTP/1.0" if answer.version == 10 else b"HTTP/1.1",
                "reason_phrase": answer.reason.encode("latin-1"),
            },
        )

    def _taken(self, url: httpx2.URL) -> _Lane:
        origin = url.scheme, url.raw_host.decode("ascii"), url.port
        longest = time.monotonic() - IDLE
        try:
            while self._idle[0][0] < longest:
                self._idle.popleft()[1].close()
            while True:
                lane = self._idle.pop()[1]
                if lane.origin == origin and lane.open:
                    return lane
                lane.close()
        except IndexError:  # there is none, or another thread has taken it
            return _Lane(origin, self._trust)

    def close(self) -> None:
        """Close the connections that no request has."""
        while self._idle:
            self._idle.pop()[1].close()

    def __del__(self) -> None:
        self.close()


class _Answer(http.client.HTTPResponse):
    """A response, without those that come before it and say that it will come (``103``)."""

    def begin(self) -> None:
        super().begin()
        while 100 < self.status < 200 and self.status != http.client.SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()
        if self.headers.defects:  # the headers after it are lost, the length of the body with them
            raise http.client.HTTPException("illegal header line")


class _Gathering(http.client.HTTPConnection):
    """A connection that can send several pieces as one."""

    response_class = _Answer
    gathered: list[Any] | None = None

    def send(self, data: Any) -> None:
        if self.gathered is None:
            super().send(data)
        else:
            self.gathered.append(data)


class _Secure(_Gathering, http.client.HTTPSConnection):
    """The same with TLS."""


class _Lane:
    """A connection to a server, made with the first request.

    Parameters
    ----------
    origin : Origin
    trust : ssl.SSLContext
        How servers are trusted.
    """

    def __init__(self, origin: Origin, trust: ssl.SSLContext) -> None:
        self.origin = origin
        scheme, host, port = origin
        if scheme not in ("http", "https"):
            raise httpx2.UnsupportedProtocol(
                f"Request URL has an unsupported protocol '{scheme}://'."
            )
        host = host.strip("[]")
        self._last: http.client.HTTPResponse | None = None
        self._http: _Gathering = (
            _Secure(host, port or 443, context=trust)
            if scheme == "https"
            else _Gathering(host, port or 80)
        )

    @property
    def open(self) -> bool:
        """Whether its last answer was read, and the server has neither closed it nor said more."""
        if self._http.sock is None or not (self._last is None or self._last.isclosed()):
            return False
        if not hasattr(select, "poll"):  # on Windows
            return not select.select([self._http.sock], [], [], 0)[0]
        poll = select.poll()
        poll.register(self._http.sock, select.POLLIN)
        return not poll.poll(0)

    def asked(self, request: httpx2.Request) -> http.client.HTTPResponse:
        """Send a request; return the response, its body unread.

        Raises
        ------
        httpx2.TransportError
            It failed, as the transport of `httpx2` would tell it.
        """
        times = request.extensions.get("timeout") or {}
        if self._http.sock is None:
            self._http.timeout = times.get("connect")
            _done("connect", self._http.connect)
        whole = True
        self._wait(times.get("write"))
        try:
            _done("write", lambda: self._send(request))
        except httpx2.WriteError:  # a server may refuse a body before it has all of it
            whole = False
        self._wait(times.get("read"))
        self._last = answer = _done("read", self._http.getresponse)
        answer.will_close = answer.will_close or not whole
        return answer

    def _wait(self, seconds: float | None) -> None:
        """Say how long to wait, where that is not what was said before: it is a system call."""
        if self._http.sock.gettimeout() != seconds:
            self._http.sock.settimeout(seconds)

    def _send(self, request: httpx2.Request) -> None:
        connection, body = self._http, request.stream
        assert isinstance(body, httpx2.SyncByteStream)
        path = request.url.raw_path.decode("ascii")
        connection.putrequest(request.method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.raw:
            connection.putheader(name, value)
        size = int(request.headers.get("content-length", "0"))
        chunked = "transfer-encoding" in request.headers
        if chunked or size > AT_ONCE:
            connection.endheaders(iter(body), encode_chunked=chunked)
            return
        pieces: list[Any] = []
        connection.gathered = pieces
        try:
            connection.endheaders()
            pieces += body
        finally:
            connection.gathered = None
        connection.send(b"".join(pieces))

    def close(self) -> None:
        """End it."""
        self._http.close()


class _Body(httpx2.SyncByteStream):
    """The body of a response, which gives its connection back when it was read whole."""

    def __init__(
        self, lane: _Lane, answer: http.client.HTTPResponse, back: Callable[[], None]
    ) -> None:
        self._lane, self._answer = lane, answer
        self._back: Callable[[], None] | None = back
        self._whole = False

    def __iter__(self) -> Iterator[bytes]:
        answer, expected = self._answer, self._answer.length
        while data := _done("read", lambda: answer.read1(AT_ONCE)):
            yield data
        if answer.length:
            assert expected is not None
            came = expected - answer.length
            raise httpx2.RemoteProtocolError(
                f"{CUT_OFF} (received {came} bytes, expected {expected})"
            )
        self._whole = True

    def close(self) -> None:
        back, self._back = self._back, None
        if back is None:
            return
        again = self._whole and not self._answer.will_close
        self._answer.close()
        if again:
            back()
        else:
            self._lane.close()


def _done(step: str, work: Callable[[], Made]) -> Made:
    """Do a step; raise what fails as the transport of `httpx2` does, in its words."""
    late, failed = FAILURES[step]
    problem: httpx2.TransportError
    try:
        return work()
    except http.client.HTTPException as error:
        # Not as its cause: what `http.client` says of it is not told to anybody.
        problem = httpx2.RemoteProtocolError(_said(error))
    except TimeoutError as error:
        problem = late(str(error))
        problem.__cause__ = error
    except OSError as error:
        problem = failed(str(error))
        problem.__cause__ = error
    except ValueError as error:  # of a header
        problem = httpx2.LocalProtocolError(str(error))
    raise problem


def _said(error: http.client.HTTPException) -> str:
    if isinstance(error, http.client.RemoteDisconnected):
        return "Server disconnected without sending a response."
    if isinstance(error, http.client.IncompleteRead):
        return f"{CUT_OFF} (incomplete chunked read)"
    if isinstance(error, http.client.BadStatusLine):
        return f"illegal status line: {error}"
    return str(error)
