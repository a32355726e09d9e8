"""Whether llama.cpp, with the adapter, answers as the model that was trained.

It is asked a few of the prompts, and says the log-probabilities of the likeliest tokens at each
place of its answer; the trained model is given the same answer, and has to say about the same.
The likeliest twenty are compared, not the chosen token alone, of which both are sure.

Two programs that do the same arithmetic on rounded weights differ too, and the more, the more an
adapter changes. So what may be is measured: how far they differ without the adapter, and how far
the adapter moves the trained model. Of that movement right adapters differed by 0.04 and 0.05,
those with the rows of the query and key matrices in the wrong order by 0.12 and 0.17 (a strong
adapter, and one of 13 steps).
"""

from __future__ import annotations

import json
import statistics
import urllib.request
from pathlib import Path
from typing import Any

from openai_magics.local import process
from openai_magics.local.train.runner import TrainingFailed

__all__ = ["verified"]

MOST_OF_ROUNDING, MOST_OF_EFFECT = 1.3, 0.075
"""How far the two may differ, of how far they do without the adapter, and of what it changes."""
LEAST = 0.05
"""Nats that they may differ anyway: models that are not rounded differ by next to nothing."""
LIKELIEST = 20
"""Tokens that are compared at each place."""
TOKENS = 16
"""Tokens of each answer that are compared."""


def verified(
    model: Any, tokenizer: Any, base: Path, folder: Path, prompts: list[list[dict[str, Any]]]
) -> str:
    """Return how far the two differ, in words.

    Parameters
    ----------
    model, tokenizer
        What was trained, in transformers.
    base : Path
        The GGUF that it was loaded from.
    folder : Path
        Holds ``adapter.gguf``.
    prompts : list of list of message
        What is asked.

    Raises
    ------
    TrainingFailed
        They differ too much.
    """
    with model.disable_adapter():
        before, _ = _compared(model, tokenizer, base, None, prompts)
    after, effect = _compared(model, tokenizer, base, folder / "adapter.gguf", prompts)
    said = (
        f"{after:.3f} nats with the adapter, which changes {effect:.3f}, and {before:.3f} without"
    )
    if after > max(LEAST, MOST_OF_ROUNDING * before, MOST_OF_EFFECT * effect):
        raise TrainingFailed(
            "adapter_differs",
            "The adapter does not answer in llama.cpp as the model that was trained: their "
            f"log-probabilities differ by {said}, on average. The model's architecture is not "
            "converted as it should be; take another model.",
        )
    return f"log-probabilities differ by {said}, on average"


def _compared(
    model: Any,
    tokenizer: Any,
    base: Path,
    adapter: Path | None,
    prompts: list[list[dict[str, Any]]],
) -> tuple[float, float]:
    """Return by how much the model and llama.cpp differ, and the model without its adapter."""
    child = process.start(base, name="verify", adapter=adapter)
    try:
        found = [one for each in prompts for one in _differences(model, tokenizer, child, each)]
    finally:
        child.stop()
    if not found:
        return 0.0, 0.0
    return statistics.fmean(one for one, _ in found), statistics.fmean(one for _, one in found)


def _differences(
    model: Any, tokenizer: Any, child: process.Child, messages: list[dict[str, Any]]
) -> list[tuple[float, float]]:
    """Return both differences for the likeliest tokens at each place of an answer, in nats."""
    import torch

    from openai_magics.local.train.text import Encoder

    asked = Encoder(tokenizer, 1 << 30).prompt(messages)
    answer = _asked(child.engine, messages)
    if answer["usage"]["prompt_tokens"] != len(asked):
        raise TrainingFailed(
            "adapter_differs",
            "llama.cpp writes a conversation otherwise than the tokenizer that was trained with: "
            f"{answer['usage']['prompt_tokens']} tokens, not {len(asked)}.",
            "model",
        )
    tokens = answer["choices"][0]["logprobs"]["content"]
    ids = [token["id"] for token in tokens]
    model.eval()
    given = torch.tensor([asked + ids], device=model.device)

    def said() -> Any:
        logits = model(input_ids=given).logits[0, len(asked) - 1 : -1]
        return torch.log_softmax(logits.float(), -1)

    with torch.no_grad():
        tuned = said()
        with model.disable_adapter():
            plain = said()
    return [
        (
            abs(float(tuned[place, one["id"]]) - one["logprob"]),
            abs(float(tuned[place, one["id"]] - plain[place, one["id"]])),
        )
        for place, token in enumerate(tokens)
        for one in token["top_logprobs"]
    ]


def _asked(engine: process.Engine, messages: list[dict[str, Any]]) -> dict[str, Any]:
    plain = [{"role": m["role"], "content": m["content"]} for m in messages]
    body = {"model": engine.model, "messages": plain, "max_tokens": TOKENS, "temperature": 0}
    request = urllib.request.Request(  # noqa: S310 - our own server on loopback
        f"{engine.base_url}/chat/completions",
        data=json.dumps(body | {"logprobs": True, "top_logprobs": LIKELIEST}).encode(),
        headers={"Authorization": f"Bearer {engine.api_key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        value: dict[str, Any] = json.load(answer)
    return value
