"""Whether a notebook is what its dialogue file says: run it in replay, compare, and tell what is not.

`verify` runs a copy of the notebook in a kernel that may only replay (nothing is asked,
nothing is written) and compares outputs as JSON, execution counts aside. What it can find:

``damaged``     a record, or the file, cannot be read
``changed``     a record is not as it was written: its fingerprint or id does not match its content
``chain``       a record's parent is missing, or records follow one another in a circle
``missing``     a cell asks what is not recorded
``stale``       a cell's answer was recorded after another turn: an earlier cell changed since
``edited``      an output shows another text than its record
``differs``     an output is not what the run gave
``failed``      a cell fails in replay that did not fail before
``orphan``      a record that no cell asks for any longer (see `repair.drop`); what was asked
                in a panel is none
``answers``     a cell's slot has several answers (two branches, or asked anew); the last one
                counts
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from openai_magics import renamed, rerun
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import DialogueDamaged, NotebookNotFound
from openai_magics.exchange import Exchange
from openai_magics.render import plain
from openai_magics.rounds import steps

__all__ = ["HARMLESS", "Finding", "Report", "verify"]

HARMLESS = ("orphan", "answers")
"""What does not keep the notebook from giving the same outputs."""
LONGEST = 200


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be, where, and what to do about it."""

    kind: str
    what: str
    cell: int | None = None
    line: int | None = None
    record: str | None = None
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    """What verifying a notebook found; ``cells`` and ``records`` were looked at."""

    notebook: Path
    dialogue: Path
    cells: int = 0
    records: int = 0
    replayed: int = 0
    findings: tuple[Finding, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether the notebook gives the same outputs from its dialogue file."""
        return not any(item.kind not in HARMLESS for item in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            **asdict(self),
            "ok": self.ok,
            "notebook": str(self.notebook),
            "dialogue": str(self.dialogue),
        }

    def __str__(self) -> str:
        head = "the same outputs" if self.ok else "NOT the same outputs"
        # Of a damaged file fewer records can be listed than the kernel found.
        of = f" of {self.records}" if self.replayed <= self.records else ""
        count = f"{self.cells} cells, {self.replayed}{of} records replayed"
        lines = [f"{self.notebook}: {head} ({count})"]
        for item in self.findings:
            where = f"cell {item.cell}" if item.cell else f"line {item.line}" if item.line else ""
            lines.append(f"  {item.kind:<8} {where:<9} {item.what}")
            if item.remedy:
                lines.append(f"  {'':<18} {item.remedy}")
        return "\n".join(lines)


def verify(notebook: Path | str, *, kernel: str | None = None, timeout: float = 600) -> Report:
    """Run a notebook in replay and report what is not as recorded.

    Parameters
    ----------
    notebook : path
        Is only read.
    kernel : str, optional
        The kernel's name; by default the notebook's own.
    timeout : float
        Seconds for one cell.

    Raises
    ------
    NotebookNotFound
        It is not there, or not a notebook.
    ExtraMissing
        Running notebooks needs the ``verify`` extra.
    DialogueError
        What stands beside it is no dialogue file.
    """
    path = Path(notebook)
    document = read(path)
    file = DialogueFile(path.with_suffix(".dialogue.json"), path.name)
    findings, exchanges = _read_records(file)
    if said := renamed.said_of(file.path):
        findings.append(Finding("renamed", said))
    ran, used = rerun.run(path, document, kernel, timeout)
    by_id = {item.id: item for item in exchanges}
    findings += list(_compare(document, ran, by_id))
    findings += list(_orphans(exchanges, set(used)))
    cells = sum(1 for cell in document["cells"] if cell["cell_type"] == "code")
    return Report(path, file.path, cells, len(exchanges), len(used), tuple(findings))


def read(path: Path) -> dict[str, Any]:
    """Return the notebook's JSON.

    Raises
    ------
    NotebookNotFound
        There is none, or it is not valid.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise NotebookNotFound(f"There is no notebook {path}.", "Name an .ipynb file.") from error
    except (OSError, ValueError) as error:
        raise NotebookNotFound(
            f"{path} is not a notebook: {error}.", "Name an .ipynb file."
        ) from error
    if isinstance(document, dict) and document.get("format") == "openai_magics.dialogue":
        raise NotebookNotFound(
            f"{path} is a dialogue file, not a notebook.",
            f"Name its notebook: {path.name.replace('.dialogue.json', '.ipynb')}",
        )
    if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
        raise NotebookNotFound(
            f"{path} is not a notebook: it has no cells.", "Name an .ipynb file."
        )
    return document


def _read_records(file: DialogueFile) -> tuple[list[Finding], list[Exchange]]:
    """Read every record; tell those that are damaged, changed or out of any chain."""
    findings: list[Finding] = []
    exchanges: list[Exchange] = []
    lines: dict[str, int] = {}
    answers: dict[tuple[str, int], set[str]] = {}
    repair = f"python -m openai_magics repair {file.path}"
    try:
        for number, record in file.records():
            try:
                item = Exchange.from_record(record)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                findings.append(
                    Finding("damaged", f"a record lacks something ({error!r})", line=number)
                )
                continue
            exchanges.append(item)
            lines[item.id] = number
            if (item.fingerprint, item.id) != (record.get("fingerprint"), record.get("id")):
                what = "the record is not as it was written"
                findings.append(Finding("changed", what, line=number, record=record.get("id")))
            if item.occurrence is not None and item.made_in is None:  # no cell shows a panel's
                answers.setdefault((item.fingerprint, item.occurrence), set()).add(item.id)
    except DialogueDamaged as error:
        findings.append(Finding("damaged", error.what, line=error.line, remedy=repair))
    findings += [
        Finding("answers", f"{len(ids)} different answers to one request; the last one counts")
        for ids in answers.values()
        if len(ids) > 1
    ]
    findings += list(_chains(exchanges, lines))
    return findings, exchanges


def _chains(exchanges: list[Exchange], lines: Mapping[str, int]) -> Iterator[Finding]:
    parents = {item.id: item.request.parent for item in exchanges}
    sound: set[str] = set()
    for item in exchanges:
        parent = item.request.parent
        if parent is not None and parent not in parents:
            what = "the turn before this record is not in the file"
            yield Finding("chain", what, line=lines[item.id], record=item.id)
        seen: list[str] = []
        at: str | None = item.id
        while at is not None and at not in sound and at in parents:
            if at in seen:
                what = "records follow one another in a circle"
                yield Finding("chain", what, line=lines[item.id], record=item.id)
                break
            seen.append(at)
            at = parents[at]
        sound.update(seen)


def _compare(
    before: Mapping[str, Any], after: Mapping[str, Any], records: Mapping[str, Exchange]
) -> Iterator[Finding]:
    number = 0
    for old, new in zip(before["cells"], after["cells"], strict=True):
        if old["cell_type"] != "code":
            continue
        number += 1
        was, now = rerun.outputs(old), rerun.outputs(new)
        yield from _edited(was, number, records)
        failed = next((item for item in now if item["output_type"] == "error"), None)
        if was == now:
            # What was saved in a run that missed too is no proof, unless the cell is to fail.
            tags = old.get("metadata", {}).get("tags", ())
            if failed and failed["ename"] == "ReplayMiss" and "raises-exception" not in tags:
                yield _failure(failed, number)
            continue
        if failed is not None and failed not in was:
            yield _failure(failed, number)
        else:
            yield Finding("differs", rerun.difference(was, now), cell=number)


def _edited(
    shown: list[dict[str, Any]], number: int, records: Mapping[str, Exchange]
) -> Iterator[Finding]:
    for item in shown:
        identity = item.get("metadata", {}).get("openai_magics")
        if not identity or not identity.get("id"):  # of what failed without an answer
            continue
        record = records.get(identity.get("id"))
        if record is None or record.reply is None:
            what = "the record of this output is not in the dialogue file"
            yield Finding("edited", what, cell=number, record=identity.get("id"))
        elif _text(record, records) != item.get("data", {}).get("text/plain"):
            what = "the output shows another text than its record"
            yield Finding("edited", what, cell=number, record=record.id)


def _text(record: Exchange, records: Mapping[str, Exchange]) -> str:
    """Return the plain text that a cell shows of a record, with what came before it in its ask."""
    assert record.reply is not None
    return plain(replace(record.reply, steps=steps.before(record, records.get)))


def _failure(error: Mapping[str, Any], number: int) -> Finding:
    said = str(error.get("evalue", ""))
    if error.get("ename") == "ReplayMiss":
        kind = "stale" if "after another turn" in said else "missing"
        return Finding(kind, said.replace("\n", " ")[: 2 * LONGEST], cell=number)
    return Finding("failed", f"{error.get('ename')}: {said}"[:LONGEST], cell=number)


def _orphans(exchanges: list[Exchange], used: set[str]) -> Iterator[Finding]:
    alive = {(item.fingerprint, item.occurrence) for item in exchanges if item.id in used}
    learned = {
        part["sha256"]
        for item in exchanges
        if item.request.kind == "train" and (item.fingerprint, item.occurrence) in alive
        for part in map(item.request.parameters.get, ("training", "validation"))
        if part
    }
    for item in exchanges:
        if item.request.kind == "file" and item.request.parameters.get("sha256") in learned:
            continue  # the job that a cell started was given this file
        if item.made_in is not None or item.occurrence is None:
            continue  # no cell asked in a panel either, and the panel shows it again
        if (item.fingerprint, item.occurrence) not in alive:
            said = " ".join(str(m.get("content")) for m in item.request.messages)[:60]
            yield Finding(
                "orphan",
                f"no cell asks any longer: {said!r}"
                if said
                else f"no cell asks: {item.request.kind}",
                record=item.id,
            )
