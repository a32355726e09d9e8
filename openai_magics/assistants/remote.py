"""The assistants that a server still has (``GET /assistants``; OpenAI's ended on 2026-08-26)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from openai_magics.client import Listener, Live
from openai_magics.errors import MagicsError, NotConnected, ServiceError, SettingError
from openai_magics.exchange import Reply, Request
from openai_magics.pages import Pages

__all__ = ["ENDED", "listed", "note", "settled"]

ENDED = "OpenAI's Assistants API ended on 2026-08-26"
GONE = (404, 405, 410, 501)
"""Statuses of a server that has no such route (any more)."""


def listed(live: Live, endpoint: str | None, listener: Listener) -> Reply:
    """Return the listing of all pages, or what kept it from being had, as a reply.

    The payload is ``{"data": […]}``, with ``gone`` (a status) where the server has no
    assistants at all, ``unreachable`` (a sentence) where it could not be asked, ``engine``
    where nothing but the engine on this machine would answer. The key is not asked for.
    """
    try:
        target = live.target_without_asking()
    except (NotConnected, SettingError) as error:
        return Reply(payload={"data": [], "unreachable": error.problem})
    if target.local:
        return Reply(payload={"data": [], "engine": True})
    # What a listing of a moment is worth is one try.
    settings = replace(live.settings, arguments={**live.settings.arguments, "retries": 0})
    request = Request(kind="assistants", endpoint=endpoint)
    try:
        reply = Pages(Live(settings, live.key)).send(request, listener)
    except ServiceError as error:
        told = {"gone": error.status} if error.status in GONE else {"unreachable": error.problem}
        return Reply(payload={"data": [], "host": target.endpoint, **told})
    return replace(reply, payload={"data": reply.payload["data"]})


def settled(payload: Any) -> bool:
    """Whether a recorded listing counts: what could not be reached is tried again."""
    return not payload.get("unreachable")


def note(payload: Mapping[str, Any]) -> str:
    """Return in a line why no remote assistants are listed; ``""`` where nothing is to be said."""
    if payload.get("gone"):
        return f"{payload.get('host')} has no assistants ({ENDED}): those kept here are listed."
    if payload.get("unreachable"):
        return f"Only those kept here are listed. {payload['unreachable']}"
    return ""


def not_there(identity: str, error: ServiceError) -> MagicsError:
    """Return the error for an assistant that a server does not give."""
    if error.status in GONE:
        error.problem = f"The server does not give the assistant {identity}: {error.problem}"
        error.remedy = (
            f"{ENDED}. Import it from a file that was saved before: %assistant import FILE.json"
        )
    return error
