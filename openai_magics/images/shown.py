"""What a cell shows of descriptions: the answer beside a small image, or a table of many."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence

from openai_magics.errors import MagicsError
from openai_magics.exchange import Reply
from openai_magics.render import Bundle, answer, printable, table

__all__ = ["described", "descriptions"]

SMALL_IMAGE = re.compile(r"data:image/jpeg;base64,[A-Za-z0-9+/]{1,40000}={0,2}")
MOST_SHOWN = 50


def described(reply: Reply, form: str = "markdown") -> Bundle:
    """Return what a cell shows of a description: the answer beside the small image of its record.

    Raises
    ------
    BadReply
        As `answer`.
    """
    data, metadata = answer(reply, form)
    image = next(iter(reply.resolved.images), {})
    small = str(image.get("thumbnail"))
    if not SMALL_IMAGE.fullmatch(small):  # a record may come from anywhere
        return data, metadata
    name = html.escape(printable(str(image.get("name") or "")))
    picture = f'<img src="{small}" alt="{name}" title="{name}" style="max-width: 128px">'
    beside = (
        '<div style="display: flex; gap: 1em; align-items: flex-start">'
        f'<div style="flex: none">{picture}</div><div>{data["text/html"]}</div></div>'
    )
    return {**data, "text/html": beside}, metadata


def descriptions(rows: Sequence[tuple[str, Reply | None, MagicsError | None]]) -> Bundle:
    """Return what a cell shows of many descriptions: a table of names, and texts or errors.

    Of more than 50 the first are shown: all of them are in the DataFrame.
    """
    told = [
        (name, reply.text if reply else f"{type(error).__name__}: {error and error.problem}")
        for name, reply, error in rows
    ]
    failed = sum(error is not None for _, _, error in rows)
    costs = [reply.cost for _, reply, _ in rows if reply is not None]
    said = f"{len(rows)} images" + (f", {failed} failed" if failed else "")
    if costs and not math.isnan(sum(costs)):
        said += f", {sum(costs):.4f} USD"
    if len(told) > MOST_SHOWN:
        said += f"; the first {MOST_SHOWN} are shown, all are in the DataFrame"
    return table(told[:MOST_SHOWN], said)
