"""What is asked and answered in a benchmark: of the length that questions and answers have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from openai_magics.dialogue import DialogueFile
from openai_magics.exchange import Exchange, Reply, Request, Resolved

__all__ = ["MODEL", "answer", "exchange", "filled", "question"]

MODEL = "gpt-4o"
GROUP = 1000


def question(number: int) -> str:
    """Return a question that no other number has."""
    return (
        "Explain in two sentences why the tide comes twice a day, and why it comes later from day "
        f"to day. Name what would be otherwise without the moon. (number {number})"
    )


def answer(number: int) -> str:
    """Return its answer."""
    return (
        "The moon pulls the water on its own side of the earth more than the earth, and the earth "
        "more than the water beyond it, so there are **two** bulges of water, under which every "
        "coast turns once a day. The moon itself moves on along its orbit, and a place has to turn "
        "some fifty minutes more to come under it again; without it only the sun's tide would be "
        f"left, less than half as high and always at the same hours. That is answer {number}."
    )


def exchange(number: int) -> Exchange:
    """Return the record of a question that was asked outside of any conversation."""
    usage = {"prompt_tokens": 41, "completion_tokens": 96, "total_tokens": 137}
    resolved = Resolved(MODEL, "api.openai.com")
    reply = Reply(
        answer(number),
        "stop",
        model=f"{MODEL}-2024-08-06",
        response_id=f"chatcmpl-{number:029d}",
        system_fingerprint="fp_0123456789",
        usage=usage,
        resolved=resolved,
        cost=0.00106,
        sentiment="neutral",
    )
    return Exchange(
        Request(model=MODEL, messages=({"role": "user", "content": question(number)},)),
        reply,
        resolved=resolved,
        created="2026-11-23T07:12:21.123+00:00",
        duration=1.234,
    )


def filled(path: Path, count: int) -> DialogueFile:
    """Return a new dialogue file with the records 0 … *count* - 1."""
    file = DialogueFile(path, "benchmark.ipynb", fsync=False)
    for group in _groups(count):
        file.append(*map(exchange, group))
    return file


def _groups(count: int) -> Iterator[range]:
    for first in range(0, count, GROUP):
        yield range(first, min(first + GROUP, count))
