"""How to ask, as a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["AskOptions", "split"]


@dataclass(frozen=True)
class AskOptions:
    """How to ask, besides the message and the API's parameters (see `Session.ask`)."""

    system_instruction: str | None = None
    conversation: str | None = None
    branch_from: int | str | None = None
    history: bool = True
    max_history: int | None = None
    new: bool = False
    after: str | None = None
    fresh: bool = False
    mode: str | None = None
    model: str | None = None
    base_url: str | None = None
    sentiment: str | None = None
    images: Any = ()
    api: str | None = None
    schema: Any = None
    tools: Sequence[Any] = ()
    run_tools: bool = False
    max_rounds: int | None = None
    tool_timeout: float | None = None


def split(given: Mapping[str, Any]) -> tuple[AskOptions, dict[str, Any]]:
    """Return the options among some arguments of ask, and the parameters of the API."""
    known = {item.name for item in fields(AskOptions)}
    options = AskOptions(**{name: value for name, value in given.items() if name in known})
    return options, {name: value for name, value in given.items() if name not in known}
