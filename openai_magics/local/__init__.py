"""The embedded engine: a small model on this machine, behind the OpenAI protocol.

`engine` starts it (once a process) and tells its ``base_url`` and key; everything else goes
through the ``openai`` client, as with any server. ``python -m openai_magics.local`` runs it in
the foreground for other programs.

Names are imported at their first use: asking whether the engine is `installed` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openai_magics.local.process import Engine, engine, installed, running, stop
    from openai_magics.local.train.export import export
    from openai_magics.local.weights import MODEL, description, ensure, sees, wanted

__all__ = [
    "DEFAULT_SYSTEM_PROMPT",
    "MODEL",
    "OWNER",
    "Engine",
    "description",
    "engine",
    "ensure",
    "export",
    "installed",
    "is_tuned",
    "running",
    "sees",
    "stop",
    "system_prompt",
    "wanted",
]

DEFAULT_SYSTEM_PROMPT = "Answer in plain English in one sentence."
"""Without one so small a model misses easy facts, and answers in other languages."""

OWNER = "this-machine"
"""Stands where OpenAI has the organisation in a tuned model's name, and as its owner."""

HOMES = {
    "Engine": "process",
    "engine": "process",
    "installed": "process",
    "running": "process",
    "stop": "process",
    "export": "train.export",
    "MODEL": "weights",
    "description": "weights",
    "ensure": "weights",
    "sees": "weights",
    "wanted": "weights",
}


def is_tuned(model: str | None) -> bool:
    """Whether a model's name says that it was tuned on this machine (or one like it)."""
    return model is not None and model.startswith("ft:") and f":{OWNER}:" in model


def system_prompt(model: str | None) -> str | None:
    """Return the system prompt of who set none; a tuned model has what it was trained with."""
    return None if is_tuned(model) else DEFAULT_SYSTEM_PROMPT


def __getattr__(name: str) -> Any:
    """Import what is named at its first use."""
    import importlib

    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
