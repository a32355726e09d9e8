"""One try of a request: who listens, what was heard, and nothing of the key in either."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from openai_magics import logs
from openai_magics.exchange import Reply, joined
from openai_magics.keys import HIDDEN, Secret
from openai_magics.wire.events import EventReader

if TYPE_CHECKING:
    from openai_magics.rounds.steps import Step

__all__ = ["Call", "Listener", "bar", "hidden"]

log = logging.getLogger("openai_magics")

SHORTEST_KEY = 8
"""Characters: what is shorter may well be a word (``none``, ``ollama``) and is not hidden."""
TELLING = 12
"""Characters: so much of the beginning of a key is hidden where an answer ends in its midst."""


@dataclass(frozen=True)
class Listener:
    """Who hears of an answer while it comes.

    ``on_text`` gets each piece of text, ``on_notice`` a line that matters for the moment (a
    wait, a download) or ``""`` when it no longer does. ``on_step`` gets what came of an
    exchange that another one follows in the same ask: the text begins anew.
    """

    on_text: Callable[[str], None] | None = None
    on_notice: Callable[[str], None] | None = None
    on_step: Callable[[Step], None] | None = None

    def stepped(self, steps: Sequence[Step]) -> None:
        """Tell the last of some steps, if there is one."""
        if steps and self.on_step is not None:
            self.on_step(steps[-1])

    def notice(self, line: str, plain: str = "") -> None:
        """Say *line*, or log it where nobody listens.

        Where it has words of a service or of a model, which may quote a prompt, *plain* is
        what is logged in its place.
        """
        if self.on_notice is not None:
            self.on_notice(line)
        elif line:
            log.info("%s", line if not plain or logs.asked_for() else plain)

    @contextmanager
    def told(self, line: str, plain: str = "") -> Iterator[None]:
        """Say *line* while something is waited for, and take it back however that ends."""
        self.notice(line, plain)
        try:
            yield
        finally:
            self.notice("")


def bar(label: str, done: float, total: float, unit: str = "MB") -> str:
    """Return a line with a progress bar; *done* and *total* are bytes where *unit* is MB."""
    if not total:
        return label
    filled = round(20 * min(done / total, 1.0))
    scale = 1e6 if unit == "MB" else 1.0
    digits = 1 if unit == "MB" and total < 1e7 else 0
    shown = f"{done / scale:.{digits}f} of {total / scale:.{digits}f} {unit}"
    return f"{label}  {'█' * filled}{'░' * (20 - filled)}  {shown}"


class Call:
    """One try: what was heard of it, and how it ended.

    The listener hears whole characters only and no key, wherever the server cuts them: what
    may be the beginning of either waits for the rest.

    Attributes
    ----------
    reader : EventReader or None
        Reads the answer where it is streamed.
    reply : Reply or None
        The answer, once it is whole.
    heard, speaking : bool
        Whether the listener has heard text, and whether it is hearing some at this moment.
    wait, why, plain : float, str and str
        How long to wait for another try, in seconds, what to say of it, and what of that is
        logged.
    """

    def __init__(self, listener: Listener, key: Secret) -> None:
        self.reader: EventReader | None = None
        self.reply: Reply | None = None
        self.heard = False
        self.speaking = False
        self.wait, self.why, self.plain = 0.0, "", ""
        self._on_text = listener.on_text
        self._key = key
        self._held = ""
        value = _worth_hiding(key)
        self._beginnings = tuple(value[:end] for end in range(len(value) - 1, 0, -1))

    def hear(self, pieces: Iterable[str], *, last: bool = False) -> None:
        """Take pieces of the answer; say what is sure of them, or all where they are the *last*."""
        for piece in pieces:
            text = _replaced(joined(self._held + piece), self._key)
            cut = len(text) - self._unsure(text)
            self._held = text[cut:]
            self._say(text[:cut])
        if last:
            self._say(_without(self._held, self._key))
            self._held = ""

    def _unsure(self, text: str) -> int:
        """Return how much of the end may be the beginning of the key or of a character."""
        if text.endswith(self._beginnings):
            return next(len(some) for some in self._beginnings if text.endswith(some))
        return int("\ud800" <= text[-1:] <= "\udbff")

    def _say(self, text: str) -> None:
        if text and self._on_text is not None:
            self.heard = self.speaking = True
            self._on_text(text)
            self.speaking = False

    def partial(self) -> Reply | None:
        """Return what has come of a stream, marked as cut off; ``None`` where there is no text."""
        return self.reader.partial() if self.reader is not None and self.reader.text else None


def _worth_hiding(key: Secret) -> str:
    return key.reveal() if len(key.reveal()) >= SHORTEST_KEY else ""


def _replaced(text: str, key: Secret) -> str:
    value = _worth_hiding(key)
    return text.replace(value, HIDDEN) if value else text


def _without(text: str, key: Secret) -> str:
    """Return *text* without the key, also where it ends in the midst of it."""
    value = _worth_hiding(key)
    if value[:TELLING] not in text:  # so it is as a rule
        return text
    text = _replaced(text, key)
    for length in range(len(value) - 1, TELLING - 1, -1):
        if text.endswith(value[:length]):
            return text[:-length] + HIDDEN
    return text


def hidden(value: Any, key: Secret) -> Any:
    """Return a reply, or any plain value, with the key hidden where a server repeats it."""
    if isinstance(value, str):
        return _without(value, key)
    if isinstance(value, (list, tuple)):
        return type(value)(hidden(item, key) for item in value)
    if isinstance(value, dict):
        return {hidden(name, key): hidden(item, key) for name, item in value.items()}
    if isinstance(value, Reply):
        said = ("text", "refusal", "tool_calls", "finish_reason", "payload", "usage")
        served = ("model", "response_id", "system_fingerprint")
        values = {name: getattr(value, name) for name in (*said, *served)}
        changed = {name: safe for name, own in values.items() if (safe := hidden(own, key)) != own}
        return replace(value, **changed) if changed else value
    return value
