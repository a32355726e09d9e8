"""How large a model sees an image, and what it costs in tokens.

Source: OpenAI's guide "Images and vision" (developers.openai.com/api/docs/guides/images-vision),
sections "Model sizing behavior" and "Calculating costs", as they stood in October 2026; for the
models that it names no more (gpt-5-mini, gpt-5-nano, o4-mini, gpt-4.1-nano) as of March 2026.

Some models cover an image with tiles of 512 pixels, after it was fitted into 2048 x 2048 and its
shorter side brought to 768; others with patches of 32 pixels, up to a budget at each detail. What
is larger the service would shrink itself: sending it costs time and gains nothing. A model that
the guide does not name is taken for one with tiles, so its images fit 2048 x 2048 with a shorter
side of 768.

Two things are ours. ``low`` is 512 x 512 for every model, though some would look at more: who
says ``low`` wants it cheap. ``auto`` is ``high`` for every model, though the newest would take
the image in full and charge for it: ``original`` asks for that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor, sqrt

from openai_magics.errors import OptionError, nearest

__all__ = ["DETAILS", "checked", "fitted", "tokens", "wire_detail"]

DETAILS = ("auto", "low", "high", "original")
PATCH = 32
TILE = 512


@dataclass(frozen=True)
class Limits:
    """What an image is brought down to: the longer side, the shorter, the number of patches."""

    side: int
    patches: int | None = None
    short: int | None = None

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """Return the size, in pixels, in the proportions of *width* and *height*; never larger."""
        if max(width, height) > self.side:
            width, height = _times(self.side / max(width, height), width, height)
        if self.short is not None and min(width, height) > self.short:
            width, height = _times(self.short / min(width, height), width, height)
        if self.patches is not None and _patches(width, height) > self.patches:
            factor = sqrt(PATCH**2 * self.patches / (width * height))
            across, down = width * factor / PATCH, height * factor / PATCH
            factor *= min(floor(across) / across, floor(down) / down)
            width, height = _times(factor, width, height)
        return width, height


def _times(factor: float, width: int, height: int) -> tuple[int, int]:
    # A hair more: 2048 / 3000 * 3000 is not always 2048.
    return tuple(max(1, floor(side * factor + 1e-6)) for side in (width, height))  # type: ignore[return-value]


def _patches(width: int, height: int) -> int:
    return ceil(width / PATCH) * ceil(height / PATCH)


@dataclass(frozen=True)
class Family:
    """Models that treat images alike.

    ``low``, ``high`` and ``original`` are what the service brings an image down to, ``auto``
    which of them it takes for ``auto``. A patch costs ``hundredths`` of a token; a tile
    ``tile`` tokens, and an image ``base`` more. All three ``None``: not published.
    """

    high: Limits
    low: Limits = Limits(512)
    original: Limits | None = None
    auto: str = "high"
    hundredths: int | None = None
    base: int | None = None
    tile: int | None = None

    def limits(self, detail: str) -> Limits:
        """Return what the service brings an image down to at *detail*."""
        chosen = self.auto if detail == "auto" else detail
        found: Limits | None = getattr(self, chosen)
        return found or self.high


TILES = Limits(2048, short=768)
SMALL = Limits(2048, 1536)
MIDDLE = Limits(2048, 6144)
LARGE = Limits(2048, 2500)
HUGE = Limits(6000, 10_000)
WHOLE = Limits(65_535, 30_000)
"""What the API takes at all: it refuses an image of more patches."""

FAMILIES: Mapping[str, Family] = {
    r"gpt-6-astra": Family(Limits(65_535, 2500), original=WHOLE, auto="original", hundredths=120),
    r"gpt-5\.6-(sol|terra|luna)": Family(LARGE, original=WHOLE, auto="original", hundredths=120),
    r"gpt-5\.5": Family(LARGE, original=HUGE, auto="original", hundredths=120),
    r"gpt-5\.4(-mini|-nano)?": Family(LARGE, low=MIDDLE, original=HUGE, hundredths=120),
    r"gpt-5\.2": Family(MIDDLE, low=MIDDLE, hundredths=120),
    r"gpt-4\.1-mini": Family(MIDDLE, low=MIDDLE, hundredths=162),
    r"gpt-5-mini": Family(SMALL, low=SMALL, hundredths=120),
    r"gpt-5-nano": Family(SMALL, low=SMALL, hundredths=150),
    r"gpt-4\.1-nano": Family(SMALL, low=SMALL, hundredths=246),
    r"o4-mini": Family(SMALL, low=SMALL, hundredths=172),
    r"gpt-5(\.1)?": Family(TILES, base=70, tile=140),
    r"gpt-4o|gpt-4\.1|gpt-4\.5(-preview)?": Family(TILES, base=85, tile=170),
    r"gpt-4o-mini": Family(TILES, base=2833, tile=5667),
    r"o1(-pro)?|o3": Family(TILES, base=75, tile=150),
    # "gpt-5.4 and future models", said the guide before it knew their names and prices.
    r"gpt-(5\.[4-9]|[6-9]|\d\d)([.-].*)?": Family(LARGE, original=HUGE, auto="original"),
}
OTHERS = Family(TILES, original=WHOLE)
NAMED = r"(?:ft:)?(?:[\w.-]+/)*(?:{})(?:-chat-latest|-latest|-\d{{4}}-\d\d-\d\d)?(?::.*)?"


@lru_cache(maxsize=64)
def _family(model: str | None) -> Family:
    for pattern, family in FAMILIES.items():
        if re.fullmatch(NAMED.format(pattern), model or ""):
            return family
    return OTHERS


def checked(detail: object) -> str:
    """Return *detail*.

    Raises
    ------
    OptionError
        It is none of `DETAILS`.
    """
    if detail not in DETAILS:
        known = ", ".join(DETAILS)
        near = nearest(str(detail).lower(), DETAILS)
        raise OptionError(f"There is no detail {detail!r}{near}.", f"Known are {known}.")
    return str(detail)


def fitted(width: int, height: int, detail: str, model: str | None = None) -> tuple[int, int]:
    """Return the size, in pixels, at which an image is sent; never a larger one.

    Parameters
    ----------
    width, height : int
        Of the image as it is, in pixels.
    detail : {"auto", "low", "high", "original"}
        ``auto`` is as ``high``.
    model : str, optional
        ``None`` and names that are not known: see the module's docstring.
    """
    if detail == "low":
        return Limits(512).fit(width, height)
    return _family(model).limits("high" if detail == "auto" else detail).fit(width, height)


def tokens(width: int, height: int, detail: str, model: str | None = None) -> int | None:
    """Return what the service counts for an image of this size, ``None`` where that is not known.

    It is the service's own rule, which brings down what is larger than the model takes at this
    *detail*; its bill may differ by one. Arguments as for `fitted`; the size is that sent.
    """
    family = _family(model)
    width, height = family.limits(detail).fit(width, height)
    if family.hundredths is not None:
        return -(-_patches(width, height) * family.hundredths // 100)
    if family.base is None or family.tile is None:
        return None
    if detail == "low":
        return family.base
    return family.base + family.tile * ceil(width / TILE) * ceil(height / TILE)


def wire_detail(detail: str, model: str | None = None) -> str:
    """Return what chat completions, which do not know ``original``, are told for *detail*.

    The newest models take the image as it is when they are told ``auto``.
    """
    if detail == "original":
        return "auto" if _family(model).auto == "original" else "high"
    return detail
