"""HTTP/1.1 over asyncio streams: read a request, carry out a plan.

Written out rather than taken from ``http.server``, since a plan may want what a well-behaved
server cannot do (a wrong length, a reset in the middle), and since a benchmark should measure
the client: a request costs some 0.2 ms, there and back, and a chunk of a stream some 4 µs.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.parser
import email.policy
import socket
import struct
from http import HTTPStatus
from typing import Any

from tests.scripted.wire import Ending, Pause, Plan, Request, Upload

GLANCE = 0.02
STANDARD = {
    "openai-organization": "org-scripted",
    "openai-processing-ms": "12",
    "openai-version": "2020-10-01",
    "x-ratelimit-limit-requests": "5000",
    "x-ratelimit-limit-tokens": "160000",
    "x-ratelimit-remaining-requests": "4999",
    "x-ratelimit-remaining-tokens": "159976",
    "x-ratelimit-reset-requests": "12ms",
    "x-ratelimit-reset-tokens": "6m0s",
}
PHRASES = {status.value: status.phrase for status in HTTPStatus}
FROM_THE_SERVICE = ("application/json", "text/event-stream", "application/octet-stream")


async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """Return the next request of a connection, or None when there is none."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, path, _ = first.split(" ", 2)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(0, method, path, {}, headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(parts)


async def send(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, plan: Plan, number: int
) -> bool:
    """Carry out *plan*; return False when the client went away before it was done."""
    if plan.before is not None and not await _wait(reader, plan.before):
        return False
    if plan.status is not None and not await _send_all(reader, writer, plan, number):
        return False
    if plan.ending is Ending.HANG:
        return await _wait(reader, Pause(float("inf")))
    if plan.ending is Ending.RESET:
        await asyncio.sleep(GLANCE)  # a reset overtakes what the client has not read yet
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    elif plan.ending is Ending.CLOSE:
        writer.close()
    return True


async def _send_all(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, plan: Plan, number: int
) -> bool:
    pieces = list(plan.pieces)
    waiting = [_head(plan, pieces, number)]
    for piece in pieces:
        if isinstance(piece, bytes):
            waiting.append(b"%x\r\n%b\r\n" % (len(piece), piece) if plan.chunked else piece)
            continue
        writer.write(b"".join(waiting))
        waiting.clear()
        await writer.drain()
        if not await _wait(reader, piece):
            return False
    if plan.chunked and plan.complete:
        waiting.append(b"0\r\n\r\n")
    writer.write(b"".join(waiting))
    await writer.drain()
    return True


def _head(plan: Plan, pieces: list[bytes | Pause], number: int) -> bytes:
    given = dict(plan.headers)
    headers: dict[str, Any] = {}
    if given.get("content-type", "").partition(";")[0] in FROM_THE_SERVICE:
        headers = {**STANDARD, "x-request-id": f"req_{number:032x}"}
    headers |= given
    if plan.chunked:
        headers["transfer-encoding"] = "chunked"
    else:
        size = sum(len(piece) for piece in pieces if isinstance(piece, bytes))
        headers["content-length"] = size if plan.length is None else plan.length
    status = plan.status or 0
    lines = [f"HTTP/1.1 {status} {PHRASES.get(status, '')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _wait(reader: asyncio.StreamReader, pause: Pause) -> bool:
    """Wait, looking up now and then; return False as soon as the client has gone."""
    left = pause.seconds
    while left > 0:
        await asyncio.sleep(left if left < 10 * GLANCE else GLANCE)
        left -= GLANCE if left >= 10 * GLANCE else left
        if reader.at_eof() or reader.exception() is not None:
            return False
    while pause.until is not None and not pause.until.is_set():
        await asyncio.sleep(GLANCE / 10)
        if reader.at_eof() or reader.exception() is not None:
            return False
    return True


def form(content_type: str, body: bytes) -> dict[str, Any]:
    """Return the fields of a multipart form; ``a[b]`` becomes a mapping, a number an int."""
    head = f"content-type: {content_type}\r\n\r\n".encode()
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    fields: dict[str, Any] = {}
    for part in parser.parsebytes(head + body).iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        filename = part.get_filename()
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        if filename is not None:
            fields[name] = Upload(filename, content)
            continue
        value: Any = content.decode()
        with contextlib.suppress(ValueError):
            value = int(value)
        outer, _, inner = name.partition("[")
        if inner:
            fields.setdefault(outer, {})[inner.rstrip("]")] = value
        else:
            fields[name] = value
    return fields
