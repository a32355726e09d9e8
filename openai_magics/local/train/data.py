"""The examples of a training as tokens: one sequence each, or for ``dpo`` a pair of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from openai_magics.local.jobs.check import examples
from openai_magics.local.train.runner import TrainingFailed
from openai_magics.local.train.text import Encoded, Encoder

__all__ = ["Example", "encoded", "longest", "prompts", "sequences"]

Example = tuple[Encoded, ...]
OUTPUTS = ("preferred_output", "non_preferred_output")


def encoded(path: Path, method: str, encoder: Encoder) -> list[Example]:
    """Return the examples of a file.

    Raises
    ------
    TrainingFailed
        Nothing can be learned from any of them.
    """
    found: list[Example] = []
    for each in examples(path, method):
        if method == "supervised":
            found.append((encoder.conversation(each["messages"]),))
        else:
            asked = each["input"]["messages"]
            answers = [each[name][0]["content"] for name in OUTPUTS]
            found.append(tuple(encoder.answer(asked, answer) for answer in answers))
    if not any(sequence.learned for sequence in sequences(found)):
        text = "Nothing can be learned: no answer is left within the model's limit of tokens."
        raise TrainingFailed("nothing_to_learn", text, "training_file")
    return found


def sequences(data: Iterable[Example]) -> Iterator[Encoded]:
    """Yield the sequences of examples, one after the other."""
    for example in data:
        yield from example


def longest(data: Iterable[Example]) -> int:
    """Return how many tokens the longest sequence has."""
    return max(len(sequence.ids) for sequence in sequences(data))


def prompts(path: Path, method: str, count: int) -> list[list[dict[str, Any]]]:
    """Return the first *count* conversations, no two alike, up to where an answer is asked for."""
    found: list[list[dict[str, Any]]] = []
    for each in examples(path, method):
        asked = each["input"]["messages"] if method == "dpo" else _asked(each["messages"])
        if asked and asked not in found:
            found.append(asked)
        if len(found) == count:
            break
    return found


def _asked(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what comes before the first answer."""
    first = next(place for place, each in enumerate(messages) if each["role"] == "assistant")
    return messages[:first]
