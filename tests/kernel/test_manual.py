"""Every block of code in the README and in ``docs/`` does what it says: it is run.

A file's ``python`` and ``ipython`` blocks are the cells of one notebook, in order, which asks the
scripted server; a ``python`` block that defines a test is run by pytest; an ``sh`` block is run in
a clone's place. The README's first two are the set-up, which CI itself is (see ``.ci/run``).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.kernel.kernels import PATIENCE, ROOT, Kernel, environment
from tests.scripted import Request, ScriptedServer

BLOCK = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SET_UP = 2
"""How many ``sh`` blocks of the README make an environment."""
READ = ("text", "json", "toml", "yaml", "diff")
"""Languages of what is only shown."""


@dataclass(frozen=True)
class Block:
    """A block of code: its language, its text, and the line it begins in."""

    language: str
    text: str
    line: int


def blocks(path: Path) -> list[Block]:
    """Return the blocks of a Markdown file, in order."""
    text = path.read_text("utf-8")
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start()) + 1)
        for found in BLOCK.finditer(text)
    ]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder as the blocks expect it: a clone's notebooks, and a few things to ask about."""
    folder = tmp_path / "clone"
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    (folder / "scans").mkdir()
    for name in ("photo.jpg", "scans/one.png", "scans/two.png"):
        Image.new("RGB", (64, 48), (200, 30, 30)).save(folder / name)
    for name in ("a.dialogue.json", "a (1).dialogue.json"):
        shutil.copy(folder / "notebooks" / "quickstart.dialogue.json", folder / name)
    (folder / "syllabus.md").write_text("# Tides\n\nWhy the sea rises.\n")
    said = [("Capital of France?", "Paris."), ("Capital of Italy?", "Rome.")] * 6
    lines = [
        json.dumps(
            {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]}
        )
        for q, a in said
    ]
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


@pytest.fixture
def kernel(place: Path, tmp_path: Path, scripted: ScriptedServer) -> Iterator[Kernel]:
    """A kernel that asks the scripted server."""
    scripted.script.always(said)
    with Kernel(place, environment(tmp_path, scripted.base_url)) as started:
        started.ok("%load_ext openai_magics")
        yield started


def fitting(schema: dict[str, Any]) -> Any:
    """Return the simplest value that a schema allows."""
    kind = schema.get("type")
    if kind == "object":
        return {name: fitting(part) for name, part in schema["properties"].items()}
    if "$ref" in schema or "anyOf" in schema:
        raise AssertionError(f"give the server another answer: {schema}")
    simplest: dict[Any, Any] = {"string": "a", "integer": 1, "number": 1.5, "boolean": True}
    return [fitting(schema["items"])] if kind == "array" else simplest[kind]


def said(request: Request) -> str:
    """Answer in the schema where one is asked for; else as the server does by itself."""
    wanted = request.json.get("response_format") or {}
    if wanted.get("type") != "json_schema":
        return f"You said: {request.said}"
    schema = wanted["json_schema"]["schema"]
    text = json.dumps(schema)
    for name, part in schema.get("$defs", {}).items():
        text = text.replace(json.dumps({"$ref": f"#/$defs/{name}"}), json.dumps(part))
    return json.dumps(fitting(json.loads(text)))


def shell(command: Sequence[str], place: Path, env: dict[str, str]) -> None:
    """Run a program; where it fails, say what it said."""
    done = subprocess.run(
        command, cwd=place, env=env, capture_output=True, text=True, timeout=2 * PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_blocks(
    path: Path, place: Path, kernel: Kernel, tmp_path: Path, scripted: ScriptedServer
) -> None:
    """They run, one after the other, and none fails."""
    env = environment(tmp_path, scripted.base_url) | {"CI": ""}
    shells = 0
    for block in blocks(path):
        where = f"{path.name}, line {block.line}"
        assert block.language, f"{where}: which language?"
        if block.language == "sh":
            shells += 1
            if path.name == "README.md" and shells <= SET_UP:
                continue
            shell(["bash", "-euo", "pipefail", "-c", block.text], place, env)
        elif block.language == "python" and "def test_" in block.text:
            (place / "test_block.py").write_text(block.text)
            shell(
                [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_block.py"],
                place,
                env,
            )
        elif block.language in ("python", "ipython"):
            ran = kernel.run(block.text, f"line-{block.line}")
            assert ran.status == "ok", f"{where}\n{ran.error}"
            assert "UsageError" not in ran.stderr, f"{where}\n{ran.stderr}"
        else:
            assert block.language in READ, f"{where}: {block.language}?"


def test_links() -> None:
    """What the README and the docs link to in this repository is there."""
    for path in FILES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text("utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_no_place_of_this_machine() -> None:
    """Neither names a folder of the machine on which it was written."""
    for path in FILES:
        assert os.fspath(ROOT) not in path.read_text("utf-8")
