"""Dialogue files in the cloud, without a server: addresses, working copies, unions, failures."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from openai_magics import Session, cells
from openai_magics.cloud import sync as syncing
from openai_magics.cloud import told
from openai_magics.cloud.address import Address, address
from openai_magics.cloud.file import opened
from openai_magics.cloud.storage import Changed, CloudError
from openai_magics.cloud.sync import Sync
from openai_magics.cloud.uniting import unite
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import DialogueError, OptionError, SettingError
from tests.unit.making import exchange, texts, written

URL = "memory://talks/a.dialogue.json"


class Shelf:
    """A storage of a test: it keeps bytes, fails when told, and lets others come first.

    It does what `openai_magics.cloud.storage.Storage` says of itself, no more.
    """

    conditional = True

    def __init__(self) -> None:
        self.data: bytes | None = None
        self.state = 0
        self.fails: Exception | None = None
        self.others: list[bytes] = []
        self.reads = self.writes = 0
        self.hold = threading.Event()
        self.hold.set()

    def put(self, data: bytes) -> None:
        """Write as another one would."""
        self.data, self.state = data, self.state + 1

    def read(self, known: str | None = None) -> tuple[bytes | None, str | None]:
        self.hold.wait(90)
        if self.fails:
            raise self.fails
        if self.data is None:
            return None, None
        if known == str(self.state):
            return None, known
        self.reads += 1
        return self.data, str(self.state)

    def beside(self, _: Address) -> Shelf:
        return Shelf()

    def write(self, data: bytes, token: str | None) -> str | None:
        if self.fails:
            raise self.fails
        if self.others:
            self.put(self.others.pop(0))
        if self.conditional and token != (str(self.state) if self.data is not None else None):
            raise Changed
        self.writes += 1
        self.put(data)
        return str(self.state)


@pytest.fixture
def shelf() -> Shelf:
    """Give an empty storage."""
    return Shelf()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wait for nothing longer than a test wants to; end the threads."""
    monkeypatch.setattr(syncing, "DELAY", 0.01)
    monkeypatch.setattr(syncing, "FIRST_RETRY", 0.05)
    yield
    for sync in list(syncing._running):
        sync.end(5)
    syncing._running.clear()


def synced(shelf: Any, url: str = URL) -> Sync:
    """Return what keeps an address and its copy the same, over a storage of a test."""
    return Sync(Address(url), shelf)


def cloud(tmp_path: Path, *said: str, name: str = "other.dialogue.json") -> bytes:
    """Return the bytes of a dialogue file in which these were answered."""
    path = tmp_path / name
    path.unlink(missing_ok=True)
    return written(path, *(exchange(text, f"Of {text}.") for text in said))


# --- addresses


@pytest.mark.parametrize(
    ("url", "shown", "protocol"),
    [
        ("gs://bucket/a.dialogue.json", "gs://bucket/a.dialogue.json", "gs"),
        ("gcs://bucket/a.json", "gs://bucket/a.json", "gs"),
        ("S3://bucket/x/a.json", "s3://bucket/x/a.json", "s3"),
        ("sftp://ann:secret@host/a.json", "sftp://host/a.json", "sftp"),
        (
            "abfs://c@account.dfs.core.windows.net/a.json",
            "abfs://account.dfs.core.windows.net/a.json",
            "abfs",
        ),
        ("https://host/a.json?token=secret", "https://host/a.json", "https"),
    ],
)
def test_addresses(url: str, shown: str, protocol: str) -> None:
    """Any scheme is one; what it holds of a secret is not shown."""
    found = address(url)
    assert found is not None
    assert (found.shown, found.protocol) == (shown, protocol)
    assert "secret" not in f"{found.folder}{found.copy}"


@pytest.mark.parametrize(
    "path",
    [
        "a.dialogue.json",
        "/content/drive/MyDrive/a.json",
        r"C:\a.json",
        "C:/a.json",
        Path("a"),
        None,
    ],
)
def test_paths_of_this_machine(path: object) -> None:
    """A path, a drive of Windows and a mounted Google Drive are none."""
    assert address(path) is None


