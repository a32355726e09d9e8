"""The one record of a turn, whichever way it ended."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from openai_magics import cells, failures
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import Interrupted, ModelNotFound, ServiceError
from openai_magics.exchange import Exchange, Reply, Request, Resolved
from openai_magics.replay import Sender
from openai_magics.turns.asking import Asking

__all__ = ["Recorder", "Taken"]


@dataclass
class Taken:
    """A request on its way: the body of the ``with`` puts the reply in, then judges it."""

    request: Request
    sender: Sender
    reply: Reply | None = None

    @property
    def answered(self) -> Reply:
        """The reply, which is there once the ``with`` has ended well."""
        assert self.reply is not None
        return self.reply


class Recorder:
    """Appends the one record of a turn, whichever way it ended."""

    def __init__(
        self, file: DialogueFile, request: Request, asking: Asking, cell: str | None
    ) -> None:
        self._file, self._request = file, request
        self._asking, self._cell = asking, cell
        self._created, self._begun = datetime.now(timezone.utc), time.perf_counter()

    def keep(self, reply: Reply) -> Reply:
        """Record a whole answer; return it with its id."""
        exchange = self._append(reply, None, self._request.occurrence)
        assert exchange.answer is not None
        return exchange.answer

    @contextmanager
    def failures(self, taken: Taken) -> Iterator[None]:
        """Record what fails inside, and raise it again.

        What would fail again takes its slot; what was the moment's, and an answer that was
        cut off, is kept but never replayed. An answer that was whole when its judging failed
        is kept as one.
        """
        try:
            yield
        except BaseException as stop:
            if taken.reply is None:
                told = self._failed(stop)
                if told is not stop:
                    raise told from None
            elif not taken.reply.replayed:
                taken.reply = self.keep(taken.reply)
            raise

    def _failed(self, stop: BaseException) -> BaseException:
        """Record a request without a whole answer; return what to raise."""
        if isinstance(stop, ServiceError):
            if not stop.replayed:
                self._name_assistant(stop)
                slot = self._request.occurrence if stop.lasting else None
                stop.reply = self._append(stop.reply, failures.to_record(stop), slot).answer
            return stop
        if isinstance(stop, KeyboardInterrupt):
            interrupted = stop if isinstance(stop, Interrupted) else Interrupted()
            interrupted.reply = self._append(interrupted.reply, None, None).answer
            return interrupted
        if (partial := getattr(stop, "reply", None)) is not None:  # a task, or a listener
            stop.reply = self._append(partial, None, None).answer  # type: ignore[attr-defined]
        return stop

    def _name_assistant(self, problem: ServiceError) -> None:
        """Say whose the model is that the service does not know."""
        whose = self._asking.assistant
        if isinstance(problem, ModelNotFound) and whose and whose.model == self._request.model:
            problem.remedy = (
                f"It is the model of the assistant {whose.name!r}. Give it another: %assistant "
                f"edit {whose.name} --model NAME (see %models), or ask with --model NAME."
            )

    def _append(
        self, reply: Reply | None, error: Mapping[str, Any] | None, occurrence: int | None
    ) -> Exchange:
        exchange = Exchange(
            request=self._request,
            reply=reply,
            error=error,
            occurrence=occurrence,
            resolved=reply.resolved if reply else Resolved(),
            conversation=self._asking.conversation,
            format=self._asking.format,
            template=self._asking.template,
            assistant=self._asking.assistant.identity if self._asking.assistant else None,
            cell=self._cell,
            made_in="panel" if cells.apart() else None,
            created=self._created.isoformat(timespec="milliseconds"),
            duration=round(time.perf_counter() - self._begun, 3),
        )
        self._file.append(exchange)
        return exchange
