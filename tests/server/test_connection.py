"""Which endpoint, model and key answer: what was set, and where that leads."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from openai_magics import Session, config, local
from openai_magics import errors as ours
from openai_magics.config import Settings
from openai_magics.connection import HOSTED_MODEL, Target, choose, host
from openai_magics.keys import Secret
from tests.scripted import Request, ScriptedServer, errors, failures
from tests.scripted.asking import KEY
from tests.scripted.wire import as_json
from tests.server.ways import ALL, BOTH, WHOLE, Way, asked, live, records, request, session

OPENAI = "https://api.openai.com/v1"
OLLAMA = "http://localhost:11434/v1"
ENV = {
    "key": "OPENAI_API_KEY",
    "url": "OPENAI_BASE_URL",
    "model": "OPENAI_MAGICS_MODEL",
}


def chosen(
    environment: Mapping[str, str], engine: bool, patch: pytest.MonkeyPatch, **options: Any
) -> Target:
    """Return where a request would go on a machine with this environment."""
    patch.setattr(local, "installed", lambda: engine)
    for name, value in environment.items():
        patch.setenv(ENV[name], value)
    return choose(Settings(options.pop("arguments", {})), **options)


Row = tuple[dict[str, str], dict[str, Any], bool, tuple[str, "str | None", bool]]
TARGETS: dict[str, Row] = {
    # The environment; what the notebook says; whether there is an engine;
    # then the endpoint, the model, and whether a key goes along.
    "a key": ({"key": KEY}, {}, True, ("api.openai.com", HOSTED_MODEL, True)),
    "a key and a model": (
        {"key": KEY}, {"model": "gpt-6"}, True, ("api.openai.com", "gpt-6", True),
    ),
    "a model in the environment": (
        {"key": KEY, "model": "gpt-6"}, {}, True, ("api.openai.com", "gpt-6", True),
    ),
    "nothing": ({}, {}, True, ("local", local.MODEL, False)),
    "an empty key": ({"key": " "}, {}, True, ("local", local.MODEL, False)),
    "a url": ({"url": OLLAMA}, {}, True, ("localhost:11434", None, False)),
    "a url and a key": ({"url": OLLAMA, "key": KEY}, {}, True, ("localhost:11434", None, True)),
    "a url and a model": (
        {"url": OLLAMA}, {"model": "llama4"}, True, ("localhost:11434", "llama4", False),
    ),
    "a url with white space": (
        {"url": f" {OLLAMA}\n"}, {}, True, ("localhost:11434", None, False),
    ),
    "OpenAI's own url": (
        {"url": f"{OPENAI}/", "key": KEY}, {}, True, ("api.openai.com", HOSTED_MODEL, True),
    ),
    "a url said": (
        {"url": OLLAMA}, {"base_url": "http://[::1]:8080/v1"}, True, ("[::1]:8080", None, False),
    ),
    "the engine said": (
        {"key": KEY}, {"model": "local"}, True, ("local", local.MODEL, False),
    ),
    "the engine's model said": (
        {"key": KEY}, {"model": local.MODEL}, True, ("local", local.MODEL, False),
    ),
    "the engine as a url": (
        {"key": KEY}, {"base_url": "local"}, True, ("local", local.MODEL, False),
    ),
    "the engine in the environment": (
        {"key": KEY, "model": "local"}, {}, True, ("local", local.MODEL, False),
    ),
    "the engine said, a url around": (
        {"key": KEY, "url": OLLAMA}, {"model": "local"}, True, ("local", local.MODEL, False),
    ),
    "the engine around, a url said": (
        {"model": "local"}, {"base_url": OLLAMA}, True, ("localhost:11434", None, False),
    ),
    "the engine and a url around": (
        {"model": "local", "url": OLLAMA}, {}, True, ("local", local.MODEL, False),
    ),
    "its model's name elsewhere": (
        {"url": OLLAMA}, {"model": local.MODEL}, True, ("localhost:11434", local.MODEL, False),
    ),
    "the engine, not installed": ({}, {"model": "local"}, False, ("local", local.MODEL, False)),
}  # fmt: skip


@pytest.mark.parametrize("how", ["typed", "argument", "config"])
@pytest.mark.parametrize(
    ("environment", "said", "engine", "expected"),
    [pytest.param(*row, id=name) for name, row in TARGETS.items()],
)
def test_where_a_request_goes(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    said: dict[str, Any],
    engine: bool,
    expected: tuple[str, str | None, bool],
    how: str,
) -> None:
    """What the notebook says goes before its surroundings, however it says it."""
    options: dict[str, Any] = said if how == "typed" else {}
    if how == "argument":
        options = {"arguments": said}
    elif how == "config":
        config.NOTEBOOK.update(said)
    target = chosen(environment, engine, monkeypatch, **options)
    assert (target.endpoint, target.model, target.key is not None) == expected
    assert target.local == (target.base_url is None) == (expected[0] == "local")
    assert target.why
    assert KEY not in repr(target)


def test_whose_key() -> None:
    """The one given goes before the environment's; the person is asked last, and not for nothing."""
    given, other = Secret("sk-given-to-the-session"), Secret("sk-typed-just-now")
    assert choose(Settings(), given=given).key is given
    assert choose(Settings(), "gpt-6", ask_key=lambda: other).key is other
    with pytest.raises(ours.KeyMissing):
        choose(Settings(), "gpt-6", ask_key=lambda: None)


