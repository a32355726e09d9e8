"""Dialogue files in S3 and Google Cloud Storage, against emulators of them on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openai_magics import Session
from openai_magics.cloud import sync as syncing
from openai_magics.cloud.address import Address
from openai_magics.cloud.storage import Changed, CloudError, Storage
from openai_magics.dialogue import DialogueFile
from openai_magics.exchange import Exchange
from tests.scripted import ScriptedServer
from tests.scripted.asking import KEY
from tests.server.ways import session

pytest.importorskip("fsspec")


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Give the address of an S3 that has a bucket."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(
        ip_address="127.0.0.1", port=0, verbose=False
    )
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def gcs() -> Iterator[str]:
    """Give the address of a Google Cloud Storage that has a bucket."""
    pytest.importorskip("gcsfs")
    made = pytest.importorskip("gcp_storage_emulator.server").create_server(
        "127.0.0.1", 0, in_memory=True, default_bucket="talks"
    )
    made.start()
    yield f"http://127.0.0.1:{made._api._httpd.server_address[1]}"
    made.stop()


@pytest.fixture(params=["s3", "gs"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the address of an empty folder in a bucket, its credentials in the environment."""
    import fsspec

    where = request.getfixturevalue("s3" if request.param == "s3" else "gcs")
    for name, value in surroundings(request.param, where).items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class(request.param).clear_instance_cache()
    if request.param == "s3":
        fs = fsspec.filesystem("s3")
        if not fs.exists("talks"):
            fs.mkdir("talks")
    yield f"{request.param}://talks/{os.urandom(4).hex()}"
    for sync in list(syncing._running):
        sync.end(5)
    syncing._running.clear()
    fsspec.get_filesystem_class(request.param).clear_instance_cache()


def surroundings(kind: str, where: str) -> dict[str, str]:
    """Return the environment in which *kind* is found at an address on loopback."""
    if kind == "gs":
        return {"STORAGE_EMULATOR_HOST": where}
    return {
        "AWS_ENDPOINT_URL": where,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """Be on another machine: another data folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / name))


def said(file: Any) -> list[str]:
    """Return the answers of a dialogue."""
    return [item.reply.text for item in file if item.reply]


def test_reading_and_writing(bucket: str) -> None:
    """Nothing, then what was written; a token tells whether it is still that."""
    storage = Storage(Address(f"{bucket}/a.dialogue.json"))
    assert storage.read() == (None, None)
    token = storage.write(b"one", None)
    assert storage.read() == (b"one", token)
    assert storage.read(token) == (None, token)
    later = storage.write(b"two", token)
    assert later != token
    assert storage.read(token) == (b"two", later)


def test_s3_writes_only_in_place_of_what_was_read(bucket: str) -> None:
    """What another one wrote meanwhile is not written over."""
    if not bucket.startswith("s3"):
        pytest.skip("only S3 has the condition")
    one, two = (Storage(Address(f"{bucket}/a.dialogue.json")) for _ in range(2))
    token = one.write(b"one", None)
    two.write(b"two", token)
    for known in (token, None):
        with pytest.raises(Changed):
            one.write(b"three", known)
    assert two.read()[0] == b"two"


def test_asked_here_and_replayed_there(
    bucket: str, scripted: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine, without a key, has the same answers; it adds its own, and both have all."""
    url = f"{bucket}/deep/er/a.dialogue.json"
    held = session(scripted, dialogue_log_path=url)
    first = held.ask("a")
    held.dialogue.sync()
    elsewhere(monkeypatch, tmp_path, "there")
    other = session(scripted, dialogue_log_path=url)
    reply = other.ask("a")
    assert (reply.text, reply.replayed) == (first.text, True)
    other.ask("b")
    other.dialogue.sync()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "no-data"))
    held.ask("c", history=False)
    held.dialogue.sync()
    assert len(said(held.dialogue)) == 3
    elsewhere(monkeypatch, tmp_path, "a third")
    assert len(said(Session(dialogue_log_path=url).dialogue)) == 3
    assert "the same at" in str(held.dialogue.cloud)


def test_a_replay_needs_the_copy_only(
    bucket: str, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the storage nor a package for it: nothing of fsspec is imported."""
    url = f"{bucket}/a.dialogue.json"
    held = session(scripted, dialogue_log_path=url)
    text = held.ask("a").text
    held.dialogue.sync()
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('fsspec', 's3fs', 'gcsfs'), None))\n"
        "from openai_magics import Session\n"
        f"print(Session(dialogue_log_path={url!r}, mode='replay').ask('a').text)\n"
    )
    hidden = {**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=hidden, check=False
    )
    assert done.stdout.strip() == text, done.stderr


def test_at_the_end_of_a_script(
    bucket: str, scripted: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that asks and ends at once leaves its record in the cloud."""
    url = f"{bucket}/a.dialogue.json"
    code = (
        "from openai_magics import Session\n"
        f"s = Session('gpt-4o', base_url={scripted.base_url!r}, api_key={KEY!r}, "
        f"dialogue_log_path={url!r})\n"
        "s.ask('a')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    data, _ = Storage(Address(url)).read()
    (record,) = json.loads(data or b"{}")["exchanges"]
    assert Exchange.from_record(record).request.messages[0]["content"] == "a"


def test_no_such_bucket(bucket: str, scripted: ScriptedServer, caplog: Any) -> None:
    """It is said once; what is asked is recorded here."""
    url = f"{bucket.partition('://')[0]}://nobody-has-this/a.dialogue.json"
    held = session(scripted, dialogue_log_path=url)
    held.ask("a")
    held.ask("b")
    with pytest.raises(CloudError, match="no such bucket"):
        held.dialogue.sync()
    assert caplog.text.count("no such bucket") == 1
    assert len(held.dialogue) == 2


def test_no_permission(
    s3: str, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """It is said once; what is asked is recorded here; the credentials are not in what is said."""
    import fsspec
    from moto import settings
    from moto.core.responses import ActionAuthenticatorMixin

    for name, value in surroundings("s3", s3).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-0123456789")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    monkeypatch.setattr(ActionAuthenticatorMixin, "request_count", 0)
    monkeypatch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0.0)
    held = session(scripted, dialogue_log_path="s3://talks/denied.dialogue.json")
    for text in "ab":
        held.ask(text)
    with pytest.raises(CloudError, match="no permission"):
        held.dialogue.sync()
    assert caplog.text.count("no permission") == 1
    assert "secret-0123456789" not in caplog.text
    assert len(DialogueFile(held.dialogue.path)) == 2
    assert "no permission" in str(held.dialogue.cloud)
    monkeypatch.undo()
    for sync in list(syncing._running):
        sync._ended = True
    syncing._running.clear()
