"""The values that pass between the server, its script and its replies.

A ``Request`` is what was received. A ``Reply`` makes a ``Plan`` of it: status, headers, and the
pieces of the body with the pauses between them, down to how the connection ends. The server
only carries plans out, so whatever can go wrong on a wire is said here, in one value.
"""

from __future__ import annotations

import enum
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.scripted.spec import JSON, Fault

CREATED = 1_790_000_000
Headers = tuple[tuple[str, str], ...]


@dataclass
class Request:
    """One request as it arrived.

    ``path`` is without the prefix (``/v1``, Azure's ``/openai/deployments/...``) and the query,
    ``headers`` have lower-case names, ``json`` is the body parsed (of a multipart form: its
    fields, files as ``Upload``), ``route`` the path's pattern in the API description.
    ``problems`` is what the service would refuse it for; ``delivered`` becomes True when the
    whole reply was sent and False when the client went away before.
    """

    number: int
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""
    json: Any = None
    route: str = ""
    problems: list[Problem] = field(default_factory=list)
    delivered: bool | None = None

    @property
    def operation(self) -> str:
        """The operation's name in the API description: ``"POST /chat/completions"``."""
        return f"{self.method} {self.route}"

    @property
    def streams(self) -> bool:
        """Whether the answer was asked for as a stream."""
        return isinstance(self.json, dict) and self.json.get("stream") is True

    @property
    def fields(self) -> Any:
        """``json`` with files as their names, which is what the API description describes."""
        if not isinstance(self.json, dict):
            return self.json
        files = {k: v.filename for k, v in self.json.items() if isinstance(v, Upload)}
        return {**self.json, **files} if files else self.json

    @property
    def model(self) -> str:
        """The model that was asked."""
        return str(self.json.get("model") or "gpt-4o")

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of a chat completion (or the input of a response, as messages)."""
        given = self.json.get("messages", self.json.get("input", []))
        if isinstance(given, str):
            return [{"role": "user", "content": given}]
        return list(given)

    @property
    def said(self) -> str:
        """The text of the last message of the user's."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return text_of(message["content"])
        return ""


@dataclass(frozen=True)
class Upload:
    """A file of a multipart form."""

    filename: str
    content: bytes


@dataclass(frozen=True)
class Problem:
    """A request that the service would have refused, or a fault in the script itself."""

    request: int
    method: str
    path: str
    fault: Fault

    def __str__(self) -> str:
        """Return one line: which request, and what is wrong with it."""
        return f"request {self.request}, {self.method} {self.path}: {self.fault.message}"


@dataclass(frozen=True)
class Pause:
    """Wait *seconds* and then, if there is one, until the event is set."""

    seconds: float = 0.0
    until: threading.Event | None = None


class Ending(enum.Enum):
    """What happens to the connection after the last piece."""

    KEEP = "kept open for the next request"
    CLOSE = "closed, cleanly as far as TCP is concerned"
    RESET = "reset (RST)"
    HANG = "left open, silent, until the client goes away"


@dataclass(frozen=True)
class Plan:
    """What to send; a reply that is the same to every request.

    The *pieces* go out one after the other, each as a chunk if *chunked*; without *complete* the
    last, empty chunk that says "this was all" is missing. Without a *status* nothing is sent.
    *length* is a Content-Length that need not be true.
    """

    status: int | None = 200
    headers: Headers = ()
    pieces: Iterable[bytes | Pause] = ()
    chunked: bool = False
    complete: bool = True
    length: int | None = None
    before: Pause | None = None
    ending: Ending = Ending.KEEP

    def plan(self, request: Request) -> Plan:  # noqa: ARG002 - the protocol of a Reply
        """Return itself."""
        return self


class Reply(Protocol):
    """What a script gives to a request."""

    def plan(self, request: Request) -> Plan:
        """Return what to send in answer to *request*."""


class Refusal(Exception):
    """Raised by a handler, to answer with *reply* instead."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


@dataclass(frozen=True)
class Custom:
    """A reply made by a function of the request."""

    make: Callable[[Request], Plan]

    def plan(self, request: Request) -> Plan:
        """Return what the function makes of *request*."""
        return self.make(request)


def dumps(value: Any) -> str:
    """Return *value* as JSON, in UTF-8 where it can be, escaped where it has lone surrogates."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text


def as_json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Plan:
    """Return the plan that sends *value* as JSON."""
    given = (("content-type", JSON), *(headers or {}).items())
    return Plan(status, given, (dumps(value).encode(),))


def text_of(content: Any) -> str:
    """Return the text of a message's content, its parts joined."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or ())
