"""The fixture ``scripted``; in ``tests/conftest.py``: ``pytest_plugins`` names this module."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.scripted.server import ScriptedServer


@contextlib.contextmanager
def serving() -> Iterator[ScriptedServer]:
    """Yield a running server, and fail when it was sent what the API would refuse."""
    with ScriptedServer() as server:
        yield server
    if server.problems:
        pytest.fail("\n".join(map(str, server.problems)), pytrace=False)


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    """Give a running server, and fail the test that sent what the API would refuse.

    A test that means to do so takes the problems: ``scripted.take_problems()``.
    """
    with serving() as server:
        yield server
