"""The engine's own model, as the front knows it, and what else a job may tune."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai_magics.errors import MagicsError
from openai_magics.local import weights
from openai_magics.local.jobs import models
from openai_magics.local.jobs.create import Refused
from openai_magics.local.jobs.store import Store

__all__ = ["Base"]


@dataclass(frozen=True)
class Base:
    """The engine's model: ``name``, its file, and ``root``, where its server listens."""

    name: str
    path: Path
    root: str

    @property
    def shown(self) -> dict[str, Any]:
        """The model as ``/v1/models`` shows it."""
        created = int(self.path.stat().st_mtime)
        return {"id": self.name, "object": "model", "created": created, "owned_by": "system"}

    def to_tune(self, kept: Store, model: str) -> dict[str, Any]:
        """Return what a job of *model* tunes: ``name``, ``path``, for a tuned one ``adapter``.

        Raises
        ------
        Refused
            It is nothing that can be tuned here.
        """
        if model in ("local", self.name):
            return {"name": self.name, "path": str(self.path)}
        tuned = models.find(kept, model)
        if tuned is not None:
            return {**tuned.base, "adapter": str(tuned.folder)}
        if model.endswith(".gguf"):
            try:
                path = weights.ensure(None, model)
            except MagicsError as error:
                raise Refused(400, error.problem, "model_not_available", "model") from None
            return {"name": weights.name_of(path), "path": str(path)}
        text = (
            f"Model {model} is not available for fine-tuning or does not exist. This server tunes "
            f"{self.name}, the models tuned from it, and any other GGUF file by its path. It serves "
            "GGUF files only, so a model in Hugging Face's format trains by itself: python -m "
            f"openai_magics.local.train DATA.jsonl --model {model} --out FOLDER"
        )
        raise Refused(400, text, "model_not_available", "model")
