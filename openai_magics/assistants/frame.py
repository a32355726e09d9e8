"""Assistants as a DataFrame: those kept here, then those of the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from openai_magics.assistants.assistant import Assistant
from openai_magics.assistants.imported import from_object

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["assistants_frame"]

COLUMNS = (
    "name",
    "id",
    "description",
    "model",
    "instructions",
    "parameters",
    "tools",
    "files",
    "where",
    "version",
)


def assistants_frame(here: Mapping[str, Any], far: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row an assistant (see `Session.list_assistants`).

    Parameters
    ----------
    here, far : mapping
        The payloads of the two listings: what is kept here, what the server has.
    """
    import pandas as pd

    rows = [*_here(here), *_far(far)]
    frame: pd.DataFrame = pd.DataFrame(rows, columns=pd.Index(COLUMNS), dtype=object)
    return frame


def _here(payload: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for row in payload["data"]:
        yield _row(Assistant.from_entry(row["entry"]), row["where"], row["version"])


def _far(payload: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for item in payload["data"]:
        try:
            (found,) = from_object(item).assistants
        except ValueError:  # a server may send what it likes
            continue
        yield _row(found, "server", found.version)


def _row(item: Assistant, where: str, version: str | None) -> dict[str, Any]:
    return {
        **{name: getattr(item, name) for name in COLUMNS[:5]},
        "parameters": dict(item.parameters),
        "tools": [_called(tool) for tool in item.tools],
        "files": list(item.files),
        "where": where,
        "version": version,
    }


def _called(tool: Mapping[str, Any]) -> str:
    function = tool.get("function")
    name = function.get("name") if isinstance(function, Mapping) else tool.get("name")
    return str(name or tool.get("type"))
