"""The async twins of a session, called for real: the same requests, records and replays as the methods."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openai_magics import errors as ours
from tests.scripted import Pause, ScriptedServer, error
from tests.server.ways import records, run, session

ROWS = [(f"What is {n} + {n}?", f"It is {2 * n}.") for n in range(12)]


def tuning(server: ScriptedServer | None, **arguments: Any) -> Any:
    """Return a session whose surroundings say a model that can be tuned."""
    held = session(server, **arguments)
    held.settings.profile["model"] = "gpt-4o-mini"
    return held


def test_training(scripted: ScriptedServer) -> None:
    """A job is submitted once, kept, looked at and listed; all of it replays without a server."""
    held = tuning(scripted)

    async def whole(one: Any) -> tuple[str, Any, Any]:
        name = await one.atrain(ROWS, suffix="sums", description="to 22")
        return name, await one.ajob(name), await one.alist_jobs()

    name, job, jobs = run(held.live, whole(held))
    assert [name] == list(scripted.training.jobs) == [held.current_job_id]
    assert job["id"] == name
    assert list(jobs["id"]) == [name]
    assert json.loads(Path("job_ids.json").read_text("utf-8"))[name]["description"] == "to 22"
    count = len(scripted.requests)
    again = tuning(None, mode="replay")
    replayed = run(again.live, whole(again))
    assert replayed[0] == name
    assert replayed[1] == job
    assert replayed[2].equals(jobs)
    assert tuning(scripted).train(ROWS, suffix="sums", description="to 22") == name
    assert len(scripted.requests) == count


def test_training_that_fails(scripted: ScriptedServer) -> None:
    """What the method raises is raised where it is awaited."""
    held = tuning(scripted)
    with pytest.raises(ours.OptionError):
        run(held.live, held.atrain([]))
    with pytest.raises(ours.ServiceError):
        run(held.live, held.ajob("ftjob-none"))
    scripted.take_problems()


def test_listings(scripted: ScriptedServer) -> None:
    """Models and assistants: the same frames as without waiting."""
    held = session(scripted)
    held.assistants.save("tutor", {"instructions": "Ask back."})

    async def both() -> tuple[Any, Any]:
        return await held.alist_models(), await held.alist_assistants()

    models, assistants = run(held.live, both())
    assert models.equals(session(mode="replay").list_models())
    assert list(assistants["name"])[:1] == ["tutor"]


def test_an_assistant_and_a_sentiment(scripted: ScriptedServer) -> None:
    """They hold for what is asked afterwards; the model judges where it is told to."""
    held = session(scripted)
    held.assistants.save("tutor", {"instructions": "Ask back."})
    held.settings.arguments["sentiment"] = "model"
    scripted.script.then("negative", "Why?", "neutral")

    async def whole() -> tuple[Any, Any]:
        judged = await held.adetermine_sentiment("It rains.")
        await held.aset_assistant("tutor")
        return judged, await held.aask("Teach me.")

    judged, reply = run(held.live, whole())
    assert judged == "negative"
    assert (reply.text, reply.sentiment) == ("Why?", "neutral")
    assert held.assistant is not None
    asked = next(item for item in records(held) if item.request.kind == "ask")
    assert (asked.request.system, asked.assistant["name"]) == ("Ask back.", "tutor")


def test_side_by_side(scripted: ScriptedServer) -> None:
    """The loop goes on while a twin waits: what the twin waits for can be done meanwhile."""
    held = session(scripted)
    let_go = threading.Event()

    late = replace(error(403, None, "Not for you."), before=Pause(0, let_go))
    scripted.route("GET", "/models", lambda _: late)

    async def both() -> Any:
        listing = asyncio.ensure_future(held.alist_models())
        reply = await held.aask("a", history=False)
        let_go.set()
        with pytest.raises(ours.AccessRefused):
            await listing
        return reply

    assert run(held.live, both()).text


def test_a_failure_is_the_methods(scripted: ScriptedServer) -> None:
    """A server that refuses a listing is told of as it is without waiting."""
    scripted.route("GET", "/models", lambda _: error(403, None, "Not for you."))
    held = session(scripted)
    with pytest.raises(ours.AccessRefused):
        run(held.live, held.alist_models())
