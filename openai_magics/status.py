"""What is used now (``%openai``): model, endpoint, key, mode, dialogue file, and how to change it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from openai_magics import notebook, render
from openai_magics.errors import MagicsError, counted
from openai_magics.render import Bundle

if TYPE_CHECKING:
    import pandas as pd

    from openai_magics.session import Session

__all__ = ["bundle", "retirement", "rows"]

BETTER = (
    "A small model on this machine answers; expect mistakes. For a better one: %openai key, "
    "%openai use MODEL, %openai use http://localhost:11434/v1 (any OpenAI-compatible server), "
    "or OPENAI_MAGICS_LOCAL_MODEL=/path/to/another.gguf"
)


def bundle(session: Session) -> Bundle:
    """Return the status as a table."""
    return render.table(rows(session))


def retirement(models: pd.DataFrame, name: str | None) -> str:
    """Return what to say where a model of a listing retires, else ``""``."""
    found = models[models["id"] == name]
    dates = found["shutdown_date"].dropna()
    return f"{name} is shut down on {dates.iloc[0]}: choose another." if len(dates) else ""


def rows(session: Session) -> list[tuple[str, str]]:
    """Return the status as names and values; what cannot be told is said in its row."""
    found: list[tuple[str, str]] = []
    settings = session.settings
    try:
        target = session.live.target_without_asking()
    except MagicsError as error:
        found.append(("model", str(error)))
    else:
        found.append(("model", target.model or "the only one that the server has"))
        found.append(
            ("endpoint", f"{target.base_url or 'the engine on this machine'} ({target.why})")
        )
        if not target.local:
            found.append(("key", f"from {target.key.source}" if target.key else "none"))
        else:
            found.append(("better", BETTER))
    mode, source = settings.resolve("mode")
    found.append(("mode", f"{mode} ({source})"))
    try:
        held = session.dialogue
        found.append(("dialogue", f"{held.path} ({counted(len(held), 'record')})"))
        if (cloud := held.cloud) is not None:
            from openai_magics.cloud.told import aside

            found += [("cloud", line) for line in (cloud, *aside.taken())]
        if settings.get("dialogue") is None:
            found.append(("notebook", notebook.locate(explicit=settings.get("notebook")).how))
    except MagicsError as error:
        found.append(("dialogue", str(error)))
    return [*found, *_of_run(session)]


def _of_run(session: Session) -> Iterator[tuple[str, str]]:
    """Yield what this run has set: its conversations, the assistant, settings."""
    if session.conversations:
        turns = ", ".join(
            f"{name} ({counted(len(c.turns), 'turn')})" for name, c in session.conversations.items()
        )
        yield "conversations", turns
    if session.thread != "main":
        yield "thread", session.thread
    if (whose := session.assistant) is not None:
        model = f", model {whose.model}" if whose.model else ""
        yield "assistant", f"{whose.name}{model} (%assistant none: as none)"
    for name in ("system_instruction", "max_history", "sentiment"):
        value, source = session.settings.resolve(name)
        if source != "default":
            yield name, f"{value} ({source})"
