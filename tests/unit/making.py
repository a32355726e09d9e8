"""Values that many unit tests need."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openai_magics.dialogue import DialogueFile
from openai_magics.exchange import Exchange, Reply, Request


def ask(text: str = "What is a tide?", **fields: Any) -> Request:
    """Return a request with one message of the person."""
    return Request(messages=({"role": "user", "content": text},), **fields)


def exchange(
    text: str = "What is a tide?", said: str = "The sea's breath.", **fields: Any
) -> Exchange:
    """Return an exchange: this was asked, that was said."""
    return Exchange(ask(text), Reply(text=said, finish_reason="stop"), **fields)


def written(path: Path, *exchanges: Exchange, notebook: str | None = "a.ipynb") -> bytes:
    """Write a dialogue file with these exchanges; return its bytes."""
    DialogueFile(path, notebook, fsync=False).append(*exchanges)
    return path.read_bytes()


def whole(path: Path) -> list[Mapping[str, Any]]:
    """Return the records of a file that is read as plain JSON, as any tool would."""
    document = json.loads(path.read_bytes())
    assert document["format"] == "openai_magics.dialogue"
    records: list[Mapping[str, Any]] = document["exchanges"]
    return records


def texts(path: Path) -> list[str]:
    """Return what was answered, record by record."""
    return [record["reply"]["text"] for record in whole(path)]
