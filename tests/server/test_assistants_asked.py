"""Assistants of a session, against a real server: what is asked, recorded, replayed and listed."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from openai_magics import Session, cells, magics
from openai_magics import errors as ours
from openai_magics import session as sessions
from openai_magics.assistants.store import FILE
from openai_magics.config import user_file
from openai_magics.magics import complete
from tests.scripted import Request, ScriptedServer, answer, error
from tests.scripted.asking import KEY
from tests.scripted.routes import assistant as old
from tests.server.ways import BOTH, Way, records, session

SETUP: dict[str, Any] = {
    "instructions": "Ask back.",
    "model": "gpt-4.1",
    "parameters": {"temperature": 0.5, "seed": 7},
}
GONE = "ended on 2026-08-26"


def tutored(server: ScriptedServer | None, **arguments: Any) -> Session:
    """Return a session whose folder has the assistant tutor."""
    held = session(server, **arguments)
    held.assistants.save("tutor", SETUP)
    return held


def edited(folder: Path, **fields: Any) -> None:
    """Change the entry of the first assistant in the file, as a person would by hand."""
    document = json.loads((folder / FILE).read_text("utf-8"))
    document["assistants"][0].update(fields)
    (folder / FILE).write_text(json.dumps(document), "utf-8")


def bodies(server: ScriptedServer) -> list[dict[str, Any]]:
    """Return what was sent to be answered, request by request."""
    return [each.json for each in server.requests if each.route == "/chat/completions"]


# --- asking


@pytest.mark.parametrize("way", BOTH)
def test_its_set_up_is_sent(scripted: ScriptedServer, way: Way) -> None:
    """Instructions, model and parameters go out as if typed, and the record says whose they are."""
    held = tutored(scripted)
    used = held.set_assistant("tutor")
    reply = way.ask(held, "What is a tide?")
    (body,) = bodies(scripted)
    assert body["messages"][0] == {"role": "system", "content": "Ask back."}
    assert (body["model"], body["temperature"], body["seed"]) == ("gpt-4.1", 0.5, 7)
    assert used is not None
    assert held.assistant == used
    record = next(item for item in records(held) if item.id == reply.id)
    assert record.assistant == {"name": "tutor", "id": used.id, "version": used.version}
    typed = session(scripted, dialogue_log_path="typed.dialogue.json")
    same = typed.ask(
        "What is a tide?", system_instruction="Ask back.", model="gpt-4.1", temperature=0.5, seed=7
    )
    assert same.fingerprint == reply.fingerprint


def test_what_is_given_to_an_ask_counts_before(scripted: ScriptedServer) -> None:
    """Then what the assistant says, then what the session says; ``None`` takes a parameter out."""
    held = tutored(scripted, system_instruction="Be brief.", model="gpt-4o-mini")
    held.set_assistant("tutor")
    held.ask("a", system_instruction="Be kind.", model="gpt-4o", temperature=None, history=False)
    held.ask("b", history=False)
    held.set_assistant(None)
    held.ask("c", history=False)
    first, second, third = bodies(scripted)
    assert (first["messages"][0]["content"], first["model"]) == ("Be kind.", "gpt-4o")
    assert "temperature" not in first
    assert first["seed"] == 7
    assert second["messages"][0]["content"] == "Ask back."
    assert (third["messages"][0]["content"], third["model"]) == ("Be brief.", "gpt-4o-mini")
    assert [item.assistant is None for item in records(held) if item.request.kind == "ask"] == [
        False,
        False,
        True,
    ]


def test_its_tools_and_schema_are_sent(scripted: ScriptedServer) -> None:
    """Functions and the schema of the answer; built-in tools are not, in chat completions."""
    function = {"type": "function", "function": {"name": "solve", "parameters": {"type": "object"}}}
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    held = session(scripted)
    tools = [function, {"type": "file_search", "vector_store_ids": []}]
    held.assistants.save("tutor", {"tools": tools, "schema": {"name": "a", "schema": schema}})
    held.set_assistant("tutor")
    scripted.script.then("{}")
    held.ask("a")
    (body,) = bodies(scripted)
    assert body["tools"] == [function]
    assert body["response_format"]["json_schema"]["name"] == "a"


def test_another_set_up_is_another_request(scripted: ScriptedServer, tmp_path: Path) -> None:
    """Edited by hand or by ``edit``, the next run asks anew; unchanged, it replays."""
    held = tutored(scripted)
    held.set_assistant("tutor")
    first = held.ask("a")
    again = session(scripted)
    again.set_assistant("tutor")
    assert again.ask("a").replayed
    edited(tmp_path, instructions="Explain.")
    changed = session(scripted)
    changed.assistant = "tutor"
    reply = changed.ask("a")
    assert not reply.replayed
    assert reply.fingerprint != first.fingerprint
    assert bodies(scripted)[-1]["messages"][0]["content"] == "Explain."
    changed.assistants.edit("tutor", {"instructions": "Ask back."})
    assert changed.assistant is not None
    assert changed.assistant.instructions == "Ask back."  # what is in use is as it is now
    assert changed.ask("a", new=True).replayed


def test_the_text_of_a_file_is_part_of_it(scripted: ScriptedServer, tmp_path: Path) -> None:
    """A file that changed is another request; one that is gone replays from the record."""
    (tmp_path / "notes.txt").write_text("The moon pulls.", "utf-8")
    held = session(scripted)
    held.assistants.save("tutor", {"instructions": "Teach.", "files": ["notes.txt"]})
    held.set_assistant("tutor")
    held.ask("a")
    assert "The moon pulls." in bodies(scripted)[0]["messages"][0]["content"]
    (tmp_path / "notes.txt").unlink()
    with pytest.raises(ours.OptionError, match=r"notes\.txt of the assistant 'tutor'"):
        session(scripted).set_assistant("tutor")
    replayed = session(scripted, mode="replay")
    replayed.set_assistant("tutor")
    assert replayed.ask("a").replayed


def test_a_model_that_is_gone(scripted: ScriptedServer) -> None:
    """The service's error says which assistant it is of, and what to do."""
    held = tutored(scripted)
    held.set_assistant("tutor")
    gone = error(404, "model_not_found", "The model `gpt-4.1` does not exist.")
    scripted.script.then(gone, gone)
    with pytest.raises(ours.ModelNotFound) as caught:
        held.ask("a")
    assert "assistant 'tutor'" in str(caught.value)
    assert "%assistant edit tutor --model NAME" in str(caught.value)
    with pytest.raises(ours.ModelNotFound) as caught:
        held.ask("a", model="gpt-9")
    assert "tutor" not in str(caught.value)


