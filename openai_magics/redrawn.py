"""The record of a figure that another machine drew: the same request but for some pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from openai_magics.dialogue import DialogueFile
from openai_magics.exchange import Exchange, Message, Request, image_parts
from openai_magics.images.likeness import alike

__all__ = ["redrawn"]


def redrawn(request: Request, dialogue: DialogueFile) -> Exchange | None:
    """Return the answer to a request that differs by the pixels of its figures alone.

    They must be alike (`openai_magics.images.likeness.alike`): the same content, and a look
    that hardly differs.
    """
    own = image_parts(request.messages)
    looks = {
        item.said.get("sha256"): item.likeness
        for item in request.attachments
        if item.said in own and item.likeness
    }
    if not looks:
        return None
    found: Exchange | None = None
    for item in dialogue:
        if item.occurrence != request.occurrence or not item.resolved.images:
            continue
        then = {image.get("sha256"): image for image in item.resolved.images}
        messages = _with_figures_of(item.request.messages, request.messages, then, looks)
        if messages is None:
            continue
        if replace(item.request, messages=messages).fingerprint == request.fingerprint:
            found = item  # the last one of a slot is its answer
    return found


def _with_figures_of(
    recorded: Sequence[Message],
    wanted: Sequence[Message],
    then: Mapping[Any, Mapping[str, Any]],
    looks: Mapping[Any, Mapping[str, str]],
) -> tuple[Message, ...] | None:
    """Return the *recorded* messages with the *wanted* figures where both are alike."""
    before, now = image_parts(recorded), image_parts(wanted)
    if len(before) != len(now):
        return None
    same: dict[Any, Any] = {}
    for one, other in zip(before, now, strict=True):
        old, new = one.get("sha256"), other.get("sha256")
        if old != new:
            if not (old in then and new in looks and alike(then[old], looks[new])):
                return None
            same[old] = new

    def exchanged(part: Any) -> Any:
        if isinstance(part, Mapping) and part.get("type") == "image":
            return {**part, "sha256": same[part["sha256"]]} if part.get("sha256") in same else part
        return part

    return tuple(
        {**message, "content": [exchanged(part) for part in message["content"]]}
        if isinstance(message.get("content"), list)
        else message
        for message in recorded
    )
