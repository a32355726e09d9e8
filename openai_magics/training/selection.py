"""The dialogue itself as training data: conversations, or the turns that were chosen of them.

Where turns are chosen (by cell or sentiment), an example is a conversation up to the last of
them, and the answers that were not chosen have the weight 0: they are context, not to be
learned (``weight`` of ``FineTuneChatCompletionRequestAssistantMessage``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from openai_magics import chat_lines
from openai_magics.chains import Chain, Records
from openai_magics.errors import OptionError
from openai_magics.exchange import Exchange

__all__ = ["Chosen", "Selection", "chosen"]


@dataclass(frozen=True)
class Selection:
    """Which turns of the dialogue are to be learned; ``None`` or empty means any.

    Attributes
    ----------
    conversation : str or None
    cells : tuple of str
        Ids of cells.
    sentiments : tuple of str
        ``positive``, ``negative``, ``neutral``: of the answer.
    """

    conversation: str | None = None
    cells: tuple[str, ...] = ()
    sentiments: tuple[str, ...] = ()

    @property
    def narrow(self) -> bool:
        """Whether turns are chosen within a conversation."""
        return bool(self.cells or self.sentiments)

    def takes(self, item: Exchange) -> bool:
        """Whether a turn is chosen."""
        sentiment = item.reply.sentiment if item.reply else None
        return (not self.cells or item.cell in self.cells) and (
            not self.sentiments or sentiment in self.sentiments
        )


@dataclass(frozen=True)
class Chosen:
    """Examples, the cells and records they come from, and what is to be said of the rest."""

    examples: tuple[dict[str, Any], ...]
    cells: tuple[str, ...]
    records: tuple[str, ...]
    left_out: dict[str, int]


def chosen(exchanges: Iterable[Exchange], wanted: Selection) -> Chosen:
    """Return the examples that a dialogue gives.

    Raises
    ------
    OptionError
        There is no such conversation, or no whole answer to learn.
    """
    records = Records(exchanges)
    records.check(wanted.conversation)
    chains = records.standing(wanted.conversation)
    if wanted.narrow:
        held = [turn.exchange for chain in chains for turn in chain.turns]
        if held and not any(map(wanted.takes, held)):
            raise _none_fits(held, wanted)
        chains = [cut for chain in chains if (cut := _cut(chain, wanted)) is not None]
    examples: list[dict[str, Any]] = []
    used: list[Exchange] = []
    left: dict[str, int] = {}
    for chain in chains:
        found, missing = chat_lines.examples([chain])
        for reason, count in missing.items():
            left[reason] = left.get(reason, 0) + count
        for example in found:
            turns = [turn.exchange for turn in chain.turns]
            learned = list(_weighed(example, turns, wanted))
            if learned:
                examples.append(example)
                used += learned
    if not examples:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left.items())
        raise OptionError(
            "The dialogue holds no whole answer to train on" + (" that fits." if chains else "."),
            f"Left out: {reasons}."
            if reasons
            else "See what this run has said: %dialogue. To take earlier runs as well: --all.",
        )
    cells = tuple(dict.fromkeys(item.cell for item in used if item.cell))
    return Chosen(tuple(examples), cells, tuple(item.id for item in used), left)


def _none_fits(held: Sequence[Exchange], wanted: Selection) -> OptionError:
    """Return the error for a choice that no answer fits, with what there is to choose from."""
    said = [f"the cell {name!r}" for name in wanted.cells]
    said += [f"the sentiment {name!r}" for name in wanted.sentiments]
    cells = dict.fromkeys(item.cell for item in held if item.cell)
    kinds = Counter(item.reply.sentiment for item in held if item.reply and item.reply.sentiment)
    there = []
    if wanted.cells:
        there.append(f"Cells with answers: {', '.join(cells) or 'none is known by its id'}.")
    if wanted.sentiments:
        counted = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
        there.append(f"Sentiments of answers: {counted or 'none was judged'}.")
    return OptionError(f"No answer of the dialogue has {' and '.join(said)}.", " ".join(there))


def _cut(chain: Chain, wanted: Selection) -> Chain | None:
    """Return a conversation up to the last turn that is chosen; ``None`` where none is."""
    held = [n for n, turn in enumerate(chain.turns) if wanted.takes(turn.exchange)]
    return replace(chain, turns=chain.turns[: held[-1] + 1]) if held else None


def _weighed(
    example: dict[str, Any], turns: Sequence[Exchange], wanted: Selection
) -> Iterator[Exchange]:
    """Yield the turns that an example learns; give the others' answers the weight 0."""
    answers = [message for message in example["messages"] if message["role"] == "assistant"]
    # The last answer of a turn is the model's; those before it were part of what was asked.
    at = 0
    for turn in turns:
        own = sum(message.get("role") == "assistant" for message in turn.request.messages)
        if at + own >= len(answers):
            return
        for n in range(at, at + own):
            answers[n]["weight"] = 0
        answer = answers[at + own]
        at += own + 1
        if wanted.takes(turn):
            yield turn
        else:
            answer["weight"] = 0
