"""Where assistants are kept (beside the notebook, and for the user), and finding one there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from openai_magics import config, notebook
from openai_magics.assistants.assistant import Assistant
from openai_magics.assistants.store import FILE, Store, of_that_name
from openai_magics.config import Settings
from openai_magics.errors import MagicsError, OptionError, nearest

__all__ = ["Found", "find", "names", "stores", "unknown"]

Found = tuple[Store, Assistant]


def stores(settings: Settings) -> tuple[Store, Store]:
    """Return the file beside the notebook and the user's own, in the order in which they count."""
    place = notebook.locate(explicit=settings.get("notebook"))
    beside = place.dialogue.parent / FILE
    return Store(beside, "notebook"), Store(config.user_file().with_name(FILE), "user")


def find(held: Sequence[Store], name: str) -> Found | None:
    """Return the assistant with a name or an id, of the first file that has it.

    Raises
    ------
    OptionError
        Several in that file have the name.
    AssistantsError
        A file cannot be read.
    """
    for store in held:
        if (found := of_that_name(store.all(), name)) is not None:
            return store, found
    return None


def unknown(held: Sequence[Store], name: str) -> OptionError:
    """Return the error for a name that nothing here has; the nearest is said."""
    known = [item.name for store in held for item in store.all()]
    kept: Path = held[0].path
    make = f"To make one: %%assistant save {name}"
    if name.startswith(("asst_", "pmpt_")):
        make = f"To take it over: %assistant import {name}"
    have = f"Assistants: {', '.join(dict.fromkeys(known))}." if known else f"{kept.name} has none."
    return OptionError(
        f"There is no assistant {name!r}{nearest(name, known)}.",
        f"{have} {make}",
    )


def names(settings: Settings) -> list[str]:
    """Return the names that can be used now, for completion; files that cannot be read have none."""
    found: dict[str, None] = {}
    try:
        held = stores(settings)
    except MagicsError:
        return []
    for store in held:
        try:
            found.update((item.name, None) for item in store.all())
        except MagicsError:
            continue
    return list(found)
