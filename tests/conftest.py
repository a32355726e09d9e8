"""Fixtures of all layers, and an environment in which no test meets the developer's settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["tests.scripted.fixtures"]

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Take keys, endpoints and settings out of the environment; work in an empty folder."""
    for name in list(os.environ):
        if name.startswith("OPENAI_") and name != "OPENAI_MAGICS_CACHE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.setenv("OPENAI_MAGICS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "no-data"))
    monkeypatch.chdir(tmp_path)

    from openai_magics import config

    config.NOTEBOOK.clear()
    config.PROFILE.clear()
    yield
    config.NOTEBOOK.clear()
    config.PROFILE.clear()
