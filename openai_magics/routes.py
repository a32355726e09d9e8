"""Where requests go that are not asks: a kind → its route, what is sent there, how it is read.

Paths and shapes are those of OpenAI's API description (``/models``, ``/files``,
``/fine_tuning/jobs``). Of a request's ``parameters`` those that its path names go into the
path; the others are the query of a GET, the JSON body of a POST, or the fields of a form
beside the file (`Request.upload`).
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from openai_magics.calls import Listener, bar
from openai_magics.errors import OptionError
from openai_magics.exchange import Request, Resolved
from openai_magics.wire import answers, bodies

__all__ = ["ROUTES", "Route", "call", "read"]

PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Route:
    """A route of the API.

    ``form`` sends the request's upload as multipart form data; ``model`` puts the model that was
    resolved into the body; ``content`` means that a file's bytes are answered, not JSON;
    ``headers`` are sent besides.
    """

    path: str
    method: str = "get"
    form: bool = False
    model: bool = False
    content: bool = False
    once: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


ASSISTANTS = {"OpenAI-Beta": "assistants=v2"}
JOB = "/fine_tuning/jobs/{job}"
ROUTES: Mapping[str, Route] = {
    "models": Route("/models"),
    "files": Route("/files"),
    "file": Route("/files", "post", form=True),
    "content": Route("/files/{file}/content", content=True),
    "train": Route("/fine_tuning/jobs", "post", model=True, once=True),
    "jobs": Route("/fine_tuning/jobs"),
    "job": Route(JOB),
    "events": Route(f"{JOB}/events"),
    "checkpoints": Route(f"{JOB}/checkpoints"),
    "cancel": Route(f"{JOB}/cancel", "post"),
    "pause": Route(f"{JOB}/pause", "post"),
    "resume": Route(f"{JOB}/resume", "post"),
    "assistants": Route("/assistants", headers=ASSISTANTS),
    "remote_assistant": Route("/assistants/{assistant}", headers=ASSISTANTS),
}
"""The kinds of request that are no asks."""


def call(
    route: Route, request: Request, resolved: Resolved, listener: Listener
) -> tuple[str, dict[str, Any]]:
    """Return the path, and what else the client's ``get`` or ``post`` is to be called with."""
    given = dict(resolved.parameters)
    path = PLACE.sub(lambda match: quote(str(given.pop(match[1])), safe=""), route.path)
    if route.method == "get":
        options: dict[str, Any] = {"params": given} if given else {}
        if route.headers:
            options["headers"] = dict(route.headers)
        return path, {"options": options} if options else {}
    if route.form:
        name = str(given.pop("filename", "data"))
        file = Progress(_opened(request.upload), listener, name)
        return path, {
            "body": {key: value for key, value in given.items() if key not in TOLD},
            "files": {"file": (name, file, "application/octet-stream")},
            "options": {"headers": {"Content-Type": "multipart/form-data"}},
        }
    if route.model:
        given = {"model": resolved.model, **given}
    if not given:
        return path, {}
    return path, {
        "content": bodies.encode(given),
        "options": {"headers": {"Content-Type": "application/json"}},
    }


TOLD = ("sha256", "bytes")
"""What a request for an upload says of the file; its fingerprint has it, the form does not."""


def read(route: Route, content: bytes, content_type: str) -> Any:
    """Return an answer as plain JSON values; a file's bytes as ``{"content": text}``.

    Raises
    ------
    BadReply
        It is none.
    """
    if not route.content:
        return answers.listing(content, content_type)
    return {"content": _text(content)}


def _text(content: bytes) -> str:
    """Return a file's text; OpenAI sends its result files in base64 at times."""
    stripped = b"".join(content.split())
    if stripped and len(stripped) % 4 == 0 and b"," not in content:
        with suppress(ValueError):
            return base64.b64decode(stripped, validate=True).decode("utf-8-sig")
    return content.decode("utf-8-sig", "replace")


def _opened(upload: Path | bytes | None) -> BinaryIO:
    if upload is None:
        raise OptionError("There is no file to upload.", "Give the data again.")
    if isinstance(upload, bytes):
        return io.BytesIO(upload)
    try:
        return upload.open("rb")
    except OSError as error:
        raise OptionError(
            f"{upload} cannot be read: {error.strerror or error}.", "Nothing was uploaded."
        ) from error


class Progress(io.RawIOBase):
    """A file that tells how much of it was read."""

    def __init__(self, file: BinaryIO, listener: Listener, label: str) -> None:
        super().__init__()
        self._file, self._listener = file, listener
        self._label = f"Uploading {label}"
        self._size = file.seek(0, io.SEEK_END)
        self._told = -1
        file.seek(0)

    def read(self, size: int = -1) -> bytes:
        """Read, and tell of each new percent."""
        data = self._file.read(size)
        done = self._file.tell()
        percent = 100 * done // self._size if self._size else 100
        if not data:
            self._listener.notice("")
        elif percent != self._told:
            self._told = percent
            self._listener.notice(bar(self._label, done, self._size))
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place in the file."""
        return self._file.tell()

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
