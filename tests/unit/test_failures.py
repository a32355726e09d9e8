"""What services answer when they refuse, as our errors; and failures in the dialogue file."""

from __future__ import annotations

import errno
import json
import os
from typing import Any

import pytest

from openai_magics import errors, failures
from openai_magics.errors import ServiceError

AZURE_FILTER = {
    "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"hate": {"filtered": True, "severity": "high"}},
        },
    }
}


def openai(message: str, kind: str | None, code: str | None) -> dict[str, Any]:
    """Return an error as OpenAI sends it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def vllm(message: str, kind: str, code: int) -> dict[str, Any]:
    """Return an error as older vLLM sends it."""
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


BODIES = [
    # OpenAI
    pytest.param(
        401,
        openai("Incorrect API key provided", "invalid_request_error", "invalid_api_key"),
        errors.KeyRefused,
        id="OpenAI: key",
    ),
    pytest.param(
        403,
        openai("Country, region, or territory not supported", "x", "unsupported_country"),
        errors.AccessRefused,
        id="OpenAI: access",
    ),
    pytest.param(
        404,
        openai("The model `gpt-9` does not exist", "invalid_request_error", "model_not_found"),
        errors.ModelNotFound,
        id="OpenAI: model",
    ),
    pytest.param(
        400,
        openai(
            "This model's maximum context length is 8192 tokens.", "x", "context_length_exceeded"
        ),
        errors.ContextTooLong,
        id="OpenAI: context",
    ),
    pytest.param(
        400,
        openai("Your input exceeds the context window of this model.", "x", None),
        errors.ContextTooLong,
        id="OpenAI: context, by its words",
    ),
    pytest.param(
        400,
        openai(
            "Unsupported parameter: 'max_tokens'", "invalid_request_error", "unsupported_parameter"
        ),
        errors.RequestRefused,
        id="OpenAI: parameter",
    ),
    pytest.param(
        400,
        openai("Invalid prompt: flagged", "invalid_request_error", "invalid_prompt"),
        errors.ContentRefused,
        id="OpenAI: prompt",
    ),
    pytest.param(
        400,
        openai("Rejected by the safety system", "x", "content_policy_violation"),
        errors.ContentRefused,
        id="OpenAI: policy",
    ),
    pytest.param(
        429,
        openai("Rate limit reached for gpt-5.5", "tokens", "rate_limit_exceeded"),
        errors.RateLimited,
        id="OpenAI: rate",
    ),
    pytest.param(
        429,
        openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota"),
        errors.QuotaExhausted,
        id="OpenAI: quota",
    ),
    pytest.param(
        500,
        openai("The server had an error", "server_error", None),
        errors.Unreachable,
        id="OpenAI: server",
    ),
    pytest.param(
        503,
        openai("The engine is currently overloaded", "x", None),
        errors.Unreachable,
        id="OpenAI: overloaded",
    ),
    # Azure
    pytest.param(400, AZURE_FILTER, errors.ContentRefused, id="Azure: filter"),
    pytest.param(
        401,
        {"statusCode": 401, "message": "Access denied due to invalid subscription key"},
        errors.KeyRefused,
        id="Azure: key",
    ),
    pytest.param(
        404,
        {"error": {"code": "DeploymentNotFound", "message": "The API deployment does not exist."}},
        errors.ModelNotFound,
        id="Azure: deployment",
    ),
    pytest.param(
        429,
        {"error": {"code": "429", "message": "Requests have exceeded call rate limit"}},
        errors.RateLimited,
        id="Azure: rate",
    ),
    pytest.param(
        408,
        {"error": {"code": "Timeout", "message": "The operation was timeout."}},
        errors.Unreachable,
        id="Azure: time-out",
    ),
    # llama.cpp
    pytest.param(
        400,
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 9000,
                "n_ctx": 4096,
            }
        },
        errors.ContextTooLong,
        id="llama.cpp: context",
    ),
    pytest.param(
        401,
        {"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}},
        errors.KeyRefused,
        id="llama.cpp: key",
    ),
    pytest.param(
        503,
        {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
        errors.Unreachable,
        id="llama.cpp: loading",
    ),
    pytest.param(
        404,
        {"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}},
        errors.ModelNotFound,
        id="llama.cpp: route",
    ),
    pytest.param(
        501,
        {"error": {"code": 501, "message": "not supported", "type": "not_supported_error"}},
        errors.Unreachable,
        id="llama.cpp: not supported",
    ),
    # vLLM
    pytest.param(
        404,
        vllm("The model `x` does not exist.", "NotFoundError", 404),
        errors.ModelNotFound,
        id="vLLM: model",
    ),
    pytest.param(
        400,
        vllm("This model's maximum context length is 2048 tokens.", "BadRequestError", 400),
        errors.ContextTooLong,
        id="vLLM: context",
    ),
    pytest.param(
        400,
        vllm("temperature must be non-negative", "BadRequestError", 400),
        errors.RequestRefused,
        id="vLLM: parameter",
    ),
    pytest.param(
        422,
        {"detail": [{"loc": ["body", "messages"], "msg": "field required"}]},
        errors.RequestRefused,
        id="vLLM: FastAPI",
    ),
    pytest.param(401, {"error": "Unauthorized"}, errors.KeyRefused, id="vLLM: key"),
    # Ollama
    pytest.param(
        404,
        {"error": {"message": 'model "x" not found, try pulling it first', "type": "api_error"}},
        errors.ModelNotFound,
        id="Ollama: model",
    ),
    pytest.param(404, {"error": "model 'x' not found"}, errors.ModelNotFound, id="Ollama: text"),
    pytest.param(
        500,
        {"error": "llama runner process has terminated"},
        errors.Unreachable,
        id="Ollama: runner",
    ),
    # others
    pytest.param(
        400,
        [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}],
        errors.KeyRefused,
        id="Google: key",
    ),
    pytest.param(
        402,
        {"error": {"message": "Insufficient Balance"}},
        errors.QuotaExhausted,
        id="DeepSeek: quota",
    ),
    pytest.param(409, {"error": {"message": "conflict"}}, errors.Unreachable, id="conflict"),
    pytest.param(413, b"too large", errors.RequestRefused, id="too large"),
    pytest.param(418, {"error": {"message": "teapot"}}, ServiceError, id="another 4xx"),
    pytest.param(407, b"", ServiceError, id="a proxy"),
    pytest.param(302, b"", ServiceError, id="a redirection"),
    pytest.param(
        502, b"<html><body>Bad Gateway</body></html>", errors.Unreachable, id="a web page"
    ),
    pytest.param(500, b"", errors.Unreachable, id="nothing"),
    pytest.param(400, b"null", errors.RequestRefused, id="null"),
    pytest.param(400, b"[" * 100_000, errors.RequestRefused, id="deep JSON"),
    pytest.param(400, b"\xff\xfe", errors.RequestRefused, id="bytes that are no text"),
    # inside a stream, or under a 200
    pytest.param(None, openai("x", "server_error", None), errors.Unreachable, id="stream: server"),
    pytest.param(
        None, openai("x", "x", "rate_limit_exceeded"), errors.RateLimited, id="stream: rate"
    ),
    pytest.param(
        None,
        openai("Context size exceeded", None, None),
        errors.ContextTooLong,
        id="stream: context",
    ),
    pytest.param(None, AZURE_FILTER, errors.ContentRefused, id="stream: filter"),
    pytest.param(None, {"error": "what"}, ServiceError, id="stream: text"),
]


@pytest.mark.parametrize(("status", "body", "kind"), BODIES)
def test_kinds(status: int | None, body: Any, kind: type[ServiceError]) -> None:
    """Each service's way of saying it means one of our errors."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    for held in (content, body):
        error = failures.failure(status, {"x-request-id": "req_1"}, held)
        assert type(error) is kind
        assert (error.status, error.request_id) == (status, "req_1")
        assert error.problem


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(
            openai("The model\n does not  exist", None, None),
            "The model does not exist",
            id="on one line",
        ),
        pytest.param({"error": "Loading"}, "Loading", id="text"),
        pytest.param({"detail": "Not Found"}, "Not Found", id="detail"),
        pytest.param({"error": {"reason": "é"}}, '{"reason": "é"}', id="JSON where there are none"),
        pytest.param({"error": None}, "HTTP status 503", id="none"),
        pytest.param(b"", "HTTP status 503", id="nothing"),
        pytest.param(b"<!DOCTYPE html><p>x", "a web page", id="a web page"),
        pytest.param(b"plain words", "plain words", id="plain text"),
        pytest.param(
            {"error": {"message": "with {braces} and {said}"}},
            "with {braces} and {said}",
            id="braces",
        ),
    ],
)
def test_words(body: Any, words: str) -> None:
    """The service's own words stand in the error, as they are."""
    assert failures.failure(503, {}, body).problem == f"The service is failing: {words}"


