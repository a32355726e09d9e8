"""What a job is to be: its options, checked before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

from openai_magics.errors import OptionError, nearest
from openai_magics.training.formats import METHODS
from openai_magics.training.tables import Columns

__all__ = ["JobOptions", "from_mapping", "method_checked"]

HYPER: Mapping[str, tuple[type, float, float]] = {
    "n_epochs": (int, 1, 50),
    "batch_size": (int, 1, 256),
    "learning_rate_multiplier": (float, 0, float("inf")),
    "beta": (float, 0, 2),
    "compute_multiplier": (float, 0, 10),
    "eval_interval": (int, 1, 10**9),
    "eval_samples": (int, 1, 10**9),
}
"""Hyperparameters with their bounds (``FineTuneSupervisedHyperparameters`` and its like)."""
ANY = Columns()
MOST_METADATA = 15
"""Keys: the API takes 16, and one marks the job (see `openai_magics.training.submit`)."""
EFFORTS = ("default", "low", "medium", "high")


@dataclass(frozen=True)
class JobOptions:
    """How to train, besides the data (see `Session.train`)."""

    model: str | None = None
    base_url: str | None = None
    validation: Any = None
    split: float | None = None
    method: str | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    suffix: str | None = None
    seed: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    grader: Mapping[str, Any] | None = None
    description: str | None = None
    columns: Columns = ANY
    force: bool = False
    name: str = "data"
    made_in: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        method_checked(self.method)
        for name, value in self.hyperparameters.items():
            _check_hyper(name, value)
        for name, value in (("suffix", self.suffix), ("description", self.description)):
            if not isinstance(value, (str, NoneType)):
                raise OptionError(f"{name} = {value!r} is no text.", f'Write {name}: "…".')
        if not isinstance(self.seed, (int, NoneType)) or isinstance(self.seed, bool):
            raise OptionError(f"seed = {self.seed!r} is not possible.", "It is a whole number.")
        if not isinstance(self.split, (int, float, NoneType)):
            raise OptionError(
                f"split = {self.split!r} is not possible.", "It is a part between 0 and 1: 0.1."
            )
        if self.suffix is not None and not 1 <= len(self.suffix) <= 64:
            raise OptionError("A suffix has 1 to 64 characters.", f"This one: {self.suffix[:80]!r}")
        if self.validation is not None and self.split is not None:
            raise OptionError(
                "There is a validation file, and a split as well.", "Give one of the two."
            )
        _check_metadata(self.metadata)

    @property
    def epochs(self) -> int | None:
        """The epochs that were asked for; ``None`` for ``auto``."""
        value = self.hyperparameters.get("n_epochs")
        return value if isinstance(value, int) else None


def method_checked(method: str | None) -> str | None:
    """Return a method of training.

    Raises
    ------
    OptionError
        There is none of this name.
    """
    if method is not None and method not in METHODS:
        raise OptionError(
            f"There is no method {method!r}{nearest(str(method), METHODS)}.",
            f"Methods: {', '.join(METHODS)}.",
        )
    return method


def _check_metadata(metadata: Mapping[str, Any]) -> None:
    if len(metadata) > MOST_METADATA:
        raise OptionError(
            f"The metadata has {len(metadata)} keys.",
            f"There may be {MOST_METADATA}, and one that marks the job.",
        )
    for key, text in metadata.items():
        if len(str(key)) > 64 or len(str(text)) > 512:
            raise OptionError(
                f"The metadata {str(key)[:64]!r} is too long.",
                "A key has up to 64 characters, a value 512.",
            )


def _check_hyper(name: str, value: Any) -> None:
    if name == "reasoning_effort":
        if value not in EFFORTS:
            raise OptionError(f"{name} = {value!r} is not possible.", f"One of {EFFORTS}.")
        return
    if name not in HYPER:
        raise OptionError(
            f"There is no hyperparameter {name!r}{nearest(name, HYPER)}.",
            f"Hyperparameters: {', '.join(HYPER)}.",
        )
    kind, least, most = HYPER[name]
    if value == "auto":
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or (kind is int and value != int(value)) or not least <= value <= most:
        what = "a whole number" if kind is int else "a number"
        upto = f" to {most:g}" if most < 10**9 else ""
        raise OptionError(
            f"{name} = {value!r} is not possible.", f"It is auto, or {what} from {least:g}{upto}."
        )


TEXTS = ("model", "base_url", "suffix", "description", "prompt", "completion", "rejected", "system")
MAPPINGS = ("hyperparameters", "metadata", "grader")
KEYS = (
    "data",
    "model",
    "base_url",
    "validation",
    "split",
    "method",
    "hyperparameters",
    "suffix",
    "seed",
    "metadata",
    "grader",
    "description",
    "prompt",
    "completion",
    "rejected",
    "system",
)


def from_mapping(given: Any) -> dict[str, Any]:
    """Return the fields of a job as ``%%train`` has them, checked for names only.

    Hyperparameters may stand beside the other keys; ``training_file`` is ``data``, and
    ``method`` may be in the API's own shape.

    Raises
    ------
    OptionError
        It is no mapping, or has a key that is not known; the nearest is named.
    """
    if not isinstance(given, Mapping):
        raise OptionError(
            "The job is not a set of keys and values.", "As in:  data: examples.jsonl"
        )
    found: dict[str, Any] = {}
    hyper: dict[str, Any] = {}
    for key, value in given.items():
        name = {"training_file": "data", "validation_file": "validation"}.get(str(key), str(key))
        if name in HYPER or name == "reasoning_effort":
            hyper[name] = value
        elif name not in KEYS:
            raise OptionError(
                f"A job has no key {name!r}{nearest(name, [*KEYS, *HYPER])}.",
                f"Keys: {', '.join(KEYS)}, and hyperparameters.",
            )
        else:
            found[name] = _as_meant(name, value)
    method = found.get("method")
    if isinstance(method, Mapping):
        kind = str(method.get("type"))
        inner = _mapping(f"method.{kind}", method.get(kind) or {})
        hyper = {**(inner.get("hyperparameters") or {}), **hyper}
        found["method"] = kind
        if "grader" in inner:
            found["grader"] = inner["grader"]
    found["hyperparameters"] = {**(found.get("hyperparameters") or {}), **hyper}
    return found


def _as_meant(name: str, value: Any) -> Any:
    """Return a value of a job as its key means it: YAML reads ``suffix: 2024`` as a number."""
    if value is None:
        return None
    if name in TEXTS and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if name == "metadata":
        held = _mapping(name, value)
        return {str(key): v if isinstance(v, str) else json.dumps(v) for key, v in held.items()}
    return _mapping(name, value) if name in MAPPINGS else value


def _mapping(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise OptionError(
            f"{name} is not a set of keys and values but {value!r}.",
            f"In YAML each stands on a line of its own, further in than {name}.",
        )
    return value
