"""The rooms of the house: what each may import, how long it may be, what it costs to enter.

A room that is new, or that needs another one, is added to the table here, after a look at
DESIGN.md: data moves down once, and nothing below knows what is above it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

import openai_magics

HOUSE = Path(openai_magics.__file__).parent
OURS = "openai_magics"

ROOMS = {
    # values
    "errors": "errors.base errors.files errors.service",
    "errors.base": "",
    "errors.files": "errors.base",
    "errors.service": "errors.base",
    "canonical": "errors",
    "asked": "",
    "exchange": "asked canonical exchange.record exchange.reply exchange.request",
    "exchange.request": "canonical",
    "exchange.reply": "exchange.request",
    "exchange.record": "canonical exchange.reply exchange.request fields",
    "answers": "errors",
    "schemas": "",
    "schemas.plain": "",
    "schemas.trees": "",
    "schemas.strict": "schemas.trees",
    "schemas.shape": "answers errors schemas.plain schemas.strict schemas.trees",
    "schemas.forms": "errors schemas.strict schemas.trees",
    "config": "errors",
    "keys": "errors",
    "failures": "errors",
    "fields": "",
    "wire": "",
    "wire.answers": "errors exchange failures",
    "wire.bodies": "exchange",
    "wire.events": "errors exchange failures wire.answers",
    "wire.chat": "errors exchange schemas.forms wire.answers wire.bodies wire.events",
    "wire.items": "exchange",
    "wire.responses": "errors exchange failures schemas.forms wire.answers wire.bodies wire.events "
    "wire.items",
    "prices": "",
    "tracebacks": "",
    "interrupts": "",
    # the dialogue file
    "disk": "errors interrupts",
    "replacing": "disk",
    "scan": "errors",
    "logs": "",
    "dialogue": "dialogue.file dialogue.records",
    "dialogue.records": "errors exchange",
    "dialogue.index": "disk errors scan",
    "dialogue.writer": "dialogue.index dialogue.records disk errors exchange interrupts scan",
    "dialogue.file": "dialogue.index dialogue.records dialogue.writer disk errors exchange "
    "interrupts logs scan",
    "entries": "errors exchange scan",
    "salvage": "entries errors scan",
    "union": "entries",
    "repair": "disk entries errors replacing salvage union",
    "merge": "entries errors repair salvage union",
    "renamed": "errors scan",
    # asking
    "local": "",
    "local.fetch": "errors",
    "local.weights": "errors",
    "local.logs": "errors local.weights",
    "local.process": "errors local.logs local.weights",
    "local.counting": "errors local.process local.weights",
    "local.observe": "errors exchange",
    "local.server": "",
    "local.__main__": "errors local.process local.weights",
    "local.jobs": "",
    "local.jobs.store": "errors",
    "local.jobs.files": "local.jobs.store",
    "local.jobs.check": "",
    "local.jobs.outcome": "",
    "local.jobs.job": "local local.jobs.store",
    "local.jobs.create": "local local.jobs.files local.jobs.job local.jobs.store",
    "local.jobs.models": "local local.jobs.job local.jobs.store",
    "local.jobs.start": "local.jobs.job local.jobs.store",
    "local.jobs.queue": "local.jobs.start local.jobs.check local.jobs.files local.jobs.job local.jobs.outcome "
    "local.jobs.store",
    "local.service": "",
    "local.service.answers": "local.jobs.create",
    "local.service.base": "errors local.jobs.create local.jobs.models local.jobs.store local.weights",
    "local.service.files": "local.jobs.create local.jobs.files local.jobs.store "
    "local.service.answers",
    "local.service.jobs": "local.jobs.create local.jobs.job local.jobs.store local.service.answers "
    "local.service.base",
    "local.service.served": "errors local.jobs.create local.jobs.models local.process",
    "local.service.front": "local.jobs.create local.jobs.models local.jobs.outcome "
    "local.jobs.start local.jobs.store local.service.answers local.service.base "
    "local.service.files local.service.jobs local.service.served",
    "local.train": "",
    "local.train.child": "",
    "local.train.runner": "local.jobs.job local.jobs.models local.jobs.outcome local.jobs.store",
    "local.train.__main__": "local.train.command",
    "local.train.plan": "local.jobs.files local.jobs.job local.jobs.store",
    "local.train.text": "local.train.runner",
    "local.train.loading": "local.train.plan local.train.runner",
    "local.train.spread": "",
    "local.train.adapter": "local.jobs.store local.train.runner",
    "local.train.verify": "local.process local.train.runner",
    "local.train.data": "local.jobs.check local.train.runner local.train.text",
    "local.train.lora": "local.train.data local.train.loading local.train.adapter "
    "local.train.plan local.train.runner local.train.spread local.train.text local.train.verify",
    "local.train.merge": "local.jobs.store local.train.adapter",
    "local.train.card": "",
    "local.train.export": "errors local.jobs.files local.jobs.models local.jobs.store "
    "local.train.card local.train.runner",
    "local.train.command": "local.jobs local.jobs.check local.jobs.job local.jobs.outcome "
    "local.train.child local.train.plan local.train.runner",
    "connection": "config errors keys local",
    "calls": "exchange keys logs wire.events",
    "routes": "calls errors exchange wire.answers wire.bodies",
    "sent_images": "exchange",
    "client": "calls client.live",
    "client.kept": "config connection errors keys",
    "client.prepared": "calls config connection errors exchange keys local routes schemas.forms "
    "sent_images wire.bodies",
    "client.spoken": "calls client.kept client.prepared exchange failures routes wire.bodies wire.chat wire.events "
    "wire.responses",
    "client.tries": "calls client.prepared client.spoken connection errors exchange failures keys "
    "logs routes wire.answers wire.bodies wire.responses",
    "client.live": "calls client.kept client.prepared client.spoken client.tries config connection "
    "errors exchange keys schemas.forms",
    "client.lanes": "",
    "many": "",
    "token_count": "",
    "in_turn": "asked",
    "redrawn": "dialogue exchange images.likeness",
    "replay": "client dialogue errors exchange failures redrawn",
    "pages": "calls exchange replay",
    "conversation": "errors exchange interrupts",
    "branches": "chains conversation errors exchange rounds.steps",
    "renaming": "conversation dialogue entries errors repair salvage",
    "rounds": "",
    "rounds.steps": "exchange",
    "rounds.script": "conversation errors exchange rounds.steps",
    "rounds.play": "errors exchange interrupts rounds.script",
    "tools": "",
    "tools.limit": "",
    "tools.printed": "",
    "tools.describe": "errors schemas.plain",
    "tools.toolbox": "errors exchange interrupts tools.describe tools.limit tools.printed",
    "lineage": "chains conversation dialogue errors exchange",
    "turns": "turns.asking turns.run",
    "turns.asking": "branches cells conversation exchange replay",
    "turns.shown": "cells conversation",
    "turns.recorder": "cells dialogue errors exchange failures replay turns.asking",
    "turns.taking": "client config conversation dialogue errors exchange lineage replay "
    "turns.asking turns.recorder turns.shown",
    "turns.run": "branches cells client config conversation dialogue errors exchange interrupts "
    "rounds.play rounds.script turns.asking turns.taking",
    "sentiment": "sentiment.english sentiment.language sentiment.prose sentiment.russian",
    "sentiment.english": "",
    "sentiment.language": "",
    "sentiment.prose": "",
    "sentiment.russian": "",
    "twins": "",
    "described": "errors exchange many",
    "describing": "asked described twins client config errors exchange frames many turns",
    "estimate": "connection errors exchange local prices render token_count",
    "settled": "client config errors keys",
    "listings": "exchange frames turns twins",
    "threads": "config conversation dialogue errors turns",
    "asks": "branches client errors exchange listings threads turns",
    "judging": "config errors exchange logs prices turns twins",
    "session": "in_turn asked asks client cloud.address config conversation describing dialogue errors exchange "
    "judging keys listings panels place settled training.methods turns twins views",
    # training
    "training": "",
    "training.problems": "",
    "training.formats": "",
    "training.leaks": "training.problems",
    "training.repeats": "",
    "training.lengths": "",
    "training.tools": "training.problems",
    "training.messages": "errors training.problems training.tools",
    "training.diagnose": "training.formats training.messages training.problems training.tools",
    "training.tables": "errors training.formats",
    "training.spreadsheets": "errors training.problems",
    "training.sources": "errors training.diagnose training.problems training.spreadsheets "
    "training.tables",
    "training.scan": "training.diagnose training.formats training.leaks training.lengths "
    "training.problems training.repeats training.sources",
    "training.numbered": "training.sources",
    "training.own": "training.lengths training.numbered training.problems training.scan "
    "training.sources",
    "training.check": "errors training.diagnose training.formats training.lengths training.own "
    "training.problems training.scan training.sources",
    "training.checked": "calls exchange training.check training.lengths training.problems "
    "training.sources",
    "training.selection": "chains chat_lines errors exchange",
    "training.material": "errors training.numbered training.sources",
    "training.kept": "disk errors replacing",
    "training.jobs": "",
    "training.job": "errors training.formats training.tables",
    "training.exporting": "calls connection errors exchange local",
    "training.follow": "logs calls errors exchange failures pages replay training.jobs",
    "training.submit": "logs calls errors exchange failures pages replay training.material",
    "training.lineage": "exchange training.submit",
    "training.methods": "twins",
    "training.terms": "config connection training.job training.lengths training.own",
    "training.data": "client config connection errors training.check training.job "
    "training.material training.mend training.sources training.terms",
    "training.mend": "errors training training.diagnose training.formats training.leaks "
    "training.messages training.sources",
    "training.shown": "calls charts errors render training training.follow training.jobs",
    "training.checks": "cells client config errors exchange training.check training.checked "
    "training.data training.job training.lineage training.selection training.sources turns",
    "training.desk": "calls client config connection errors exchange pages training "
    "training.checks training.follow training.jobs training.kept training.lineage training.submit turns",
    "training.service": "calls cells connection errors exchange training.check training.desk "
    "training.exporting training.job training.lineage training.material training.sources training.submit "
    "training.terms turns",
    # assistants
    "assistants": "",
    "assistants.assistant": "canonical errors wire.bodies",
    "assistants.store": "assistants.assistant canonical disk errors replacing",
    "assistants.imported": "assistants.assistant assistants.store errors",
    "assistants.roster": "assistants.assistant assistants.store config errors notebook",
    "assistants.lookup": "client exchange replay",
    "assistants.remote": "client errors exchange pages",
    "assistants.frame": "assistants.assistant assistants.imported",
    "assistants.reading": "assistants.assistant assistants.lookup assistants.remote "
    "assistants.roster client config errors exchange turns",
    "assistants.desk": "assistants.assistant assistants.imported assistants.reading "
    "assistants.remote assistants.roster assistants.store errors exchange turns",
    # in the cloud
    "cloud": "",
    "cloud.address": "errors",
    "cloud.storage": "cloud.address errors",
    "cloud.uniting": "disk merge replacing",
    "cloud.told": "cells",
    "cloud.pair": "cloud.address cloud.storage cloud.told cloud.uniting disk errors replacing scan",
    "cloud.sync": "cloud.address cloud.pair cloud.storage cloud.told errors",
    "cloud.file": "cloud.address cloud.sync dialogue errors exchange",
    "resetting": "cloud.file dialogue errors",
    "place": "cloud.address config dialogue notebook renamed",
    # prompts
    "prompts": "errors",
    "values": "errors tracebacks token_count",
    # images
    "images": "",
    "images.sniff": "errors",
    "images.decode": "errors images.sniff",
    "images.vision": "errors",
    "images.likeness": "",
    "images.drawn": "",
    "images.pixels": "images.drawn errors",
    "images.places": "errors images.sniff",
    "images.download": "errors images.places images.sniff",
    "images.source": "images.decode errors images.likeness images.pixels images.places images.vision",
    "images.prepare": "images.decode images.download errors images.source images.likeness images.vision",
    "images.attached": "errors images.prepare images.source",
    "images.listed": "errors images.attached images.source",
    "images.named": "errors images.attached",
    "images.shown": "errors exchange render",
    # which notebook, which cell
    "cells": "",
    "contents": "",
    "notebook": "cells contents errors",
    # looking at it
    "safe": "exchange",
    "grids": "answers errors exchange safe",
    "render": "errors exchange grids safe",
    "charts": "render",
    "markdown": "render transcript",
    "frames": "errors exchange",
    "chains": "errors exchange",
    "chat_lines": "chains exchange",
    "summaries": "chains errors exchange",
    "transcript": "chains exchange frames render",
    "ask_cells": "errors exchange",
    "export": "chains chat_lines dialogue errors frames replacing transcript",
    "export_notebook": "ask_cells chains dialogue disk errors exchange render transcript",
    "sent": "exchange wire.chat",
    "glance": "chains dialogue errors exchange frames",
    "browse": "dialogue errors exchange frames glance sent",
    "overview": "chains dialogue errors exchange export transcript",
    "views": "chains dialogue errors exchange frames lineage",
    "status": "errors notebook render",
    "rerun": "errors",
    "verify": "dialogue errors exchange render renamed rerun rounds.steps",
    # front ends
    "__init__": "",
    "magics": "magics.configurable magics.families",
    "magics.ask": "errors magics.ask_options magics.base magics.options",
    "magics.assistant_options": "errors magics.ask_options magics.options",
    "magics.assistants": "config errors magics.assistant_options magics.base magics.options "
    "magics.show render",
    "magics.base": "cells errors magics.options",
    "magics.complete": "errors magics.families magics.options",
    "magics.configurable": "config",
    "magics.describe": "errors magics.ask_options magics.base magics.options",
    "magics.dialogue": "errors magics.base magics.options magics.show render",
    "magics.families": "",
    "magics.jobs": "config errors magics.base magics.show",
    "magics.job_text": "errors",
    "magics.train": "cells config errors magics.base magics.job_text magics.options magics.show",
    "magics.named": "errors",
    "magics.options": "errors",
    "magics.ask_options": "config errors magics.options",
    "magics.questions": "",
    "magics.displayed": "",
    "magics.service": "cells config errors magics.base magics.configurable",
    "magics.show": "cells render",
    "magics.panel": "magics.base panels",
    "panels": "errors",
    "panels.base": "cells panels.worker render",
    "panels.asks": "errors exchange lineage panels.chat_options panels.chat_state panels.pending "
    "panels.turn_view panels.uploads panels.worker",
    "panels.chat": "errors exchange panels.asks panels.base panels.chat_options panels.chat_state "
    "panels.highlight panels.inbox panels.pending panels.thumbs panels.turn_view panels.uploads "
    "panels.worker render",
    "panels.chat_options": "errors exchange",
    "panels.chat_state": "errors exchange panels.chat_options panels.pending panels.turn_view "
    "panels.uploads render",
    "panels.growing": "panels.highlight render",
    "panels.highlight": "",
    "panels.inbox": "",
    "panels.pending": "panels.growing panels.uploads panels.worker",
    "panels.turn_view": "chains errors exchange panels.highlight render",
    "panels.uploads": "errors",
    "panels.worker": "cells logs",
    "panels.table": "render",
    "panels.forms": "errors logs panels panels.base panels.keeper panels.worker render",
    "panels.keeper": "panels.base",
    "panels.thumbs": "errors exchange",
    "panels.drop": "",
    "panels.past": "browse chains images.shown panels.table",
    "panels.images": "cells described describing errors panels.drop panels.forms panels.gallery panels.past "
    "panels.table",
    "panels.gallery": "errors images images.prepare images.source panels.thumbs",
    "panels.record": "exchange panels.forms sent",
    "panels.usage": "charts panels.table",
    "panels.models": "errors frames panels panels.base panels.forms panels.past panels.table status",
    "panels.datasets": "errors",
    "panels.jobs": "charts panels.forms panels.table",
    "panels.training_acts": "cells errors panels.datasets panels.forms",
    "panels.training": "errors panels.datasets panels.drop panels.forms panels.jobs panels.past "
    "panels.table "
    "panels.training_acts",
    "panels.lines": "frames panels.table",
    "panels.dialogue": "browse errors panels.forms panels.lines panels.record panels.table panels.thumbs panels.usage",
    "warm": "",
    "pytest_plugin": "config",
    "verify_command": "errors",
    "__main__": "errors",
}
"""A room → the rooms that it may import when it is imported."""

LATER = {
    "logs": "config errors",
    "__init__": "magics",
    "__main__": "merge repair",
    "ask_cells": "magics.ask_options",
    "client.kept": "client.lanes",
    "in_turn": "images.attached",
    "client.prepared": "local.observe",
    "described": "images.listed",
    "describing": "images.attached images.listed",
    "estimate": "images.vision",
    "assistants.reading": "assistants.frame",
    "exchange.reply": "answers",
    "exchange.record": "schemas.shape",
    "export": "export_notebook markdown",
    "local.server": "local.jobs.start local.jobs.store local.service.front",
    "local.train.child": "local.server",
    "local.train.export": "local.train.merge",
    "local.__main__": "local.train.export",
    "local.train.command": "local.train.lora local.train.spread",
    "local.train.verify": "local.train.text",
    "local.weights": "local.fetch",
    "magics": "magics.complete magics.displayed magics.questions turns warm",
    "magics.ask": "estimate images.named magics.named magics.show render tracebacks",
    "magics.base": "client keys magics.named magics.show prompts render session",
    "magics.complete": "assistants.roster config images.places local magics.assistant_options values",
    "magics.describe": "describing estimate frames images.listed images.named images.places images.shown magics.show "
    "render",
    "magics.dialogue": "export",
    "magics.displayed": "render",
    "magics.jobs": "calls training training.jobs training.shown",
    "magics.ask_options": "exchange",
    "magics.train": "calls render training training.job training.selection training.shown "
    "training.tables",
    "magics.service": "connection keys magics.show status",
    "panels.images": "images images.attached images.named",
    "panels.past": "training training.follow",
    "panels.jobs": "training training.jobs",
    "panels.training_acts": "training training.job training.selection training.tables",
    "panels.thumbs": "images images.prepare images.source",
    "panels.chat": "keys",
    "panels.chat_state": "images images.attached images.source",
    "panels.uploads": "images.prepare images.source",
    "pytest_plugin": "session",
    "prompts": "images.attached values",
    "listings": "assistants.desk",
    "asks": "images.attached schemas.shape tools.toolbox",
    "judging": "sentiment",
    "threads": "renaming",
    "tools.toolbox": "values",
    "training.kept": "canonical",
    "training.methods": "training.job training.service training.tables",
    "training.exporting": "local.jobs local.jobs.models local.jobs.store",
    "training.terms": "local local.counting local.jobs local.jobs.models local.jobs.outcome "
    "local.jobs.store local.weights",
    "verify_command": "repair verify",
    "place": "cloud.file",
    "status": "cloud.told",
    "turns.run": "tools.toolbox",
    "views": "cloud.file cloud.told ask_cells browse export overview resetting summaries verify",
    "warm": "local magics.show sentiment",
}
"""A room → the rooms that it may import besides, inside its functions, at first use."""

FRONT_ENDS = {"ask_cells", "magics"}
"""Rooms that stand in a notebook: IPython is there already."""

HEAVY = {
    "IPython",
    "PIL",
    "fsspec",
    "anywidget",
    "genai_prices",
    "gguf",
    "httpx2",
    "ipykernel",
    "ipywidgets",
    "docstring_parser",
    "jinja2",
    "jsonschema",
    "keyring",
    "markdown_it",
    "matplotlib",
    "nbclient",
    "nbformat",
    "numpy",
    "openai",
    "pandas",
    "peft",
    "platformdirs",
    "portalocker",
    "pydantic",
    "pygments",
    "referencing",
    "safetensors",
    "torch",
    "traitlets",
    "transformers",
    "xllamacpp",
}
"""What is imported at first use, inside functions."""

LONG: dict[str, str] = {}
"""Rooms of more than 300 lines, and why."""


@dataclass
class Room:
    """A module: its lines, and what it imports when it is imported, or later."""

    lines: int
    now: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)

    @property
    def all(self) -> set[str]:
        return self.now | self.later


def named(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Yield the modules that an import names in full."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    assert node.level == 0, "imports are absolute"
    assert node.module is not None
    if node.module.partition(".")[0] != OURS:
        yield node.module
        return
    for alias in node.names:  # a name of a package may be a module in it
        inner = f"{node.module}.{alias.name}"
        yield inner if is_module(inner) else node.module


def is_module(name: str) -> bool:
    path = HOUSE.joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def collect(node: ast.AST, room: Room, *, later: bool = False) -> None:
    """Collect the imports below a node, apart from those for the type checker only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            (room.later if later else room.now).update(named(child))
        function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        collect(child, room, later=later or function)


