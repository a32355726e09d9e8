"""The session: what a person holds. It asks, and every exchange is in the dialogue file."""

from __future__ import annotations

import difflib
import inspect
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openai_magics import branches, logs, place, prices
from openai_magics.asked import split
from openai_magics.client import Listener, Live
from openai_magics.cloud.address import address
from openai_magics.config import Settings
from openai_magics.conversation import Conversation
from openai_magics.describing import Describing
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import MagicsError, OptionError
from openai_magics.exchange import AskOptions, Reply, Request
from openai_magics.keys import Secret
from openai_magics.listings import Listings
from openai_magics.panels import HasPanels
from openai_magics.schemas.shape import shaped
from openai_magics.settled import Settled
from openai_magics.tools.toolbox import beside, toolbox_of
from openai_magics.training.methods import TrainingMethods
from openai_magics.turns import Asking, Turns
from openai_magics.twins import twin
from openai_magics.views import Dialogue

if TYPE_CHECKING:
    from openai_magics.exchange import Sentiment

__all__ = ["Session", "get_session"]

log = logging.getLogger("openai_magics")


MAIN = "main"
KEYWORDS = (*(item.name for item in fields(AskOptions)), "on_text", "on_notice")


class Session(Settled, Listings, Describing, HasPanels, TrainingMethods):
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
        self._thread = MAIN
        self._mutex = threading.Lock()

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
        tools: Sequence[Callable[..., Any]] = (),
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
        tools : sequence of callable
            Functions that the model may call; what they are is told by their signature and
            docstring. Their results are recorded, and in a replay they are not run.
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
        asking = self.asking(message, *split(arguments))
        return await self.turns.arun(asking, Listener(on_text, on_notice))

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
        parameters = parameters or {}
        self._check(message, parameters)
        content, attachments = _content(message, options.images)
        check, said, whose = self.settings.check, self.settings.said, self.assistant
        parameters = {**whose.parameters, **parameters} if whose else parameters
        most = check("max_history", options.max_history, "max_history")
        shape = shaped(_first(options.schema, whose and whose.schema), parameters)
        seconds = check("tool_timeout", options.tool_timeout, "tool_timeout")
        seconds = self.settings.get("tool_timeout", seconds)
        tools = toolbox_of(options.tools, seconds, parameters)
        request = Request(
            model=_first(
                check("model", options.model, "model"), whose and whose.model, said("model")
            ),
            endpoint=_first(check("base_url", options.base_url, "base_url"), said("base_url")),
            system=_first(
                options.system_instruction, whose and whose.system, said("system_instruction")
            ),
            schema=shape.said if shape is not None else None,
            tools=beside(tools, whose.callable_tools if whose else ()),
            api=_first(check("api", options.api, "api"), whose and whose.api, said("api")),
            messages=({"role": "user", "content": content},),
            attachments=attachments,
            parameters={name: value for name, value in parameters.items() if value is not None},
            max_history=_first(most, said("max_history")) if options.history else None,
        )
        thread = _first(options.conversation, self.thread)
        branch = None
        if options.branch_from is not None:
            if options.new or not options.history:
                raise OptionError(
                    "A branch has a history: the turns up to where it begins.",
                    "Leave --branch-from out, or --new and --no-history.",
                )
            branch = branches.parse(options.branch_from, self.thread)
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
            max_rounds=self.settings.get(
                "max_rounds", check("max_rounds", options.max_rounds, "max_rounds")
            ),
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
            if near := _keyword_like(name):
                raise OptionError(f"There is no argument {name!r}.", f"Did you mean {near!r}?")
        if any(isinstance(piece, str) and self.live.holds_key(piece) for piece in texts):
            raise OptionError("The prompt holds the API key.", "Nothing was sent or recorded.")

    def is_recorded(self, request: Request) -> bool:
        """Whether the dialogue file has an answer to *request*."""
        return bool(self._dialogue_file().slots(request.fingerprint))

    def determine_sentiment(self, text: str) -> Sentiment | None:
        """Return ``"positive"``, ``"negative"``, ``"neutral"``, or ``None`` where it cannot be told.

        The lexicon judges; where the setting ``sentiment`` is ``model``, the model (its
        answer is recorded and replayed as any other).
        """
        said = self.settings.said
        own = Asking(Request(model=said("model"), endpoint=said("base_url")))
        return self._sentiment(text, self.settings.get("sentiment"), own)

    adetermine_sentiment = twin(determine_sentiment)

    def _sentiment(self, text: str, judge: str, asking: Asking) -> Sentiment | None:
        if judge == "model":
            return self._judged_by_model(text, asking)
        from openai_magics.sentiment import determine

        return determine(text)

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

    @property
    def thread(self) -> str:
        """The conversation that an ask continues where it names none; ``main`` at first."""
        return self._thread

    @thread.setter
    def thread(self, name: str | None) -> None:
        if name is not None and (not isinstance(name, str) or not name.strip()):
            raise OptionError(f"{name!r} is no name of a conversation.", "Give it as text.")
        self._thread = MAIN if name is None else name

    def rename_conversation(self, old: str, new: str) -> None:
        """Give a conversation another name, in this run and in the dialogue file.

        The file as it was is kept beside it. Fingerprints and ids do not change: what was
        recorded is replayed as before.

        Raises
        ------
        OptionError
            There is no such conversation, or one of the new name.
        DialogueError
            The dialogue file cannot be read or written, or is damaged.
        """
        from openai_magics import renaming

        writing = self.settings.get("mode") != "replay"
        renaming.rename(
            self._dialogue_file(), self.turns.conversations, (old, new), writing=writing
        )
        self.turns.rename(old, new)
        if self._thread == old:
            self._thread = new

    @property
    def conversations(self) -> dict[str, Conversation]:
        """The conversations of this run by name."""
        return self.turns.conversations

    def _judge(self, asking: Asking, reply: Reply) -> Reply:
        """Add to a new reply what its record keeps of it: cost and sentiment."""
        resolved = reply.resolved
        cost = prices.cost(reply.model or resolved.model, resolved.endpoint, reply.usage)
        judge, judged = self.settings.get("sentiment", asking.judge), None
        if asking.request.kind == "ask" and _spoken(asking, reply) and judge != "off":
            judged = self._sentiment(reply.text, judge, asking)
        return replace(reply, cost=cost, sentiment=judged)

    def _judged_by_model(self, text: str, asking: Asking) -> Sentiment | None:
        """Ask the model that *asking* asks."""
        prompt = (
            "Is the sentiment of the text below positive, negative or neutral? "
            f"Answer with that one word.\n\n{text[:4000]}"
        )
        request = Request(
            kind="sentiment",
            model=asking.request.model,
            endpoint=asking.request.endpoint,
            messages=({"role": "user", "content": prompt},),
        )
        try:
            word = self.turns.run(Asking(request, mode=asking.mode)).text
        except MagicsError as error:
            # The answer itself has come and is recorded, whatever became of its judgement.
            log.warning("The model did not judge the sentiment: %s", logs.told(error))
            return None
        found = word.strip(" \n.*\"'").lower()
        return found if found in ("positive", "negative", "neutral") else None  # type: ignore[return-value]

    def _dialogue_file(self) -> DialogueFile:
        with self._mutex:
            if self._file is None:
                self._file = place.opened(self.settings)
            return self._file


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


def _spoken(asking: Asking, reply: Reply) -> bool:
    """Whether a reply is an answer in words: neither data nor calls of tools."""
    return asking.shape is None and not reply.tool_calls


def _first(*values: Any) -> Any:
    """Return the first value that is set."""
    return next((value for value in values if value is not None), None)


Session.aask.__signature__ = inspect.signature(Session.ask)  # type: ignore[attr-defined]

current: Session | None = None
"""The notebook's session, once there is one."""


def get_session() -> Session:
    """Return the notebook's session, which magics and panels share; made at first use."""
    global current  # noqa: PLW0603 - one notebook, one session
    if current is None:
        current = Session()
        current.of_notebook = True
    return current
