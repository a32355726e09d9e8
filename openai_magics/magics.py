"""The magics: parse, call, display. ``%ask?`` is the manual page of each."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from openai_magics import cells, config, configurable, options
from openai_magics.errors import Interrupted, OptionError, ServiceError

if TYPE_CHECKING:
    import pandas as pd
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

    from openai_magics.exchange import Reply
    from openai_magics.keys import Secret
    from openai_magics.options import AskLine
    from openai_magics.session import Session

__all__ = ["ModelMagics", "load", "unload"]


@magics_class
class ModelMagics(Magics):
    """Ask language models; every exchange is kept beside the notebook and can be replayed."""

    _unexplained: tuple[BaseException | None, BaseException | None] = (None, None)
    """How the last ``--error`` failed, and the exception that it was about."""

    @property
    def names(self) -> dict[str, Any]:
        """The notebook's variables."""
        assert self.shell is not None
        names: dict[str, Any] = self.shell.user_ns
        return names

    @property
    def session(self) -> Session:
        """The notebook's session."""
        from openai_magics.session import get_session

        session = get_session()
        if session.live.ask_key is None and cells.watched(self.shell):
            session.live.ask_key = ask_key
        return session

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
        from openai_magics import render, show
        from openai_magics.client import Listener

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
        from openai_magics import estimate, render, show

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

    @no_var_expand
    @line_magic
    @magic_arguments()
    @argument("pattern", nargs="?", default="", help="only models whose name holds this text")
    @argument("--fine-tuned", action="store_true", help="only fine-tuned models")
    @argument("--retiring", action="store_true", help="only models with a shutdown date")
    @argument("--fresh", action="store_true", help="ask for the listing anew")
    @argument("--mode", choices=config.MODES, help="replay, live or auto")
    def models(self, line: str) -> pd.DataFrame:
        """List the models of the endpoint as a DataFrame, with the date of their shutdown where it is told.

        Examples::

            %models gpt-5
            %models --retiring
        """
        typed = self._typed(self.models, "%models", line)
        frame: pd.DataFrame = self.session.list_models(fresh=typed.fresh, mode=typed.mode)
        if typed.pattern:
            frame = frame[frame["id"].str.contains(typed.pattern, case=False, regex=False)]
        if typed.fine_tuned:
            frame = frame[frame["id"].str.startswith("ft:")]
        if typed.retiring:
            frame = frame[frame["shutdown_date"].notna()].sort_values("shutdown_date")
        return cast("pd.DataFrame", frame.reset_index(drop=True))

    @no_var_expand
    @line_magic
    @magic_arguments()
    @argument(
        "action",
        nargs="?",
        default="frame",
        choices=(
            "frame",
            "show",
            "conversations",
            "usage",
            "path",
            "reset",
            "export",
            "verify",
            "repair",
        ),
        help="what to do (default: give the DataFrame)",
    )
    @argument(
        "what", nargs="?", help="for `show` and `reset`: a conversation; for `export`: the file"
    )
    @argument(
        "--format",
        choices=("md", "html", "csv", "jsonl", "ipynb"),
        help="for `export`: the format, where the file's suffix does not say it",
    )
    @argument("-c", "--conversation", metavar="NAME", help="for `export`: only this one")
    @argument("--all", action="store_true", help="all of the file, not only this run")
    @argument("--overwrite", action="store_true", help="for `export`: replace what is there")
    @argument("--file", action="store_true", help="for `reset`: move the dialogue file aside")
    def dialogue(self, line: str) -> Any:
        """Give the dialogue as a DataFrame, one row an exchange; read it, export it, look after it.

        A conversation is shown and exported as it now stands: an answer that was asked anew
        and a prompt that was edited since are in the DataFrame only. Nothing here removes a
        record: ``reset`` forgets what was said in this run, so that the next ask begins anew,
        and ``reset --file`` moves the dialogue file to ``<file>.before-reset-<time>``.

        Examples::

            %dialogue                            (what this run has said)
            %dialogue --all                      (all that the file holds)
            %dialogue show
            %dialogue show draft
            %dialogue conversations
            %dialogue usage
            %dialogue path
            %dialogue reset draft
            %dialogue export talk.md
            %dialogue export talk.html --conversation draft
            %dialogue export examples.jsonl      (chat messages, ready for training)
            %dialogue export talk.ipynb          (a notebook that replays)
            %dialogue verify
            %dialogue repair
        """
        from openai_magics import dialogue_magic

        return dialogue_magic.run(self.session, line)

    @no_var_expand
    @line_magic
    @magic_arguments()
    @argument(
        "action", nargs="?", default="status", choices=("status", "key", "use"), help="what to do"
    )
    @argument("value", nargs="?", help="for `use`: a model, `local`, or the address of a server")
    @argument("--keep", action="store_true", help="for `key`: keep it in the system keyring")
    @argument("--forget", action="store_true", help="for `key`: forget it, in the keyring too")
    def openai(self, line: str) -> None:
        """Show what is used now (model, endpoint, mode, file), and change it.

        Examples::

            %openai
            %openai key --keep
            %openai use local
            %openai use gpt-5.5
            %openai use http://localhost:11434/v1
        """
        from openai_magics import show, status

        typed = self._typed(self.openai, "%openai", line)
        if typed.action == "key":
            self._key(forget=typed.forget, keep=typed.keep)
            return
        if typed.action == "use":
            self._use(typed.value)
        elif typed.value:
            raise OptionError(f"%openai: {typed.value!r} is too much.", "See %openai?")
        show.Once().finish(status.bundle(self.session))

    def _key(self, *, forget: bool, keep: bool) -> None:
        from openai_magics import connection, keys

        session = self.session
        endpoint = connection.host(session.settings.get("base_url") or connection.OPENAI)
        if forget:
            session.live.key = None
            keys.forget_in_keyring(endpoint)
            return
        if not cells.watched(self.shell):
            raise OptionError(
                "%openai key: nobody is here to type it.", "Set OPENAI_API_KEY in the environment."
            )
        key = ask_key()
        if key is None:
            raise OptionError("%openai key: nothing was typed.", "Run it again and type the key.")
        session.live.key = key
        if keep:
            keys.keep_in_keyring(key, endpoint)

    def _use(self, value: str | None) -> None:
        if not value:
            raise OptionError(
                "%openai use: what?", "A model, `local`, or the address of a server (http://…/v1)."
            )
        if "://" in value or value.startswith(("http:", "https:")):
            from openai_magics import connection

            connection.host(value)
            configurable.set_for_notebook("base_url", value)
        else:
            if value == "local":
                configurable.set_for_notebook("base_url", None)
            configurable.set_for_notebook("model", value)

    @staticmethod
    def _typed(magic: Any, name: str, line: str) -> Any:
        tokens = options.words(line)
        return options.parse(options.parser_of(magic), name, tokens)


