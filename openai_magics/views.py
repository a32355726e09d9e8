"""The dialogue as a person holds it (``session.dialogue``): a frame, a transcript, files for others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from openai_magics import frames
from openai_magics.chains import Records
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import OptionError
from openai_magics.exchange import Exchange
from openai_magics.lineage import Lineage

if TYPE_CHECKING:
    import pandas as pd

    from openai_magics.browse import Browser
    from openai_magics.export import Exported, Wanted
    from openai_magics.transcript import Transcript
    from openai_magics.turns import Turns
    from openai_magics.verify import Report

__all__ = ["Dialogue"]

log = logging.getLogger("openai_magics")


class Dialogue:
    """What is said in this notebook; iterating gives all exchanges of the file in order.

    What is looked at (`to_frame`, `show`, `conversations`, `usage`) is by default what this
    run has said, so that a cell that shows it shows the same after Restart & Run All; before
    anything is said, and with ``whole=True``, it is all that the file holds.

    Parameters
    ----------
    file : callable
        Gives the dialogue file.
    turns : Turns, optional
        What this run has said, and its conversations, which `reset` forgets.
    """

    def __init__(self, file: Callable[[], DialogueFile], turns: Turns | None = None) -> None:
        self._file = file
        self._turns = turns
        self._browser: Browser | None = None
        self.lineage = turns.lineage if turns is not None else Lineage(file)

    @property
    def path(self) -> Path:
        """The dialogue file (which is made at the first record)."""
        return self._file().path

    def __len__(self) -> int:
        return len(self._file())

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self._file())

    def __repr__(self) -> str:
        return f"<Dialogue {str(self.path)!r}, {len(self)} records>"

    def __str__(self) -> str:
        from openai_magics import overview

        return overview.text(self._file(), self._ids())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:  # noqa: ARG002
        from openai_magics import overview

        return overview.bundle(self._file(), self._ids())

    def _ids(self) -> list[str]:
        return self._turns.said() if self._turns is not None else []

    def exchanges(self, *, whole: bool = False) -> list[Exchange]:
        """Return what this run has said, in the order of its cells; with *whole* all of the file."""
        if whole or not (ids := self._ids()):
            return list(self)
        from openai_magics import overview

        return overview.picked(self, ids)

    def to_frame(self, *, whole: bool = False) -> pd.DataFrame:
        """Return one row an exchange (see `openai_magics.frames.dialogue_frame`)."""
        return frames.dialogue_frame(self.exchanges(whole=whole))

    def to_csv(self, path: Path | str) -> Path:
        """Write the whole frame as CSV (UTF-8) to *path*, and return it.

        A text that a spreadsheet would take for a formula (it begins with ``= + - @``, a tab
        or a line break) gets an apostrophe before it.
        """
        from openai_magics.export import csv_bytes

        (target := Path(path)).write_bytes(csv_bytes(self.to_frame(whole=True)))
        return target

    def conversations(self, *, whole: bool = False) -> pd.DataFrame:
        """Return one row a conversation (see `openai_magics.summaries.conversations_frame`)."""
        from openai_magics import summaries

        return summaries.conversations_frame(Records(self.exchanges(whole=whole)).standing())

    def usage(
        self, by: Sequence[str] | str = ("model", "day"), *, whole: bool = False
    ) -> pd.DataFrame:
        """Return requests, tokens and cost by groups (see `openai_magics.summaries.usage_frame`)."""
        from openai_magics import summaries

        return summaries.usage_frame(self if whole else self.exchanges(), by)

    def show(self, conversation: str | None = None, *, whole: bool = False) -> Transcript:
        """Return one conversation, or all, to read as they now stand.

        Raises
        ------
        OptionError
            There is no such conversation.
        """
        from openai_magics.export import Wanted, transcript

        return transcript(Records(self.exchanges(whole=whole)), Wanted(conversation))

    def cells(self, record: str) -> list[str]:
        """Return the cells that ask what led to a record, the last of them what it asks.

        Turns that cells of the notebook have recorded are not among them, nor is what stands
        before those: the cells go on from there.

        Parameters
        ----------
        record : str
            The id of a record that asks.

        Raises
        ------
        OptionError
            There is no such record, or no cell can ask what it asks.
        """
        from openai_magics import ask_cells

        chain = self.lineage.back(record)
        if not chain:
            raise OptionError(f"There is no record {record!r}.", "Look it up with %dialogue --all.")
        begun = max((n for n, item in enumerate(chain) if item.cell is not None), default=-1)
        own = chain[begun + 1 :] or chain[-1:]
        conversation = chain[begun if begun >= 0 else -1].conversation
        system = None if self._turns is None else self._turns.settings.said("system_instruction")
        made = [ask_cells.source(item, conversation, system) for item in own]
        if None in made:
            raise OptionError(
                "No cell can ask this: it holds what cannot be typed.",
                "Ask it from Python: session.ask(…).",
            )
        return [source for source in made if source is not None]

    def export(
        self,
        path: Path | str,
        format: str | None = None,  # noqa: A002 - the name it has in %dialogue export
        conversation: str | None = None,
        *,
        current: bool = True,
        overwrite: bool = False,
    ) -> Path:
        """Write the dialogue for others, and return the path; what was left out is logged.

        Parameters
        ----------
        path : path
            Its suffix says the format: ``.md``, ``.html`` (one file, nothing active in it),
            ``.csv`` (the frame, as `to_csv` writes it), ``.jsonl`` (chat messages, one
            conversation a line, as fine-tuning takes them), ``.ipynb`` (a notebook that
            replays; its dialogue file is written beside it).
        format : {"md", "html", "csv", "jsonl", "ipynb"}, optional
            Where the suffix does not say it.
        conversation : str, optional
            Only this one.
        current : bool
            False: superseded answers too, and what failed (not for ``.ipynb``).
        overwrite : bool
            Whether a file that is there already may be replaced.

        Raises
        ------
        OptionError
            No such format or conversation, nothing to export, or it cannot be written.
        """
        from openai_magics.export import Wanted

        wanted = Wanted(conversation, current=current, overwrite=overwrite)
        done = self.exported(path, format, wanted)
        for note in done.notes:
            log.warning("%s: %s", done.path, note)
        return done.path

    def exported(
        self, path: Path | str, form: str | None = None, wanted: Wanted | None = None
    ) -> Exported:
        """Write as `export` does; return what is to be said of it in place of logging it."""
        from openai_magics import export as exporting

        return exporting.export(self._file(), path, form, wanted or exporting.Wanted())

    def browse(self) -> Browser:
        """Return all that the file holds, to look through, however long it is."""
        if self._browser is None:
            from openai_magics.browse import Browser

            self._browser = Browser(self._file)
        return self._browser

    def verify(self, *, timeout: float = 600) -> Report:
        """Run the notebook beside the file in replay, and report what is not as recorded.

        Parameters
        ----------
        timeout : float
            Seconds for one cell.

        Raises
        ------
        NotebookNotFound
            There is no notebook beside the file.
        ExtraMissing
            Running notebooks needs the ``verify`` extra.
        DialogueError
            The file cannot be read.
        """
        from openai_magics.verify import verify

        name = f"{self.path.name.removesuffix('.dialogue.json')}.ipynb"
        return verify(self.path.with_name(name), timeout=timeout)

    def sync(self) -> str:
        """Bring the dialogue and its file in the cloud together; return how they stand.

        Raises
        ------
        OptionError
            The dialogue is kept on this machine only.
        CloudError, DialogueError
            It failed; the copy on this machine is whole.
        """
        from openai_magics.cloud import file
        from openai_magics.cloud.told import aside

        held = file.sync_of(self._file())
        held.now()
        return "\n".join([held.state, *aside.taken()])

    @property
    def cloud(self) -> str | None:
        """How the dialogue and its file in the cloud stand; ``None`` where there is none."""
        sync = getattr(self._file(), "sync", None)
        return None if sync is None else f"{sync.address.shown}: {sync.state}"

    def reset(self, conversation: str | None = None, *, file: bool = False) -> Path | None:
        """Forget a conversation, or all, in this run: the next ask begins it anew.

        The dialogue file keeps what it holds. With *file* it is moved out of the way, to
        ``<file>.before-reset-<UTC time>``, and the run begins an empty one; renaming it back
        undoes that. Where it is in the cloud, it is emptied there as well, and a copy is
        kept beside it under that name.

        Returns
        -------
        Path or None
            Where the file is now, if it was moved.

        Raises
        ------
        OptionError
            There is no such conversation, or *file* with only one conversation.
        DialogueError, CloudError
            The file cannot be moved, or the one in the cloud not be written; nothing was
            changed.
        """
        if file and conversation is not None:
            raise OptionError(
                "The file holds all conversations, so it is reset as a whole.",
                "Leave the conversation, or --file, out.",
            )
        held = self._turns.conversations if self._turns is not None else {}
        if conversation is not None and conversation not in held:
            Records(self).check(conversation)
        kept = None
        if file:
            from openai_magics.resetting import set_aside

            kept = set_aside(self._file())
        if kept is not None and self._turns is not None:
            self._turns.forget()  # the slots of the file that is gone are free again
        for name in [conversation] if conversation is not None else list(held):
            held.pop(name, None)
        return kept
