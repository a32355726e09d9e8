"""Exporting a tuned model as a folder, recorded: a replay tells of it and writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai_magics import local
from openai_magics.calls import Listener
from openai_magics.connection import LOCAL
from openai_magics.errors import OptionError
from openai_magics.exchange import Reply, Request, Resolved

__all__ = ["Exporting", "exportable", "folder_for", "model_of"]


@dataclass(frozen=True)
class Exporting:
    """The sender that exports.

    Attributes
    ----------
    model : str
        A model that was tuned on this machine.
    folder : str
        As the notebook says it.
    notebook : mapping
        What the notebook knows of where the model comes from, for its card.
    """

    model: str
    folder: str
    notebook: Mapping[str, Any]

    def send(self, request: Request, listener: Listener = Listener()) -> Reply:  # noqa: ARG002
        """Return the reply whose payload tells what was written.

        Raises
        ------
        ModelNotFound, OptionError, ExtraMissing, EngineError
            As `openai_magics.local.export`.
        """
        listener.notice(f"Exporting {self.model}: adapter, merged model, card…")
        try:
            target = local.export(self.model, self.folder, self.notebook)
        finally:
            listener.notice("")
        files = sorted(path for path in target.rglob("*") if path.is_file())
        payload = {
            "model": self.model,
            "folder": self.folder,
            "files": {path.relative_to(target).as_posix(): path.stat().st_size for path in files},
        }
        return Reply(payload=payload, resolved=Resolved(model=self.model, endpoint=LOCAL))

    async def asend(self, request: Request, listener: Listener = Listener()) -> Reply:
        """As `send`, without blocking the event loop."""
        return await asyncio.to_thread(self.send, request, listener)

    def stands(self, reply: Reply) -> bool:
        """Whether what was exported is still there, or cannot be exported again from here."""
        from openai_magics.local.jobs import models, store

        if Path(str(reply.payload["folder"])).expanduser().exists():
            return True
        return models.find(store.Store(), self.model) is None


def model_of(job: Mapping[str, Any]) -> str:
    """Return the model that a job has made.

    Raises
    ------
    OptionError
        There is none (yet), or it is a service's, which gives no weights away.
    """
    model, status = job.get("fine_tuned_model"), job.get("status")
    if not model:
        raise OptionError(
            f"The job {job.get('id')} has no model to export: it is {status}.",
            "Wait until it has succeeded: %jobs watch"
            if status not in ("failed", "cancelled")
            else "Start it again: %train start … --fresh",
        )
    return exportable(str(model))


def exportable(model: str) -> str:
    """Return *model*, which was tuned on this machine.

    Raises
    ------
    OptionError
        It was not.
    """
    if not local.is_tuned(model):
        raise OptionError(
            f"{model} is a service's: it gives no weights away.",
            "Models that were tuned on this machine can be exported (--model local).",
        )
    return model


def folder_for(model: str) -> str:
    """Return what a model's folder is called where nobody says: its suffix and its number."""
    _, base, _, suffix, *rest = model.split(":")
    return "-".join(part for part in (suffix or base, *rest) if part)
