"""The card of an exported model: a README as Hugging Face reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["card"]

LOSSES = ("step", "train_loss", "valid_loss", "train_mean_token_accuracy")


def card(lineage: dict[str, Any]) -> str:
    """Return the card of a model from its lineage (see `openai_magics.local.train.export`)."""
    return "\n".join(_lines(lineage)) + "\n"


def _lines(lineage: dict[str, Any]) -> Iterator[str]:
    base = lineage["base"]
    yield "---"
    yield f"license: {base['license'] or 'unknown'}"
    yield f"base_model: {base['name']}"
    yield "library_name: peft"
    yield "tags: [lora, gguf]"
    yield "---"
    yield ""
    yield f"# {lineage['model']}"
    yield ""
    yield f"{base['name']} with a LoRA adapter, trained by openai_magics ({lineage['method']})."
    yield f"The licence is the base model's: {base['license'] or 'not stated in its file'}."
    yield ""
    yield "## Use"
    yield ""
    yield "- `model.gguf`: base model and adapter in one, for llama.cpp and what is built on it"
    yield "- `adapter.gguf`: the adapter alone, for llama.cpp beside the base model (`--lora`)"
    yield "- `peft/`: the adapter for transformers, with PEFT"
    yield ""
    yield "## Where it comes from"
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| base model | {base['file']}, SHA-256 `{base['sha256']}` |"
    for what, file in lineage["data"].items():
        name = file["filename"] or "deleted since"
        yield f"| {what.replace('_', ' ')} | {name}, SHA-256 `{file['sha256']}` |"
    yield f"| job | {lineage['job']} |"
    for name, value in lineage.get("notebook", {}).items():
        yield f"| in the notebook: {name} | {', '.join(value) if isinstance(value, list) else value} |"
    for name, value in lineage["hyperparameters"].items():
        yield f"| {name} | {value} |"
    yield f"| seed | {lineage['seed']} |"
    yield f"| tokens trained | {lineage['trained_tokens']} |"
    yield f"| begun, done | {lineage['created']}, {lineage['finished']} |"
    yield ""
    yield "## Losses"
    yield ""
    yield f"| {' | '.join(LOSSES)} |"
    yield "|---" * len(LOSSES) + "|"
    for point in lineage["checkpoints"]:
        yield f"| {' | '.join(str(point.get(name, '')) for name in LOSSES)} |"
