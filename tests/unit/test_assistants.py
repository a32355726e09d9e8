"""Assistants as values and in their file: versions, reading, changing, importing, bad input."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openai_magics.assistants import imported, roster
from openai_magics.assistants.assistant import LARGEST, Assistant
from openai_magics.assistants.store import FILE, Store, of_that_name
from openai_magics.errors import AssistantsDamaged, AssistantsError, OptionError

TUTOR = Assistant("tutor", "local-1", model="gpt-5.5", instructions="Ask back.")
OLD: dict[str, Any] = {
    "id": "asst_abc123",
    "object": "assistant",
    "created_at": 1_700_000_000,
    "name": "Math tutor",
    "description": None,
    "model": "gpt-4o",
    "instructions": "You are a tutor.",
    "tools": [
        {"type": "function", "function": {"name": "solve", "parameters": {"type": "object"}}}
    ],
    "tool_resources": {},
    "metadata": {"course": "calculus"},
    "temperature": 1.0,
    "top_p": 0.5,
    "response_format": "auto",
}
"""As the old API gave one (``AssistantObject``)."""


def store(folder: Path, *assistants: Assistant) -> Store:
    """Return a file of assistants that holds these."""
    made = Store(folder / FILE)
    for item in assistants:
        made.put(item)
    return made


def written(folder: Path, text: str) -> Store:
    """Return a file of assistants with a text."""
    path = folder / FILE
    path.write_text(text, "utf-8")
    return Store(path)


# --- the value


@pytest.mark.parametrize(
    "change",
    [
        {"model": "gpt-5.4-mini"},
        {"instructions": "Explain."},
        {"parameters": {"seed": 1}},
        {"tools": ({"type": "function"},)},
        {"schema": {"name": "answer"}},
        {"api": "responses"},
        {"texts": {"notes.txt": "New notes."}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_set_up_is_another_version(change: dict[str, Any]) -> None:
    """What enters a request enters the version."""
    assert replace(TUTOR, **change).version != TUTOR.version


def test_what_it_is_called_is_no_set_up() -> None:
    """Name, id and description do not change the version, nor does 0.0 for 0."""
    named = Assistant("coach", "x", "For runners.", "gpt-5.5", "Ask back.")
    assert named.version == TUTOR.version
    ways = [Assistant("a", parameters={"temperature": zero}) for zero in (0, 0.0)]
    assert ways[0].version == ways[1].version


def test_files_stand_in_the_instruction(tmp_path: Path) -> None:
    """Each under its name, in their order; without a text there is no instruction."""
    (tmp_path / "a.txt").write_text("Alpha.", "utf-8")
    (tmp_path / "b.txt").write_bytes(b"\xef\xbb\xbfBeta.")  # as Windows' editor saves it
    made = Assistant("x", instructions="Read.", files=("a.txt", "b.txt")).with_texts(tmp_path)
    assert made.system == "Read.\n\nThe file a.txt:\n\nAlpha.\n\nThe file b.txt:\n\nBeta."
    assert Assistant("x").system is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"\x89PNG\xff", "is not text"),
        (b"a" * (LARGEST + 1), "400,001 characters"),
    ],
    ids=["missing", "binary", "too long"],
)
def test_files_that_cannot_be_sent(tmp_path: Path, content: bytes | None, said: str) -> None:
    """The error names the file, or the size, and the assistant."""
    if content is not None:
        (tmp_path / "notes").write_bytes(content)
    with pytest.raises(OptionError, match=said) as caught:
        Assistant("tutor", files=("notes",)).with_texts(tmp_path)
    assert "'tutor'" in str(caught.value)


def test_a_payload_holds_all() -> None:
    """What is recorded gives the same assistant, its texts among it."""
    made = Assistant("x", "i", files=("a",), texts={"a": "Alpha"}, extra={"color": "red"})
    again = Assistant.from_payload(json.loads(json.dumps(made.to_payload())))
    assert again == made
    assert (again.texts, again.version) == (made.texts, made.version)


# --- the file


def test_kept_and_found(tmp_path: Path) -> None:
    """An assistant is written for people to read, and found by its name and its id."""
    held = store(tmp_path, TUTOR)
    document = json.loads(held.path.read_text("utf-8"))
    assert document == {
        "format": "openai_magics.assistants",
        "version": 1,
        "assistants": [
            {"id": "local-1", "name": "tutor", "model": "gpt-5.5", "instructions": "Ask back."}
        ],
    }
    assert of_that_name(held.all(), "tutor") == of_that_name(held.all(), "local-1") == TUTOR
    assert of_that_name(held.all(), "coach") is None


def test_no_file_is_no_assistants(tmp_path: Path) -> None:
    """Neither reading nor a change that changes nothing makes a file."""
    held = Store(tmp_path / FILE)
    assert held.all() == []
    held.delete("nothing")
    assert os.listdir(tmp_path) == []


def test_fields_of_others_are_kept(tmp_path: Path) -> None:
    """Those of the file and those of an entry, also when another assistant is put in."""
    entry = {"id": "1", "name": "tutor", "color": "red"}
    document = {"format": "openai_magics.assistants", "version": 1, "team": 7}
    held = written(tmp_path, json.dumps({**document, "assistants": [entry]}))
    held.put(Assistant("coach"))
    after = json.loads(held.path.read_text("utf-8"))
    assert after["team"] == 7
    assert after["assistants"][0] == entry
    assert [item["name"] for item in after["assistants"]] == ["tutor", "coach"]


def test_saving_again_changes_nothing(tmp_path: Path) -> None:
    """The same notebook, run again, leaves the file as it is, byte by byte, and no backup."""
    held = store(tmp_path, Assistant("tutor"))
    before = held.path.read_bytes(), held.path.stat().st_mtime_ns
    held.put(held.all()[0])
    assert (held.path.read_bytes(), held.path.stat().st_mtime_ns) == before
    assert os.listdir(tmp_path) == [FILE]
    assert Assistant("tutor").id == ""
    ids = [
        store(folder, Assistant("tutor")).all()[0].id for folder in (tmp_path / "a", tmp_path / "b")
    ]
    assert ids[0] == ids[1] == held.all()[0].id  # whoever runs it gets the same id


def test_what_is_gone_is_in_the_backup(tmp_path: Path) -> None:
    """Deleted and replaced ones, the latest last; unknown fields too."""
    held = store(tmp_path, TUTOR)
    held.put(Assistant("tutor", "local-1", instructions="Explain."))
    assert held.deleted("tutor") == TUTOR
    held.delete("local-1")
    assert held.all() == []
    gone = held.deleted("tutor")
    assert gone is not None
    assert gone.instructions == "Explain."
    assert held.deleted("coach") is None


def test_writers_take_turns(tmp_path: Path) -> None:
    """Several that write at once lose nothing of one another."""
    held = Store(tmp_path / FILE)
    threads = [threading.Thread(target=held.put, args=(Assistant(f"a{n}"),)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(item.name for item in held.all()) == sorted(f"a{n}" for n in range(12))
    assert os.listdir(tmp_path) == [FILE]


GOOD = '{"format": "openai_magics.assistants", "version": 1, "assistants": [\n'


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (GOOD + '  {"name": "a"},\n  {"name" "b"}\n]}', 3, "not JSON"),
        (GOOD + '  {"name": "a"}', 2, "not JSON"),
        (GOOD + '<<<<<<< HEAD\n  {"name": "a"}\n=======\n]}', 2, "merge conflict"),
        (GOOD + '  {"name": "a"},\n  {"name": 7}\n]}', 3, "no name"),
        (GOOD + '  {"name": "a"},\n\n  {"id": "x"}]}', 4, "no name"),
        (GOOD + '  {"name": "a", "tools": "all"}\n]}', 2, "'tools' of the assistant 'a'"),
        (GOOD + '  {"name": "a", "files": [1]}\n]}', 2, "'files' of the assistant 'a'"),
        (GOOD + '  {"name": "a", "api": "fax"}\n]}', 2, "chat or responses"),
        (GOOD + '  "a"\n]}', 2, "an object"),
        (GOOD + '  {"name": "a", "id": "1"},\n  {"name": "b", "id": "1"}\n]}', 3, "line 2 too"),
        ('{"format": "openai_magics.assistants", "version": 1, "assistants": {}}', 1, "a list"),
    ],
)
def test_a_broken_file(tmp_path: Path, text: str, line: int, said: str) -> None:
    """The error names the line and what is wrong there; nothing is overwritten."""
    held = written(tmp_path, text)
    for call in (held.all, lambda: held.put(TUTOR), lambda: held.delete("x")):
        with pytest.raises(AssistantsDamaged, match=said) as caught:
            call()
        assert caught.value.line == line
        assert f"line {line}" in str(caught.value)
    assert held.path.read_text("utf-8") == text
    assert os.listdir(tmp_path) == [FILE]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"data": []}', "not a file of assistants"),
        ("[]", "not a file of assistants"),
        ('{"format": "openai_magics.assistants", "version": 2, "assistants": []}', "version 2"),
        ('{"format": "openai_magics.assistants", "version": "x", "assistants": []}', "version 'x'"),
    ],
)
def test_a_file_of_another_kind(tmp_path: Path, text: str, said: str) -> None:
    """What another tool or a newer version wrote is not touched."""
    held = written(tmp_path, text)
    with pytest.raises(AssistantsError, match=said):
        held.put(TUTOR)
    assert held.path.read_text("utf-8") == text


def test_a_line_that_is_no_text(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are an error of their line."""
    (tmp_path / FILE).write_bytes(GOOD.encode() + b'  {"name": "\xff"}\n]}')
    with pytest.raises(AssistantsDamaged, match="line 2: this is not UTF-8"):
        Store(tmp_path / FILE).all()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """It is said, and what is there stays as it is."""
    held = store(tmp_path, TUTOR)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(AssistantsError, match="cannot be written"):
            held.put(Assistant("coach"))
        assert held.all() == [TUTOR]
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    """It is an error that names it."""
    (tmp_path / FILE).mkdir()
    for call in (Store(tmp_path / FILE).all, lambda: Store(tmp_path / FILE).put(TUTOR)):
        with pytest.raises(AssistantsError, match=r"assistants\.json cannot be"):
            call()


