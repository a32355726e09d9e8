"""The tools of an ask: what the model is told of them, and what its calls give back.

Whatever goes wrong with a call (no such tool, arguments that are broken or do not fit, an
exception, a time that is up) is told to the model as its result: it may mend it.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from typing import TYPE_CHECKING, Any

from openai_magics.errors import MagicsError, OptionError, ReplayMiss
from openai_magics.exchange import Message
from openai_magics.interrupts import heard
from openai_magics.tools.describe import Tool, WrongArguments, tool_of
from openai_magics.tools.limit import TimeUp, acalled, called
from openai_magics.tools.printed import kept

if TYPE_CHECKING:
    from openai_magics.calls import Listener

__all__ = ["Toolbox", "arunner", "beside", "runner", "told_apart", "toolbox_of"]

Call = Mapping[str, Any]
LONGEST = 64_000
"""Characters of a result that are sent: some 16,000 tokens."""


@dataclass(frozen=True)
class Toolbox:
    """Functions that a model may call, by name.

    Attributes
    ----------
    tools : mapping of str to Tool
    seconds : float
        How long one call may take.
    """

    tools: Mapping[str, Tool]
    seconds: float = 60.0

    @property
    def said(self) -> list[Mapping[str, Any]]:
        """What the model is told, in the shape of the chat completions API."""
        return [tool.said for tool in self.tools.values()]

    def run(self, calls: Sequence[Call], listener: Listener) -> tuple[Message, ...]:
        """Run the calls of an answer one after the other; return the messages with their results.

        Raises
        ------
        KeyboardInterrupt
            The person stopped one.
        """
        messages = []
        for call in calls:
            with listener.told(f"Running {_line(call)}", f"Running {_name(call)}"):
                text = heard(functools.partial(self._result, call))
            messages.append(_message(call, text))
        return tuple(messages)

    async def arun(self, calls: Sequence[Call], listener: Listener) -> tuple[Message, ...]:
        """As `run`, without blocking the event loop: coroutine functions run side by side."""
        lines, names = (", ".join(map(said, calls)) for said in (_line, _name))
        with listener.told(f"Running {lines}", f"Running {names}"):
            side = [call for call in calls if self._waits(call)]
            texts = await asyncio.gather(*map(self._aresult, side))
            found = dict(zip(map(id, side), texts, strict=True))
            for call in calls:
                if id(call) not in found:
                    found[id(call)] = await self._aresult(call)
        return tuple(_message(call, found[id(call)]) for call in calls)

    def _waits(self, call: Call) -> bool:
        tool = self.tools.get(_name(call))
        return tool is not None and tool.waits

    def _ready(self, call: Call) -> tuple[Tool, Callable[[], Any]]:
        tool = self.tools.get(_name(call))
        if tool is None:
            known = ", ".join(self.tools)
            raise WrongArguments(f"There is no tool {_name(call)!r} here. Tools: {known}.")
        positional, named = tool.arguments(str(_function(call).get("arguments") or ""))
        return tool, functools.partial(tool.function, *positional, **named)

    def _result(self, call: Call) -> str:
        held: list[str] = []
        with self._told(held), kept() as printed:
            _, function = self._ready(call)
            value = called(function, self.seconds)
            held.append("" if value is None and printed.getvalue() else text_of(value))
        return _whole(held, printed.getvalue())

    async def _aresult(self, call: Call) -> str:
        held: list[str] = []
        with self._told(held), kept() as printed:
            tool, function = self._ready(call)
            value = await acalled(function, self.seconds, waits=tool.waits)
            held.append("" if value is None and printed.getvalue() else text_of(value))
        return _whole(held, printed.getvalue())

    @contextmanager
    def _told(self, held: list[str]) -> Iterator[None]:
        """Turn what fails inside into words for the model."""
        try:
            yield
        except TimeUp:
            held.append(f"Error: it did not end within {self.seconds:g} s and was broken off.")
        except WrongArguments as error:
            held.append(f"Error: {error}")
        except MagicsError as error:
            held.append(f"Error: {error.problem}")
        except Exception as error:  # noqa: BLE001 - of the person's function, whatever it is
            held.append(f"Error: {type(error).__name__}: {error}")


def told_apart(given: Any, parameters: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the functions among some tools, and the parameters with the tools of the service.

    Raises
    ------
    OptionError
        ``tools`` as a parameter is no list of objects.
    """
    if given == () and "tools" not in parameters:  # so it is as a rule
        return [], dict(parameters)
    given = list(given) if isinstance(given, (list, tuple)) else [given]
    functions = [each for each in given if not isinstance(each, Mapping)]
    theirs, own = parameters.get("tools"), [each for each in given if isinstance(each, Mapping)]
    if not isinstance(theirs, (list, tuple, type(None))) or not all(
        isinstance(each, Mapping) for each in theirs or ()
    ):
        raise OptionError(
            "The parameter tools is no list of objects.", 'As in -p tools=[{"type":"web_search"}]'
        )
    return functions, {**parameters, **({"tools": [*(theirs or ()), *own]} if own else {})}


