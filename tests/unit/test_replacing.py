"""Files replaced by new ones: whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openai_magics.disk import opened
from openai_magics.replacing import write_whole


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that holds ten digits."""
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    return path


def test_write_whole(path: Path) -> None:
    """A file is replaced by a new one that has its mode, and nothing is left beside it."""
    path.chmod(0o640)
    write_whole(path, [b"ab", b"c"])
    assert path.read_bytes() == b"abc"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_write_whole_where_there_is_none(tmp_path: Path) -> None:
    """A new file has the mode of any new file, not that of a temporary one."""
    usual = tmp_path / "usual"
    usual.touch()
    write_whole(tmp_path / "new", [b"x"])
    assert (tmp_path / "new").stat().st_mode == usual.stat().st_mode


def test_write_whole_through_a_link(path: Path) -> None:
    """A link stays a link: what it leads to is replaced."""
    link = path.with_name("link")
    try:
        link.symlink_to(path)
    except OSError:
        pytest.skip("links cannot be made here")
    write_whole(link, [b"x"])
    assert link.is_symlink()
    assert path.read_bytes() == b"x"


def failing(*_: object) -> bytes:
    """Fail as a full disk does."""
    raise OSError(28, "No space left on device")


def test_write_whole_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be written, or not be forced to the disk, what stood there still does."""
    with pytest.raises(OSError, match="No space"):
        write_whole(path, (failing() for _ in range(1)))
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, [b"x"])
    assert path.read_bytes() == b"0123456789"
    assert list(path.parent.iterdir()) == [path]


def test_write_whole_where_an_open_file_is_not_replaced(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows: where the file is held open here it is overwritten, elsewhere that fails."""

    def refused(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Access is denied")

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(PermissionError):
        write_whole(path, [b"x"])
    assert path.read_bytes() == b"0123456789"
    with opened(path) as held:
        write_whole(path, [b"x"], held)
    assert path.read_bytes() == b"x"
    assert list(path.parent.iterdir()) == [path]
