"""Which endpoint, model and key answer a request: decided at the call, from the settings.

1. model or base_url ``local``, or a model tuned on this machine: the embedded engine
2. a ``base_url``: that server, with the key if there is one
3. a key: OpenAI
4. neither, no model named, and the ``local`` extra installed: the embedded engine
5. else an error that says the ways forward
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from openai_magics import local
from openai_magics.config import Settings
from openai_magics.errors import KeyMissing, SettingError
from openai_magics.keys import Secret, find_key

__all__ = ["HOSTED_MODEL", "LOCAL", "Target", "choose", "host"]

LOCAL = "local"
OPENAI = "https://api.openai.com/v1"
HOSTED_MODEL = "gpt-5.4-mini"
"""The default model at OpenAI: small, and with no announced shutdown (2026-08)."""


@dataclass(frozen=True)
class Target:
    """Where a request goes.

    ``base_url`` is ``None`` for the embedded engine until it is started; ``model`` is
    ``None`` where the server is asked which it has. ``endpoint`` names it in records and
    messages (a host, or ``"local"``); ``why`` says what decided.
    """

    endpoint: str
    base_url: str | None = None
    model: str | None = None
    key: Secret | None = None
    why: str = ""

    @property
    def local(self) -> bool:
        """Whether the embedded engine answers."""
        return self.endpoint == LOCAL


def host(base_url: str) -> str:
    """Return the host (and port) of an endpoint.

    Raises
    ------
    SettingError
        It is no address of a server.
    """
    try:
        parts = urlsplit(base_url)
        name, port = parts.hostname, parts.port
    except ValueError:  # a bracket that is not closed, a port that is none
        name, port = None, None
    fit = base_url.isprintable() and " " not in base_url
    labels = (name or "").rstrip(".").split(".")
    if (
        not (fit and base_url.lower().startswith(("http://", "https://")))
        or not name
        or any(not 0 < len(label) < 64 for label in labels)
    ):
        raise SettingError(
            f"The base_url {base_url!r} is not an address.",
            "It looks like https://api.openai.com/v1 or http://localhost:11434/v1.",
        )
    if "?" in base_url or "#" in base_url:
        raise SettingError(
            f"The base_url at {name} goes on after its path (?… or #…), which no route can follow.",
            "Give it up to there; it looks like https://api.openai.com/v1.",
        )
    name = f"[{name}]" if ":" in name else name
    return name + (f":{port}" if port else "")


def usable(key: Secret | None) -> Secret | None:
    """Return *key*, which must be fit for a header: else the client quotes it in its error.

    Raises
    ------
    SettingError
        It holds a character that no key has.
    """
    if key is not None and not (key.reveal().isascii() and key.reveal().isprintable()):
        raise SettingError(
            f"The key from {key.source or 'the session'} holds a character that no key has "
            "(a line end, a letter that is not ASCII).",
            "Set it again: %openai key, or OPENAI_API_KEY in the environment.",
        )
    return key


def choose(
    settings: Settings,
    model: str | None = None,
    base_url: str | None = None,
    *,
    given: Secret | None = None,
    ask_key: Callable[[], Secret | None] | None = None,
) -> Target:
    """Decide where a request goes; nothing is started or sent.

    Parameters
    ----------
    settings : Settings
    model, base_url : str or None
        As typed for this request.
    given : Secret or None
        The key given to the session.
    ask_key : callable or None
        Asks the person for the key; ``None`` where nobody is there.

    Raises
    ------
    KeyMissing
        No way is open.
    SettingError
        The base_url is not an address, or the key cannot be one.
    """
    named = settings.said("model") if model is None else model
    aimed = settings.said("base_url") if base_url is None else base_url
    model, why_model = settings.resolve("model", model)
    base_url, why_url = settings.resolve("base_url", base_url)
    if model == LOCAL and named is None and aimed is not None:
        model = None  # the engine of the surroundings gives way to the server of the notebook
    tuned = local.is_tuned(model)
    if LOCAL in (model, base_url) or (base_url is None and (tuned or model == local.MODEL)):
        why = why_url if base_url == LOCAL else why_model
        return Target(LOCAL, model=model if tuned else local.wanted(), why=f"set by {why}")
    if base_url is not None:
        base_url = base_url.strip()
        endpoint = host(base_url)
        return Target(
            endpoint,
            base_url,
            model or (HOSTED_MODEL if base_url.rstrip("/") == OPENAI else None),
            usable(find_key(given, endpoint)),
            f"set by {why_url}",
        )
    endpoint = host(OPENAI)
    if (key := usable(find_key(given, endpoint))) is not None:
        return Target(endpoint, OPENAI, model or HOSTED_MODEL, key, f"key from {key.source}")
    if model is None and local.installed():
        return Target(LOCAL, model=local.wanted(), why="neither a key nor a base_url is set")
    if model is not None and ask_key is not None and (key := usable(ask_key())) is not None:
        return Target(endpoint, OPENAI, model, key, f"key from {key.source}")
    raise _no_way(model)


def _no_way(model: str | None) -> KeyMissing:
    if model is not None and local.installed():
        return KeyMissing(
            f"The model {model!r} needs a key, and none is set.",
            "Set one (%openai key, or OPENAI_API_KEY in the environment), name the server that "
            "has it (OPENAI_BASE_URL), or ask the engine on this machine (--model local).",
        )
    return KeyMissing(
        "No model can be asked: there is no key, no base_url and no local engine.",
        "Three ways: set a key (%openai key, or OPENAI_API_KEY in the environment); name a "
        "server that speaks the OpenAI protocol (OPENAI_BASE_URL=http://localhost:11434/v1); or "
        'install the engine that runs on this machine: pip install "openai_magics[local]"',
    )
