"""Asking for real: the only room that imports ``openai``.

The request goes through the client's low-level ``post`` with a body of plain values and the
answer is read as bytes: the typed ``create`` walks every message of the history at each ask
and builds a model object for each chunk, which costs more than all the rest together.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from openai_magics import failures, local, routes
from openai_magics.calls import Call, Listener, bar, hidden
from openai_magics.config import Settings
from openai_magics.connection import Target, choose
from openai_magics.errors import (
    BadReply,
    EngineError,
    Interrupted,
    KeyMissing,
    KeyRefused,
    MagicsError,
    ModelNotFound,
    NotConnected,
    OptionError,
    RequestRefused,
    ServiceError,
    SettingError,
)
from openai_magics.exchange import Reply, Request, Resolved, canonical_json, image_parts
from openai_magics.keys import Secret, redact
from openai_magics.routes import ROUTES
from openai_magics.schemas import forms
from openai_magics.sent_images import Parts, sent_images
from openai_magics.wire import answers, bodies, chat, responses
from openai_magics.wire.events import EventReader

if TYPE_CHECKING:
    import openai

__all__ = ["Listener", "Live"]


LONGEST_WAIT = 120.0
"""Seconds: a service that asks for more is not waited for."""


class Live:
    """The sender that asks: `send` and its async twin `asend`.

    One client is kept for each endpoint and key. Nothing is constructed before the first
    request.
    """

    def __init__(
        self,
        settings: Settings,
        key: Secret | None = None,
        ask_key: Callable[[], Secret | None] | None = None,
    ) -> None:
        self.settings = settings
        self.key = key
        self.ask_key = ask_key
        self._clients: dict[_Name, openai.OpenAI] = {}
        self._async: WeakKeyDictionary[Any, dict[_Name, openai.AsyncOpenAI]]
        self._async = WeakKeyDictionary()
        self._models: dict[str, str] = {}
        self._forms = forms.Forms()
        self._mutex = threading.Lock()

    def target(self, request: Request) -> Target:
        """Return where *request* would go; nothing is started or sent."""
        return choose(
            self.settings,
            request.model,
            request.endpoint,
            given=self.key,
            ask_key=self.ask_key,
        )

    def target_without_asking(self) -> Target:
        """Return where a request would go now; nobody is asked for a key.

        Raises
        ------
        NotConnected, SettingError
            Nowhere.
        """
        return choose(self.settings, given=self.key)

    def holds_key(self, text: str, *others: Secret) -> bool:
        """Whether *text* holds the key that is set here (the keyring is not opened for this)."""
        known = (self.key, Secret(os.environ.get("OPENAI_API_KEY", "")), *others)
        return any(len(key.reveal()) >= 8 and key.reveal() in text for key in known if key)

    def send(self, request: Request, listener: Listener = Listener()) -> Reply:
        """Ask, and return the whole reply.

        Raises
        ------
        NotConnected
            Nothing can be asked as things are set.
        ServiceError
            The service failed or refused; its ``reply`` holds what came.
        Interrupted
            The person stopped it; its ``reply`` holds what came.
        """
        if request.attachments and (observed := self._observed(request, listener)) is not None:
            return observed
        place = self._place(request)
        for form in self._forms.of(request.schema, place):
            try:
                return self._send(request, form, listener)
            except RequestRefused as problem:
                if not self._forms.refused(form, place, problem):
                    raise
        raise AssertionError("the last form raises")

    def _send(self, request: Request, form: str, listener: Listener) -> Reply:
        target, key, resolved, parts = self._prepare(request, form, listener)
        spoken = self._wire(request)
        for attempt in self._attempts(request):
            with self._watching(target, key, resolved, listener, attempt, spoken) as call:
                client = self._client(target, key)
                response = self._start(client, request, resolved, parts, listener)
                try:
                    call.reader = reader = self._reader(response, request)
                    if reader is None:
                        call.reply = self._whole(response.read(), response, request)
                        call.hear([call.reply.text], last=True)
                    else:
                        for data in response.iter_bytes():
                            call.hear(reader.feed(data))
                        call.hear(reader.end(), last=True)
                        call.reply = reader.reply(request)
                finally:
                    response.close()
            if call.reply is not None:
                return call.reply
            with listener.told(call.why):
                time.sleep(call.wait)
        raise AssertionError("the last attempt raises")

    async def asend(self, request: Request, listener: Listener = Listener()) -> Reply:
        """Ask without blocking the event loop; otherwise as `send`.

        Raises
        ------
        asyncio.CancelledError
            The task was cancelled; its ``reply`` attribute holds what came.
        """
        if request.attachments:
            observed = await asyncio.to_thread(self._observed, request, listener)
            if observed is not None:
                return observed
        place = self._place(request)
        for form in self._forms.of(request.schema, place):
            try:
                return await self._asend(request, form, listener)
            except RequestRefused as problem:
                if not self._forms.refused(form, place, problem):
                    raise
        raise AssertionError("the last form raises")

    async def _asend(self, request: Request, form: str, listener: Listener) -> Reply:
        prepare = asyncio.to_thread(self._prepare, request, form, listener)
        target, key, resolved, parts = await prepare
        spoken = self._wire(request)
        for attempt in self._attempts(request):
            with self._watching(target, key, resolved, listener, attempt, spoken) as call:
                client = self._async_client(target, key)
                response = await self._start(client, request, resolved, parts, listener)
                try:
                    call.reader = reader = self._reader(response, request)
                    if reader is None:
                        call.reply = self._whole(await response.aread(), response, request)
                        call.hear([call.reply.text], last=True)
                    else:
                        async for data in response.aiter_bytes():
                            call.hear(reader.feed(data))
                        call.hear(reader.end(), last=True)
                        call.reply = reader.reply(request)
                finally:
                    await response.aclose()
            if call.reply is not None:
                return call.reply
            with listener.told(call.why):
                await asyncio.sleep(call.wait)
        raise AssertionError("the last attempt raises")

    def _place(self, request: Request) -> tuple[str | None, str | None]:
        """Return what tells places apart that take different forms of a schema."""
        get = self.settings.get
        return request.endpoint or get("base_url"), request.model or get("model")

    def _observed(self, request: Request, listener: Listener) -> Reply | None:
        """Return what can be told of an image where the engine's model does not see.

        Raises
        ------
        EngineError
            It is not described but asked about in words, which takes a model that sees.
        """
        try:
            # Not `self.target`, which may ask the person for a key a second time.
            target = choose(self.settings, request.model, request.endpoint, given=self.key)
        except NotConnected:
            return None
        if (
            not target.local
            or local.sees()
            or not image_parts((*request.history, *request.messages))
        ):
            return None
        from openai_magics.local import observe

        if request.kind != "describe":
            raise EngineError(
                f"{local.wanted()} on this machine does not see images.", observe.SEEING
            )
        with listener.told("Looking at the image"):
            return observe.observed(request)

    def _prepare(
        self, request: Request, form: str, listener: Listener
    ) -> tuple[Target, Secret, Resolved, Parts]:
        """Make ready what answers and what is sent: the engine, the model's name, the images."""
        target, route = self.target(request), ROUTES.get(request.kind)
        names_model = route is None or route.model
        system = request.system
        if system is None and route is None:
            system = self.settings.get("system_instruction")
        key = target.key or Secret("")
        if target.local:
            first = f"Starting {local.description()} (%openai tells of better ones)"
            with listener.told("" if local.running() else first):
                engine = local.engine(
                    lambda label, done, total: listener.notice(bar(label, done, total))
                )
            model = target.model if local.is_tuned(target.model) else engine.model
            base_url = engine.address(model) if route is None else engine.base_url
            target = replace(target, base_url=base_url, model=model)
            key = Secret(engine.api_key)
            if route is None and system is None:
                system = local.system_prompt(model)
        elif target.model is None and names_model:
            target = replace(target, model=self._only_model(target))
        parameters = {**request.parameters, **forms.parameters(form, request.schema)}
        if target.local and route is None and request.occurrence and "seed" not in parameters:
            # The engine repeats itself for a seed: another sample is another seed.
            parameters["seed"] = request.occurrence + 1
        if bodies.wants_json(request):
            system = bodies.with_json_asked_for(request, system)
        system = forms.in_words(form, request.schema, system)
        if self.holds_key(canonical_json([request.said, system]).decode(), key):
            raise OptionError(
                "The request holds the API key (in the system instruction or a parameter).",
                "Nothing was sent or recorded.",
            )
        parts, kept = sent_images(request, target.model)
        resolved = Resolved(
            model=target.model if names_model else None,
            endpoint=target.endpoint,
            system=system,
            parameters=parameters,
            images=kept,
        )
        return target, key, resolved, parts

    def _start(
        self,
        client: Any,
        request: Request,
        resolved: Resolved,
        parts: Parts,
        listener: Listener,
    ) -> Any:
        """Send the request; return the response (or what awaits it), its body unread."""
        import httpx2

        if (route := ROUTES.get(request.kind)) is not None:
            path, given = routes.call(route, request, resolved, listener)
            return getattr(client, route.method)(path, cast_to=httpx2.Response, **given)
        spoken = self._wire(request)
        sent = spoken.body(request, resolved, parts, stream=listener.on_text is not None)
        return client.post(
            spoken.ROUTE,
            cast_to=httpx2.Response,
            content=bodies.encode(sent),
            options={"headers": {"Content-Type": "application/json"}},
            stream=True,
        )

    def _wire(self, request: Request) -> Any:
        """Return the room that speaks the protocol which is asked for."""
        api = request.api or self.settings.get("api")
        return responses if api == "responses" else chat

    def _reader(self, response: Any, request: Request) -> EventReader | None:
        """Return the reader of a stream; ``None`` where the body is to be read whole."""
        if "text/event-stream" in response.headers.get("content-type", ""):
            reader: EventReader = self._wire(request).StreamReader()
            return reader
        return None

    def _whole(self, content: bytes, response: Any, request: Request) -> Reply:
        kind = response.headers.get("content-type", "")
        if (route := ROUTES.get(request.kind)) is not None:
            return Reply(payload=routes.read(route, content, kind))
        spoken = self._wire(request)
        if content.startswith((b"data:", b"event:")):  # a stream that does not say so
            reader: EventReader = spoken.StreamReader()
            deque(reader.feed(content), maxlen=0)
            return reader.reply(request)
        reply: Reply = spoken.reply_of(content, kind, request)
        return reply

    def _attempts(self, request: Request) -> Iterator[int]:
        """Count down the tries that are left: 0 is the last."""
        if (route := ROUTES.get(request.kind)) is not None and route.once:
            return iter((0,))
        return iter(range(self.settings.get("retries"), -1, -1))

    @contextmanager
    def _watching(
        self,
        target: Target,
        key: Secret,
        resolved: Resolved,
        listener: Listener,
        left: int,
        spoken: Any,
    ) -> Iterator[Call]:
        """Turn what fails in a call into our errors, keys hidden; decide on another try."""
        call = Call(listener, key)

        def finished(reply: Reply | None) -> Reply | None:
            return reply and replace(hidden(reply, key), resolved=resolved)

        try:
            yield call
        except KeyboardInterrupt:
            partial = finished(call.partial())
            interrupted = Interrupted(len(partial.text) if partial else 0)
            interrupted.reply = partial
            raise interrupted from None
        except asyncio.CancelledError as stop:
            # Another one, without the frames of the client: they hold the key.
            cancelled = asyncio.CancelledError(*stop.args)
            cancelled.reply = finished(call.partial())  # type: ignore[attr-defined]
            raise cancelled from None
        except Exception as error:
            ours = isinstance(error, MagicsError) and not isinstance(error, ServiceError)
            if call.speaking or ours:  # the listener failed, or no client could be made
                error.reply = finished(call.partial())  # type: ignore[attr-defined]
                raise
            problem = _understood(error, target, key)
            if isinstance(problem, KeyRefused) and not key:
                raise KeyMissing(
                    f"{target.endpoint} wants a key, and none is set.",
                    "Set one: %openai key, or OPENAI_API_KEY in the environment.",
                ) from None
            if isinstance(problem, ModelNotFound) and spoken is responses:
                problem.remedy += " A server without the Responses API: --api chat"
            problem.reply = finished(problem.reply or call.partial())
            wait = _wait(problem, self.settings.get("retries") - left)
            if left == 0 or call.heard or wait is None:
                raise problem from None
            call.wait = wait
            call.why = (
                f"{problem.problem} Trying again in {wait:.0f} s ({left} more "
                f"{'time' if left == 1 else 'times'})."
            )
        call.reply = finished(call.reply)

    def _only_model(self, target: Target) -> str:
        """Return the model of a server that has just one.

        Raises
        ------
        SettingError
            It has several (named) or none.
        """
        base_url = target.base_url or ""
        if base_url not in self._models:
            unset = replace(self.settings, arguments={**self.settings.arguments, "retries": 0})
            reply = Live(unset, target.key).send(Request(kind="models", endpoint=base_url))
            listed = reply.payload.get("data")
            rows = listed if isinstance(listed, list) else []
            names = [str(item["id"]) for item in rows if isinstance(item, dict) and "id" in item]
            if len(names) != 1:
                has = (
                    f"has {len(names)} models: {', '.join(names[:20])}"
                    if names
                    else "names no model"
                )
                raise SettingError(
                    f"Which model? {target.endpoint} {has}.",
                    "Name one: --model NAME, or %config OpenAIMagics.model = 'NAME'.",
                )
            self._models[base_url] = names[0]
        return self._models[base_url]

    def _client(self, target: Target, key: Secret) -> openai.OpenAI:
        with self._mutex:
            client: openai.OpenAI = self._kept(self._clients, "OpenAI", target, key)
            return client

    def _async_client(self, target: Target, key: Secret) -> openai.AsyncOpenAI:
        clients = self._async.setdefault(asyncio.get_running_loop(), {})
        client: openai.AsyncOpenAI = self._kept(clients, "AsyncOpenAI", target, key)
        return client

    def _kept(self, clients: dict[_Name, Any], kind: str, target: Target, key: Secret) -> Any:
        import httpx2
        import openai

        seconds = self.settings.get("timeout")
        name = (target.base_url, seconds, hashlib.sha256(key.reveal().encode()).digest())
        if name not in clients:
            wrong = (ValueError, OSError, ImportError, httpx2.InvalidURL, openai.OpenAIError)
            try:
                clients[name] = getattr(openai, kind)(
                    base_url=target.base_url,
                    api_key=key.reveal() or "none",
                    max_retries=0,
                    timeout=httpx2.Timeout(seconds, connect=min(seconds, 10.0)),
                )
            except wrong as error:  # its frames hold the key, so it goes no further
                raise SettingError(
                    f"No client can be made for {target.endpoint}: {redact(str(error), [key])}",
                    "Look at the base_url, and at the proxies that the environment sets.",
                ) from None
        return clients[name]