def toolbox_of(functions: Sequence[Any], seconds: float, parameters: Any) -> Toolbox | None:
    """Return the tools of an ask with these parameters of the API; ``None`` for none.

    Raises
    ------
    OptionError
        A function cannot be a tool, two have one name, or the parameters name tools too.
    """
    if callable(functions) or isinstance(functions, str):
        functions = [functions]
    tools: dict[str, Tool] = {}
    for function in functions:
        tool = tool_of(function)
        if tools.setdefault(tool.name, tool) is not tool:
            raise OptionError(
                f"Two of the tools have the name {tool.name!r}.", "Give one another name."
            )
    given = parameters.get("tools") or ()
    if tools and any(isinstance(each, Mapping) and "function" in each for each in given):
        raise OptionError("Tools are given twice: as functions and as parameter.", "Leave one out.")
    return Toolbox(tools, seconds) if tools else None


def beside(
    tools: Toolbox | None, others: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]] | None:
    """Return what a model is told of all tools; of two with one name what the others say."""
    names = {str(_function(each).get("name")) for each in others}
    told = [tool.said for name, tool in tools.tools.items() if name not in names] if tools else []
    return [*others, *told] or None


def runner(
    tools: Toolbox | None, *, may: bool, listener: Listener
) -> Callable[[Sequence[Call]], tuple[Message, ...]]:
    """Return what runs calls; *may* is whether they may be run where they are not recorded."""

    def run(calls: Sequence[Call]) -> tuple[Message, ...]:
        return _checked(tools, calls, may=may).run(calls, listener)

    return run


def arunner(
    tools: Toolbox | None, *, may: bool, listener: Listener
) -> Callable[[Sequence[Call]], Coroutine[Any, Any, tuple[Message, ...]]]:
    """As `runner`, for an event loop."""

    async def run(calls: Sequence[Call]) -> tuple[Message, ...]:
        return await _checked(tools, calls, may=may).arun(calls, listener)

    return run


def _checked(tools: Toolbox | None, calls: Sequence[Call], *, may: bool) -> Toolbox:
    if not may:
        raise ReplayMiss(
            f"The results of these tools are not recorded: {', '.join(map(_line, calls))}.",
            "To run them: --run-tools. To ask live: --mode auto (or OPENAI_MAGICS_MODE=auto).",
        )
    assert tools is not None
    return tools


def text_of(value: Any) -> str:
    """Return what a tool gave back as text: JSON where it can be said so."""
    if isinstance(value, str):
        return value
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    elif is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if value is None or isinstance(value, (bool, int, float, dict, list, tuple)):
        try:
            return json.dumps(value, ensure_ascii=False, default=_plain)
        except (TypeError, ValueError, RecursionError):
            pass
    from openai_magics import values

    if values.is_image(value):
        kind = type(value).__name__
        raise OptionError(f"It gave back an image ({kind}). Only text can be sent back.")
    return values.text_of(value)


def _plain(value: Any) -> Any:
    """Return what stands in JSON for a value inside a result."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if hasattr(value, "item") and hasattr(value, "dtype") and getattr(value, "size", 2) == 1:
        return value.item()
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def _whole(held: list[str], printed: str) -> str:
    parts = [*held, f"Printed:\n{printed.rstrip()}"] if printed.strip() else held
    text = "\n\n".join(part for part in parts if part)
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters cut …\n{text[-half:]}"


def _function(call: Call) -> Mapping[str, Any]:
    function = call.get("function")
    return function if isinstance(function, Mapping) else {}


def _name(call: Call) -> str:
    return str(_function(call).get("name"))


def _line(call: Call) -> str:
    arguments = str(_function(call).get("arguments") or "")
    return f"{_name(call)}({arguments if len(arguments) < 80 else arguments[:79] + '…'})"


def _message(call: Call, text: str) -> Message:
    return {"role": "tool", "tool_call_id": call.get("id"), "content": text}