@pytest.mark.parametrize(
    ("code", "kind", "found"),
    [("c", "t", "c"), (None, "t", "t"), (400, "t", "t"), (None, None, None), (400, 5, None)],
)
def test_code(code: Any, kind: Any, found: str | None) -> None:
    """The code is the service's, its type where there is none; a number is only the status again."""
    assert (
        failures.failure(400, {}, {"error": {"message": "x", "code": code, "type": kind}}).code
        == found
    )


@pytest.mark.parametrize("kind", sorted(failures.TEXTS, key=lambda kind: kind.__name__))
def test_each_kind_says_what_to_do(kind: type[ServiceError]) -> None:
    """No refusal is without a way forward."""
    problem, remedy = failures.TEXTS[kind]
    assert "{said}" in problem
    assert remedy.endswith((".", "--dry-run", "%models"))


def test_hidden_before_shortened() -> None:
    """A key in the service's words is hidden before they are cut, so that no half of it stays."""
    words = "x" * (failures.LONGEST - 30) + "sk-secret-secret"
    error = failures.failure(
        401, {"x-request-id": "sk-secret-secret"}, openai(words, None, "sk-secret-secret")
    )
    failures.hide(error, lambda text: text.replace("sk-secret-secret", "[key]"))
    assert "secret" not in repr(error.args) + str(vars(error))
    assert len(error.problem) == failures.LONGEST


