"""Files on the disk: locked, overwritten at the end, as they were where that fails."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import portalocker
import pytest

from openai_magics import disk
from openai_magics.errors import DialogueUnwritable


class Full:
    """A file on a disk that takes *room* more bytes at first, and as many as it had then."""

    def __init__(self, path: Path, room: int) -> None:
        self.file = path.open("r+b", buffering=0)
        self.room = room

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)

    def write(self, data: bytes) -> int:
        if self.room is not None and len(data) > self.room:
            written = self.file.write(data[: self.room])
            if not written:
                self.room = None  # type: ignore[assignment]
                raise OSError(28, "No space left on device")
            self.room -= written
            return written
        return self.file.write(data)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that holds ten digits."""
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    return path


@pytest.mark.parametrize(
    ("start", "data", "left"),
    [
        (8, b"ABCD", b"01234567ABCD"),
        (8, b"AB", b"01234567AB"),
        (4, b"AB", b"0123AB"),
        (10, b"AB", b"0123456789AB"),
        (0, b"", b""),
    ],
    ids=["longer", "as long", "shorter", "at the end", "nothing"],
)
def test_overwrite(path: Path, start: int, data: bytes, left: bytes) -> None:
    """What stood from the start on is gone, whether it was longer or shorter."""
    with path.open("r+b", buffering=0) as file:
        disk.overwrite(file, start, data, 10)
    assert path.read_bytes() == left


@pytest.mark.parametrize("room", range(6))
def test_overwrite_that_fails(path: Path, room: int) -> None:
    """However much the disk took before it was full, the file is as before."""
    file = Full(path, room)
    with pytest.raises(OSError, match="No space"):
        disk.overwrite(file, 8, b"ABCDEF", 10)  # type: ignore[arg-type]
    file.file.close()
    assert path.read_bytes() == b"0123456789"


def test_stamp_tells_states_apart(path: Path) -> None:
    """A file that grew, was written in place or was replaced has another stamp."""
    seen = {disk.stamp(path.stat())}
    path.write_bytes(b"0123456789A")
    seen.add(disk.stamp(path.stat()))
    os.utime(path, ns=(1, 1))
    seen.add(disk.stamp(path.stat()))
    other = path.with_name("b")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(1, 1))
    os.replace(other, path)
    seen.add(disk.stamp(path.stat()))
    assert len(seen) == 4
    assert disk.stamp(path.stat()) in seen


def test_opened_makes_the_file(tmp_path: Path) -> None:
    """A file that is not there is made; one that is keeps its content."""
    path = tmp_path / "new"
    for content in (b"", b"kept"):
        with disk.opened(path) as file:
            assert file.read() == content
            file.write(b"kept")


def test_opened_holds_the_lock(path: Path) -> None:
    """Nobody else can lock the file meanwhile; afterwards anybody can; no lock file is left."""
    with disk.opened(path), path.open("rb") as other, pytest.raises(portalocker.LockException):
        portalocker.lock(other, portalocker.LOCK_SH | portalocker.LOCK_NB)
    with path.open("rb") as other:
        portalocker.lock(other, portalocker.LOCK_EX | portalocker.LOCK_NB)
        portalocker.unlock(other)
    assert os.listdir(path.parent) == ["a"]


def test_readers_share_the_lock(path: Path) -> None:
    """Two may read at the same time."""
    with (
        path.open("rb") as one,
        path.open("rb") as two,
        disk.locked(one, path, exclusive=False),
        disk.locked(two, path, exclusive=False),
    ):
        assert one.read() == two.read()


def test_impatience(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another process holds for too long is said, not waited for without end."""
    monkeypatch.setattr(disk, "PATIENCE", -1.0)
    with (
        disk.opened(path),
        path.open("rb") as other,
        pytest.raises(DialogueUnwritable, match="Another process has held"),
        disk.locked(other, path, exclusive=False),
    ):
        pass


def test_replaced_while_waiting_for_the_lock(path: Path) -> None:
    """Who waited for the lock of a file that was replaced meanwhile writes into the new one."""
    held = threading.Event()
    done: list[bytes] = []

    def write() -> None:
        held.set()
        with disk.opened(path) as file:
            done.append(file.read())
            file.write(b"!")

    thread = threading.Thread(target=write)
    with disk.opened(path):
        thread.start()
        held.wait()
        new = path.with_name("new")
        new.write_bytes(b"new")
        os.replace(new, path)
    thread.join()
    assert (done, path.read_bytes()) == ([b"new"], b"new!")


def test_deleted_while_waiting_for_the_lock(path: Path) -> None:
    """Who waited for the lock of a file that is gone makes it anew, and writes no orphan."""
    held = threading.Event()

    def write() -> None:
        held.set()
        with disk.opened(path) as file:
            file.write(b"!")

    thread = threading.Thread(target=write)
    with disk.opened(path):
        thread.start()
        held.wait()
        path.unlink()
    thread.join()
    assert path.read_bytes() == b"!"


def test_sync_folder(tmp_path: Path) -> None:
    """A folder can be made durable; one that is not there is an error."""
    disk.sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        disk.sync_folder(tmp_path / "none")