# --- replay


@pytest.mark.parametrize("mode", ["replay", "auto"])
def test_without_the_file(scripted: ScriptedServer, tmp_path: Path, mode: str) -> None:
    """The dialogue file is enough: the set-up is in it, and no file of assistants is made."""
    held = tutored(scripted)
    used = held.set_assistant("tutor")
    reply = held.ask("a")
    (tmp_path / FILE).unlink()
    count = len(scripted.requests)
    again = session(scripted, mode=mode)
    assert again.set_assistant("tutor") == used
    assert again.ask("a") == reply
    assert len(scripted.requests) == count
    assert not (tmp_path / FILE).exists()


def test_a_replay_uses_the_record(scripted: ScriptedServer, tmp_path: Path) -> None:
    """Whatever the file says now, or however broken it is; and it is left as it is."""
    held = tutored(scripted)
    held.set_assistant("tutor")
    held.ask("a")
    for text in ('{"broken', None):
        if text is None:
            (tmp_path / FILE).unlink()
        else:
            (tmp_path / FILE).write_text(text, "utf-8")
        again = session(scripted, mode="replay")
        again.assistants.save("tutor", SETUP)
        again.set_assistant("tutor")
        assert again.ask("a").replayed
        assert ((tmp_path / FILE).read_text("utf-8") if text else None) == text
        assert (tmp_path / FILE).exists() == (text is not None)


