"""Keys: found in one order, and never shown, written or pickled."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from openai_magics import keys
from openai_magics.connection import Target
from openai_magics.errors import ExtraMissing, NotConnected
from openai_magics.keys import Secret, find_key, redact

KEY = "sk-proj-Zm9vYmFyYmF6cXV4"
HOST = "api.openai.com"


def shown(secret: Secret) -> list[str]:
    """Return everything a secret may be shown as."""
    try:
        [][len(str(secret))]
    except IndexError as error:
        lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
        trace = "".join(lines)
    assert "secret = " in trace
    record = logging.LogRecord("x", 10, "x", 1, "%s %r", (secret, secret), None)
    return [
        repr(secret),
        str(secret),
        f"{secret} {secret!r}",
        repr([secret]),
        repr({"key": secret}),
        repr(Target(HOST, key=secret)),
        repr(dataclasses.asdict(Target(HOST))),
        json.dumps({"key": secret}, default=repr),
        record.getMessage(),
        trace,
    ]


def test_a_secret_does_not_show_itself() -> None:
    """Not in `repr`, a message, a log, a traceback with its variables, or what holds it."""
    for text in shown(Secret(KEY, "the test")):
        assert KEY not in text
    assert repr(Secret(KEY)) == "Secret([key])"
    assert repr(Secret("")) == "Secret()"


@pytest.mark.parametrize(
    "leak",
    [pickle.dumps, copy.copy, copy.deepcopy, lambda secret: pickle.dumps({"key": secret})],
    ids=["pickle", "copy", "deepcopy", "pickle of what holds it"],
)
def test_a_secret_is_not_pickled(leak: Callable[[Secret], object]) -> None:
    """It does not leave the process; the error tells what to do."""
    with pytest.raises(TypeError, match="a key is not pickled"):
        leak(Secret(KEY))


def test_a_secret_has_no_dict() -> None:
    """`vars`, which debuggers and variable inspectors show, finds nothing."""
    with pytest.raises(TypeError):
        vars(Secret(KEY))
    with pytest.raises(AttributeError):
        Secret(KEY).other = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("typed", "value"), [(KEY, KEY), (f" {KEY}\n", KEY), ("", ""), (" \n", "")]
)
def test_reveal(typed: str, value: str) -> None:
    """The client gets the key itself, without the blanks it was pasted with."""
    secret = Secret(typed, "the test")
    assert (secret.reveal(), bool(secret), secret.source) == (value, bool(value), "the test")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        pytest.param(f"Incorrect API key: {KEY}.", "Incorrect API key: [key].", id="a key"),
        pytest.param("sk-abcdefgh", "[key]", id="the shortest"),
        pytest.param("sk-proj-abc****wxyz", "[key]", id="half masked"),
        pytest.param("sk-svcacct-a_B-c_D-e_F9", "[key]", id="of a service account"),
        pytest.param(f'"{KEY}","{KEY}"', '"[key]","[key]"', id="several"),
        pytest.param("Bearer sk-1234567890abcdef", "Bearer [key]", id="in a header"),
        pytest.param("sk-short", "sk-short", id="too short to be one"),
        pytest.param("ask-questions-freely", "ask-questions-freely", id="in a word"),
        pytest.param("nothing to hide", "nothing to hide", id="none"),
        pytest.param("", "", id="empty"),
    ],
)
def test_what_looks_like_a_key_is_hidden(text: str, left: str) -> None:
    """Also a key that we do not know."""
    assert redact(text) == left


def test_a_known_key_is_hidden_whatever_it_looks_like() -> None:
    """Other services have other keys; one that is too short to tell from words is let be."""
    assert redact("key: hf_Wq8sd7f6!", [Secret("hf_Wq8sd7f6!")]) == "key: [key]"
    assert redact("none of it", [None, Secret(""), Secret("none")]) == "none of it"


# --- where a key comes from


@pytest.fixture
def ring() -> Iterator[dict[tuple[str, str], str]]:
    """A system keyring that holds its passwords in memory."""
    keyring = pytest.importorskip("keyring")
    from keyring.backend import KeyringBackend
    from keyring.errors import PasswordDeleteError

    held: dict[tuple[str, str], str] = {}

    class Memory(KeyringBackend):  # type: ignore[misc]
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return held.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            held[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            if held.pop((service, username), None) is None:
                raise PasswordDeleteError

    before = keyring.get_keyring()
    keyring.set_keyring(Memory())
    yield held
    keyring.set_keyring(before)


def test_order(ring: dict[tuple[str, str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument, the environment, the keyring, then the person."""
    given, typed = Secret("given", "the argument api_key"), Secret("typed", "typed")
    monkeypatch.setenv("OPENAI_API_KEY", " environment\n")
    ring["openai_magics", HOST] = "kept"
    found: list[Any] = [find_key(given, HOST, lambda: typed)]
    found.append(find_key(None, HOST, lambda: typed))
    monkeypatch.setenv("OPENAI_API_KEY", " ")
    found.append(find_key(Secret(""), HOST, lambda: typed))
    ring.clear()
    found.append(find_key(None, HOST, lambda: typed))
    assert [key.reveal() for key in found] == ["given", "environment", "kept", "typed"]
    assert [key.source for key in found] == [
        "the argument api_key",
        "the environment (OPENAI_API_KEY)",
        "the system keyring",
        "typed",
    ]


def test_nobody_is_asked_where_nobody_is() -> None:
    """Without a person there is no key, and nothing waits for one."""
    assert find_key(None, HOST) is None
    assert find_key(None, HOST, lambda: None) is None


def test_the_person_is_asked_last(ring: dict[tuple[str, str], str]) -> None:
    """Not where a key is kept."""
    ring["openai_magics", HOST] = "kept"

    def ask() -> Secret:
        raise AssertionError("asked")

    assert find_key(None, HOST, ask)


def test_keep_and_forget(ring: dict[tuple[str, str], str]) -> None:
    """A key is kept by the host that it is for, and can be forgotten."""
    keys.keep_in_keyring(Secret(KEY), HOST)
    assert ring == {("openai_magics", HOST): KEY}
    found = find_key(None, HOST)
    assert found is not None
    assert found.reveal() == KEY
    assert find_key(None, "localhost:11434") is None
    assert [keys.forget_in_keyring(HOST) for _ in range(2)] == [True, False]
    assert find_key(None, HOST) is None


@pytest.fixture
def broken_ring() -> Iterator[None]:
    """A keyring that is locked."""
    keyring = pytest.importorskip("keyring")
    before = keyring.get_keyring()
    from keyring.backends.fail import Keyring

    keyring.set_keyring(Keyring())
    yield
    keyring.set_keyring(before)


@pytest.mark.usefixtures("broken_ring")
def test_a_keyring_that_does_not_work() -> None:
    """It is as if it held nothing; keeping a key in it is an error that says another way."""
    assert find_key(None, HOST) is None
    assert keys.forget_in_keyring(HOST) is False
    with pytest.raises(NotConnected, match="Set OPENAI_API_KEY") as caught:
        keys.keep_in_keyring(Secret(KEY), HOST)
    assert KEY not in str(caught.value)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keyring is optional; only keeping a key asks for its package."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert find_key(None, HOST) is None
    assert keys.forget_in_keyring(HOST) is False
    with pytest.raises(ExtraMissing, match=r"openai_magics\[keyring\]"):
        keys.keep_in_keyring(Secret(KEY), HOST)
