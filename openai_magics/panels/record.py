"""One record as a page: its facts, the request as it was sent, the reply, the images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openai_magics.exchange import Exchange
from openai_magics.panels.forms import facts, text
from openai_magics.sent import Lineage, as_sent, parts

__all__ = ["cell_of", "page"]

KEPT = ("model", "messages")
"""What of a body has a place of its own."""


def page(
    item: Exchange, lineage: Lineage, cell: str = "", pictures: Mapping[str, str] | None = None
) -> str:
    """Return a record as HTML in which nothing is active.

    Parameters
    ----------
    item : Exchange
    lineage : Lineage
        Its turns before are among the messages.
    cell : str
        What is said of its cell (see `cell_of`).
    pictures : mapping of str to str, optional
        Thumbnails that are known, as ``data:`` URLs by the SHA-256 of the image.
    """
    body = as_sent(item, lineage.before)
    settings = {name: value for name, value in body.items() if name not in KEPT}
    sent = [_message(message) for message in body["messages"]]
    found = [
        f"<h3>Record {text(item.id[:12])}</h3>",
        facts(_facts(item, cell)),
        "<h4>Request, as sent</h4>",
        *(sent if len(sent) <= 12 else [_folded(sent[:-6]), *sent[-6:]]),
        f"<div>Parameters</div><pre>{text(_json(settings))}</pre>" if settings else "",
        *(_picture(part, pictures or {}) for part in parts(item.request.messages)),
        "<h4>Reply</h4>",
        _reply(item),
    ]
    return "".join(found)


def _facts(item: Exchange, cell: str) -> list[tuple[str, str]]:
    reply, resolved = item.reply, item.resolved
    usage = reply.usage if reply else {}
    tokens = [
        f"{usage[name]:,} {label}"
        for name, label in (("prompt_tokens", "in"), ("completion_tokens", "out"))
        if isinstance(usage.get(name), int)
    ]
    rows = [
        ("kind", item.request.kind),
        ("conversation", item.conversation or "(none)"),
        ("cell", cell or item.cell or "(none)"),
        ("asked", item.created.replace("T", " ")[:19] + " UTC" if item.created else ""),
        ("took", f"{item.duration:.2f} s" if item.duration is not None else ""),
        ("model", _models(item)),
        ("endpoint", resolved.endpoint or item.request.endpoint or ""),
        ("tokens", ", ".join(tokens)),
        ("cost", f"{reply.cost:.6f} USD" if reply and reply.cost == reply.cost else ""),
        ("finish reason", (reply.finish_reason or "") if reply else ""),
        ("sentiment", (reply.sentiment or "") if reply else ""),
        ("response id", (reply.response_id or "") if reply else ""),
        ("fingerprint", f"{item.fingerprint}, slot {item.occurrence}"),
        ("id", item.id),
    ]
    return [(name, value) for name, value in rows if value]


def _models(item: Exchange) -> str:
    asked = item.resolved.model or item.request.model
    served = item.reply.model if item.reply else None
    if served and asked and served != asked:
        return f"{served} (asked for {asked})"
    return served or asked or ""


def _message(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    said = ""
    if isinstance(content, list):
        said = "\n".join(
            str(part.get("text", ""))
            if isinstance(part, Mapping) and part.get("type") == "text"
            else f"[{_json(part)}]"
            for part in content
        )
    elif content is not None:
        said = str(content)
    others = {k: v for k, v in message.items() if k not in ("role", "content") and v}
    if others:
        said = f"{said}\n{_json(others)}" if said else _json(others)
    return f'<div>{text(str(message.get("role")))}</div><pre dir="auto">{text(said)}</pre>'


def _folded(messages: Sequence[str]) -> str:
    return (
        f"<details><summary>{len(messages)} earlier messages</summary>{''.join(messages)}</details>"
    )


def _reply(item: Exchange) -> str:
    found = []
    if item.error:
        problem = str(item.error.get("problem") or item.error.get("type"))
        found.append(f'<div class="oai-note oai-wrong" dir="auto">{text(problem)}</div>')
    reply = item.reply
    if reply is not None:
        if reply.refusal is not None:
            found.append(f'<div>refused</div><pre dir="auto">{text(reply.refusal)}</pre>')
        if reply.text or (reply.payload is None and not reply.tool_calls):
            found.append(f'<pre dir="auto">{text(reply.text)}</pre>')
        if reply.tool_calls:
            found.append(f"<div>tool calls</div><pre>{text(_json(list(reply.tool_calls)))}</pre>")
        if reply.payload is not None:
            found.append(f"<pre>{text(_json(reply.payload))}</pre>")
    return "".join(found) or "<p>None came.</p>"


def _picture(part: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    held = _json(part)
    shown = next((url for sha256, url in pictures.items() if sha256 in held), "")
    image = (
        f'<img src="{shown}" alt="" style="max-width: 240px; max-height: 180px">' if shown else ""
    )
    return f"<div>{text(str(part.get('type')))}</div>{image}<pre>{text(held)}</pre>"


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)


def cell_of(notebook: Path, identity: str | None) -> str:
    """Return the number and the first line of a notebook's cell, ``""`` where it is not there."""
    if identity is None:
        return ""
    try:
        cells = json.loads(notebook.read_text("utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    for number, cell in enumerate(cells, 1):
        if isinstance(cell, Mapping) and cell.get("id") == identity:
            source = cell.get("source", "")
            lines = ("".join(source) if isinstance(source, list) else str(source)).splitlines()
            return f"{number} of {notebook.name}: {lines[0] if lines else ''}"
    return f"{identity}, which is no longer in {notebook.name}"