def test_a_replay_that_misses(scripted: ScriptedServer) -> None:
    """What was never recorded is not looked up."""
    held = tutored(scripted, mode="auto")
    again = session(scripted, mode="replay")
    with pytest.raises(ours.ReplayMiss, match="assistant"):
        again.set_assistant("tutor")
    assert held.assistant is None


def test_nothing_is_recorded_twice(scripted: ScriptedServer) -> None:
    """Restart & Run All adds no record while nothing changed."""
    for _ in range(3):
        held = tutored(scripted)
        held.set_assistant("tutor")
        held.ask("a")
        held.list_assistants()
    assert [item.request.kind for item in records(held)] == [
        "assistant",
        "assistant",
        "ask",
        "assistants",
        "assistants",
    ]


def test_switching_back(scripted: ScriptedServer) -> None:
    """An assistant that is used twice in a notebook is found twice in a replay."""

    def told(held: Session) -> list[str]:
        said = []
        for name in ("tutor", "coach", "tutor"):
            held.set_assistant(name)
            said.append(held.ask("a", history=False).fingerprint)
        return said

    held = tutored(scripted)
    held.assistants.save("coach", {"instructions": "Run."})
    first = told(held)
    assert first[0] == first[2] != first[1]
    again = session(scripted, mode="replay")
    again.assistants.save("tutor", SETUP)
    again.assistants.save("coach", {"instructions": "Run."})
    assert told(again) == first


def test_edited_in_the_notebook(scripted: ScriptedServer, tmp_path: Path) -> None:
    """A notebook that saves, uses and edits replays with the set-up of each moment."""

    def told(held: Session) -> list[tuple[str, bool]]:
        held.assistants.save("tutor", SETUP)
        held.set_assistant("tutor")
        replies = [held.ask("a", history=False)]
        held.assistants.edit("tutor", {"parameters": {"seed": None}}, ["model"])
        replies.append(held.ask("a", history=False))
        return [(reply.id, reply.replayed) for reply in replies]

    first = told(session(scripted))
    bodies_sent = bodies(scripted)
    assert "seed" in bodies_sent[0]
    assert "seed" not in bodies_sent[1]
    assert bodies_sent[1]["model"] == "gpt-4o"
    (tmp_path / FILE).unlink()
    again = told(session(mode="replay"))
    assert again == [(identity, True) for identity, _ in first]


# --- keeping


def test_what_cannot_be_kept(scripted: ScriptedServer) -> None:
    """Names that are commands, an empty set-up, a wrong field, a key; nothing is written."""
    held = session(scripted)
    for name in ("none", "save", " ", "a\nb"):
        with pytest.raises(ours.OptionError):
            held.assistants.save(name, SETUP)
    with pytest.raises(ours.OptionError, match="nothing to save"):
        held.assistants.save("tutor", {})
    with pytest.raises(ours.OptionError, match="'tools'"):
        held.assistants.save("tutor", {"tools": "all"})
    with pytest.raises(ours.OptionError, match="key"):
        held.assistants.save("tutor", {"instructions": f"Use {KEY}."})
    with pytest.raises(ours.OptionError, match="what is to change"):
        held.assistants.edit("tutor", {})
    assert not Path(FILE).exists()
    assert KEY not in str(records(held))


def test_what_is_used_now_can_be_kept(scripted: ScriptedServer) -> None:
    """Without options it is the instruction and model of the notebook, or the assistant in use."""
    held = session(scripted, system_instruction="Be brief.", model="gpt-4o-mini")
    kept = held.assistants.save("brief", {}).assistant
    assert kept is not None
    assert (kept.instructions, kept.model) == ("Be brief.", "gpt-4o-mini")
    held.assistants.save("tutor", SETUP)
    held.set_assistant("tutor")
    copy = held.assistants.save("copy", {}).assistant
    assert copy is not None
    assert copy.version == held.assistant.version  # type: ignore[union-attr]


