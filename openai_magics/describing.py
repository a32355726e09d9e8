"""Describing images: one by one or many at once, each a request of its own, kept and replayed.

A description neither sees a conversation nor joins one; the same image asked the same question
is the same request, whatever else was described beside it. Two images of a run with the same
bytes are asked about once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from openai_magics import frames, many
from openai_magics.asked import split
from openai_magics.client import Listener
from openai_magics.config import Settings
from openai_magics.described import Described, checked, described, hands
from openai_magics.errors import (
    Interrupted,
    MagicsError,
)
from openai_magics.exchange import AskOptions, Reply
from openai_magics.turns import Asking, Turns
from openai_magics.twins import as_typed, twin

if TYPE_CHECKING:
    import pandas as pd

    from openai_magics.images.attached import Attached
    from openai_magics.images.listed import Broken

__all__ = ["ALT_TEXT", "PROMPT", "Describing"]

PROMPT = (
    "Describe this image for somebody who cannot see it: what it is and what it shows, the text "
    "in it, and of a chart its axes and what its data say."
)
ALT_TEXT = (
    "Write the alternative text of this image: one sentence of at most 125 characters that says "
    "what matters in it. Do not begin with 'Image of'. Answer with this sentence alone, without "
    "quotes."
)


class Describing:
    """What a session can do with images."""

    turns: Turns
    settings: Settings

    def asking(
        self,
        message: str | Sequence[Any],
        options: AskOptions = AskOptions(),
        parameters: dict[str, Any] | None = None,
    ) -> Asking:
        """See `Session.asking`."""
        raise NotImplementedError

    def describe_image(
        self,
        image: object,
        prompt: str | Sequence[Any] | None = None,
        *,
        system_instruction: str | None = None,
        detail: str = "auto",
        fetch: bool = False,
        fresh: bool = False,
        mode: str | None = None,
        model: str | None = None,
        base_url: str | None = None,
        schema: Any = None,
        on_text: Callable[[str], None] | None = None,
        on_notice: Callable[[str], None] | None = None,
        **parameters: Any,
    ) -> Reply:
        """Describe an image, or answer a question about it; the reply is in the dialogue file.

        Parameters
        ----------
        image : object
            A path, a URL, bytes, a picture of Pillow, an array, a figure of matplotlib or
            plotly, ``"clipboard"`` (see `openai_magics.images.source.sources`).
        prompt : str, optional
            What to ask; by default a description is asked for.
        system_instruction : str, optional
            For this ask only.
        detail : {"auto", "low", "high", "original"}
            How large the model sees it (see `openai_magics.images.vision`).
        fetch : bool
            Whether a URL is fetched by this machine, not by the service.
        fresh : bool
            Ask even where an answer is recorded (not in ``replay`` mode).
        mode, model, base_url : str, optional
            As for `Session`, for this ask only.
        schema, on_text, on_notice : optional
            As for `Session.ask`.
        **parameters
            Of the API; nothing is sent that is not set.

        Raises
        ------
        OptionError
            It is no image, there are several, or an argument is not possible.
        ImageRefused
            The image cannot be read.
        ReplayMiss, NotConnected, ServiceError, DialogueError, Interrupted
            As `Session.ask`.
        """
        options = AskOptions(
            system_instruction=system_instruction,
            fresh=fresh,
            mode=mode,
            model=model,
            base_url=base_url,
            schema=schema,
        )
        from openai_magics.images.listed import only

        item = only(image, detail, fetch=fetch)
        asking = self.describing(item, prompt, options, parameters)
        return self.turns.run(asking, Listener(on_text, on_notice))

    @as_typed(describe_image)
    async def adescribe_image(
        self,
        image: object,
        prompt: str | Sequence[Any] | None = None,
        *,
        detail: str = "auto",
        fetch: bool = False,
        on_text: Callable[[str], None] | None = None,
        on_notice: Callable[[str], None] | None = None,
        **given: Any,
    ) -> Reply:
        """Describe an image without blocking the event loop; otherwise as `describe_image`."""
        from openai_magics.images.listed import only

        item = only(image, detail, fetch=fetch)
        # In a thread, for it reads the file.
        asking = await asyncio.to_thread(self.describing, item, prompt, *split(given))
        return await self.turns.arun(asking, Listener(on_text, on_notice))

    def describe_images(
        self,
        images: object,
        prompt: str | Sequence[Any] | None = None,
        *,
        system_instruction: str | None = None,
        detail: str = "auto",
        fetch: bool = False,
        fresh: bool = False,
        mode: str | None = None,
        model: str | None = None,
        base_url: str | None = None,
        schema: Any = None,
        concurrency: int | None = None,
        on_progress: Callable[[int, int | None, int], None] | None = None,
        **parameters: Any,
    ) -> pd.DataFrame:
        """Describe many images, several at once; those that are recorded are replayed.

        Parameters
        ----------
        images : object
            A folder, a pattern, or an iterable of what `describe_image` takes.
        concurrency : int, optional
            How many are asked about at once; 16 by default.
        on_progress : callable, optional
            Is told how many are done, of how many (``None`` where that is not known), and how
            many of them failed.
        prompt, system_instruction, detail, fetch, fresh, mode, model, base_url, schema, **parameters
            As for `describe_image`.

        Returns
        -------
        DataFrame
            One row an image, in their order: ``source``, ``description``, ``tokens`` (prompt
            and answer, as the server counted), ``cost`` (US dollars, NaN where the price is not
            known), ``error`` (missing where there is none).

        Raises
        ------
        OptionError
            Nothing is named, or an argument is not possible.
        ReplayMiss, NotConnected, DialogueError, KeyRefused, AccessRefused, ModelNotFound
            It would fail for every image. What was described so far is recorded.
        Interrupted
            It was stopped; run again, it goes on from there.
        """
        options = AskOptions(
            system_instruction=system_instruction,
            fresh=fresh,
            mode=mode,
            model=model,
            base_url=base_url,
            schema=schema,
        )
        from openai_magics.images.listed import items

        every, total = items(images, detail, fetch=fetch)
        running = self.describing_all(every, prompt, options, parameters, concurrency)

        def rows() -> Iterator[tuple[str, Reply | None, MagicsError | None]]:
            failed = 0
            for done, row in enumerate(running, 1):
                failed += row.error is not None
                if on_progress is not None:
                    on_progress(done, total, failed)
                yield row.source, row.reply, row.error

        return frames.descriptions_frame(rows())

    adescribe_images = twin(describe_images)

    def describing(
        self,
        item: Attached,
        prompt: str | Sequence[Any] | None = None,
        options: AskOptions = AskOptions(),
        parameters: dict[str, Any] | None = None,
    ) -> Asking:
        """Return the request that describes an image as a value; nothing is sent.

        Raises
        ------
        OptionError, SettingError
            The prompt is empty, the image cannot be found, or something is not possible.
        """
        words = PROMPT if prompt is None else prompt
        given = replace(options, history=False, images=[item])
        asking = self.asking(words, given, parameters)
        return replace(asking, request=replace(asking.request, kind="describe"))

    def describing_all(
        self,
        images: Iterable[Attached | Broken],
        prompt: str | Sequence[Any] | None = None,
        options: AskOptions = AskOptions(),
        parameters: dict[str, Any] | None = None,
        concurrency: int | None = None,
    ) -> Iterator[Described]:
        """Yield what becomes of each image, in their order.

        Raises
        ------
        OptionError, Interrupted, …
            As `describe_images`.
        """
        from openai_magics.images.attached import PROCESSORS

        count = checked(concurrency)
        self.asking(PROMPT if prompt is None else prompt, options, parameters)  # is it possible?
        once: many.Once[Reply] = many.Once()
        # More are under way than are asked about at once: others are made ready or recorded.
        gate = self.turns.live.through(threading.Semaphore(count))

        def ask(item: Attached) -> Reply:
            with PROCESSORS:  # those that hash their image leave room to those that are answered
                asking = replace(self.describing(item, prompt, options, parameters), through=gate)
            return once.do(asking.request.fingerprint, lambda: self.turns.run(asking))

        ids: list[str] = []
        try:
            for row in described(images, ask, hands(count)):
                if row.reply is not None:
                    ids.append(row.reply.id)
                yield row
        except KeyboardInterrupt:
            said = f"stopped; {len(ids)} described so far are recorded: run it again to go on"
            raise Interrupted(said=said) from None
        finally:
            self.turns.in_order(ids)
