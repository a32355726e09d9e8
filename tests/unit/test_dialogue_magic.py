"""``%dialogue`` and its sub-commands, in a real IPython shell."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from openai_magics import Session, magics
from openai_magics import session as sessions
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import MagicsError, OptionError
from openai_magics.export import FORMATS
from openai_magics.magics import complete, options
from openai_magics.magics import dialogue as dialogue_magic
from openai_magics.transcript import Transcript
from tests.scripted import ScriptedServer
from tests.unit.dialogues import Talk


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[InteractiveShell]:
    """Give a shell with the magics, and a session whose dialogue file is talk.dialogue.json."""
    monkeypatch.setenv("IPYTHONDIR", os.fspath(tmp_path / "ipython"))
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    magics.load(shell)
    monkeypatch.setattr(sessions, "current", Session(dialogue_log_path="talk.dialogue.json"))
    yield shell
    magics.unload(shell)
    shell.history_manager.end_session()  # type: ignore[union-attr]
    InteractiveShell.clear_instance()


def dialogue(shell: InteractiveShell, line: str = "") -> Any:
    """Return what ``%dialogue`` gives to a cell."""
    return shell.run_line_magic("dialogue", line)


def shown(shell: InteractiveShell, line: str) -> str:
    """Return the text that ``%dialogue`` displays."""
    with capture_output() as captured:
        assert dialogue(shell, line) is None
    (output,) = captured.outputs
    return str(output.data["text/plain"])


def two_conversations() -> Talk:
    talk = Talk()
    talk.said("two", "2", after=talk.said("one", "1"))
    talk.said("sketch", "3", conversation="draft")
    return talk


@pytest.mark.parametrize("line", ["", "frame"])
def test_alone_it_gives_the_frame(shell: InteractiveShell, line: str) -> None:
    """``%dialogue`` is the dialogue as a DataFrame, one row an exchange."""
    two_conversations()
    frame = dialogue(shell, line)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["assistant"]) == ["1", "2", "3"]


def test_show_gives_a_transcript(shell: InteractiveShell) -> None:
    """``show`` gives all conversations to read, or the one that is named."""
    two_conversations()
    everything = dialogue(shell, "show")
    assert isinstance(everything, Transcript)
    assert "Conversation main" in str(everything)
    assert "Conversation draft" in str(everything)
    assert str(dialogue(shell, "show draft")).startswith("Conversation draft\n\nuser\n    sketch")


def test_show_takes_a_name_in_quotes(shell: InteractiveShell) -> None:
    """A conversation's name may hold spaces."""
    Talk().said("one", conversation="my draft")
    assert str(dialogue(shell, 'show "my draft"')).startswith("Conversation my draft")


def test_conversations_and_usage_are_frames(shell: InteractiveShell) -> None:
    """``conversations`` and ``usage`` give what the methods of the same names give."""
    two_conversations()
    assert list(dialogue(shell, "conversations")["name"]) == ["main", "draft"]
    assert dialogue(shell, "usage")["requests"].sum() == 3


def test_path_gives_the_file(shell: InteractiveShell) -> None:
    """``path`` gives the dialogue file, which need not be there yet."""
    assert dialogue(shell, "path") == Path("talk.dialogue.json")


@pytest.mark.parametrize("form", FORMATS)
def test_export_writes_the_file_and_says_so(shell: InteractiveShell, form: str) -> None:
    """``export`` writes the format that the suffix says, and what was written."""
    two_conversations()
    said = shown(shell, f"export out.{form}")
    assert said.startswith(f"out.{form}: 3 turns of 2 conversations.")
    assert Path(f"out.{form}").stat().st_size


def test_export_takes_its_options(shell: InteractiveShell) -> None:
    """A format that the suffix does not say, one conversation, and leave to overwrite."""
    two_conversations()
    Path("out.txt").write_text("mine", "utf-8")
    with pytest.raises(OptionError, match="--overwrite"):
        dialogue(shell, "export out.txt --format md")
    said = shown(shell, "export out.txt --format md --conversation draft --overwrite")
    assert said == "out.txt: 1 turn of 1 conversation."
    assert "sketch" in Path("out.txt").read_text("utf-8")


