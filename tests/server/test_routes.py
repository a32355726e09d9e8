"""Files, jobs and listings through the one seam: what is sent, what is recorded, what replays."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from openai_magics import Session
from openai_magics import errors as ours
from openai_magics.client import Listener
from openai_magics.exchange import Reply, Request
from openai_magics.pages import Pages
from openai_magics.turns import Asking
from tests.scripted import ScriptedServer
from tests.server.ways import live, records, run, session

LINE = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'


def upload(content: bytes = LINE * 10, path: Path | None = None) -> Request:
    """Return the request that uploads some training data."""
    said = {"purpose": "fine-tune", "filename": "d.jsonl", "bytes": len(content)}
    said["sha256"] = hashlib.sha256(content).hexdigest()
    return Request(kind="file", parameters=said, upload=path or content)


@pytest.mark.parametrize("waits", [True, False], ids=["send", "asend"])
def test_an_upload(scripted: ScriptedServer, tmp_path: Path, waits: bool) -> None:
    """A file goes as form data, byte for byte, from memory or the disk, with a progress bar."""
    path = tmp_path / "d.jsonl"
    path.write_bytes(LINE * 3000)
    notices: list[str] = []
    sender, asked = live(scripted), upload(LINE * 3000, path)
    listener = Listener(on_notice=notices.append)
    if waits:
        reply = sender.send(asked, listener)
    else:
        reply = run(sender, sender.asend(asked, listener))
    assert scripted.files.contents[reply.payload["id"]] == LINE * 3000
    assert scripted.requests[-1].json["purpose"] == "fine-tune"
    assert set(scripted.requests[-1].json) == {"file", "purpose"}
    assert any("Uploading d.jsonl" in line and "█" in line for line in notices)
    assert notices[-1] == ""


def test_an_upload_is_replayed_by_what_it_says(scripted: ScriptedServer) -> None:
    """The record has the file's SHA-256, not its bytes; a replay needs neither server nor file."""
    held = session(scripted)
    first = held.turns.run(Asking(upload()))
    (record,) = records(held)
    assert record.request.parameters["sha256"] == upload().parameters["sha256"]
    assert LINE.decode().strip() not in held.dialogue_log_path.read_text("utf-8")
    from dataclasses import replace

    again = Session(mode="replay", dialogue_log_path=held.dialogue_log_path)
    reply = again.turns.run(Asking(replace(upload(), upload=None)))
    assert (reply.replayed, reply.payload) == (True, first.payload)


def test_a_file_that_is_gone(tmp_path: Path, scripted: ScriptedServer) -> None:
    """It is said before anything is sent."""
    with pytest.raises(ours.OptionError, match="cannot be read"):
        live(scripted).send(upload(path=tmp_path / "none.jsonl"))
    assert scripted.requests == []


def start(server: ScriptedServer, **fields: Any) -> Reply:
    """Start a job and return the reply."""
    sender = live(server, model="gpt-4o-mini")
    file = sender.send(upload()).payload["id"]
    return sender.send(Request(kind="train", parameters={"training_file": file, **fields}))


def test_a_job(scripted: ScriptedServer) -> None:
    """It is created with the model of the settings, retrieved by its id, paused, cancelled."""
    job = start(scripted, suffix="mine").payload
    assert (job["model"], job["status"]) == ("gpt-4o-mini", "validating_files")
    sender = live(scripted)
    seen = [
        sender.send(Request(kind=kind, parameters={"job": job["id"]})).payload["status"]
        for kind in ("job", "job", "pause", "resume", "cancel")
    ]
    assert seen == ["queued", "running", "paused", "queued", "cancelled"]
    with pytest.raises(ours.RequestRefused, match="it is cancelled"):
        sender.send(Request(kind="cancel", parameters={"job": job["id"]}))


def test_an_id_stays_in_its_place(scripted: ScriptedServer) -> None:
    """What is typed as a job's id cannot lead to another route."""
    with pytest.raises(ours.ModelNotFound):
        live(scripted).send(Request(kind="job", parameters={"job": "../../models"}))
    assert scripted.requests[-1].path == "/fine_tuning/jobs/..%2F..%2Fmodels"


@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "base64"])
def test_a_result_file(scripted: ScriptedServer, encoded: bool) -> None:
    """Its text is the same whether the service sends it plain or in base64."""
    csv = b"\xef\xbb\xbfstep,train_loss\n1,2.0\n"
    name = scripted.files.add(
        "r.csv", base64.encodebytes(csv) if encoded else csv, "fine-tune-results"
    )
    reply = live(scripted).send(Request(kind="content", parameters={"file": name}))
    assert reply.payload == {"content": "step,train_loss\n1,2.0\n"}


@pytest.mark.parametrize("waits", [True, False], ids=["send", "asend"])
def test_pages_are_one_listing(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    """Every page is asked for, each item is there once, and a limit ends it."""
    monkeypatch.setattr("openai_magics.pages.PAGE", 2)
    jobs = [start(scripted).payload["id"] for _ in range(5)]
    sender = live(scripted)
    pages, request = Pages(sender), Request(kind="jobs")
    reply = pages.send(request) if waits else run(sender, pages.asend(request))
    assert [item["id"] for item in reply.payload["data"]] == jobs[::-1]
    assert len(Pages(sender, 3).send(request).payload["data"]) == 3


def test_a_record_that_no_longer_stands_is_asked_anew(scripted: ScriptedServer) -> None:
    """Where that is possible; without a server, or in replay, the last one recorded holds."""
    job = start(scripted).payload["id"]
    request = Request(kind="job", parameters={"job": job})

    def state(held: Session) -> tuple[str, bool]:
        reply = held.turns.run(
            Asking(request, stands=lambda told: told.payload["status"] == "succeeded")
        )
        return reply.payload["status"], reply.replayed

    def anew(server: ScriptedServer | None = scripted, **given: Any) -> Session:
        return session(server, **given)

    assert state(anew()) == ("queued", False)
    assert state(anew()) == ("running", False)
    assert state(anew(mode="replay")) == ("running", True)
    scripted.close()
    assert state(anew()) == ("running", True)
