"""The rows of the dialogue panel's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openai_magics.frames import words
from openai_magics.panels.table import Column, Row

if TYPE_CHECKING:
    from openai_magics.browse import Summary
    from openai_magics.exchange import Exchange
    from openai_magics.sent import Lineage
    from openai_magics.verify import Report

__all__ = ["FINDINGS", "LINEAGE", "RECORDS", "finding_rows", "kin_rows", "record_row", "verdict"]

RECORDS = (
    Column("created", "asked (UTC)"),
    Column("kind", "kind"),
    Column("conversation", "conversation"),
    Column("model", "model"),
    Column("asked", "request", wide=True),
    Column("answered", "reply", wide=True),
    Column("tokens", "tokens", "right"),
    Column("state", "state"),
)
LINEAGE = (
    Column("is", "it is"),
    Column("created", "asked (UTC)"),
    Column("asked", "request", wide=True),
    Column("answered", "reply", wide=True),
)
FINDINGS = (
    Column("kind", "found"),
    Column("where", "where"),
    Column("what", "what", wide=True),
    Column("remedy", "remedy", wide=True),
)
MOST = 30
"""Relatives of a record that are shown at most, of a kind."""


def record_row(line: Summary) -> Row:
    """Return the row of a record."""
    when = line.created[:16].replace("T", " ")
    tokens = f"{line.tokens:,}" if line.tokens is not None else ""
    cells = (when, line.kind, line.conversation, line.model, line.asked, line.answered, tokens)
    state = {"": "", "failed": "wrong"}.get(line.state, "off")
    return Row(line.id, (*cells, line.state), state)


def kin_rows(lineage: Lineage) -> list[Row]:
    """Return a row each for the records that a record is related to."""
    groups = (
        ("a turn before", lineage.before[-MOST:]),
        ("the same request", lineage.again[-MOST:]),
        ("a turn after", lineage.after[-MOST:]),
    )
    return [_kin_row(label, item) for label, items in groups for item in items]


def _kin_row(label: str, item: Exchange) -> Row:
    said = (item.reply.text or item.reply.refusal or "") if item.reply else ""
    if not said and item.error:
        said = str(item.error.get("problem"))
    when = item.created[:16].replace("T", " ")
    return Row(item.id, (label, when, words(item.request.messages), said))


def finding_rows(report: Report) -> list[Row]:
    """Return a row each for what verifying found."""
    found = []
    for number, item in enumerate(report.findings):
        where = f"cell {item.cell}" if item.cell else f"line {item.line}" if item.line else ""
        state = "off" if item.kind in ("orphan", "answers") else "wrong"
        found.append(Row(str(number), (item.kind, where, item.what, item.remedy), state))
    return found


def verdict(report: Report) -> list[tuple[str, str]]:
    """Return what verifying came to, as names and values."""
    return [
        ("verdict", "the same outputs" if report.ok else "NOT the same outputs"),
        ("notebook", report.notebook.name),
        ("cells", f"{report.cells}"),
        ("records", f"{report.replayed} of {report.records} replayed"),
        ("findings", f"{len(report.findings)}"),
    ]
