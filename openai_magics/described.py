"""What becomes of many images that are described at once, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openai_magics import many
from openai_magics.errors import (
    AccessRefused,
    DialogueError,
    KeyRefused,
    MagicsError,
    ModelNotFound,
    NotConnected,
    OptionError,
    QuotaExhausted,
    ReplayMiss,
    SettingError,
)
from openai_magics.exchange import Reply

if TYPE_CHECKING:
    from openai_magics.images.attached import Attached
    from openai_magics.images.listed import Broken

__all__ = ["CONCERNS_ALL", "CONCURRENCY", "Described", "checked", "described", "hands"]

CONCURRENCY = 16
"""Images that are asked about at once, where nothing else is said."""
READY = 2
"""For so many images that are asked about, one more is made ready or recorded meanwhile."""
CONCERNS_ALL = (
    NotConnected,
    SettingError,
    DialogueError,
    ReplayMiss,
    KeyRefused,
    AccessRefused,
    ModelNotFound,
    QuotaExhausted,
)
"""What would fail for every image: the run ends with it, and what is recorded is kept."""


@dataclass(frozen=True)
class Described:
    """A row: the image as people call it, and its reply or its error."""

    source: str
    reply: Reply | None = None
    error: MagicsError | None = None


def checked(concurrency: int | None) -> int:
    """Return how many images are asked about at once.

    Raises
    ------
    OptionError
        It is no such number.
    """
    count = CONCURRENCY if concurrency is None else concurrency
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise OptionError(
            f"A concurrency of {count!r} is not possible.", "It is a whole number from 1."
        )
    return count


def hands(concurrency: int) -> int:
    """Return how many images are worked on, of which *concurrency* are asked about at once.

    One at a time means one after the other, in their order.
    """
    return concurrency + (-(-concurrency // READY) if concurrency > 1 else 0)


def described(
    images: Iterable[Attached | Broken], ask: Callable[[Attached], Reply], concurrency: int
) -> Iterator[Described]:
    """Yield what becomes of each image, in their order; *ask* is called in threads.

    Raises
    ------
    MagicsError
        One of `CONCERNS_ALL`.
    """
    from openai_magics.images.listed import Broken

    def work(item: Attached | Broken) -> Reply:
        if isinstance(item, Broken):
            raise item.error
        return ask(item)

    for outcome in many.each(images, work, concurrency=concurrency, stops=CONCERNS_ALL):
        error = outcome.error
        if error is not None:
            if not isinstance(error, MagicsError):
                raise error
            # Its traceback holds the frames, and with them the image.
            error.__traceback__ = error.__cause__ = error.__context__ = None
        yield Described(outcome.item.name, outcome.value, error)
