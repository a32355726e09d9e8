"""Two kernels, and others, on one dialogue file at the same time."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openai_magics import Session
from openai_magics.dialogue import DialogueFile
from tests.kernel.kernels import LOAD, ROOT, Kernel, environment, loaded, records
from tests.scripted import ScriptedServer, process

TURNS = 1000
ASK = """\
from openai_magics import get_session
session = get_session()
ids = [session.ask(f"{name} {{n}}", history=False, sentiment="off").id for n in range({turns})]
"""
READER = """\
import json, os, sys, time
import portalocker
path, stop = sys.argv[1:]
seen = times = 0

def held(locked):
    with open(path, "rb") as file:
        if locked:
            portalocker.lock(file, portalocker.LOCK_SH)
        text = file.read()
    # Empty is what it is between being made and the first record.
    return len(json.loads(text)["exchanges"]) if text else 0

while True:
    last = os.path.exists(stop)
    if os.path.exists(path):
        try:
            now = held(locked=False)
        except ValueError:
            now = held(locked=True)
        if now < seen:
            sys.exit(f"{seen} records, then {now}")
        seen, times = now, times + 1
    if last:
        break
    time.sleep(0.02)
print(seen, times)
"""


@contextmanager
def read_all_along(path: Path, stop: Path) -> Iterator[list[int]]:
    """Parse a file over and over in a process of its own; it may never fail.

    A reader that does not take the lock can fall between the pages of a write (once in some
    thousand reads, with two writers that do nothing else), so it then reads with the lock.
    The list has, afterwards, how many records there were at last, and how often it was read.
    """
    command = [sys.executable, "-c", READER, str(path), str(stop)]
    told: list[int] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        try:
            yield told
        finally:
            stop.touch()
            out, error = run.communicate(timeout=60)
        assert run.returncode == 0, error
        told += map(int, out.split())


def test_two_kernels(tmp_path: Path) -> None:
    """Two kernels ask 1,000 times each: every answer is there, the file is JSON all along, no litter."""
    folder = tmp_path / "notebook"
    path = folder / "notebook.dialogue.json"
    options = ("--text", "Yes, of course.", "--no-check", "--no-record")
    with process(*options) as base_url:
        env = environment(tmp_path, base_url, OPENAI_MAGICS_FSYNC="false")
        with (
            loaded(folder, env) as one,
            loaded(folder, env) as two,
            read_all_along(path, tmp_path / "stop") as told,
        ):
            sent = [
                (kernel, kernel.send(ASK.format(name=name, turns=TURNS)))
                for kernel, name in ((one, "one"), (two, "two"))
            ]
            for kernel, message in sent:
                ran = kernel.finish(message)
                assert ran.status == "ok", ran.error
            ids = one.value("ids") + two.value("ids")
    assert told[0] == 2 * TURNS
    assert told[1] > 10
    kept = records(path)
    assert len(kept) == 2 * TURNS
    assert {each["id"] for each in kept} == set(ids)
    assert len(set(ids)) == 2 * TURNS
    # They really ran at the same time.
    names = [each["request"]["messages"][0]["content"].split()[0] for each in kept]
    assert sum(sooner != later for sooner, later in itertools.pairwise(names)) > 10
    assert [each.name for each in folder.iterdir()] == [path.name]
    held = DialogueFile(path)
    assert len(held) == 2 * TURNS
    assert all(held.get(each["fingerprint"], 0).id == each["id"] for each in kept)  # type: ignore[union-attr]


def test_each_sees_the_others(tmp_path: Path, scripted: ScriptedServer) -> None:
    """What one kernel was answered, the other does not ask again; a restart is not needed."""
    env = environment(tmp_path, scripted.base_url)
    with loaded(tmp_path, env) as one, loaded(tmp_path, env) as two:
        for n in range(3):
            first = one.ok(f"%ask Question {n}", f"a{n}")
            again = two.ok(f"%ask Question {n}", f"a{n}")
            assert again.outputs == first.outputs
        assert len(scripted.requests) == 3
        assert len(two.ok("%dialogue").of("execute_result")) == 1


def test_replaced_under_a_kernel(tmp_path: Path, scripted: ScriptedServer) -> None:
    """A file that git put in the place of the other is taken as it now is, and appended to."""
    path = tmp_path / "notebook.dialogue.json"
    env = environment(tmp_path, scripted.base_url)
    with loaded(tmp_path, env) as kernel:
        kernel.ok("%ask --no-history One", "a")
        old = path.read_bytes()
        kernel.ok("%ask --no-history Two", "b")
        new = tmp_path / "checked out"
        new.write_bytes(old)
        new.replace(path)
        kernel.ok("%ask --no-history Three", "c")
        said = [each["request"]["messages"][0]["content"] for each in records(path)]
        assert said == ["One", "Three"]
        path.unlink()
        kernel.ok("%ask --no-history Four", "d")
        assert len(records(path)) == 1


def test_damaged_under_a_kernel(tmp_path: Path, scripted: ScriptedServer) -> None:
    """A merge conflict in the file fails the cell before anything is asked, and is left as it is."""
    path = tmp_path / "notebook.dialogue.json"
    with loaded(tmp_path, environment(tmp_path, scripted.base_url)) as kernel:
        kernel.ok("%ask --no-history One", "a")
        lines = path.read_text("utf-8").splitlines(keepends=True)
        conflict = ["<<<<<<< ours\n", lines[1], "=======\n", lines[1], ">>>>>>> theirs\n"]
        path.write_text("".join([lines[0], *conflict, *lines[2:]]), "utf-8")
        kept = path.read_bytes()
        ran = kernel.run("%ask --no-history Two", "b")
        assert ran.reply["ename"] == "DialogueDamaged"
        assert f"{path.name}, line 2" in ran.error
        assert "python -m openai_magics repair" in ran.error
        assert len(ran.error.splitlines()) == 2
        assert path.read_bytes() == kept
        assert len(scripted.requests) == 1


def test_cannot_be_written(tmp_path: Path, scripted: ScriptedServer) -> None:
    """A folder that is not there fails the cell before anything is asked."""
    env = environment(tmp_path, scripted.base_url)
    env["OPENAI_MAGICS_DIALOGUE"] = str(tmp_path / "nowhere" / "d.json")
    with loaded(tmp_path, env) as kernel:
        ran = kernel.run("%ask One")
        assert ran.reply["ename"] == "DialogueUnwritable"
        assert len(ran.error.splitlines()) <= 2
    assert scripted.requests == []


def test_kernel_and_script(tmp_path: Path, scripted: ScriptedServer) -> None:
    """A script beside a kernel shares its file; what either was answered is in it."""
    path = tmp_path / "notebook.dialogue.json"
    env = environment(tmp_path, scripted.base_url)
    code = "import openai_magics as o, sys; print(o.Session().ask(sys.argv[1], history=False).replayed)"
    with Kernel(tmp_path, env) as kernel:
        kernel.ok(f"{LOAD}\n%ask --no-history One", "a")
        for prompt, replayed in (("One", "True"), ("Two", "False")):
            command = [sys.executable, "-c", code, prompt]
            done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=True)
            assert done.stdout.decode().strip() == replayed
        assert kernel.ok("%ask --no-history Two", "b").text == "You said: Two. (turn 1, messages 1)"
    assert len(records(path)) == len(scripted.requests) == 2
    replay = Session(mode="replay", dialogue_log_path=path)
    assert replay.ask("Two", history=False).text == "You said: Two. (turn 1, messages 1)"
    assert json.loads(path.read_text("utf-8"))["format"] == "openai_magics.dialogue"
    assert str(ROOT) not in path.read_text("utf-8")
