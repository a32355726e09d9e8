"""What follows from where a job would go: the model, its price, its end, who counts and refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openai_magics.config import Settings
from openai_magics.connection import LOCAL, OPENAI, Target, host
from openai_magics.training.job import JobOptions
from openai_magics.training.lengths import auto_epochs, limit
from openai_magics.training.own import Counter

__all__ = ["DEFAULT", "Terms", "own_counter", "price", "terms"]

DEFAULT = "gpt-4.1-mini"
"""What OpenAI tunes where nobody names a model: its default for asking cannot be tuned."""
PRICES = {"gpt-4.1": 25.0, "gpt-4.1-mini": 5.0, "gpt-4.1-nano": 1.5}
"""US dollars for a million tokens of supervised training: openai.com/api/pricing as it stood in
autumn 2025 (stored copies). What it lists no price for, or by the hour, has none here."""
ENDS = dict.fromkeys(("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini"), "2027-01-14")
"""When OpenAI turns a model off, with all that is tuned from it (``shutdown_date`` of the API
description of 2026-08-21)."""
DATED = re.compile(r"(?:ft:)?(?P<family>[^:]+?)(?:-\d{4}-\d\d-\d\d)?(?::.*)?")


@dataclass(frozen=True)
class Terms:
    """What holds for a job.

    Attributes
    ----------
    model : str or None
        The model that is trained.
    where : str
        The model and its place, for people; empty where neither is known.
    retires : str
        The day on which the model, and what is tuned from it, is turned off; or empty.
    refused_by : str or None
        Who takes no fewer than ten examples.
    epochs : callable
        What ``auto`` comes to for so many examples.
    local : bool
        Whether this machine trains.
    """

    model: str | None
    where: str
    retires: str
    refused_by: str | None
    epochs: Callable[[int], int]
    local: bool = False

    def price(self, method: str | None, tokens: int) -> float:
        """Return US dollars for so many tokens to train on; NaN where it is not known."""
        if self.local:
            return 0.0
        hosted = self.refused_by is not None
        return price(self.model, tokens) if hosted and method == "supervised" else float("nan")


def price(model: str | None, tokens: int) -> float:
    """Return what OpenAI takes for supervised training on so many tokens; NaN if not known."""
    return PRICES.get(_family(model), float("nan")) * tokens / 1_000_000


def terms(settings: Settings, options: JobOptions, target: Target | None) -> Terms:
    """Return what holds for a job that would go to *target*; nothing is asked."""
    model = options.model or settings.said("model")
    address = options.base_url or settings.said("base_url")
    if LOCAL in (model, address) or (target is not None and target.local):
        if model in (None, LOCAL):
            model = target.model if target is not None and target.local else None
        name = Path(model).name if model else "the engine's model"
        where = f"{name} on this machine"
        return Terms(model, where, "", "this machine", _local_epochs, local=True)
    endpoint = target.endpoint if target is not None else host(address) if address else None
    if settings.get("model") is None and options.model is None:
        model = DEFAULT if endpoint == host(OPENAI) else None
    elif target is not None:
        model = target.model or model
    where = f"{model or 'its default model'} at {endpoint}" if endpoint else model or ""
    if endpoint != host(OPENAI):
        return Terms(model, where, "", None, auto_epochs)
    return Terms(model, where, ENDS.get(_family(model), ""), "OpenAI", auto_epochs)


def _family(model: str | None) -> str:
    """Return a model's name without a date, and that of what a tuned one was tuned from."""
    match = DATED.fullmatch(model or "")
    return match["family"] if match else ""


def _local_epochs(examples: int) -> int:
    from openai_magics.local.jobs.outcome import told

    chosen = {"n_epochs": "auto"}
    told(chosen, max(examples, 1))
    return int(chosen["n_epochs"])


@contextmanager
def own_counter(held: Terms) -> Iterator[Counter | None]:
    """Give what counts tokens as the trainer of this machine does, where its model is here."""
    from openai_magics import local

    path = _file_of(held.model) if held.local and local.installed() else None
    if path is None:
        yield None
        return
    from openai_magics.local import weights
    from openai_magics.local.counting import counting

    with counting(path) as count:
        by = f"{weights.name_of(path)}, with its chat template"
        yield None if count is None else Counter(count, by, limit(LOCAL))


def _file_of(model: str | None) -> Path | None:
    """Return the file of a model of this machine, if it is here; nothing is fetched."""
    from openai_magics import local
    from openai_magics.local import weights

    if local.is_tuned(model):
        from openai_magics.local.jobs import models, store

        tuned = models.find(store.Store(), str(model))
        path = None if tuned is None else Path(tuned.base["path"])
        return path if path is not None and path.suffix == ".gguf" and path.is_file() else None
    if model is not None and model.endswith(".gguf"):
        return weights.here(model)
    return weights.here() if model in (None, weights.wanted()) else None