@cache
def rooms() -> dict[str, Room]:
    """Return every module of the package by its name in it."""
    found: dict[str, Room] = {}
    for path in sorted(HOUSE.rglob("*.py")):
        parts = path.relative_to(HOUSE).with_suffix("").parts
        name = ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)
        source = path.read_text("utf-8")
        found[name] = Room(len(source.splitlines()))
        collect(ast.parse(source), found[name])
    return found


def ours(names: set[str]) -> set[str]:
    """Return the rooms among modules."""
    return {name.removeprefix(f"{OURS}.") for name in names if name.startswith(f"{OURS}.")}


def others(names: set[str]) -> set[str]:
    """Return the packages of others among modules."""
    tops = {name.partition(".")[0] for name in names}
    return tops - set(sys.stdlib_module_names) - {OURS}


def test_every_room_is_in_the_table() -> None:
    """A new module says what it may import; one that is gone is taken out."""
    assert sorted(ROOMS) == sorted(rooms())
    assert set(LATER) <= set(ROOMS)
    assert {one for row in (*ROOMS.values(), *LATER.values()) for one in row.split()} <= set(ROOMS)


def test_a_room_imports_what_it_may() -> None:
    """And nothing else: neither at once nor at first use."""
    problems: dict[str, str] = {}
    for name, room in rooms().items():
        now, later = set(ROOMS.get(name, "").split()), set(LATER.get(name, "").split())
        beyond = (ours(room.now) - now) | (ours(room.later) - now - later)
        if beyond:
            problems[name] = " ".join(sorted(beyond))
    assert problems == {}


