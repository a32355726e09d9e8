"""What the README says is what the package does."""

from __future__ import annotations

import re

from tests.manual import OPTIONS, README, rewritten


def test_tables_are_those_of_the_parsers() -> None:
    """The tables of options and settings are the ones the parsers would make."""
    text = OPTIONS.read_text("utf-8")
    assert rewritten(text) == text, "run: python -m tests.manual"


def test_the_first_two_commands_stand_first() -> None:
    """The first two ``sh`` blocks are the set-up for users and for developers."""
    first, second = re.findall(r"```sh\n(.*?)```", README.read_text("utf-8"), re.DOTALL)[:2]
    assert "notebooks/quickstart.ipynb" in first
    assert "pytest" in second
