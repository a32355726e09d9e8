"""The errors of the API, each as a reply in the words of the service.

Named ones take *headers*; ``{"retry-after-ms": "1"}`` lets a client that retries do so at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.scripted.spec import Fault
from tests.scripted.wire import Custom, Plan, Reply, as_json

Extra = Mapping[str, str] | None


def error(
    status: int,
    code: str | None = None,
    message: str = "Something went wrong.",
    type: str | None = "invalid_request_error",  # noqa: A002 - the field's name in the API
    *,
    param: str | None = None,
    headers: Extra = None,
    more: Mapping[str, Any] | None = None,
) -> Plan:
    """Return an error in OpenAI's form; *more* are further fields of the error object."""
    given = {"message": message, "type": type, "param": param, "code": code}
    return as_json({"error": given | dict(more or {})}, status, headers)


def refused(fault: Fault, status: int = 400) -> Plan:
    """Return the answer to a request that does not fit the API description."""
    return error(status, fault.code, fault.message, param=fault.param)


def invalid_key(key: str | None, headers: Extra = None) -> Plan:
    """401: the key is wrong (a part of it is repeated, as the service does) or missing."""
    if not key:
        text = (
            "You didn't provide an API key. You need to provide your API key in an Authorization "
            "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
        )
        return error(401, None, text, headers=headers)
    head, tail = (8, 4) if len(key) >= 20 else (5, 2)
    masked = f"{key[:head]}{'*' * max(3, len(key) - head - tail)}{key[-tail:]}"
    text = (
        f"Incorrect API key provided: {masked}. You can find your API key at "
        "https://platform.openai.com/account/api-keys."
    )
    return error(401, "invalid_api_key", text, headers=headers)


def not_allowed(message: str = "", headers: Extra = None) -> Plan:
    """403: the key may not do this."""
    text = message or "Country, region, or territory not supported"
    code = "unsupported_country_region_territory"
    return error(403, code, text, "request_forbidden", headers=headers)


def model_not_found(model: str | None = None, headers: Extra = None) -> Reply:
    """404: there is no such model (the one that was asked, unless *model* is given)."""

    def named(name: str) -> Plan:
        text = f"The model `{name}` does not exist or you do not have access to it."
        return error(404, "model_not_found", text, headers=headers)

    return named(model) if model else Custom(lambda request: named(request.model))


def context_too_long(limit: int = 128_000, asked: int = 140_012, headers: Extra = None) -> Plan:
    """400: more tokens than the model takes."""
    text = (
        f"This model's maximum context length is {limit} tokens. However, your messages resulted "
        f"in {asked} tokens. Please reduce the length of the messages."
    )
    code = "context_length_exceeded"
    return error(400, code, text, param="messages", headers=headers)


def prompt_refused(headers: Extra = None) -> Plan:
    """400: the prompt is against the usage policy."""
    text = (
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy. "
        "Please try again with a different prompt."
    )
    return error(400, "invalid_prompt", text, headers=headers)


def prompt_refused_azure(headers: Extra = None) -> Plan:
    """400: Azure's content filter, which says what it found in ``innererror``."""
    text = (
        "The response was filtered due to the prompt triggering Azure OpenAI's content "
        "management policy. Please modify your prompt and retry."
    )
    calm = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm")}
    found = {**calm, "violence": {"filtered": True, "severity": "high"}}
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": found}
    more = {"status": 400, "innererror": inner}
    return error(400, "content_filter", text, None, param="prompt", headers=headers, more=more)


def rate_limited(retry_after: str | None = "20", headers: Extra = None) -> Plan:
    """429: too many requests; *retry_after* as the header says it (seconds or a date)."""
    text = (
        "Rate limit reached for gpt-4o in organization org-scripted on requests per min (RPM): "
        "Limit 3, Used 3, Requested 1. Please try again in 20s. Visit "
        "https://platform.openai.com/account/rate-limits to learn more."
    )
    wait = {} if retry_after is None else {"retry-after": retry_after}
    given = {**wait, "x-ratelimit-remaining-requests": "0", **(headers or {})}
    return error(429, "rate_limit_exceeded", text, "requests", headers=given)


def no_quota(headers: Extra = None) -> Plan:
    """429: the account has no credit left."""
    code = "insufficient_quota"
    text = (
        "You exceeded your current quota, please check your plan and billing details. For more "
        "information on this error, read the docs: "
        "https://platform.openai.com/docs/guides/error-codes/api-errors."
    )
    return error(429, code, text, code, headers=headers)


def server_error(headers: Extra = None) -> Plan:
    """500: the service failed."""
    text = "The server had an error while processing your request. Sorry about that!"
    return error(500, None, text, "server_error", headers=headers)


def overloaded(headers: Extra = None) -> Plan:
    """503: the service has too much to do."""
    text = "The engine is currently overloaded, please try again later"
    return error(503, None, text, "server_error", headers=headers)