def reached(name: str) -> set[str]:
    """Return all rooms that a room leads to, by whatever import."""
    found: set[str] = set()
    ahead = [name]
    while ahead:
        for one in ours(rooms()[ahead.pop()].all) - found:
            found.add(one)
            ahead.append(one)
    return found


def test_no_room_leads_back_to_itself() -> None:
    """No import cycles, those inside functions among them."""
    assert [name for name in rooms() if name in reached(name)] == []


def test_errors_import_nothing() -> None:
    """Whatever fails, its error can be raised."""
    found = {"errors", *reached("errors")}
    assert {name for name in found if name.partition(".")[0] != "errors"} == set()
    assert {other for name in found for other in others(rooms()[name].all)} == set()


@pytest.mark.parametrize(
    "name",
    ["render", "dialogue", "wire.chat", "exchange", "frames", "conversation", "replay", "turns"],
)
def test_data_moves_down(name: str) -> None:
    """What shows and keeps values never sees a session or a magic."""
    assert reached(name).isdisjoint({"session", "magics", "views", "show"})


@pytest.mark.parametrize("name", ["exchange", "dialogue", "render", "answers", "conversation"])
def test_replaying_needs_no_client(name: str) -> None:
    """The values and the file know nothing of asking."""
    assert reached(name).isdisjoint({"client", "connection", "keys", "local"})
    assert not [room for room in reached(name) if room.partition(".")[0] == "wire"]


