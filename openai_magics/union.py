"""The union of several readings of a dialogue: every record once, and which answer of a slot is its last.

Records are the same where their id and their answer are: what both sides hold is kept once
(as often as the side that holds it most often). The order is that of our file, then what
only theirs has. It is changed only where a slot was answered on both sides (the answer with
the later ``created`` comes last, and so is what a replay gives) and, as far as that allows,
so that a record comes after its parent.

Clocks decide nothing else. Where a side's clock can be seen to have run backwards, where
the times are equal or cannot be read, theirs comes after ours.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import pairwise
from typing import NamedTuple

from openai_magics.entries import READINGS, Entry

__all__ = ["Union", "union"]


@dataclass(frozen=True)
class Union:
    """The records of all readings in their order.

    ``twice`` is how many stood on both sides, ``removed`` how many were left out because one
    side had removed them, ``contested`` how many slots both sides had answered differently.
    """

    entries: tuple[Entry, ...]
    twice: int = 0
    removed: int = 0
    contested: int = 0


def union(entries: Iterable[Entry], base: Sequence[Entry] = (), ours: int = READINGS) -> Union:
    """Return the union of the readings that the entries stand in.

    Parameters
    ----------
    entries : iterable of Entry
        Our file's, then theirs; their ``sides`` are changed to those of the union.
    base : sequence of Entry
        What both sides began from: what one side has removed and the other has left as it
        was is left out.
    ours : int
        How many of the readings are of our file; used with *base* only.
    """
    given = list(entries)
    if len({entry.sides for entry in given}) < 2 and not base:
        return Union(tuple(given))
    stood = [(entry.sides, entry.created) for entry in given]
    paired = _paired(given)
    kept = list({id(entry): entry for entry in paired}.values())
    left = _without_removed(kept, base, (1 << ours) - 1)
    by_id: dict[bytes, Entry] = {}
    for entry in left:
        by_id.setdefault(entry.id, entry)
    slots = _slots(left, [Answer(*at, entry) for at, entry in zip(stood, paired, strict=True)])
    answers = {slot: _last_answer(held, by_id) for slot, held in slots.items()}
    ordered = _ordered(left, {slot: last for slot, (last, _) in answers.items()})
    contested = sum(contest for _, contest in answers.values())
    return Union(tuple(ordered), len(given) - len(kept), len(kept) - len(left), contested)


def _paired(entries: Sequence[Entry]) -> list[Entry]:
    """Return for each entry the first that is the same record in other readings, or itself."""
    held: defaultdict[bytes, list[Entry]] = defaultdict(list)
    paired = []
    for entry in entries:
        others = [item for item in held[entry.said] if not item.sides & entry.sides]
        same = next((item for item in others if item.created == entry.created), None)
        same = same or next(iter(others), None)
        if same is None:
            same = entry
            held[entry.said].append(entry)
        else:
            same.sides |= entry.sides
            moments = [item.created for item in (same, entry) if item.created is not None]
            same.created = min(moments, default=None)  # of two clocks, neither ran backwards
        paired.append(same)
    return paired


def _without_removed(kept: list[Entry], base: Iterable[Entry], mask: int) -> list[Entry]:
    """Leave out what one side holds as the base does, and the other does not."""
    before = Counter(entry.said for entry in base)
    mine = Counter(entry.said for entry in kept if entry.sides & mask)
    other = Counter(entry.said for entry in kept if entry.sides & ~mask)

    def removed(entry: Entry) -> bool:
        if entry.sides & mask and entry.sides & ~mask:
            return False
        return before[entry.said] == (mine if entry.sides & mask else other)[entry.said]

    return [entry for entry in kept if not removed(entry)]


class Answer(NamedTuple):
    """An entry as it stood in some readings, and when it was made there."""

    sides: int
    created: float | None
    entry: Entry

    @property
    def made(self) -> tuple[int, float | None]:
        """What tells that two sides have it from one another, and did not both ask."""
        return id(self.entry), self.created


def _slots(left: Iterable[Entry], answers: Iterable[Answer]) -> dict[bytes, list[Answer]]:
    """Return the answers of the slots that have several."""
    count = Counter(entry.slot for entry in left)
    alive = {id(entry) for entry in left}
    slots: defaultdict[bytes, list[Answer]] = defaultdict(list)
    for answer in answers:
        slot = answer.entry.slot
        if slot is not None and count[slot] > 1 and id(answer.entry) in alive:
            slots[slot].append(answer)
    return slots


def _last_answer(stood: Sequence[Answer], by_id: Mapping[bytes, Entry]) -> tuple[Entry, bool]:
    """Return a slot's last answer, and whether it was answered on both sides.

    A side that has gone on from the other's last answer is ahead. Where neither has, or
    each has, the clocks decide.
    """
    best: list[Answer] = []
    seen: set[tuple[int, float | None]] = set()
    contest = False
    for bit in range(max(answer.sides for answer in stood).bit_length()):
        answers = [answer for answer in stood if answer.sides >> bit & 1]
        if best and answers and answers[-1].entry is not best[-1].entry:
            ahead = best[-1].made in {answer.made for answer in answers}
            behind = answers[-1].made in seen
            contest |= ahead == behind
            if ahead > behind or (ahead == behind and not _is_later(best, answers, by_id)):
                best = answers
        seen.update(answer.made for answer in answers)
        best = best or answers
    return best[-1].entry, contest


def _is_later(ours: list[Answer], theirs: list[Answer], by_id: Mapping[bytes, Entry]) -> bool:
    """Whether our last answer is later than theirs, by clocks that did not run backwards."""
    moments: list[float] = []
    for *earlier, last in (ours, theirs):
        before = [answer.created for answer in earlier]
        if last.entry.parent and last.entry.parent in by_id:
            before.append(by_id[last.entry.parent].created)
        if last.created is None or any((moment or 0) > last.created for moment in before):
            return False
        moments.append(last.created)
    return moments[0] > moments[1]


def _ordered(entries: list[Entry], last: Mapping[bytes, Entry]) -> list[Entry]:
    """Order the entries: a slot's last answer last, and parents first as far as that allows."""
    following = _following(entries, last)
    places: dict[bytes, int] = {}
    for place, entry in enumerate(entries):
        places.setdefault(entry.id, place)
    children: defaultdict[int, list[int]] = defaultdict(list)
    free = set(range(len(entries)))  # of a parent to wait for
    for place, entry in enumerate(entries):
        parent = places.get(entry.parent) if entry.parent else None
        if parent is not None and parent != place:
            children[parent].append(place)
            free.discard(place)
    first = set(range(len(entries))).difference(following.values())  # in what is left of its slot
    ready, waiting = sorted(first & free), sorted(first)
    done: dict[int, None] = {}
    while len(done) < len(entries):
        place = heappop(ready or waiting)  # none is ready where parents go round in a circle
        if place in done:
            continue
        done[place] = None
        freed = children[place]
        free.update(freed)
        if (after := following.get(place)) is not None:
            first.add(after)
            heappush(waiting, after)
            freed = [*freed, after]
        for item in freed:
            if item in first and item in free:
                heappush(ready, item)
    return [entries[place] for place in done]


def _following(entries: list[Entry], last: Mapping[bytes, Entry]) -> dict[int, int]:
    """Return for the place of each answer that of the next answer of its slot."""
    slots: defaultdict[bytes, list[int]] = defaultdict(list)
    for place, entry in enumerate(entries):
        if entry.slot is not None and entry.slot in last:
            slots[entry.slot].append(place)
    following: dict[int, int] = {}
    for slot, held in slots.items():
        final = next(place for place in held if entries[place] is last[slot])
        held.remove(final)
        following.update(pairwise([*held, final]))
    return following
