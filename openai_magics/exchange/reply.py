"""What came back: an answer as a person holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from openai_magics.exchange.request import Message

if TYPE_CHECKING:
    import pandas as pd

    from openai_magics.rounds.steps import Step
    from openai_magics.schemas.shape import Shape

__all__ = ["Reply", "Resolved", "Sentiment"]

Sentiment = Literal["positive", "negative", "neutral"]


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
        it goes back to it with later turns (see `openai_magics.wire.responses`).
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
