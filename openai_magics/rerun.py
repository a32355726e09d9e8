"""Running a notebook again in replay, and comparing what it gives with what it shows.

`run` executes a copy in a kernel that may only replay; `outputs` brings a cell's outputs into
a form in which two runs can be compared.
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openai_magics.errors import ExtraMissing

__all__ = ["difference", "outputs", "run"]

USED = "__import__('openai_magics.replay', fromlist=['x']).used()"
"""What the kernel is asked after the run: the ids of the records it replayed."""


def run(
    path: Path, document: Mapping[str, Any], kernel: str | None, timeout: float
) -> tuple[dict[str, Any], list[str]]:
    """Run a copy of a notebook in replay; return it, and the ids of the records used.

    Parameters
    ----------
    path : Path
        Where the notebook is: it runs in its folder, with its dialogue file.
    document : mapping
        Its JSON; is not changed.
    kernel : str or None
        The kernel's name; ``None`` is the notebook's own.
    timeout : float
        Seconds for one cell.

    Raises
    ------
    ExtraMissing
        Running notebooks needs the ``verify`` extra.
    """
    try:
        import nbformat
        from nbclient import NotebookClient
    except ImportError as error:
        raise ExtraMissing("Running a notebook", "verify", str(error)) from error
    node = nbformat.reads(json.dumps(document), as_version=4)
    client = NotebookClient(
        node,
        timeout=timeout,
        kernel_name=kernel or node.metadata.get("kernelspec", {}).get("name", "python3"),
        allow_errors=True,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent or ".")}},
    )
    environment = {
        **os.environ,
        "OPENAI_MAGICS_MODE": "replay",
        "OPENAI_MAGICS_NOTEBOOK": str(path.resolve()),
    }
    client.create_kernel_manager()
    if getattr(client.km, "ipykernel", False):
        # That the connection is not encrypted, and that an interrupt ended the kernel, is nothing
        # to whoever verifies.
        client.extra_arguments = ["--log-level=CRITICAL"]
    with client.setup_kernel(env=environment):
        for index, cell in enumerate(node.cells):
            client.execute_cell(cell, index)
        used = _ask_kernel(client)
    return json.loads(json.dumps(node)), used


def _ask_kernel(client: Any) -> list[str]:
    """Return the ids of the records that the kernel has replayed."""
    message = client.kc.execute("", silent=True, user_expressions={"used": USED})
    from nbclient.util import run_sync

    reply = run_sync(client.async_wait_for_reply)(message)
    value = (reply or {}).get("content", {}).get("user_expressions", {}).get("used", {})
    if value.get("status") != "ok":
        return []
    return list(ast.literal_eval(value["data"]["text/plain"]))


def outputs(cell: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a cell's outputs so that two runs can be compared: no counts, streams joined.

    Panels are left out: each shows the state of the moment.
    """
    found: list[dict[str, Any]] = []
    for item in cell.get("outputs", ()):
        if (item.get("metadata", {}).get("openai_magics") or {}).get("panel"):
            continue
        kept = {
            key: value for key, value in item.items() if key not in ("execution_count", "transient")
        }
        if kept["output_type"] == "error":
            # A traceback names paths and execution counts.
            kept = {key: kept.get(key) for key in ("output_type", "ename", "evalue")}
        if kept["output_type"] == "stream":
            kept["text"] = _joined(kept.get("text", ""))
            if found and found[-1].get("name") == kept.get("name"):
                found[-1]["text"] += kept["text"]
                continue
        if "data" in kept:
            kept["data"] = {
                kind: _joined(value) if kind.startswith("text/") else value
                for kind, value in kept["data"].items()
            }
        found.append(kept)
    return found


def _joined(text: Any) -> Any:
    return "".join(text) if isinstance(text, list) else text


def difference(was: list[dict[str, Any]], now: list[dict[str, Any]]) -> str:
    """Return in a line how the outputs of a cell differ."""
    if len(was) != len(now):
        return f"{len(was)} outputs before, {len(now)} in this run"
    for old, new in zip(was, now, strict=True):
        if old != new:
            texts = [
                str(item.get("text") or item.get("data", {}).get("text/plain") or item)[:80]
                for item in (old, new)
            ]
            if texts[0] == texts[1]:
                return f"{old['output_type']}: the text is the same, its other forms differ"
            return f"was {texts[0]!r}, now {texts[1]!r}"
    return ""