NO_WAY: dict[str, tuple[dict[str, str], dict[str, Any], bool, str, list[str]]] = {
    # The environment; what is typed; the engine; the problem, and the ways forward.
    "nothing at all": (
        {}, {}, False, "no key, no base_url and no local engine",
        ["%openai key", "OPENAI_API_KEY", "OPENAI_BASE_URL", "openai_magics[local]"],
    ),
    "a model, no engine": (
        {}, {"model": "gpt-6"}, False, "no key, no base_url and no local engine",
        ["%openai key", "OPENAI_BASE_URL", "openai_magics[local]"],
    ),
    "a model, an engine": (
        {}, {"model": "gpt-6"}, True, "The model 'gpt-6' needs a key",
        ["%openai key", "OPENAI_BASE_URL", "--model local"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "typed", "engine", "problem", "ways"),
    [pytest.param(*row, id=name) for name, row in NO_WAY.items()],
)
def test_no_way_is_open(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    typed: dict[str, Any],
    engine: bool,
    problem: str,
    ways: list[str],
) -> None:
    """The error says what is missing and names each way forward; nothing is recorded."""
    with pytest.raises(ours.KeyMissing) as caught:
        chosen(environment, engine, monkeypatch, **typed)
    assert problem in caught.value.problem
    assert all(way in caught.value.remedy for way in ways)
    held = Session(**typed)
    with pytest.raises(ours.KeyMissing):
        held.ask("Hi")
    assert not held.dialogue_log_path.exists()


NO_ADDRESS = [
    "localhost:11434/v1", "api.openai.com", "ftp://host/v1", "http://", "http:///v1", "", " ",
    "http://[::1/v1", "http://host:99999/v1", "http://host:port/v1", "http://a b/v1",
    f"http://{'a' * 64}.org/v1", "http://a..org/v1", "http://host/v1\x00", "http://ho\nst/v1", "gpt-4o", "C:\\models",
]  # fmt: skip


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("address", NO_ADDRESS)
def test_an_address_that_is_none(way: Way, address: str) -> None:
    """It is quoted, with two that would do; and the same when it comes from the environment."""
    with pytest.raises(ours.SettingError, match="is not an address") as caught:
        host(address)
    assert repr(address) in caught.value.problem
    assert OLLAMA in caught.value.remedy
    with pytest.raises(ours.SettingError, match="is not an address"):
        way.ask(session(base_url=address), "Hi")


@pytest.mark.parametrize("address", ["http://[::1/v1", "http://host:99999/v1", "api.openai.com"])
def test_an_address_of_the_environment_that_is_none(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """The environment's is refused in the same words."""
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    with pytest.raises(ours.SettingError, match="is not an address"):
        session().ask("Hi")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (OPENAI, "api.openai.com"),
        (OLLAMA, "localhost:11434"),
        ("http://127.0.0.1:80", "127.0.0.1:80"),
        ("https://user:secret@Example.org/v1", "example.org"),
        ("http://[2001:db8::1]/v1", "[2001:db8::1]"),
        ("http://[::1]:8080/v1", "[::1]:8080"),
    ],
)
def test_a_host_has_no_secrets(address: str, name: str) -> None:
    """What names an endpoint in records and messages is host and port, nothing else."""
    assert host(address) == name