@pytest.mark.parametrize("url", ["s3://", "s3://bucket/", "gs:///", "s3://bucket/a\nb"])
def test_addresses_of_no_file(url: str) -> None:
    """The error shows what one looks like."""
    with pytest.raises(SettingError, match="names no file"):
        address(url)


def test_each_address_has_a_copy_of_its_own() -> None:
    """In the user's data folder, under the file's name."""
    one, two = Address("s3://a/x.json"), Address("s3://b/x.json")
    assert one.copy != two.copy
    assert one.copy.name == "x.json"
    assert Address("gcs://a/x.json").copy == Address("gs://a/x.json").copy


# --- uniting


def test_one_side_only(tmp_path: Path) -> None:
    """What only one side has is what both have then; nothing at all makes no file."""
    copy = tmp_path / "folder" / "copy.json"
    assert unite(copy, None, None).data == b""
    assert not copy.exists()
    theirs = cloud(tmp_path, "a")
    assert unite(copy, theirs, None).data == theirs == copy.read_bytes()
    assert unite(copy, None, theirs).data == theirs


def test_the_copy_was_removed(tmp_path: Path) -> None:
    """A copy that somebody deleted empties nothing: it is fetched again."""
    theirs = cloud(tmp_path, "a", "b")
    copy = tmp_path / "copy.json"
    assert unite(copy, theirs, theirs).data == theirs
    copy.write_bytes(b"")
    assert unite(copy, theirs, theirs).data == theirs


def test_both_have_something_new(tmp_path: Path) -> None:
    """Each record is there once, ours first."""
    base = cloud(tmp_path, "a")
    copy = tmp_path / "copy.json"
    copy.write_bytes(cloud(tmp_path, "a", "mine"))
    united = unite(copy, cloud(tmp_path, "a", "theirs"), base)
    assert texts(copy) == ["Of a.", "Of mine.", "Of theirs."]
    assert copy.read_bytes() == united.data
    assert united.merged is not None
    assert (united.merged.ours, united.merged.theirs) == (1, 1)


def test_what_one_side_removed(tmp_path: Path) -> None:
    """It is removed on the other, where that has left it as it was."""
    base = cloud(tmp_path, "a", "b")
    copy = tmp_path / "copy.json"
    copy.write_bytes(base)
    assert texts_of(tmp_path, unite(copy, cloud(tmp_path, "b"), base).data) == ["Of b."]
    copy.write_bytes(cloud(tmp_path, "a", "b", "c"))
    assert texts_of(tmp_path, unite(copy, cloud(tmp_path, "b"), base).data) == ["Of b.", "Of c."]


def texts_of(tmp_path: Path, data: bytes) -> list[str]:
    path = tmp_path / "read.json"
    path.write_bytes(data)
    return texts(path)


@pytest.mark.parametrize(
    "theirs",
    [
        b'{"some": "thing"}',
        b"<html>",
        b'{"format": "openai_magics.dialogue", "version": 9, "exchanges": [\n]}\n',
    ],
)
@pytest.mark.parametrize("ours", [True, False], ids=["copy", "no copy"])
def test_what_is_no_dialogue(tmp_path: Path, theirs: bytes, ours: bool) -> None:
    """It is an error, and neither side is changed."""
    copy = tmp_path / "copy.json"
    if ours:
        copy.write_bytes(cloud(tmp_path, "a"))
    with pytest.raises(DialogueError):
        unite(copy, theirs, None)
    assert (copy.exists() and copy.read_bytes()) == (cloud(tmp_path, "a") if ours else b"")


# --- keeping both the same