_Name = tuple[str | None, float, bytes]
"""What tells kept clients apart: base_url, timeout and the key's SHA-256."""


def _understood(error: Exception, target: Target, key: Secret) -> ServiceError:
    """Return *error* as ours, the key hidden.

    No error of the client comes through as it is, for its frames hold the key.
    """
    import httpx2
    import openai

    problem: ServiceError
    if isinstance(error, ServiceError):
        problem = error
    elif isinstance(error, openai.APIStatusError):
        response = error.response
        problem = failures.failure(response.status_code, response.headers, response.content)
    elif isinstance(error, (openai.APIConnectionError, httpx2.TransportError)):
        problem = failures.connection_failure(error, target.endpoint)
    elif isinstance(error, (json.JSONDecodeError, httpx2.DecodingError, UnicodeDecodeError)):
        problem = BadReply(f"The server sent what is not JSON ({error}).", answers.CHECK)
    else:
        problem = ServiceError(f"The client failed: {type(error).__name__}: {error}")
    return failures.hide(problem, lambda text: redact(text, [key]))


def _wait(problem: ServiceError, tried: int) -> float | None:
    """Return the seconds to wait before the next try; ``None`` where none is worth it.

    Exponential from 0.5 s with jitter, as the client does; the service's own word first.
    """
    if not failures.is_passing(problem):
        return None
    if problem.retry_after is not None:
        return problem.retry_after if problem.retry_after <= LONGEST_WAIT else None
    return float(min(0.5 * 2**tried, 8.0)) * (1 - 0.25 * random.random())  # noqa: S311 - jitter
