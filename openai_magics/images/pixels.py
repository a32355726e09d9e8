r"""What a notebook holds of a picture - array, figure, what shows itself - as pixels.

Hash of pixels
    ``sha256(b"openai_magics/pixels/1\n" + mode + " " + width + " " + height + "\n" + bytes)``
    in hex; rows from the top, pixels from the left, channels interleaved, numbers of more than a
    byte in little-endian order. A palette, and one colour that is transparent, are looked up
    (mode ``RGBA``), and 16-bit greys are of mode ``I`` (32 bits), since versions of Pillow
    differ in how they hold them. So an array and a picture with the same pixels have one hash.
"""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Any

from openai_magics.errors import OptionError
from openai_magics.images import drawn

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Figure", "figure_of", "from_array", "is_a", "pixels_hash"]

ROWS = 256
"""How many rows are hashed at once, so that no second copy of a large image is made."""
CHANNELS_LAST = "Channels come last: numpy.moveaxis(array, 0, -1)."
SHAPES = "An image is height x width, or height x width x 3 (RGB) or 4 (RGBA)."


def is_a(value: object, module: str, name: str) -> bool:
    """Whether *value* is an instance of a class of a module that is not imported for this."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def pixels_hash(image: Image) -> str:
    """Return the hash of mode, size and pixels (see the module's docstring)."""
    if image.mode in ("P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode.startswith("I;"):
        image = image.convert("I")
    width, height = image.size
    digest = hashlib.sha256(b"openai_magics/pixels/1\n")
    digest.update(f"{image.mode} {width} {height}\n".encode())
    for top in range(0, height, ROWS):
        digest.update(image.crop((0, top, width, min(top + ROWS, height))).tobytes())
    return digest.hexdigest()


def from_array(value: Any) -> Image:
    """Return the image of an array.

    Parameters
    ----------
    value : array
        Height x width, or height x width x 3 (RGB) or 4 (RGBA); ``uint8``, other integers and
        floats from 0 to 255 and 0 to 1, ``bool``, or one channel of ``uint16``.

    Raises
    ------
    OptionError
        Its shape, type or range is another.
    """
    import numpy as np
    import PIL.Image

    array = np.asarray(value)
    named = f"An array of shape {array.shape} and type {array.dtype}"
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        first = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        raise OptionError(f"{named} is no image.", CHANNELS_LAST if first else SHAPES)
    if not array.size:
        raise OptionError(f"{named} is empty.", SHAPES)
    if array.dtype == bool:
        array = array * np.uint8(255)
    elif array.dtype.kind == "f":
        array = _bytes_of_floats(array, named)
    elif array.dtype.kind not in "iu":
        raise OptionError(f"{named} is no image.", "Give uint8, or floats from 0 to 1.")
    elif array.dtype != np.uint8:
        array = _fitting(array, named)
    image = PIL.Image.fromarray(np.ascontiguousarray(array))
    return image.copy()  # the array's memory is the notebook's to change


def _bytes_of_floats(array: Any, named: str) -> Any:
    import numpy as np

    low, high = float(array.min()), float(array.max())
    if not (low >= -1e-6 and high <= 1 + 1e-6):  # NaN is neither
        raise OptionError(
            f"{named} holds values from {low:g} to {high:g}; floats go from 0 to 1.",
            "Bring them there: (array - array.min()) / (array.max() - array.min()), "
            "or array / 255.",
        )
    return np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)


def _fitting(array: Any, named: str) -> Any:
    import numpy as np

    low, high = int(array.min()), int(array.max())
    if array.dtype == np.uint16 and array.ndim == 2:
        return array
    if low < 0 or high > 255:
        raise OptionError(
            f"{named} holds values from {low} to {high}; integers go from 0 to 255.",
            "Bring them there, or give floats from 0 to 1.",
        )
    return array.astype(np.uint8)


Drawn = tuple["Image", "str | None"]
"""A picture, and what it shows (`openai_magics.images.drawn`) where that can be told."""


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure of another library: drawn at the first use, and then that picture for ever.

    ``owner`` is that library's figure; ``identity`` tells what it is without drawing it, where the library can.
    """

    what: str
    owner: object = field(repr=False)
    draw: Callable[[], Drawn] = field(repr=False)
    identity: Callable[[], str] | None = field(default=None, repr=False)

    @cached_property
    def _first(self) -> Drawn:
        return self.draw()

    @property
    def picture(self) -> Image:
        """The figure as it was first drawn.

        Raises
        ------
        OptionError
            It cannot be drawn; the error says why.
        """
        return self._first[0]

    @property
    def drawn(self) -> str | None:
        """What it showed then."""
        return self._first[1]

    @cached_property
    def sha256(self) -> str:
        """Of its pixels, or of what it is where that can be told without drawing it."""
        return self.identity() if self.identity else pixels_hash(self.picture)


def figure_of(value: Any) -> Figure | None:
    """Return a matplotlib or plotly figure, axes, or what shows itself as PNG or JPEG."""
    owner = value
    for _ in range(3):  # axes, a grid of seaborn, a figure in a figure
        if is_a(owner, "matplotlib.figure", "Figure"):
            return Figure("a matplotlib figure", owner, partial(_drawn, owner))
        owner = getattr(owner, "figure", None)
    if is_a(value, "plotly.basedatatypes", "BaseFigure"):
        return Figure(
            "a plotly figure", value, partial(_plotted, value), partial(_plot_hash, value)
        )
    if (shown := _shown(value)) is not None:
        what = f"a picture of type {type(value).__name__}"
        return Figure(what, value, lambda: (_png(shown), None))
    return None


def _drawn(figure: Any) -> Drawn:
    """Draw a matplotlib figure as notebooks show it, with all of its labels."""
    data = BytesIO()
    try:
        # What it warns of, it warned of when the notebook showed it.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            figure.savefig(data, format="png", bbox_inches="tight", dpi=figure.dpi)
    except Exception as error:
        raise OptionError(f"The matplotlib figure cannot be drawn: {error}") from error
    return _png(data.getvalue()), drawn.content(figure)


def _png(data: bytes) -> Image:
    import PIL.Image

    try:
        image = PIL.Image.open(BytesIO(data), formats=["PNG", "JPEG"])
        image.load()
    except Exception as error:
        raise OptionError(f"What was shown is no image: {error}") from error
    image.info = {}
    return image.copy()


def _plotted(figure: Any) -> Drawn:
    try:
        return _png(figure.to_image(format="png")), None
    except OptionError:
        raise
    except Exception as error:
        reason = " ".join(str(error).strip().partition("\n\n")[0].split()).rstrip(":,.")
        raise OptionError(
            f"The plotly figure cannot be drawn: {reason or type(error).__name__}.",
            "It takes kaleido (pip install kaleido) and a Chrome or Chromium on this machine.",
        ) from error


def _plot_hash(figure: Any) -> str:
    """Return the hash of a plotly figure's JSON, so that a replay need not draw it."""
    said = json.loads(figure.to_json())
    for trace in said.get("data", ()):
        trace.pop("uid", None)  # that of a widget is another each time
    layout = said.get("layout", {})
    if "template" in layout:
        # What is in a template that plotly ships differs between its versions.
        shipped = import_module("plotly.io").templates
        own = (name for name in shipped if shipped[name] == figure.layout.template)
        layout["template"] = next(own, layout["template"])
    text = json.dumps(_plain(said), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(b"openai_magics/plotly/1\n" + text.encode()).hexdigest()


def _plain(said: Any) -> Any:
    """Return JSON with arrays as lists, as plotly wrote them before version 6, and 1.0 as 1."""
    if isinstance(said, Mapping):
        if {"dtype", "bdata"} <= set(said):
            import numpy as np

            flat = np.frombuffer(b64decode(said["bdata"]), dtype=said["dtype"])
            shape = [int(side) for side in str(said.get("shape", len(flat))).split(",")]
            return _plain(flat.reshape(shape).tolist())
        return {key: _plain(value) for key, value in said.items()}
    if isinstance(said, list):
        return [_plain(item) for item in said]
    return int(said) if isinstance(said, float) and said.is_integer() else said


def _shown(value: Any) -> bytes | None:
    """Return the PNG or JPEG as which an object shows itself in a notebook."""
    if isinstance(value, type):
        return None
    for name in ("_repr_png_", "_repr_jpeg_"):
        shown = getattr(value, name, None)
        try:
            data = shown() if callable(shown) else None
        except Exception as error:
            kind = type(value).__name__
            raise OptionError(f"A value of type {kind} cannot be shown: {error}") from error
        data = data[0] if isinstance(data, tuple) else data  # with metadata
        if data:
            return b64decode(data) if isinstance(data, str) else bytes(data)
    return None
