"""What was typed after a magic → frozen values. Options are tokenised, the prompt never is."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, TypeVar

from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument

from openai_magics.config import APIS, FORMATS, MODES
from openai_magics.errors import OptionError, nearest

if TYPE_CHECKING:
    from openai_magics.exchange import AskOptions

__all__ = [
    "EFFORTS",
    "AskLine",
    "ask_arguments",
    "ask_line",
    "asked",
    "declared",
    "params",
    "parse",
    "parser_of",
    "split",
    "words",
]

TOKEN = re.compile(r"""\s*((?:[^\s"']|"[^"]*"|'[^']*'|["'])+)""")
QUOTED = re.compile(r""""([^"]*)"|'([^']*)'""")
Function = TypeVar("Function", bound=Callable[..., Any])
OURS = (
    "messages",
    "model",
    "stream",
    "stream_options",
    "base_url",
    "conversation",
    "branch_from",
    "history",
    "new",
)
"""What is no parameter of the API, or is set by other means."""
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


def parser_of(magic: Any) -> ArgumentParser:
    """Return the parser that ``@magic_arguments`` put on a magic."""
    parser: ArgumentParser = magic.parser
    return parser


def declared(
    arguments: Sequence[tuple[tuple[str, ...], dict[str, Any]]],
) -> Callable[[Function], Function]:
    """Return the decorator that declares options on a magic."""

    def declare(function: Function) -> Function:
        for flags, settings in reversed(arguments):
            function = argument(*flags, **settings)(function)
        return function

    return declare


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


def params(name: str, items: Sequence[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` words; a value is JSON, or text.

    Raises
    ------
    OptionError
        One is not, or its key is no parameter of the API.
    """
    values: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise OptionError(f"{name}: --param {item!r} is not KEY=VALUE.", "As in -p top_p=0.9")
        if key in OURS:
            raise OptionError(
                f"{name}: --param cannot set {key!r}.", f"The options are for that: see {name}?"
            )
        try:
            values[key] = json.loads(value)
        except ValueError:
            values[key] = value
    return values


def split(parser: ArgumentParser, name: str, line: str) -> tuple[list[str], str]:
    """Split *line* into the tokens of its leading options and the text after them, untouched.

    ``--`` ends the options. Quotes around a value are taken off.

    Raises
    ------
    OptionError
        There is no such option; the nearest is named.
    """
    tokens: list[str] = []
    at = 0
    while (match := TOKEN.match(line, at)) is not None:
        token = match[1]
        if token == "--":
            at = match.end()
            break
        if not token.startswith("-") or token == "-":
            break
        at = match.end()
        flag, equals, value = token.partition("=")
        option = parser._option_string_actions.get(flag)  # argparse has no public lookup
        if option is None:
            raise _unknown(parser, name, flag)
        if option.nargs == 0 and not equals:
            tokens.append(flag)
            continue
        if not equals and (match := TOKEN.match(line, at)) is not None:
            value, at = match[1], match.end()
        if value[:1] in ('"', "'") and not QUOTED.match(value):
            raise OptionError(f"{name}: the quote that {flag} {value} begins does not end.")
        value = _unquoted(value)
        if match is None or value == "--":  # which argparse would drop
            raise OptionError(f"{name}: {flag} needs a value.", f"See {name}?")
        # --long=value, for a value may begin with a dash, or be empty.
        tokens.append(f"{option.option_strings[-1]}={value}")
    return tokens, line[at:].strip()


def _unknown(parser: ArgumentParser, name: str, flag: str) -> OptionError:
    known = list(parser._option_string_actions)
    longer = [option for option in known if option.startswith(flag)]
    return OptionError(
        f"{name} has no option {flag!r}{nearest(flag, longer or known)}.",
        f"See {name}?. A prompt that begins with a dash stands after --.",
    )


def _unquoted(token: str) -> str:
    return QUOTED.sub(lambda match: match[1] if match[1] is not None else match[2], token)


def parse(parser: ArgumentParser, name: str, tokens: Sequence[str]) -> Any:
    """Parse tokens; what argparse says becomes an error that fails the cell.

    Raises
    ------
    OptionError
        A value is not possible, or something is too much.
    """
    try:
        typed, more = _parsed(parser, tuple(tokens))
    except UsageError as error:
        raise OptionError(f"{name}: {error}.", f"See {name}?") from None
    if more:
        dashed = next((item for item in more if item.startswith("-")), None)
        if dashed is not None:
            raise _unknown(parser, name, dashed)
        raise OptionError(f"{name}: {more[0]!r} is too much.", f"See {name}?")
    return typed


@lru_cache(maxsize=128)  # most cells of a notebook have the options of another one
def _parsed(parser: ArgumentParser, tokens: tuple[str, ...]) -> tuple[Namespace, list[str]]:
    return parser.parse_known_args(list(tokens))


def words(line: str) -> list[str]:
    """Return the words of a line, quotes around them taken off."""
    return [_unquoted(token) for token in TOKEN.findall(line)]
