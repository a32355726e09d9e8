"""A notebook renamed without its dialogue file."""

from __future__ import annotations

from pathlib import Path

import pytest

from openai_magics.dialogue import DialogueFile
from openai_magics.exchange import Exchange, Reply, Request
from openai_magics.renamed import left_behind, said_of


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The dialogue file of a notebook ``old.ipynb`` that is not there."""
    path = tmp_path / "old.dialogue.json"
    DialogueFile(path, "old.ipynb").append(Exchange(Request(), Reply("x")))
    return path


def test_the_file_left_behind_is_named(old: Path, tmp_path: Path) -> None:
    """Where the new name has no dialogue file, the one whose notebook is gone is named."""
    new = tmp_path / "new.dialogue.json"
    assert left_behind(new) == [old]
    assert "old.dialogue.json" in said_of(new)


def test_nothing_is_said_where_its_notebook_is_there(old: Path, tmp_path: Path) -> None:
    """A neighbour's dialogue is the neighbour's."""
    (tmp_path / "old.ipynb").write_text("{}")
    assert said_of(tmp_path / "new.dialogue.json") == ""


def test_nothing_is_said_where_the_dialogue_is_there(old: Path, tmp_path: Path) -> None:
    """A notebook that has its dialogue needs no other."""
    new = tmp_path / "new.dialogue.json"
    DialogueFile(new, "new.ipynb").append(Exchange(Request(), Reply("y")))
    assert said_of(new) == ""


def test_damaged_neighbours_are_passed_over(old: Path, tmp_path: Path) -> None:
    """A neighbour that cannot be read is not this notebook's concern."""
    (tmp_path / "bad.dialogue.json").write_text("{broken")
    (tmp_path / "folder.dialogue.json").mkdir()
    assert left_behind(tmp_path / "new.dialogue.json") == [old]
