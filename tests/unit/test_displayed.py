"""What a reply and a dialogue show of themselves at the end of a cell, and in ``print``."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any, cast

from IPython.core.interactiveshell import InteractiveShell

from openai_magics import overview, render
from openai_magics.exchange import Reply
from openai_magics.magics import displayed
from openai_magics.views import Dialogue
from tests.unit.dialogues import HOSTILE, Talk
from tests.unit.test_export import Seen


def test_a_reply_is_shown_as_the_magic_shows_it(shell: InteractiveShell) -> None:
    """Text and safe HTML, no raw Markdown; the same whether it was asked or replayed."""
    displayed.install(shell)
    try:
        for text in HOSTILE:
            reply = Reply(text, fingerprint="v1:x", id="y")
            shown = shell.display_formatter.format(reply)
            again = shell.display_formatter.format(dataclasses.replace(reply, replayed=True))
            assert shown == again == render.answer(reply)
            assert set(shown[0]) == {"text/plain", "text/html"}
    finally:
        displayed.remove(shell)


def test_a_listing_is_shown_by_its_repr(shell: InteractiveShell) -> None:
    """Its text is empty: nothing would be seen."""
    displayed.install(shell)
    try:
        data, _ = shell.display_formatter.format(Reply(payload={"data": ["one"]}))
    finally:
        displayed.remove(shell)
    assert set(data) == {"text/plain"}
    assert "'one'" in data["text/plain"]


def test_removed_nothing_is_left(shell: InteractiveShell) -> None:
    """After unloading a reply is shown by its repr, used before or not."""
    for used in (False, True):
        displayed.install(shell)
        if used:
            shell.display_formatter.format(Reply("Hi"))
        displayed.remove(shell)
        assert set(shell.display_formatter.format(Reply("Hi"))[0]) == {"text/plain"}


def test_a_dialogue_shows_what_this_run_said() -> None:
    """The file's name, not its folder; counts and transcript of this run, whatever else it holds."""
    talk = Talk()
    said = talk.said("Question", "**Bold** answer")
    turns = cast("Any", SimpleNamespace(said=lambda: [said.id], lineage=None))
    dialogue = Dialogue(lambda: talk.file, turns)
    before = str(dialogue)
    talk.said("Later", "Other", conversation="draft")
    assert str(dialogue) == before
    heading = before.splitlines()[0]
    assert heading == "talk.dialogue.json: 1 record of this run in 1 conversation"
    assert "**Bold** answer" in before
    bundle = dialogue._repr_mimebundle_()
    assert bundle["text/plain"] == before
    assert "<strong>Bold</strong>" in bundle["text/html"]


def test_a_dialogue_of_another_run_shows_how_much_it_holds() -> None:
    """Before anything is said, a long file is counted and not read out."""
    talk = Talk()
    talk.said("Question", "Answer")
    assert str(talk.dialogue) == "talk.dialogue.json: 1 record, none of them of this run"


def test_nothing_in_a_shown_dialogue_is_active() -> None:
    """What models and people said is data."""
    talk = Talk()
    ids = [talk.said(text, text, conversation=text[:9]).id for text in HOSTILE]
    turns = cast("Any", SimpleNamespace(said=lambda: ids, lineage=None))
    bundle = Dialogue(lambda: talk.file, turns)._repr_mimebundle_()
    assert Seen(bundle["text/html"]).active == []


def test_a_long_run_shows_its_end() -> None:
    """The last records only, each under its conversation, and how to see all of them."""
    talk = Talk()
    ids = []
    for n in range(overview.MOST + 5):
        said = talk.said(f"Question {n}", f"Answer {n}", conversation="draft" if n % 2 else "main")
        ids.append(said.id)
    turns = cast("Any", SimpleNamespace(said=lambda: ids, lineage=None))
    shown = str(Dialogue(lambda: talk.file, turns))
    assert shown.splitlines()[0] == (
        f"talk.dialogue.json: {len(ids)} records of this run, the last {overview.MOST} asks below; "
        "all: %dialogue show"
    )
    assert [f"Question {n}\n" in shown for n in range(len(ids))] == [False] * 5 + [True] * 20
    assert shown.index("Question 5\n") < shown.index("Question 24\n")
    assert shown.count("Conversation draft") == 10
