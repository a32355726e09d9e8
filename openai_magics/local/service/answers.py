"""How the front answers: pages and errors, shaped as OpenAI's API description says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openai_magics.local.jobs.create import Refused

__all__ = ["error", "model_not_found", "page"]


def error(refused: Refused) -> dict[str, Any]:
    """Return the body of an error."""
    kind = "server_error" if refused.status >= 500 else "invalid_request_error"
    said = {"message": refused.message, "type": kind, "param": refused.param, "code": refused.code}
    return {"error": said}


def model_not_found(name: str) -> Refused:
    """Return the refusal of a model that is not here."""
    text = f"The model `{name}` does not exist on this machine."
    return Refused(404, text, "model_not_found", "model")


def page(
    items: list[dict[str, Any]], query: Mapping[str, str], default: int, *, named: bool = False
) -> dict[str, Any]:
    """Return the page of *items* that ``after`` and ``limit`` ask for.

    Parameters
    ----------
    items : list of dict
        All of them, in the order in which they are listed.
    query : mapping
        The parameters of the address.
    default : int
        How many a page has without a ``limit``.
    named : bool
        Whether the page says the ids of its first and last item.

    Raises
    ------
    Refused
        A parameter is not possible.
    """
    try:
        limit = int(query.get("limit", default))
    except ValueError:
        limit = 0
    if limit < 1:
        raise Refused(400, "Invalid 'limit': expected an integer of 1 or more.", None, "limit")
    ids = [item["id"] for item in items]
    start = 0
    if after := query.get("after"):
        if after not in ids:
            raise Refused(400, f"Invalid 'after': {after!r} is not in the list.", None, "after")
        start = ids.index(after) + 1
    part = items[start : start + limit]
    whole = {"object": "list", "data": part, "has_more": start + limit < len(items)}
    if named:
        whole["first_id"] = part[0]["id"] if part else None
        whole["last_id"] = part[-1]["id"] if part else None
    return whole
