"""Conversations that branch off, the current one, and other names: asked, run again, replayed, exported."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openai_magics import Reply, Session, cells
from openai_magics import errors as ours
from openai_magics.dialogue import DialogueFile
from openai_magics.exchange import AskOptions
from tests.scripted import ScriptedServer
from tests.server.ways import BOTH, Way, asked, records, session

NUMBERS = itertools.count(1)


def prompts(server: ScriptedServer) -> list[str]:
    """Return what each request said of the person's, in a line."""
    return [" ".join(text for role, text in said if role == "user") for said in asked(server)]


def chains(held: Session) -> dict[str, str]:
    """Return the conversations as they stand in the run."""
    return {
        name: " ".join(turn.messages[0]["content"] for turn in talk.turns)
        for name, talk in held.conversations.items()
    }


@pytest.fixture
def ran(scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Reply]:
    """Give what runs a cell: its id, the prompt, and how it asks."""
    held = session(scripted)

    def run(cell: str, text: str, **options: Any) -> Reply:
        monkeypatch.setattr(cells, "cell_id", lambda: cell)
        number = f"run {next(NUMBERS)}"
        monkeypatch.setattr(cells, "execution", lambda: number)
        reply = held.ask(text, **options)
        held.turns.cell_ran(cells_place())
        return reply

    def cells_place() -> Any:
        from openai_magics.turns import here

        return here()

    run.held = held  # type: ignore[attr-defined]
    return run


def abc(run: Callable[..., Reply]) -> Session:
    """Ask a, b and c in cells A, B and C; return the session."""
    for cell in "ABC":
        run(cell, cell.lower())
    held: Session = run.held  # type: ignore[attr-defined]
    return held


# --- where it begins


@pytest.mark.parametrize("way", BOTH)
def test_going_back_in_a_conversation(scripted: ScriptedServer, way: Way) -> None:
    """The next turn comes after the one named; those behind it are left, not lost."""
    held = session(scripted)
    first = [way.ask(held, text) for text in "abc"]
    branch = way.ask(held, "x", branch_from=1)
    way.ask(held, "y")
    assert prompts(scripted)[3:] == ["a x", "a x y"]
    assert chains(held) == {"main": "a x y"}
    kept = {item.id: item for item in records(held)}
    assert kept[branch.id].request.parent == first[0].id
    assert len(kept) == 5


@pytest.mark.parametrize("way", BOTH)
def test_a_new_conversation_from_there(scripted: ScriptedServer, way: Way) -> None:
    """With another name the one that is left goes on as it was."""
    held = session(scripted)
    for text in "abc":
        way.ask(held, text)
    way.ask(held, "x", conversation="draft", branch_from="2")
    way.ask(held, "y", conversation="draft")
    way.ask(held, "d")
    assert prompts(scripted)[3:] == ["a b x", "a b x y", "a b c d"]
    assert chains(held) == {"main": "a b c d", "draft": "a b x y"}
    way.ask(held, "z", conversation="third", branch_from="draft:1")
    assert prompts(scripted)[-1] == "a b x z"
    frame = held.dialogue.conversations()
    assert list(frame["name"]) == ["main", "draft", "third"]
    assert list(frame["branched_from"].fillna("")) == ["", "main", "draft"]


def test_the_same_fingerprint_as_asked_there(scripted: ScriptedServer) -> None:
    """A branch is the request that it would be as the next turn: the same answer replays."""
    held = session(scripted)
    held.ask("a")
    second = held.ask("b")
    again = session(scripted)
    again.ask("a")
    again.ask("c")
    reply = again.ask("b", branch_from=1)
    assert (reply.fingerprint, reply.replayed) == (second.fingerprint, True)


