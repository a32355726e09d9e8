"""What stands in every panel made of forms: what it is told, and what it tells."""

from __future__ import annotations

from typing import Any

import pytest

from openai_magics.panels import PANELS, panel
from openai_magics.panels.forms import FormPanel
from openai_magics.session import Session
from tests.unit.dialogues import Talk

FORMS = sorted(set(PANELS) - {"chat"})


@pytest.fixture
def session() -> Session:
    """A session that asks nobody."""
    return Session(mode="replay", dialogue_log_path="k.dialogue.json")


def made(name: str, session: Session) -> FormPanel:
    """Return a panel with its widgets, when nothing goes on in it."""
    found = panel(name, session)
    assert isinstance(found, FormPanel)
    _ = found.widget
    settled(found)
    return found


def settled(found: FormPanel) -> None:
    while jobs := found.jobs:
        assert jobs[0].wait(60)


def heard(found: FormPanel, monkeypatch: pytest.MonkeyPatch, **content: Any) -> list[Any]:
    """Tell a panel's keeper something, as a view does, and return what it answers."""
    told: list[Any] = []
    monkeypatch.setattr(type(found._keeper), "send", lambda _, message: told.append(message))
    found._keeper._handle_custom_msg(content, [])
    return told


@pytest.mark.parametrize("name", FORMS)
def test_a_view_is_told_whose_panel_it_is(
    name: str, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notebook's own can be brought back by its id; that of another session cannot."""
    found = made(name, session)
    said = {"type": "opened", "view": "v", "model": None}
    assert heard(found, monkeypatch, type="ready", view="v") == [said]
    monkeypatch.setattr(type(found), "revivable", True)
    [answered] = heard(found, monkeypatch, type="ready", view="v")
    assert answered["model"] == found.model_id == found._keeper.root
    assert heard(found, monkeypatch, type="other") == []


@pytest.mark.parametrize("name", FORMS)
def test_what_is_said_is_read_out(name: str, session: Session) -> None:
    """As text, in a place of its own; what is wrong is told as an alert."""
    found = made(name, session)
    found.tell("It is <done>.")
    assert (found._note.value, found._note.how) == ("It is <done>.", "")
    found.tell("It failed.", "wrong")
    assert (found._note.value, found._note.how) == ("It failed.", "wrong")


def test_what_was_told_since_stays(session: Session) -> None:
    """The end of one piece of work takes only its own words away."""
    import threading

    found, hold = made("models", session), threading.Event()
    slow = found.run("Slowly…", lambda _: hold.wait(60), lambda _: None)
    assert found.said[0] == "Slowly…"
    found.tell("Something else.")
    hold.set()
    assert slow.wait(60)
    assert found.said[0] == "Something else."
    quick = found.run("Quickly…", lambda _: None, lambda _: None)
    assert quick.wait(60)
    assert found.said[0] == ""


def test_a_revived_panel_shows_what_was_chosen(session: Session) -> None:
    """After a restart the record is shown again that the view had."""
    talk = Talk(session.dialogue.path)
    talk.said("What is a tide?", "The sea's breath.")
    one = session.dialogue.to_frame(whole=True)["id"].iloc[0]
    before = made("dialogue", session)
    before.choose(one)
    settled(before)
    assert before._keeper.detail == one
    later = panel("dialogue", Session(mode="replay", dialogue_log_path="k.dialogue.json"))
    assert isinstance(later, FormPanel)
    later.revive(one)
    settled(later)
    assert later._keeper.detail == one
    assert "The sea&#x27;s breath." in later._page.value  # type: ignore[attr-defined]
