"""``%config OpenAIMagics.x = …``: carried out in the cell, or an error that fails it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from openai_magics import config
from openai_magics.config import SETTINGS, Settings
from openai_magics.errors import SettingError
from openai_magics.magics import configurable


@pytest.fixture
def installed(shell: InteractiveShell) -> Iterator[InteractiveShell]:
    """A shell that knows our settings."""
    configurable.install(shell)
    yield shell
    configurable.remove(shell)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("OpenAIMagics.model = 'gpt-5.5'", "model", "gpt-5.5"),
        ('OpenAIMagics.model="gpt-5.5"', "model", "gpt-5.5"),
        ("  OpenAIMagics.retries=2", "retries", 2),
        ("OpenAIMagics.stream = False", "stream", False),
        ("OpenAIMagics.timeout = 60 / 2", "timeout", 30.0),
        ("OpenAIMagics.model = name", "model", "named"),
        ("OpenAIMagics.system_instruction = '''a\nb'''", "system_instruction", "a\nb"),
        ("OpenAIMagics.system_instruction = 'a == b'", "system_instruction", "a == b"),
    ],
)
def test_assignment(installed: InteractiveShell, line: str, name: str, value: object) -> None:
    """What a cell sets holds for the notebook, and counts as what the notebook says."""
    installed.user_ns["name"] = "named"
    installed.run_line_magic("config", line)
    assert Settings().resolve(name) == (value, f"%config OpenAIMagics.{name}")
    assert Settings().said(name) == value


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("OpenAIMagics.modell = 'x'", "did you mean 'model'"),
        ("OpenAIMagics.mode = 'dead'", "It is one of: auto, live, replay"),
        ("OpenAIMagics.retries = -1", "a whole number from 0"),
    ],
)
def test_refusal(installed: InteractiveShell, line: str, words: str) -> None:
    """What is impossible is an error, where IPython's own would log it and let the cell pass."""
    with pytest.raises(SettingError, match=words):
        installed.run_line_magic("config", line)
    assert config.NOTEBOOK == {}


def test_taking_back(installed: InteractiveShell) -> None:
    """``None`` leaves the setting to what comes after the notebook."""
    installed.run_line_magic("config", "OpenAIMagics.mode = 'live'")
    installed.run_line_magic("config", "OpenAIMagics.mode = None")
    assert Settings().resolve("mode") == ("auto", "default")


def test_other_configuration_is_ipythons(installed: InteractiveShell) -> None:
    """What is not ours goes its own way."""
    before = installed.show_rewritten_input
    with pytest.raises(UsageError, match="Invalid config statement"):
        installed.run_line_magic("config", "OpenAIMagic")
    installed.run_line_magic("config", f"{type(installed).__name__}.show_rewritten_input = False")
    assert installed.show_rewritten_input is False
    installed.show_rewritten_input = before


def test_listing(installed: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    """``%config OpenAIMagics`` lists every setting, with what it is for and its value."""
    installed.run_line_magic("config", "OpenAIMagics.model = 'gpt-5.5'")
    installed.run_line_magic("config", "OpenAIMagics")
    shown = capsys.readouterr().out
    assert all(f"OpenAIMagics.{name}" in shown for name in SETTINGS)
    assert "gpt-5.5" in shown
    assert SETTINGS["retries"].purpose in " ".join(shown.split())


def test_the_profile(shell: InteractiveShell) -> None:
    """What the user's profile sets stands behind the notebook."""
    before = shell.config
    shell.config = Config({"OpenAIMagics": {"model": "profile", "format": "text"}})
    try:
        configurable.install(shell)
        configurable.set_for_notebook("format", "json")
        assert Settings().resolve("model") == ("profile", "IPython's profile")
        assert Settings().get("format") == "json"
        assert Settings().said("model") is None
    finally:
        configurable.remove(shell)
        shell.config = before


def test_what_was_set_before_is_listed(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    """Loading the extension again lists what the notebook had set."""
    configurable.set_for_notebook("model", "gpt-5.5")
    configurable.install(shell)
    shell.run_line_magic("config", "OpenAIMagics")
    configurable.remove(shell)
    assert "Current: 'gpt-5.5'" in capsys.readouterr().out


def test_remove(shell: InteractiveShell) -> None:
    """IPython has its own ``%config`` back, also after loading twice."""
    before = shell.find_line_magic("config")
    count = len(shell.configurables)
    for _ in range(2):
        configurable.install(shell)
    assert len(shell.configurables) == count + 1
    configurable.remove(shell)
    assert shell.find_line_magic("config") == before
    assert len(shell.configurables) == count
