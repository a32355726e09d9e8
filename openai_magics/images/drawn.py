"""What a matplotlib figure shows, apart from how a version of matplotlib draws it.

The pixels of one figure differ between versions of matplotlib and sets of fonts; what was plotted
does not. `content` is the SHA-256 of a listing of it: of each axes its limits, scales, labels and
tick labels, and of every line, patch, collection, picture and text its data in data coordinates
and its colours, numbers to 20 bits. It is no identity, for a style may not be listed: it only
confirms that two figures which look alike show the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

__all__ = ["content"]

KNOWN = re.compile(
    r"Line2D|Text|Annotation|Legend|AxesImage|Rectangle|Polygon|PathPatch|Wedge|Circle"
    r"|Ellipse|Arc|RegularPolygon|FancyBboxPatch|FancyArrowPatch|FancyArrow|StepPatch"
    r"|Shadow|Arrow|PathCollection|LineCollection|PolyCollection"
    r"|FillBetweenPolyCollection|PatchCollection|EventCollection|QuadMesh"
    r"|CircleCollection|RegularPolyCollection"
)
"""Artists that the listing tells wholly."""
DRESSING = ("Spine", "XAxis", "YAxis", "ThetaAxis", "RadialAxis", "_ColorbarSpine")
"""Parts of axes, of which the listing has what matters."""
AXES = ("Axes", "AxesSubplot", "PolarAxes", "PolarAxesSubplot")


def content(figure: Any) -> str | None:
    """Return the hash, in hex, of what a drawn figure shows; ``None`` where that cannot be told.

    It cannot where something in it is of a class that is not known here (3-D axes, contours).
    """
    try:
        listing = list(_figure(figure))
    except _Unknown:
        return None
    return hashlib.sha256("\n".join(listing).encode("utf-8", "backslashreplace")).hexdigest()


class _Unknown(Exception):
    pass


def _figure(figure: Any) -> Iterator[str]:
    yield f"figure {_numbers(figure.get_size_inches())}"
    for artist in figure.get_children():
        if artist is figure.patch:
            yield _colour(artist.get_facecolor())
        elif artist not in figure.axes:
            yield from _artist(artist)
    for axes in figure.axes:
        yield from _axes(axes)


def _axes(axes: Any) -> Iterator[str]:
    if type(axes).__name__ not in AXES:
        raise _Unknown
    # Not its place: a layout follows the width of its labels, which is the fonts' affair.
    yield f"axes {axes.get_xscale()} {axes.get_yscale()}"
    yield f"limits {_numbers(axes.get_xlim())} {_numbers(axes.get_ylim())} {axes.axison}"
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=False)
        labels = [label.get_text() for place, label in ticks if low <= place <= high]
        yield f"axis {axis.get_label_text()!r} {labels!r} {axis.get_visible()}"
    listed: list[str] = []
    for artist in axes.get_children():
        if artist is axes.patch:
            yield _colour(artist.get_facecolor())
        elif type(artist).__name__ not in DRESSING:
            listed += _artist(artist)
    yield from sorted(listed)  # versions hold them in another order


def _artist(artist: Any) -> Iterator[str]:
    name = type(artist).__name__
    if not KNOWN.fullmatch(name):
        raise _Unknown
    if not artist.get_visible():
        return
    if name == "Legend":
        said = [repr(text.get_text()) for text in artist.get_texts()]
    elif name in ("Text", "Annotation"):
        said = list(_text(artist))
    elif name == "Line2D":
        said = [_numbers(artist.get_xydata()), _colour(artist.get_color())]
        said += ["line", repr(artist.get_linestyle()), repr(artist.get_marker())]
    elif name == "AxesImage":
        said = [_numbers(artist.get_array()), _numbers(artist.get_extent())]
        said += [artist.get_cmap().name, _numbers(artist.get_clim())]
    elif hasattr(artist, "get_offsets"):
        said = list(_collection(artist))
    else:
        said = list(_patch(artist))
    if said:
        yield " ".join(said)


def _text(artist: Any) -> Iterator[str]:
    if artist.get_text():
        yield repr(artist.get_text())
        yield _colour(artist.get_color())
        yield _numbers(getattr(artist, "xy", ()))


def _patch(artist: Any) -> Iterator[str]:
    if type(artist).__name__ == "Wedge":  # its path has the noise of 32-bit floats
        shape = (*artist.center, artist.r, artist.theta1, artist.theta2, artist.width or 0)
        yield _numbers(shape, 13)
    else:
        path = artist.get_patch_transform().transform_path(artist.get_path())
        if not len(path.vertices):
            return
        yield _path(path)
    yield _colour(artist.get_facecolor())
    yield _colour(artist.get_edgecolor())


def _collection(artist: Any) -> Iterator[str]:
    yield _numbers(artist.get_offsets())
    yield _numbers(artist.get_array())
    yield _colour(artist.get_facecolor())
    yield _colour(artist.get_edgecolor())
    for path in artist.get_paths():
        yield _path(path)
    if hasattr(artist, "get_sizes"):
        yield _numbers(artist.get_sizes())


def _path(path: Any) -> str:
    """Return the points of a path; where one begins, and how it ends, differs between versions."""
    import numpy as np

    points = np.asarray(path.vertices, dtype=float)
    if path.codes is not None:
        points = points[path.codes != path.CLOSEPOLY]
    if len(points) > 1:
        points = points[np.append(True, np.abs(np.diff(points, axis=0)).max(axis=1) > 1e-9)]
    return _numbers(points[np.lexsort(points.T)])


def _colour(value: Any) -> str:
    colours = import_module("matplotlib.colors").to_rgba_array(value)
    same = bool((colours == colours[:1]).all())  # one for all, or as many as there are points
    return _numbers(colours[:1] if same else colours)


def _numbers(values: Any, bits: int = 20) -> str:
    """Return a hash of numbers of any shape, to so many bits; next to nothing counts as zero."""
    import numpy as np

    if values is None:
        return "-"
    flat: Any = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan).ravel()
    size = np.abs(np.nan_to_num(flat, posinf=0, neginf=0))
    flat = np.where((size <= 1e-9 * size.max(initial=0)) & np.isfinite(flat), 0.0, flat)
    # To bits, not to digits: numbers people use lie between two digits, and fall either way.
    mantissa, exponent = np.frexp(flat)
    told = np.stack([np.rint(mantissa * 2**bits), exponent]).astype("<f8") + 0.0  # no -0
    return hashlib.sha256(told.tobytes()).hexdigest()[:16]