def ask_key() -> Secret | None:
    """Ask the person for the key, without echo; ``None`` where nobody is there."""
    from openai_magics.keys import Secret

    if not cells.watched():
        return None
    typed = getpass.getpass("API key (not shown, not saved): ").strip()
    return Secret(typed, "typed in this kernel") if typed else None


def _about(error: BaseException, typed: AskLine) -> AskLine:
    from dataclasses import replace

    from openai_magics import tracebacks

    return replace(typed, message=tracebacks.prompt(error, typed.message))


def _cell_ran(result: ExecutionResult) -> None:
    """After a cell that succeeded: what it no longer asks, it no longer says."""
    # A thread may be importing the module at this moment: see `warm`.
    session = getattr(sys.modules.get("openai_magics.session"), "current", None)
    if session is not None and result.success:
        from openai_magics.turns import here

        session.turns.cell_ran(here())


def load(shell: InteractiveShell) -> None:
    """Register the magics, their settings and completions in *shell*."""
    from openai_magics import complete, questions, warm

    magics = ModelMagics(shell)
    shell.register_magics(magics)
    configurable.install(shell)
    shell.events.register("post_run_cell", _cell_ran)
    complete.install(shell, magics)
    questions.install(shell)
    warm.import_soon(os.environ)


def unload(shell: InteractiveShell) -> None:
    """Take out the hooks that `load` put in."""
    from openai_magics import complete, questions

    shell.events.unregister("post_run_cell", _cell_ran)
    complete.remove(shell)
    questions.remove(shell)
    configurable.remove(shell)
    shell.configurables[:] = [
        item for item in shell.configurables if not isinstance(item, ModelMagics)
    ]
