"""The clients of ``openai``: one is kept for each endpoint and key, with what its posts look like."""

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
    import httpx2
    import openai

__all__ = ["Clients", "Kept"]

_Name = tuple[str | None, float, bytes]
"""What tells kept clients apart: base_url, timeout and the key's SHA-256."""


class Kept:
    """A client of ``openai``, and what it speaks HTTP with.

    A question is sent past the client's ``post``, which makes the URL and each header anew for
    every request: a quarter of what an ask cost.

    Parameters
    ----------
    client : openai.OpenAI or openai.AsyncOpenAI
    http : httpx2.Client or httpx2.AsyncClient
        The one that the client has.
    """

    def __init__(self, client: openai.OpenAI | openai.AsyncOpenAI, http: Any) -> None:
        import httpx2

        self.client = client
        self._http = http
        self._headers = httpx2.Headers(http.headers)
        said = {**client.default_headers, **client.auth_headers}
        self._headers.update({name: text for name, text in said.items() if isinstance(text, str)})
        self._urls: dict[str, httpx2.URL] = {}
        self._extensions = {"timeout": httpx2.Timeout(client.timeout).as_dict()}

    def post(self, route: str, content: bytes) -> Any:
        """Send a body of JSON; return the response, its body unread, or what awaits it.

        A response is returned whatever its status.
        """
        import httpx2

        url = self._urls.get(route)
        if url is None:
            base = self.client.base_url
            url = self._urls[route] = base.copy_with(
                raw_path=base.raw_path + route.lstrip("/").encode()
            )
        request = httpx2.Request(
            "POST", url, headers=self._headers, content=content, extensions=self._extensions
        )
        return self._http.send(request, stream=True)


class Clients:
    """The clients that were made so far: none before the first request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sync: dict[_Name, Kept] = {}
        self._async: WeakKeyDictionary[Any, dict[_Name, Kept]]
        self._async = WeakKeyDictionary()
        self._mutex = threading.Lock()

    def __len__(self) -> int:
        """How many there are, those of event loops aside."""
        return len(self._sync)

    def sync(self, target: Target, key: Secret) -> Kept:
        """Return the client of an endpoint.

        Raises
        ------
        SettingError
            None can be made.
        """
        with self._mutex:
            return self._kept(self._sync, "OpenAI", target, key)

    def of_loop(self, target: Target, key: Secret) -> Kept:
        """Return the client of an endpoint in the running event loop; otherwise as `sync`."""
        clients = self._async.setdefault(asyncio.get_running_loop(), {})
        return self._kept(clients, "AsyncOpenAI", target, key)

    def _kept(self, clients: dict[_Name, Kept], kind: str, target: Target, key: Secret) -> Kept:
        import httpx2
        import openai

        seconds = self._settings.get("timeout")
        name = (target.base_url, seconds, hashlib.sha256(key.reveal().encode()).digest())
        if name not in clients:
            wrong = (ValueError, OSError, ImportError, httpx2.InvalidURL, openai.OpenAIError)
            try:
                http = _http(kind)
                client = getattr(openai, kind)(
                    http_client=http,
                    base_url=target.base_url,
                    api_key=key.reveal() or "none",
                    max_retries=0,
                    timeout=httpx2.Timeout(seconds, connect=min(seconds, 10.0)),
                )
                clients[name] = Kept(client, http)
            except wrong as error:  # its frames hold the key, so it goes no further
                raise SettingError(
                    f"No client can be made for {target.endpoint}: {redact(str(error), [key])}",
                    "Look at the base_url, and at the proxies that the environment sets.",
                ) from None
        return clients[name]


def _http(kind: str) -> Any:
    """Return what a client speaks HTTP with."""
    from urllib.request import getproxies

    import openai

    if kind != "OpenAI":
        return openai.DefaultAsyncHttpxClient()
    if getproxies():  # a transport of our own would not heed them
        return openai.DefaultHttpxClient()
    from openai_magics.client.lanes import Lanes

    return openai.DefaultHttpxClient(transport=Lanes())
