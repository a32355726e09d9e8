"""What an ask would send and cost, without sending it (``--dry-run``)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from openai_magics import local, prices
from openai_magics.connection import Target, choose
from openai_magics.errors import NotConnected
from openai_magics.exchange import Message, Request

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
    texts = [
        content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        for content in (message.get("content") for message in messages)
    ]
    around = PER_MESSAGE * len(texts) + PER_REPLY
    try:
        import quicktok
    except ImportError:
        return around + sum(-(-len(text) // CHARACTERS) for text in texts), False
    encoding = quicktok.get_encoding("o200k_base")
    clean = [text.encode("utf-8", "replace").decode() for text in texts]
    return around + sum(len(encoding.encode_ordinary(text)) for text in clean), True


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