def test_by_the_id_of_a_record(scripted: ScriptedServer) -> None:
    """Of this run, or, in a kernel that has asked nothing yet, of the dialogue file."""
    held = session(scripted)
    first, _ = (held.ask(text) for text in "ab")
    held.ask("x", branch_from=first.id[:12])
    fresh = session(scripted)
    fresh.ask("y", branch_from=first.id)
    assert prompts(scripted)[2:] == ["a x", "a y"]
    assert chains(fresh) == {"main": "a y"}


def test_how_much_is_sent(scripted: ScriptedServer) -> None:
    """``max_history`` counts from where the branch begins; a dry run says the same."""
    held = session(scripted)
    for text in "abc":
        held.ask(text)
    held.ask("x", branch_from=2, max_history=1)
    assert prompts(scripted)[-1] == "b x"
    request = held.turns.complete(held.asking("z", AskOptions(branch_from=1)))
    assert [item["content"] for item in request.history if item["role"] == "user"] == ["a"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"branch_from": 9}, "no turn 9: 'main' has 2 turns"),
        ({"branch_from": 0}, "names no turn"),
        ({"branch_from": "two"}, "names no turn"),
        ({"branch_from": "drift:1"}, "'drift' .did you mean 'draft'.. has no turn"),
        ({"branch_from": "0123456789abcdef"}, "No answer is recorded under the id"),
        ({"branch_from": 1, "new": True}, "A branch has a history"),
        ({"branch_from": 1, "history": False}, "A branch has a history"),
    ],
)
def test_turns_that_are_none(scripted: ScriptedServer, options: dict[str, Any], said: str) -> None:
    """The error says what there is; nothing is asked and nothing changes."""
    held = session(scripted)
    for text in "ab":
        held.ask(text)
    held.ask("c", conversation="draft")
    with pytest.raises(ours.OptionError, match=said):
        held.ask("x", **options)
    assert len(scripted.requests) == 3
    assert chains(held) == {"main": "a b", "draft": "c"}


def test_the_turns_are_told(scripted: ScriptedServer) -> None:
    """A number that is too high is answered with the turns there are."""
    held = session(scripted)
    held.ask("What is a tide?")
    held.ask("And an ebb, in " + "many " * 20 + "words?")
    with pytest.raises(ours.OptionError) as caught:
        held.ask("x", branch_from=3)
    assert "  1 What is a tide?\n  2 And an ebb, in many" in str(caught.value)


# --- cells that run again


def test_the_cell_of_the_branch_runs_again(
    ran: Callable[..., Reply], scripted: ScriptedServer
) -> None:
    """It shows its recorded answer, and stands where it stood; edited, it asks from there."""
    held = abc(ran)
    first = ran("X", "x", branch_from=2)
    ran("Y", "y")
    assert ran("X", "x", branch_from=2).id == first.id
    assert chains(held) == {"main": "a b x y"}
    ran("X", "u", branch_from=1)
    assert prompts(scripted)[-1] == "a u"
    assert chains(held) == {"main": "a u y"}
    ran("X", "u")  # no branch any more
    assert prompts(scripted)[-1] == "a b c u"


def test_a_cell_before_the_branch_runs_again(
    ran: Callable[..., Reply], scripted: ScriptedServer
) -> None:
    """Also one whose turn was left: it shows its own answer, and the branch stays as it is."""
    held = abc(ran)
    ran("X", "x", branch_from=1)
    ran("Y", "y")
    count = len(scripted.requests)
    again = [ran(cell, cell.lower()) for cell in "CBA"]
    assert all(reply.replayed for reply in again)
    assert len(scripted.requests) == count
    assert chains(held) == {"main": "a x y"}
    ran("B", "B")
    assert prompts(scripted)[-1] == "a B"
    ran("Z", "z")
    assert prompts(scripted)[-1] == "a x y z"


def test_the_turn_it_branched_from_is_asked_anew(
    ran: Callable[..., Reply], scripted: ScriptedServer
) -> None:
    """The branch keeps what it saw until its cell runs again."""
    abc(ran)
    ran("X", "x", conversation="draft", branch_from=1)
    ran("A", "A")
    ran("Y", "y", conversation="draft")
    assert prompts(scripted)[-1] == "a x y"
    ran("X", "x", conversation="draft", branch_from=1)
    assert prompts(scripted)[-1] == "A x"


