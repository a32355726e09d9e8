"""What services answer when they refuse, as our errors.

Read from OpenAI's error guide and API description (``ErrorResponse``), Azure's content
filter (``innererror``), llama.cpp's server (``exceed_context_size_error``), vLLM and Ollama.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from openai_magics import errors
from openai_magics.errors import ServiceError

__all__ = ["connection_failure", "failure", "from_record", "hide", "is_passing", "to_record"]

CONTEXT_CODES = {"context_length_exceeded", "exceed_context_size_error"}
CONTEXT_WORDS = ("maximum context length", "context window", "context size", "context length")
CONTENT_CODES = {"content_filter", "content_policy_violation", "invalid_prompt"}
QUOTA_CODES = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
OTHER_CODES: dict[str | None, type[ServiceError]] = {
    "invalid_api_key": errors.KeyRefused,
    "model_not_found": errors.ModelNotFound,
    "rate_limit_exceeded": errors.RateLimited,
    "rate_limit_error": errors.RateLimited,
}
"""Codes that gateways also send under statuses of their own."""
KEY_WORDS = "api key not valid"
"""Google's 400 for a wrong key."""
REQUEST_STATUSES = (400, 413, 422)
"""Where the request itself is at fault; other statuses tell of the address, the account, …"""
LONGEST = 600


def failure(
    status: int | None,
    headers: Mapping[str, str],
    content: object,
) -> ServiceError:
    """Return the error that an answer of the service means.

    Parameters
    ----------
    status : int or None
        The HTTP status; ``None`` for an error inside a stream or a 200.
    headers : mapping
        Of the answer: ``retry-after``, ``x-request-id``.
    content : object
        The body: bytes, or what their JSON is.
    """
    words, code = _words(content)
    kind = _kind(status, code, words)
    said = words or f"HTTP status {status}"
    problem, remedy = TEXTS.get(kind, ("The service answered with an error: {said}", ""))
    return kind(
        problem.format(said=said, status=status),
        remedy,
        status,
        code,
        headers.get("x-request-id"),
        _retry_after(headers),
    )


TEXTS: dict[type[ServiceError], tuple[str, str]] = {
    errors.KeyRefused: (
        "The service refused the key: {said}",
        "Set another: %openai key, or OPENAI_API_KEY in the environment.",
    ),
    errors.AccessRefused: (
        "The key may not do this: {said}",
        "Use another model or project, or ask whoever manages the key.",
    ),
    errors.ModelNotFound: (
        "The service does not know this model or route: {said}",
        "See what it has: %models",
    ),
    errors.ContextTooLong: (
        "The conversation is too long for the model: {said}",
        "Start a new one (--new), send less of it (--max-history N), or shorten the prompt.",
    ),
    errors.ContentRefused: (
        "The service refused the content: {said}",
        "The refusal is recorded. Word the request differently.",
    ),
    errors.RequestRefused: (
        "The service refused the request: {said}",
        "See what would be sent: --dry-run",
    ),
    errors.RateLimited: ("Too many requests at the moment: {said}", "Run the cell again later."),
    errors.QuotaExhausted: (
        "The account has no credit left: {said}",
        "Add credit with the service, or use another key (%openai key) or model (%openai use).",
    ),
    errors.Unreachable: ("The service is failing: {said}", "Run the cell again later."),
}


def _kind(status: int | None, code: str | None, words: str) -> type[ServiceError]:
    lower = words.lower()
    if code in QUOTA_CODES:
        return errors.QuotaExhausted
    if code in CONTEXT_CODES or (
        status in (*REQUEST_STATUSES, None) and any(text in lower for text in CONTEXT_WORDS)
    ):
        return errors.ContextTooLong
    if code in CONTENT_CODES:
        return errors.ContentRefused
    if status == 400 and KEY_WORDS in lower:
        return errors.KeyRefused
    if code in OTHER_CODES:
        return OTHER_CODES[code]
    if status is None:
        return errors.Unreachable if code in ("server_error", "overloaded_error") else ServiceError
    if status >= 500 or status in (408, 409):
        return errors.Unreachable
    known: dict[int, type[ServiceError]] = {
        401: errors.KeyRefused,
        402: errors.QuotaExhausted,
        403: errors.AccessRefused,
        404: errors.ModelNotFound,
        405: errors.ModelNotFound,  # a base_url that is not quite right
        429: errors.RateLimited,
    }
    return errors.RequestRefused if status in REQUEST_STATUSES else known.get(status, ServiceError)


