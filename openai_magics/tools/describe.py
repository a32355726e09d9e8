"""A tool: a function, and what the model is told of it.

The schema of the parameters is pydantic's, of the function's annotations and defaults; a
parameter without annotation may be anything. Descriptions come from the docstring (numpy,
Google or reST, read by docstring-parser) or from ``Annotated[int, "…"]``. The arguments of a
call are checked by the same schema, and become instances of the annotated types.
"""

from __future__ import annotations

import inspect
import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from openai_magics.errors import OptionError
from openai_magics.schemas import plain

__all__ = ["Tool", "WrongArguments", "tool_of"]

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
LONGEST = 1024
"""Characters of a description that are sent."""
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class WrongArguments(Exception):
    """The arguments of a call are not JSON, or not those of the function."""


@dataclass(frozen=True)
class Tool:
    """A function that a model may call.

    Attributes
    ----------
    name : str
    function : callable
        Called with what the model gives; may be a coroutine function.
    said : mapping
        What the model is told: a function tool in the shape of the chat completions API.
    """

    name: str
    function: Callable[..., Any]
    said: Mapping[str, Any]
    _model: Any

    @cached_property
    def waits(self) -> bool:
        """Whether calling it gives an awaitable."""
        function = self.function
        while hasattr(function, "func"):  # of functools.partial
            function = function.func
        call = getattr(type(function), "__call__", None)  # noqa: B004 - an object that is called
        return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)

    def arguments(self, text: str) -> tuple[list[Any], dict[str, Any]]:
        """Return what to call the function with.

        Raises
        ------
        WrongArguments
            The text is not JSON, or does not fit.
        """
        import pydantic

        try:
            given = json.loads(text) if text.strip() else {}
        except (ValueError, RecursionError) as error:
            raise WrongArguments(f"The arguments are not JSON ({error}).") from None
        if not isinstance(given, dict):
            raise WrongArguments("The arguments are not a JSON object.")
        if beyond := sorted(set(given) - set(self._model.model_fields)):
            raise WrongArguments(f"There is no parameter {', '.join(beyond)}.")
        try:
            checked = self._model.model_validate_json(json.dumps(given))
        except pydantic.ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            listed = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found[:10]]
            raise WrongArguments(f"The arguments do not fit: {'; '.join(listed)}.") from None
        positional, named = [], {}
        for name, parameter in inspect.signature(self.function).parameters.items():
            if name not in self._model.model_fields:
                continue
            if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
                positional.append(getattr(checked, name))
            elif name in checked.model_fields_set:
                named[name] = getattr(checked, name)
        return positional, named


def tool_of(function: Any) -> Tool:
    """Return the tool that a function is.

    Raises
    ------
    OptionError
        It cannot be one: no function, no name, a parameter that JSON cannot say.
    """
    inner = getattr(function, "func", function)  # of functools.partial
    name = str(getattr(inner, "__name__", type(function).__name__))
    if not callable(function) or isinstance(function, type):
        raise OptionError(
            f"A tool is a function, and this is {_article(function)}.",
            "Give functions of the notebook: --tools name,name or tools=[function].",
        )
    if not NAME.fullmatch(name):
        raise OptionError(
            f"A function with the name {name!r} cannot be a tool.",
            "Define it with def, and a name of letters, digits and underscores.",
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"What {name} takes cannot be told ({error}).", "Wrap it in a function of your own."
        ) from None
    summary, told = _documented(function)
    model = _model(name, function, signature, told)
    parameters = _parameters(name, model)
    parameters.pop("description", None)
    parameters.setdefault("properties", {})
    said: dict[str, Any] = {"name": name}
    if summary:
        said["description"] = summary[:LONGEST]
    said["parameters"] = parameters
    return Tool(name, function, {"type": "function", "function": said}, model)


def _parameters(name: str, model: type[Any]) -> dict[str, Any]:
    import pydantic

    try:
        return plain.schema_of(pydantic.TypeAdapter(model))
    except Exception as error:  # a default that JSON cannot say
        said = str(error).splitlines()[0]
        raise OptionError(
            f"No tool can be made of {name}: {said}", "Change its annotations or defaults."
        ) from error


def _article(value: object) -> str:
    kind = "a class" if isinstance(value, type) else f"a {type(value).__name__}"
    return f"{kind} ({value.__name__})" if isinstance(value, type) else kind


def _documented(function: Any) -> tuple[str, dict[str, str]]:
    """Return the summary of a function, and what is said of its parameters."""
    documented = getattr(function, "func", function)
    if not inspect.isroutine(documented):
        call = type(documented).__call__
        documented = call if call.__doc__ else type(documented)
    text = inspect.getdoc(documented)
    if not text:
        return "", {}
    from docstring_parser import ParseError, parse

    try:
        read = parse(text)
    except ParseError:
        return " ".join(text.split()), {}
    said = "\n".join(part for part in (read.short_description, read.long_description) if part)
    told = {each.arg_name: " ".join((each.description or "").split()) for each in read.params}
    return said, {name: words for name, words in told.items() if words}


def _model(
    name: str, function: Any, signature: inspect.Signature, told: Mapping[str, str]
) -> type[Any]:
    """Return a pydantic model with a field for each parameter that a model can give."""
    import pydantic

    hints = _hints(function)
    fields: dict[str, Any] = {}
    for parameter in signature.parameters.values():
        if parameter.kind in VARIADIC:
            continue
        optional = parameter.default is not inspect.Parameter.empty
        kind = plain.modern(hints.get(parameter.name, Any))
        if not _sayable(kind):
            if optional:  # it keeps its default: the model is not told of it
                continue
            raise OptionError(
                f"The tool {name}: no model can give its parameter {parameter.name!r} "
                f"({getattr(kind, '__name__', kind)}).",
                "Annotate it with what JSON can say, or give it a default.",
            )
        words = told.get(parameter.name) or _words(kind)
        default = parameter.default if optional else ...
        held = pydantic.Field(default, description=words)
        if parameter.name.startswith("_"):
            raise OptionError(
                f"The tool {name}: the parameter {parameter.name!r} begins with an underscore.",
                "Give it another name, or a default and no part in the call.",
            )
        fields[parameter.name] = (kind, held)
    config = pydantic.ConfigDict(arbitrary_types_allowed=False, protected_namespaces=())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a parameter may have the name of a method of models
            made: type[Any] = pydantic.create_model(name, __config__=config, **fields)
    except Exception as error:
        said = str(error).splitlines()[0]
        raise OptionError(
            f"No tool can be made of {name}: {said}", "Change its annotations."
        ) from error
    return made


def _hints(function: Any) -> dict[str, Any]:
    target = getattr(function, "func", function)
    if not inspect.isroutine(target):
        target = type(target).__call__
    try:
        return get_type_hints(target, include_extras=True)
    except Exception:  # noqa: BLE001 - an annotation that is not defined is none
        return {}


def _sayable(kind: Any) -> bool:
    """Whether JSON can say a value of this type, and pydantic knows how."""
    import pydantic

    if kind is Any:
        return True
    try:
        pydantic.TypeAdapter(kind).json_schema()
    except Exception:  # noqa: BLE001 - whatever it is that pydantic cannot do with it
        return False
    return True


def _words(kind: Any) -> str | None:
    """Return the text in ``Annotated[type, "text"]``."""
    extras: Sequence[Any] = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    return next((each for each in extras if isinstance(each, str)), None)
