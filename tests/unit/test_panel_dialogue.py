"""The dialogue panel without a browser: every action is a call, and the widgets show the state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from openai_magics import panels
from openai_magics.browse import Pattern
from openai_magics.panels.dialogue import DialoguePanel
from openai_magics.session import Session
from tests.unit.dialogues import HOSTILE, Talk, hostile
from tests.unit.hostile import read

PATIENCE = 30


def settled(panel: DialoguePanel) -> DialoguePanel:
    """Wait until nothing goes on."""
    while jobs := panel.jobs:
        assert jobs[0].wait(PATIENCE)
    return panel


@pytest.fixture
def talk() -> Talk:
    """Sixty turns in one conversation, and one outside of it."""
    made = Talk("talk.dialogue.json")
    before = None
    for number in range(59):
        before = made.said(f"Question {number}", f"Answer {number}", after=before)
    made.said("Alone", "I am.", conversation=None, reply={"model": "mistral"})
    return made


@pytest.fixture
def panel(talk: Talk) -> Iterator[DialoguePanel]:
    """The panel over that dialogue, shown."""
    session = Session(dialogue_log_path=talk.file.path)
    made = panels.panel("dialogue", session)
    assert isinstance(made, DialoguePanel)
    _ = made.widget
    return settled(made)


def asked(panel: DialoguePanel) -> list[str]:
    return [row["cells"][4] for row in panel._table.rows]


def test_the_newest_page_is_shown_first(panel: DialoguePanel) -> None:
    """Fifty records, the newest first; the rest by turning pages."""
    assert asked(panel)[:2] == ["Alone", "Question 58"]
    assert len(asked(panel)) == 50
    assert "1 to 50 of 60 records" in panel._place.value
    assert panel._newer.disabled
    panel._older.click()
    assert len(asked(settled(panel))) == 10
    assert panel._older.disabled
    panel._newer.click()
    assert asked(settled(panel))[0] == "Alone"


def test_typing_and_choosing_filters(panel: DialoguePanel) -> None:
    """As a person does it: in the fields; what fits no record says so."""
    panel._text.value = "question 5"
    assert len(asked(settled(panel))) == 10
    panel._model.value = "mistral"
    assert asked(settled(panel)) == []
    assert "none of 60 records" in panel._place.value
    panel._text.value = ""
    assert asked(settled(panel)) == ["Alone"]
    panel._model.value = "any"
    panel._conversation.value = "(none)"
    assert asked(settled(panel)) == ["Alone"]
    assert panel.pattern == Pattern(conversation="")


def test_a_record_is_shown_as_it_was_sent(panel: DialoguePanel, talk: Talk) -> None:
    """Messages of the turns before among them; its lineage can be walked."""
    panel._table.selected = next(
        row["id"] for row in panel._table.rows if row["cells"][4] == "Question 30"
    )
    page = settled(panel)._page.value
    assert "Question 29" in page
    assert "Answer 30" in page
    assert "api.openai.com" in page
    assert [row["cells"][0] for row in panel._kin.rows[-2:]] == ["a turn before", "a turn after"]
    panel._kin.selected = panel._kin.rows[-1]["id"]
    assert "Answer 31" in settled(panel)._page.value


def test_usage_is_counted_when_looked_at(panel: DialoguePanel) -> None:
    """By day and model, as a chart and as figures."""
    assert panel._chart.value == ""
    panel._tabs.selected_index = 1
    chart = settled(panel)._chart.value
    assert "<svg" in chart
    assert "590" in chart
    assert "mistral" in chart
    panel._measure.value = "cost"
    assert "cost by day and model" in settled(panel)._chart.value


def test_verify_without_a_notebook_says_so(panel: DialoguePanel) -> None:
    """The error stands in the panel, with its remedy."""
    panel._verify.click()
    settled(panel)
    assert panel._note.how
    assert "talk.ipynb" in panel._note.value


def test_what_is_added_comes_with_refresh(panel: DialoguePanel, talk: Talk) -> None:
    """Another kernel may have appended."""
    talk.said("One more", "Yes.")
    settled(panel).look()
    assert asked(settled(panel))[0] == "One more"


def test_a_damaged_file_is_said_in_the_panel(panel: DialoguePanel) -> None:
    """And without a browser too; the cell does not pass as if nothing were."""
    path = panel.session.dialogue.path
    path.write_bytes(path.read_bytes().replace(b'"kind"', b'"kind', 3))
    panel.look()
    assert "repair" in settled(panel)._note.value
    assert "repair" in panel.plain()


def test_without_a_front_end(panel: DialoguePanel) -> None:
    """Text and static HTML say what is in the file."""
    data, _ = panel.bundle()
    assert "60 records" in data["text/plain"]
    assert "Question 58" in data["text/html"]
    assert not read(data["text/html"]).problems


def test_an_empty_dialogue(tmp_path: Path) -> None:
    """Nothing is wrong with it."""
    made = DialoguePanel(Session(dialogue_log_path=tmp_path / "none.dialogue.json"))
    _ = made.widget
    assert asked(settled(made)) == []
    made._tabs.selected_index = 1
    assert "Nothing was asked yet." in settled(made)._chart.value
    assert "0 records" in made.plain()


def test_nothing_of_a_record_is_active() -> None:
    """Whatever people, models and servers call things: pages, charts, static HTML."""
    talk = hostile()
    made = DialoguePanel(Session(dialogue_log_path=talk.file.path))
    _ = made.widget
    settled(made)
    assert not read(made.bundle()[0]["text/html"]).problems
    for row in list(made._table.rows):
        made.choose(row["id"])
        page = settled(made)._page.value
        active = [p for p in read(page).problems if "class=" not in p and "<details>" not in p]
        assert [
            p for p in active if "scope" not in p and "dir=" not in p and "summary" not in p
        ] == []
        assert made._note.value == ""
    assert len(made._table.rows) == len(HOSTILE) + 1


def test_a_text_of_a_megabyte_is_cut_in_the_panel() -> None:
    """The table has its beginning, its page more of it; the file has all."""
    talk = Talk("long.dialogue.json")
    talk.said("x" * 1_000_000, "y" * 1_000_000)
    made = DialoguePanel(Session(dialogue_log_path=talk.file.path))
    _ = made.widget
    settled(made)
    assert len(asked(made)[0]) == 301
    made.choose(made._table.rows[0]["id"])
    assert "900,000 more characters" in settled(made)._page.value
    assert len(made._page.value) < 300_000