def test_a_record_goes_to_the_cloud(shelf: Shelf) -> None:
    """What is appended is there soon, and a second look fetches nothing."""
    sync = synced(shelf)
    file = DialogueFile(sync.address.copy, fsync=False)
    sync.address.folder.mkdir(parents=True)
    file.append(exchange("a"))
    sync.now()
    assert shelf.data == sync.address.copy.read_bytes()
    reads, writes = shelf.reads, shelf.writes
    sync.now()
    synced(shelf).now()  # another kernel
    assert (shelf.reads, shelf.writes) == (reads, writes)


def test_in_the_background(shelf: Shelf) -> None:
    """Several records go together; the state says how it stands."""
    sync = synced(shelf)
    sync.address.folder.mkdir(parents=True)
    file = DialogueFile(sync.address.copy, fsync=False)
    for text in "abc":
        file.append(exchange(text))
        sync.soon()
    assert sync._idle.wait(90)
    assert shelf.data == sync.address.copy.read_bytes()
    assert shelf.writes <= 3
    assert "the same at" in sync.state


def test_others_come_first(shelf: Shelf, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What they wrote between reading and writing is united with ours: nothing is lost."""
    sync = synced(shelf)
    sync.address.folder.mkdir(parents=True)
    DialogueFile(sync.address.copy, fsync=False).append(exchange("mine", "Of mine."))
    shelf.others = [cloud(tmp_path, "one"), cloud(tmp_path, "one", "two")]
    with caplog.at_level(logging.INFO, "openai_magics"):
        sync.now()
    assert sorted(texts(sync.address.copy)) == ["Of mine.", "Of one.", "Of two."]
    assert shelf.data == sync.address.copy.read_bytes()
    assert "changed by others" in caplog.text


def test_where_the_storage_knows_no_condition(shelf: Shelf, tmp_path: Path) -> None:
    """What was written is read again; what another one put in its place is united with it."""
    shelf.conditional = False
    sync = synced(shelf)
    sync.address.folder.mkdir(parents=True)
    DialogueFile(sync.address.copy, fsync=False).append(exchange("mine", "Of mine."))
    theirs, write = cloud(tmp_path, "theirs"), shelf.write

    def overwritten(data: bytes, token: str | None) -> str | None:
        told = write(data, token)
        if shelf.writes == 1:
            shelf.put(theirs)
        return told

    shelf.write = overwritten  # type: ignore[method-assign]
    sync.now()
    assert texts_of(tmp_path, shelf.data or b"") == ["Of mine.", "Of theirs."]


def test_a_request_answered_on_both_sides_is_told(
    shelf: Shelf, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Both answers are kept, the later counts, and that is said once."""
    sync = synced(shelf)
    sync.address.folder.mkdir(parents=True)
    file = DialogueFile(sync.address.copy, fsync=False)
    file.append(exchange("a", "Mine.", created="2026-01-01T10:00:00+00:00"))
    path = tmp_path / "theirs.json"
    shelf.put(written(path, exchange("a", "Theirs.", created="2026-01-02T10:00:00+00:00")))
    sync.now()
    sync.now()
    assert texts(sync.address.copy) == ["Mine.", "Theirs."]
    assert caplog.text.count("answered on both sides") == 1


def test_failures_are_said_once(
    shelf: Shelf, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is whole, it is tried again later, and then the records arrive."""
    file = opened_over(shelf, monkeypatch)
    sync = file.sync
    shelf.fails = CloudError("s3://b/a cannot be read: no permission (Forbidden).", "See to it.")
    for text in "abc":
        file.append(exchange(text))
    wait(lambda: sync.problem is not None)
    for _ in range(3):
        with pytest.raises(CloudError):
            sync.now()
    assert caplog.text.count("no permission") == 1
    assert str(sync.address.copy) in caplog.text
    assert "tried again later" in sync.state
    assert len(file) == 3
    shelf.fails = None
    wait(lambda: shelf.data is not None and shelf.data == sync.address.copy.read_bytes())
    wait(lambda: sync.problem is None)


def opened_over(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, mode: str = "auto") -> Any:
    monkeypatch.setattr(syncing, "Storage", lambda _: shelf)
    return opened(Address(URL), None, fsync=False, mode=mode)


def wait(check: Any) -> None:
    for _ in range(2000):
        if check():
            return
        threading.Event().wait(0.01)
    pytest.fail("it did not come to be")


def test_a_cloud_that_does_not_answer(
    shelf: Shelf, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening waits for some seconds, says so and goes on; the end of the process too."""
    monkeypatch.setattr(syncing.Sync.begin, "__defaults__", (0.05,))
    shelf.hold.clear()
    file = opened_over(shelf, monkeypatch)
    file.append(exchange("a"))
    assert "did not answer" in caplog.text
    file.sync.end(0.05)
    assert len(file) == 1
    shelf.hold.set()


def test_at_the_end_of_the_process(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is brought to the cloud without the usual delay."""
    monkeypatch.setattr(syncing, "DELAY", 600.0)
    file = opened_over(shelf, monkeypatch)
    file.append(exchange("a"))
    assert shelf.data is None
    syncing._end_all()
    assert shelf.data == file.path.read_bytes()


def test_said_once_in_a_script(tmp_path: Path) -> None:
    """On standard error, while it runs and not again at its end; its own output is untouched."""
    code = (
        "from openai_magics import Session\n"
        "from tests.unit.making import exchange\n"
        "held = Session(dialogue_log_path='nosuchcloud://bucket/a.dialogue.json')\n"
        "for text in 'abc':\n"
        "    held._dialogue_file().append(exchange(text))\n"
        "print(len(held.dialogue))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "3\n"
    assert run.stderr.count("nosuchcloud://bucket") == 1
    assert "What is said is kept in" in run.stderr


def test_said_at_the_end_of_a_kernel(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What no cell was shown: that the records of this run are here, and not in the cloud."""
    monkeypatch.setattr(told, "aside", made := told.Aside())
    monkeypatch.setattr(syncing, "aside", made)
    monkeypatch.setattr(told.log, "handlers", [made])
    monkeypatch.setattr(cells, "current_shell", lambda: SimpleNamespace(kernel=object()))
    file = opened_over(shelf, monkeypatch)
    shelf.fails = CloudError("memory://talks cannot be read: it is off.")
    file.append(exchange("a"))
    wait(lambda: file.sync.problem is not None)
    assert capsys.readouterr().err == ""
    syncing._end_all()
    said = capsys.readouterr().err
    assert said.count("it is off") == 1
    assert str(file.path) in said


def test_a_replay_does_not_look(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is a copy; without one it is fetched."""
    shelf.put(b"")
    shelf.fails = CloudError("It is off.")
    Address(URL).folder.mkdir(parents=True)
    DialogueFile(Address(URL).copy, fsync=False).append(exchange("a"))
    file = opened_over(shelf, monkeypatch, "replay")
    assert len(file) == 1
    assert file.sync._thread is None


def test_a_damaged_file_in_the_cloud(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said, and not written over; the copy goes on."""
    damaged = cloud(tmp_path, "a", "b").replace(b'"messages"', b'"mess', 1)
    shelf.put(damaged)
    file = opened_over(shelf, monkeypatch)
    file.append(exchange("c"))
    wait(lambda: file.sync.problem is not None)
    assert "not united" in caplog.text
    assert shelf.data == damaged
    assert len(file) == 1


# --- a session


def test_a_session_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through fsspec itself: recorded here and there, found by another machine."""
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").store.clear()
    held = Session(dialogue_log_path=URL, mode="replay")
    assert held.dialogue_log_path == URL
    held._dialogue_file().append(exchange("a"))
    assert "the same at" in held.dialogue.sync()
    assert held.dialogue.cloud is not None
    assert (
        fsspec.filesystem("memory").cat_file("/talks/a.dialogue.json")
        == held.dialogue.path.read_bytes()
    )
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "another machine"))
    other = Session(dialogue_log_path=URL)
    assert [item.reply.text for item in other.dialogue if item.reply] == ["The sea's breath."]


def test_reset_in_the_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides are empty then, both keep what they held, and another copy does not bring it back."""
    store = pytest.importorskip("fsspec").filesystem("memory").store
    store.clear()
    held = Session(dialogue_log_path=URL, mode="replay")
    assert held.dialogue.reset(file=True) is None
    held._dialogue_file().append(exchange("a"), exchange("b"))
    held.dialogue.sync()
    whole = held.dialogue.path.read_bytes()
    here = tmp_path / "no-data"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "another machine"))
    other = Session(dialogue_log_path=URL)
    assert len(other.dialogue) == 2
    monkeypatch.setenv("XDG_DATA_HOME", str(here))
    kept = held.dialogue.reset(file=True)
    assert kept is not None
    assert kept.read_bytes() == whole
    assert len(held.dialogue) == 0
    there = {name.rpartition("/")[2]: file.getvalue() for name, file in store.items()}
    assert there[kept.name] == whole
    assert there["a.dialogue.json"] == held.dialogue.path.read_bytes()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "another machine"))
    other._dialogue_file().append(exchange("c", "New."))
    other.dialogue.sync()
    monkeypatch.setenv("XDG_DATA_HOME", str(here))
    held.dialogue.sync()
    assert texts(held.dialogue.path) == ["New."]
    kept.replace(held.dialogue.path)  # as it says, to undo it
    held.dialogue.sync()
    assert store["/talks/a.dialogue.json"].getvalue() == whole


