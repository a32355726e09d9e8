"""``%models`` and ``%openai``: what answers, and how to change it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from IPython.core.magic import line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from openai_magics import cells, config
from openai_magics.errors import OptionError
from openai_magics.magics import configurable
from openai_magics.magics.base import Family, ask_key

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ServiceMagics"]


@magics_class
class ServiceMagics(Family):
    """The models of the endpoint, and what is used now."""

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
        typed = self.typed(self.models, "%models", line)
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
        from openai_magics import status
        from openai_magics.magics import show

        typed = self.typed(self.openai, "%openai", line)
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
