"""Training a LoRA adapter, step by step: what `openai_magics.local.train.runner` calls `Work`.

Supervised: the cross-entropy of the answers' tokens. ``dpo``: Rafailov et al. 2023, equation 7,
with the model as it was before the first step as the reference:
``-log sigmoid(beta ((log p(w) - log p0(w)) - (log p(l) - log p0(l))))`` for the preferred answer
*w* and the other one *l*.

Only positions from which something is learned go through the output layer, which is a quarter
of a small model; a batch is cut into pieces that fit into memory, with the same gradient.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from openai_magics.local.train import loading
from openai_magics.local.train.adapter import Converter
from openai_magics.local.train.data import Example, encoded, longest, prompts, sequences
from openai_magics.local.train.plan import Plan
from openai_magics.local.train.runner import OutOfMemory, TrainingFailed
from openai_magics.local.train.spread import Spread
from openai_magics.local.train.text import IGNORED, Encoded, Encoder
from openai_magics.local.train.verify import verified

__all__ = ["Lora"]

LONGEST = 4096
"""Tokens of an example: as many as the engine's own model takes into account."""
PIECE = 4096
"""Tokens of a piece of a batch, padding counted, to begin with."""
LONG = 1024
"""Tokens of an example from which on memory is saved by computing some things twice."""
SMALL = 1_000_000_000
"""Parameters below which a model takes the larger learning rate."""
PROMPTS = 4
"""Conversations that are asked to compare the adapter with what was trained."""