# --- Retry-After


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"retry-after": "7"}, 7.0, id="seconds"),
        pytest.param({"retry-after": "0.5"}, 0.5, id="a part of one"),
        pytest.param({"retry-after": "0"}, 0.0, id="at once"),
        pytest.param({"retry-after": "-3"}, 0.0, id="negative"),
        pytest.param({"retry-after-ms": "250"}, 0.25, id="milliseconds"),
        pytest.param({"retry-after-ms": "250", "retry-after": "7"}, 0.25, id="the finer first"),
        pytest.param(
            {"retry-after-ms": "x", "retry-after": "7"}, 7.0, id="the one that is a number"
        ),
        pytest.param({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0, id="a date gone by"),
        pytest.param({"retry-after": "Wed, 21 Oct 2015 07:28:00 -0000"}, 0.0, id="without a zone"),
        pytest.param({"retry-after": "Wednesday, 21-Oct-15 07:28:00 GMT"}, 0.0, id="as in RFC 850"),
        pytest.param({"retry-after": "Wed Oct 21 07:28:00 2015"}, 0.0, id="as of asctime"),
        pytest.param({"retry-after": "soon"}, None, id="words"),
        pytest.param({"retry-after": ""}, None, id="nothing"),
        pytest.param({"retry-after": "nan"}, None, id="NaN"),
        pytest.param({"retry-after": "99 Foo 99999 99:99:99"}, None, id="not a date"),
        pytest.param({"retry-after": "inf"}, float("inf"), id="for ever"),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """The wait is read in each form that RFC 9110 and OpenAI have; what is none is none."""
    assert failures.failure(429, headers, b"").retry_after == seconds


def test_retry_after_a_date_to_come() -> None:
    """A date is a wait from now on."""
    wait = failures.failure(429, {"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}, b"").retry_after
    assert wait is not None
    assert wait > 1e6


# --- connections


class ConnectTimeout(Exception):
    """What a client says."""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(ConnectTimeout("x"), "it did not answer in time", id="a time-out"),
        pytest.param(
            ConnectionRefusedError(errno.ECONNREFUSED, "refused by x"),
            os.strerror(errno.ECONNREFUSED),
            id="the system's words",
        ),
        pytest.param(OSError("no route"), "no route", id="other words"),
        pytest.param(ValueError(), "ValueError", id="none"),
    ],
)
def test_connection_failure(error: BaseException, reason: str) -> None:
    """What was to be reached, and why it was not, from the innermost cause."""
    outer = RuntimeError()
    outer.__cause__ = error
    shown = error if isinstance(error, ConnectTimeout) else outer
    problem = failures.connection_failure(shown, "localhost:1")
    expected = reason if reason != "ValueError" else "RuntimeError"
    assert problem.problem == f"localhost:1 cannot be reached: {expected}."


@pytest.mark.parametrize(
    ("kind", "passing"),
    [
        (errors.RateLimited, True),
        (errors.Unreachable, True),
        (errors.QuotaExhausted, False),
        (errors.KeyRefused, False),
        (errors.RequestRefused, False),
        (errors.BadReply, False),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_is_passing(kind: type[ServiceError], passing: bool) -> None:
    """Only what the moment brought is tried again."""
    assert failures.is_passing(kind("x")) is passing


# --- in the dialogue file


@pytest.mark.parametrize(
    "kind",
    [
        item
        for item in vars(errors).values()
        if isinstance(item, type) and issubclass(item, ServiceError)
    ],
    ids=lambda kind: kind.__name__,
)
def test_round_trip(kind: type[ServiceError]) -> None:
    """A failure that was recorded is raised again as it was."""
    error = kind("problem", "remedy", 400, "code", "req_1", 3.0)
    record = json.loads(json.dumps(failures.to_record(error)))
    back = failures.from_record(record)
    assert type(back) is kind
    assert (str(back), back.status, back.code) == (str(error), 400, "code")
    assert failures.to_record(back) == record
    assert set(record) == {"type", "problem", "remedy", "status", "code"}


@pytest.mark.parametrize(
    "name", ["Unheard", "MagicsError", "OptionError", "nearest", "Interrupted", "Path", "", None]
)
def test_a_type_that_is_none_of_these(name: str | None) -> None:
    """A record of a newer version, or one that was tampered with, names no class to be made."""
    assert type(failures.from_record({"type": name, "problem": "p"})) is ServiceError
