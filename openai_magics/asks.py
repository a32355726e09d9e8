"""From what was typed to what is asked: the checks, and the request as a value."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from openai_magics import branches
from openai_magics.client import Live
from openai_magics.errors import OptionError
from openai_magics.exchange import AskOptions, Request
from openai_magics.listings import Listings
from openai_magics.threads import Threads
from openai_magics.turns import Asking

if TYPE_CHECKING:
    from openai_magics.schemas.shape import Shape
    from openai_magics.tools.toolbox import Toolbox

__all__ = ["Asks"]

KEYWORDS = (*(item.name for item in fields(AskOptions)), "on_text", "on_notice")


class Asks(Threads, Listings):
    """Makes a request of what a person types, for `Session`, which has these."""

    live: Live

    def asking(
        self,
        message: str | Sequence[Any],
        options: AskOptions = AskOptions(),
        parameters: dict[str, Any] | None = None,
    ) -> Asking:
        """Check what was typed and return it as a value; nothing is sent.

        Raises
        ------
        OptionError, SettingError
            The message is empty, or something is not possible.
        """
        functions, parameters = _functions(options.tools, parameters or {})
        self._check(message, parameters)
        content, attachments = _content(message, options.images)
        check, said, whose = self.settings.check, self.settings.said, self.assistant
        parameters = {**whose.parameters, **parameters} if whose else parameters
        most = check("max_history", options.max_history, "max_history")
        shape = _shape(_first(options.schema, whose and whose.schema), parameters)
        seconds = check("tool_timeout", options.tool_timeout, "tool_timeout")
        most_rounds = check("max_rounds", options.max_rounds, "max_rounds")
        tools = None
        if functions:  # else their settings are not looked for
            seconds = self.settings.get("tool_timeout", seconds)
            most_rounds = self.settings.get("max_rounds", most_rounds)
            from openai_magics.tools.toolbox import toolbox_of

            tools = toolbox_of(functions, seconds, parameters)
        api = _first(check("api", options.api, "api"), whose and whose.api, said("api"))
        request = Request(
            model=_first(
                check("model", options.model, "model"), whose and whose.model, said("model")
            ),
            endpoint=_first(check("base_url", options.base_url, "base_url"), said("base_url")),
            system=_first(
                options.system_instruction, whose and whose.system, said("system_instruction")
            ),
            schema=shape.said if shape is not None else None,
            tools=_told(tools, whose.tools_for(api) if whose else ()),
            api=api,
            messages=({"role": "user", "content": content},),
            attachments=attachments,
            parameters={name: value for name, value in parameters.items() if value is not None},
            max_history=_first(most, said("max_history")) if options.history else None,
        )
        thread = _first(options.conversation, self.thread)
        thread = self.named(thread) if options.after is None else thread
        branch = None
        if options.branch_from is not None:
            if options.new or not options.history:
                raise OptionError(
                    "A branch has a history: the turns up to where it begins.",
                    "Leave --branch-from out, or --new and --no-history.",
                )
            branch = branches.parse(options.branch_from, self.thread)
            branch = replace(branch, conversation=self.named(branch.conversation))
        return Asking(
            request,
            thread if options.history else None,
            new=options.new,
            after=options.after if options.history else None,
            fresh=options.fresh,
            mode=check("mode", options.mode, "mode"),
            judge=check("sentiment", options.sentiment, "sentiment"),
            assistant=whose,
            branch=branch,
            shape=shape,
            tools=tools,
            run_tools=options.run_tools,
            max_rounds=Asking.max_rounds if most_rounds is None else most_rounds,
        )

    def _check(self, message: str | Sequence[Any], parameters: dict[str, Any]) -> None:
        if not isinstance(message, (str, list, tuple)):
            raise OptionError(
                f"The prompt is of type {type(message).__name__}.",
                "Give it as text, or as a list of texts and images.",
            )
        texts = [message] if isinstance(message, str) else message
        if not any(piece.strip() if isinstance(piece, str) else True for piece in texts):
            raise OptionError(
                "The prompt is empty.", "Write what to ask after the magic or below it."
            )
        for name in parameters:
            if name in KEYWORDS and name != "tools":
                raise OptionError(
                    f"{name!r} is no parameter of the API but an option of its own.",
                    f"Give it as one: ask(…, {name}=…), or as %ask? says.",
                )
            if name != "tools" and (near := _keyword_like(name)):
                raise OptionError(f"There is no argument {name!r}.", f"Did you mean {near!r}?")
        if any(isinstance(piece, str) and self.live.holds_key(piece) for piece in texts):
            raise OptionError("The prompt holds the API key.", "Nothing was sent or recorded.")


def _content(message: str | Sequence[Any], images: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return the content of a message, and the images that parts of it stand for."""
    if isinstance(message, str) and isinstance(images, (list, tuple)) and not images:
        return message, ()
    from openai_magics.images.attached import attached, content

    pieces = [message] if isinstance(message, str) else message
    given = not isinstance(images, (list, tuple)) or images
    return content([*pieces, *(attached(images) if given else ())])


@lru_cache(maxsize=256)
def _keyword_like(name: str) -> str | None:
    """Return the keyword that the name of a parameter was meant to be, if it nearly is one."""
    return next(iter(difflib.get_close_matches(name, KEYWORDS, n=1, cutoff=0.85)), None)


# Tools and schemas are imported where they are used, so that a replay need not.


def _functions(given: Any, parameters: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    if given == () and "tools" not in parameters:
        return [], dict(parameters)
    from openai_magics.tools.toolbox import told_apart

    return told_apart(given, parameters)


def _told(tools: Toolbox | None, others: Sequence[Mapping[str, Any]]) -> Any:
    if tools is None and not others:
        return None
    from openai_magics.tools.toolbox import beside

    return beside(tools, others)


def _shape(given: Any, parameters: dict[str, Any]) -> Shape | None:
    if given is None:
        return None
    from openai_magics.schemas.shape import shaped

    return shaped(given, parameters)


def _first(*values: Any) -> Any:
    """Return the first value that is set."""
    return next((value for value in values if value is not None), None)
