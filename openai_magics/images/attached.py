"""Images in a message: where they stand between its texts, and what comes of each when it is sent.

A message without images is text, as ever, so its fingerprint is what it was. One with images is
a list of parts: ``{"type": "text", "text": …}``, and what `openai_magics.images.prepare.said`
tells of an image. Only a live call looks into an image.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from openai_magics.errors import ImageRefused, OptionError
from openai_magics.images import prepare
from openai_magics.images.source import Source, sources

__all__ = ["PROCESSORS", "Attached", "attached", "content"]

MOST = 500
"""Images in a request: OpenAI takes no more."""
SMALL = 256 * 1024
"""Bytes up to which making a file ready is mostly Python's own work, and decoding it the least."""
ONE = threading.Lock()
"""Is held while a small file is made ready."""
PROCESSORS = threading.Semaphore(os.cpu_count() or 1)
"""Is held while something is done that no more threads than processors can do side by side."""


@dataclass(frozen=True, eq=False)
class Attached:
    """An image of a request (an `openai_magics.exchange.Attachment`).

    Attributes
    ----------
    source : Source
    detail : {"auto", "low", "high", "original"}
    fetch : bool
        Whether this machine fetches a URL, not the service.
    thumbnail : bool
        Whether the record keeps a small picture of it, to be shown beside the answer.
    """

    source: Source
    detail: str = "auto"
    fetch: bool = False
    thumbnail: bool = False

    @cached_property
    def said(self) -> Mapping[str, Any]:
        """What stands for it in the message, as it is fingerprinted and recorded.

        Raises
        ------
        OptionError
            The detail is not known, or the image cannot be read.
        """
        return prepare.said(self.source, self.detail)

    @property
    def name(self) -> str:
        """What people call it."""
        return self.source.name

    @property
    def likeness(self) -> Mapping[str, str]:
        """What is compared of a figure; of other images, nothing."""
        return self.source.likeness

    def prepared(self, model: str | None = None) -> prepare.Prepared:
        """Return it as it would be sent to *model* (see `prepare.prepare`)."""
        return prepare.prepare(self.source, self.detail, model=model, fetch=self.fetch)

    def wired(self, model: str | None) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return the part for the wire, and what the record keeps of it besides ``said``.

        Raises
        ------
        ImageRefused
            It cannot be read.
        Unreachable
            Its URL could not be fetched.
        """
        try:
            with _in_turn(self.source):
                made = self.prepared(model)
        except OptionError as error:
            raise ImageRefused(error.problem, error.remedy) from error
        kept = prepare.kept(made)
        if self.thumbnail and made.data is not None:
            kept["thumbnail"] = prepare.small(made.data)
        return prepare.part(made), kept


def _in_turn(source: Source) -> AbstractContextManager[object]:
    """Return what is held while an image is made ready.

    Python does one thing at a time: threads that make small images ready side by side hinder
    each other, and those that wait for the service. Large ones are decoded outside of Python's
    lock, by as many threads as there are processors. A URL may have to be waited for.
    """
    size = source.size
    if size is None:
        return nullcontext()
    return ONE if size <= SMALL else PROCESSORS


def attached(
    spec: object, detail: str = "auto", *, fetch: bool = False, name: str | None = None
) -> list[Attached]:
    """Return the images that *spec* names (see `openai_magics.images.source.sources`).

    Raises
    ------
    OptionError
        It names nothing, or something that is no image.
    """
    if isinstance(spec, Attached):
        return [spec]
    if isinstance(spec, Source):
        return [Attached(spec, detail, fetch)]
    if isinstance(spec, (list, tuple)) and any(isinstance(one, (Attached, Source)) for one in spec):
        return [item for one in spec for item in attached(one, detail, fetch=fetch)]
    return [Attached(source, detail, fetch) for source in sources(spec, name=name)]


def content(pieces: Iterable[object]) -> tuple[str | list[Mapping[str, Any]], tuple[Attached, ...]]:
    """Return the content of a message, and the images that its parts stand for.

    Parameters
    ----------
    pieces : iterable of str or of what `attached` takes
        Texts and images in order. Texts that follow one another are one.

    Raises
    ------
    OptionError
        A piece is no image, there are too many of them, or one cannot be read.
    """
    texts: list[str] = []
    parts: list[Mapping[str, Any]] = []
    held: list[Attached] = []
    for piece in pieces:
        if isinstance(piece, str):
            texts.append(piece)
            continue
        parts += _text(texts)
        texts = []
        for item in attached(piece):
            parts.append(item.said)
            held.append(item)
    if not held:
        return "".join(texts), ()
    if len(held) > MOST:
        raise OptionError(
            f"The prompt holds {len(held)} images, and a request takes {MOST} at most.",
            "Describe them one by one: %describe, or Session.describe_images.",
        )
    return [*parts, *_text(texts)], tuple(held)


def _text(texts: list[str]) -> list[Mapping[str, Any]]:
    joined = "".join(texts)
    return [{"type": "text", "text": joined}] if joined.strip() else []