def test_a_number_keeps_its_meaning(ran: Callable[..., Reply], scripted: ScriptedServer) -> None:
    """Turns that were left count too: the third turn is the third turn after any branch."""
    abc(ran)
    ran("X", "x", branch_from=1)
    ran("Y", "y", branch_from=3)
    ran("Z", "z", branch_from=4)
    assert prompts(scripted)[-2:] == ["a b c y", "a x z"]


def test_restart_and_run_all(scripted: ScriptedServer) -> None:
    """The notebook of all this replays from its file alone, turn by turn."""

    def told(held: Session) -> list[str]:
        said = [held.ask(text) for text in "abc"]
        said.append(held.ask("x", branch_from=2))
        said.append(held.ask("y"))
        said.append(held.ask("z", conversation="draft", branch_from=3))
        held.thread = "draft"
        said.append(held.ask("w"))
        held.rename_conversation("draft", "paper")
        said.append(held.ask("v"))
        assert held.thread == "paper"
        said.append(held.ask("u", branch_from=1))
        assert chains(held) == {"main": "a b x y", "paper": "a b c z u"}
        return [reply.id for reply in said]

    first = told(session(scripted))
    before = Path(session().dialogue_log_path).read_bytes()
    assert told(session(mode="replay")) == first
    assert told(session(scripted)) == first
    assert Path(session().dialogue_log_path).read_bytes() == before


# --- the current conversation, and its name


def test_the_current_conversation(scripted: ScriptedServer) -> None:
    """An ask without a name continues ``thread``; ``None`` is main again."""
    held = session(scripted)
    assert held.thread == "main"
    held.ask("a")
    held.thread = "draft"
    held.ask("b")
    held.ask("c", conversation="main")
    held.thread = None
    held.ask("d")
    assert prompts(scripted) == ["a", "b", "a c", "a c d"]
    for name in ("", "  ", 7):
        with pytest.raises(ours.OptionError, match="no name of a conversation"):
            held.thread = name  # type: ignore[assignment]
    assert held.thread == "main"


def test_another_name(scripted: ScriptedServer) -> None:
    """In the run and in the file; ids, replay and unknown fields stay; a copy is kept."""
    held = session(scripted)
    replies = [held.ask(text, conversation="draft") for text in "ab"]
    held.ask("c")
    path = held.dialogue_log_path
    path.write_bytes(path.read_bytes().replace(b'"kind": "ask"', b'"kind": "ask", "mood": 1', 1))
    before = path.read_bytes()
    held.rename_conversation("draft", "paper")
    held.ask("d", conversation="paper")
    kept = json.loads(path.read_text("utf-8"))["exchanges"]
    assert [item["conversation"] for item in kept] == ["paper", "paper", "main", "paper"]
    assert [item["id"] for item in kept[:2]] == [reply.id for reply in replies]
    assert kept[0]["mood"] == 1
    assert prompts(scripted)[-1] == "a b d"
    (copy,) = path.parent.glob("*.before-rename-*")
    assert copy.read_bytes() == before
    assert all(session(mode="replay").ask(t, conversation="x").replayed for t in "a")


def test_a_cell_that_says_the_old_name(scripted: ScriptedServer) -> None:
    """It goes on with what had the name, in this run and when all runs again; nothing new begins."""

    def told(held: Session) -> list[str]:
        said = [held.ask("a", conversation="draft")]
        held.rename_conversation("draft", "paper")
        said.append(held.ask("b", conversation="draft"))
        held.rename_conversation("paper", "book")
        said.append(held.ask("c", conversation="draft"))
        said.append(held.ask("d", branch_from="draft:1", conversation="paper"))
        held.thread = "draft"
        assert held.thread == "book"
        assert list(held.conversations) == ["book"]
        return [reply.id for reply in said]

    first = told(session(scripted))
    assert prompts(scripted) == ["a", "a b", "a b c", "a d"]
    assert {item.conversation for item in records(session())} == {"book"}
    before = Path(session().dialogue_log_path).read_bytes()
    assert told(session(mode="replay")) == first
    assert told(session(scripted)) == first
    assert Path(session().dialogue_log_path).read_bytes() == before


