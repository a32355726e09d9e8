"""Whether llama.cpp, with the adapter, answers as the model that was trained.

It is asked a few of the prompts, and says the log-probability of each token of its answer; the
trained model is given the same tokens, and has to say about the same.
"""

from __future__ import annotations

import json
import statistics
import urllib.request
from pathlib import Path
from typing import Any

from openai_magics.local import process
from openai_magics.local.train.runner import TrainingFailed

__all__ = ["MOST", "verified"]

MOST = 0.25
"""The mean difference of log-probabilities, in nats, that may be."""
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
    child = process.start(base, name="verify", adapter=folder / "adapter.gguf")
    try:
        found = [one for each in prompts for one in _differences(model, tokenizer, child, each)]
    finally:
        child.stop()
    mean = statistics.fmean(found) if found else 0.0
    said = f"{mean:.3f} nats over {len(found)} tokens"
    if mean > MOST:
        raise TrainingFailed(
            "adapter_differs",
            "The adapter does not answer in llama.cpp as the model that was trained: their "
            f"log-probabilities differ by {said} on average, and {MOST} is the most that may be. "
            "The model's architecture is not converted as it should be; take another model.",
        )
    return f"log-probabilities differ by {said} on average"


def _differences(
    model: Any, tokenizer: Any, child: process.Child, messages: list[dict[str, Any]]
) -> list[float]:
    """Return, for the tokens of an answer, by how much the two log-probabilities differ."""
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
    with torch.no_grad():
        given = torch.tensor([asked + ids], device=model.device)
        logits = model(input_ids=given).logits[0, len(asked) - 1 : -1]
    said = torch.log_softmax(logits.float(), -1)
    return [
        abs(float(said[place, number]) - token["logprob"])
        for place, (number, token) in enumerate(zip(ids, tokens, strict=True))
    ]


def _asked(engine: process.Engine, messages: list[dict[str, Any]]) -> dict[str, Any]:
    plain = [{"role": m["role"], "content": m["content"]} for m in messages]
    body = {"model": engine.model, "messages": plain, "max_tokens": TOKENS, "temperature": 0}
    request = urllib.request.Request(  # noqa: S310 - our own server on loopback
        f"{engine.base_url}/chat/completions",
        data=json.dumps(body | {"logprobs": True, "top_logprobs": 1}).encode(),
        headers={"Authorization": f"Bearer {engine.api_key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        value: dict[str, Any] = json.load(answer)
    return value
