"""What is asked: one turn of a notebook, and its fingerprint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from openai_magics.canonical import digest

__all__ = ["SAID", "SAID_PLAINLY", "Attachment", "Message", "Request", "image_parts"]

Message = Mapping[str, Any]
"""One message in the shape of the chat completions API: ``role``, ``content``, …"""


def image_parts(messages: Iterable[Message]) -> list[Mapping[str, Any]]:
    """Return the parts that stand for images in some messages, in order."""
    contents = (message.get("content") for message in messages)
    return [
        part
        for content in contents
        if isinstance(content, (list, tuple))
        for part in content
        if isinstance(part, Mapping) and part.get("type") == "image"
    ]


class Attachment(Protocol):
    """What a part of a message stands for: needed to send it, not to replay it.

    ``said`` is that part, as it is fingerprinted and recorded; ``likeness`` what is compared
    where another machine draws a figure with other pixels (empty for what has an identity of
    its own).
    """

    @property
    def said(self) -> Mapping[str, Any]: ...

    @property
    def likeness(self) -> Mapping[str, str]: ...

    def wired(self, model: str | None) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return the part for the wire, and what the record keeps of it besides ``said``."""


@dataclass(frozen=True)
class Request:
    """What the notebook asks: one turn, not the history before it.

    ``messages`` are those added by this turn; ``history`` those of the turns before, which
    are sent with them but enter the fingerprint only through ``parent``. ``occurrence`` is
    the slot: which of the answers to this very request is wanted (the k-th ask in a run is
    slot k, from 0). ``upload`` is the file that goes with it; what it says of the file
    (SHA-256, size, name) stands in ``parameters``. ``attachments`` are what parts of
    ``messages`` and ``history`` stand for.
    """

    kind: str = "ask"
    model: str | None = None
    endpoint: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    schema: Mapping[str, Any] | None = None
    tools: Sequence[Mapping[str, Any]] | None = None
    system: str | None = None
    messages: tuple[Message, ...] = ()
    max_history: int | None = None
    parent: str | None = None
    api: str | None = None
    history: tuple[Message, ...] = field(default=(), compare=False, repr=False)
    occurrence: int = field(default=0, compare=False)
    upload: Path | bytes | None = field(default=None, compare=False, repr=False)
    attachments: tuple[Attachment, ...] = field(default=(), compare=False, repr=False)

    @property
    def said(self) -> dict[str, Any]:
        """What enters the fingerprint, as plain values."""
        said = {name: getattr(self, name) for name in SAID}
        return said if self.api is None else {**said, "api": self.api}

    @cached_property
    def fingerprint(self) -> str:
        """See `openai_magics.exchange`."""
        return "v1:" + digest("openai_magics/fingerprint/1", self.said)


SAID = (
    "kind",
    "model",
    "endpoint",
    "parameters",
    "schema",
    "tools",
    "system",
    "messages",
    "max_history",
    "parent",
)


SAID_PLAINLY = ("model", "endpoint", "schema", "tools", "system", "max_history", "api")