def test_reset_while_others_write(shelf: Shelf, tmp_path: Path) -> None:
    """What another one wrote meanwhile is in the copy that is kept, too."""
    sync = synced(shelf)
    sync.address.folder.mkdir(parents=True)
    DialogueFile(sync.address.copy, fsync=False).append(exchange("mine", "Of mine."))
    sync.now()
    shelf.others = [cloud(tmp_path, "mine", "theirs")]
    kept = sync.begin_anew()
    assert kept is not None
    assert sorted(texts(kept)) == ["Of mine.", "Of theirs."]
    assert texts(sync.address.copy) == []
    assert shelf.data == sync.address.copy.read_bytes()
    assert sync.problem is None


def test_no_reset_while_the_cloud_is_away(shelf: Shelf) -> None:
    """It is an error, and nothing is emptied: the file there would come back."""
    sync = synced(shelf)
    sync.address.folder.mkdir(parents=True)
    DialogueFile(sync.address.copy, fsync=False).append(exchange("a"))
    shelf.fails = CloudError("It is off.")
    with pytest.raises(CloudError, match="off"):
        sync.begin_anew()
    assert len(texts(sync.address.copy)) == 1
    assert [item.name for item in sync.address.folder.glob("*before-reset*")] == []


def test_another_file_while_it_is_held(tmp_path: Path) -> None:
    """To set the path leaves the one before as it is, and begins anew in another."""
    held = Session(dialogue_log_path=tmp_path / "a.dialogue.json")
    held._dialogue_file().append(exchange("a"))
    held.dialogue_log_path = tmp_path / "b.dialogue.json"
    assert held.dialogue_log_path == tmp_path / "b.dialogue.json"
    assert len(held.dialogue) == 0
    held.dialogue_log_path = str(tmp_path / "a.dialogue.json")
    assert len(held.dialogue) == 1
    with pytest.raises(OptionError, match="this machine only"):
        held.dialogue.sync()


def test_a_kind_of_storage_that_is_not_installed() -> None:
    """The error names the package or says that there is no such kind."""
    pytest.importorskip("fsspec")
    for url in ("nosuch://bucket/a.json", "dropbox://x/a.json"):
        with pytest.raises(CloudError, match=r"cannot be read|not installed"):
            Sync(Address(url)).now()


def test_without_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the extra."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(CloudError) as caught:
        Sync(Address("s3://bucket/a.json")).now()
    assert 'pip install "openai_magics[cloud]"' in str(caught.value)
