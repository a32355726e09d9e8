"""Settings and their one order of precedence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openai_magics import config
from openai_magics.config import SETTINGS, Settings
from openai_magics.errors import SettingError


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's configuration file, which is not there yet."""
    path = tmp_path / "user" / "config.toml"
    path.parent.mkdir()
    monkeypatch.setattr(config, "user_file", lambda: path)
    return path


class Layers:
    """Sets a setting in one layer and in no other."""

    def __init__(self, folder: Path, user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.user, self.monkeypatch = folder, user, monkeypatch
        self.arguments: dict[str, Any] = {}
        self.option: Any = None

    def set_option(self, _name: str, value: str) -> None:
        self.option = value

    def set_session(self, name: str, value: str) -> None:
        self.arguments[name] = value

    def set_cell(self, name: str, value: str) -> None:
        config.NOTEBOOK[name] = value

    def set_environment(self, name: str, value: str) -> None:
        self.monkeypatch.setenv(SETTINGS[name].environment, value)

    def set_project(self, name: str, value: str) -> None:
        text = f"[tool.openai_magics]\n{name} = {value!r}\n"
        (self.folder / "pyproject.toml").write_text(text, "utf-8")

    def set_profile(self, name: str, value: str) -> None:
        config.PROFILE[name] = value

    def set_user(self, name: str, value: str) -> None:
        self.user.write_text(f"{name} = {value!r}\n", "utf-8")

    def resolve(self, name: str) -> tuple[Any, str]:
        return Settings(self.arguments).resolve(name, self.option)


@pytest.fixture
def layers(tmp_path: Path, user: Path, monkeypatch: pytest.MonkeyPatch) -> Layers:
    """Every layer, all of them empty."""
    return Layers(tmp_path, user, monkeypatch)


ORDER: list[tuple[Callable[[Layers, str, str], None], str]] = [
    (Layers.set_option, "the option"),
    (Layers.set_session, "Session"),
    (Layers.set_cell, "%config OpenAIMagics.model"),
    (Layers.set_environment, "the environment (OPENAI_MAGICS_MODEL)"),
    (Layers.set_project, "pyproject.toml [tool.openai_magics]"),
    (Layers.set_profile, "IPython's profile"),
    (Layers.set_user, "config.toml"),
]


@pytest.mark.parametrize("first", range(len(ORDER)), ids=[source for _, source in ORDER])
def test_precedence(layers: Layers, first: int) -> None:
    """A layer goes before all that stand below it, and is named where it was set."""
    for n, (put, _) in enumerate(ORDER[first:], first):
        put(layers, "model", f"model-{n}")
    value, source = layers.resolve("model")
    assert value == f"model-{first}"
    assert source.endswith(ORDER[first][1])


def test_default(layers: Layers) -> None:
    """What nobody set has its default."""
    for name, setting in SETTINGS.items():
        assert layers.resolve(name) == (setting.default, "default")


@pytest.mark.parametrize("value", ["", None], ids=["empty", "not set"])
def test_an_empty_variable_sets_nothing(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """``OPENAI_BASE_URL=`` is as if it were not there."""
    if value is not None:
        monkeypatch.setenv("OPENAI_BASE_URL", value)
    assert Settings().get("base_url") is None


def test_the_endpoint_has_the_clients_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The base_url is read from where the ``openai`` client reads it, and from there only."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1/v1")
    assert Settings().get("base_url") == "http://localhost:1/v1"
    monkeypatch.setenv("OPENAI_MAGICS_BASE_URL", "http://localhost:2/v1")
    with pytest.raises(SettingError, match="OPENAI_MAGICS_BASE_URL, which is no setting"):
        Settings().get("model")


def test_what_the_notebook_says(layers: Layers) -> None:
    """Only `Session` and ``%config`` count as what the notebook itself set."""
    for put, _ in ORDER[3:]:
        put(layers, "model", "elsewhere")
    assert Settings(layers.arguments).said("model") is None
    layers.set_cell("model", "cell")
    assert Settings(layers.arguments).said("model") == "cell"
    layers.set_session("model", "session")
    assert Settings(layers.arguments).said("model") == "session"


def test_notebooks_share_what_a_cell_set() -> None:
    """``%config`` in a cell holds for every session of the notebook, also those made before."""
    before = Settings()
    config.NOTEBOOK["format"] = "json"
    assert (before.get("format"), Settings().get("format")) == ("json", "json")


# --- replay, held from outside


@pytest.mark.parametrize("set_by", ["option", "session", "cell"])
def test_replay_in_the_environment_holds_against_the_notebook(layers: Layers, set_by: str) -> None:
    """Whoever verifies a notebook can be sure that nothing is asked."""
    layers.set_environment("mode", "replay")
    getattr(layers, f"set_{set_by}")("mode", "live")
    assert layers.resolve("mode") == ("replay", "the environment (OPENAI_MAGICS_MODE)")


@pytest.mark.parametrize("mode", ["live", "auto"])
def test_other_modes_in_the_environment_do_not(layers: Layers, mode: str) -> None:
    """What would ask is the notebook's to say."""
    layers.set_environment("mode", mode)
    layers.set_cell("mode", "replay")
    assert layers.resolve("mode")[0] == "replay"


# --- values


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("model", "gpt-5.5", "gpt-5.5"),
        ("dialogue", Path("a.json"), "a.json"),
        ("stream", "yes", True),
        ("stream", "OFF", False),
        ("stream", False, False),
        ("stream", 1, True),
        ("fsync", "0", False),
        ("retries", "3", 3),
        ("retries", 0, 0),
        ("retries", 2.0, 2),
        ("timeout", "1.5", 1.5),
        ("timeout", 30, 30.0),
        ("max_history", None, None),
        ("mode", "live", "live"),
    ],
)
def test_values_are_read(name: str, given: object, value: object) -> None:
    """Each setting takes its value as Python, TOML or the environment write it."""
    found = Settings().check(name, given, "here")
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("model", 3, "text is needed"),
        ("stream", "maybe", "true or false is needed"),
        ("stream", 2, "true or false is needed"),
        ("retries", -1, "a whole number from 0"),
        ("retries", 1.5, "a whole number from 0"),
        ("retries", True, "a whole number from 0"),
        ("retries", "many", "invalid literal"),
        ("retries", float("inf"), "infinity"),
        ("retries", float("nan"), "NaN"),
        ("retries", [], "not possible"),
        ("timeout", 0, "a positive number"),
        ("timeout", "nan", "a positive number"),
        ("timeout", float("inf"), "a positive number"),
        ("timeout", True, "a positive number"),
        ("mode", "replya", "did you mean 'replay'?"),
        ("mode", "", "It is one of: auto, live, replay"),
        ("format", "html", "It is one of: markdown, text, json, code"),
        ("sentiment", "lexikon", "did you mean 'lexicon'?"),
    ],
)
def test_bad_values(name: str, given: object, words: str) -> None:
    """What a setting does not take is an error that says where it stands, and what it takes."""
    with pytest.raises(SettingError) as caught:
        Settings().check(name, given, "the option")
    assert str(caught.value).startswith(f"the option: {name} = {given!r} is not possible")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("put", "source"),
    [item for item in ORDER if item[0] is not Layers.set_option],
    ids=[source for put, source in ORDER if put is not Layers.set_option],
)
def test_bad_values_name_their_layer(
    layers: Layers, put: Callable[[Layers, str, str], None], source: str
) -> None:
    """So it can be found and mended."""
    put(layers, "mode", "lvie")
    with pytest.raises(SettingError) as caught:
        layers.resolve("mode")
    assert source.replace("model", "mode").replace("MODEL", "MODE") in str(caught.value)
    assert "did you mean 'live'?" in str(caught.value)


