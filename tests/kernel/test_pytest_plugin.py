"""The pytest plugin: record once, replay in CI; nbval in replay out of the box."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernel.test_verify import record
from tests.scripted import ScriptedServer

EXAMPLE = """
def test_capital(dialogue):
    reply = dialogue.ask("What is the capital of France?")
    assert "France" in reply.text


def test_own_code(dialogue):
    from openai_magics import get_session
    assert get_session() is dialogue
    assert get_session().ask("Again?").text
"""


def pytest_in(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run pytest as a project of its own would."""
    environment = {name: text for name, text in os.environ.items() if name != "CI"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**environment, **variables},
        capture_output=True,
        text=True,
    )


def test_recorded_once_then_replayed(tmp_path: Path, scripted: ScriptedServer) -> None:
    """The first run asks and records beside the test; in CI nothing is asked."""
    (tmp_path / "test_mine.py").write_text(EXAMPLE)
    live = {"OPENAI_BASE_URL": scripted.base_url, "OPENAI_MAGICS_MODEL": "gpt-5.4-mini"}
    first = pytest_in(tmp_path, **live)
    assert first.returncode == 0, first.stdout
    assert len(scripted.requests) == 2
    kept = tmp_path / "dialogues" / "test_mine" / "test_capital.dialogue.json"
    assert len(json.loads(kept.read_text())["exchanges"]) == 1
    second = pytest_in(tmp_path, CI="true")
    assert second.returncode == 0, second.stdout
    assert len(scripted.requests) == 2


def test_nothing_is_asked_in_ci(tmp_path: Path, scripted: ScriptedServer) -> None:
    """Where CI is set, what is not recorded fails the test and is not asked."""
    (tmp_path / "test_mine.py").write_text(EXAMPLE)
    run = pytest_in(tmp_path, CI="true", OPENAI_BASE_URL=scripted.base_url)
    assert run.returncode == 1
    assert "Nothing is recorded" in run.stdout
    assert scripted.requests == []
    assert not (tmp_path / "dialogues").exists()


def test_the_mode_can_be_chosen(tmp_path: Path, scripted: ScriptedServer) -> None:
    """``--dialogue-mode live`` asks anew."""
    (tmp_path / "test_mine.py").write_text(EXAMPLE)
    live = {"OPENAI_BASE_URL": scripted.base_url, "OPENAI_MAGICS_MODEL": "gpt-5.4-mini"}
    for _ in range(2):
        assert pytest_in(tmp_path, "--dialogue-mode=live", **live).returncode == 0
    assert len(scripted.requests) == 4


def test_nbval_replays_and_finds_each_dialogue(
    tmp_path: Path, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``pytest --nbval`` replays every notebook from its own file; copies do not confuse it."""
    for name in ("a.ipynb", "b.ipynb"):
        record(
            tmp_path / name,
            scripted,
            "%load_ext openai_magics",
            f"%ask {name}?",
            monkeypatch=monkeypatch,
        )
    copy = tmp_path / "c.ipynb"
    copy.write_bytes((tmp_path / "a.ipynb").read_bytes())
    (tmp_path / "c.dialogue.json").write_bytes((tmp_path / "a.dialogue.json").read_bytes())
    asked = len(scripted.requests)
    done = pytest_in(tmp_path, "--nbval", OPENAI_BASE_URL=scripted.base_url)
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout
    copy.write_text(copy.read_text().replace("You said: a.ipynb?", "You said: z.ipynb?"))
    done = pytest_in(tmp_path, "--nbval", OPENAI_BASE_URL=scripted.base_url)
    assert done.returncode == 1
    assert len(scripted.requests) == asked
