"""A new job: whether what is asked for can be done here, and what the job then is.

What the API description says of the request is checked here in the service's words; what the
files hold is checked by the queue, as the service does (status ``validating_files``).
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from typing import Any

from openai_magics.local import OWNER
from openai_magics.local.jobs import store
from openai_magics.local.jobs.files import Files
from openai_magics.local.jobs.job import Job

__all__ = ["PACKAGES", "Refused", "create"]

PACKAGES = ("torch", "transformers", "peft", "gguf")
"""What the trainer needs."""
KNOWN = (
    "hyperparameters",
    "integrations",
    "metadata",
    "method",
    "model",
    "seed",
    "suffix",
    "training_file",
    "validation_file",
)
SEED = 42
LIMITS: dict[str, tuple[type, float, float]] = {
    "n_epochs": (int, 1, 50),
    "batch_size": (int, 1, 256),
    "learning_rate_multiplier": (float, 0, float("inf")),
    "beta": (float, 0, 2),
}


class Refused(Exception):
    """A request that is answered with an error: its status, and what the error says."""

    def __init__(
        self, status: int, message: str, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(status, message, code, param)
        self.status = status
        self.message = message
        self.code = code
        self.param = param


def create(
    kept: store.Store,
    given: Any,
    find_base: Callable[[str], dict[str, Any]],
    packages: tuple[str, ...] = PACKAGES,
) -> Job:
    """Check a request and keep the job, which the queue then takes up.

    Parameters
    ----------
    kept : Store
    given : object
        The body of the request.
    find_base : callable
        Is given ``model`` and returns what is tuned: ``name``, ``path`` and, for a model that
        is tuned already, ``adapter``. Raises `Refused`.
    packages : tuple of str
        What has to be installed.

    Raises
    ------
    Refused
        It cannot be done.
    OSError
        There is no room.
    """
    if not isinstance(given, dict):
        raise Refused(400, "The body has to be a JSON object.")
    for name in given:
        if name not in KNOWN:
            raise Refused(400, f"Unknown parameter: '{name}'.", "unknown_parameter", name)
    for name in ("model", "training_file"):
        if name not in given:
            text = f"Missing required parameter: '{name}'."
            raise Refused(400, text, "missing_required_parameter", name)
    _strings(given)
    method, chosen = _method(given)
    for name in ("training_file", "validation_file"):
        _check_file(kept, given, name)
    if given.get("integrations"):
        text = "This server reports to no other service: leave 'integrations' out."
        raise Refused(400, text, "unsupported_parameter", "integrations")
    base = find_base(given["model"])
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        text = (
            f"Training on this machine needs packages that are not installed "
            f'({", ".join(missing)}). Install them with: pip install "openai_magics[train]"'
        )
        raise Refused(400, text, "extra_missing")
    job = Job(kept.jobs / store.new_id("ftjob-"))
    shown = {
        "object": "fine_tuning.job",
        "id": job.id,
        "created_at": int(time.time()),
        "model": given["model"],
        "organization_id": OWNER,
        "status": "validating_files",
        "training_file": given["training_file"],
        "validation_file": given.get("validation_file"),
        "hyperparameters": {key: chosen[key] for key in chosen if key != "beta"},
        "method": {"type": method, method: {"hyperparameters": chosen}},
        "seed": SEED if given.get("seed") is None else given["seed"],
        "metadata": given.get("metadata"),
        "integrations": [],
        "result_files": [],
        **dict.fromkeys(("error", "fine_tuned_model", "finished_at", "trained_tokens")),
        "estimated_finish": None,
    }
    job.create(shown, {"suffix": given.get("suffix") or "", "base": base})
    return job


def _strings(given: dict[str, Any]) -> None:
    for name in ("model", "training_file", "validation_file", "suffix"):
        value = given.get(name)
        if not isinstance(value, str) and (value is not None or name in ("model", "training_file")):
            text = f"Invalid type for '{name}': expected a string, but got {_noun(value)} instead."
            raise Refused(400, text, "invalid_type", name)
    suffix = given.get("suffix")
    if suffix is not None and not (
        1 <= len(suffix) <= 64 and all(c.isalnum() or c in "-_." for c in suffix)
    ):
        text = f"Invalid 'suffix': {suffix!r} has to be 1 to 64 letters, digits, '-', '_' or '.'."
        raise Refused(400, text, "invalid_value", "suffix")
    seed = given.get("seed")
    if seed is not None and (
        not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31
    ):
        text = "Invalid 'seed': expected an integer from 0 to 2147483647."
        raise Refused(400, text, "invalid_value", "seed")
    metadata = given.get("metadata")
    if metadata is not None and not (
        isinstance(metadata, dict)
        and len(metadata) <= 16
        and all(isinstance(value, str) and len(value) <= 512 for value in metadata.values())
        and all(len(name) <= 64 for name in metadata)
    ):
        text = "Invalid 'metadata': up to 16 pairs of text, 64 and 512 characters at most."
        raise Refused(400, text, "invalid_value", "metadata")


def _method(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the method's name and its hyperparameters, ``"auto"`` where none is chosen."""
    method = given.get("method") or {"type": "supervised"}
    kind = method.get("type") if isinstance(method, dict) else None
    if kind == "reinforcement":
        text = (
            "The trainer on this machine does supervised fine-tuning and dpo; reinforcement "
            "needs a grader and a service that has it."
        )
        raise Refused(400, text, "unsupported_method", "method.type")
    if kind not in ("supervised", "dpo"):
        text = f"Invalid value: {kind!r}. Supported values are: 'supervised', 'dpo'."
        raise Refused(400, text, "invalid_value", "method.type")
    own = method.get(kind) or {}
    where = f"method.{kind}.hyperparameters"
    chosen = dict.fromkeys(("batch_size", "learning_rate_multiplier", "n_epochs"), "auto")
    if kind == "dpo":
        chosen["beta"] = "auto"
    for place, values in (
        ("hyperparameters", given.get("hyperparameters")),
        (where, own.get("hyperparameters") if isinstance(own, dict) else own),
    ):
        if not isinstance(values, dict | None):
            text = f"Invalid type for '{place}': expected an object."
            raise Refused(400, text, "invalid_type", place)
        for name, value in (values or {}).items():
            if name not in chosen:
                text = f"Unknown parameter: '{place}.{name}'."
                raise Refused(400, text, "unknown_parameter", f"{place}.{name}")
            chosen[name] = _number(f"{place}.{name}", name, value)
    return kind, chosen


def _number(place: str, name: str, value: Any) -> Any:
    kind, least, most = LIMITS[name]
    if value == "auto" or value is None:
        return "auto"
    fits = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    if not fits or not least <= value <= most or (kind is float and value == least):
        bounds = f"an integer from {least} to {most}" if kind is int else f"more than {least}"
        text = f"Invalid '{place}': expected 'auto' or {bounds}, but got {value!r} instead."
        raise Refused(400, text, "invalid_value", place)
    return value


def _check_file(kept: store.Store, given: dict[str, Any], name: str) -> None:
    if given.get(name) is None:
        return
    shown = Files(kept).get(given[name])
    if shown is None:
        raise Refused(400, f"invalid {name}: {given[name]}", "file_not_found", name)
    if shown["purpose"] != "fine-tune":
        text = f"File '{given[name]}' has the purpose '{shown['purpose']}', not 'fine-tune'."
        raise Refused(400, text, "invalid_file_purpose", name)


def _noun(value: Any) -> str:
    return "null" if value is None else type(value).__name__
