"""How long examples are: tokens by an offline vocabulary, or estimated, and how they spread."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ESTIMATE", "VOCABULARY", "Lengths", "auto_epochs", "counter", "limit", "of_messages"]

PER_MESSAGE, PER_EXAMPLE = 3, 3
"""Tokens around each message and example, as OpenAI's cookbook counts them."""
CHARACTERS = 4
"""Characters to a token of English, roughly."""
LIMITS = (("gpt-3.5", 16_385), ("gpt-4", 65_536), ("o4", 65_536), ("local", 4_096))
"""Tokens of an example by the beginning of the model's name (OpenAI's fine-tuning guide; for
``local`` what `openai_magics.local.train.lora` takes)."""
VOCABULARY = "o200k_base, OpenAI's vocabulary"
ESTIMATE = f"{CHARACTERS} characters a token (the extra `tokens` counts them)"
DEFAULT_LIMIT = 65_536
KEPT = 1_000
BAR = 30


def counter(vocabulary: str = "o200k_base") -> Callable[[str], int] | None:
    """Return what counts the tokens of a text; ``None`` without the ``tokens`` extra."""
    try:
        import quicktok
    except ImportError:
        return None
    count: Callable[[str], int] = quicktok.get_encoding(vocabulary).count
    return count


def limit(model: str | None) -> int:
    """Return how many tokens an example may have: more are cut off in training."""
    name = (model or "").removeprefix("ft:")
    return next((size for begin, size in LIMITS if name.startswith(begin)), DEFAULT_LIMIT)


def auto_epochs(examples: int) -> int:
    """Return the epochs that ``auto`` comes to, as OpenAI's cookbook estimates them.

    Three, but more for few examples (100 are seen at least, in up to 25 epochs) and fewer for
    many (25,000 at most): "Data preparation and analysis for chat model fine-tuning".
    """
    if not examples:
        return 0
    if examples * 3 < 100:
        return min(25, 100 // examples)
    if examples * 3 > 25_000:
        return max(1, 25_000 // examples)
    return 3


def of_messages(messages: Any, measure: Callable[[str], int]) -> int:
    """Return what *measure* makes of all the text in some messages, whatever their shape."""
    size = 0
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, Mapping):
            continue
        content = message.get("content")
        for part in content if isinstance(content, list) else [content]:
            text = part.get("text") if isinstance(part, Mapping) else part
            if isinstance(text, str):
                size += measure(text.encode("utf-8", "replace").decode())
        if calls := message.get("tool_calls"):
            size += measure(json.dumps(calls))
    return size


@dataclass
class Lengths:
    """The lengths of examples: how many, how long in all and at most, and how they spread.

    ``spread`` counts examples by the number of binary digits of their length; ``by`` says in
    words what counts as a token.
    """

    counted: bool
    by: str = ""
    examples: int = 0
    messages: int = 0
    tokens: int = 0
    longest: int = 0
    spread: Counter[int] = field(default_factory=Counter)

    def add(self, sizes: Any, messages: int) -> None:
        """Take examples: their tokens, and how many messages they have together."""
        import numpy as np

        if isinstance(sizes, list):
            self.spread.update(size.bit_length() for size in sizes)
        else:  # the exponent of a float is the number of its integer's digits
            digits = np.bincount(np.frexp(sizes)[1])
            for n in np.flatnonzero(digits):
                self.spread[int(n)] += int(digits[n])
        self.examples += len(sizes)
        self.messages += messages
        self.tokens += int(sum(sizes) if isinstance(sizes, list) else sizes.sum())
        self.longest = max(
            self.longest, int(max(sizes) if isinstance(sizes, list) else sizes.max())
        )

    def bars(self) -> list[tuple[str, str]]:
        """Return the histogram: rows of a range of tokens and a bar with its count."""
        if not self.spread:
            return []
        most = max(self.spread.values())
        rows = []
        for digits in range(min(self.spread), max(self.spread) + 1):
            count = self.spread[digits]
            low, high = (2 ** (digits - 1), 2**digits - 1) if digits else (0, 0)
            width = max(round(BAR * count / most), 1 if count else 0)
            rows.append((f"{low:,}-{high:,}", f"{'█' * width} {count:,}".strip()))
        return rows
