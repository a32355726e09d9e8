"""English: VADER, without the work that cannot change its score.

VADER looks up each word of a sentence, and phrases at each word; what a word of its lexicon
counts depends on the three words before it, the two after it, the first "but", capitals, and
how many exclamation and question marks there are. So it is given those words of a sentence
alone, and a sentence that has none is zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from functools import cache, lru_cache
from itertools import pairwise
from string import punctuation
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from vader import SentimentIntensityAnalyzer

__all__ = ["WORDS_ONLY", "score", "vader"]

BEFORE, AFTER = 3, 2
"""How many words before a word, and after it, can change what it counts."""

WORDS_ONLY = re.compile(r"[\x00-\x7fÀ-ÖØ-öø-ÿ‘’“”–—…]*")
"""No emoji, which VADER reads as their names. Keycaps begin with a digit, and go on beyond these."""

_LINKS = frozenset({"for", "of", "the", "to"})
"""Words in phrases of VADER none of which is made of these alone."""


class _Known(NamedTuple):
    """What VADER knows.

    ``openings`` and ``pairs`` begin its phrases, and ``plain`` has none; ``telling`` words change
    what one near them counts, ``special`` ones may count otherwise together with their neighbours.
    """

    plain: SentimentIntensityAnalyzer
    lexicon: AbstractSet[str]
    openings: AbstractSet[str]
    pairs: AbstractSet[tuple[str, str]]
    telling: AbstractSet[str]
    special: AbstractSet[str]


@cache
def vader() -> SentimentIntensityAnalyzer | None:
    """Return VADER; ``None`` where it is not installed."""
    try:
        from vader import SentimentIntensityAnalyzer
    except ImportError:
        return None
    return SentimentIntensityAnalyzer()


@cache
def _known() -> _Known:
    from vader import SentimentIntensityAnalyzer

    whole = vader()
    assert whole is not None
    phrases = [
        [word.strip(punctuation) for word in phrase.split()]
        for phrase in (*whole.multiword, *whole.idioms)
    ]
    return _Known(
        SentimentIntensityAnalyzer(multiword={}, idioms={}),
        frozenset(whole.lexicon),
        frozenset(first for first, *_ in phrases),
        frozenset((first, second) for first, second, *_ in phrases),
        frozenset({*_words(whole.booster), *whole.negations, *_words(whole.special_cases), "no"})
        - _LINKS
        | {"least"},
        frozenset({*_words(whole.booster), *_words(whole.special_cases)}),
    )


def _words(phrases: Iterable[str]) -> Iterator[str]:
    return (word for phrase in phrases for word in phrase.split())


def score(sentence: str, analyzer: SentimentIntensityAnalyzer) -> float:
    """Return what VADER scores: its compound, from -1 to 1."""
    if analyzer is vader() and WORDS_ONLY.fullmatch(sentence):
        known = _known()
        plain = sentence.replace("’", "'").replace("‘", "'")
        lowered = plain.lower().split()
        words = [token.strip(punctuation) for token in lowered]
        phrase = not known.openings.isdisjoint(words) and not known.pairs.isdisjoint(
            pairwise(words)
        )
        if not phrase:
            # A token of punctuation alone may be a smiley, or hold one.
            scored = [
                at
                for at, word in enumerate(words)
                if word in known.lexicon or lowered[at] in known.lexicon or not word
            ]
            if not scored:
                return 0.0
            tokens = plain.split()
            if len(scored) == 1 and _alone(scored[0], sentence, tokens, words):
                return _of_word(tokens[scored[0]])
            analyzer = known.plain
            sentence = _around(scored, tokens, words) or sentence
    return _compound(analyzer, sentence)


def _alone(at: int, sentence: str, tokens: list[str], words: list[str]) -> bool:
    """Whether the word at *at*, the only one that counts, counts as if it stood by itself."""
    known = _known()
    near = words[max(0, at - BEFORE) : at + AFTER + 1]
    return (
        known.telling.isdisjoint(near)
        and words[at] not in known.special
        and not tokens[at].isupper()
        and not any(word.endswith("n't") for word in near)
        and "but" not in words
        and "!" not in sentence
        and "?" not in sentence
    )


@lru_cache(maxsize=4096)
def _of_word(word: str) -> float:
    """Return what VADER scores for one word; it is remembered, for most come again and again."""
    return _compound(_known().plain, word)


def _compound(analyzer: SentimentIntensityAnalyzer, sentence: str) -> float:
    found: float = analyzer.polarity_scores(sentence)["compound"]
    return found


def _around(scored: list[int], tokens: list[str], words: list[str]) -> str:
    """Return those tokens that the score depends on; ``""`` where it may depend on all."""
    kept = {near for at in scored for near in range(at - BEFORE, at + AFTER + 1)}
    kept.update(at for at, word in enumerate(words) if word == "but")
    chosen = [token for at, token in enumerate(tokens) if at in kept]
    # Capitals count where not all words have them; "I" and "A" count nothing.
    if any(token.isupper() and len(token) > 1 for token in chosen):
        return ""
    whole, part = " ".join(tokens), " ".join(chosen)
    missing = (mark * (whole.count(mark) - part.count(mark)) for mark in "!?")
    return f"{part} {''.join(missing)}"