def test_deleting_can_be_undone(scripted: ScriptedServer) -> None:
    """``restore`` brings back what was there, with its id; the one in use is no longer used."""
    held = tutored(scripted)
    used = held.set_assistant("tutor")
    held.assistants.delete("tutor")
    assert held.assistant is None
    with pytest.raises(ours.OptionError, match="no assistant 'tutor'"):
        held.assistants.edit("tutor", {"model": "gpt-4o"})
    assert held.assistants.restore("tutor").assistant == used
    assert held.assistants.show("tutor").assistant == used


def test_an_unknown_name(scripted: ScriptedServer) -> None:
    """The nearest is said, and what there is."""
    held = tutored(scripted)
    with pytest.raises(ours.OptionError, match=r"'tuter' \(did you mean 'tutor'\?\)"):
        held.set_assistant("tuter")
    assert held.assistant is None


def test_two_of_one_name(scripted: ScriptedServer, tmp_path: Path) -> None:
    """They can be imported, by name neither can be used, and each has its id."""
    listing = [
        {"id": f"asst_{n}", "name": "tutor", "model": "gpt-4o", "instructions": str(n)}
        for n in (1, 2)
    ]
    (tmp_path / "old.json").write_text(json.dumps({"object": "list", "data": listing}), "utf-8")
    held = session(scripted)
    step = held.assistants.take_over("old.json")
    assert any("asst_1 and asst_2" in note for note in step.notes)
    with pytest.raises(ours.OptionError, match="asst_1 and asst_2"):
        held.set_assistant("tutor")
    held.set_assistant("asst_2")
    held.ask("a")
    assert bodies(scripted)[0]["messages"][0]["content"] == "2"


def test_the_users_own(scripted: ScriptedServer, tmp_path: Path) -> None:
    """One for all notebooks is found in each; the notebook's own of that name counts before it."""
    held = session(scripted)
    held.assistants.save("tutor", SETUP, user=True)
    assert not (tmp_path / FILE).exists()
    assert json.loads(user_file().with_name(FILE).read_text("utf-8"))["assistants"]
    assert held.set_assistant("tutor") is not None
    held.assistants.save("tutor", {"instructions": "Here."})
    assert held.set_assistant("tutor").instructions == "Here."  # type: ignore[union-attr]
    assert list(held.list_assistants()["where"]) == ["notebook", "user"]


def test_exported_and_imported(scripted: ScriptedServer) -> None:
    """A file that was written can be taken over; one that is there is not overwritten."""
    held = tutored(scripted)
    held.assistants.export("mine.json", ["tutor"])
    with pytest.raises(ours.OptionError, match="exists already"):
        held.assistants.export("mine.json")
    held.assistants.delete("tutor")
    step = held.assistants.take_over("mine.json", name="coach")
    assert step.assistant is not None
    assert (step.assistant.name, step.assistant.instructions) == ("coach", "Ask back.")


# --- listing


def test_listing_both(scripted: ScriptedServer) -> None:
    """Those kept here and those of the server, all pages of it, in one DataFrame."""
    scripted.assistants = [old(f"a{n:03}", f"Say {n}.") for n in range(150)]
    frame = tutored(scripted).list_assistants()
    assert list(frame.columns[:4]) == ["name", "id", "description", "model"]
    assert list(frame["where"].value_counts().items()) == [("server", 150), ("notebook", 1)]
    assert list(frame["name"][:2]) == ["tutor", "a000"]
    assert frame["version"].notna().all()
    asked = [each for each in scripted.requests if each.route == "/assistants"]
    assert len(asked) == 2
    assert {each.headers.get("openai-beta") for each in asked} == {"assistants=v2"}


