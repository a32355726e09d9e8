"""Run a scripted server until it is stopped: ``python -m tests.scripted --port 8000``.

Prints its base_url, then nothing. ``GET /v1/scripted`` tells the requests so far and what was
wrong with them.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
from pathlib import Path
from typing import Any

from tests.scripted import errors, failures
from tests.scripted.replies import answer
from tests.scripted.server import ScriptedServer
from tests.scripted.wire import Reply, Request, as_json


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m tests.scripted", description=(__doc__ or "").splitlines()[0]
    )
    made.add_argument("--port", type=int, default=0, help="0 takes a free one")
    made.add_argument("--key", help="the only API key that is accepted")
    made.add_argument("--text", help="answer this, instead of repeating what was said")
    made.add_argument("--chunks", type=int, help="the number of parts of a streamed --text")
    made.add_argument("--delay", type=float, default=0.0, help="seconds between parts")
    made.add_argument("--first-delay", type=float, default=0.0, help="seconds before the answer")
    made.add_argument(
        "--script",
        type=Path,
        help='replies to give first: a JSON list of texts and of objects with one builder, \
{"answer": {"text": "Hi", "chunks": 2}}, {"rate_limited": {"retry_after": "1"}}, {"cut": {}}',
    )
    made.add_argument("--lenient", action="store_true", help="accept unknown parameters")
    made.add_argument("--no-check", action="store_true", help="check no request")
    made.add_argument("--no-record", action="store_true", help="keep no request")
    return made


def built(step: str | dict[str, dict[str, Any]]) -> Reply:
    """Return the reply that a step of a ``--script`` names."""
    if isinstance(step, str):
        return answer(step)
    [(name, fields)] = step.items()
    if name == "answer":
        return answer(**fields)
    builder = getattr(errors, name, None) or getattr(failures, name)
    reply: Reply = builder(**fields)
    return reply


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    given = parser().parse_args()
    server = ScriptedServer(
        key=given.key,
        port=given.port,
        strict=not given.lenient,
        check=not given.no_check,
        record=not given.no_record,
    )
    pace = {"delay": given.delay, "first_delay": given.first_delay, "chunks": given.chunks}
    if given.text is not None:
        server.script.always(answer(given.text, **pace))
    if given.script is not None:
        server.script.then(*map(built, json.loads(given.script.read_text())))

    def told(request: Request) -> Reply:
        earlier = [each for each in server.requests if each is not request]
        seen = [{"path": r.path, "headers": r.headers, "json": r.fields} for r in earlier]
        return as_json({"requests": seen, "problems": list(map(str, server.problems))})

    server.route("GET", "/scripted", told)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with server:
        print(server.base_url, flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
