"""``python -m openai_magics verify`` and ``prune``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from openai_magics.errors import MagicsError

__all__ = ["add", "add_prune"]


def add(subparsers: Any) -> None:
    """Add ``verify``."""
    parser = subparsers.add_parser(
        "verify",
        description="Run notebooks in replay and compare: exit status 0 where each gives the same "
        "outputs from its dialogue file, 1 where one does not, 2 where one could not be run.",
    )
    parser.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--json", action="store_true", help="say it as JSON, an object a notebook")
    parser.add_argument("--kernel", help="the kernel to run them in (default: each one's own)")
    parser.add_argument(
        "--timeout",
        type=float,
        default=600,
        metavar="S",
        help="seconds for one cell (default: 600)",
    )
    parser.set_defaults(run=_verify)


def _verify(options: argparse.Namespace) -> int:
    from openai_magics.verify import verify

    status = 0
    reports: list[dict[str, Any]] = []
    for notebook in options.notebooks:
        try:
            report = verify(notebook, kernel=options.kernel, timeout=options.timeout)
        except MagicsError as error:
            status = 2
            reports.append({"notebook": str(notebook), "ok": False, "error": str(error)})
            sys.stderr.write(f"{error}\n")
            continue
        status = max(status, 0 if report.ok else 1)
        reports.append(report.to_json())
        if not options.json:
            sys.stdout.write(f"{report}\n")
    if options.json:
        sys.stdout.write(json.dumps(reports, indent=2) + "\n")
    return status


def add_prune(subparsers: Any) -> None:
    """Add ``prune``."""
    parser = subparsers.add_parser(
        "prune",
        description="Remove the records that a notebook no longer asks for. It is run in replay "
        "first; the dialogue file as it was is kept beside it.",
    )
    parser.add_argument("notebook", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.set_defaults(run=_prune)


def _prune(options: argparse.Namespace) -> int:
    from openai_magics.repair import drop
    from openai_magics.verify import verify

    report = verify(options.notebook)
    if not report.ok:
        # What a cell that fails in replay would have asked for looks like an orphan.
        sys.stdout.write(f"{report}\nNothing was removed: the notebook has to verify first.\n")
        return 1
    orphans = {item.record: item.what for item in report.findings if item.kind == "orphan"}
    for what in orphans.values():
        sys.stdout.write(f"  {what}\n")
    if options.dry_run or not orphans:
        sys.stdout.write(f"{len(orphans)} records would be removed.\n")
        return 0
    done = drop(report.dialogue, [identity for identity in orphans if identity])
    sys.stdout.write(f"{len(orphans)} records removed; before: {done.set_aside}\n")
    return 0