def test_one_door() -> None:
    """Only `client` imports ``openai``, and what it speaks HTTP with.

    The engine's front is no door: it is what stands behind one, on this machine.
    """
    doors = {"openai", "httpx", "httpx2", "requests", "aiohttp"}
    found: dict[str, set[str]] = {}
    for name, room in rooms().items():
        if not name.startswith("local.service."):
            found.setdefault(name.partition(".")[0], set()).update(others(room.all) & doors)
    assert {name: names for name, names in found.items() if names} == {
        "client": {"openai", "httpx2"}
    }


def test_nothing_heavy_at_once() -> None:
    """Packages that take time to import are imported where they are used."""
    problems: dict[str, set[str]] = {}
    for name, room in rooms().items():
        allowed = {"IPython", "traitlets"} if name.partition(".")[0] in FRONT_ENDS else set()
        allowed |= {"httpx2"} if name == "client.lanes" else set()  # with the first client
        if beyond := (others(room.now) & HEAVY) - allowed:
            problems[name] = beyond
    assert problems == {}


def test_length() -> None:
    """A room has one job: 300 lines at most, or a reason; one that became short needs none."""
    long = {name: room.lines for name, room in rooms().items() if room.lines > 300}
    assert {name: lines for name, lines in long.items() if name not in LONG or lines > 500} == {}
    assert set(LONG) <= set(long)


def entering(*names: str) -> set[str]:
    """Return the top-level packages that importing modules brings in, in a new process."""
    code = f"import sys, {', '.join(names)}; print(*{{n.partition('.')[0] for n in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_costs_nothing() -> None:
    """``import openai_magics`` brings in nothing of others."""
    assert entering(OURS).isdisjoint(HEAVY)


def test_importing_the_session_costs_little() -> None:
    """Everything that a replay needs is imported without a heavy package."""
    names = [f"{OURS}.{name}" for name in ("session", "replay", "render", "answers", "views")]
    assert entering(*names).isdisjoint(HEAVY)


def test_loading_the_extension_costs_little() -> None:
    """The magics need IPython, which is there already, and nothing else that is heavy."""
    found = entering("IPython.core.interactiveshell", f"{OURS}.magics", f"{OURS}.magics.complete")
    assert found.isdisjoint({"openai", "httpx2", "pandas", "PIL", "ipywidgets", "numpy", "jinja2"})
