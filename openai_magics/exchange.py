r"""The values: what is asked (`Request`), what came back (`Reply`), and the record of both (`Exchange`).

Fingerprint of a request
    ``"v1:" + hex(sha256(b"openai_magics/fingerprint/1\n" + canonical JSON of the object))``
    with the keys ``kind, model, endpoint, parameters, schema, tools, system, messages,
    max_history, parent``, and ``api`` where the notebook says which: what the *notebook* says, ``null`` where it says nothing (canonical
    JSON: see `openai_magics.canonical`). What its surroundings
    decide (key, default model, local engine, environment, configuration files) does not
    enter. ``parent`` is the id of the record of the turn before.

Id of a record
    The same with the tag ``openai_magics/record/1`` over ``fingerprint, occurrence, reply,
    error``, where ``reply`` is what was said (``text, refusal, tool_calls, finish_reason,
    payload``), not who served it. Another answer is another id, hence another request
    downstream; the same answer given again is the same one.

Any tool can compute both from a record of the dialogue file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from openai_magics.asked import AskOptions
from openai_magics.canonical import canonical_json, digest, joined
from openai_magics.fields import known, merged, unknown

if TYPE_CHECKING:
    import pandas as pd

    from openai_magics.rounds.steps import Step
    from openai_magics.schemas.shape import Shape

__all__ = [
    "AskOptions",
    "Attachment",
    "Exchange",
    "Message",
    "Reply",
    "Request",
    "Resolved",
    "Sentiment",
    "canonical_json",
    "digest",
    "image_parts",
    "joined",
]

Message = Mapping[str, Any]
"""One message in the shape of the chat completions API: ``role``, ``content``, …"""

Sentiment = Literal["positive", "negative", "neutral"]


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
        """See the module's docstring."""
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


@dataclass(frozen=True)
class Resolved:
    """What the surroundings made of a request at the call: recorded, not fingerprinted.

    ``endpoint`` is the host that was asked (``"local"`` for the embedded engine), ``system``
    the system instruction really sent, ``parameters`` those really sent, ``images`` what was
    sent of each image of this turn (`openai_magics.images.prepare.kept`).
    """

    model: str | None = None
    endpoint: str | None = None
    system: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    images: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Reply:
    """An answer, as a person holds it.

    Attributes
    ----------
    text : str
        What the model said; ``""`` where it refused or called tools.
    finish_reason : str or None
        ``stop``, ``length``, ``tool_calls``, ``content_filter``, … or ``"cut_off"`` where
        it was stopped before its end.
    refusal : str or None
        Why the model would not answer, in its words.
    tool_calls : tuple of dict
        The calls the model wants made, in the API's shape.
    payload : object
        The JSON of a listing or a job; ``None`` for an answer in words.
    items : tuple of dict
        What a model of the Responses API said besides (reasoning, calls of built-in tools), as
        it goes back to it with later turns (see `openai_magics.wire_responses`).
    model : str or None
        The model that served it, as the server names it.
    usage : dict
        Tokens as the server counted them (``prompt_tokens``, ``completion_tokens``, …).
    cost : float
        US dollars; NaN where the price is not known.
    sentiment : {"positive", "negative", "neutral"} or None
        Of ``text``; ``None`` where it cannot be told.
    fingerprint, id : str
        Of the request, and of the record in the dialogue file.
    shape : Shape or None
        What the answer was to be (see `openai_magics.schemas`); ``data`` is read by it.
    steps : tuple of Step
        What the model said before this reply, in the same ask: tools that it called, an
        answer that did not fit its schema.
    replayed : bool
        Whether it came from the dialogue file.
    """

    text: str = ""
    finish_reason: str | None = None
    refusal: str | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    payload: Any = None
    items: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    model: str | None = None
    response_id: str | None = None
    system_fingerprint: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    resolved: Resolved = field(default=Resolved(), compare=False, repr=False)
    cost: float = field(default=float("nan"), compare=False)
    sentiment: Sentiment | None = None
    fingerprint: str = field(default="", repr=False)
    id: str = field(default="", repr=False)
    shape: Shape | None = field(default=None, compare=False, repr=False)
    steps: tuple[Step, ...] = field(default=(), compare=False, repr=False)
    replayed: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return self.text

    @property
    def said(self) -> dict[str, Any]:
        """What enters the record's id, as plain values."""
        return {
            "text": self.text,
            "refusal": self.refusal,
            "tool_calls": list(self.tool_calls),
            "finish_reason": self.finish_reason,
            "payload": self.payload,
        }

    @property
    def message(self) -> Message:
        """The answer as the assistant message that goes into the history of later turns."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text or None}
        if self.refusal is not None:
            message["refusal"] = self.refusal
        if self.tool_calls:
            message["tool_calls"] = list(self.tool_calls)
        elif message["content"] is None:
            message["content"] = ""
        return {**message, "items": list(self.items)} if self.items else message

    @cached_property
    def data(self) -> Any:
        """The JSON in the answer, parsed (bare, or in its first fenced block).

        Where a schema was asked for, the instance of its class, or the plain values that fit
        the schema.

        Raises
        ------
        BadReply
            There is none, or it does not parse.
        SchemaMismatch
            It does not fit the schema.
        """
        if self.shape is not None:
            return self.shape.parse(self.text)
        from openai_magics import answers

        return answers.parse_json(self.text)

    @property
    def code(self) -> str:
        """The fenced code blocks of the answer, joined by a blank line; ``""`` without one."""
        from openai_magics import answers

        return "\n\n".join(block.source for block in answers.code_blocks(self.text))

    @property
    def tables(self) -> list[pd.DataFrame]:
        """The Markdown tables of the answer, one DataFrame each, in order."""
        from openai_magics import answers

        return answers.tables(self.text)

    @property
    def frame(self) -> pd.DataFrame:
        """``data`` as a DataFrame: a row for each of a list; else the first Markdown table.

        Raises
        ------
        BadReply
            The answer holds neither.
        """
        from openai_magics import answers

        if self.shape is None and (found := answers.tables(self.text)):
            return found[0]
        return answers.frame(self.data)

    @property
    def sections(self) -> dict[str, Any]:
        """The answer's Markdown headings as a nested dict (see `answers.sections`)."""
        from openai_magics import answers

        return answers.sections(self.text)


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
    resolved: Resolved = Resolved()
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
        """See the module's docstring."""
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
    """Return the id of a record (see the module's docstring)."""
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
