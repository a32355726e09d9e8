"""Opening the dialogue file: where the settings say, beside the notebook, or in the cloud."""

from __future__ import annotations

import logging
from pathlib import Path

from openai_magics import notebook, renamed
from openai_magics.cloud.address import address
from openai_magics.config import Settings
from openai_magics.dialogue import DialogueFile

__all__ = ["opened"]

log = logging.getLogger("openai_magics")


def opened(settings: Settings) -> DialogueFile:
    """Return the dialogue file of a session.

    Raises
    ------
    NotebookNotFound
        Which notebook this is cannot be told.
    SettingError
        The setting is an address that names no file.
    DialogueError
        The working copy of a file in the cloud cannot be made.
    """
    explicit, fsync = settings.get("dialogue"), settings.get("fsync")
    if (found := address(explicit)) is not None:
        from openai_magics.cloud import file

        return file.opened(found, fsync=fsync, mode=settings.get("mode"))
    if explicit is not None:
        return DialogueFile(Path(explicit).expanduser(), fsync=fsync)
    place = notebook.locate(explicit=settings.get("notebook"))
    if place.notebook is None:
        log.info("%s; the dialogue is kept in %s.", place.how, place.dialogue)
        return DialogueFile(place.dialogue, fsync=fsync)
    if said := renamed.said_of(place.dialogue):
        log.warning("%s", said)
    return DialogueFile(place.dialogue, place.notebook.name, fsync=fsync)
