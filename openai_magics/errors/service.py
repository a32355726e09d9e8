"""Failures of asking: nothing that could be asked, or a service that refuses or fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from openai_magics.errors.base import MagicsError, OptionError

if TYPE_CHECKING:
    from openai_magics.exchange import Reply

__all__ = [
    "AccessRefused",
    "BadReply",
    "ContentRefused",
    "ContextTooLong",
    "EngineError",
    "ExtraMissing",
    "ImageRefused",
    "KeyMissing",
    "KeyRefused",
    "LengthCut",
    "ModelNotFound",
    "NotConnected",
    "QuotaExhausted",
    "RateLimited",
    "RequestRefused",
    "SchemaMismatch",
    "ServiceError",
    "TooManyRounds",
    "Unreachable",
]


class NotConnected(MagicsError):
    """No model can be reached from here as things are set."""


class KeyMissing(NotConnected):
    """The service wants a key and none is set."""


class ExtraMissing(NotConnected):
    """An optional package is not installed; ``extra`` names what installs it."""

    def __init__(self, purpose: str, extra: str, cause: str = "") -> None:
        super().__init__(
            f"{purpose} needs a package that is not installed{f' ({cause})' if cause else ''}.",
            f'Install it with: pip install "openai_magics[{extra}]"',
        )
        self.args = (purpose, extra, cause)
        self.extra = extra


class EngineError(NotConnected):
    """The embedded engine could not be provisioned or started."""


class ServiceError(MagicsError):
    """The service answered with an error (``status``, ``code``), or not as it should.

    ``lasting`` tells whether the same request would fail again (a refused prompt, too long
    a context): such a failure is recorded and replayed. What was the moment's (network,
    rate limit, key) is recorded but never replayed. ``reply`` holds what had come before it
    failed, if anything; ``replayed`` that this failure comes from the dialogue file.
    """

    lasting = False
    reply: Reply | None = None
    replayed = False

    def __init__(
        self,
        problem: str,
        remedy: str = "",
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(problem, remedy)
        self.args = (problem, remedy, status, code, request_id, retry_after)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after


class KeyRefused(ServiceError):
    """401: the key is wrong or revoked."""


class AccessRefused(ServiceError):
    """403: the key may not do this."""


class ModelNotFound(ServiceError):
    """404: no such model, or no such route, at this endpoint."""


class RequestRefused(ServiceError):
    """400, 413 or 422: the request itself is at fault."""

    lasting = True


class ContextTooLong(RequestRefused):
    """The conversation holds more tokens than the model takes."""


class ContentRefused(RequestRefused):
    """The model or a content filter refused the prompt or the answer."""


class ImageRefused(RequestRefused, OptionError):
    """An image is none, damaged, too large, or of a kind that nothing here reads; nothing is sent.

    Recorded, so that a run over many images replays with the same failures. Asked live it is
    tried again: what was missing to read it may be installed since.
    """


class LengthCut(RequestRefused):
    """The answer reached a limit that nobody asked for, and is not whole."""


class RateLimited(ServiceError):
    """429: too many requests or tokens at the moment; ``retry_after`` in seconds, if told."""


class QuotaExhausted(ServiceError):
    """429 ``insufficient_quota``: the account has no credit left; waiting does not help."""


class Unreachable(ServiceError):
    """No connection, a time-out, or the server is failing (5xx)."""


class BadReply(ServiceError):
    """The answer is not what the protocol says: cut off, empty, or not JSON."""


class SchemaMismatch(BadReply):
    """The answer does not fit the schema ``name``; ``problems`` says where and how."""

    name = ""
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, problems: Sequence[str], *, was_cut: bool = False) -> SchemaMismatch:
        """Return the error for an answer; *was_cut*: it reached the token limit."""
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        said = cls(
            f"The answer does not fit the schema {name!r}: {'; '.join(problems[:5])}{more}.",
            "It is recorded, and in `_answer`. Say in the prompt what is wanted, or ask another "
            "model.",
        )
        if was_cut:
            said = cls(
                f"The answer reached the token limit before its JSON ended (schema {name!r}).",
                "What came is recorded. Allow more (--max-tokens N), or ask for less at once.",
            )
        said.name, said.problems = name, tuple(problems)
        return said


class TooManyRounds(ServiceError):
    """The model wants tools called more often than is allowed; ``reply`` is its last one."""