def test_export_says_what_it_leaves_out(shell: InteractiveShell) -> None:
    """What is not in the file is counted in what the cell shows."""
    Talk().said("long", "It goes", conversation=None, reply={"finish_reason": "length"})
    Talk().said("one", conversation=None)
    assert shown(shell, "export out.jsonl").endswith("Left out: 1 cut off.")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("shwo", "%dialogue has no command 'shwo' (did you mean 'show'?)"),
        ("exprot out.md", "did you mean 'export'?"),
        (
            "export out.md --fromat md",
            "%dialogue export has no option '--fromat' (did you mean '--format'?)",
        ),
        ("export out.md --format hmtl", "There is no format 'hmtl' (did you mean 'html'?)"),
        ("export", "%dialogue export: the following arguments are required: FILE."),
        ("export out.md more", "%dialogue export: 'more' is too much."),
        ("show mian", "There is no conversation 'mian' (did you mean 'main'?)"),
        ("show --overwrite", "%dialogue show has no option '--overwrite'."),
        ("--file", "%dialogue has no option '--file'."),
        ("path somewhere", "%dialogue path: 'somewhere' is too much."),
        ("reset mian", "There is no conversation 'mian' (did you mean 'main'?)"),
        ("reset main --file", "The file holds all conversations, so it is reset as a whole."),
        ("export out.md -c drfat", "There is no conversation 'drfat' (did you mean 'draft'?)"),
    ],
)
def test_a_wrong_word_is_an_error_that_names_the_right_one(
    shell: InteractiveShell, line: str, says: str
) -> None:
    """What cannot be carried out fails the cell and names what was meant; nothing is written."""
    two_conversations()
    before = sorted(Path.cwd().iterdir())
    with pytest.raises(OptionError) as raised:
        dialogue(shell, line)
    assert says in raised.value.problem
    assert sorted(Path.cwd().iterdir()) == before


# --- reset


@pytest.fixture
def asked(shell: InteractiveShell, scripted: ScriptedServer) -> Session:
    """Give the shell's session, connected to a server."""
    session = Session("gpt-4o", base_url=scripted.base_url, dialogue_log_path="talk.dialogue.json")
    sessions.current = session
    return session


def test_reset_begins_a_conversation_anew_and_keeps_the_file(
    shell: InteractiveShell, asked: Session, scripted: ScriptedServer
) -> None:
    """After ``reset NAME`` the next ask sends no history; other conversations and the file are as before."""
    asked.ask("one")
    asked.ask("sketch", conversation="draft")
    before = Path("talk.dialogue.json").read_bytes()
    said = shown(shell, "reset main")
    assert said == (
        "The conversation 'main' is forgotten in this run; talk.dialogue.json keeps what was said."
    )
    assert Path("talk.dialogue.json").read_bytes() == before
    asked.ask("two")
    asked.ask("more", conversation="draft")
    sent = [len(request.messages) for request in scripted.requests if "chat" in request.path]
    assert sent == [1, 1, 1, 3]
    assert len(asked.dialogue) == 4


def test_reset_alone_forgets_all_conversations(shell: InteractiveShell, asked: Session) -> None:
    """``reset`` without a name forgets every conversation of the run."""
    asked.ask("one")
    asked.ask("sketch", conversation="draft")
    assert shown(shell, "reset").startswith("All conversations are forgotten in this run")
    assert asked.conversations == {}
    assert len(asked.dialogue) == 2


def test_reset_of_a_conversation_of_an_earlier_run_is_no_error(shell: InteractiveShell) -> None:
    """What this run has not heard of but the file holds is forgotten already."""
    two_conversations()
    assert "'draft' is forgotten" in shown(shell, "reset draft")