@pytest.mark.parametrize("awaited", [False, True])
def test_the_sunset(
    scripted: ScriptedServer, awaited: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that has none any more is explained in a line; the local ones are listed, also replayed."""
    for held in (tutored(scripted), session(mode="replay")):
        caplog.clear()
        frame = asyncio.run(held.alist_assistants()) if awaited else held.list_assistants()
        assert list(frame["name"]) == ["tutor"]
        (line,) = [item.getMessage() for item in caplog.records if item.levelno >= logging.WARNING]
        assert GONE in line
        assert "\n" not in line
    assert len([each for each in scripted.requests if each.route == "/assistants"]) == 1


def test_no_key_and_no_network(caplog: pytest.LogCaptureFixture) -> None:
    """The local ones are listed, why is said; the server is tried again by the next run."""
    for around in ({"model": "gpt-4o"}, {"base_url": "http://127.0.0.1:9/v1"}):
        caplog.clear()
        held = Session(api_key=None)
        held.settings.profile = around
        held.assistants.save("tutor", SETUP)
        assert list(held.list_assistants()["name"]) == ["tutor"]
        assert "Only those kept here" in caplog.text
    with ScriptedServer() as server:
        server.assistants = [old("a")]
        assert list(session(server).list_assistants()["name"]) == ["tutor", "a"]


def test_none_at_all(scripted: ScriptedServer) -> None:
    """A DataFrame with its columns and no rows."""
    frame = session(scripted).list_assistants()
    assert frame.empty
    assert "instructions" in frame.columns


def test_from_a_server_that_has_it(scripted: ScriptedServer) -> None:
    """An id is fetched and kept here; replayed without the server."""
    scripted.assistants = [old("tutor", "Ask back."), old("coach")]
    held = session(scripted)
    step = held.assistants.take_over("asst_tutor", name="mine")
    assert step.assistant is not None
    assert (step.assistant.name, step.assistant.instructions) == ("mine", "Ask back.")
    again = session(mode="replay").assistants.take_over("asst_tutor", name="mine")
    assert again == step
    scripted.assistants = None
    with pytest.raises(ours.ServiceError, match="Import it from a file") as caught:
        held.assistants.take_over("asst_coach")
    assert GONE in str(caught.value)


# --- the magics


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[InteractiveShell]:
    """Give a shell with the magics."""
    monkeypatch.setenv("IPYTHONDIR", os.fspath(tmp_path / "ipython"))
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    magics.load(shell)
    yield shell
    magics.unload(shell)
    shell.history_manager.end_session()  # type: ignore[union-attr]
    InteractiveShell.clear_instance()


@pytest.fixture
def say(
    shell: InteractiveShell, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Give what ``%assistant`` shows for a line and a cell."""
    monkeypatch.setattr(sessions, "current", session(scripted))

    def said(line: str, cell: str | None = None) -> str:
        with capture_output() as captured:
            if cell is None:
                shell.run_line_magic("assistant", line)
            else:
                shell.run_cell_magic("assistant", line, cell)
        (output,) = captured.outputs
        return str(output.data["text/plain"])

    return said


def test_the_commands(say: Callable[..., str], scripted: ScriptedServer) -> None:
    """Save, use, show, edit, delete, restore, export, import and none, as typed."""
    made = say(
        'save tutor -m gpt-4.1 -t 0.5 -p top_p=0.9 -d "For students"', "Ask back.\n\nBe kind."
    )
    assert "Saved 'tutor' in assistants.json." in made
    assert "Ask back.\n\nBe kind." in made
    assert '{"temperature": 0.5, "top_p": 0.9}' in say("tutor")
    assert say("").startswith("assistant")
    assert "gpt-4o" in say("edit tutor -m gpt-4o --unset description")
    assert "For students" not in say("show tutor")
    assert "%assistant restore tutor" in say("delete tutor")
    assert say("show") == "No assistant is in use."
    assert "Restored 'tutor'" in say("restore tutor")
    assert "Written to mine.json: tutor." in say("export mine.json")
    assert "coach" in say("import mine.json --as coach")
    assert say("none") == "No assistant is in use."
    assert "pmpt_1 says stays at OpenAI" in say("import pmpt_1 --as hosted")
    assert scripted.requests == []


@pytest.mark.parametrize(
    ("line", "cell", "said"),
    [
        ("shwo tutor", None, "did you mean 'show'"),
        ("--user", None, "no command"),
        ("show a b", None, "too much"),
        ("save", None, "NAME"),
        ("none", "text", "no cell below"),
        ("save a -s x", "y", "Leave one out"),
        ("save a --schema none.json", None, "none.json cannot be read"),
        ("save a -p top_p", None, "KEY=VALUE"),
        ("edit a --unset nothing", None, "invalid choice"),
        ("import none.json", None, "none.json cannot be read"),
        ("nobody", None, "no assistant 'nobody'"),
    ],
)
def test_lines_that_are_wrong(
    say: Callable[..., str], line: str, cell: str | None, said: str
) -> None:
    """Each is an error of ours that fails the cell, and nothing is written."""
    with pytest.raises(ours.OptionError, match=said):
        say(line, cell)
    assert not Path(FILE).exists()


def test_a_schema_in_a_file(say: Callable[..., str]) -> None:
    """A bare JSON schema gets the file's name; one as the API has it stays as it is."""
    Path("reply.json").write_text('{"type": "object"}', "utf-8")
    assert "reply" in say("save tutor --schema reply.json -s Teach")
    (entry,) = json.loads(Path(FILE).read_text("utf-8"))["assistants"]
    assert entry["schema"] == {"name": "reply", "schema": {"type": "object"}, "strict": True}


def test_the_listing(shell: InteractiveShell, say: Callable[..., str]) -> None:
    """``%assistants`` gives the DataFrame, and shows the line of the sunset."""
    say("save tutor -s Teach")
    with capture_output() as captured:
        frame = shell.run_line_magic("assistants", "")
    assert list(frame["name"]) == ["tutor"]
    (output,) = captured.outputs
    assert GONE in output.data["text/plain"]


def test_completion(shell: InteractiveShell, say: Callable[..., str]) -> None:
    """Commands and names, then names; files after ``import``; options after a dash."""
    say("save tutor -s Teach")
    say('save "maths coach" -s Teach')
    Path("old.json").write_text("[]", "utf-8")
    offered = complete.candidates(shell, "%assistant ")
    assert offered is not None
    assert {"tutor", '"maths coach"', "save", "import", "none"} <= set(offered)
    assert complete.candidates(shell, "%assistant show tu") == ["tutor"]
    assert "old.json" in (complete.candidates(shell, "%assistant import ") or [])
    assert "--model" in (complete.candidates(shell, "%%assistant save tutor --m") or [])
    Path(FILE).write_text("{broken", "utf-8")
    assert "save" in (complete.candidates(shell, "%assistant ") or [])


def test_a_cell_that_runs_again(scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """``%assistant`` and its asks in a cell that is run again show what is recorded."""
    held = tutored(scripted)
    runs = iter(range(100))

    def ran() -> Any:
        monkeypatch.setattr(cells, "cell_id", lambda: "c")
        number = f"run {next(runs)}"
        monkeypatch.setattr(cells, "execution", lambda: number)
        held.set_assistant("tutor")
        return held.ask("a")

    assert ran().id == ran().id == ran().id
    assert [item.request.kind for item in records(held)].count("assistant") == 2


def test_what_the_service_says_is_scripted(scripted: ScriptedServer) -> None:
    """An answer made for the assistant's request is the one that is given."""

    def check(request: Request) -> Any:
        return answer(f"as {request.json['messages'][0]['content']}")

    held = tutored(scripted)
    held.set_assistant("tutor")
    scripted.script.then(check)
    assert held.ask("a").text == "as Ask back."
