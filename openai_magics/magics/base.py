"""What the magics of every family share: the notebook's variables, and its session."""

from __future__ import annotations

import getpass
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics

from openai_magics import cells
from openai_magics.errors import Interrupted, ServiceError
from openai_magics.magics import options

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai_magics.exchange import Reply
    from openai_magics.keys import Secret
    from openai_magics.magics.ask_options import AskLine
    from openai_magics.render import Bundle
    from openai_magics.session import Session
    from openai_magics.turns import Asking

__all__ = ["Family", "ask_key"]


class Family(Magics):
    """The magics of one family: parse, call, display, and nothing else."""

    @property
    def names(self) -> dict[str, Any]:
        """The notebook's variables."""
        assert self.shell is not None
        names: dict[str, Any] = self.shell.user_ns
        return names

    def filled(self, template: str) -> Any:
        """Return a prompt with its placeholders filled: text, or texts and images in order."""
        if "{{" not in template:
            return template
        from openai_magics import prompts

        names = dict(self.names)
        if (error := getattr(sys, "last_value", None)) is not None:
            names["Err"] = error
        return prompts.filled(template, names)

    def with_named(self, typed: AskLine) -> AskLine:
        """Return what was typed with the schema and the functions that its options name."""
        how = typed.options
        if how.schema is None and not how.tools:
            return typed
        from openai_magics.magics import named

        if how.schema is not None:
            how = replace(how, schema=named.schema(how.schema, self.names))
        if isinstance(how.tools, str):
            how = replace(how, tools=named.tools(how.tools, self.names))
        return replace(typed, options=how)

    @property
    def session(self) -> Session:
        """The notebook's session."""
        from openai_magics.session import get_session

        session = get_session()
        if session.live.ask_key is None and cells.watched(self.shell):
            session.live.ask_key = ask_key
        return session

    def answered(
        self, asking: Asking, typed: AskLine, bundle: Callable[[Reply, str], Bundle]
    ) -> Reply:
        """Ask, show what comes as it comes and *bundle* of it at the end; return the reply.

        It is in ``_answer`` then, and in the variable that was typed for it.
        """
        from openai_magics import render
        from openai_magics.client import Listener
        from openai_magics.magics import show

        session = self.session
        form = typed.format or session.settings.get("format")
        streams = typed.stream and session.settings.get("stream") and not typed.quiet
        stage: show.Stage = show.Once() if typed.quiet else show.stage(self.shell, stream=streams)
        listener = Listener(stage.on_text if streams else None, stage.on_notice, stage.on_step)
        try:
            reply = session.turns.run(asking, listener)
            render.checked(reply, form)
        except (ServiceError, Interrupted) as stop:
            came = stop.reply if stop.reply and (stop.reply.text or stop.reply.steps) else None
            bare = "text" if form in ("json", "table") else form
            stage.finish(bundle(came, bare) if came else None)
            if came:
                self.names["_answer"] = came
            raise
        except BaseException:
            stage.finish(None)
            raise
        if not typed.quiet:
            stage.finish(bundle(reply, form))
        self.keep(reply, typed.out)
        return reply

    def keep(self, value: Any, out: str | None) -> None:
        """Put an answer into ``_answer``, and into the variable that was typed for it."""
        self.names["_answer"] = value
        if out is not None:
            self.names[out] = value

    @staticmethod
    def typed(magic: Any, name: str, line: str) -> Any:
        """Return what was typed after *magic*, which has no prompt, as its parser reads it.

        Raises
        ------
        OptionError
            An option, or a value, is not possible.
        """
        return options.parse(options.parser_of(magic), name, options.words(line))


def ask_key() -> Secret | None:
    """Ask the person for the key, without echo; ``None`` where nobody is there."""
    from openai_magics.keys import Secret

    if not cells.watched():
        return None
    typed = getpass.getpass("API key (not shown, not saved): ").strip()
    return Secret(typed, "typed in this kernel") if typed else None