# --- names


@pytest.mark.parametrize(
    ("name", "near"),
    [("modell", "'model'"), ("max_histroy", "'max_history'"), ("base-url", "'base_url'")],
)
def test_unknown_names(name: str, near: str) -> None:
    """A name that is no setting is an error with the nearest one, and the list of all."""
    with pytest.raises(SettingError) as caught:
        Settings().check(name, "x", "here")
    assert f"there is no setting {name!r} (did you mean {near}?)" in str(caught.value)
    assert all(known in str(caught.value) for known in SETTINGS)


def test_unknown_names_in_files(layers: Layers) -> None:
    """So in a file, with the file's name, whichever setting is looked for."""
    layers.set_project("modell", "x")
    with pytest.raises(SettingError, match=r"pyproject.toml .*no setting 'modell'.*'model'"):
        layers.resolve("format")


def test_unknown_names_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """So in the environment; those of other rooms and of other programs are let be."""
    monkeypatch.setenv("OPENAI_MAGICS_CACHE", "/tmp")
    monkeypatch.setenv("OPENAI_MAGICS_LOCAL_MODEL", "a.gguf")
    monkeypatch.setenv("OPENAI_ORG_ID", "x")
    assert Settings().get("model") is None
    monkeypatch.setenv("OPENAI_MAGICS_MODELL", "x")
    with pytest.raises(SettingError, match="did you mean 'OPENAI_MAGICS_MODEL'"):
        Settings().get("model")


# --- files


def test_the_nearest_project_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several ``pyproject.toml`` above the working folder, the nearest is read."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.openai_magics]\nmodel = "outer"\n')
    monkeypatch.chdir(inner)
    assert Settings().get("model") == "outer"
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert Settings().get("model") is None


def test_files_are_read_once(tmp_path: Path) -> None:
    """A session does not look at the disk for every setting it needs."""
    settings = Settings()
    assert settings.get("model") is None
    (tmp_path / "pyproject.toml").write_text('[tool.openai_magics]\nmodel = "late"\n')
    assert settings.get("model") is None
    assert Settings().get("model") == "late"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"not toml", id="not TOML"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b"[tool]\nopenai_magics = 3\n", id="ours is no table"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    """A broken file is an error with its name."""
    (tmp_path / "pyproject.toml").write_bytes(content)
    with pytest.raises(SettingError, match=r"pyproject\.toml"):
        Settings().get("model")


def test_values_of_files_have_types(tmp_path: Path) -> None:
    """TOML has numbers and booleans of its own."""
    text = "[tool.openai_magics]\nstream = false\nretries = 2\ntimeout = 1\n"
    (tmp_path / "pyproject.toml").write_text(text)
    settings = Settings()
    assert [settings.get(name) for name in ("stream", "retries", "timeout")] == [False, 2, 1.0]


def test_the_users_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It stands where the system keeps configuration."""
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = config.user_file()
    assert (path.name, path.parent.name) == ("config.toml", "openai_magics")
    if sys.platform == "linux":
        assert path.is_relative_to(tmp_path)


def test_every_setting_says_what_it_is_for() -> None:
    """In one line, without a full stop; its name is its variable's."""
    for name, setting in SETTINGS.items():
        assert setting.name == name
        assert setting.purpose
        assert not setting.purpose.endswith(".")
        assert setting.environment in ("OPENAI_BASE_URL", f"OPENAI_MAGICS_{name.upper()}")
        if setting.default is not None:
            assert setting.parse(setting.default) == setting.default
