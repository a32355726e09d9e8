"""How many tokens a conversation has for a model of the engine, as its trainer will count them.

The model's own server is asked for its template and its tokens: nothing is fetched, nothing is
computed with the weights. A template is written as transformers does it, with which the trainer
encodes (jinja2, ``trim_blocks`` and ``lstrip_blocks``).
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from openai_magics.errors import EngineError
from openai_magics.local import process, weights

__all__ = ["counting"]

Count = Callable[[list[dict[str, Any]]], "int | None"]


@contextmanager
def counting(path: Path) -> Iterator[Count | None]:
    """Give what counts the tokens of a conversation; ``None`` where the model cannot be asked.

    Parameters
    ----------
    path : Path
        A GGUF file.
    """
    child, made = None, None
    engine = process.running()
    try:
        if engine is None or engine.model != weights.name_of(path):
            child = process.start(path, name="count")
            engine = child.engine
        with suppress(OSError, ValueError, KeyError):
            made = _Counting(engine)
    except EngineError:
        pass
    try:
        yield made
    finally:
        if made is not None:
            made.close()
        if child is not None:
            child.stop()


class _Counting:
    """Counts by asking a server of llama.cpp."""

    def __init__(self, engine: process.Engine) -> None:
        parts = urlsplit(engine.direct)
        self._server = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._headers = {
            "Authorization": f"Bearer {engine.api_key}",
            "Content-Type": "application/json",
        }
        told = self._asked("GET", "/props")
        self._write = _template(told)

    def __call__(self, messages: list[dict[str, Any]]) -> int | None:
        try:
            text = self._write(messages)
        except Exception:  # noqa: BLE001 - what a template raises is its own
            return None
        said = {"content": text, "add_special": False, "parse_special": True}
        return len(self._asked("POST", "/tokenize", said)["tokens"])

    def close(self) -> None:
        """Leave the server."""
        self._server.close()

    def _asked(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        content = None if body is None else json.dumps(body)
        self._server.request(method, path, content, self._headers)
        answer: dict[str, Any] = json.loads(self._server.getresponse().read())
        return answer


def _template(told: dict[str, Any]) -> Callable[[list[dict[str, Any]]], str]:
    """Return what writes a conversation as one text, as a model's template has it."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(text: str) -> None:
        raise TemplateError(text)

    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    env.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    env.globals["raise_exception"] = refuse
    made = env.from_string(told["chat_template"])
    tokens = {name: told.get(name, "") for name in ("bos_token", "eos_token")}
    return lambda messages: made.render(
        messages=messages, add_generation_prompt=False, tools=None, **tokens
    )