def test_two_of_one_name() -> None:
    """The error names both ids; an id is still one assistant."""
    twins = [Assistant("tutor", "asst_1"), Assistant("tutor", "asst_2")]
    with pytest.raises(OptionError, match="asst_1 and asst_2") as caught:
        of_that_name(twins, "tutor")
    assert "%assistant edit asst_2 --name NEW" in str(caught.value)
    assert of_that_name(twins, "asst_2") is twins[1]


# --- of the old API


def test_an_assistant_of_the_old_api() -> None:
    """What it said of a request is its set-up; defaults that nobody set are none of it."""
    (made,) = imported.from_object(OLD).assistants
    assert made == Assistant(
        "Math tutor",
        "asst_abc123",
        None,
        "gpt-4o",
        "You are a tutor.",
        parameters={"top_p": 0.5},
        tools=(OLD["tools"][0],),
        extra={"created_at": 1_700_000_000, "metadata": {"course": "calculus"}},
    )


def test_its_answer_format() -> None:
    """A JSON schema is the schema, a JSON object a parameter, automatic nothing."""
    schema = {"name": "answer", "schema": {"type": "object"}}
    forms = [{"type": "json_schema", "json_schema": schema}, {"type": "json_object"}, "auto", None]
    read = [imported.from_object({**OLD, "response_format": form}).assistants[0] for form in forms]
    assert [item.schema for item in read] == [schema, None, None, None]
    assert [item.parameters.get("response_format") for item in read] == [
        None,
        {"type": "json_object"},
        None,
        None,
    ]


