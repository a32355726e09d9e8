"""The images of a request as they go over the wire, and what its record keeps of them."""

from __future__ import annotations

from typing import Any

from openai_magics.exchange import Request, canonical_json, image_parts

__all__ = ["Parts", "sent_images"]

Parts = dict[bytes, Any]
"""What goes over the wire for each image (see `wire.chat.body`)."""


def sent_images(request: Request, model: str | None) -> tuple[Parts, list[Any]]:
    """Return what is sent of the images of a request, and what is kept of those of this turn.

    Raises
    ------
    OptionError
        One of them cannot be read.
    """
    if not request.attachments:
        return {}, []
    held = {canonical_json(item.said): item for item in request.attachments}
    own = {canonical_json(part) for part in image_parts(request.messages)}
    parts, kept = {}, []
    for part in image_parts((*request.messages, *request.history)):
        name = canonical_json(part)
        if name not in parts:
            parts[name], told = held[name].wired(model)
            kept += [told] if name in own else []
    return parts, kept
