"""The images that the panel holds: where each comes from, its thumbnail, what is said of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from openai_magics.errors import MagicsError, OptionError
from openai_magics.images import prepare
from openai_magics.images.source import Source, sources
from openai_magics.panels.thumbs import data_url

if TYPE_CHECKING:
    import pandas as pd

    from openai_magics.exchange import Reply

__all__ = ["MOST", "Gallery", "Picture", "variables"]

MOST = 500
"""Images that the panel holds."""
PIXELS = 128
COLUMNS = ("source", "description", "edited", "model", "tokens", "cost", "error", "sha256")


@dataclass
class Picture:
    """One image, and what is said of it.

    ``state`` is ``""`` (nothing is said yet), ``"waiting"``, ``"described"``, ``"edited"`` or
    ``"failed"``.
    """

    id: str
    source: Source = field(repr=False)
    thumbnail: str = field(default="", repr=False)
    text: str = ""
    state: str = ""
    error: str = ""
    reply: Reply | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.source.name


class Gallery:
    """Images in the order in which they were added; the same one twice is there once."""

    def __init__(self) -> None:
        self.pictures: dict[str, Picture] = {}

    def __iter__(self) -> Iterator[Picture]:
        return iter(list(self.pictures.values()))

    def __len__(self) -> int:
        return len(self.pictures)

    def add(self, spec: object, name: str | None = None) -> list[Picture]:
        """Add what *spec* names (see `openai_magics.images.source.sources`); return the new ones.

        Raises
        ------
        OptionError
            It names no image, one that cannot be read, or too many.
        """
        return self.take(sources(spec, name=name))

    def take(self, found: Sequence[Source]) -> list[Picture]:
        """Add images; return the new ones.

        Raises
        ------
        OptionError
            One cannot be read, or there are too many.
        """
        if len(found) + len(self) > MOST:
            raise OptionError(
                f"That would be {len(found) + len(self)} images; the panel holds {MOST}.",
                "Use %describe or Session.describe_images for more.",
            )
        made = []
        for source in found:
            key = source.held if source.kind == "url" else source.sha256
            if key not in self.pictures:
                made.append(Picture(key, source, _thumbnail(source)))
        for picture in made:
            self.pictures[picture.id] = picture
        return made

    def remove(self, identity: str) -> None:
        """Take an image out."""
        self.pictures.pop(identity, None)

    def described(self, identity: str, reply: Reply) -> None:
        """Keep what the model says of an image."""
        if (picture := self.pictures.get(identity)) is not None:
            picture.reply, picture.text = reply, reply.text or reply.refusal or ""
            picture.state, picture.error = "described", ""

    def failed(self, identity: str, error: BaseException) -> None:
        """Keep why there is nothing said of an image."""
        if (picture := self.pictures.get(identity)) is not None:
            picture.state = "failed"
            picture.error = str(error) or type(error).__name__

    def edit(self, identity: str, text: str) -> None:
        """Say something else of an image than the model did."""
        picture = self.pictures[identity]
        picture.text, picture.state = text, "edited"

    def to_frame(self) -> pd.DataFrame:
        """Return one row an image.

        Columns: ``source, description``; ``edited``, whether a person wrote it; ``model,
        tokens, cost`` (US dollars, NaN where not known) and ``error`` of the description;
        ``sha256`` (or the address) that the dialogue file knows it by.
        """
        import pandas as pd

        frame = pd.DataFrame([_row(picture) for picture in self], columns=pd.Index(COLUMNS))
        frame["tokens"] = frame["tokens"].astype("Int64")
        return cast("pd.DataFrame", frame)


def _row(picture: Picture) -> dict[str, Any]:
    reply = picture.reply
    usage = reply.usage if reply else {}
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    known = [count for count in counts if isinstance(count, int)]
    return {
        "source": picture.name,
        "description": picture.text or None,
        "edited": picture.state == "edited",
        "model": reply.model or reply.resolved.model if reply else None,
        "tokens": sum(known) if known else None,
        "cost": reply.cost if reply else float("nan"),
        "error": picture.error or None,
        "sha256": picture.id,
    }


def _thumbnail(source: Source) -> str:
    """Return a small PNG as a ``data:`` URL, ``""`` for what is at an address.

    Raises
    ------
    OptionError
        The image cannot be read.
    """
    if source.kind == "url":
        return ""
    return data_url(prepare.thumbnail(source, PIXELS))


def variables(names: Mapping[str, Any]) -> list[str]:
    """Return the variables and outputs of a notebook that hold images or figures, by name."""
    found = [name for name, value in list(names.items()) if _is_image(name, value)]
    outputs = names.get("Out")
    if isinstance(outputs, dict):
        found += [f"Out[{number}]" for number, value in outputs.items() if _is_image("x", value)]
    return found


def _is_image(name: str, value: object) -> bool:
    if name.startswith("_") or isinstance(value, (str, bytes, type)) or callable(value):
        return False
    module = type(value).__module__.partition(".")[0]
    if module not in ("PIL", "matplotlib", "plotly", "numpy", "IPython", "torch"):
        return False
    shape = getattr(value, "shape", None)
    if shape is not None and not _is_shaped(shape):
        return False
    try:
        return len(sources(value, name=name)) == 1
    except (MagicsError, TypeError, ValueError):
        return False


def _is_shaped(shape: Any) -> bool:
    """Whether an array is as an image is, not a table of numbers: channels last, or large."""
    if len(shape) == 3:
        return shape[2] in (1, 3, 4)
    return len(shape) == 2 and min(shape) >= 16
