"""The front: one address for the engine's own model, tuned models, files and jobs.

What names a model goes to the server that has it, and its answer comes back piece by piece as
it is made; everything the front does not know goes to the engine. Only who has the engine's key
is answered, and no page in a browser.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiohttp import ClientConnectionError, ClientSession, ClientTimeout, web

from openai_magics.local.jobs import models, start
from openai_magics.local.jobs.create import PACKAGES, Refused
from openai_magics.local.jobs.outcome import disk_full
from openai_magics.local.jobs.store import Store
from openai_magics.local.service import answers, files, jobs
from openai_magics.local.service.base import Base
from openai_magics.local.service.served import Servers

__all__ = ["Front", "serve"]

log = logging.getLogger("openai_magics.local")

LARGEST = 256 * 1024 * 1024
"""Bytes of a request with a model in it: pictures come in it as text."""
TICK = 2.0
"""Seconds between two looks whether unfinished jobs have a queue."""
HOP = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})
"""Headers of one connection, which are not passed on."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Front:
    """The application: what it needs to answer.

    Parameters
    ----------
    base : Base
        The engine's own model, and where its server listens.
    key : str
        The only key that is accepted, here and by the engine.
    kept : Store
        Files, jobs and tuned models.
    trainer : str
        The module that trains a job.
    packages : tuple of str
        What has to be installed for a job.
    """

    def __init__(
        self,
        base: Base,
        key: str,
        kept: Store,
        trainer: str = start.TRAINER,
        packages: tuple[str, ...] = PACKAGES,
    ) -> None:
        self.base = base
        self.key = key
        self.kept = kept
        self.servers = Servers()
        kept.make()
        self.app = web.Application(middlewares=[self._guard], client_max_size=LARGEST)
        self.app.add_routes(
            [
                *files.Routes(kept).all(),
                *jobs.Routes(kept, base, packages, lambda: start.ensure(kept, trainer)).all(),
                web.get("/v1/models", self._list),
                web.get("/v1/models/{model:.+}", self._model),
                web.delete("/v1/models/{model:.+}", self._delete),
                web.route("*", "/{path:.*}", self._pass_on),
            ]
        )
        self.app.cleanup_ctx.append(self._around)
        self._tick = lambda: start.ensure(kept, trainer)

    async def _around(self, app: web.Application) -> Any:  # noqa: ARG002 - aiohttp gives it
        # An answer may take as long as it takes.
        self._session = ClientSession(timeout=ClientTimeout(total=None), auto_decompress=False)
        ticking = asyncio.create_task(self._ticking())
        yield
        ticking.cancel()
        await self.servers.stop()
        await self._session.close()

    async def _ticking(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._tick)
            except OSError as error:
                log.warning("The jobs cannot be looked after: %s", error)
            await asyncio.sleep(TICK)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer who has the key; turn what is refused or fails into errors as OpenAI words them."""
        try:
            self._check_key(request)
            return await handler(request)
        except Refused as refused:
            return web.json_response(answers.error(refused), status=refused.status)
        except web.HTTPException as error:
            said = answers.error(Refused(error.status, error.text or error.reason))
            return web.json_response(said, status=error.status)
        except OSError as error:
            if isinstance(error, ConnectionError):
                raise
            log.warning("%s %s: %s", request.method, request.path, error)
            code, message = disk_full(error, self.kept.folder)
            return web.json_response(answers.error(Refused(507, message, code)), status=507)

    def _check_key(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        given = given or request.headers.get("api-key", "")
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.key.encode()):
            text = "The key is not the one that this engine has made for itself."
            raise Refused(401, text, "invalid_api_key")

    async def _list(self, request: web.Request) -> web.Response:  # noqa: ARG002
        tuned = await asyncio.to_thread(models.every, self.kept)
        listed = [self.base.shown, *(model.shown for model in tuned)]
        return web.json_response({"object": "list", "data": listed})

    async def _model(self, request: web.Request) -> web.Response:
        name = request.match_info["model"]
        if name == self.base.name:
            return web.json_response(self.base.shown)
        return web.json_response((await self._tuned(name)).shown)

    async def _tuned(self, name: str) -> models.Tuned:
        model = await asyncio.to_thread(models.find, self.kept, name)
        if model is None:
            raise answers.model_not_found(name)
        return model

    async def _delete(self, request: web.Request) -> web.Response:
        name = request.match_info["model"]
        if name == self.base.name:
            raise Refused(403, f"{name} is the engine's own model and stays.", None, "model")
        await self._tuned(name)
        await self.servers.stop(name)
        if not await asyncio.to_thread(models.delete, self.kept, name):
            raise Refused(400, f"{name} goes with the model it leads to.", None, "model")
        return web.json_response({"id": name, "object": "model", "deleted": True})

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        """Send a request to the server of its model, and its answer back as it comes."""
        body = await request.read()
        name = _model_named(body)
        async with AsyncExitStack() as stack:
            root, key = self.base.root, self.key
            if name not in (None, "", "local", self.base.name):
                engine = await stack.enter_async_context(
                    self.servers.reach(await self._tuned(str(name)))
                )
                root, key = engine.base_url.removesuffix("/v1"), engine.api_key
            headers = {n: v for n, v in request.headers.items() if n.lower() not in HOP}
            headers["Authorization"] = f"Bearer {key}"
            try:
                upstream = await stack.enter_async_context(
                    self._session.request(
                        request.method, root + request.path_qs, data=body or None, headers=headers
                    )
                )
            except ClientConnectionError:
                text = f"The server of {name or self.base.name} has ended."
                raise Refused(502, text, "engine_ended") from None
            passed = {n: v for n, v in upstream.headers.items() if n.lower() not in HOP}
            answer = web.StreamResponse(status=upstream.status, headers=passed)
            if upstream.content_length is not None:
                answer.content_length = upstream.content_length
            await answer.prepare(request)
            async for piece in upstream.content.iter_any():
                await answer.write(piece)
            await answer.write_eof()
            return answer


def _model_named(body: bytes) -> str | None:
    """Return the model that a request names, ``None`` where it names none."""
    try:
        value = json.loads(body) if body else None
    except ValueError:
        return None
    name = value.get("model") if isinstance(value, dict) else None
    return None if name is None else str(name)


def serve(listener: socket.socket, settings: dict[str, Any], root: str) -> None:
    """Answer on *listener* until the process ends.

    Parameters
    ----------
    listener : socket.socket
        Bound and listening.
    settings : dict
        Of the engine: ``model`` (path), ``name``, ``api_key``.
    root : str
        Where the engine's own server listens, without ``/v1``.
    """
    base = Base(settings["name"], Path(settings["model"]), root)
    front = Front(base, settings["api_key"], Store())

    async def run() -> None:
        # Who goes away before an answer has ended ends it.
        runner = web.AppRunner(front.app, access_log=None, handler_cancellation=True)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        await asyncio.Event().wait()

    asyncio.run(run())
