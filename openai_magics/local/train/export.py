"""A tuned model as a folder that others can use: adapter, merged model, and where it comes from.

::

    <folder>/
      README.md           the card: what it is, how it was made, how to use it
      lineage.json        the same for programs
      adapter.gguf        for llama.cpp, with the base model
      model.gguf          base model and adapter in one
      peft/               for transformers and PEFT
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from openai_magics.errors import EngineError, ExtraMissing, ModelNotFound, OptionError
from openai_magics.local.jobs import models, store
from openai_magics.local.jobs.files import Files
from openai_magics.local.train.card import card
from openai_magics.local.train.runner import TrainingFailed

__all__ = ["export"]

PEFT = ("adapter_config.json", "adapter_model.safetensors")


def export(model: str, folder: str | Path, notebook: Mapping[str, Any] | None = None) -> Path:
    """Export a model that was tuned on this machine; return the folder.

    Parameters
    ----------
    model : str
        The name of a tuned model (``ft:…``) or of a checkpoint of it.
    folder : str or Path
        What is made; it must not exist, or be empty.
    notebook : mapping, optional
        What the notebook that trained it knows of it, by name, for the card.

    Raises
    ------
    ModelNotFound
        No such model is on this machine.
    OptionError
        The folder is not empty.
    ExtraMissing
        The ``train`` extra is not installed.
    EngineError
        The model's base is gone, or there is no room.
    """
    kept = store.Store()
    tuned = models.find(kept, model)
    if tuned is None:
        known = ", ".join(each.name for each in models.every(kept)) or "none"
        raise ModelNotFound(
            f"There is no model {model!r} that was tuned on this machine.", f"There are: {known}."
        )
    target = Path(folder).expanduser().absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OptionError(f"{folder} is there already.", "Name a folder that is new or empty.")
    if importlib.util.find_spec("gguf") is None:
        raise ExtraMissing("Exporting a tuned model", "train")
    base = Path(tuned.base["path"])
    if not base.is_file():
        raise EngineError(f"{model} was tuned from {base}, which is not there any more.")
    made = not target.exists()
    try:
        _fill(
            tuned, base, target, {**_lineage(tuned, base, kept), "notebook": dict(notebook or {})}
        )
    except (OSError, TrainingFailed) as error:
        if made:
            shutil.rmtree(target, ignore_errors=True)
        raise EngineError(f"{model} could not be exported: {error}", "") from error
    return target


def _fill(tuned: models.Tuned, base: Path, target: Path, lineage: dict[str, Any]) -> None:
    from openai_magics.local.train.merge import merge

    (target / "peft").mkdir(parents=True)
    for name in PEFT:
        shutil.copyfile(tuned.folder / name, target / "peft" / name)
    config = store.read(target / "peft" / PEFT[0])
    # The name of a folder of this machine says nothing elsewhere.
    config["base_model_name_or_path"] = tuned.base["name"]
    (target / "peft" / PEFT[0]).write_text(json.dumps(config, indent=2), "utf-8")
    shutil.copyfile(tuned.adapter, target / "adapter.gguf")
    merge(base, tuned.folder, target / "model.gguf", tuned.name)
    (target / "lineage.json").write_text(json.dumps(lineage, indent=2) + "\n", "utf-8")
    (target / "README.md").write_text(card(lineage), "utf-8")


def _lineage(tuned: models.Tuned, base: Path, kept: store.Store) -> dict[str, Any]:
    """Return where a model comes from, with nothing of this machine in it."""
    import gguf

    fields = gguf.GGUFReader(base).fields
    license_field = fields.get("general.license")
    shown, files = tuned.job.shown, Files(kept)
    data: dict[str, Any] = {}
    for what in ("training_file", "validation_file"):
        number = shown[what]
        if number is not None:
            known = files.get(number)
            data[what] = {
                "id": number,
                "filename": known and known["filename"],
                "sha256": known and _sha256(files.content(number)),
            }
    points = [{"step": each["step_number"], **each["metrics"]} for each in tuned.job.checkpoints()]
    return {
        "model": tuned.name,
        "base": {
            "name": tuned.base["name"],
            "file": base.name,
            "sha256": _sha256(base),
            "license": None if license_field is None else str(license_field.contents()),
        },
        "job": shown["id"],
        "method": shown["method"]["type"],
        "hyperparameters": shown["method"][shown["method"]["type"]]["hyperparameters"],
        "seed": shown["seed"],
        "metadata": shown["metadata"],
        "data": data,
        "trained_tokens": shown["trained_tokens"],
        "checkpoints": points,
        "created": _date(shown["created_at"]),
        "finished": _date(shown["finished_at"]),
    }


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _date(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc).isoformat()
