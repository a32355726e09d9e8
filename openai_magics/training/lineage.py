"""From a tuned model back to what it was made of, and on to where it was used.

All of it is read from the dialogue file, so it is there after the endpoint is gone.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openai_magics.exchange import Exchange
from openai_magics.training.submit import MARK

__all__ = ["Lineage", "cells_that_make", "cells_that_ran", "lineage"]

LARGEST = 50_000_000
"""Bytes of a notebook that is looked into."""


@dataclass(frozen=True)
class Lineage:
    """What a tuned model comes from and goes to.

    Attributes
    ----------
    job, model, tuned : str or None
        The job's id, the model it began with, the model it made.
    data, sha256, validation : str or None
        The training data's name and SHA-256, and the SHA-256 of the validation data.
    files : mapping
        The ids of the uploaded files.
    made_in, started_in, used_in : tuple of str
        Cells: which made the data, started the job, asked the model.
    said : mapping
        Method, hyperparameters, seed, suffix, as the notebook has them.
    """

    job: str
    model: str | None = None
    tuned: str | None = None
    data: str | None = None
    sha256: str | None = None
    validation: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    made_in: tuple[str, ...] = ()
    started_in: tuple[str, ...] = ()
    used_in: tuple[str, ...] = ()
    said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kept(self) -> dict[str, Any]:
        """What the card of an exported model says of the notebook it comes from."""
        named = {
            "data": self.data,
            "data made in cells": list(self.made_in),
            "started in cells": list(self.started_in),
        }
        return {name: value for name, value in named.items() if value}

    @property
    def rows(self) -> list[tuple[str, str]]:
        """What there is to say, as names and values."""
        rows = [
            ("base model", self.model),
            ("data", self.data),
            ("data SHA-256", self.sha256),
            ("validation SHA-256", self.validation),
            *((name.replace("_", " "), value) for name, value in self.files.items()),
            *((name.replace("_", " "), _shown(value)) for name, value in self.said.items()),
            ("data made in cells", ", ".join(self.made_in)),
            ("started in cell", ", ".join(self.started_in)),
            ("asked in cells", ", ".join(self.used_in)),
        ]
        return [(name, str(value)) for name, value in rows if value]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def lineage(
    exchanges: Iterable[Exchange], job: Mapping[str, Any], ran: Mapping[str, str] = {}
) -> Lineage:
    """Return the lineage of a job from the records of a dialogue.

    Parameters
    ----------
    exchanges : iterable of Exchange
    job : mapping
        As the API shows it.
    ran : mapping
        Ids of records to the cells that showed them in this run, where a record names none.
    """
    name, tuned = str(job.get("id")), job.get("fine_tuned_model")
    files = {key: job[key] for key in ("training_file", "validation_file") if job.get(key)}
    found: dict[str, Any] = {}
    used: dict[str, None] = {}
    for item in exchanges:
        payload = item.reply.payload if item.reply else None
        if item.request.kind == "train" and isinstance(payload, Mapping):
            if payload.get("id") == name:
                found = _from_record(item, payload, item.cell or ran.get(item.id))
        elif tuned and (cell := item.cell or ran.get(item.id)) and item.reply is not None:
            models = {item.request.model, item.resolved.model, item.reply.model}
            # Its checkpoints have its name and a step after it.
            if any(str(model).startswith(tuned) for model in models if model):
                used[cell] = None
    return Lineage(name, job.get("model"), tuned, files=files, used_in=tuple(used), **found)


def _from_record(item: Exchange, payload: Mapping[str, Any], cell: str | None) -> dict[str, Any]:
    said, about = item.request.parameters, payload.get(MARK) or {}
    shown = ("method", "hyperparameters", "seed", "suffix")
    return {
        "data": about.get("data"),
        "sha256": (said.get("training") or {}).get("sha256"),
        "validation": (said.get("validation") or {}).get("sha256"),
        "made_in": tuple(about.get("made_in") or ()),
        "started_in": (cell,) if cell else (),
        "said": {name: said[name] for name in shown if said.get(name)},
    }


def cells_that_make(notebook: Path, name: str, *, file: bool) -> tuple[str, ...]:
    """Return the ids of the cells that give a variable its value, or that name a file.

    Nothing where the notebook cannot be read: it is a help to the reader, not a fact.
    """
    return tuple(cell for cell, text in _code_of(notebook) if _makes(text, name, file=file))


def cells_that_ran(notebook: Path, nameless: Iterable[tuple[str, Iterable[str]]]) -> dict[str, str]:
    """Return the cells of records that were shown by cells whose ids were not told.

    A client that runs a notebook on its own tells a kernel no ids, so a cell is known by its
    source; of several with one source, the first to run is the first in the notebook.

    Parameters
    ----------
    notebook : Path
    nameless : iterable
        In the order in which they ran: the source of a cell, and the ids of its records.
    """
    by_source: dict[str, list[str]] = {}
    for cell, text in _code_of(notebook):
        by_source.setdefault(text.strip(), []).append(cell)
    found: dict[str, str] = {}
    for code, records in nameless:
        if same := by_source.get(code.strip()):
            cell = same.pop(0) if len(same) > 1 else same[0]
            found |= dict.fromkeys(records, cell)
    return found


def _code_of(notebook: Path) -> list[tuple[str, str]]:
    """Return the code cells of a notebook that have an id, with their source."""
    try:
        if notebook.stat().st_size > LARGEST:
            return []
        held = json.loads(notebook.read_text("utf-8"))
        cells = [cell for cell in held["cells"] if cell.get("cell_type") == "code"]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return []
    found = []
    for cell in cells:
        source = cell.get("source")
        text = source if isinstance(source, str) else "".join(source or ())
        if isinstance(cell.get("id"), str):
            found.append((cell["id"], text))
    return found


def _makes(source: str, name: str, *, file: bool) -> bool:
    lines = source.splitlines()
    if lines and lines[0].startswith("%%"):
        return file and "writefile" in lines[0] and name in lines[0]
    code = "\n".join("pass" if line.lstrip().startswith(("%", "!")) else line for line in lines)
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        return False
    for node in ast.walk(tree):
        if file:
            value = node.value if isinstance(node, ast.Constant) else None
            if isinstance(value, str) and value.endswith(name):
                return True
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == name:
            return True
    return False
