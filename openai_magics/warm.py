"""Importing what the first ask will need while the person still types it."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Mapping

__all__ = ["import_soon"]

NEEDED = (
    "openai",
    "httpx2",
    "httpcore2",
    "markdown_it",
    "portalocker",
    "openai_magics.magics.show",
    "openai_magics.session",
    "openai_magics.render",
    "openai_magics.sentiment",
    "genai_prices",
)


def import_soon(environment: Mapping[str, str], delay: float = 0.2) -> threading.Thread | None:
    """Import ``openai`` in a thread where a live call is likely; return the thread, if any.

    Likely is: a key, a base_url or the local engine, and no ``replay``. The delay, in seconds,
    lets the cell that loads the extension finish first.
    """
    if environment.get("OPENAI_MAGICS_MODE") == "replay":
        return None
    if not (environment.get("OPENAI_API_KEY") or environment.get("OPENAI_BASE_URL")):
        from openai_magics import local

        if not local.installed():
            return None

    def work() -> None:
        time.sleep(delay)
        for name in NEEDED:
            try:
                importlib.import_module(name)
            except ImportError:
                return  # the ask itself will say what is missing
        from openai_magics.sentiment import determine

        determine("ready")  # loads the lexicon and the language model

    thread = threading.Thread(target=work, name="openai_magics-import", daemon=True)
    thread.start()
    return thread
