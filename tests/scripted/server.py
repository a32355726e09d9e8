"""A real HTTP/1.1 server that answers as the OpenAI API does and checks what it is sent.

::

    with ScriptedServer() as server:
        server.script.then("Paris.", rate_limited(), answer("Rome.", chunks=3))
        client = OpenAI(base_url=server.base_url, api_key="sk-test")
        ...
        assert server.requests[0].json["model"] == "gpt-4o"

It runs in a thread of its own. A request that the service would refuse is answered as the
service would (400, 401, 404) and kept in ``problems``; ``take_problems`` gives and forgets them,
for the test that wants one. A function in a script runs in the server's thread: it must not wait
(``answer(hold=event)`` waits). ``check=False`` saves the time that checking costs a benchmark.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
import re
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from tests.scripted import connection, routes
from tests.scripted.errors import error, invalid_key, refused, server_error
from tests.scripted.files import Files
from tests.scripted.script import Script
from tests.scripted.spec import JSON, Fault, Spec, spec
from tests.scripted.training import Training
from tests.scripted.wire import Plan, Problem, Refusal, Reply, Request

if TYPE_CHECKING:
    from typing_extensions import Self

Handler = Callable[..., Reply]
SCRIPTED = ("/chat/completions", "/responses")
FORM = "multipart/form-data"
PREFIX = re.compile(r"^(/openai)?(/v1|/deployments/(?P<deployment>[^/]+))(?=/)")


class ScriptedServer:
    """The server; a context manager, listening on loopback from the moment it is made.

    *key* is the only one accepted (any, and none, when it is None), *port* 0 takes a free one.
    *strict* refuses what the API description does not know, *check* False checks nothing, and
    *record* False keeps no requests.
    """

    def __init__(
        self,
        *,
        key: str | None = None,
        port: int = 0,
        strict: bool = True,
        check: bool = True,
        record: bool = True,
    ) -> None:
        self.script = Script(key=key)
        self.requests: list[Request] = []
        self.problems: list[Problem] = []
        self.models = routes.Models()
        self.assistants: list[dict[str, Any]] | None = None
        self._spec: Spec | None = spec(strict=strict) if check else None
        self._record = record
        self._count = 0
        self._fixed: dict[str, tuple[str, Handler]] = {}
        self._patterns: list[tuple[re.Pattern[str], str, Handler]] = []
        routes.add(self)
        self.files = Files(self)
        self.training = Training(self)
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        started = asyncio.start_server(self._serve, "127.0.0.1", port, backlog=4096)
        self._server = asyncio.run_coroutine_threadsafe(started, self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def base_url(self) -> str:
        """The address to give a client."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        """Return the server."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.close()

    def close(self) -> None:
        """Close every connection and stop; a second time does nothing."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def take_problems(self) -> list[Problem]:
        """Return the problems so far and forget them: they were expected."""
        taken = self.problems[:]
        self.problems.clear()
        return taken

    def route(self, method: str, pattern: str, handler: Handler) -> None:
        """Answer *method* on *pattern* with ``handler(request, **parts)``.

        *pattern* is written as in the API description (``/files/{file_id}/content``), which is
        where the check of the request is looked up. A later route goes before an earlier one.
        """
        if "{" not in pattern:
            self._fixed[f"{method} {pattern}"] = pattern, handler
            return
        # A model's name may have slashes in it, as those of other servers do.
        parts = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(pattern))
        parts = parts.replace("(?P<model>[^/]+)", "(?P<model>.+)")
        self._patterns.insert(0, (re.compile(f"{method} {parts}$"), pattern, handler))

    async def _shut(self) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await asyncio.sleep(0)  # the connections are closed by the loop's next turn

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while (request := await connection.receive(reader, writer)) is not None:
                self._count += 1
                request.number = self._count
                plan = self._answer(request)
                request.delivered = await connection.send(reader, writer, plan, request.number)
                last = request.headers.get("connection", "").lower() == "close"
                if last or not request.delivered or writer.is_closing():
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client or the test has gone: there is nobody to tell
        finally:
            writer.close()
            self._open.discard(task)

    def _answer(self, request: Request) -> Plan:
        if self._record:
            self.requests.append(request)
        try:
            plan = self._find(request)().plan(request)
            self._check_reply(request, plan)
        except Refusal as refusal:
            return refusal.reply.plan(request)
        except Exception:
            self._problem(request, Fault(f"The script failed:\n{traceback.format_exc()}"))
            return server_error({"x-should-retry": "false"})
        return plan

    def _find(self, request: Request) -> Callable[[], Reply]:
        """Return what answers *request*, its handler or its refusal, ready to be called."""
        address, _, query = request.path.partition("?")
        prefix = PREFIX.match(address)
        request.path = address[prefix.end() :] if prefix else address
        request.query = dict(parse_qsl(query, keep_blank_values=True))
        azure = prefix is not None and "openai" in prefix[0]
        if azure:
            request.query.pop("api-version", None)
        wrong = self._wrong_key(request, azure=azure)
        if wrong is not None:
            return lambda: wrong
        found = self._fixed.get(f"{request.method} {request.path}")
        parts: dict[str, str] = {}
        for pattern, route, handler in self._patterns if found is None else ():
            if match := pattern.match(f"{request.method} {request.path}"):
                found = route, handler
                parts = {name: unquote(part) for name, part in match.groupdict().items()}
                break
        if found is None or prefix is None:
            text = f"Invalid URL ({request.method} {unquote(address)})"
            self._problem(request, Fault(text))
            return lambda: error(404, None, text)
        request.route = found[0]
        fault = self._parse(request, prefix["deployment"])
        if fault is not None:
            self._problem(request, fault)
            status = 415 if fault.code == "unsupported_content_type" else 400
            return lambda: refused(fault, status)
        return functools.partial(found[1], request, **parts)

    def _parse(self, request: Request, deployment: str | None) -> Fault | None:
        """Parse the body and return what is wrong with the request, if anything is."""
        media = request.headers.get("content-type", JSON).partition(";")[0].strip()
        if request.body and media == FORM:
            request.json = connection.form(request.headers["content-type"], request.body)
        elif request.body:
            try:
                request.json = json.loads(request.body, parse_constant=_no_constant)
                # Nothing that the service can read: JSON escapes lone surrogates silently.
                if b"\\ud" in request.body.lower():
                    json.dumps(request.json, ensure_ascii=False).encode()
            except ValueError as problem:
                text = "We could not parse the JSON body of your request. (HINT: This likely "
                text += f"means you aren't using your HTTP library correctly. {problem})"
                return Fault(text)
        if deployment and isinstance(request.json, dict):
            request.json.setdefault("model", deployment)
        if self._spec is None:
            return None
        fault = self._spec.check_query(request.operation, request.query)
        return fault or self._spec.check_request(request.operation, media, request.fields)

    def _wrong_key(self, request: Request, *, azure: bool) -> Plan | None:
        if self.script.key is None:
            return None
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if azure:
            given = request.headers.get("api-key", given)
        return None if given == self.script.key else invalid_key(given)

    def _check_reply(self, request: Request, plan: Plan) -> None:
        """Check what a route answers; the replies of a script were checked when they were built."""
        if self._spec is None or plan.status != 200 or request.route in SCRIPTED:
            return
        if dict(plan.headers).get("content-type") == JSON:
            sent = json.loads(b"".join(each for each in plan.pieces if isinstance(each, bytes)))
            if fault := self._spec.check_reply(request.operation, JSON, sent):
                fault = dataclasses.replace(fault, message=f"Its reply: {fault.message}")
                self._problem(request, fault)

    def _problem(self, request: Request, fault: Fault) -> None:
        problem = Problem(request.number, request.method, request.path, fault)
        request.problems.append(problem)
        self.problems.append(problem)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
