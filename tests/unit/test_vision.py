"""Sizes and tokens, by the examples and tables of OpenAI's guide."""

from __future__ import annotations

import pytest

from openai_magics.errors import OptionError
from openai_magics.images.vision import DETAILS, checked, fitted, tokens, wire_detail


@pytest.mark.parametrize(
    ("model", "detail", "size", "count"),
    [
        # "Image token calculation examples" for gpt-6-astra with high detail.
        ("gpt-6-astra", "high", (1024, 1024), 1229),
        ("gpt-6-astra", "high", (2048, 2048), 3000),
        ("gpt-6-astra", "high", (4096, 512), 2458),
        # The examples of March 2026 for a budget of 1,536 patches, times 1.72.
        ("o4-mini", "high", (1024, 1024), 1762),
        ("o4-mini", "high", (1800, 2400), 2498),
        # Tiles: the examples of 2024 for gpt-4o.
        ("gpt-4o", "high", (1024, 1024), 765),
        ("gpt-4o", "high", (2048, 4096), 1105),
        ("gpt-4o", "low", (4096, 8192), 85),
        ("gpt-4o", "auto", (512, 512), 255),
        ("gpt-4o-mini", "high", (512, 512), 8500),
        ("gpt-4o-mini", "low", (512, 512), 2833),
        ("gpt-5.1", "high", (1024, 1024), 630),
        ("o3", "high", (1024, 1024), 675),
        ("gpt-5.6-luna", "auto", (3200, 960), 3600),
        ("gpt-5.6-luna", "low", (640, 480), 231),
        ("gpt-5.5", "auto", (6000, 6000), 12000),
        ("gpt-5.4", "auto", (6000, 6000), 3000),
        # "low uses a 2048-pixel maximum dimension and a 6,144-patch budget"
        ("gpt-5.4-nano", "low", (2048, 2048), 4916),
        ("gpt-4.1-mini", "high", (1024, 1024), 1659),
    ],
)
def test_tokens_are_those_of_the_guide(
    model: str, detail: str, size: tuple[int, int], count: int
) -> None:
    """What the guide computes is what is computed here."""
    assert tokens(*size, detail, model) == count


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("gpt-4o-2024-08-06", True),
        ("ft:gpt-4o-2024-08-06:acme::x1", True),
        ("openai/gpt-4o", True),
        ("chatgpt-4o-latest", False),
        ("gpt-4o-audio-preview", False),
        ("gpt-6-luna", False),
        ("gpt-6.1-sol", False),
        ("llava", False),
        ("local", False),
        (None, False),
    ],
)
def test_a_model_is_known_by_its_whole_name(name: str | None, known: bool) -> None:
    """Dates, tunings and routers' prefixes do not hide it; what is not published is not guessed."""
    assert (tokens(100, 100, "high", name) is not None) == known


@pytest.mark.parametrize("model", [None, "gpt-4o", "gpt-5.5", "gpt-6-luna", "o4-mini", "llava"])
@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize(
    "size", [(1, 1), (33, 31), (5000, 3000), (300, 9000), (65_000, 40), (70_000, 70_000)]
)
def test_a_size_that_fits_is_kept_and_none_grows(
    model: str | None, detail: str, size: tuple[int, int]
) -> None:
    """Fitting again changes nothing, so the service will not scale what was scaled for it."""
    width, height = fitted(*size, detail, model)
    assert 1 <= width <= size[0]
    assert 1 <= height <= size[1]
    assert fitted(width, height, detail, model) == (width, height)


@pytest.mark.parametrize(
    ("model", "detail", "sent"),
    [
        ("gpt-6-astra", "high", (1824, 1368)),
        ("gpt-6-luna", "high", (1824, 1368)),
        ("gpt-6-luna", "original", (3669, 2752)),
        ("gpt-6-astra", "original", (4000, 3000)),
        ("gpt-6-astra", "auto", (1824, 1368)),
        ("o4-mini", "high", (1408, 1056)),
        ("gpt-5.2", "original", (2048, 1536)),
        ("gpt-4o", "original", (1024, 768)),
        ("llava", "original", (4000, 3000)),
        ("llava", "auto", (1024, 768)),
    ],
)
def test_twelve_megapixels_are_sent_as_each_model_uses_them(
    model: str, detail: str, sent: tuple[int, int]
) -> None:
    """Patches, tiles, and those the guide does not name."""
    assert fitted(4000, 3000, detail, model) == sent


def test_more_than_the_api_takes_is_brought_down() -> None:
    """It refuses more than 30,000 patches; 48 megapixels have more."""
    width, height = fitted(8000, 6000, "original", "gpt-6-astra")
    assert -(-width // 32) * -(-height // 32) <= 30_000
    assert width > 6000


def test_original_is_said_in_a_word_that_chat_completions_know() -> None:
    """``auto`` where it means the same to the model, else ``high``."""
    assert [wire_detail("original", name) for name in ("gpt-6-astra", "gpt-5.4", "llava")] == [
        *("auto", "high", "high")
    ]
    assert [wire_detail(name) for name in DETAILS] == ["auto", "low", "high", "high"]


def test_a_detail_is_one_of_four() -> None:
    """The nearest is named."""
    assert [checked(detail) for detail in DETAILS] == list(DETAILS)
    with pytest.raises(OptionError, match=r"no detail 'orignal' \(did you mean 'original'\?\)"):
        checked("orignal")
