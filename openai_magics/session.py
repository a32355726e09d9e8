"""The session: what a person holds. It asks, and every exchange is in the dialogue file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from openai_magics import place
from openai_magics.asked import split
from openai_magics.asks import Asks
from openai_magics.client import Listener, Live
from openai_magics.cloud.address import address
from openai_magics.config import Settings
from openai_magics.describing import Describing
from openai_magics.dialogue import DialogueFile
from openai_magics.exchange import AskOptions, Reply, Request
from openai_magics.in_turn import InTurn
from openai_magics.judging import Judges
from openai_magics.keys import Secret
from openai_magics.panels import HasPanels
from openai_magics.settled import Settled
from openai_magics.training.methods import TrainingMethods
from openai_magics.turns import Turns
from openai_magics.twins import as_typed
from openai_magics.views import Dialogue

__all__ = ["Session", "get_session"]


class Session(Asks, Judges, Settled, Describing, HasPanels, TrainingMethods):
    """Asks models and keeps every exchange in the dialogue file.

    Parameters
    ----------
    model : str, optional
        The model; ``"local"`` is the engine on this machine. What is not given comes from
        the settings (see `openai_magics.config`).
    system_instruction : str, optional
        Sent with every ask.
    base_url : str, optional
        Any server that speaks the OpenAI protocol.
    api_key : str, optional
        Never shown or written. Better set as ``OPENAI_API_KEY`` in the environment.
    dialogue_log_path : str or Path, optional
        The dialogue file; by default ``<notebook>.dialogue.json`` beside the notebook. An
        address (``gs://…``, ``s3://…``, any that fsspec knows) is kept in the cloud, with a
        working copy on this machine.
    mode : {"auto", "live", "replay"}, optional
        Whether recorded answers are replayed, and unrecorded ones asked.

    Raises
    ------
    SettingError
        An argument is not possible.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        system_instruction: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        dialogue_log_path: str | Path | None = None,
        mode: str | None = None,
    ) -> None:
        self.settings = Settings()
        given = {
            "model": model,
            "system_instruction": system_instruction,
            "base_url": base_url,
            "dialogue": dialogue_log_path,
            "mode": mode,
        }
        for name, value in given.items():
            if value is not None:
                self.settings.arguments[name] = self.settings.check(name, value, "Session")
        self.live = Live(
            self.settings, Secret(api_key, "the argument api_key") if api_key else None
        )
        self.turns = Turns(self.settings, self.live, self._dialogue_file, self._judge)
        self.dialogue = Dialogue(self._dialogue_file, self.turns)
        self._file: DialogueFile | None = None
        self._mutex = threading.Lock()
        self._in_turn = InTurn()

    def __repr__(self) -> str:
        said = {name: self.settings.said(name) for name in ("model", "base_url", "mode")}
        shown = ", ".join(f"{name}={value!r}" for name, value in said.items() if value is not None)
        return f"Session({shown})"

    def ask(
        self,
        message: str | Sequence[Any],
        *,
        system_instruction: str | None = None,
        conversation: str | None = None,
        branch_from: int | str | None = None,
        history: bool = True,
        max_history: int | None = None,
        new: bool = False,
        images: Any = (),
        after: str | None = None,
        fresh: bool = False,
        mode: str | None = None,
        model: str | None = None,
        base_url: str | None = None,
        sentiment: str | None = None,
        api: str | None = None,
        schema: Any = None,
        tools: Sequence[Callable[..., Any] | Mapping[str, Any]] = (),
        run_tools: bool = False,
        max_rounds: int | None = None,
        tool_timeout: float | None = None,
        on_text: Callable[[str], None] | None = None,
        on_notice: Callable[[str], None] | None = None,
        **parameters: Any,
    ) -> Reply:
        """Ask, and return the reply, which is then in the dialogue file.

        Parameters
        ----------
        message : str, or sequence of texts and images
            The prompt; in a sequence images stand where they are meant.
        system_instruction : str, optional
            For this ask only.
        conversation : str, optional
            Which conversation it continues, or begins; by default `thread`.
        branch_from : int or str, optional
            Come after this turn in place of the last: its number from 1 in the conversation
            `thread`, that of another one (``"draft:3"``), or the id of its record. With
            another *conversation* that one begins there; the turns that are left stay as
            they are.
        history : bool
            False: neither sees the conversation nor becomes part of it.
        max_history : int, optional
            How many earlier turns are sent at most; all by default.
        new : bool
            Begin the conversation anew with this turn.
        images : object, optional
            Images that follow the prompt, one or several: paths, patterns, folders, URLs,
            bytes, pictures, arrays, figures (see `openai_magics.images.source.sources`).
        after : str, optional
            The id of the record that it comes after (``""``: none), whatever this run has
            said: its history is read from the dialogue file, and what this run says later
            does not see it. So panels ask.
        fresh : bool
            Ask even where an answer is recorded (not in ``replay`` mode).
        mode, model, base_url : str, optional
            As for `Session`, for this ask only.
        sentiment : {"lexicon", "model", "off"}, optional
            Who judges the sentiment of the answer.
        api : {"chat", "responses"}, optional
            The protocol: chat completions, or the Responses API where the server has it.
        schema : type, dict, str or Path, optional
            What the answer is to be: a pydantic model, a dataclass, a TypedDict, a type such
            as ``list[City]``, a JSON schema, or the path of a JSON file with one. The server
            is held to it where it can be; the answer is checked, and asked for once more
            where it does not fit. ``reply.data`` is the instance.
        tools : sequence of callable or dict
            Functions that the model may call; what they are is told by their signature and
            docstring. Their results are recorded, and in a replay they are not run. A dict is a
            tool of the service (``{"type": "web_search"}``), of the Responses API as a rule.
        run_tools : bool
            Run tools also where their results are recorded.
        max_rounds : int, optional
            How often the model may have tools called; 8 by default.
        tool_timeout : float, optional
            Seconds that one call may take; 60 by default.
        on_text : callable, optional
            Gets each piece of text as it comes; the answer is then streamed.
        on_notice : callable, optional
            Gets a line while something is waited for, and ``""`` when it is over.
        **parameters
            Of the API (``temperature``, ``max_completion_tokens``, ``seed``, …); ``None``
            means not set. Nothing is sent that is not set.

        Raises
        ------
        OptionError, SettingError
            The message is empty, an argument is not possible, or an image is none.
        SchemaMismatch
            The answer does not fit the schema, nor does the second one; its ``reply`` is kept.
        TooManyRounds
            The model wants tools called more than *max_rounds* times.
        ReplayMiss
            In ``replay`` mode: nothing is recorded for it.
        NotConnected, ServiceError
            It could not be asked, or the service failed or refused.
        DialogueError
            It could not be recorded.
        Interrupted
            It was stopped; what had come is recorded as cut off.
        """
        options = AskOptions(
            system_instruction=system_instruction,
            conversation=conversation,
            branch_from=branch_from,
            history=history,
            max_history=max_history,
            new=new,
            after=after,
            fresh=fresh,
            mode=mode,
            model=model,
            base_url=base_url,
            sentiment=sentiment,
            images=images,
            api=api,
            schema=schema,
            tools=tools,
            run_tools=run_tools,
            max_rounds=max_rounds,
            tool_timeout=tool_timeout,
        )
        asking = self.asking(message, options, parameters)
        return self.turns.run(asking, Listener(on_text, on_notice))

    @as_typed(ask)
    async def aask(
        self,
        message: str | Sequence[Any],
        *,
        on_text: Callable[[str], None] | None = None,
        on_notice: Callable[[str], None] | None = None,
        **arguments: Any,
    ) -> Reply:
        """Ask without blocking the event loop; otherwise as `ask`, with the same arguments.

        Asks of one conversation wait for one another, in the order in which they were made;
        those with ``history=False`` run side by side.
        """
        options, parameters = split(arguments)
        message, options = await self._in_turn.read(message, options)
        asking = self.asking(message, options, parameters)
        return await self.turns.arun(asking, Listener(on_text, on_notice))

    def is_recorded(self, request: Request) -> bool:
        """Whether the dialogue file has an answer to *request*."""
        return bool(self._dialogue_file().slots(request.fingerprint))

    @property
    def dialogue_log_path(self) -> Path | str:
        """The dialogue file: a path, or an address in the cloud (``gs://``, ``s3://``, …).

        To set it begins anew in another file; what was said is kept in the one before.
        """
        found = address(self.settings.get("dialogue"))
        return self.dialogue.path if found is None else found.shown

    @dialogue_log_path.setter
    def dialogue_log_path(self, path: Path | str | None) -> None:
        self.settings.arguments["dialogue"] = self.settings.check("dialogue", path, "Session")
        with self._mutex:
            before, self._file = self._file, None
        self.turns.forget()  # what this run has said is not in another file
        if before is not None:
            before.close()

    def _dialogue_file(self) -> DialogueFile:
        with self._mutex:
            if self._file is None:
                self._file = place.opened(self.settings)
            return self._file


current: Session | None = None
"""The notebook's session, once there is one."""


def get_session() -> Session:
    """Return the notebook's session, which magics and panels share; made at first use."""
    global current  # noqa: PLW0603 - one notebook, one session
    if current is None:
        current = Session()
        current.of_notebook = True
    return current