# --- a server and its models


@pytest.mark.parametrize("way", ALL)
def test_a_server_with_one_model(scripted: ScriptedServer, way: Way) -> None:
    """It is asked which, once; the name is recorded, but not what the notebook says."""
    scripted.models.clear()
    scripted.models.add("tiny")
    held = Session(base_url=scripted.base_url)
    assert way.ask(held, "Hi").resolved.model == "tiny"
    way.ask(held, "And?")
    assert [each.route for each in scripted.requests] == [
        "/models", "/chat/completions", "/chat/completions",
    ]  # fmt: skip
    assert scripted.requests[1].model == "tiny"
    assert [(item.request.model, item.resolved.model) for item in records(held)] == [
        (None, "tiny"),
        (None, "tiny"),
    ]


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    ("names", "says"),
    [
        pytest.param(["a", "b"], "has 2 models: a, b.", id="two"),
        pytest.param([], "names no model.", id="none"),
        pytest.param([f"m{n}" for n in range(50)], "has 50 models: m0, m1, ", id="many"),
    ],
)
def test_a_server_with_other_than_one_model(
    scripted: ScriptedServer, way: Way, names: list[str], says: str
) -> None:
    """It names them (the first twenty) and asks for one; nothing is recorded."""
    scripted.models.clear()
    for name in names:
        scripted.models.add(name)
    held = Session(base_url=scripted.base_url)
    with pytest.raises(ours.SettingError, match=r"Which model\?") as caught:
        way.ask(held, "Hi")
    assert f"127.0.0.1:{scripted.port} {says}" in caught.value.problem
    assert "m20" not in caught.value.problem
    assert "--model NAME" in caught.value.remedy
    assert not held.dialogue_log_path.exists()


@pytest.mark.parametrize("way", BOTH)
def test_a_server_whose_models_cannot_be_listed(scripted: ScriptedServer, way: Way) -> None:
    """What fails is the ask's failure, recorded as the moment's."""
    scripted.route("GET", "/models", lambda _: failures.html("<p>Hi", 502))
    held = Session(base_url=scripted.base_url)
    held.settings.arguments["retries"] = 0
    with pytest.raises(ours.Unreachable, match="a web page"):
        way.ask(held, "Hi")
    assert [item.occurrence for item in records(held)] == [None]
    scripted.route("GET", "/models", lambda _: as_json({"object": "list", "data": ["a"]}))
    with pytest.raises(ours.SettingError, match="names no model"):
        way.ask(held, "Hi")
    scripted.take_problems()


# --- keys


@pytest.mark.parametrize("way", BOTH)
def test_a_wrong_key(scripted: ScriptedServer, way: Way) -> None:
    """The error quotes the service, its half-masked key hidden, and says how to set another."""
    scripted.script.key = "sk-proj-the-right-one-0000000000000"
    held = session(scripted)
    with pytest.raises(ours.KeyRefused, match="Incorrect API key provided: \\[key\\]") as caught:
        way.ask(held, "Hi")
    assert "sk-" not in str(caught.value)
    assert "%openai key" in caught.value.remedy
    assert b"sk-" not in held.dialogue_log_path.read_bytes()


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("named", ["gpt-4o", None])
def test_no_key_where_one_is_wanted(scripted: ScriptedServer, way: Way, named: str | None) -> None:
    """It is missing rather than wrong, so nothing is recorded."""
    scripted.script.key = KEY
    held = Session(named, base_url=scripted.base_url)
    with pytest.raises(ours.KeyMissing, match="wants a key, and none is set") as caught:
        way.ask(held, "Hi")
    assert f"127.0.0.1:{scripted.port}" in caught.value.problem
    assert not held.dialogue_log_path.exists()


def test_no_key_where_none_is_wanted(scripted: ScriptedServer) -> None:
    """A server of one's own answers without."""
    assert Session("gpt-4o", base_url=scripted.base_url).ask("Hi").text


