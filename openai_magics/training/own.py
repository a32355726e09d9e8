"""Tokens as the very model counts them that will be trained: with its template and vocabulary."""

from __future__ import annotations

import json
from collections import Counter as Counts
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from openai_magics.training.lengths import Lengths
from openai_magics.training.numbered import numbered
from openai_magics.training.problems import Problem, Report
from openai_magics.training.scan import too_long
from openai_magics.training.sources import Source

__all__ = ["Counter"]

COUNTED = 2_000
"""Examples that are counted; of more, the rest is told from their bytes."""
OUTPUTS = ("preferred_output", "non_preferred_output")


@dataclass(frozen=True)
class Counter:
    """Counts tokens for a model.

    Attributes
    ----------
    count : callable
        Gives the tokens of a conversation (a list of messages); ``None`` where the model's
        template does not take it.
    by : str
        Who counts, in words.
    most : int
        Tokens of a conversation that are trained on; the rest is cut off.
    """

    count: Callable[[list[dict[str, Any]]], int | None]
    by: str
    most: int

    def again(self, source: Source, method: str, held: Lengths, report: Report) -> Lengths:
        """Return the lengths of a source with tokens as the model counts them.

        What is too long for it goes to *report*. Lines that no training takes are left out.
        """
        spread: Counts[int] = Counts()
        tokens = longest = examples = 0
        seen = left = 0
        for block, lines in numbered(source):
            for at, line in lines:
                if examples == COUNTED:
                    left += len(line)
                    continue
                sizes = [self.count(each) for each in _conversations(line, method)]
                if not sizes or None in sizes:
                    continue
                whole = [size for size in sizes if size is not None]
                if max(whole) > self.most:
                    report.add([self._too_long(max(whole))], at, block.file)
                size = sum(min(size, self.most) for size in whole)
                # A pair of preferences is two conversations, and each has to fit.
                spread[min(max(whole), self.most).bit_length()] += 1
                longest = max(longest, *whole)
                tokens, seen, examples = tokens + size, seen + len(line), examples + 1
        if left:
            tokens += round(tokens * left / seen)
        return replace(
            held, counted=not left, by=self.by, tokens=tokens, longest=longest, spread=spread
        )

    def _too_long(self, size: int) -> Problem:
        return too_long(size, self.most)


def _conversations(line: bytes, method: str) -> list[list[dict[str, Any]]]:
    """Return the conversations that are trained on for a line; none where it is no example."""
    try:
        example = json.loads(line)
        if method != "dpo":
            return [_plain(example["messages"])]
        asked = _plain(example["input"]["messages"])
        return [[*asked, *_plain(example[name])] for name in OUTPUTS]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def _plain(messages: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return messages of text alone, as the trainer reads them.

    Raises
    ------
    TypeError, KeyError, AttributeError, UnicodeEncodeError
        They are no such messages.
    """
    found = []
    for message in messages:
        content = message["content"]
        if isinstance(content, list):
            content = "".join(part["text"] for part in content)
        if not isinstance(content, str):
            raise TypeError
        content.encode()  # half of a character is nothing that a server counts
        role = "system" if message["role"] == "developer" else str(message["role"])
        found.append({"role": role, "content": content})
    return found
