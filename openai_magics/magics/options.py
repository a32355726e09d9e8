"""What was typed after a magic → options and text. Options are tokenised, the prompt never is."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeVar

from IPython.core.error import UsageError
from IPython.core.magic_arguments import MagicArgumentParser, argument

from openai_magics.errors import OptionError, nearest

__all__ = [
    "declared",
    "params",
    "parse",
    "parser_of",
    "parsers",
    "split",
    "words",
]

TOKEN = re.compile(r"""\s*((?:[^\s"']|"[^"]*"|'[^']*'|["'])+)""")
QUOTED = re.compile(r""""([^"]*)"|'([^']*)'""")
JSON_VALUE = re.compile(r"(?:--param=)?[A-Za-z_][\w.]*=(?=[\[{])")
"""Before a parameter that is an array or an object: its quotes and blanks are its own."""
CHOICE = re.compile(r"(argument .+?: invalid choice: '(.*)') \(choose from (.*)\)", re.DOTALL)
"""What argparse says of a word that is none of those that are possible."""
DECODER = json.JSONDecoder()
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


Arguments = Sequence[tuple[tuple[str, ...], dict[str, Any]]]
"""Options (or names) of a command: the flags of each, and what argparse is told of it."""


def parsers(
    magic: str, commands: Mapping[str, tuple[str, Arguments]]
) -> Mapping[str, ArgumentParser]:
    """Return the parser of each command of a magic: its name → what it is for, its arguments."""
    parser = MagicArgumentParser(magic)
    made = parser.add_subparsers(dest="action", parser_class=MagicArgumentParser)
    for name, (purpose, arguments) in commands.items():
        command = made.add_parser(name, description=purpose)
        for flags, settings in arguments:
            command.add_argument(*flags, **settings)
    return dict(made.choices)


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
    while (found := _token(line, at)) is not None:
        token, end = found
        if token == "--":
            at = end
            break
        if not token.startswith("-") or token == "-":
            break
        at = end
        flag, equals, value = token.partition("=")
        option = parser._option_string_actions.get(flag)  # argparse has no public lookup
        if option is None:
            problem = _unknown(parser, name, flag)
            problem.remedy += ". A prompt that begins with a dash stands after --."
            raise problem
        if option.nargs == 0 and not equals:
            tokens.append(flag)
            continue
        if not equals and (found := _token(line, at)) is not None:
            value, at = found
        if value[:1] in ('"', "'") and not QUOTED.match(value):
            raise OptionError(f"{name}: the quote that {flag} {value} begins does not end.")
        value = _unquoted(value)
        if found is None or value == "--":  # which argparse would drop
            raise OptionError(f"{name}: {flag} needs a value.", f"See {name}?")
        # --long=value, for a value may begin with a dash, or be empty.
        tokens.append(f"{option.option_strings[-1]}={value}")
    return tokens, line[at:].strip()


def _unknown(parser: ArgumentParser, name: str, flag: str) -> OptionError:
    known = list(parser._option_string_actions)
    longer = [option for option in known if option.startswith(flag)]
    return OptionError(
        f"{name} has no option {flag!r}{nearest(flag, longer or known)}.",
        f"See {name}?",
    )


def _token(line: str, at: int) -> tuple[str, int] | None:
    """Return the word that begins at a place of a line, and where it ends."""
    if (match := TOKEN.match(line, at)) is None:
        return None
    if (value := JSON_VALUE.match(line, match.start(1))) is not None:
        with suppress(ValueError):
            _, end = DECODER.raw_decode(line, value.end())
            if not line[end : end + 1].strip():
                return line[match.start(1) : end], end
    return match[1], match.end()


def _unquoted(token: str) -> str:
    if (value := JSON_VALUE.match(token)) is not None:
        with suppress(ValueError):
            json.loads(token[value.end() :])
            return token
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
        if (choice := CHOICE.fullmatch(str(error))) is not None:
            possible = [word.strip(" '") for word in choice[3].split(",")]
            raise OptionError(
                f"{name}: {choice[1]}{nearest(choice[2], possible)}.",
                f"Possible: {', '.join(possible)}. See {name}?",
            ) from None
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
    found, at = [], 0
    while (word := _token(line, at)) is not None:
        token, at = word
        found.append(_unquoted(token))
    return found
