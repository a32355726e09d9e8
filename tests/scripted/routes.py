"""The routes without jobs behind them: answers, models, assistants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.scripted.errors import error, model_not_found
from tests.scripted.wire import Reply, Request, as_json

if TYPE_CHECKING:
    from tests.scripted.server import ScriptedServer

SUNSET = (
    "The Assistants API has been shut down as of August 26, 2026. Please use the Responses API "
    "instead: https://platform.openai.com/docs/assistants/migration."
)
# As of 2026-11-23; None where no date is announced.
SHUTDOWN = {
    "gpt-4o": "2027-01-14",
    "gpt-4o-mini": "2027-01-14",
    "gpt-4.1": "2027-01-14",
    "gpt-5": "2026-12-11",
    "gpt-5.4-mini": None,
    "gpt-5.5": None,
    "ft:gpt-4o-mini:org-scripted::abc123": "2027-01-14",
}


class Models:
    """The models that the server lists, by id; change them with ``add`` and ``remove``."""

    def __init__(self) -> None:
        self._models: dict[str, dict[str, Any]] = {}
        for name, date in SHUTDOWN.items():
            self.add(name, date)

    def add(self, name: str, shutdown_date: str | None = None, **fields: Any) -> None:
        """List a model; *fields* replace those of the API (None leaves one out)."""
        owner = "org-scripted" if name.startswith("ft:") else "system"
        model = {"id": name, "object": "model", "created": 1_700_000_000 + len(self._models)}
        model |= {"owned_by": owner, "shutdown_date": shutdown_date, **fields}
        self._models[name] = model

    def forget_dates(self) -> None:
        """Leave the shutdown dates out, as servers other than OpenAI's do."""
        for model in self._models.values():
            model.pop("shutdown_date", None)

    def remove(self, name: str) -> bool:
        """List a model no more; return whether it was there."""
        return self._models.pop(name, None) is not None

    def clear(self) -> None:
        """List none."""
        self._models.clear()

    def all(self, request: Request) -> Reply:  # noqa: ARG002 - a handler is given the request
        """Answer with every model."""
        return as_json({"object": "list", "data": list(self._models.values())})

    def one(self, request: Request, model: str) -> Reply:  # noqa: ARG002
        """Answer with one model, 404 when there is none of that name."""
        found = self._models.get(model)
        return as_json(found) if found else model_not_found(model)

    def delete(self, request: Request, model: str) -> Reply:  # noqa: ARG002
        """Delete a tuned model."""
        if not self.remove(model):
            return model_not_found(model)
        return as_json({"id": model, "object": "model", "deleted": True})


def add(server: ScriptedServer) -> None:
    """Add the routes of this module to *server*."""
    server.route("POST", "/chat/completions", server.script.reply)
    server.route("POST", "/responses", server.script.reply)
    server.route("GET", "/models", server.models.all)
    server.route("GET", "/models/{model}", server.models.one)
    server.route("DELETE", "/models/{model}", server.models.delete)
    server.route("GET", "/assistants", lambda request: _assistants(server, request))
    server.route(
        "GET",
        "/assistants/{assistant_id}",
        lambda request, assistant_id: _assistant(server, assistant_id),  # noqa: ARG005
    )


def _assistants(server: ScriptedServer, request: Request) -> Reply:
    """Answer 404 with the word of the shutdown, or a page of ``server.assistants``."""
    if server.assistants is None:
        return error(404, None, SUNSET)
    return as_json(page(server.assistants, request.query, default=20, named=True))


def _assistant(server: ScriptedServer, identity: str) -> Reply:
    """Answer with one of ``server.assistants``, or 404."""
    if server.assistants is None:
        return error(404, None, SUNSET)
    found = next((item for item in server.assistants if item["id"] == identity), None)
    return (
        as_json(found) if found else error(404, None, f"No assistant found with id '{identity}'.")
    )


def assistant(name: str, instructions: str = "", model: str = "gpt-4o") -> dict[str, Any]:
    """Return an assistant as the API describes one, for ``server.assistants``."""
    return {
        "id": f"asst_{name}",
        "object": "assistant",
        "created_at": 1_700_000_000,
        "name": name,
        "description": None,
        "model": model,
        "instructions": instructions,
        "tools": [],
        "metadata": {},
    }


def page(
    items: list[dict[str, Any]], query: dict[str, str], *, default: int, named: bool = False
) -> dict[str, Any]:
    """Return the page of *items* that ``after`` and ``limit`` ask for.

    *named* pages say the ids of their first and last item.
    """
    ids = [item["id"] for item in items]
    start = ids.index(query["after"]) + 1 if query.get("after") in ids else 0
    end = start + int(query.get("limit", default))
    part = items[start:end]
    whole = {"object": "list", "data": part, "has_more": end < len(items)}
    if named:
        whole["first_id"] = part[0]["id"] if part else ""
        whole["last_id"] = part[-1]["id"] if part else ""
    return whole
