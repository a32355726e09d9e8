"""Server-sent events, cut anywhere, to the pieces of an answer.

The event format is that of the WHATWG HTML standard, section 9.2; line ends are bytes, since a
JSON text may hold U+2028.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import Any

from openai_magics.errors import BadReply
from openai_magics.exchange import Reply, Request, joined
from openai_magics.failures import failure
from openai_magics.wire.answers import CUT_OFF, is_error, loads, settled

__all__ = ["EventReader"]


class EventReader(ABC):
    """Server-sent events in, text out; then the whole as a reply.

    A protocol says what an event holds (`_chunk`) and what reply all of them make (`_reply`).
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._text: list[str] = []
        self._head: dict[str, Any] = {}
        self._finish: str | None = None
        self._done = False

    @abstractmethod
    def _chunk(self, chunk: dict[str, Any]) -> Iterator[str]:
        """Take the value of an event; yield the text that it adds."""

    @abstractmethod
    def _reply(self, finish: str) -> Reply:
        """Return what has come as a reply that ended in this way (``cut_off``: it did not)."""

    @property
    def text(self) -> str:
        """What has come so far."""
        return joined("".join(self._text))

    def feed(self, data: bytes) -> Iterator[str]:
        """Take bytes as they come; yield the text that they add.

        Raises
        ------
        BadReply, ServiceError
            A chunk is not one, or carries an error.
        """
        buffer = self._rest + data if self._rest else data
        # A trailing CR may be half of a CRLF.
        hold = len(buffer) - 1 if buffer.endswith(b"\r") else len(buffer)
        lines = buffer[:hold].splitlines(keepends=True)
        self._rest = buffer[hold:]
        if lines and lines[-1][-1:] not in b"\r\n":
            self._rest = lines.pop() + self._rest
        for raw in lines:
            line = raw.rstrip(b"\r\n")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                event, self._data = b"\n".join(self._data), []
                yield from self._event(event)

    def _event(self, event: bytes) -> Iterator[str]:
        if event.strip() == b"[DONE]":
            self._done = True
            return
        if not event.strip():  # to keep the connection alive
            return
        try:
            chunk = loads(event)
        except (ValueError, RecursionError) as error:
            raise BadReply(
                f"The server sent a piece of the answer that is not JSON ({error}).", CUT_OFF
            ) from error
        if isinstance(chunk, dict) and is_error(chunk):
            raise failure(None, {}, chunk)
        try:
            yield from self._chunk(chunk)
        except (AttributeError, TypeError, ValueError) as error:
            raise BadReply(
                "The server sent a piece of the answer that is none.", CUT_OFF
            ) from error

    def end(self) -> Iterator[str]:
        """Take what came after the last blank line; yield the text that it adds.

        Raises
        ------
        BadReply, ServiceError
            As `feed`.
        """
        if self._data:
            event, self._data = b"\n".join(self._data), []
            yield from self._event(event)

    def reply(self, request: Request) -> Reply:
        """Return the whole, after the last byte.

        Raises
        ------
        BadReply
            The stream ended before the answer did; its ``reply`` holds what came.
        ContentRefused, LengthCut
            As in `settled`.
        """
        deque(self.end(), maxlen=0)
        if self._finish is None:
            problem = BadReply(
                "The connection ended before the answer did."
                if self._head or self._done
                else "The server sent an empty stream.",
                CUT_OFF,
            )
            problem.reply = self.partial()
            raise problem
        return settled(self._reply(self._finish), request)

    def partial(self) -> Reply:
        """Return what has come, marked as cut off."""
        return self._reply("cut_off")
