"""A front in this process, and the real `openai` client of it whose every answer is checked."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openai import OpenAI

from openai_magics.local import weights
from openai_magics.local.jobs.store import Store
from tests.scripted.spec import JSON, spec

FAKE = "tests.local.fake_trainer"
KEY = "sk-local-test"
MODEL = weights.MODEL
OVER = ("succeeded", "failed", "cancelled")


def line(question: str, answer: str) -> bytes:
    """Return a line of training data."""
    text = (
        '{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "%s"}]}'
    )
    return (text % (question, answer)).encode() + b"\n"


LINES = b"".join(line(f"Question {number}?", f"Answer {number}.") for number in range(10))


@contextmanager
def front(folder: Path, root: str = "http://127.0.0.1:1", trainer: str = FAKE) -> Iterator[str]:
    """Serve a front over *folder* from a thread; give its base_url."""
    from aiohttp import web

    from openai_magics.local.service.base import Base
    from openai_magics.local.service.front import Front

    weights_file = folder.parent / "model.gguf"
    weights_file.touch()
    listener = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()
    made = Front(Base(MODEL, weights_file, root), KEY, Store(folder), trainer, packages=())
    runner = web.AppRunner(made.app, access_log=None, handler_cancellation=True)

    async def start() -> None:
        await runner.setup()
        await web.SockSite(runner, listener).start()

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def client(base_url: str, key: str = KEY) -> Iterator[OpenAI]:
    """Give a client; a reply that is not what OpenAI's API description says fails the test."""
    import httpx2

    faults = []

    def check(response: httpx2.Response) -> None:
        if not response.is_success or "json" not in response.headers.get("content-type", ""):
            return
        if response.request.url.path.endswith(("/chat/completions", "/responses")):
            return  # llama.cpp's own, which says more than the description has
        path = response.request.url.path.removeprefix("/v1")
        for operation in spec().operations:
            method, _, pattern = operation.partition(" ")
            parts, given = pattern.split("/"), path.split("/")
            fits = method == response.request.method and len(parts) == len(given)
            pairs = zip(parts, given, strict=False)
            if fits and all(one.startswith("{") or one == other for one, other in pairs):
                response.read()
                if fault := spec().check_reply(operation, JSON, response.json()):
                    faults.append((operation, fault.message, response.json()))

    http = httpx2.Client(event_hooks={"response": [check]})
    with OpenAI(base_url=base_url, api_key=key, max_retries=0, http_client=http) as made:
        yield made
    assert faults == []


def upload(made: OpenAI, content: bytes = LINES) -> str:
    """Upload training data; return the file's id."""
    return made.files.create(file=("data.jsonl", content), purpose="fine-tune").id


def start(made: OpenAI, suffix: str = "mine", **given) -> str:
    """Start a job; return its id."""
    if "training_file" not in given:
        given["training_file"] = upload(made)
    return made.fine_tuning.jobs.create(**{"model": MODEL, "suffix": suffix, **given}).id


def wait(made: OpenAI, job: str, *states: str, seconds: float = 60):
    """Wait until a job is in one of *states* (over, where none is named); return it."""
    until = time.monotonic() + seconds
    while (shown := made.fine_tuning.jobs.retrieve(job)).status not in (states or OVER):
        assert time.monotonic() < until, (shown.status, messages(made, job))
        time.sleep(0.05)
    return shown


def messages(made: OpenAI, job: str) -> list[str]:
    """Return what the events of a job say, the oldest first."""
    return [each.message for each in made.fine_tuning.jobs.list_events(job)][::-1]
