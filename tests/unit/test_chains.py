"""Which records make up a conversation as it now stands."""

from __future__ import annotations

import pytest

from openai_magics.chains import BEHIND, CIRCLE, MISSING, Chain, Records
from openai_magics.errors import OptionError
from tests.unit.dialogues import Talk


def texts(chain: Chain) -> list[str]:
    """Return prompts and answers of a chain, ``prompt/answer``."""
    return [
        f"{turn.exchange.request.messages[0]['content']}/{turn.exchange.reply and turn.exchange.reply.text}"
        for turn in chain.turns
    ]


def standing(talk: Talk, conversation: str | None = None) -> list[list[str]]:
    return [texts(chain) for chain in Records(talk.file).standing(conversation)]


def test_turns_are_followed_by_their_parents() -> None:
    """A conversation is its turns in order; asks outside of any stand alone, after it."""
    talk = Talk()
    first = talk.said("one", "1")
    talk.said("alone", "0", conversation=None)
    talk.said("two", "2", after=first)
    talk.said("other", "3", conversation="draft")
    assert standing(talk) == [["one/1", "two/2"], ["other/3"], ["alone/0"]]
    assert standing(talk, "draft") == [["other/3"]]


def test_an_edited_prompt_takes_the_place_of_the_old_one() -> None:
    """A prompt that was edited, and what followed the old one, are no longer part of it."""
    talk = Talk()
    first = talk.said("one", "1")
    old = talk.said("two", "2", after=first)
    talk.said("three", "3", after=old)
    new = talk.said("two, edited", "2b", after=first)
    assert standing(talk) == [["one/1", "two, edited/2b"]]
    talk.said("three", "3b", after=new)
    assert standing(talk) == [["one/1", "two, edited/2b", "three/3b"]]


def test_new_begins_the_conversation_anew() -> None:
    """After ``--new`` the conversation is what was said since."""
    talk = Talk()
    talk.said("two", "2", after=talk.said("one", "1"))
    talk.said("fresh start", "3")
    assert standing(talk) == [["fresh start/3"]]


def test_the_last_answer_of_a_slot_counts() -> None:
    """An earlier turn that was asked anew shows its new answer, and the turns after it stay, with a note."""
    talk = Talk()
    first = talk.said("one", "1")
    talk.said("two", "2", after=first)
    talk.said("one", "1, anew")
    (chain,) = Records(talk.file).standing()
    assert texts(chain) == ["one/1, anew", "two/2"]
    assert chain.notes == (BEHIND.format(2),)


def test_the_same_answer_again_changes_nothing() -> None:
    """An earlier turn that was asked anew and answered the same breaks nothing."""
    talk = Talk()
    talk.said("two", "2", after=talk.said("one", "1"))
    talk.said("one", "1")
    (chain,) = Records(talk.file).standing()
    assert (texts(chain), chain.notes) == (["one/1", "two/2"], ())


def test_failures_and_cut_answers_are_no_turns() -> None:
    """What failed, was refused or was cut off is counted, and not part of a conversation."""
    talk = Talk()
    first = talk.said("one", "1")
    talk.said("bad", None, after=first, error={"type": "RequestRefused", "problem": "No."})
    talk.said(
        "rude", "", after=first, reply={"refusal": "I will not."}, error={"type": "ContentRefused"}
    )
    talk.said("long", "It beg", after=first, occurrence=None, reply={"finish_reason": "cut_off"})
    talk.said("slow", None, after=first, occurrence=None, error={"type": "Unreachable"})
    talk.said("two", "2", after=first)
    records = Records(talk.file)
    chains = records.standing()
    assert [texts(chain) for chain in chains] == [["one/1", "two/2"]]
    assert records.left_out(chains) == {"failed": 2, "refused": 1, "cut off": 1}


def test_everything_is_marked() -> None:
    """With all that is recorded, what does not stand says why."""
    talk = Talk()
    first = talk.said("one", "1")
    talk.said("two", "2", after=first)
    talk.said("one", "1b")
    talk.said("fresh start", "3")
    (chain,) = Records(talk.file).everything()
    assert [turn.mark for turn in chain.turns] == [
        "asked anew since",
        "no longer part of the conversation",
        "no longer part of the conversation",
        "",
    ]


