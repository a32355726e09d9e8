"""Connections of the sync client: as many as there are requests at once, used again, never shared."""

from __future__ import annotations

import asyncio
import gc
import gzip
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from openai_magics.client import lanes
from openai_magics.errors import ServiceError
from openai_magics.exchange import Request
from tests.scripted import ScriptedServer, answer, failures
from tests.server.ways import live, until

ASKED = Request(model="gpt-4o", messages=({"role": "user", "content": "Hello"},))


def opened(server: ScriptedServer) -> int:
    """Return how many connections have been opened to the server that are still open."""
    return len(server._open)


def test_each_request_has_its_own(scripted: ScriptedServer) -> None:
    """Eight at once open eight connections; the next eight open no other."""
    sender = live(scripted)
    for number in (1, 2):
        gate = threading.Event()
        scripted.script.always(answer("Fine.", hold=gate))
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(sender.send, ASKED) for _ in range(8)]
            asyncio.run(until(lambda most=8 * number: len(scripted.requests) == most))  # type: ignore[misc]
            gate.set()
            assert {one.result(60).text for one in asked} == {"Fine."}
        assert opened(scripted) == 8


def test_one_that_broke_is_made_anew(scripted: ScriptedServer) -> None:
    """A request whose connection breaks is asked again over another one."""
    scripted.script.then(answer("One."), failures.reset(), answer("Two."))
    sender = live(scripted, retries=1)
    assert [sender.send(ASKED).text for _ in range(2)] == ["One.", "Two."]
    assert opened(scripted) == 1