def _words(content: object) -> tuple[str, str | None]:
    """Return the service's words on one line, and its code."""
    if isinstance(content, bytes):
        raw = content
        try:
            content = json.loads(raw)
        except (ValueError, RecursionError):
            text = raw.decode("utf-8", "replace").strip()
            return ("a web page" if text.startswith("<") else " ".join(text.split())), None
    if isinstance(content, list) and content:  # Google's
        content = content[0]
    held = content.get("error", content) if isinstance(content, dict) else content
    if not isinstance(held, dict):
        return " ".join(str(held or "").split()), None
    words = held.get("message") or held.get("detail") or json.dumps(held, ensure_ascii=False)
    code = held.get("code")
    if not isinstance(code, str):  # llama.cpp and vLLM repeat the status there
        code = held.get("type")
    return " ".join(str(words).split()), code if isinstance(code, str) else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the wait asked for, in seconds (RFC 9110, 10.2.3; also OpenAI's ``-ms``)."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name)
        if not value:
            continue
        try:
            seconds = float(value) / unit
        except ValueError:
            try:
                moment = parsedate_to_datetime(value)
            except (TypeError, ValueError):
                continue
            moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
            seconds = (moment - datetime.now(timezone.utc)).total_seconds()
        if not math.isnan(seconds):
            return max(0.0, seconds)
    return None


def connection_failure(error: BaseException, endpoint: str) -> errors.Unreachable:
    """Return the error for a connection that could not be made or broke."""
    slow = "Timeout" in type(error).__name__
    reason = "it did not answer in time" if slow else _reason(error)
    return errors.Unreachable(
        f"{endpoint} cannot be reached: {reason.rstrip('.')}.",
        "Is the server up, and the address right (%openai status)? Recorded answers can be "
        "seen without it.",
    )


def _reason(error: BaseException) -> str:
    """Return why, in the system's words where it has some; else in the last library's."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    # By number, for asyncio puts words of its own in their place.
    system = [
        os.strerror(item.errno)
        for item in chain
        if isinstance(item, ConnectionError) and item.errno
    ]
    said = [str(item) for item in chain if str(item)]
    return (system or said or [type(error).__name__])[-1]


def hide(problem: ServiceError, hidden: Callable[[str], str]) -> ServiceError:
    """Return *problem* with the service's own words hidden and then shortened, in this order."""
    problem.problem = hidden(problem.problem)[:LONGEST]
    problem.code = problem.code and hidden(problem.code)
    problem.request_id = problem.request_id and hidden(problem.request_id)
    problem.args = (
        problem.problem,
        problem.remedy,
        problem.status,
        problem.code,
        problem.request_id,
        problem.retry_after,
    )
    return problem


def is_passing(error: ServiceError) -> bool:
    """Whether trying again after a while may help."""
    return isinstance(error, (errors.RateLimited, errors.Unreachable))


def to_record(error: ServiceError) -> dict[str, Any]:
    """Return a failure as it is kept in the dialogue file."""
    return {
        "type": type(error).__name__,
        "problem": error.problem,
        "remedy": error.remedy,
        "status": error.status,
        "code": error.code,
    }


def from_record(record: Mapping[str, Any]) -> ServiceError:
    """Return the failure that a record holds, to be raised again."""
    kind = getattr(errors, str(record.get("type")), ServiceError)
    if not (isinstance(kind, type) and issubclass(kind, ServiceError)):
        kind = ServiceError
    return kind(
        str(record.get("problem")),
        str(record.get("remedy") or ""),
        record.get("status"),
        record.get("code"),
    )