def test_branches_are_every_way_the_conversation_went() -> None:
    """Each answer that none follows ends a branch, with the turns as they were then."""
    talk = Talk()
    first = talk.said("one", "1")
    talk.said("two", "2", after=first)
    talk.said("two, edited", "2b", after=first)
    talk.said("one", "1, anew")
    found = [texts(chain) for chain in Records(talk.file).branches()]
    assert found == [["one/1", "two/2"], ["one/1", "two, edited/2b"], ["one/1, anew"]]


def test_a_missing_turn_ends_the_chain_with_a_note() -> None:
    """Where the turn before is not in the file, the conversation begins after it, and says so."""
    talk = Talk()
    talk.said("two", "2", after="0" * 64)
    (chain,) = Records(talk.file).standing()
    assert (texts(chain), chain.notes) == (["two/2"], (MISSING,))


def test_a_changed_record_ends_the_chain_with_a_note() -> None:
    """An answer that was edited in the file is no longer the turn that the next one came after."""
    talk = Talk()
    talk.said("two", "2", after=talk.said("one", "1"))
    talk.change(lambda text: text.replace('"text": "1"', '"text": "9, by hand"'))
    (chain,) = Records(talk.file).standing()
    assert (texts(chain), chain.notes) == (["two/2"], (MISSING,))


def test_a_circle_in_the_file_ends_the_chain() -> None:
    """Records whose ids and parents were made a circle by hand do not hang: each is looked up by what it holds."""
    talk = Talk()
    first = talk.said("one", "1")
    second = talk.said("two", "2", after=first)
    talk.change(lambda text: text.replace('"parent": null', f'"parent": "{second.id}"'))
    (chain,) = Records(talk.file).standing()
    assert (texts(chain), chain.notes) == (["two/2"], (MISSING,))


def test_a_circle_ends_the_chain_with_a_note() -> None:
    """Turns that follow one another in a circle are each taken once."""
    talk = Talk()
    one = talk.said("one", "1", after="id of two")
    two = talk.said("two", "2", after="id of one")
    one.__dict__["id"], two.__dict__["id"] = "id of one", "id of two"
    (chain,) = Records([one, two]).standing()
    assert (texts(chain), chain.notes) == (["one/1", "two/2"], (CIRCLE,))


def test_a_conversation_renamed_in_the_notebook_keeps_its_turns() -> None:
    """A turn may follow one that was recorded under another name (the same request was replayed)."""
    talk = Talk()
    talk.said("two", "2", after=talk.said("one", "1", conversation="old"), conversation="new")
    assert standing(talk, "new") == [["one/1", "two/2"]]


def test_a_long_conversation_is_followed() -> None:
    """Ten thousand turns are no deeper than two."""
    talk = Talk()
    before, exchanges = None, []
    talk.file.append = exchanges.append  # type: ignore[method-assign]
    for number in range(10_000):
        before = talk.said(f"turn {number % 60}", str(number), after=before)
    (chain,) = Records(exchanges).standing()
    assert len(chain.turns) == 10_000


def test_what_the_session_asks_for_itself_is_not_shown() -> None:
    """Judging a sentiment and listing models are no turns."""
    talk = Talk()
    talk.said("Which?", "positive", conversation=None, request={"kind": "sentiment"})
    talk.said("", None, conversation=None, request={"kind": "models", "messages": ()})
    assert standing(talk) == []


@pytest.mark.parametrize(("wrong", "near"), [("mian", "main"), ("drfat", "draft")])
def test_an_unknown_conversation_names_the_nearest(wrong: str, near: str) -> None:
    """A conversation that is not there is an error that names the one that was meant."""
    talk = Talk()
    talk.said("one")
    talk.said("two", conversation="draft")
    with pytest.raises(OptionError, match=f"did you mean '{near}'"):
        Records(talk.file).check(wrong)
