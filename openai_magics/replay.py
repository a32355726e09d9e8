"""Answers from the dialogue file: `Replay`, and `ReplayThenLive` which asks what is not there.

Both are senders as `openai_magics.client.Live` is: ``send(request, listener) -> Reply``.
Neither constructs a client for what is recorded.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from openai_magics import failures
from openai_magics.client import Listener
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import (
    ImageRefused,
    KeyRefused,
    MagicsError,
    NotConnected,
    ReplayMiss,
    Unreachable,
)
from openai_magics.exchange import SAID, Exchange, Reply, Request
from openai_magics.redrawn import redrawn

__all__ = ["Replay", "ReplayThenLive", "Sender", "used"]

log = logging.getLogger("openai_magics")

CALLED = {
    "assistants": "listing of assistants",
    "check": "check of training data",
    "checkpoints": "listing of checkpoints",
    "content": "result file",
    "describe": "description",
    "files": "listing of files",
    "job": "state of a job",
    "jobs": "listing of jobs",
    "models": "listing of models",
    "remote_assistant": "assistant of the service",
    "sentiment": "judgement of sentiment",
    "train": "training job",
}
"""What a kind of record is called in a sentence, where it is not called by its name."""
NOBODY = (NotConnected, Unreachable, KeyRefused)
"""What asking fails with where nobody can be asked from here."""
INSTEAD = (*NOBODY, ImageRefused)

_used: dict[str, None] = {}


def used() -> list[str]:
    """Return the ids of the records that this process has replayed, in order."""
    return list(_used)


class Sender(Protocol):
    """The seam: a request goes in, a reply comes out."""

    def send(self, request: Request, listener: Listener = ...) -> Reply: ...

    async def asend(self, request: Request, listener: Listener = ...) -> Reply: ...


class Replay:
    """The sender that only looks into the dialogue file."""

    def __init__(self, dialogue: DialogueFile) -> None:
        self.dialogue = dialogue

    def find(self, request: Request) -> Reply | None:
        """Return the recorded reply, or ``None``.

        Raises
        ------
        ServiceError
            What is recorded is a failure that would happen again.
        """
        exchange = self.dialogue.get(request.fingerprint, request.occurrence, request)
        if exchange is None and (exchange := redrawn(request, self.dialogue)) is not None:
            log.warning(
                "A figure is drawn otherwise here than it was when it was recorded (another version "
                "or other fonts); it shows the same, and its recorded answer is replayed."
            )
        if exchange is None:
            return None
        _used[exchange.id] = None
        reply = exchange.answered(replayed=True)
        if exchange.error is not None:
            problem = failures.from_record(exchange.error)
            problem.reply, problem.replayed = reply, True
            raise problem
        return reply

    def send(self, request: Request, listener: Listener = Listener()) -> Reply:
        """Return the recorded reply.

        Raises
        ------
        ReplayMiss
            There is none; the nearest record is named, with what differs.
        ServiceError
            What is recorded is a failure that would happen again.
        """
        reply = self.find(request)
        if reply is None:
            raise ReplayMiss(*explain_miss(request, self.dialogue))
        return reply

    async def asend(self, request: Request, listener: Listener = Listener()) -> Reply:
        """As `send`."""
        return self.send(request, listener)


class ReplayThenLive:
    """The sender that replays what is recorded and asks what is not.

    Parameters
    ----------
    replay : Replay
    live : Sender
        Asks.
    stands : callable, optional
        Tells of a recorded reply whether it still holds. One that does not (a job that had
        not ended) is asked for anew; where nobody can be asked, it holds after all.
    """

    def __init__(
        self, replay: Replay, live: Sender, stands: Callable[[Reply], bool] | None = None
    ) -> None:
        self.replay = replay
        self.live = live
        self.stands = stands

    def send(self, request: Request, listener: Listener = Listener()) -> Reply:
        """Return the recorded reply, else ask.

        Raises
        ------
        DialogueError
            The answer could not be recorded, so it is not asked for.
        NotConnected, ServiceError, Interrupted
            As `Live.send`.
        """
        reply = self._found(request)
        if isinstance(reply, Reply) and (self.stands is None or self.stands(reply)):
            return reply
        self.replay.dialogue.check_writable()
        try:
            return self.live.send(request, listener)
        except INSTEAD as problem:
            return _instead(reply, problem)

    async def asend(self, request: Request, listener: Listener = Listener()) -> Reply:
        """As `send`, without blocking the event loop."""
        reply = self._found(request)
        if isinstance(reply, Reply) and (self.stands is None or self.stands(reply)):
            return reply
        self.replay.dialogue.check_writable()
        try:
            return await self.live.asend(request, listener)
        except INSTEAD as problem:
            return _instead(reply, problem)

    def _found(self, request: Request) -> Reply | ImageRefused | None:
        """Return what is recorded; an image that could not be read then may be readable now."""
        try:
            return self.replay.find(request)
        except ImageRefused as problem:
            return problem


def _instead(found: Reply | ImageRefused | None, problem: MagicsError) -> Reply:
    """Return, or raise, what is recorded in place of what asking failed with."""
    if isinstance(found, Reply) and isinstance(problem, NOBODY):
        return found
    raise problem if found is None or isinstance(found, Reply) else found from None


def explain_miss(request: Request, dialogue: DialogueFile) -> tuple[str, str]:
    """Return what to say of a request that is not recorded: the problem, and what to do."""
    ask_live = (
        "To ask it live: --mode auto (or OPENAI_MAGICS_MODE=auto), with a key or the local engine."
    )
    what = CALLED.get(request.kind, request.kind)
    everything = list(dialogue)
    records = [item for item in everything if item.request.kind == request.kind]
    if not records:
        where = (
            f"{dialogue.path.name} holds no such record"
            if dialogue.path.exists()
            else f"there is no {dialogue.path.name}"
        )
        return f"Nothing is recorded for this {what}: {where}.", ask_live
    same = [item for item in records if item.fingerprint == request.fingerprint]
    if same:
        slots = {item.occurrence for item in same} - {None}
        if not slots:
            return "This was asked, but its answer was cut off or failed at that moment.", ask_live
        times = "once" if len(slots) == 1 else f"{len(slots)} times"
        number = request.occurrence + 1
        return f"This {what} is recorded {times}; this is number {number}.", ask_live
    near = max(records, key=lambda item: _likeness(item.request, request))
    differ = [
        name for name in (*SAID, "api") if getattr(near.request, name) != getattr(request, name)
    ]
    lines = [
        f"Nothing is recorded for this {what}. The nearest record differs in: {', '.join(differ)}."
    ]
    lines += [_difference(name, near.request, request) for name in differ if name != "parent"]
    if differ == ["parent"]:
        lines = [
            f"This {what} is recorded, but after another turn.",
            _upstream(near, request, everything),
        ]
    return "\n".join(line for line in lines if line), ask_live


def _likeness(recorded: Request, wanted: Request) -> tuple[float, int]:
    same = sum(getattr(recorded, name) == getattr(wanted, name) for name in SAID)
    matcher = difflib.SequenceMatcher(None, _words(recorded)[:2000], _words(wanted)[:2000])
    return round(matcher.quick_ratio(), 2), same


def _words(request: Request) -> str:
    parts: list[str] = []
    for message in request.messages:
        content = message.get("content")
        if isinstance(content, (list, tuple)):
            parts += [_part(part) for part in content]
        else:
            parts.append(content if isinstance(content, str) else str(content))
    return "\n".join(parts)


def _part(part: Any) -> str:
    if not isinstance(part, Mapping):
        return str(part)
    if part.get("type") == "image":
        return f"[image {part.get('url') or part.get('sha256')}, detail {part.get('detail')}]"
    return str(part.get("text", part))


def _difference(name: str, recorded: Request, wanted: Request) -> str:
    if name != "messages":
        then, now = (repr(getattr(item, name))[:160] for item in (recorded, wanted))
        return f"  {name}: recorded {then}, now {now}"
    pair = _words(recorded).splitlines(), _words(wanted).splitlines()
    lines = list(difflib.unified_diff(*_from_difference(*pair), n=0, lineterm=""))[2:]
    shown = [f"  {line[:160]}" for line in lines if not line.startswith("@@")]
    return "\n".join(shown[:8]) or "  messages: the same lines, but for line ends or roles"


def _from_difference(then: list[str], now: list[str]) -> tuple[list[str], list[str]]:
    """Return two texts from shortly before their first difference: a whole diff can take minutes."""
    same = _alike(then, now)
    then, now = then[same : same + 50], now[same : same + 50]
    if then and now and (inside := _alike(then[0], now[0])) > 60:
        then[0], now[0] = (f"…{line[inside - 40 :]}" for line in (then[0], now[0]))
    return then, now


def _alike(then: Sequence[str], now: Sequence[str]) -> int:
    """Return how many items two sequences begin with in common."""
    pairs = enumerate(zip(then, now, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(then), len(now)))


def _upstream(near: Exchange, request: Request, everything: Iterable[Exchange]) -> str:
    """Say which earlier turn is no longer what it was."""
    by_id: dict[str | None, str] = {
        item.id: f"{_words(item.request)[:80]!r}" for item in everything
    }
    by_id[None] = "nothing"
    said = [
        by_id.get(parent, "a turn that is not in the file")
        for parent in (near.request.parent, request.parent)
    ]
    if said[0] == said[1]:
        return f"  The turn before it, {said[0]}, has another answer now."
    return (
        f"  Recorded after {said[0]}, now after {said[1]}: an earlier cell was edited, moved or "
        "left out since."
    )
