"""Filling the placeholders of a prompt: ``{{ name }}``, ``{{ df.head() }}``, ``{{ Err }}``.

Only ``{{ … }}`` is read; single braces, ``{% %}``, dollar signs, LaTeX, code and JSON pass as
they are, to the byte. Expressions are Jinja2's, in its sandbox, over the notebook's variables.
What a value becomes as text is in `openai_magics.values`; a picture or a figure stays one, in its
place.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from openai_magics.errors import OptionError

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

__all__ = ["Placeholder", "fill", "filled", "placeholders"]

QUOTES = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{}]""", re.DOTALL)
AS_IT_IS = "To send braces as they are: --raw"
MEND = "Mend the placeholder, or compute the value in a cell before."
BUILTINS = {
    item.__name__: item
    for item in (
        abs,
        dict,
        float,
        int,
        len,
        list,
        max,
        min,
        range,
        repr,
        round,
        set,
        sorted,
        str,
        sum,
    )
}
"""The functions an expression may call, besides the notebook's own and Jinja2's filters."""


@dataclass(frozen=True)
class Placeholder:
    """A ``{{ expression }}`` of a template: its text, its place (``start:end``) and line from 1."""

    expression: str
    start: int
    end: int
    line: int


@lru_cache(maxsize=1)
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    environment.globals.clear()
    environment.globals.update(BUILTINS)
    return environment


def placeholders(template: str) -> list[Placeholder]:
    """Return the placeholders of *template* in order.

    Raises
    ------
    OptionError
        A ``{{`` is not closed; its line is named.
    """
    found: list[Placeholder] = []
    at = template.find("{{")
    while at >= 0:
        end = _closing(template, at + 2)
        line = template.count("\n", 0, at) + 1
        if end < 0:
            raise OptionError(f"Line {line} of the prompt: {{{{ is not closed by }}}}.", AS_IT_IS)
        found.append(Placeholder(template[at + 2 : end].strip(), at, end + 2, line))
        at = template.find("{{", end + 2)
    return found


def _closing(template: str, at: int) -> int:
    """Return where the ``}}`` stands that closes an expression; braces and quotes inside count."""
    depth = 0
    while (match := QUOTES.search(template, at)) is not None:
        at = match.end()
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            if depth == 0:
                if template[match.start() : match.start() + 2] == "}}":
                    return match.start()
            else:
                depth -= 1
    return -1


def fill(template: str, names: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the pieces of *template* in order: ``("", text)`` and ``(expression, value)``.

    Parameters
    ----------
    template : str
    names : mapping
        The notebook's variables.

    Raises
    ------
    OptionError
        Names are missing (all are named, with the near ones), an expression is not one, or it
        raises.
    """
    found = placeholders(template)
    if not found:
        return [("", template)]
    _check_names(found, names)
    pieces: list[tuple[str, Any]] = []
    at = 0
    for item in found:
        if item.start > at:
            pieces.append(("", template[at : item.start]))
        pieces.append((item.expression, _value(item, names)))
        at = item.end
    if at < len(template):
        pieces.append(("", template[at:]))
    return pieces


def filled(template: str, names: Mapping[str, Any]) -> str | list[Any]:
    """Return *template* with its placeholders filled: text, or texts and images in order.

    Parameters
    ----------
    template : str
    names : mapping
        The notebook's variables.

    Raises
    ------
    OptionError
        As `fill`; or what a placeholder names as an image cannot be one, or has no text but its
        address.
    """
    from openai_magics import values

    pieces: list[Any] = []
    for expression, value in fill(template, names):
        if not expression or not values.is_image(value):
            pieces.append(_text(value, expression))
            continue
        from openai_magics.images.attached import attached

        try:
            pieces += attached(value, name=expression)
        except OptionError as error:
            what = f"In the prompt {{{{ {expression} }}}}: {error.problem}"
            raise OptionError(what, error.remedy) from error
    texts = [piece for piece in pieces if isinstance(piece, str)]
    return "".join(texts) if len(texts) == len(pieces) else pieces


def _text(value: Any, expression: str) -> str:
    from openai_magics import values

    try:
        return values.text_of(value, expression)
    except OptionError:
        raise
    except Exception as error:  # of the value's own class
        raise OptionError(
            f"In the prompt {{{{ {expression} }}}} failed with {type(error).__name__}: {error}",
            MEND,
        ) from error


def _check_names(found: list[Placeholder], names: Mapping[str, Any]) -> None:
    missing = {name: item for item in found for name in _undeclared(item) if name not in names}
    if not missing:
        return
    known = [name for name in names if not name.startswith("_")]
    near = {name: difflib.get_close_matches(name, known, n=2) for name in missing}
    said = [f"{name}{_or(near[name])}" for name in sorted(missing)]
    what = "this name is" if len(said) == 1 else "these names are"
    raise OptionError(f"In the prompt {what} not defined: {', '.join(said)}.", AS_IT_IS)


def _or(near: list[str]) -> str:
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def _undeclared(item: Placeholder) -> Iterator[str]:
    from jinja2 import TemplateSyntaxError, meta

    try:
        tree = _environment().parse("{{ " + item.expression + " }}")
    except TemplateSyntaxError as error:
        raise OptionError(
            f"Line {item.line + error.lineno - 1} of the prompt: {{{{ {item.expression} }}}} is not "
            f"an expression "
            f"({error.message}).",
            AS_IT_IS,
        ) from None
    yield from (
        name for name in sorted(meta.find_undeclared_variables(tree)) if name not in BUILTINS
    )


def _value(item: Placeholder, names: Mapping[str, Any]) -> Any:
    compiled = _environment().compile_expression(item.expression, undefined_to_none=False)
    try:
        value = compiled(**{name: names[name] for name in _undeclared(item)})
        if type(value).__name__ == "StrictUndefined":
            str(value)  # raises, saying what is undefined
    except Exception as error:
        raise OptionError(
            f"Line {item.line} of the prompt: {{{{ {item.expression} }}}} failed with "
            f"{type(error).__name__}: {error}",
            MEND,
        ) from error
    return value