def test_one_that_was_interrupted_is_left(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop while a connection is given back: no later request waits for it, or takes it."""

    def stopped(self: object) -> None:
        raise KeyboardInterrupt

    transport, url = lanes.Lanes(), f"{scripted.base_url}/models"
    with httpx2.Client(transport=transport, timeout=60) as client:
        with monkeypatch.context() as patched:
            patched.setattr(lanes._Answer, "close", stopped)
            with pytest.raises(KeyboardInterrupt):
                client.get(url)
        assert not transport._idle
        assert client.get(url).status_code == 200
        assert len(transport._idle) == 1


def test_one_that_is_not_free_is_passed_over(scripted: ScriptedServer) -> None:
    """A connection in the stack whose answer was not read, by whatever mishap, holds nobody up."""
    transport = lanes.Lanes()
    url = httpx2.URL(f"{scripted.base_url}/models")
    with httpx2.Client(transport=transport, timeout=60) as client:
        lane = transport._taken(url)
        lane.asked(client.build_request("GET", url))
        transport._idle.append((time.monotonic(), lane))
        assert client.get(url).status_code == 200
        assert lane not in [each for _, each in transport._idle]


def test_one_that_nobody_takes_is_closed(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a minute without a request; here at once."""
    monkeypatch.setattr(lanes, "IDLE", -1.0)
    scripted.script.always("Fine.")
    transport = lanes.Lanes()
    with httpx2.Client(transport=transport) as client:
        for _ in range(3):
            assert client.get(f"{scripted.base_url}/models").status_code == 200
        assert len(transport._idle) == 1
    assert not transport._idle


def test_a_proxy_is_heeded(scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment sets one, the request goes there, whatever its host."""
    scripted.script.always("By proxy.")
    monkeypatch.setenv("HTTP_PROXY", scripted.base_url.removesuffix("/v1"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    sender = live(scripted)
    sender.settings.arguments["base_url"] = "http://service.example/v1"
    with pytest.raises(ServiceError, match="Invalid URL"):
        sender.send(ASKED)
    assert "service.example" in scripted.requests[-1].path
    scripted.take_problems()


# --- as the client's own transport

HEAD = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    "of a length": HEAD + b"Content-Length: 5\r\nX-One: a\r\nX-ONE: b\r\n\r\nFine.",
    "of no length": HEAD + b"\r\nFine.",
    "of an older server": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nFine.",
    "in chunks": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n3\r\nFin\r\n2;x=y\r\ne.\r\n0\r\nX-After: 1\r\n\r\n",
    "packed": HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"Fine."),
    "packed, and damaged": HEAD + b"Content-Encoding: gzip\r\n\r\nFine.",
    "none": b"HTTP/1.1 204 No Content\r\n\r\n",
    "with odd words": "HTTP/1.1 418 Caf\u00e9\r\nX-Name: \u00e9\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n".encode(
        "latin-1"
    ),
    "after others": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
    + HEAD
    + b"Content-Length: 5\r\n\r\nFine.",
    "cut off": HEAD + b"Content-Length: 9\r\n\r\nFine.",
    "cut off in chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nFin",
    "cut off between chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nFin\r\n",
    "no answer": b"",
}


@contextmanager
def raw(
    answer: bytes, ends: tuple[bytes, ...] = (b"END", b"0\r\n\r\n")
) -> Iterator[tuple[str, list[bytes]]]:
    """Answer each connection with *answer* and close it; yield the address and what was asked.

    What is asked is whole once it *ends* so.
    """
    asked: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                came = b""
                while not (came and came.endswith(ends)):
                    came += connection.recv(65_536)
                asked.append(came)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1/x?a=%20b", asked
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def told(transport: httpx2.BaseTransport, address: str, content: object = b"END") -> list[object]:
    """Return what comes of a request, or how it fails and what is said of that."""
    with httpx2.Client(transport=transport, trust_env=False) as client:
        try:
            response = client.post(address, content=content, timeout=60)  # type: ignore[arg-type]
        except httpx2.HTTPError as error:
            return [type(error), str(error)]
    headers = [(name.lower(), value) for name, value in response.headers.raw]
    return [response.status_code, response.reason_phrase, headers, response.content]


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_as_by_the_client(name: str) -> None:
    """Whole or cut off, in whatever form: the same response, or the same failure."""
    with raw(ANSWERS[name]) as (address, asked):
        ours, its = told(lanes.Lanes(), address), told(httpx2.HTTPTransport(), address)
    assert ours == its
    assert len(asked) == 2


def test_what_is_no_http() -> None:
    """Another protocol on that port is a failure that tells its first words."""
    with raw(b"SSH-2.0-OpenSSH_9.6\r\n") as (address, _):
        ours, its = told(lanes.Lanes(), address), told(httpx2.HTTPTransport(), address)
    assert ours[0] is its[0] is httpx2.RemoteProtocolError
    assert "SSH-2.0-OpenSSH_9.6" in str(ours[1])


@pytest.mark.parametrize("kind", ["short", "long", "in pieces"])
def test_a_request_is_sent_as_by_the_client(kind: str) -> None:
    """Its line, its headers in their order, and its body, whatever its size or source."""

    def body() -> object:
        pieces = [b"a" * 70_000, b"b" * 70_000, b"END"]
        return {"short": b"END", "long": b"".join(pieces), "in pieces": iter(pieces)}[kind]

    with raw(ANSWERS["of a length"]) as (address, asked):
        told(lanes.Lanes(), address, body())
        told(httpx2.HTTPTransport(), address, body())
    assert asked[0] == asked[1]


def test_a_header_that_is_none() -> None:
    """A line without a colon fails at once, as by the client: the length after it is not known."""
    with raw(HEAD + b"X-Odd line\r\nContent-Length: 5\r\n\r\nFine.") as (address, _):
        ours, its = told(lanes.Lanes(), address), told(httpx2.HTTPTransport(), address)
    assert ours[0] is its[0] is httpx2.RemoteProtocolError
    assert "illegal header line" in str(ours[1])


def test_certificates_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be made is thrown away without a further complaint."""
    (tmp_path / "none.pem").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an exception that nobody catches in __del__ is one
        with pytest.raises(OSError, match=r"(?i)certificate|PEM|SSL"):
            lanes.Lanes()
        gc.collect()


def test_a_server_without_tls() -> None:
    """It fails as by the client."""
    with raw(b"HTTP/1.1 400 Bad Request\r\n\r\n", ends=(b"",)) as (address, _):
        where = address.replace("http:", "https:")
        ours, its = told(lanes.Lanes(), where), told(httpx2.HTTPTransport(), where)
    assert ours == its
    assert ours[0] is httpx2.ConnectError


def test_nobody_listens() -> None:
    """It fails as by the client."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        where = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    assert told(lanes.Lanes(), where) == told(httpx2.HTTPTransport(), where)


def test_one_that_the_server_closed_meanwhile() -> None:
    """Another one is opened, and the request does not fail."""
    with (
        raw(ANSWERS["of a length"]) as (address, asked),
        httpx2.Client(transport=(transport := lanes.Lanes())) as client,
    ):
        for _ in range(3):
            assert client.post(address, content=b"END").text == "Fine."
            asyncio.run(until(lambda: not transport._idle[-1][1].open))
            assert len(transport._idle) == 1
    assert len(asked) == 3
