"""Moving a dialogue file out of the way, so that an empty one is begun; nothing is removed."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from openai_magics.cloud.file import CloudFile
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import DialogueUnwritable

__all__ = ["set_aside"]


def set_aside(file: DialogueFile) -> Path | None:
    """Keep a dialogue file as ``<file>.before-reset-<UTC time>``; return that path.

    One in the cloud is kept in both places (see `openai_magics.cloud.sync.Sync.begin_anew`).

    Returns
    -------
    Path or None
        ``None`` where nothing was recorded yet.

    Raises
    ------
    DialogueError, CloudError
        It cannot be moved, or the one in the cloud not be read or written.
    """
    if isinstance(file, CloudFile):
        return file.sync.begin_anew()
    path = file.path
    if not path.exists():
        return None
    moment = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%f")
    aside = path.with_name(f"{path.name}.before-reset-{moment}Z")
    try:
        path.rename(aside)
    except OSError as error:
        raise DialogueUnwritable(
            path,
            f"The dialogue file {path} cannot be moved: {error.strerror or error}.",
            "Nothing was changed.",
        ) from error
    return aside
