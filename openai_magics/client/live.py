"""The sender that asks, and its async twin."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from dataclasses import replace

from openai_magics.calls import Listener
from openai_magics.client.kept import Clients
from openai_magics.client.prepared import Prepared, observed, only_model, prepared
from openai_magics.client.spoken import Wire, reader_of, start, whole, wire_of
from openai_magics.client.tries import retries_of, watching
from openai_magics.config import Settings
from openai_magics.connection import Target, choose
from openai_magics.errors import NotConnected, OptionError, RequestRefused
from openai_magics.exchange import Reply, Request, canonical_json
from openai_magics.keys import Secret
from openai_magics.schemas import forms

__all__ = ["Live"]


class Live:
    """The sender that asks: `send` and its async twin `asend`."""

    def __init__(
        self,
        settings: Settings,
        key: Secret | None = None,
        ask_key: Callable[[], Secret | None] | None = None,
    ) -> None:
        self.settings = settings
        self.key = key
        self.ask_key = ask_key
        self.clients = Clients(settings)
        self._models: dict[str, str] = {}
        self._forms = forms.Forms()
        self._gate: AbstractContextManager[object] = nullcontext()

    def through(self, gate: AbstractContextManager[object]) -> Live:
        """Return this sender, so that `send` holds *gate* while the service is asked.

        That is from when a request is sent until its answer has come, or is known not to come.
        """
        other = copy(self)
        other._gate = gate  # noqa: SLF001 - the same class
        return other

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
        sent, wire = self._prepare(request, form, listener), self._wire(request)
        tries = retries_of(request, self.settings.get("retries")) + 1
        for tried in range(tries):
            with self._gate, watching(sent, wire, listener, tried, tries - tried - 1) as call:
                kept = self.clients.sync(sent.target, sent.key)
                response = start(kept, wire, sent, listener)
                try:
                    call.reader = reader = reader_of(wire, response)
                    if reader is None:
                        call.reply = whole(wire, response.read(), response, request)
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
            with listener.told(call.why, call.plain):
                time.sleep(call.wait)
        raise AssertionError("the last attempt raises")

    async def asend(self, request: Request, listener: Listener = Listener()) -> Reply:
        """Ask without blocking the event loop; otherwise as `send`.

        Raises
        ------
        asyncio.CancelledError
            The task was cancelled; its ``reply`` attribute holds what came. (Who awaits a task
            on Python 3.10 gets another one, whose ``__context__`` it is.)
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
        sent = await asyncio.to_thread(self._prepare, request, form, listener)
        wire, tries = self._wire(request), retries_of(request, self.settings.get("retries")) + 1
        for tried in range(tries):
            with watching(sent, wire, listener, tried, tries - tried - 1) as call:
                kept = self.clients.of_loop(sent.target, sent.key)
                response = await start(kept, wire, sent, listener)
                try:
                    call.reader = reader = reader_of(wire, response)
                    if reader is None:
                        call.reply = whole(wire, await response.aread(), response, request)
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
            with listener.told(call.why, call.plain):
                await asyncio.sleep(call.wait)
        raise AssertionError("the last attempt raises")

    def _place(self, request: Request) -> tuple[str | None, str | None]:
        """Return what tells places apart that take different forms of a schema."""
        get = self.settings.get
        return request.endpoint or get("base_url"), request.model or get("model")

    def _wire(self, request: Request) -> Wire:
        return wire_of(request.api or self.settings.get("api"))

    def _observed(self, request: Request, listener: Listener) -> Reply | None:
        try:
            # Not `self.target`, which may ask the person for a key a second time.
            target = choose(self.settings, request.model, request.endpoint, given=self.key)
        except NotConnected:
            return None
        return observed(request, target, listener)

    def _prepare(self, request: Request, form: str, listener: Listener) -> Prepared:
        target = self.target(request)
        sent = prepared(request, form, target, self.settings, listener, self._only_model)
        said = canonical_json([request.said, sent.resolved.system]).decode()
        if self.holds_key(said, sent.key):
            raise OptionError(
                "The request holds the API key (in the system instruction or a parameter).",
                "Nothing was sent or recorded.",
            )
        return sent

    def _only_model(self, target: Target) -> str:
        base_url = target.base_url or ""
        if base_url not in self._models:
            unset = replace(self.settings, arguments={**self.settings.arguments, "retries": 0})
            listed = Live(unset, target.key).send(Request(kind="models", endpoint=base_url))
            self._models[base_url] = only_model(target, listed)
        return self._models[base_url]
