"""Trying, and trying again: what fails in a call becomes ours, keys hidden, or a wait."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from openai_magics import failures, logs
from openai_magics.calls import Call, Listener, hidden
from openai_magics.client.prepared import Prepared
from openai_magics.client.spoken import Wire
from openai_magics.connection import Target
from openai_magics.errors import (
    BadReply,
    Interrupted,
    KeyMissing,
    KeyRefused,
    MagicsError,
    ModelNotFound,
    RequestRefused,
    ServiceError,
    counted,
)
from openai_magics.exchange import Reply, Request
from openai_magics.keys import Secret, redact
from openai_magics.routes import ROUTES
from openai_magics.wire import responses
from openai_magics.wire.answers import CHECK
from openai_magics.wire.bodies import CHAT_TOOLS

__all__ = ["retries_of", "watching"]

LONGEST_WAIT = 120.0
"""Seconds: a service that asks for more is not waited for."""


def retries_of(request: Request, retries: int) -> int:
    """Return how often a request is tried again; what may be done once only, never."""
    route = ROUTES.get(request.kind)
    return 0 if route is not None and route.once else retries


@contextmanager
def watching(
    sent: Prepared, wire: Wire, listener: Listener, tried: int, left: int
) -> Iterator[Call]:
    """Turn what fails in a call into our errors, keys hidden; decide on another try.

    *tried* is how many tries there were before this one, *left* how many may follow.

    Raises
    ------
    Interrupted, asyncio.CancelledError
        It was stopped; the error's ``reply`` holds what came.
    MagicsError
        It failed, and no try follows.
    """
    target, key = sent.target, sent.key
    call = Call(listener, key)

    def finished(reply: Reply | None) -> Reply | None:
        return reply and replace(hidden(reply, key), resolved=sent.resolved)

    try:
        yield call
    except KeyboardInterrupt:
        partial = finished(call.partial())
        interrupted = Interrupted(len(partial.text) if partial else 0)
        interrupted.reply = partial
        raise interrupted from None
    except asyncio.CancelledError as stop:
        # Another one, without the frames of the client: they hold the key.
        cancelled = asyncio.CancelledError(*stop.args)
        cancelled.reply = finished(call.partial())  # type: ignore[attr-defined]
        raise cancelled from None
    except Exception as error:
        ours = isinstance(error, MagicsError) and not isinstance(error, ServiceError)
        if call.speaking or ours:  # the listener failed, or no client could be made
            error.reply = finished(call.partial())  # type: ignore[attr-defined]
            raise
        problem = _understood(error, target, key)
        if isinstance(problem, KeyRefused) and not key:
            raise KeyMissing(
                f"{target.endpoint} wants a key, and none is set.",
                "Set one: %openai key, or OPENAI_API_KEY in the environment.",
            ) from None
        problem.remedy += _other_protocol(problem, wire, sent.request)
        problem.reply = finished(problem.reply or call.partial())
        wait = _wait(problem, tried)
        if left == 0 or call.heard or wait is None:
            raise problem from None
        times = counted(left, "more time")
        again = f"Trying again in {wait:.0f} s ({times})."
        call.wait, call.why = wait, f"{problem.problem} {again}"
        call.plain = f"{logs.kind(problem)}. {again}"
    call.reply = finished(call.reply)


def _other_protocol(problem: ServiceError, wire: Wire, request: Request) -> str:
    """Return what else to do about a failure that the protocol may be the cause of."""
    if wire.ROUTE == responses.ROUTE:
        unknown = isinstance(problem, ModelNotFound)
        return " A server without the Responses API: --api chat" if unknown else ""
    only = [name for name in ("prompt",) if name in request.parameters]
    kinds = [str(tool.get("type")) for tool in request.parameters.get("tools") or ()]
    only += [kind for kind in kinds if kind not in CHAT_TOOLS]
    if isinstance(problem, RequestRefused) and only:
        return f" Most servers have {' and '.join(only)} in the Responses API only: --api responses"
    return ""


def _understood(error: Exception, target: Target, key: Secret) -> ServiceError:
    """Return *error* as ours, the key hidden.

    No error of the client comes through as it is, for its frames hold the key.
    """
    import httpx2
    import openai

    problem: ServiceError
    if isinstance(error, ServiceError):
        problem = error
    elif isinstance(error, openai.APIStatusError):
        response = error.response
        problem = failures.failure(response.status_code, response.headers, response.content)
    elif isinstance(error, (openai.APIConnectionError, httpx2.TransportError)):
        problem = failures.connection_failure(error, target.endpoint)
    elif isinstance(error, (json.JSONDecodeError, httpx2.DecodingError, UnicodeDecodeError)):
        problem = BadReply(f"The server sent what is not JSON ({error}).", CHECK)
    else:
        problem = ServiceError(f"The client failed: {type(error).__name__}: {error}")
    return failures.hide(problem, lambda text: redact(text, [key]))


def _wait(problem: ServiceError, tried: int) -> float | None:
    """Return the seconds to wait before the next try; ``None`` where none is worth it.

    Exponential from 0.5 s with jitter, as the client does; the service's own word first.
    """
    if not failures.is_passing(problem):
        return None
    if problem.retry_after is not None:
        return problem.retry_after if problem.retry_after <= LONGEST_WAIT else None
    return float(min(0.5 * 2**tried, 8.0)) * (1 - 0.25 * random.random())  # noqa: S311 - jitter
