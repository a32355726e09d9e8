"""Keys: where they come from, and how they are kept out of everything that is shown or written.

A key comes from the argument ``api_key``, then the environment (``OPENAI_API_KEY``), then the
system's keyring (the ``keyring`` extra), then is asked for without echo where somebody is
there. It is never written to a file of ours.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable

from openai_magics.errors import ExtraMissing, NotConnected

__all__ = ["SERVICE", "Secret", "find_key", "forget_in_keyring", "keep_in_keyring", "redact"]

SERVICE = "openai_magics"
HIDDEN = "[key]"
LOOKS_LIKE_A_KEY = re.compile(r"\bsk-(?:[A-Za-z]{2,12}-)*[A-Za-z0-9_*-]{8,}")
"""OpenAI's keys (``sk-…``, ``sk-proj-…``), also half masked as its 401 quotes them."""


class Secret:
    """A key that does not show itself: not in ``repr``, ``str``, a traceback or a pickle."""

    __slots__ = ("_value", "source")

    def __init__(self, value: str, source: str = "") -> None:
        self._value = value.strip()
        self.source = source

    def reveal(self) -> str:
        """Return the key itself; only the client needs it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})" if self._value else "Secret()"

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled: set it again where it is needed")


def redact(text: str, secrets: Iterable[Secret | None] = ()) -> str:
    """Return *text* with the given keys, and whatever looks like OpenAI's, hidden."""
    for secret in secrets:
        if secret and len(secret.reveal()) >= 8:
            text = text.replace(secret.reveal(), HIDDEN)
    return LOOKS_LIKE_A_KEY.sub(HIDDEN, text)


def find_key(
    given: Secret | None, endpoint: str, ask: Callable[[], Secret | None] | None = None
) -> Secret | None:
    """Return the key for *endpoint* (a host name) from the first place that has one.

    *ask* asks the person; it is ``None`` where nobody is there.
    """
    if given:
        return given
    if value := os.environ.get("OPENAI_API_KEY", "").strip():
        return Secret(value, "the environment (OPENAI_API_KEY)")
    if (kept := _from_keyring(endpoint)) is not None:
        return kept
    return ask() if ask is not None else None


def _from_keyring(endpoint: str) -> Secret | None:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return None
    try:
        value = keyring.get_password(SERVICE, endpoint)
    except KeyringError:
        return None  # no keyring on this machine, or it is locked: as if it held nothing
    return Secret(value, "the system keyring") if value else None


def keep_in_keyring(secret: Secret, endpoint: str) -> None:
    """Keep a key in the system's keyring.

    Raises
    ------
    ExtraMissing
        The ``keyring`` package is not installed.
    NotConnected
        This machine has no keyring that takes it.
    """
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError as error:
        raise ExtraMissing("Keeping a key in the system keyring", "keyring") from error
    try:
        keyring.set_password(SERVICE, endpoint, secret.reveal())
    except KeyringError as error:
        raise NotConnected(
            f"The system keyring did not take the key ({type(error).__name__}).",
            "Set OPENAI_API_KEY in the environment instead.",
        ) from error


def forget_in_keyring(endpoint: str) -> bool:
    """Remove the key kept for *endpoint*; return whether there was one."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return False
    try:
        keyring.delete_password(SERVICE, endpoint)
    except KeyringError:
        return False
    return True
