"""Whether two pictures look alike: a perceptual hash of 64 bits.

The algorithm is the pHash of C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash
Functions" (thesis, Hagenberg 2010, section 3.2.1), in the variant of N. Krawetz, "Looks Like It"
(hackerfactor.com, 2011): grey, 32 x 32, the type-II cosine transform, its 8 x 8 lowest
frequencies, each bit whether one lies above their median. The constant term, which is only the
brightness, does not count for the median.

**Alike is not the same.** A plot with one bar half as high, or with the axis shifted by three,
mostly has the very same hash (measured: 6 of 30 changes of data at distance 0, 14 at 4 or less;
the same plots drawn by matplotlib 3.6 and 3.11 are up to 4 apart). So `alike` asks for the same
content, too, as `openai_magics.images.drawn` tells it, and without it says no.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import cos, pi
from operator import add, mul, sub
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["NEAR", "alike", "distance", "phash"]

SIDE = 32
HALF = SIDE // 2
KEPT = 8
NEAR = 8
"""Hashes that are no further apart, in bits, are of pictures that look alike."""


def phash(picture: Image) -> str:
    """Return the hash, 16 hexadecimal digits, of a picture of mode ``L`` or ``RGB``."""
    from PIL.Image import Resampling

    grey = picture.convert("L").resize((SIDE, SIDE), Resampling.BOX).tobytes()
    # Rounded: an even picture has noise of 1e-12 where it should have zeros.
    terms = [round(term) for term in _lowest(grey)]
    median = sorted(terms[1:])[(len(terms) - 1) // 2]
    bits = "".join("1" if term > median else "0" for term in terms)
    return f"{int(bits, 2):016x}"


def _lowest(grey: bytes) -> list[float]:
    """Return the 8 x 8 lowest terms of the transform of 32 x 32 greys, row by row."""
    if (numpy := sys.modules.get("numpy")) is not None:  # not imported for this: ten times as fast
        waves = _whole_waves()
        square = numpy.frombuffer(grey, numpy.uint8).reshape(SIDE, SIDE).astype(float)
        terms: list[float] = (waves @ square @ waves.T).ravel().tolist()
        return terms
    across = [_low(grey[row : row + SIDE]) for row in range(0, SIDE * SIDE, SIDE)]
    downwards = [_low(column) for column in zip(*across, strict=True)]
    return [term for row in zip(*downwards, strict=True) for term in row]


def _low(values: Sequence[float]) -> list[float]:
    """Return the lowest terms of the cosine transform of 32 values.

    Each wave is the same, or the opposite, from either end: 16 products make a term.
    """
    ends = values[HALF:][::-1]
    folded = list(map(add, values, ends)), list(map(sub, values, ends))
    return [sum(map(mul, wave, folded[n % 2])) for n, wave in enumerate(_waves())]


@lru_cache(maxsize=1)
def _waves() -> list[list[float]]:
    return [
        [cos(pi * (2 * place + 1) * wave / (2 * SIDE)) for place in range(HALF)]
        for wave in range(KEPT)
    ]


@lru_cache(maxsize=1)
def _whole_waves() -> Any:
    """Return the waves over all 32 places, as an array of numpy."""
    numpy = sys.modules["numpy"]
    halves = numpy.array(_waves())
    return numpy.hstack([halves, halves[:, ::-1] * numpy.array([[1], [-1]] * HALF)[:KEPT]])


def distance(one: str, other: str) -> int:
    """Return in how many of the 64 bits two hashes differ.

    Raises
    ------
    ValueError
        One of them is no hash.
    """
    return (int(one, 16) ^ int(other, 16)).bit_count()


def alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two figures differ only by who drew them: versions, fonts, a pixel here or there.

    Both are what `openai_magics.images.prepare.kept` or `Source.likeness` says of them: the same
    content (``drawn``), and perceptual hashes (``phash``) no more than `NEAR` apart.
    """
    if not one.get("drawn") or one["drawn"] != other.get("drawn"):
        return False
    hashes = one.get("phash"), other.get("phash")
    return all(hashes) and distance(*hashes) <= NEAR  # type: ignore[arg-type]
