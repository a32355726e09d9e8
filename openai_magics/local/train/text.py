"""From chat messages to tokens, by the model's own template; only answers are learned from.

The template writes a conversation as one text. Where in it an answer begins and ends is found
by writing the conversation up to the answer, and with it: the one has to begin with the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from openai_magics.local.train.runner import TrainingFailed

__all__ = ["IGNORED", "Encoded", "Encoder"]

IGNORED = -100
"""The label of a token that nothing is learned from, as torch's losses have it."""


@dataclass(frozen=True)
class Encoded:
    """Token ids, and for each the id to learn or `IGNORED`."""

    ids: list[int]
    labels: list[int]

    @property
    def learned(self) -> int:
        """How many tokens something is learned from."""
        return sum(label != IGNORED for label in self.labels[1:])


class Encoder:
    """Encodes conversations for a tokenizer.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerFast
    longest : int
        Tokens an example may have; the rest of it is cut off and counted in ``cut``.
    """

    def __init__(self, tokenizer: Any, longest: int) -> None:
        self.tokenizer = tokenizer
        self.longest = longest
        self.cut = 0
        if not tokenizer.chat_template:
            raise TrainingFailed(
                "no_chat_template",
                "The model has no chat template: it cannot tell who says what in a conversation. "
                "Take the instruction-tuned version of it.",
                "model",
            )

    def conversation(self, messages: list[dict[str, Any]]) -> Encoded:
        """Return a conversation, learned from in each answer whose weight is not 0.

        Raises
        ------
        TrainingFailed
            The template writes an answer otherwise once it is followed by more.
        """
        plain = [{"role": _role(m), "content": m["content"]} for m in messages]
        text = self._written(plain)
        spans = []
        for place, message in enumerate(messages):
            if message["role"] != "assistant" or message.get("weight") == 0:
                continue
            before = self._written(plain[:place], asks=True)
            after = self._written(plain[: place + 1])
            if not text.startswith(after) or not after.startswith(before):
                raise TrainingFailed(
                    "unsupported_template",
                    "The model's chat template rewrites what was said before, so where an answer "
                    "begins in it cannot be told.",
                    "model",
                )
            spans.append((len(before), len(after)))
        return self._encoded(text, spans)

    def answer(self, messages: list[dict[str, Any]], answer: str) -> Encoded:
        """Return a conversation with *answer* at its end, learned from in that answer alone."""
        others = [{**message, "weight": 0} for message in messages]
        return self.conversation([*others, {"role": "assistant", "content": answer}])

    def prompt(self, messages: list[dict[str, Any]]) -> list[int]:
        """Return the tokens after which the model answers."""
        plain = [{"role": _role(m), "content": m["content"]} for m in messages]
        text = self._written(plain, asks=True)
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _written(self, messages: list[dict[str, Any]], *, asks: bool = False) -> str:
        try:
            text: str = self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=asks
            )
        except Exception as error:  # what a template raises is its own
            raise TrainingFailed(
                "unsupported_template",
                f"The model's chat template takes no such conversation: {error}",
                "training_file",
            ) from error
        return text

    def _encoded(self, text: str, spans: list[tuple[int, int]]) -> Encoded:
        found = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids = found["input_ids"]
        labels = [
            number if any(start <= begin < end for start, end in spans) else IGNORED
            for number, (begin, _) in zip(ids, found["offset_mapping"], strict=True)
        ]
        if len(ids) > self.longest:
            self.cut += 1
        return Encoded(ids[: self.longest], labels[: self.longest])


def _role(message: dict[str, Any]) -> str:
    return "system" if message["role"] == "developer" else str(message["role"])