def test_its_built_in_tools() -> None:
    """They take their files with them, as the Responses API has it, and it is said."""
    resources = {
        "file_search": {"vector_store_ids": ["vs_1"]},
        "code_interpreter": {"file_ids": ["file_1"]},
    }
    tools = [
        {"type": "file_search", "file_search": {"max_num_results": 5}},
        {"type": "code_interpreter"},
    ]
    read = imported.from_object({**OLD, "tools": tools, "tool_resources": resources})
    (made,) = read.assistants
    assert made.api == "responses"
    assert made.tools == (
        {"type": "file_search", "vector_store_ids": ["vs_1"], "max_num_results": 5},
        {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file_1"]}},
    )
    assert "file_search and code_interpreter" in read.notes[0]
    assert Assistant("x", tools=made.tools).tools_for(None) == ()
    assert made.tools_for(made.api) == made.tools


def test_one_without_a_name() -> None:
    """Its id is its name."""
    (made,) = imported.from_object({**OLD, "name": None}).assistants
    assert made.name == made.id == "asst_abc123"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(OLD),
        json.dumps([OLD]),
        json.dumps({"object": "list", "data": [OLD], "has_more": False}, indent=2),
        json.dumps(OLD) + "\n\n" + json.dumps({**OLD, "id": "asst_2"}) + "\n",
    ],
    ids=["one", "list", "listing", "lines"],
)
def test_files_of_the_old_api(tmp_path: Path, text: str) -> None:
    """One assistant, a list, the response of a listing, or one a line."""
    path = tmp_path / "saved.json"
    path.write_text(text, "utf-8-sig")
    read = imported.from_file(path).assistants
    assert read[0].name == "Math tutor"
    assert len(read) == (2 if "asst_2" in text else 1)


def test_our_own_file(tmp_path: Path) -> None:
    """A file of assistants can be imported into another."""
    assert imported.from_file(store(tmp_path, TUTOR).path).assistants == (TUTOR,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", r"line 1: this is not JSON"),
        (json.dumps(OLD) + "\n{\n", r"line 2: this is not JSON"),
        ('{"object": "thread", "model": "x"}', "it is a 'thread'"),
        ('[{"model": "x", "name": "a"}, 7]', "number 2 is no assistant"),
        ('{"name": "a"}', "neither instructions nor a model"),
        ("[]", "There is no assistant"),
        (None, "cannot be read"),
    ],
)
def test_files_that_hold_none(tmp_path: Path, text: str | None, said: str) -> None:
    """The error says what is there instead, and on which line."""
    path = tmp_path / "saved.json"
    if text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises((OptionError, AssistantsError), match=said):
        imported.from_file(path)


def test_a_prompt_is_named_not_read() -> None:
    """No API gives its text: the request names it, and that it may change is said."""
    read = imported.from_prompt("pmpt_1", "tutor", "2")
    (made,) = read.assistants
    assert made.parameters == {"prompt": {"id": "pmpt_1", "version": "2"}}
    assert made.api == "responses"
    assert "pmpt_1" in read.notes[0]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pmpt_1", "To take it over: %assistant import pmpt_1"),
        ("asst_1", "To take it over: %assistant import asst_1"),
        ("tutor", "To make one: %%assistant save tutor"),
    ],
)
def test_one_that_is_not_here(tmp_path: Path, name: str, said: str) -> None:
    """The error says how to have it: an id of the service is imported, a name is saved."""
    assert said in str(roster.unknown([Store(tmp_path / "assistants.json")], name))