def test_reset_file_moves_it_aside_and_says_how_to_undo_it(
    shell: InteractiveShell, asked: Session
) -> None:
    """``reset --file`` renames the dialogue file; the next answer begins a new one; renaming it back undoes it."""
    asked.ask("one")
    before = Path("talk.dialogue.json").read_bytes()
    said = shown(shell, "reset --file")
    (aside,) = Path.cwd().glob("talk.dialogue.json.before-reset-*Z")
    assert f"The dialogue file is now {aside.name}" in said
    assert "rename it back to talk.dialogue.json" in said
    assert aside.read_bytes() == before
    assert not Path("talk.dialogue.json").exists()
    asked.ask("one")
    (record,) = DialogueFile(Path("talk.dialogue.json"))
    assert record.occurrence == 0
    assert record.request.parent is None
    aside.replace("talk.dialogue.json")
    assert [item.request.parent for item in asked.dialogue] == [None]


def test_reset_file_where_there_is_none_says_so(shell: InteractiveShell) -> None:
    """Before the first record there is nothing to move."""
    assert shown(shell, "reset --file") == "There is no talk.dialogue.json yet: nothing was moved."


# --- verify and repair


def test_repair_mends_the_file(shell: InteractiveShell) -> None:
    """``repair`` says what it mended and where the file as it was is; then the dialogue can be read."""
    talk = two_conversations()
    talk.change(lambda text: text.replace("},\n", "}\n", 1))
    with pytest.raises(MagicsError, match="comma"):
        dialogue(shell)
    said = shown(shell, "repair")
    assert said.startswith("talk.dialogue.json: mended; 3 records.\n")
    assert "The file as it was: talk.dialogue.json.before-repair-" in said
    assert len(dialogue(shell)) == 3
    assert shown(shell, "repair") == "talk.dialogue.json: healthy, and left as it is; 3 records."


def test_verify_inside_a_verification_does_nothing(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook that holds ``%dialogue verify`` does not verify itself for ever."""
    monkeypatch.setenv(dialogue_magic.INSIDE, "1")
    assert dialogue(shell, "verify") is None


def test_a_room_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command whose module is missing says so."""
    with pytest.raises(OptionError, match="not in this version"):
        dialogue_magic._room("no_such_room")


# --- the manual, and Tab


def test_the_method_and_the_commands_agree(shell: InteractiveShell) -> None:
    """What completes after ``%dialogue`` and stands in its manual is what the commands take."""
    declared = options.parser_of(dialogue_magic.DialogueMagics.dialogue)
    actions = {action.dest: action for action in declared._actions}
    assert tuple(actions["action"].choices or ()) == tuple(dialogue_magic.COMMANDS)
    assert set(dialogue_magic.HANDLERS) == set(dialogue_magic.COMMANDS)
    assert tuple(actions["format"].choices or ()) == tuple(FORMATS)
    taken = {
        flag
        for command in dialogue_magic.COMMANDS
        for flag in dialogue_magic.parser_of(command)._option_string_actions
    }
    assert set(declared._option_string_actions) == taken


@pytest.mark.parametrize(
    ("line", "gives"),
    [
        ("%dialogue ex", ["export"]),
        ("%dialogue re", ["rename", "reset", "repair"]),
        ("%dialogue thread m", []),
        ("%dialogue export a.md --fo", ["--format"]),
        ("%dialogue export a --format h", ["html"]),
    ],
)
def test_tab_completes_commands_and_options(
    shell: InteractiveShell, line: str, gives: list[str]
) -> None:
    """Commands, options and their values complete."""
    assert complete.candidates(shell, line) == gives


def test_the_manual_page_has_an_example_of_each_command(shell: InteractiveShell) -> None:
    """``%dialogue?`` shows a line of every command."""
    page = dialogue_magic.DialogueMagics.dialogue.__doc__ or ""
    for command in dialogue_magic.COMMANDS:
        assert command == "frame" or f"%dialogue {command}" in page
