"""A dialogue file in a mounted cloud (Google Drive and its like): what such a folder cannot do.

The folder of these tests answers as FUSE file systems do: ``EOPNOTSUPP`` to locks, ``EINVAL``
to ``fsync``, ``EPERM`` to modes and hard links, and, where a test says so, another inode each
time a path is looked at.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import portalocker.portalocker as locking
import pytest

from openai_magics import Session, disk
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import DialogueUnwritable
from openai_magics.merge import merge
from openai_magics.repair import repair
from tests.unit.making import exchange, texts

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks of POSIX are simulated")


def failing(number: int, inside: Callable[[Any], bool], does: Callable[..., Any]) -> Any:
    """Return what fails with an errno for what is inside of the mount, and else does as before."""

    def call(what: Any, *given: Any, **named: Any) -> Any:
        if inside(what):
            raise OSError(number, os.strerror(number))
        return does(what, *given, **named)

    return call


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder that can do little."""
    folder = tmp_path / "drive" / "MyDrive"
    folder.mkdir(parents=True)

    def inside(what: Any) -> bool:
        number = what if isinstance(what, int) else getattr(what, "fileno", lambda: None)()
        path = os.readlink(f"/dev/fd/{number}") if number is not None else os.fspath(what)
        return os.path.realpath(path).startswith(str(folder.parent.resolve()))

    locks = failing(errno.EOPNOTSUPP, inside, locking.LOCKER)
    monkeypatch.setattr(locking.PosixLocker, "_locker", staticmethod(locks))
    monkeypatch.setattr(locking, "LOCKER", locks)
    for module, name, number in (
        (os, "fsync", errno.EINVAL),
        (os, "link", errno.EPERM),
        (os, "chmod", errno.EPERM),
    ):
        monkeypatch.setattr(module, name, failing(number, inside, getattr(module, name)))
    with (folder / "probe").open("w") as probe:
        with pytest.raises(locking.exceptions.LockException):
            locking.lock(probe, locking.LockFlags.EXCLUSIVE | locking.LockFlags.NON_BLOCKING)
        with pytest.raises(OSError, match="Invalid"):
            os.fsync(probe.fileno())
    (folder / "probe").unlink()
    return folder


def test_recorded_and_found(mounted: Path) -> None:
    """A session records there, another finds it, and nothing is left beside the file."""
    path = mounted / "a.dialogue.json"
    held = Session(dialogue_log_path=path)
    held._dialogue_file().append(exchange("a", "Of a."), exchange("b", "Of b."))
    assert texts(path) == ["Of a.", "Of b."]
    assert len(Session(dialogue_log_path=path).dialogue) == 2
    assert [item.name for item in mounted.iterdir()] == ["a.dialogue.json"]


def test_kernels_of_one_machine_wait_for_one_another(mounted: Path) -> None:
    """By a lock elsewhere: many writers, and every record is there."""
    path = mounted / "a.dialogue.json"

    def write(name: str) -> None:
        file = DialogueFile(path)
        for number in range(10):
            file.append(exchange(f"{name}{number}", f"Of {name}{number}."))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts(path)) == 40


def test_one_that_is_held_is_waited_for(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock that stands in is one: it is not had twice."""
    monkeypatch.setattr(disk, "PATIENCE", 0.05)
    path = mounted / "a.dialogue.json"
    with (
        disk.opened(path),
        pytest.raises(DialogueUnwritable, match="Another process has held"),
        disk.opened(path),
    ):
        pass
    with disk.opened(path):
        pass


def test_inodes_that_change(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at by its path has never the inode that it was opened with: it goes on."""
    path = mounted / "a.dialogue.json"
    stat, numbers = Path.stat, itertools.count(10**9)

    def looked_at(self: Path, **named: Any) -> os.stat_result:
        told = stat(self, **named)
        return os.stat_result((told[0], next(numbers), *told[2:])) if self == path else told

    monkeypatch.setattr(Path, "stat", looked_at)
    file = DialogueFile(path)
    for text in "abc":
        file.append(exchange(text, f"Of {text}."))
    assert texts(path) == ["Of a.", "Of b.", "Of c."]


def test_upkeep(mounted: Path) -> None:
    """It is renamed in, mended, reset, and a conflicting copy that the drive made is united."""
    path = mounted / "a.dialogue.json"
    held = Session(dialogue_log_path=path)
    held._dialogue_file().append(exchange("a", "Of a.", conversation="main"))
    held.rename_conversation("main", "tides")
    twin = mounted / "a (1).dialogue.json"
    shutil.copyfile(path, twin)
    DialogueFile(twin).append(exchange("b", "Of b."))
    held._dialogue_file().append(exchange("c", "Of c."))
    merge(path, Path(os.devnull), twin, path)
    assert sorted(texts(path)) == ["Of a.", "Of b.", "Of c."]
    path.write_bytes(path.read_bytes()[:-4])
    assert repair(path).kept == 3
    assert held.dialogue.reset(file=True) is not None
    assert not path.exists()


def test_nothing_can_be_locked(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the folder of temporary files is such a folder too, the error says what to do."""
    monkeypatch.setattr(disk.tempfile, "gettempdir", lambda: str(mounted))
    with pytest.raises(DialogueUnwritable, match="cannot be locked") as caught:
        DialogueFile(mounted / "a.dialogue.json").append(exchange("a"))
    assert "TMPDIR" in str(caught.value)
