"""Asks that come after a record, as panels make them, and conversations read from the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from openai_magics.errors import OptionError, ServiceError
from openai_magics.session import Session
from tests.scripted import ScriptedServer, errors


@pytest.fixture
def session(scripted: ScriptedServer, tmp_path: Path) -> Session:
    """Give a session that asks the scripted server."""
    return another(scripted, tmp_path)


def another(scripted: ScriptedServer, tmp_path: Path) -> Session:
    """Return a session over the same file, as after a restart of the kernel."""
    return Session("gpt-4o", base_url=scripted.base_url, dialogue_log_path=tmp_path / "d.json")


def said(session: Session, conversation: str = "chat") -> list[str]:
    """Return what stands in a conversation: the prompts, with how their answers ended."""
    rows = []
    for item in session.dialogue.lineage.turns(conversation):
        ending = item.reply.finish_reason if item.reply else "failed"
        rows.append(f"{item.request.messages[0]['content']}:{ending}")
    return rows


def test_an_ask_after_a_record(session: Session, scripted: ScriptedServer) -> None:
    """The turns up to that record go with it, whichever run recorded them."""
    first = session.ask("one", conversation="chat", after="")
    second = session.ask("two", conversation="chat", after=first.id)
    session.ask("three", conversation="chat", after=second.id)
    assert [m["content"] for m in scripted.requests[-1].messages][::2] == ["one", "two", "three"]
    assert said(session) == ["one:stop", "two:stop", "three:stop"]


def test_a_conversation_goes_on_after_a_restart(
    session: Session, scripted: ScriptedServer, tmp_path: Path
) -> None:
    """Nothing of it is held in the kernel."""
    first = session.ask("one", conversation="chat", after="")
    later = another(scripted, tmp_path)
    assert later.dialogue.lineage.tip("chat") == first.id
    later.ask("two", conversation="chat", after=first.id)
    assert len(scripted.requests[-1].messages) == 3


def test_cells_do_not_see_it(session: Session, scripted: ScriptedServer) -> None:
    """What a cell asks next is the same with or without it, so the notebook replays."""
    session.ask("one")
    tip = session.dialogue.lineage.tip("main")
    session.ask("aside", after=tip)
    session.ask("two")
    assert [m["content"] for m in scripted.requests[-1].messages][::2] == ["one", "two"]
    assert len(session.dialogue.exchanges()) == 2


def test_an_edited_prompt_replaces_what_came_after(session: Session) -> None:
    """Asking after the record before the edited one leaves the old branch in the file."""
    first = session.ask("one", conversation="chat", after="")
    session.ask("two", conversation="chat", after=first.id)
    session.ask("other", conversation="chat", after=first.id)
    assert said(session) == ["one:stop", "other:stop"]
    assert len(session.dialogue) == 3


def test_another_answer_replaces_the_one_before(session: Session, scripted: ScriptedServer) -> None:
    """Asked anew it takes the same slot: a replay gives what is shown."""
    scripted.script.then("first", "second")
    session.ask("one", conversation="chat", after="")
    again = session.ask("one", conversation="chat", after="", fresh=True)
    assert again.text == "second"
    assert session.ask("one", conversation="chat", after="").text == "second"
    assert session.dialogue.lineage.tip("chat") == again.id


def test_an_answer_of_a_cell_is_never_superseded(
    session: Session, scripted: ScriptedServer, tmp_path: Path
) -> None:
    """Another answer to the very request that a cell asked takes a slot of its own."""
    scripted.script.then("the cell's", "another")
    session.ask("one")
    assert session.ask("one", conversation="chat", after="", fresh=True).text == "another"
    assert another(scripted, tmp_path).ask("one").text == "the cell's"


def test_a_record_that_is_not_there(session: Session) -> None:
    """Is an error; nothing is asked."""
    with pytest.raises(OptionError, match="No answer with the id"):
        session.ask("one", conversation="chat", after="nowhere")


def test_a_failure_stands_at_the_end_only(session: Session, scripted: ScriptedServer) -> None:
    """It shows what became of the last ask, and goes when another one is answered."""
    first = session.ask("one", conversation="chat", after="")
    scripted.script.then(errors.prompt_refused())
    with pytest.raises(ServiceError):
        session.ask("bad", conversation="chat", after=first.id)
    assert said(session) == ["one:stop", "bad:failed"]
    session.ask("two", conversation="chat", after=first.id)
    assert said(session) == ["one:stop", "two:stop"]


def test_an_answer_that_was_cut_off_stands_where_it_was(session: Session) -> None:
    """Though what is asked after it does not see it."""

    def stop(_: str) -> None:
        raise KeyboardInterrupt

    first = session.ask("one", conversation="chat", after="")
    with pytest.raises(KeyboardInterrupt):
        session.ask("two", conversation="chat", after=first.id, on_text=stop)
    assert said(session) == ["one:stop", "two:cut_off"]
    session.ask("three", conversation="chat", after=first.id)
    assert said(session) == ["one:stop", "two:cut_off", "three:stop"]


def test_the_list_of_conversations(session: Session) -> None:
    """The one that was asked last stands first, with its first prompt."""
    session.ask("one")
    session.ask("two", conversation="chat", after="")
    session.ask("three", history=False)
    session.ask("four")
    found = session.dialogue.lineage.summaries()
    assert [(item.name, item.asks) for item in found] == [("main", 2), ("chat", 1)]
    assert found[0].opening.request.messages[0]["content"] == "one"


def test_only_what_is_new_is_read(session: Session, scripted: ScriptedServer) -> None:
    """Records that others append, and a file that was replaced, are seen all the same."""
    session.ask("one", conversation="chat", after="")
    mark, found = session._dialogue_file().since()
    assert len(found) == 1
    assert session._dialogue_file().since(mark) == (mark, [])
    path = session.dialogue.path
    other = Session("gpt-4o", base_url=scripted.base_url, dialogue_log_path=path)
    other.ask("two", conversation="chat", after="")
    again, found = session._dialogue_file().since(mark)
    assert [item.request.messages[0]["content"] for item in found] == ["two"]
    assert again.generation == mark.generation
    session.dialogue.reset(file=True)
    assert session.dialogue.lineage.tip("chat") is None
    assert said(session) == []


def test_cells_that_ask_what_a_panel_asked(
    session: Session, scripted: ScriptedServer, tmp_path: Path
) -> None:
    """A cell a turn; run, they show the answers of the panel, and nothing is asked."""
    first = session.ask("one", conversation="chat", after="", temperature=0.5)
    second = session.ask("two\nlines", conversation="chat", after=first.id)
    cells = session.dialogue.cells(second.id)
    there = f"--model gpt-4o --base-url {scripted.base_url}"
    assert cells == [
        f"%%ask --conversation chat {there} --temperature 0.5\none",
        f"%%ask --conversation chat {there}\ntwo\nlines",
    ]
    asked = len(scripted.requests)
    replies = [
        session.ask("one", conversation="chat", temperature=0.5),
        session.ask("two\nlines", conversation="chat"),
    ]
    assert [reply.id for reply in replies] == [first.id, second.id]
    assert len(scripted.requests) == asked


def test_a_prompt_that_no_cell_can_ask(session: Session) -> None:
    """Is an error that says so; one that no record holds is one, too."""
    with pytest.raises(OptionError, match="no record"):
        session.dialogue.cells("nowhere")
