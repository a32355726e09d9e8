"""A dialogue as a notebook: which cells ask what, and what stands beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from openai_magics import render
from openai_magics.errors import OptionError
from openai_magics.magics.ask_options import ASK_ARGUMENTS
from tests.unit.dialogues import Talk, hostile


def cells_of(talk: Talk, **wanted: Any) -> list[dict[str, Any]]:
    path = talk.dialogue.export("out.ipynb", overwrite=True, **wanted)
    document = nbformat.read(path, as_version=4)
    nbformat.validate(document)
    return list(document["cells"])


def sources(talk: Talk) -> list[str]:
    return [cell["source"] for cell in cells_of(talk)[2:]]


def test_a_notebook_asks_each_turn_in_a_cell() -> None:
    """It loads the extension and asks with the options that the requests say; outputs are the records'."""
    talk = Talk()
    first = talk.said(
        "What is a tide?",
        "The *sea's* breath.",
        conversation="sea",
        request={
            "model": "gpt-4o",
            "system": "Be brief.",
            "parameters": {"temperature": 0, "top_p": 0.5},
        },
    )
    talk.said(
        "And an ebb?", "Its sigh.", after=first, conversation="sea", request={"max_history": 3}
    )
    talk.said("Alone?", conversation=None)
    cells = cells_of(talk)
    assert [cell["cell_type"] for cell in cells] == ["markdown", *["code"] * 4]
    assert cells[1]["source"].splitlines()[0] == "%load_ext openai_magics"
    options = '--model gpt-4o --system "Be brief." --temperature 0 --param top_p=0.5'
    assert [cell["source"] for cell in cells[2:]] == [
        f"%%ask --conversation sea {options}\nWhat is a tide?",
        "%%ask --conversation sea --max-history 3\nAnd an ebb?",
        "%%ask --no-history\nAlone?",
    ]
    data, metadata = render.answer(first.answer or pytest.fail("no answer"))
    assert cells[2]["outputs"] == [
        {"output_type": "display_data", "data": data, "metadata": metadata}
    ]


def test_a_notebook_is_laid_out_as_nbformat_does() -> None:
    """Reading and writing it with nbformat gives the same bytes, so running it makes no diff."""
    talk = hostile()
    path = talk.dialogue.export("out.ipynb")
    nbformat.write(nbformat.read(path, as_version=4), "again.ipynb")
    assert Path("again.ipynb").read_bytes() == path.read_bytes()


def test_the_same_dialogue_is_the_same_notebook() -> None:
    """Cell ids come from the records: exporting twice gives the same bytes, and no id comes twice."""
    talk = hostile()
    once = talk.dialogue.export("one.ipynb").read_bytes()
    assert talk.dialogue.export("two.ipynb").read_bytes() == once
    ids = [cell["id"] for cell in json.loads(once)["cells"]]
    assert len(set(ids)) == len(ids)


def test_the_dialogue_file_is_beside_the_notebook() -> None:
    """It is copied byte by byte; one that stood there and is another is moved aside, and said."""
    talk = Talk()
    talk.said("one")
    Path("out.dialogue.json").write_text("older", "utf-8")
    done = talk.dialogue.exported("out.ipynb")
    assert Path("out.dialogue.json").read_bytes() == talk.file.path.read_bytes()
    (aside,) = Path.cwd().glob("out.dialogue.json.before-export-*Z")
    assert aside.read_text("utf-8") == "older"
    assert aside.name in str(done)


def test_the_notebook_of_a_script_is_written_beside_its_dialogue() -> None:
    """Where the dialogue file stands where the copy would, it is left as it is."""
    talk = Talk()
    talk.said("one")
    before = talk.file.path.stat()
    talk.dialogue.export("talk.ipynb")
    assert talk.file.path.stat() == before


