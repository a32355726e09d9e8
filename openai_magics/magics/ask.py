"""``%%ask`` and ``%ask``."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from IPython.core.magic import line_cell_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import magic_arguments

from openai_magics.errors import Interrupted, OptionError, ServiceError
from openai_magics.magics import options
from openai_magics.magics.base import Family

if TYPE_CHECKING:
    from openai_magics.exchange import Reply
    from openai_magics.magics.options import AskLine
    from openai_magics.session import Session

__all__ = ["AskMagics"]


@magics_class
class AskMagics(Family):
    """Ask a model; the answer is kept beside the notebook and can be replayed."""

    _unexplained: tuple[BaseException | None, BaseException | None] = (None, None)
    """How the last ``--error`` failed, and the exception that it was about."""

    @no_var_expand
    @line_cell_magic
    @magic_arguments()
    @options.ask_arguments
    def ask(self, line: str, cell: str | None = None) -> None:
        """Ask a model.

        The answer is shown as it comes and kept in the dialogue file beside the notebook.
        Run again, the cell shows the recorded answer. The reply is in the variable
        ``_answer`` (``.text``, ``.data``, ``.code``, ``.tables``, ``.usage``, …).

        Examples::

            %ask What is a fingerprint?

            %%ask -s "You are a careful statistician." -t 0
            Why is a p-value not the probability of the hypothesis?

            %%ask --conversation draft --new -o plan
            Plan a paper about tides in five headings.

            %ask --error          (explains the last exception)

            %ask What stands out in {{ df.describe() }}?

        ``{{ name }}`` stands for the value of a variable (``In``, ``Out`` and ``Err``, the last
        exception, too): a DataFrame becomes a bounded table. ``--raw`` sends braces as they are.
        """
        name = "%ask" if cell is None else "%%ask"
        typed = options.ask_line(options.parser_of(self.ask), name, line, cell)
        about = self._last_error() if typed.error else None
        if about is not None:
            typed = _about(about, typed)
        try:
            if typed.dry_run:
                self._dry_run(self.session, typed)
            else:
                self._ask(self.session, typed)
        except BaseException as stop:
            if about is not None:
                self._unexplained = (stop, about)
            raise

    def _ask(self, session: Session, typed: AskLine) -> None:
        from openai_magics import render
        from openai_magics.client import Listener
        from openai_magics.magics import show

        form = typed.format or session.settings.get("format")
        asking = session.asking(typed.message, typed.options, typed.parameters)
        asking = replace(asking, format=typed.format)
        streams = typed.stream and session.settings.get("stream") and not typed.quiet
        stage: show.Stage = show.Once() if typed.quiet else show.stage(self.shell, stream=streams)
        listener = Listener(stage.on_text if streams else None, stage.on_notice)
        try:
            reply = session.turns.run(asking, listener)
            render.checked(reply, form)
        except (ServiceError, Interrupted) as stop:
            came = stop.reply if stop.reply is not None and stop.reply.text else None
            stage.finish(render.answer(came, "text" if form == "json" else form) if came else None)
            raise
        except BaseException:
            stage.finish(None)
            raise
        if not typed.quiet:
            stage.finish(render.answer(reply, form))
        self._keep(reply, typed.out)

    def _filled(self, template: str) -> str:
        """Return a prompt with its placeholders filled from the notebook's variables."""
        if "{{" not in template:
            return template
        from openai_magics import prompts, values

        names = dict(self.names)
        if (error := getattr(sys, "last_value", None)) is not None:
            names["Err"] = error
        pieces = prompts.fill(template, names)
        return "".join(values.text_of(value, expression) for expression, value in pieces)

    def _keep(self, reply: Reply, out: str | None) -> None:
        self.names["_answer"] = reply
        if out is not None:
            self.names[out] = reply

    def _dry_run(self, session: Session, typed: AskLine) -> None:
        from openai_magics import estimate, render
        from openai_magics.magics import show

        asking = session.asking(typed.message, typed.options, typed.parameters)
        request = session.turns.complete(asking)
        facts = estimate.facts(request, session.live, recorded=session.is_recorded(request))
        show.Once().finish(render.dry_run(request, facts))

    def _last_error(self) -> BaseException:
        """Return the last exception; after an ask about one that failed, still that one."""
        error = getattr(sys, "last_value", None)
        if error is None:
            raise OptionError(
                "There is no exception to explain: none was raised in this kernel.",
                "Run the cell that fails first.",
            )
        failure, about = self._unexplained
        return about if about is not None and error is failure else cast("BaseException", error)


def _about(error: BaseException, typed: AskLine) -> AskLine:
    from openai_magics import tracebacks

    return replace(typed, message=tracebacks.prompt(error, typed.message))
