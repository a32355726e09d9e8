"""The logger ``openai_magics``: what is said there, and what never is.

=========  ==========================================================================
level      what
=========  ==========================================================================
WARNING    what a person should know and no error says: a record that was changed, a cloud
           that cannot be reached, a note on an export
INFO       where the dialogue is kept, waits, records of others that were united
DEBUG      each record that is written: its kind, id, model and duration
=========  ==========================================================================

Never a key. Never prompts or answers, unless the setting ``log_prompts`` asks for them: an
error may quote them, so of an error its kind is said, and where it was raised. There is no
``NullHandler``: warnings are for the person, and reach standard error where a program has
set up no logging of its own. Those of the cloud come whenever they come, so that in a
notebook they do not go there (see `openai_magics.cloud.told`).
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openai_magics.exchange import Exchange

__all__ = ["asked_for", "kind", "recorded", "told"]

log = logging.getLogger("openai_magics")


def told(error: BaseException) -> str:
    """Return what is logged of an error: its kind and place; with ``log_prompts`` its text too."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({PurePath(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    kind = f"{type(error).__name__}{where}"
    return f"{kind}: {error}" if asked_for() else kind


def recorded(exchanges: Iterable[Exchange]) -> None:
    """Log records that were written; their prompts and answers only with ``log_prompts``."""
    if not log.isEnabledFor(logging.DEBUG):
        return
    whole = asked_for()
    for item in exchanges:
        model = (item.reply.model if item.reply else None) or item.resolved.model
        failed = f", {item.error.get('type')}" if item.error else ""
        log.debug(
            "%s %s: %s, %s s%s", item.request.kind, item.id[:12], model, item.duration, failed
        )
        if whole:
            reply = item.reply.text if item.reply else None
            log.debug("%s: %r -> %r", item.id[:12], list(item.request.messages), reply)


def kind(error: BaseException) -> str:
    """Return what may be logged of an error whatever it quotes: its kind, and the HTTP status."""
    status = getattr(error, "status", None)
    return type(error).__name__ + (f" (HTTP {status})" if status is not None else "")


def asked_for() -> bool:
    """Whether prompts and answers may stand in the log."""
    from openai_magics.config import Settings
    from openai_magics.errors import SettingError

    try:
        return bool(Settings().get("log_prompts"))
    except SettingError:  # it is said where a setting is used for more than a log
        return False