@pytest.mark.parametrize("source", ["argument", "environment"])
def test_where_the_key_comes_from(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """The argument goes before the environment; white space around a key is none of it."""
    scripted.script.key = KEY
    monkeypatch.setenv("OPENAI_API_KEY", f"  {KEY}\n" if source == "environment" else "sk-wrong")
    given = f"{KEY}\n" if source == "argument" else None
    assert Session("gpt-4o", base_url=scripted.base_url, api_key=given).ask("Hi").text


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    "key", ["sk-first-line\nsk-second-line", "sk-ключ-ключ", "sk-a\tb-c-d-e-f", "sk-\x00-zero-byte"]
)
def test_a_key_that_cannot_be_one(scripted: ScriptedServer, way: Way, key: str) -> None:
    """It is refused before the client quotes it in an error of its own."""
    with pytest.raises(ours.SettingError, match="no key has") as caught:
        way.ask(session(scripted, api_key=key), "Hi")
    assert not any(part in str(caught.value) for part in key.split())
    assert scripted.requests == []


# --- servers that are not there


@pytest.mark.parametrize("way", BOTH)
def test_a_server_that_is_down(way: Way) -> None:
    """The error names it and the reason, and says that what is recorded can be seen all the same."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        held = session(base_url=f"http://{address}/v1")
        with pytest.raises(ours.Unreachable) as caught:
            way.ask(held, "Hi")
    assert caught.value.problem == f"{address} cannot be reached: Connection refused."
    assert "Recorded answers can be seen" in caught.value.remedy


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    "address",
    [
        pytest.param("http://nobody.invalid/v1", id="no such host"),
        pytest.param("http://xn--a.invalid/v1", id="no international name"),
    ],
)
def test_a_host_that_does_not_exist(way: Way, address: str) -> None:
    """It is unreachable, or no address: our error, whatever the library makes of it."""
    with pytest.raises((ours.Unreachable, ours.SettingError)) as caught:
        way.ask(session(base_url=address), "Hi")
    assert host(address) in caught.value.problem


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    ("scheme", "reason"),
    [("http", "cannot be reached: "), ("https", "cannot be reached: .*SSL")],
)
def test_a_server_of_another_kind(way: Way, scheme: str, reason: str) -> None:
    """What answers there speaks no HTTP, or no TLS: the reason is the library's."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            talk, _ = listening.accept()
            with talk:
                talk.recv(10_000)
                talk.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        address = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/v1"
        with pytest.raises(ours.Unreachable, match=reason):
            way.ask(session(base_url=address), "Hi")
        thread.join()


@pytest.mark.parametrize("way", BOTH)
def test_azure(scripted: ScriptedServer, way: Way) -> None:
    """Azure's v1 endpoint is one more base_url."""
    scripted.script.key = KEY
    address = scripted.base_url.replace("/v1", "/openai/v1")
    assert way.ask(session(base_url=address), "Hi").text == "You said: Hi. (turn 1, messages 1)"


def test_a_proxy_that_is_none(scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxies are the client's business; where they are wrong it says so."""
    monkeypatch.setenv("HTTP_PROXY", "gopher://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(ours.SettingError, match="No client can be made") as caught:
        session(scripted).ask("Hi")
    assert "proxies" in caught.value.remedy


def test_an_address_without_v1(scripted: ScriptedServer) -> None:
    """The service's 404 says so; it is no property of the request, so it is not replayed."""
    bare = scripted.base_url.removesuffix("/v1")
    held = session(base_url=bare)
    with pytest.raises(ours.ModelNotFound, match="this model or route: Invalid URL"):
        held.ask("Hi")
    assert [item.occurrence for item in records(held)] == [None]
    assert len(scripted.take_problems()) == 1


def test_a_redirect_is_followed(scripted: ScriptedServer) -> None:
    """A gateway that moved (307) is asked where it went."""

    def moved(asked_for: Request) -> Any:
        return errors.error(307, headers={"location": f"{scripted.base_url}/chat/completions"})

    scripted.script.then(moved)
    assert WHOLE.send(live(scripted), request()).text == "You said: Hi. (turn 1, messages 1)"
    assert len(asked(scripted)) == 2


def test_two_endpoints_in_one_session(scripted: ScriptedServer) -> None:
    """Each ask goes where it says; a model's name is looked up for each server."""
    with ScriptedServer() as other:
        for server, name in ((scripted, "one"), (other, "two")):
            server.models.clear()
            server.models.add(name)
        held = Session()
        replies = [held.ask("Hi", base_url=each.base_url) for each in (scripted, other)]
        assert [reply.resolved.model for reply in replies] == ["one", "two"]
        assert len(asked(other)) == 1
        assert asked(other)[0][0] == ("user", "Hi")
        assert other.problems == []
