"""A shell for the rooms that speak to one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell


@pytest.fixture(scope="module")
def one_shell() -> Iterator[InteractiveShell]:
    """Give a shell of IPython that keeps no history; making one takes a while."""
    from traitlets.config import Config

    settings = Config()
    settings.HistoryManager.enabled = False
    InteractiveShell.clear_instance()
    yield InteractiveShell.instance(config=settings)
    InteractiveShell.clear_instance()


@pytest.fixture
def shell(one_shell: InteractiveShell) -> Iterator[InteractiveShell]:
    """Give the shell, without the variables of the test before."""
    before = dict(one_shell.user_ns)
    yield one_shell
    one_shell.user_ns.clear()
    one_shell.user_ns.update(before)
