"""``%%ask`` and ``%ask``."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from IPython.core.magic import line_cell_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import magic_arguments

from openai_magics.errors import OptionError
from openai_magics.magics import ask_options, options
from openai_magics.magics.base import Family

if TYPE_CHECKING:
    from openai_magics.magics.ask_options import AskLine
    from openai_magics.session import Session
    from openai_magics.turns import Asking

__all__ = ["AskMagics"]


@magics_class
class AskMagics(Family):
    """Ask a model; the answer is kept beside the notebook and can be replayed."""

    _unexplained: tuple[BaseException | None, BaseException | None] = (None, None)
    """How the last ``--error`` failed, and the exception that it was about."""

    @no_var_expand
    @line_cell_magic
    @magic_arguments()
    @ask_options.ask_arguments
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

            %ask What does {{ fig }} show that {{ Out[3] }} does not?

            %ask -i photo.jpg -i before.png What has changed?

            %ask --schema list[City] -f table -o cities The ten largest cities of Norway

            %ask --tools forecast,book Find a dry day for the excursion, and book it.

        ``{{ name }}`` stands for the value of a variable (``In``, ``Out`` and ``Err``, the last
        exception, too): a DataFrame becomes a bounded table, a picture or a figure an image in
        that place. ``--raw`` sends braces as they are. ``-i`` adds images after the prompt:
        paths, patterns, folders, URLs or variables.
        """
        name = "%ask" if cell is None else "%%ask"
        typed = self.with_named(ask_options.ask_line(options.parser_of(self.ask), name, line, cell))
        about = self._last_error() if typed.error else None
        try:
            if typed.dry_run:
                self._dry_run(self.session, typed, about)
            else:
                from openai_magics import render

                self.answered(self._asking(self.session, typed, about), typed, render.answer)
        except BaseException as stop:
            if about is not None:
                self._unexplained = (stop, about)
            raise

    def _asking(self, session: Session, typed: AskLine, about: BaseException | None) -> Asking:
        """Return what was typed as a value: placeholders filled, images looked up."""
        message = typed.message if typed.raw else self.filled(typed.message)
        template = typed.message if message is not typed.message else None
        if about is not None:
            message = _about(about, message)
        how = typed.options
        if typed.images:
            from openai_magics.images.named import named

            how = replace(how, images=named(typed.images, self.names))
        asking = session.asking(message, how, typed.parameters)
        return replace(asking, format=typed.format, template=template)

    def _dry_run(self, session: Session, typed: AskLine, about: BaseException | None) -> None:
        from openai_magics import estimate, render
        from openai_magics.magics import show

        request = session.turns.complete(self._asking(session, typed, about))
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


def _about(error: BaseException, message: Any) -> Any:
    """Return what asks about *error*: its traceback, which is never filled, then the message."""
    from openai_magics import tracebacks

    if isinstance(message, str):
        return tracebacks.prompt(error, message)
    return [tracebacks.prompt(error, " "), *message]