@pytest.mark.parametrize(
    "text",
    [
        "ends in a line\n",
        " begins with a space",
        "two\r\nlines",
        "\ud800",
        ">>> 1\n2",
        "In [1]: x\ny",
    ],
)
def test_a_prompt_that_no_magic_can_say_is_asked_from_python(text: str) -> None:
    """What reading the cell back would change is asked with ``get_session().ask``, in a cell that is Python."""
    talk = Talk()
    talk.said(text)
    (cell,) = sources(talk)
    assert cell.startswith("from IPython.display import display")
    compile(cell, "cell", "exec")


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "%%ask inside",
        "{{ braces }} $x",
        "!ls\n%cd\n?",
        "\u2028 \x0c ends",
        "\\n 'q' \"d\"",
    ],
)
def test_a_prompt_is_said_as_it_is(text: str) -> None:
    """No mark of IPython or of a shell changes a prompt below ``%%ask``."""
    talk = Talk()
    talk.said(f"a {text}")
    raw = any("--raw" in flags for flags, _ in ASK_ARGUMENTS) and "{{" in text
    assert sources(talk) == [f"%%ask{' --raw' if raw else ''}\na {text}"]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"temperature": 0.5}, "--temperature 0.5"),
        ({"max_completion_tokens": 9}, "--max-tokens 9"),
        ({"reasoning_effort": "low"}, "--effort low"),
        ({"stop": ["it's", '"']}, """--param 'stop=["it\\u0027s", "\\""]'"""),
        ({"seed": True}, "--param seed=true"),
        ({"temperature": "hot"}, None),
        ({"user": "5"}, """--param 'user="5"'"""),
        (
            {"response_format": {"type": "json_object"}},
            """--param 'response_format={"type": "json_object"}'""",
        ),
    ],
)
def test_parameters_are_said_by_the_options_that_give_them_back(
    parameters: dict[str, Any], said: str | None
) -> None:
    """Each parameter is an option from which the same value is read; else the cell is Python."""
    talk = Talk()
    talk.said("one", request={"parameters": parameters})
    (cell,) = sources(talk)
    assert cell == f"%%ask {said}\none" if said else "get_session().ask(" in cell


@pytest.mark.parametrize(
    "system", ["it's", 'say "hi"', "both ' and \"", "-dash", "=x", "a=b", "# x"]
)
def test_a_system_instruction_is_said_with_any_quotes(system: str) -> None:
    """An instruction on one line is an option, whatever quotes it holds."""
    talk = Talk()
    talk.said("one", request={"system": system})
    (cell,) = sources(talk)
    assert cell.startswith("%%ask --system ")


def test_a_system_instruction_of_several_lines_has_a_cell_of_its_own() -> None:
    """It is set for the session before its first turn, and taken back before one without it."""
    talk = Talk()
    first = talk.said("one", request={"system": "Be\nkind."})
    second = talk.said("two", after=first, request={"system": "Be\nkind."})
    third = talk.said("three", after=second, request={"system": "Be curt."})
    talk.said("four", after=third)
    set_to = "from openai_magics import get_session\n\nget_session().system_instruction = "
    assert sources(talk) == [
        f"{set_to}'Be\\nkind.'",
        "%%ask\none",
        "%%ask\ntwo",
        '%%ask --system "Be curt."\nthree',
        f"{set_to}None",
        "%%ask\nfour",
    ]


def test_an_earlier_answer_to_the_same_request_is_asked_for_first() -> None:
    """A turn that took the second slot of its request finds it only after the first was taken."""
    talk = Talk()
    talk.said("one", "first")
    talk.said("two", after=talk.said("one", "second", occurrence=1))
    assert sources(talk) == [
        "The next cell asks what is asked again below: this is its answer number 1.",
        "%%ask --no-history\none",
        "%%ask\none",
        "%%ask\ntwo",
    ]


def test_what_a_replay_would_not_find_is_said() -> None:
    """Turns whose turn before is missing are written, and counted."""
    talk = Talk()
    talk.said("two", after=talk.said("one", after="0" * 64))
    assert "Not found in a replay, but asked anew: 2 of the turns." in str(
        talk.dialogue.exported("out.ipynb")
    )


def test_what_no_cell_can_ask_is_shown_as_it_is() -> None:
    """A turn with an image is a raw cell, which no front end renders."""
    talk = Talk()
    part = {"type": "image", "sha256": "0" * 64}
    asked = {"messages": ({"role": "user", "content": [part]},), "kind": "describe"}
    talk.said("", "<script>alert(1)</script>", conversation=None, request=asked)
    cell = cells_of(talk)[2]
    assert cell["cell_type"] == "raw"
    assert "[image]" in cell["source"]


def test_a_notebook_holds_only_what_stands() -> None:
    """Superseded turns cannot all be asked in one notebook."""
    talk = Talk()
    talk.said("one")
    with pytest.raises(OptionError, match="as they stand"):
        talk.dialogue.export("out.ipynb", current=False)