def test_a_name_that_another_one_got(scripted: ScriptedServer) -> None:
    """It means the one that has it now; a reset of the file ends what was followed."""
    held = session(scripted)
    held.ask("a", conversation="one")
    held.ask("b", conversation="two")
    held.rename_conversation("one", "three")
    held.rename_conversation("two", "one")
    held.ask("c", conversation="one")
    held.ask("d", conversation="two")
    assert chains(held) == {"three": "a", "one": "b c d"}
    held.dialogue.reset(file=True)
    held.ask("e", conversation="two")
    assert chains(held) == {"two": "e"}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("drift", "paper"), "no conversation 'drift' .did you mean 'draft'"),
        (("draft", "main"), "a conversation 'main' already"),
        (("draft", " "), "no name of a conversation"),
    ],
)
def test_names_that_cannot_be(scripted: ScriptedServer, names: tuple[str, str], said: str) -> None:
    """Nothing is changed."""
    held = session(scripted)
    held.ask("a")
    held.ask("b", conversation="draft")
    before = held.dialogue_log_path.read_bytes()
    with pytest.raises(ours.OptionError, match=said):
        held.rename_conversation(*names)
    assert held.dialogue_log_path.read_bytes() == before
    assert set(held.conversations) == {"main", "draft"}


def test_a_damaged_file_is_not_renamed_in(scripted: ScriptedServer) -> None:
    """It has to be mended first; nothing is overwritten."""
    held = session(scripted)
    held.ask("a", conversation="draft")
    held.ask("b", conversation="draft")
    path = held.dialogue_log_path
    path.write_bytes(path.read_bytes().replace(b'},\n{"fing', b'}\n{"fing'))
    before = path.read_bytes()
    with pytest.raises(ours.DialogueError):
        held.rename_conversation("draft", "paper")
    assert path.read_bytes() == before


# --- as a notebook


def test_an_export_knows_branches(scripted: ScriptedServer, tmp_path: Path) -> None:
    """Shared turns are asked once; the branch says where it begins; all of it replays."""
    held = session(scripted)
    for text in "abc":
        held.ask(text)
    held.ask("x", conversation="my draft", branch_from=2)
    held.ask("y", conversation="my draft")
    held.ask("\n z \n", conversation="third", branch_from="my draft:1")
    done = held.dialogue.exported("out.ipynb")
    assert not [note for note in done.notes if "Not found" in note]
    cells_made = json.loads(Path("out.ipynb").read_text("utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells_made[2:]]
    assert sources[:5] == [
        "%%ask\na",
        "%%ask\nb",
        "%%ask\nc",
        '%%ask --conversation "my draft" --branch-from main:2\nx',
        '%%ask --conversation "my draft"\ny',
    ]
    assert "branch_from='my draft:1'" in sources[5]
    alone = held.dialogue.export("alone.ipynb", conversation="my draft")
    again = ["".join(cell["source"]) for cell in json.loads(alone.read_text("utf-8"))["cells"]]
    assert again[2:] == [
        f'%%ask --conversation "my draft"\n{text}' for text in ("a", "b", "x", "y")
    ]
    replayed = session(mode="replay", dialogue_log_path=tmp_path / "out.dialogue.json")
    for text in "abc":
        replayed.ask(text)
    assert replayed.ask("x", conversation="my draft", branch_from="main:2").replayed
    assert len(list(DialogueFile(tmp_path / "out.dialogue.json"))) == 6
