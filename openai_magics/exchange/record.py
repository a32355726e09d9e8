"""The record of an exchange, as the dialogue file holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from openai_magics.canonical import digest
from openai_magics.exchange.reply import Reply, Resolved
from openai_magics.exchange.request import SAID, SAID_PLAINLY, Request
from openai_magics.fields import known, merged, unknown

__all__ = ["RECORD", "Exchange", "record_id"]


@dataclass(frozen=True)
class Exchange:
    """One record of the dialogue file: a request, and the reply or the failure.

    ``occurrence`` is ``None`` where the record must never be replayed (a failure of the
    moment, an answer cut off). ``error`` is ``{"type", "problem", "remedy", "status",
    "code"}``. ``template`` is the prompt as it was typed, where placeholders were filled in
    it: the request holds what they became. ``assistant`` is whose set-up the request has
    (``name, id, version``), ``made_in`` is ``"panel"`` where no cell asked; both are written
    where there is something to say. ``created`` is UTC in ISO 8601, ``duration`` seconds.
    ``extra`` keeps fields of a newer version of the format, in the shape of the record.
    """

    request: Request
    reply: Reply | None = None
    error: Mapping[str, Any] | None = None
    occurrence: int | None = 0
    resolved: Resolved = field(default=Resolved())
    conversation: str | None = None
    cell: str | None = None
    format: str | None = None
    template: str | None = None
    assistant: Mapping[str, str] | None = None
    made_in: str | None = None
    created: str = ""
    duration: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        """The request's."""
        return self.request.fingerprint

    @cached_property
    def id(self) -> str:
        """See `openai_magics.exchange`."""
        reply = self.reply.said if self.reply else None
        return record_id(self.fingerprint, self.occurrence, reply, self.error)

    @cached_property
    def answer(self) -> Reply | None:
        """The reply with the record's own fields filled in, as `Session` gives it."""
        return self.answered()

    def answered(self, *, replayed: bool = False) -> Reply | None:
        """Return `answer`, which says whether it is *replayed*."""
        if self.reply is None:
            return None
        answer = replace(
            self.reply,
            resolved=self.resolved,
            fingerprint=self.fingerprint,
            id=self.id,
            replayed=replayed,
        )
        if self.request.schema is None:
            return answer
        from openai_magics.schemas.shape import recorded

        return replace(answer, shape=recorded(self.request.schema))

    def to_record(self) -> dict[str, Any]:
        """Return the record as plain values, in the order in which its line is written."""
        reply = self.reply
        record = {
            "fingerprint": self.fingerprint,
            "occurrence": self.occurrence,
            "id": self.id,
            "kind": self.request.kind,
            "conversation": self.conversation,
            "cell": self.cell,
            "parent": self.request.parent,
            "request": {
                **{name: getattr(self.request, name) for name in SAID[1:-1]},
                **({} if self.request.api is None else {"api": self.request.api}),
                "resolved": _plain(self.resolved),
            },
            "reply": None
            if reply is None
            else {
                **reply.said,
                "model": reply.model,
                "response_id": reply.response_id,
                "system_fingerprint": reply.system_fingerprint,
                **({"items": list(reply.items)} if reply.items else {}),
            },
            "error": self.error,
            "usage": dict(reply.usage) if reply else {},
            "cost": reply.cost if reply and reply.cost == reply.cost else None,
            "sentiment": reply.sentiment if reply else None,
            "format": self.format,
            **({} if self.template is None else {"template": self.template}),
            "created": self.created,
            "duration": self.duration,
        }
        if self.assistant is not None:
            record["assistant"] = dict(self.assistant)
        if self.made_in is not None:
            record["made_in"] = self.made_in
        return merged(record, self.extra)

    @classmethod
    def from_record(cls, record: Mapping[str, Any], like: Request | None = None) -> Exchange:
        """Return the exchange of a record; fields that are missing take their defaults.

        Where the record's request is *like* one at hand, it is that one: it knows its hash.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is not a record at all; the caller knows its line.
        """
        asked = record["request"]
        request = Request(
            kind=record["kind"],
            parent=record.get("parent"),
            messages=tuple(asked.get("messages") or ()),
            parameters=asked.get("parameters") or {},
            occurrence=record.get("occurrence") or 0,
            **{name: asked.get(name) for name in SAID_PLAINLY},
        )
        if like is not None and like == request:
            request = like
        resolved = Resolved(**known(asked.get("resolved") or {}, RECORD["request"]["resolved"]))
        answered = record.get("reply")
        cost = record.get("cost")
        reply = None
        if answered is not None:
            reply = Reply(
                **{
                    **known(answered, RECORD["reply"]),
                    "tool_calls": tuple(answered.get("tool_calls") or ()),
                    "items": tuple(answered.get("items") or ()),
                    "usage": record.get("usage") or {},
                    "cost": float("nan") if cost is None else float(cost),
                    "sentiment": record.get("sentiment"),
                }
            )
        return cls(
            request=request,
            reply=reply,
            error=record.get("error"),
            occurrence=record["occurrence"],
            resolved=resolved,
            conversation=record.get("conversation"),
            cell=record.get("cell"),
            format=record.get("format"),
            template=record.get("template"),
            assistant=record.get("assistant"),
            made_in=record.get("made_in"),
            created=record.get("created") or "",
            duration=record.get("duration"),
            extra=unknown(record, RECORD),
        )


def record_id(
    fingerprint: str,
    occurrence: int | None,
    reply: Mapping[str, Any] | None,
    error: Mapping[str, Any] | None,
) -> str:
    """Return the id of a record (see `openai_magics.exchange`)."""
    return digest(
        "openai_magics/record/1",
        {"fingerprint": fingerprint, "occurrence": occurrence, "reply": reply, "error": error},
    )


def _plain(value: Resolved) -> dict[str, Any]:
    plain = dict(vars(value))
    if not value.images:
        del plain["images"]
    return plain


RECORD = Exchange(
    Request(api=""),
    Reply(items=({},)),
    resolved=Resolved(images=({},)),
    template="",
    assistant={},
    made_in="",
).to_record()
