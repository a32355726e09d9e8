"""What is used now (``%openai``): model, endpoint, key, mode, dialogue file, and how to change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openai_magics import notebook, render
from openai_magics.errors import MagicsError
from openai_magics.render import Bundle

if TYPE_CHECKING:
    from openai_magics.session import Session

__all__ = ["bundle"]

BETTER = (
    "A small model on this machine answers; expect mistakes. For a better one: %openai key, "
    "%openai use MODEL, %openai use http://localhost:11434/v1 (any OpenAI-compatible server), "
    "or OPENAI_MAGICS_LOCAL_MODEL=/path/to/another.gguf"
)


def bundle(session: Session) -> Bundle:
    """Return the status as a table; what cannot be told is said in its row."""
    rows: list[tuple[str, str]] = []
    settings = session.settings
    try:
        target = session.live.target_without_asking()
    except MagicsError as error:
        rows.append(("model", str(error)))
    else:
        rows.append(("model", target.model or "the only one that the server has"))
        rows.append(
            ("endpoint", f"{target.base_url or 'the engine on this machine'} ({target.why})")
        )
        if not target.local:
            rows.append(("key", f"from {target.key.source}" if target.key else "none"))
        else:
            rows.append(("better", BETTER))
    mode, source = settings.resolve("mode")
    rows.append(("mode", f"{mode} ({source})"))
    try:
        held = session.dialogue
        rows.append(("dialogue", f"{held.path} ({len(held)} records)"))
        if settings.get("dialogue") is None:
            rows.append(("notebook", notebook.locate(explicit=settings.get("notebook")).how))
    except MagicsError as error:
        rows.append(("dialogue", str(error)))
    if session.conversations:
        turns = ", ".join(
            f"{name} ({len(c.turns)} turns)" for name, c in session.conversations.items()
        )
        rows.append(("conversations", turns))
    if (whose := session.assistant) is not None:
        model = f", model {whose.model}" if whose.model else ""
        rows.append(("assistant", f"{whose.name}{model} (%assistant none: as none)"))
    for name in ("system_instruction", "max_history", "sentiment"):
        value, source = settings.resolve(name)
        if source != "default":
            rows.append((name, f"{value} ({source})"))
    return render.table(rows)
