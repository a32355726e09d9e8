"""What an ask would send and cost, without sending it (``--dry-run``)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openai_magics import local, prices, render
from openai_magics.connection import Target, choose
from openai_magics.errors import NotConnected, OptionError, Unreachable
from openai_magics.exchange import Attachment, Message, Request, canonical_json, image_parts
from openai_magics.token_count import estimated

if TYPE_CHECKING:
    from openai_magics.client import Live

__all__ = ["facts", "facts_of_many", "listed", "tokens"]

PER_MESSAGE, PER_REPLY = 3, 3
"""Tokens around each message and before the reply, as OpenAI's cookbook counts them."""
MOST_LINES = 20
"""Images that are told one by one."""


def tokens(messages: Sequence[Message]) -> tuple[int, bool]:
    """Return the tokens of *messages* and whether they were counted (else estimated).

    Counted with the vocabulary ``o200k_base``, which the models of OpenAI use since gpt-4o,
    where the ``tokens`` extra is installed; other models' vocabularies differ by some per cent.
    """
    count, exact = _of_texts(text for message in messages for text in _texts(message))
    return PER_MESSAGE * len(messages) + PER_REPLY + count, exact


def _of_texts(texts: Iterable[str]) -> tuple[int, bool]:
    """Return the tokens of texts and whether they were counted."""
    try:
        import quicktok
    except ImportError:
        return sum(map(estimated, texts)), False
    encoding = quicktok.get_encoding("o200k_base")
    clean = [text.encode("utf-8", "replace").decode() for text in texts]
    return sum(len(encoding.encode_ordinary(text)) for text in clean), True


def _texts(message: Message) -> list[str]:
    """Return the texts of a message, calls of tools among them; an image has none."""
    content = message.get("content")
    called = [canonical_json(call).decode() for call in message.get("tool_calls") or ()]
    if isinstance(content, str):
        return [content, *called]
    if content is None and called:
        return called
    if not isinstance(content, (list, tuple)):
        return [json.dumps(content, ensure_ascii=False), *called]
    texts = [str(part["text"]) for part in content if isinstance(part.get("text"), str)]
    return [*texts, *called]


@dataclass(frozen=True)
class _Image:
    """What is sent of an image: a line, its pixels, its tokens (``None``: not known)."""

    line: str
    pixels: int = 0
    tokens: int | None = None
    sent: bool = True


def _images(request: Request, model: str | None) -> list[_Image]:
    """Return what is sent of the images of a request; they are prepared for it."""
    held = {canonical_json(item.said): item for item in request.attachments}
    parts = image_parts((*request.history, *request.messages))
    return [_image(part, held[canonical_json(part)], model) for part in parts]


def _image(part: Mapping[str, Any], item: Attachment, model: str | None) -> _Image:
    from openai_magics.images import vision

    try:
        _, kept = item.wired(model)
    except (OptionError, Unreachable) as error:
        return _Image(f"not sent: {error.problem} {error.remedy}".rstrip(), tokens=0, sent=False)
    if "url" in part and not getattr(item, "fetch", False):
        return _Image(f"{part['url']}: not fetched for this (--fetch does), its size is not known")
    width, height = kept["width"], kept["height"]
    count = vision.tokens(width, height, part["detail"], model)
    line = "{} x {} pixels, sent as {} x {} {}, {} tokens ({})".format(
        *kept["original"],
        width,
        height,
        kept["media_type"].partition("/")[2].upper(),
        "an unknown number of" if count is None else count,
        ", ".join([kept.get("name") or f"{part['url']}, fetched", *render.cut_of(kept)]),
    )
    return _Image(line, width * height, count)


def facts(request: Request, live: Live, *, recorded: bool) -> dict[str, str]:
    """Return what there is to say of *request*: model, endpoint, parameters, tokens, price."""
    return facts_of_many([request], live, recorded=int(recorded))


def facts_of_many(requests: Sequence[Request], live: Live, *, recorded: int) -> dict[str, str]:
    """Return what there is to say of requests that differ by their images: as `facts`, in all.

    *recorded* is how many of them are.
    """
    request = requests[0]
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
            system = local.system_prompt(target.model)
    if request.parameters:
        said["parameters"] = json.dumps(request.parameters, ensure_ascii=False)
    first: list[Message] = [{"role": "system", "content": system}] if system else []
    model = target.model if target else request.model
    count, exact, refused = _counted(requests, first, model, said)
    said["prompt tokens"] = str(count) if exact else f"about {count} ({_why(requests)})"
    said |= _asked_for(request)
    price = float("nan")
    if target is not None:
        price = prices.cost(target.model, target.endpoint, {"prompt_tokens": count})
    said["price of the prompt"] = "not known" if math.isnan(price) else f"{price:.6f} USD"
    unseen = "images" in said and target is not None and target.local and not local.sees()
    if unseen and request.kind == "describe":
        said["seen by"] = "no model (%describe tells size, colours and text without one)"
    refused = refused or (unseen and request.kind != "describe")
    said["recorded"] = _recorded(recorded, len(requests), refused=refused)
    if system:
        said["system"] = system
    return said


def _recorded(recorded: int, count: int, *, refused: bool) -> str:
    if count > 1:
        return f"{recorded} of {count} would be replayed"
    if recorded:
        return "yes: it would be replayed"
    return "no: it would be refused" if refused else "no: it would be asked"


def listed(lines: Sequence[str]) -> str:
    """Return lines as one text, the first of them where they are many."""
    more = [f"… and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
    return "\n".join([*lines[:MOST_LINES], *more])


def _why(requests: Sequence[Request]) -> str:
    """Return why the number of tokens is not sure."""
    if not tokens([])[1]:
        return "the extra `tokens` counts them"
    beside = any(True for each in requests for _ in _beside(each))
    return "schema and tools as JSON" if beside else "without what is not known of images"


def _counted(
    requests: Sequence[Request], first: Sequence[Message], model: str | None, said: dict[str, str]
) -> tuple[int, bool, bool]:
    """Return the tokens of requests, whether all were counted, and whether an image is refused.

    *said* gets what there is to say of the images.
    """
    count, exact = 0, True
    images: list[_Image] = []
    for each in requests:
        more, counted = tokens([*first, *each.history, *each.messages])
        beside, _ = _of_texts(_beside(each))
        count, exact = count + more + beside, exact and counted and not beside
        if each.attachments:
            images += _images(each, model)
    if images:
        known = [image.tokens for image in images if image.tokens is not None]
        rest = "" if len(known) == len(images) else " and those that are not known"
        said["images"] = listed([image.line for image in images])
        said["pixels sent"] = f"{sum(image.pixels for image in images):,}"
        said["image tokens"] = f"{sum(known)}{rest}"
        count, exact = count + sum(known), exact and not rest
    return count, exact, any(not image.sent for image in images)


def _beside(request: Request) -> Iterator[str]:
    """Yield schema and tools as JSON; how the service writes them out is not published."""
    for value in (request.schema, *(request.tools or ())):
        if value:
            yield json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _asked_for(request: Request) -> dict[str, str]:
    """Return what is said of tools and schema."""
    said: dict[str, str] = {}
    if request.tools:
        names = (str((tool.get("function") or tool).get("name")) for tool in request.tools)
        said["tools"] = ", ".join(names)
    if request.schema:
        said["schema"] = json.dumps(request.schema, ensure_ascii=False)
    return said
