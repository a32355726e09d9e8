"""For people who test code that asks models: record once, replay in CI.

``dialogue`` is a `Session` whose exchanges are kept in ``dialogues/<module>/<test>.dialogue.json``
beside the test::

    def test_capital(dialogue):
        reply = dialogue.ask("What is the capital of France?")
        assert "Paris" in reply.text

The first run asks and records; commit the file, and later runs replay it. Where ``CI`` is set,
or with ``--dialogue-mode replay``, nothing is ever asked. `openai_magics.get_session` gives the
same session while the test runs.

With ``pytest --nbval`` notebooks run in replay mode, each with its own dialogue file, unless
``OPENAI_MAGICS_MODE`` says otherwise.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from openai_magics.config import MODES

if TYPE_CHECKING:
    from openai_magics.session import Session

__all__ = ["dialogue", "pytest_addoption", "pytest_runtest_setup"]

MODE, NOTEBOOK = "OPENAI_MAGICS_MODE", "OPENAI_MAGICS_NOTEBOOK"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--dialogue-mode``."""
    parser.getgroup("openai_magics").addoption(
        "--dialogue-mode",
        choices=MODES,
        default=None,
        help="replay recorded answers, ask live, or both (default: auto, and replay where CI is set)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tell the kernel that nbval is about to start its notebook, and to replay."""
    option = item.config.option
    if getattr(option, "nbval", False) or getattr(option, "nbval_lax", False):
        os.environ.setdefault(MODE, item.config.getoption("--dialogue-mode") or "replay")
        if item.path.suffix == ".ipynb":
            os.environ[NOTEBOOK] = str(item.path)


@pytest.fixture
def dialogue(request: pytest.FixtureRequest) -> Iterator[Session]:
    """Give a session that replays what this test recorded, and records what it has not."""
    from openai_magics import session as sessions

    mode = request.config.getoption("--dialogue-mode")
    if mode is None:
        mode = "replay" if os.environ.get("CI") else os.environ.get(MODE, "auto")
    name = re.sub(r"[^\w.-]+", "_", request.node.name).strip("_")
    path = Path(request.path.parent, "dialogues", request.path.stem, f"{name}.dialogue.json")
    if mode != "replay":
        path.parent.mkdir(parents=True, exist_ok=True)
    before, own = sessions.current, sessions.Session(dialogue_log_path=path, mode=mode)
    sessions.current = own
    try:
        yield own
    finally:
        sessions.current = before
