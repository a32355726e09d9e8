"""Looking through a dialogue: what is found, in which order, and what is said of each record."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from openai_magics import browse, glance
from openai_magics.browse import Browser, Pattern
from openai_magics.errors import DialogueDamaged, Unreachable
from openai_magics.failures import to_record
from openai_magics.sent import as_sent, parts
from tests.unit.dialogues import HOSTILE, Talk, hostile


def browser(talk: Talk) -> Browser:
    found = talk.dialogue.browse()
    found.refresh()
    return found


@pytest.fixture
def talk() -> Talk:
    """Two conversations, one ask outside of them, a failure and an answer asked anew."""
    made = Talk()
    first = made.said("Where does the tide come from?", "The moon.")
    made.said("And the wind?", "From the sun.", after=first)
    made.said("Quelle heure est-il?", "Midi.", conversation="french", reply={"model": "mistral"})
    made.said("Alone", "I am.", conversation=None)
    made.said("Fails", None, occurrence=None, error=to_record(Unreachable("No route to HOST.")))
    made.said("Where does the tide come from?", "From the moon.")
    return made


def asked(found: Browser, pattern: Pattern = Pattern()) -> list[str]:
    return [line.asked for line in found.summaries(found.find(pattern))]


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        (Pattern(conversation="french"), ["Quelle heure est-il?"]),
        (Pattern(conversation=""), ["Alone"]),
        (Pattern(model="mistral"), ["Quelle heure est-il?"]),
        (Pattern(kind="describe"), []),
        (Pattern(text="THE SUN"), ["And the wind?"]),
        (Pattern(text="to host"), ["Fails"]),
        (Pattern(text="moon", conversation="french"), []),
        (Pattern(text="finish_reason"), []),
        (Pattern(text="  "), 6),
    ],
    ids=str,
)
def test_finding(talk: Talk, pattern: Pattern, wanted: list[str] | int) -> None:
    """Filters are all to fit; a text is looked for in what people and models said, in any case."""
    found = asked(browser(talk), pattern)
    assert found == wanted or len(found) == wanted


def test_the_newest_comes_first(talk: Talk) -> None:
    """As one looks for it: what was said last."""
    assert asked(browser(talk))[0] == asked(browser(talk))[-1] == "Where does the tide come from?"
    assert asked(browser(talk))[1] == "Fails"


def test_a_line_says_what_became_of_a_record(talk: Talk) -> None:
    """An answer asked anew, a failure: the state says why a record does not stand."""
    found = browser(talk)
    lines = found.summaries(found.find())
    assert [line.state for line in lines] == ["", "failed", "", "", "", "asked anew since"]
    assert lines[1].answered == "No route to HOST."
    assert lines[2].tokens == 12
    assert lines[3].model == "mistral"
    assert lines[3].conversation == "french"


@pytest.mark.parametrize("whole", [0, 1 << 24])
@pytest.mark.parametrize("window", [1, 1 << 16])
def test_the_newest_of_a_long_file(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, whole: int, window: int
) -> None:
    """They are the same, however much of the file is read for them."""
    monkeypatch.setattr(browse, "WHOLE", whole)
    monkeypatch.setattr(glance, "WINDOW", window)
    found = browser(talk)
    every = repr(found.summaries(found.find()))  # of a cost that is not known, too
    for count in (1, 3, 6, 10):
        total, lines = Browser(lambda: talk.file).newest(count)
        assert total == 6
        assert len(lines) == min(count, 6)
        assert every.startswith(repr(lines)[:-1])
    talk.said("One more", "Yes.")
    assert [line.asked for line in found.newest(2)[1]] == ["One more", lines[0].asked]
    talk.file.path.unlink()
    assert found.newest(2) == (0, [])


def test_of_a_long_file_only_the_newest_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is damaged is named where it is one of them."""
    monkeypatch.setattr(browse, "WHOLE", 0)
    talk = Talk()
    talk.said("One")
    talk.said("Two")
    path = talk.file.path
    path.write_bytes(path.read_bytes().replace(b'"kind"', b'"kind', 1))
    found = Browser(lambda: Talk(path).file)
    assert [line.asked for line in found.newest(1)[1]] == ["Two"]
    with pytest.raises(DialogueDamaged, match="line 2"):
        found.newest(2)