class Lora:
    """An adapter in training; a `Work`.

    Parameters
    ----------
    plan : Plan
    spread : Spread
        The processes that train together.
    tell : callable
        Is told what is worth knowing, in a line.
    """

    def __init__(
        self, plan: Plan, spread: Spread, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        import torch

        self.plan, self.spread, self.tell = plan, spread, tell
        self.device = loading.device(plan.device)
        model, self.tokenizer = loading.base(plan.model, self.device)
        limit = getattr(model.config, "max_position_embeddings", LONGEST)
        encoder = Encoder(self.tokenizer, min(LONGEST, limit))
        self.pieces = PIECE
        self.data = encoded(plan.data, plan.method, encoder)
        self.valid: list[Example] = []
        if plan.validation is not None:
            self.valid = encoded(plan.validation, plan.method, encoder)
        if encoder.cut:
            tell(f"{encoder.cut} examples have more than {encoder.longest} tokens and were cut off")
        self.keeps_logits = "logits_to_keep" in inspect.signature(model.forward).parameters
        small = model.num_parameters() < SMALL
        self.rate = (1e-3 if small else 2e-4) * plan.learning_rate_multiplier
        self.model = loading.with_adapter(model, plan)
        if self._saves_memory():
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
            self.model.enable_input_require_grads()
        self.parameters = [each for each in self.model.parameters() if each.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=self.rate, weight_decay=0.0)
        self.per_epoch = math.ceil(len(self.data) / plan.batch_size)
        self.steps = self.per_epoch * plan.n_epochs
        self.trained_tokens = plan.n_epochs * sum(len(each.ids) for each in sequences(self.data))
        self.converter = None if plan.gguf is None else Converter(plan.gguf)
        self.reference: list[list[float]] = []
        self.valid_reference: list[list[float]] = []
        if plan.method == "dpo":
            self.reference = self._references(self.data)
            self.valid_reference = self._references(self.valid)

    def step(self, number: int) -> dict[str, float]:
        """Do step *number*; see `Work`."""
        import torch

        chosen = self._batch(number)
        while True:
            try:
                return self._step(number, chosen)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _is_memory(error):
                    raise
                if self.pieces <= longest(self.data):
                    raise OutOfMemory(str(error).splitlines()[0]) from None
                self.pieces //= 2
                self.tell(f"Too little memory: going on with {self.pieces} tokens at a time")

    def _step(self, number: int, chosen: list[int]) -> dict[str, float]:
        import torch

        self.model.train()
        self.optimizer.zero_grad()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * (1 - (number - 1) / self.steps)
        mine = self.spread.share(chosen)
        weight = self._weight([self.data[place] for place in chosen])
        totals = torch.zeros(3, device=self.device)
        for loss, counts in self._losses(self.data, self.reference, mine):
            (loss / weight).backward()
            totals += counts
        for each in self.parameters:
            if each.grad is None:
                each.grad = torch.zeros_like(each)
        self.spread.add_up([*(each.grad for each in self.parameters), totals])
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        loss, right, learned = totals.tolist()
        if not math.isfinite(loss):
            raise TrainingFailed(
                "diverged",
                f"The loss is no number any more at step {number}. Take a smaller "
                "learning_rate_multiplier.",
                "hyperparameters.learning_rate_multiplier",
            )
        return _metrics("train", loss / weight, right / learned)

    def validate(self) -> dict[str, float]:
        """Return the loss over the validation file; see `Work`."""
        import torch

        if not self.valid:
            return {}
        self.model.eval()
        totals = torch.zeros(3, device=self.device)
        mine = self.spread.share(list(range(len(self.valid))))
        with torch.no_grad():
            for _, counts in self._losses(self.valid, self.valid_reference, mine):
                totals += counts
        self.spread.add_up([totals])
        loss, right, learned = totals.tolist()
        return _metrics("valid", loss / self._weight(self.valid), right / learned)

    def save(self, folder: Path) -> None:
        """Write PEFT's files, and the adapter for llama.cpp; see `Work`."""
        self.model.save_pretrained(str(folder))
        (folder / "README.md").unlink(missing_ok=True)  # a form that nobody has filled in
        if self.converter is not None:
            self.converter.convert(folder)

    def keep(self, folder: Path) -> None:
        """Write adapter and optimizer; see `Work`."""
        import peft
        import torch

        state = {
            "adapter": peft.get_peft_model_state_dict(self.model),
            "optimizer": self.optimizer.state_dict(),
            "reference": [self.reference, self.valid_reference],
        }
        torch.save(state, folder / "state.pt")

    def go_on(self, folder: Path) -> None:
        """Take up what `keep` wrote; see `Work`."""
        import peft
        import torch

        state = torch.load(folder / "state.pt", map_location=self.device, weights_only=True)
        peft.set_peft_model_state_dict(self.model, state["adapter"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.reference, self.valid_reference = state["reference"]

    def verify(self, folder: Path) -> str:
        """Compare what llama.cpp answers with the trained model; see `Work`."""
        if self.plan.gguf is None:
            return "not verified: the model is no GGUF"
        asked = prompts(self.plan.data, self.plan.method, PROMPTS)
        return verified(self.model, self.tokenizer, self.plan.gguf, folder, asked)

    def _saves_memory(self) -> bool:
        if self.plan.gradient_checkpointing is not None:
            return self.plan.gradient_checkpointing
        return longest(self.data) > LONG

    def _batch(self, number: int) -> list[int]:
        """Return the examples of a step, by their places."""
        import torch

        epoch, step = divmod(number - 1, self.per_epoch)
        order = torch.Generator().manual_seed(self.plan.seed * 1009 + epoch)
        places: list[int] = torch.randperm(len(self.data), generator=order).tolist()
        size = self.plan.batch_size
        return places[step * size : (step + 1) * size]

    def _weight(self, data: list[Example]) -> int:
        """Return by what a sum of losses is divided: tokens learned from, or pairs."""
        if self.plan.method == "dpo":
            return len(data)
        return max(1, sum(each.learned for each in sequences(data)))

    def _losses(
        self, data: list[Example], reference: list[list[float]], places: list[int]
    ) -> Iterator[tuple[Any, Any]]:
        """Yield the loss of pieces (a sum), and loss, right and all tokens as a tensor."""
        import torch

        dpo = self.plan.method == "dpo"
        for piece in self._cut(data, places):
            chosen = [data[place] for place in piece]
            sums, right, learned = self._scored(list(sequences(chosen)))
            if dpo:
                before = torch.tensor([reference[place] for place in piece], device=self.device)
                gained = sums.view(-1, 2) - before
                margin = self.plan.beta * (gained[:, 0] - gained[:, 1])
                loss = -torch.nn.functional.logsigmoid(margin).sum()
                right, learned = right.view(-1, 2)[:, 0], learned.view(-1, 2)[:, 0]
            else:
                loss = -sums.sum()
            yield loss, torch.stack([loss.detach(), right.sum(), learned.sum()]).float()

    def _cut(self, data: list[Example], places: list[int]) -> Iterator[list[int]]:
        """Cut a batch into pieces of at most ``pieces`` tokens, the longest examples together."""

        def size(place: int) -> int:
            return longest([data[place]])

        piece: list[int] = []
        for place in sorted(places, key=size, reverse=True):
            if piece and size(piece[0]) * (len(piece) + 1) * len(data[place]) > self.pieces:
                yield piece
                piece = []
            piece.append(place)
        if piece:
            yield piece

    def _scored(self, encoded: list[Encoded]) -> tuple[Any, Any, Any]:
        """Return, for each sequence, the log-probability of its answers, tokens right, and all."""
        import torch

        longest = max(len(each.ids) for each in encoded)
        pad = self.tokenizer.pad_token_id

        def filled(rows: list[list[int]], value: int) -> Any:
            padded = [row + [value] * (longest - len(row)) for row in rows]
            return torch.tensor(padded, device=self.device)

        ids = filled([each.ids for each in encoded], pad)
        mask = filled([[1] * len(each.ids) for each in encoded], 0)
        labels = filled([each.labels for each in encoded], IGNORED)[:, 1:]
        kept = (labels != IGNORED).any(0).nonzero().flatten()
        labels = labels[:, kept]
        if self.keeps_logits:
            logits = self.model(input_ids=ids, attention_mask=mask, logits_to_keep=kept).logits
        else:
            logits = self.model(input_ids=ids, attention_mask=mask).logits[:, kept]
        there = labels != IGNORED
        losses = torch.nn.functional.cross_entropy(
            logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none"
        ).view(labels.shape)
        right = (logits.detach().argmax(-1) == labels) & there
        return -losses.sum(1), right.sum(1), there.sum(1)

    def _references(self, data: list[Example]) -> list[list[float]]:
        """Return what the model gives the pairs before it is trained."""
        import torch

        found: dict[int, list[float]] = {}
        self.model.eval()
        with torch.no_grad():
            for piece in self._cut(data, list(range(len(data)))):
                sums, _, _ = self._scored(list(sequences(data[place] for place in piece)))
                found |= dict(zip(piece, sums.view(-1, 2).tolist(), strict=True))
        return [found[place] for place in range(len(data))]


def _metrics(kind: str, loss: float, accuracy: float) -> dict[str, float]:
    return {f"{kind}_loss": round(loss, 5), f"{kind}_mean_token_accuracy": round(accuracy, 5)}


def _is_memory(error: BaseException) -> bool:
    import torch

    # On a CPU torch raises a RuntimeError for it, known by its words.
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "not enough memory" in str(error) or "can't allocate memory" in str(error)
