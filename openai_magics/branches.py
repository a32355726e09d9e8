"""Where a conversation branches off: a turn by its number, or a record by its id.

``3`` is the third turn of the conversation that is current (`Session.thread`), ``draft:3``
that of another one. All turns of a conversation count, in the order of their cells, also
those that it went back behind: a number keeps its meaning when a cell runs again. A record's
id, or its beginning, names any turn of this run or of the dialogue file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from openai_magics.chains import Records
from openai_magics.conversation import Conversation, Place, Turn, path
from openai_magics.errors import OptionError, counted, nearest
from openai_magics.exchange import Exchange
from openai_magics.rounds.steps import follows_up

__all__ = ["Branch", "base", "parse"]

NUMBER = re.compile(r"\d{1,6}")
IDENTITY = re.compile(r"[0-9a-f]{8,64}")
SHOWN = 40
"""Characters of a prompt that name its turn in an error."""


@dataclass(frozen=True)
class Branch:
    """A turn by its number from 1 in a conversation, or (number 0) by its record's id."""

    conversation: str
    number: int = 0
    record: str = ""


def parse(typed: int | str, thread: str) -> Branch:
    """Return what was typed as a branch; *thread* is the conversation that a number is of.

    Raises
    ------
    OptionError
        It is neither a number nor the id of a record.
    """
    text = str(typed).strip()
    name, colon, number = text.rpartition(":")
    if NUMBER.fullmatch(number) and int(number) and (name or not colon):
        return Branch(name or thread, int(number))
    if IDENTITY.fullmatch(text):
        return Branch(thread, record=text)
    raise OptionError(
        f"--branch-from {text!r} names no turn.",
        "Give a turn's number from 1 (3), with its conversation (draft:3), or a record's id (at "
        "least 8 characters of it; %dialogue shows them).",
    )


def base(
    branch: Branch,
    conversations: Mapping[str, Conversation],
    place: Place,
    exchanges: Iterable[Exchange],
) -> tuple[Turn, ...]:
    """Return the turns that lead to where a branch begins, that turn among them.

    Parameters
    ----------
    branch : Branch
    conversations : mapping
        Those of this run.
    place : Place
        Where the ask comes from: its own turns do not count.
    exchanges : iterable of Exchange
        The dialogue file, which is read only where this run has no such record.

    Raises
    ------
    OptionError
        There is no such turn or conversation, or several records begin so.
    """
    if branch.record:
        return _of_record(branch.record, conversations, exchanges)
    talk = conversations.get(branch.conversation)
    asked = talk.asked_before(place) if talk is not None else []
    if talk is None or not asked:
        known = [name for name, held in conversations.items() if held.asked]
        raise OptionError(
            f"The conversation {branch.conversation!r}{nearest(branch.conversation, known)} has "
            "no turn in this run yet.",
            f"Conversations: {', '.join(known)}." if known else "Ask something first.",
        )
    begins = [n for n, turn in enumerate(asked) if not turn.follows]
    if branch.number > len(begins):
        turns = counted(len(begins), "turn")
        raise OptionError(
            f"There is no turn {branch.number}: {branch.conversation!r} has {turns} before this one.",
            "\n".join(f"  {n} {said(asked[at])}" for n, at in enumerate(begins, 1)),
        )
    ends = [*begins[1:], len(asked)]  # a turn, and the exchanges that go on with it
    return tuple(path(asked[: ends[branch.number - 1]]))


def said(turn: Turn) -> str:
    """Return the beginning of what was asked in a turn, on one line."""
    content = turn.messages[-1].get("content") if turn.messages else ""
    text = " ".join(str(content).split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _of_record(
    record: str, conversations: Mapping[str, Conversation], exchanges: Iterable[Exchange]
) -> tuple[Turn, ...]:
    found = dict(_of_run(record, conversations))
    if not found:
        records = Records(exchanges)
        for item in records.answers(record):
            chain = records.upto(item).turns
            found[item.id] = tuple(_turn(turn.exchange) for turn in chain)
    if not found:
        raise OptionError(
            f"No answer is recorded under the id {record}.",
            "See %dialogue --all for the ids; what failed or was cut off is no turn.",
        )
    if len(found) > 1:
        raise OptionError(f"{len(found)} records begin with {record}.", "Give more of the id.")
    return next(iter(found.values()))


def _of_run(
    record: str, conversations: Mapping[str, Conversation]
) -> Iterator[tuple[str, tuple[Turn, ...]]]:
    for talk in conversations.values():
        for n, turn in enumerate(talk.asked, 1):
            if turn.reply.id.startswith(record):
                yield turn.reply.id, tuple(path(talk.asked[:n]))


def _turn(item: Exchange) -> Turn:
    assert item.answer is not None
    follows = follows_up(item.request)
    return Turn(Place(None, "recorded"), item.request.messages, item.answer, follows=follows)
