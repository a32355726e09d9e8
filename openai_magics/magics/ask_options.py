"""The options of ``%%ask``, and what was typed with them → one frozen value."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from openai_magics.config import APIS, FORMATS, MODES
from openai_magics.errors import OptionError
from openai_magics.magics.options import Function, declared, params, parse, split

if TYPE_CHECKING:
    from openai_magics.exchange import AskOptions

__all__ = ["ASK_ARGUMENTS", "EFFORTS", "AskLine", "ask_arguments", "ask_line", "asked"]

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

ASK_ARGUMENTS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("-m", "--model"), {"help": "the model to ask; `local` is the engine on this machine"}),
    (("-s", "--system"), {"help": "the system instruction, for this ask"}),
    (
        ("-c", "--conversation"),
        {"metavar": "NAME", "help": "the conversation to continue (default: main)"},
    ),
    (
        ("--branch-from",),
        {
            "metavar": "TURN",
            "help": "go on from an earlier turn (3, draft:3, or a record's id); with -c as a new "
            "conversation",
        },
    ),
    (("--new",), {"action": "store_true", "help": "begin the conversation anew with this turn"}),
    (
        ("--no-history",),
        {"action": "store_true", "help": "neither see the conversation nor join it"},
    ),
    (
        ("--max-history",),
        {"type": int, "metavar": "N", "help": "send at most N earlier turns (default: all)"},
    ),
    (("-t", "--temperature"), {"type": float, "help": "the sampling temperature"}),
    (
        ("--max-tokens",),
        {"type": int, "metavar": "N", "help": "stop the answer after N tokens"},
    ),
    (("--seed",), {"type": int, "help": "the seed, where the server takes one"}),
    (("--effort",), {"choices": EFFORTS, "help": "how long a reasoning model thinks"}),
    (
        ("-p", "--param"),
        {
            "action": "append",
            "metavar": "KEY=VALUE",
            "help": "any other parameter of the API; the value is JSON, or text",
        },
    ),
    (
        ("-f", "--format"),
        {
            "choices": FORMATS,
            "help": "how the answer is shown (default: markdown; json where there is a schema)",
        },
    ),
    (
        ("--schema",),
        {
            "metavar": "NAME",
            "help": "what the answer is to be: a pydantic model, dataclass, TypedDict, a type "
            "as list[City], a JSON schema (a dict, or a JSON file)",
        },
    ),
    (
        ("-i", "--image"),
        {
            "action": "append",
            "metavar": "SRC",
            "help": "an image after the prompt: path, pattern, folder, URL or variable; repeatable",
        },
    ),
    (
        ("--tools",),
        {
            "metavar": "NAMES",
            "help": "functions of the notebook that the model may call, with commas between them",
        },
    ),
    (
        ("--run-tools",),
        {"action": "store_true", "help": "run the tools also where their results are recorded"},
    ),
    (
        ("--max-rounds",),
        {"type": int, "metavar": "N", "help": "how often it may have them called (default: 8)"},
    ),
    (
        ("--tool-timeout",),
        {"type": float, "metavar": "S", "help": "seconds that a call may take (default: 60)"},
    ),
    (("-o", "--out"), {"metavar": "NAME", "help": "the variable that gets the reply"}),
    (
        ("--mode",),
        {"choices": MODES, "help": "replay what is recorded, ask live, or both (default: auto)"},
    ),
    (("--fresh",), {"action": "store_true", "help": "ask even where an answer is recorded"}),
    (
        ("--sentiment",),
        {"choices": ("lexicon", "model", "off"), "help": "who judges the answer's sentiment"},
    ),
    (
        ("--dry-run",),
        {
            "action": "store_true",
            "help": "show what would be sent, its tokens and price; send nothing",
        },
    ),
    (
        ("--raw",),
        {"action": "store_true", "help": "send {{ … }} as it stands, not the value it names"},
    ),
    (("--no-stream",), {"action": "store_true", "help": "show the answer when it is whole"}),
    (
        ("-q", "--quiet"),
        {"action": "store_true", "help": "show nothing; the reply is in `_answer`"},
    ),
    (
        ("--api",),
        {"choices": APIS, "help": "the protocol: chat completions, or the Responses API"},
    ),
    (("--base-url",), {"metavar": "URL", "help": "the endpoint, for this ask"}),
    (("--error",), {"action": "store_true", "help": "explain the last exception of this notebook"}),
)

ABSENT = dict.fromkeys(
    (
        *("conversation", "no_history", "max_history", "new", "sentiment", "image", "error"),
        *("tools", "run_tools", "max_rounds", "tool_timeout"),
    )
)
"""What only an ask in a conversation has."""


def ask_arguments(function: Function) -> Function:
    """Declare the options of ask on a magic."""
    return declared(ASK_ARGUMENTS)(function)


@dataclass(frozen=True)
class AskLine:
    """An ask as typed."""

    message: str
    options: AskOptions
    parameters: dict[str, Any] = field(default_factory=dict)
    format: str | None = None
    out: str | None = None
    images: tuple[str, ...] = ()
    raw: bool = False
    dry_run: bool = False
    stream: bool = True
    quiet: bool = False
    error: bool = False


def ask_line(parser: ArgumentParser, name: str, line: str, cell: str | None = None) -> AskLine:
    """Read ``%ask line`` or ``%%ask line`` with its cell.

    Raises
    ------
    OptionError
        An option, or a value, is not possible.
    """
    tokens, rest = split(parser, name, line)
    typed = parse(parser, name, tokens)
    return asked(name, typed, "\n".join(part for part in (rest, (cell or "").strip()) if part))


def asked(name: str, typed: Any, message: str) -> AskLine:
    """Return an ask of *message* with the options that were typed; a magic may lack some.

    Raises
    ------
    OptionError
        A value is not possible.
    """
    # Not at the top: its values would be a third of what loading the extension costs.
    from openai_magics.exchange import AskOptions

    typed = Namespace(**{**ABSENT, **vars(typed)})
    if typed.out is not None and (not typed.out.isidentifier() or iskeyword(typed.out)):
        raise OptionError(
            f"{name}: {typed.out!r} is not the name of a variable.", "Give --out a name."
        )
    parameters = {
        "temperature": typed.temperature,
        "max_completion_tokens": typed.max_tokens,
        "seed": typed.seed,
        "reasoning_effort": typed.effort,
        **params(name, typed.param or ()),
    }
    if typed.format == "json" and typed.schema is None:
        parameters.setdefault("response_format", {"type": "json_object"})
    return AskLine(
        message=message,
        options=AskOptions(
            system_instruction=typed.system,
            conversation=typed.conversation or None,
            branch_from=typed.branch_from,
            history=not typed.no_history,
            max_history=typed.max_history,
            new=bool(typed.new),
            fresh=typed.fresh,
            mode=typed.mode,
            model=typed.model,
            base_url=typed.base_url,
            sentiment=typed.sentiment,
            api=typed.api,
            schema=typed.schema,
            tools=typed.tools or (),
            run_tools=bool(typed.run_tools),
            max_rounds=typed.max_rounds,
            tool_timeout=typed.tool_timeout,
        ),
        parameters={key: value for key, value in parameters.items() if value is not None},
        format=typed.format or ("json" if typed.schema else None),
        out=typed.out,
        images=tuple(typed.image or ()),
        raw=typed.raw,
        dry_run=typed.dry_run,
        stream=not typed.no_stream,
        quiet=typed.quiet,
        error=bool(typed.error),
    )
