"""What an answer cost, in US dollars, by the price list that the ``genai-prices`` package carries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

__all__ = ["cost"]

LOOPBACK = ("localhost", "127.", "[::1]", "0.0.0.0")  # noqa: S104 - compared, not bound


def cost(
    model: str | None,
    endpoint: str | None,
    usage: Mapping[str, Any],
    created: datetime | None = None,
) -> float:
    """Return US dollars for the tokens of *usage*; NaN where the price is not known.

    Parameters
    ----------
    model : str or None
        As the server names it.
    endpoint : str or None
        The host that answered; ``"local"`` costs nothing.
    usage : mapping
        ``prompt_tokens``, ``completion_tokens`` and their details, as the API counts them.
    created : datetime or None
        When, since prices change.
    """
    if endpoint == "local":
        return 0.0
    unknown = float("nan")
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if model is None or endpoint is None or prompt is None or endpoint.startswith(LOOPBACK):
        return unknown
    from genai_prices import Usage, calc_price

    try:
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        price = calc_price(
            Usage(input_tokens=prompt, output_tokens=completion or 0, cache_read_tokens=cached),
            model_ref=model,
            provider_api_url=f"https://{endpoint}/v1",
            genai_request_timestamp=created,
        )
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError):
        return unknown  # the service, the model, or how it counts is not known
    return float(price.total_price)
