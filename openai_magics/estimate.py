"""What an ask would send and cost, without sending it (``--dry-run``)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from openai_magics import local, prices
from openai_magics.connection import Target, choose
from openai_magics.errors import NotConnected
from openai_magics.exchange import Message, Request, canonical_json, image_parts

if TYPE_CHECKING:
    from openai_magics.client import Live

__all__ = ["facts", "tokens"]

PER_MESSAGE, PER_REPLY = 3, 3
"""Tokens around each message and before the reply, as OpenAI's cookbook counts them."""
CHARACTERS = 4
"""Characters to a token of English, roughly."""


def tokens(messages: Sequence[Message]) -> tuple[int, bool]:
    """Return the tokens of *messages* and whether they were counted (else estimated).

    Counted with the vocabulary ``o200k_base``, which the models of OpenAI use since gpt-4o,
    where the ``tokens`` extra is installed; other models' vocabularies differ by some per cent.
    """
    texts = [text for message in messages for text in _texts(message.get("content"))]
    around = PER_MESSAGE * len(messages) + PER_REPLY
    try:
        import quicktok
    except ImportError:
        return around + sum(-(-len(text) // CHARACTERS) for text in texts), False
    encoding = quicktok.get_encoding("o200k_base")
    clean = [text.encode("utf-8", "replace").decode() for text in texts]
    return around + sum(len(encoding.encode_ordinary(text)) for text in clean), True


def _texts(content: Any) -> list[str]:
    """Return the texts of a message; an image has none."""
    if isinstance(content, str):
        return [content]
    if not isinstance(content, (list, tuple)):
        return [json.dumps(content, ensure_ascii=False)]
    return [str(part["text"]) for part in content if isinstance(part.get("text"), str)]


def _images(request: Request, model: str | None) -> tuple[list[str], int, bool]:
    """Return a line for each image, what they count together, and whether that is all of it.

    The images are prepared for it as they would be sent.
    """
    from openai_magics.images import vision

    lines: list[str] = []
    total, known = 0, True
    held = {canonical_json(item.said): item for item in request.attachments}
    for part in image_parts((*request.history, *request.messages)):
        if "url" in part:
            lines.append(f"{part['url']}: not fetched for this, its size is not known")
            known = False
            continue
        _, kept = held[canonical_json(part)].wired(model)
        width, height = kept["width"], kept["height"]
        count = vision.tokens(width, height, part["detail"], model)
        lines.append(
            "{} x {} pixels, sent as {} x {} {}, {} tokens ({})".format(
                *kept["original"],
                width,
                height,
                kept["media_type"].partition("/")[2].upper(),
                "an unknown number of" if count is None else count,
                kept["name"],
            )
        )
        known = known and count is not None
        total += count or 0
    return lines, total, known


def facts(request: Request, live: Live, *, recorded: bool) -> dict[str, str]:
    """Return what there is to say of *request*: model, endpoint, parameters, tokens, price."""
    said: dict[str, str] = {}
    system = request.system
    if system is None:
        system = live.settings.get("system_instruction")
    target: Target | None = None
    try:
        # Not `live.target`, which may ask the person for a key: nothing is sent.
        target = choose(live.settings, request.model, request.endpoint, given=live.key)
    except NotConnected as error:
        said["model"] = f"{request.model or '?'} ({error.problem})"
    else:
        said["model"] = target.model or "the only one of the server"
        said["endpoint"] = f"{target.base_url or 'the engine on this machine'} ({target.why})"
        if target.local and system is None:
            system = local.DEFAULT_SYSTEM_PROMPT
    if request.parameters:
        said["parameters"] = json.dumps(request.parameters, ensure_ascii=False)
    first: list[Message] = [{"role": "system", "content": system}] if system else []
    count, exact = tokens([*first, *request.history, *request.messages])
    if request.attachments:
        lines, more, known = _images(request, target.model if target else request.model)
        said["images"] = "\n".join(lines)
        said["image tokens"] = f"{more}" if known else f"{more} and those that are not known"
        count += more
        exact = exact and known
    said["prompt tokens"] = (
        str(count) if exact else f"about {count} (the extra `tokens` counts them)"
    )
    price = float("nan")
    if target is not None:
        price = prices.cost(target.model, target.endpoint, {"prompt_tokens": count})
    said["price of the prompt"] = "not known" if math.isnan(price) else f"{price:.6f} USD"
    said["recorded"] = "yes: it would be replayed" if recorded else "no: it would be asked"
    if system:
        said["system"] = system
    return said
