"""``%describe`` and ``%%describe``: what is in an image, or in many."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_cell_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import magic_arguments

from openai_magics.errors import OptionError
from openai_magics.magics import ask_options, options
from openai_magics.magics.base import Family

if TYPE_CHECKING:
    from openai_magics.described import Described
    from openai_magics.exchange import Request
    from openai_magics.images.attached import Attached
    from openai_magics.images.listed import Broken
    from openai_magics.magics.ask_options import AskLine

__all__ = ["ARGUMENTS", "DescribeMagics"]

INTERVAL = 0.1
"""Seconds between two looks at the progress bar."""

OWN: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (
        ("source",),
        {
            "nargs": "*",
            "metavar": "SRC",
            "help": "a path, pattern, folder, URL, variable, Out[n], or `clipboard`; several may follow",
        },
    ),
    (
        ("-d", "--detail"),
        {
            "choices": ("auto", "low", "high", "original"),
            "default": "auto",
            "help": "how large the model sees it (default: auto)",
        },
    ),
    (("--prompt",), {"metavar": "TEXT", "help": "what to ask, in place of a description"}),
    (
        ("--alt-text",),
        {
            "action": "store_true",
            "help": "ask for the alternative text of a web page: one sentence",
        },
    ),
    (
        ("--fetch",),
        {"action": "store_true", "help": "have URLs fetched by this machine, not by the service"},
    ),
    (
        ("--concurrency",),
        {"type": int, "metavar": "N", "help": "ask about N images at once (default: 16)"},
    ),
)
NOT_OURS = {
    "--conversation",
    "--new",
    "--no-history",
    "--max-history",
    "--image",
    "--sentiment",
    "--error",
    "--tools",
    "--run-tools",
    "--max-rounds",
    "--tool-timeout",
}
"""Options of ask that mean nothing here: an image is described outside of any conversation."""
ARGUMENTS = (
    *OWN,
    *((flags, given) for flags, given in ask_options.ASK_ARGUMENTS if flags[-1] not in NOT_OURS),
)


@magics_class
class DescribeMagics(Family):
    """Describe images; each description is kept beside the notebook and can be replayed."""

    @no_var_expand
    @line_cell_magic
    @magic_arguments()
    @options.declared(ARGUMENTS)
    def describe(self, line: str, cell: str | None = None) -> None:
        """Describe an image, or many.

        Of one image the answer is shown beside it; the reply is in ``_answer``. Of several (a
        pattern, a folder, a list) each is asked about by itself, many at once, and ``_answer``
        is a DataFrame: source, description, tokens, cost, error. Run again, what is recorded is
        replayed, and only what is missing or failed is asked.

        Examples::

            %describe photo.jpg

            %describe fig -d low --alt-text -o alt

            %describe scans/*.png -o texts --prompt "Which year is on this page?"

            %%describe https://example.org/chart.png
            Which series grows fastest, and from when on?

        What is sent is encoded anew from the pixels at the size that the model uses, without
        EXIF (place, time, camera). To compare images, ask about them together:
        ``%%ask -i before.png -i after.png``.

        Where no model sees, the answer is a local observation: size, colours, and with the extra
        ``vision`` the text in the image. A model that sees: set a key (``%openai key``), name a
        server that has one (``OPENAI_BASE_URL``), or give the engine on this machine a vision
        model (``OPENAI_MAGICS_LOCAL_MODEL`` and ``OPENAI_MAGICS_LOCAL_MMPROJ``, two GGUF files,
        by path or Hugging Face name).
        """
        name = "%describe" if cell is None else "%%describe"
        typed = self.typed(self.describe, name, line)
        prompt = _prompt(name, typed, cell)
        asked = self.with_named(ask_options.asked(name, typed, prompt or ""))
        if not typed.source:
            raise OptionError(f"{name}: which image?", "See %describe? for examples.")
        found, total = self._found(typed)
        message = prompt if prompt is None or asked.raw else self.filled(prompt)
        template = prompt if message is not prompt else None
        if asked.dry_run:
            self._dry_run(list(found), message, asked)
        elif total == 1:
            self._describe(next(found), message, template, asked)
        else:
            self._describe_all(found, total, message, asked, typed.concurrency)

    def _found(self, typed: Namespace) -> tuple[Iterator[Attached | Broken], int | None]:
        """Return the images that the line names, and how many they are."""
        from openai_magics.images.listed import items
        from openai_magics.images.named import variable

        found: list[Iterator[Attached | Broken]] = []
        total: int | None = 0
        broken: list[Broken] = []
        for word in typed.source:
            known, value = variable(word, self.names)
            if known and isinstance(value, (list, tuple, Iterator)):
                each, count = items(value, typed.detail, fetch=typed.fetch, name=word)
            else:
                own = self._named(word, typed, broken)
                each, count = items(own, typed.detail, fetch=typed.fetch)
            found.append(each)
            total = None if total is None or count is None else total + count
        if len(broken) == len(typed.source):
            raise broken[0].error
        return chain.from_iterable(found), total

    def _named(self, word: str, typed: Namespace, broken: list[Broken]) -> list[Any]:
        """Return the images that a word names; a file that is missing among several is a row.

        Raises
        ------
        OptionError
            It is the only one, or what it names is no file: a pattern, a folder, a variable.
        """
        from openai_magics.images.listed import Broken
        from openai_magics.images.named import named
        from openai_magics.images.places import names_file

        try:
            return list(named([word], self.names, typed.detail, fetch=typed.fetch))
        except OptionError as error:
            if len(typed.source) == 1 or word.isidentifier() or not names_file(word):
                raise
            broken.append(Broken(word, error))
            return broken[-1:]

    def _describe(
        self, item: Attached | Broken, message: Any, template: str | None, asked: AskLine
    ) -> None:
        from openai_magics.images.listed import Broken
        from openai_magics.images.shown import described

        if isinstance(item, Broken):
            raise item.error
        shown = replace(item, thumbnail=True)
        asking = self.session.describing(shown, message, asked.options, asked.parameters)
        asking = replace(asking, format=asked.format, template=template)
        self.answered(asking, asked, described)

    def _describe_all(
        self,
        found: Iterator[Attached | Broken],
        total: int | None,
        message: Any,
        asked: AskLine,
        concurrency: int | None,
    ) -> None:
        from openai_magics import frames
        from openai_magics.images.shown import descriptions
        from openai_magics.magics import show

        stage: show.Stage = show.Once() if asked.quiet else show.stage(self.shell, stream=True)
        rows: list[Described] = []
        failed, later = 0, 0.0
        running = self.session.describing_all(
            found, message, asked.options, asked.parameters, concurrency
        )
        try:
            for row in running:
                rows.append(row)
                failed += row.error is not None
                if time.monotonic() >= later:
                    stage.on_notice(show.bar("Describing", len(rows), total, failed))
                    later = time.monotonic() + INTERVAL
        except BaseException:
            stage.finish(None)
            raise
        told = [(row.source, row.reply, row.error) for row in rows]
        if not asked.quiet:
            stage.on_notice("")
            stage.finish(descriptions(told))
        self.keep(frames.descriptions_frame(told), asked.out)

    def _dry_run(self, found: list[Attached | Broken], message: Any, asked: AskLine) -> None:
        from openai_magics import estimate, render
        from openai_magics.images.listed import Broken
        from openai_magics.magics import show

        session = self.session
        requests: list[Request] = []
        broken: list[Broken] = []
        for item in found:
            if isinstance(item, Broken):
                broken.append(item)
                continue
            try:
                asking = session.describing(item, message, asked.options, asked.parameters)
            except OptionError as error:
                broken.append(Broken(item.name, error))
            else:
                requests.append(asking.request)
        if not requests:
            raise broken[0].error
        recorded = sum(map(session.is_recorded, requests))
        facts = estimate.facts_of_many(requests, session.live, recorded=recorded)
        if broken:  # rows with their errors, were it for real
            facts["not sent"] = estimate.listed(
                [f"{item.name}: {item.error.problem}" for item in broken]
            )
        show.Once().finish(render.dry_run(requests[0], facts))


def _prompt(name: str, typed: Namespace, cell: str | None) -> str | None:
    """Return what to ask; ``None`` for a description."""
    from openai_magics.describing import ALT_TEXT

    said = {
        "the cell": (cell or "").strip() or None,
        "--prompt": typed.prompt,
        "--alt-text": ALT_TEXT if typed.alt_text else None,
    }
    given = [where for where, text in said.items() if text is not None]
    if len(given) > 1:
        raise OptionError(f"{name}: {' and '.join(given)} both say what to ask.", "Choose one.")
    return said[given[0]] if given else None
