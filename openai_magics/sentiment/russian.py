"""Russian: VADER's rules over words that Russians rated."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vader import SentimentIntensityAnalyzer

__all__ = ["CYRILLIC", "NOT_RUSSIAN", "as_vader_reads", "lexicon"]

CYRILLIC = re.compile(r"[\u0400-\u052f]")
NOT_RUSSIAN = re.compile(r"[\u0400-\u052f](?<![а-яё])")

# labMT's scale is VADER's, -4 to 4, once its neutral point is taken off. That point is the
# mean of the 10,000 words, 5.36, and not 5: words are kinder than indifference on the whole
# (the paper's title), and from 5 many a plain fact is positive. A word nearer to it than the
# window says nothing. A window of 1, which is usual with labMT, takes topics for opinions: on
# 6,700 Russian posts that others labelled (RuSentiment's test set without greetings, and
# synthetic ones) 1.4 to 1.6 did best.
_NEUTRAL_HAPPINESS = 5.36
_WINDOW = 1.5
# What a negation leaves of a valence (VADER's N_SCALAR).
_NEGATED = -0.74


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_NEGATIVE_PRONOUNS = _set(
    "никто никого никому никем ничто ничего ничему ничем никакой никакая никакое никакие "
    "никаких никакого никаким никакую никогда никак нигде никуда"
)
_NEGATIONS = _NEGATIVE_PRONOUNS | _set("не ни нет без нельзя вряд едва отнюдь ничуть нисколько")
_STRONGER = _set(
    "очень весьма крайне чрезвычайно совершенно совсем абсолютно полностью невероятно удивительно "
    "особенно действительно настолько слишком безумно исключительно необыкновенно необычайно "
    "сильно гораздо намного самый самая самое самые самого самой самым самых самую так такой "
    "такая такое такие более наиболее"
)
_WEAKER = _set("немного немножко чуть слегка почти несколько довольно частично отчасти менее слабо")
# By VADER's steps (B_INCR, B_DECR).
_BOOSTERS = dict.fromkeys(_STRONGER, 0.293) | dict.fromkeys(_WEAKER, -0.293)

_RUSSIAN_WORD = re.compile(r"[а-яё]+(?:-[а-яё]+)*")
_CONTRAST = re.compile(r"\b(?:но|однако|зато)\b")
# "Нет, хорошо" answers, and "не только хорошо" adds: they do not negate.
_NO_NEGATION = re.compile(r"\bнет(?=\s*[,.!:;—–-])|\bне(?=\s+(?:только|просто)\b)")
_QUOTES_AND_DASHES = re.compile("[«»„“”—–…]")

# Words are remembered; beyond this many all are forgotten, so that memory is bounded.
_REMEMBERED = 50_000


def as_vader_reads(sentence: str) -> str:
    """A Russian sentence in the shape that VADER's rules are made for."""
    sentence = _NO_NEGATION.sub(" ", sentence.lower())
    # VADER's rule for contrast knows one word.
    sentence = _CONTRAST.sub("but", sentence)
    words = _RUSSIAN_WORD.findall(sentence)
    if "не" in words or "нет" in words:
        # Negations agree in Russian: "никому не нравится" negates once.
        sentence = _RUSSIAN_WORD.sub(
            lambda word: "" if word[0] in _NEGATIVE_PRONOUNS else word[0], sentence
        )
    # VADER strips ASCII punctuation from words, and no other.
    return _QUOTES_AND_DASHES.sub(" ", sentence)


class _Russian:
    """The Russian lexicon: valences of words, learnt as texts bring them."""

    def __init__(self, morphology: Any, shift: Callable[..., dict[str, Any]]) -> None:
        self._morphology = morphology
        self._shift = shift
        self._valences: dict[str, float] = {}
        self._analyzer = self._build()
        # Rows are judged concurrently.
        self._lock = threading.Lock()

    def knows(self, words: list[str]) -> float:
        """The share of some words that are in the dictionary of Russian."""
        return sum(bool(self._morphology.word_is_known(word)) for word in words) / len(words)

    def analyzer(self, words: Iterable[str]) -> SentimentIntensityAnalyzer:
        """VADER's rules over a lexicon that has these words."""
        with self._lock:
            if len(self._valences) > _REMEMBERED:
                self._valences.clear()
            new = {word for word in words if word not in self._valences}
            if new:
                learnt = self._learn(new)
                self._valences.update(learnt)
                if any(learnt.values()):
                    self._analyzer = self._build()
            return self._analyzer

    def _build(self) -> SentimentIntensityAnalyzer:
        from vader import SentimentIntensityAnalyzer

        # The English lexicon stays beneath, for emoji (which are scored by their names) and
        # for the English words in Russian texts.
        return SentimentIntensityAnalyzer(
            extra_lexicon={word: value for word, value in self._valences.items() if value},
            booster=_BOOSTERS,
            negations=_NEGATIONS,
        )

    def _learn(self, words: set[str]) -> dict[str, float]:
        # All in one question, for the lexicon is read anew at each.
        stems = {word[2:] for word in words if word.startswith("не") and len(word) > 5}
        families = {word: self._family(word) for word in words | stems}
        shift = self._shift(
            dict.fromkeys((form for family in families.values() for form in family), 1),
            {},
            lexicon="labMT_Russian",
            reference_value=_NEUTRAL_HAPPINESS,
        )
        rated = {entry["type"]: float(entry["s_ref_diff"]) for entry in shift["entries"]}

        def valence(word: str) -> float:
            if word in _NEGATIONS or word in _BOOSTERS or word not in families:
                return 0.0
            family = families[word]
            # The form itself where it was rated, or else what its word's forms mean together.
            values = [rated[form] for form in family[:2] if form in rated][:1] or [
                rated[form] for form in family if form in rated
            ]
            mean = sum(values) / len(values) if values else 0.0
            return mean if abs(mean) >= _WINDOW else 0.0

        learnt = {word: valence(word) for word in words}
        for word in words:
            # "недобрый" is rated by "добрый" where it says nothing itself.
            if not learnt[word] and word.startswith("не"):
                learnt[word] = _NEGATED * valence(word[2:])
        return learnt

    def _family(self, word: str) -> list[str]:
        """A form, and all forms of its word; each also as written without the letter ё."""
        forms = [word, *sorted({form.word for form in self._morphology.parse(word)[0].lexeme})]
        return [spelling for form in forms for spelling in (form, form.replace("ё", "е"))]


@cache
def lexicon() -> _Russian | None:
    """Return the Russian lexicon; ``None`` where the extra is not installed."""
    try:
        morphology = import_module("pymorphy3").MorphAnalyzer(lang="ru")
        return _Russian(morphology, import_module("wordshift").weighted_avg_shift)
    except (ImportError, ValueError):
        return None
