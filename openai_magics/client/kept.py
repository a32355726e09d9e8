"""The clients of ``openai``: one is kept for each endpoint and key."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from openai_magics.config import Settings
from openai_magics.connection import Target
from openai_magics.errors import SettingError
from openai_magics.keys import Secret, redact

if TYPE_CHECKING:
    import openai

__all__ = ["Clients"]

_Name = tuple[str | None, float, bytes]
"""What tells kept clients apart: base_url, timeout and the key's SHA-256."""


class Clients:
    """The clients that were made so far: none before the first request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sync: dict[_Name, openai.OpenAI] = {}
        self._async: WeakKeyDictionary[Any, dict[_Name, openai.AsyncOpenAI]]
        self._async = WeakKeyDictionary()
        self._mutex = threading.Lock()

    def __len__(self) -> int:
        """How many there are, those of event loops aside."""
        return len(self._sync)

    def sync(self, target: Target, key: Secret) -> openai.OpenAI:
        """Return the client of an endpoint.

        Raises
        ------
        SettingError
            None can be made.
        """
        with self._mutex:
            client: openai.OpenAI = self._kept(self._sync, "OpenAI", target, key)
            return client

    def of_loop(self, target: Target, key: Secret) -> openai.AsyncOpenAI:
        """Return the client of an endpoint in the running event loop; otherwise as `sync`."""
        clients = self._async.setdefault(asyncio.get_running_loop(), {})
        client: openai.AsyncOpenAI = self._kept(clients, "AsyncOpenAI", target, key)
        return client

    def _kept(self, clients: dict[_Name, Any], kind: str, target: Target, key: Secret) -> Any:
        from urllib.request import getproxies

        import httpx2
        import openai

        seconds = self._settings.get("timeout")
        name = (target.base_url, seconds, hashlib.sha256(key.reveal().encode()).digest())
        if name not in clients:
            wrong = (ValueError, OSError, ImportError, httpx2.InvalidURL, openai.OpenAIError)
            try:
                # A transport of our own would not heed the proxies that the environment sets.
                own = None
                if kind == "OpenAI" and not getproxies():
                    from openai_magics.client.lanes import Lanes

                    own = openai.DefaultHttpxClient(transport=Lanes())
                clients[name] = getattr(openai, kind)(
                    http_client=own,
                    base_url=target.base_url,
                    api_key=key.reveal() or "none",
                    max_retries=0,
                    timeout=httpx2.Timeout(seconds, connect=min(seconds, 10.0)),
                )
            except wrong as error:  # its frames hold the key, so it goes no further
                raise SettingError(
                    f"No client can be made for {target.endpoint}: {redact(str(error), [key])}",
                    "Look at the base_url, and at the proxies that the environment sets.",
                ) from None
        return clients[name]