def test_what_is_added_is_seen(talk: Talk) -> None:
    """A file that has grown is read on, one that was laid out anew from its beginning."""
    found = browser(talk)
    talk.said("One more", "Yes.")
    assert found.refresh() == 7
    assert asked(found)[0] == "One more"
    talk.change(lambda text: text.replace("Alone", "Lonely"))
    assert found.refresh() == 7
    assert "Lonely" in asked(found)
    talk.file.path.unlink()
    assert found.refresh() == 0
    assert found.find() == []


def test_choices_are_what_there_is(talk: Talk) -> None:
    """Nothing can be chosen that no record has."""
    kinds, conversations, models = browser(talk).choices()
    assert kinds == ["ask"]
    assert conversations == ["main", "french", ""]
    assert models == ["gpt-4o", "mistral"]


def test_searching_stops_when_told(talk: Talk) -> None:
    """A long search is given up at once."""
    stop = threading.Event()
    stop.set()
    assert browser(talk).find(Pattern(text="e"), stop) == []
    assert Browser(lambda: talk.file).refresh(stop) == 0


def test_lineage(talk: Talk) -> None:
    """A record's turns before and after it, and the other answers to its request."""
    found = browser(talk)
    newest, *_, wind, first = map(found.exchange, found.find())
    assert [item.id for item in found.lineage(wind).before] == [first.id]
    assert [item.id for item in found.lineage(first).after] == [wind.id]
    assert [item.id for item in found.lineage(newest).again] == [first.id]
    assert not found.lineage(wind).missing
    assert found.row_of(wind.id) == 1


def test_a_chain_that_is_not_whole_says_so() -> None:
    """The turn before is not in the file."""
    talk = Talk()
    talk.said("Second", after="0" * 64)
    found = browser(talk)
    assert found.lineage(found.exchange(0)).missing


def test_as_sent(talk: Talk) -> None:
    """The body has the system instruction, the turns before, the parameters really sent."""
    found = browser(talk)
    wind = found.exchange(1)
    body = as_sent(wind, found.lineage(wind).before)
    assert body["model"] == "gpt-4o"
    assert [(one["role"], one["content"]) for one in body["messages"]] == [
        ("user", "Where does the tide come from?"),
        ("assistant", "The moon."),
        ("user", "And the wind?"),
    ]
    short = as_sent(
        talk.said("Short", after=wind, request={"max_history": 1, "parameters": {"seed": 1}}),
        found.lineage(wind).before,
    )
    assert len(short["messages"]) == 3


def test_parts_that_are_not_text() -> None:
    """Images of a message, in order."""
    content = [{"type": "text", "text": "x"}, {"type": "image_url", "sha256": "ab"}]
    assert parts(({"role": "user", "content": content},)) == [content[1]]


def test_escaped_lines_are_searched_too() -> None:
    """A tool that wrote the line with escapes hides nothing from a search."""
    talk = Talk()
    talk.said("Ährenlese", "Ja.")
    talk.change(lambda text: text.replace("Ä", "\\u00c4"))
    assert asked(browser(talk), Pattern(text="ähren")) == ["Ährenlese"]


def test_hostile_texts_are_found_as_they_are() -> None:
    """Whatever a text holds it is looked for as text."""
    found = browser(hostile())
    for text in HOSTILE:
        shown = text.replace("\ud800", "\\ud800")
        if text == shown:
            assert text in asked(found, Pattern(text=text))


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    """The line that cannot be read, with the command that mends it."""
    talk = Talk()
    talk.said("One")
    talk.said("Two")
    path = talk.file.path
    path.write_bytes(path.read_bytes().replace(b'"kind"', b'"kind', 1))
    with pytest.raises(DialogueDamaged, match=r"line 2.*\n.*repair"):
        Browser(lambda: Talk(path).file).refresh()


def test_verify_runs_the_notebook_beside_the_file(talk: Talk) -> None:
    """Without one, that is said."""
    from openai_magics.errors import NotebookNotFound

    with pytest.raises(NotebookNotFound, match=r"talk\.ipynb"):
        talk.dialogue.verify()
