"""The images panel: choose or drop images, have them described, mend what is said, take it away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from openai_magics import cells
from openai_magics.described import CONCERNS_ALL
from openai_magics.describing import ALT_TEXT
from openai_magics.errors import MagicsError, OptionError
from openai_magics.panels.drop import drop
from openai_magics.panels.forms import FormPanel, bar, html_box, text
from openai_magics.panels.gallery import Gallery, Picture, variables
from openai_magics.panels.past import described
from openai_magics.panels.table import Column, Row, as_html, as_plain, put, table

if TYPE_CHECKING:
    from ipywidgets import Widget

    from openai_magics.panels.worker import Job
    from openai_magics.session import Session

__all__ = ["ImagesPanel"]

COLUMNS = (
    Column("picture", "image"),
    Column("source", "source"),
    Column("description", "description", wide=True),
    Column("state", "state"),
)
WANTED = ("description", "alt text", "answer to a question")
AT_ONCE = 8
"""Images that are asked about at the same time."""


class ImagesPanel(FormPanel):
    """Describes images; what the models say is in the dialogue file."""

    name = "images"

    def __init__(self, session: Session, number: int = 0) -> None:
        super().__init__(session, number)
        self.gallery = Gallery()
        self.chosen = ""
        self.wanted = WANTED[0]
        self.question = ""
        self.detail = "auto"
        self.before: list[Row] = []  # described in an earlier kernel: the images are gone
        self.names: Mapping[str, Any] | None = None
        self._drawn = ("", "")

    # What a person does; each is a call of the session, or of the gallery.

    def add(self, spec: object, name: str | None = None) -> Job:
        """Add images: a path, a pattern, a folder, bytes, or what a notebook holds."""
        return self._add(lambda _: self.gallery.add(spec, name))

    def add_named(self, typed: str) -> Job:
        """Add what a variable of the notebook holds, or what stands at a path or an address."""
        from openai_magics.images.named import named

        if not typed.strip():
            raise OptionError("Nothing was named.", "Type a path, a pattern, a folder or a URL.")
        found = [item.source for item in named([typed], self._names())]
        return self._add(lambda _: self.gallery.take(found))

    def _add(self, work: Callable[[Job], list[Picture]]) -> Job:
        def then(made: list[Picture]) -> str:
            if made and not self.chosen:
                self.chosen = made[0].id
            return "" if made else "These images are there already."

        return self.run("Looking at the images…", work, then)

    def describe(self, identities: Sequence[str] | None = None) -> Job | None:
        """Have images described: these, or all of which nothing is said yet."""
        wanted = [
            picture
            for picture in self.gallery
            if (picture.state in ("", "failed") if identities is None else picture.id in identities)
        ]
        if not wanted:
            self.tell("Every image is described. Choose one to have it described again.", "warn")
            return None
        if self.wanted == WANTED[2] and not self.question.strip():
            raise OptionError("There is no question.", "Write what to ask of each image.")
        for picture in wanted:
            picture.state, picture.error = "waiting", ""

        async def work(_: Job) -> None:
            free = asyncio.Semaphore(AT_ONCE)
            asked = [asyncio.ensure_future(self._describe(one, free)) for one in wanted]
            try:
                await asyncio.gather(*asked)
            except BaseException:  # it would fail for all of them, or is stopped
                for task in asked:
                    task.cancel()
                await asyncio.gather(*asked, return_exceptions=True)
                raise

        def then(_: None) -> str:
            failed = sum(picture.state == "failed" for picture in wanted)
            if failed:
                return f"{failed} of {len(wanted)} images could not be described."
            return "All is described."

        return self.run(f"Describing {len(wanted)} images…", work, then)

    async def _describe(self, picture: Picture, free: asyncio.Semaphore) -> None:
        from openai_magics.images.attached import Attached

        try:
            async with free:
                # The small picture in the record is what is left of it after a restart.
                image = Attached(picture.source, self.detail, thumbnail=True)
                reply = await self.session.adescribe_image(image, self._prompt())
        except (asyncio.CancelledError, *CONCERNS_ALL):
            picture.state = "described" if picture.reply else ""
            raise
        except MagicsError as error:
            self.gallery.failed(picture.id, error)
        else:
            self.gallery.described(picture.id, reply)
        self.redraw()

    def _prompt(self) -> str | None:
        if self.wanted == WANTED[1]:
            return ALT_TEXT
        return self.question if self.wanted == WANTED[2] else None

    def edit(self, said: str) -> None:
        """Say something else of the chosen image."""
        self.gallery.edit(self.chosen, said)
        self.tell("Kept in this panel; To DataFrame takes it into the notebook.")

    def remove(self) -> None:
        """Take the chosen image out."""
        self.gallery.remove(self.chosen)
        self.chosen = next((picture.id for picture in self.gallery), "")
        self.redraw()

    def choose(self, identity: str) -> None:
        """Choose an image."""
        self.chosen = identity
        self.redraw()

    def to_frame(self, variable: str) -> Any:
        """Put the descriptions into a variable of the notebook as a DataFrame, and return it."""
        name = variable.strip()
        if not name.isidentifier():
            raise OptionError(f"{variable!r} is no name for a variable.", "Such as: descriptions")
        frame = self.gallery.to_frame()
        names = self._names()
        if isinstance(names, dict):
            names[name] = frame
        self.tell(f"{name} is a DataFrame of {len(frame)} rows now.")
        return frame

    def _names(self) -> Mapping[str, Any]:
        if self.names is not None:
            return self.names
        return getattr(cells.current_shell(), "user_ns", {})

    # What is shown.

    def compose(self) -> Sequence[Widget]:
        """Return where images come from, the images, and what is said of the chosen one."""
        import ipywidgets as w

        wide = {"description_width": "initial"}
        self._drop = drop(
            lambda name, data: self.safely(lambda: self.add(data, name)),
            lambda said: self.tell(said, "warn"),
            label="Choose images",
            hint="or drop or paste them here",
            accept="image/*",
        )
        self._typed = w.Text(description="Path or URL", placeholder="photos/*.jpg", style=wide)
        self._variables = w.Dropdown(description="From the notebook", style=wide)
        self._wanted = w.Dropdown(description="Ask for", options=WANTED, style=wide)
        self._question = w.Text(description="Question", style=wide)
        self._detail = w.Dropdown(
            description="Detail", options=["auto", "low", "high", "original"], style=wide
        )
        for widget in (self._wanted, self._question, self._detail):
            self.when(widget, "value", self._set)
        self._table = table(COLUMNS, "Images", empty="No images yet.", height=320)
        self.when(self._table, "selected", self.choose)
        self._all = self.button("Describe all", self.describe, button_style="primary")
        self._one = self.button("Describe chosen", lambda: self.describe([self.chosen]))
        self._stop = self.button("Stop", self.stop)
        self._remove = self.button("Remove", self.remove)
        self._said = w.Textarea(
            description="Description", rows=4, style=wide, continuous_update=False
        )
        self._said.layout.width = "auto"
        self._edit = self.button("Keep edit", lambda: self.edit(self._said.value))
        self._chosen = html_box()
        self._variable = w.Text(description="Variable", value="descriptions", style=wide)
        self._frame = self.button("To DataFrame", lambda: self.to_frame(self._variable.value))
        self._editor = w.VBox([self._chosen, self._said, bar(self._edit, self._remove)])
        return [
            self._drop,
            bar(
                self._typed,
                self.button("Add", lambda: self.add_named(self._typed.value)),
                self._variables,
                self.button("Add variable", self._add_variable),
                self.button("Look again", self.redraw),
            ),
            bar(self._wanted, self._question, self._detail, self._all, self._one, self._stop),
            self._table,
            self._editor,
            bar(self._variable, self._frame),
        ]

    def _add_variable(self) -> None:
        if not self._variables.value:
            raise OptionError("No variable holds an image.", "Make one in a cell, and look again.")
        self.add_named(self._variables.value)

    def _set(self, _: Any) -> None:
        self.wanted, self.question = self._wanted.value, self._question.value
        self.detail = self._detail.value
        self.redraw()

    def opened(self) -> None:
        """Read what was described before."""

        def then(rows: list[Row]) -> None:
            self.before = rows

        self.run("Reading the dialogue…", lambda _: described(self.session.dialogue), then)

    def _rows(self) -> list[Row]:
        gone = [row for row in self.before if row.id not in self.gallery.pictures]
        return [*gone, *map(_row, self.gallery)]

    def draw(self) -> None:
        """Bring the widgets up to the state."""
        found = variables(self._names())
        if list(self._variables.options) != found:
            self._variables.options = found
        if found and self._variables.value is None:
            self._variables.value = found[0]
        self._variables.disabled = not found
        self._question.layout.display = "" if self.wanted == WANTED[2] else "none"
        put(self._table, self._rows(), self.chosen)
        self._all.disabled = self._frame.disabled = not len(self.gallery)
        picture = self.gallery.pictures.get(self.chosen)
        self._one.disabled = self._remove.disabled = picture is None
        self._stop.disabled = not self.busy
        self._editor.layout.display = "" if picture is not None else "none"
        if picture is not None:
            self._chosen.value = _page(picture)
            if self._drawn != (drawn := (picture.id, picture.text)):  # else an edit is under way
                self._drawn, self._said.value = drawn, picture.text

    # What stands for it without a kernel.

    def _now(self) -> list[Row]:
        with contextlib.suppress(MagicsError):  # the dialogue panel tells of a damaged file
            self.before = described(self.session.dialogue)
        return self._rows()

    def plain(self) -> str:
        """Return the images and what is said of them as text."""
        rows = self._now()
        head = f"Images panel: {len(rows)} images"
        return f"{head}\n{as_plain(COLUMNS[1:], map(_untold, rows))}" if rows else head

    def html(self) -> str:
        """Return the images and what is said of them as HTML."""
        rows = self._now()
        if not rows:
            return "<p>No images yet.</p>"
        return as_html(COLUMNS, rows)


def _row(picture: Picture) -> Row:
    state = {"failed": "wrong", "waiting": "off"}.get(picture.state, "")
    said = picture.error if picture.state == "failed" else picture.text
    cells = (picture.name, picture.name, said, picture.state)
    return Row(picture.id, cells, state, picture.thumbnail)


def _untold(row: Row) -> Row:
    return Row(row.id, row.cells[1:], row.state)


def _page(picture: Picture) -> str:
    image = (
        f'<img src="{picture.thumbnail}" alt="{text(picture.text or picture.name)}">'
        if picture.thumbnail
        else ""
    )
    return f"<h4>{text(picture.name)}</h4>{image}"
