"""English: VADER, without the work that cannot change its score."""

from __future__ import annotations

from functools import cache
from string import punctuation
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vader import SentimentIntensityAnalyzer

__all__ = ["score", "vader"]


@cache
def vader() -> SentimentIntensityAnalyzer | None:
    """Return VADER; ``None`` where it is not installed."""
    try:
        from vader import SentimentIntensityAnalyzer
    except ImportError:
        return None
    return SentimentIntensityAnalyzer()


@cache
def _plain_english() -> tuple[SentimentIntensityAnalyzer, frozenset[str], frozenset[str]]:
    """Return VADER without its phrases; the words they begin with; all words that tell something."""
    from vader import SentimentIntensityAnalyzer

    english = vader()
    assert english is not None
    openings = frozenset(phrase.split()[0] for phrase in (*english.multiword, *english.idioms))
    plain = SentimentIntensityAnalyzer(multiword={}, idioms={})
    return plain, openings, openings | frozenset(english.lexicon)


def score(sentence: str, analyzer: SentimentIntensityAnalyzer) -> float:
    """Return what VADER scores, without the work (nearly all) that cannot change it."""
    if analyzer is vader() and sentence.isascii():
        tokens = sentence.lower().split()
        words = [token.strip(punctuation) for token in tokens]
        plain, openings, telling = _plain_english()
        # A token of punctuation alone may be a smiley, or hold one.
        if all(words) and telling.isdisjoint((*tokens, *words)):
            return 0.0
        if openings.isdisjoint((*tokens, *words)):
            analyzer = plain
    score: float = analyzer.polarity_scores(sentence)["compound"]
    return score
