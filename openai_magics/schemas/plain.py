"""The schema of a class, the same from every version of pydantic as far as one can.

It is part of the request's fingerprint, so what versions write in different ways is written
in one: no titles and no defaults that only repeat the class, a constant as ``const``, an
``allOf`` of one reference as that reference, no description that a dataclass makes of its
own signature.
"""

from __future__ import annotations

import functools
import operator
import re
import sys
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

__all__ = ["modern", "schema_of"]

NAMES = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
"""Keywords whose keys are names of the person's, not of JSON schema."""
VALUES = ("const", "enum", "default", "examples", "example")
"""Keywords that hold values, not schemas."""
SIGNATURE = re.compile(r"\w+\(.*\)(?: -> .*)?", re.DOTALL)


def schema_of(adapter: Any) -> dict[str, Any]:
    """Return the JSON schema of a pydantic ``TypeAdapter`` in one form."""
    return dict(_plain(adapter.json_schema()))


def _plain(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    made: dict[str, Any] = {}
    for word, value in schema.items():
        if word in NAMES and isinstance(value, Mapping):
            made[word] = {name: _plain(each) for name, each in value.items()}
        elif word in VALUES:
            made[word] = value
        elif word != "title":
            made[word] = _plain(value)
    return _one_form(made)


def _one_form(made: dict[str, Any]) -> dict[str, Any]:
    """Return a schema as one version of pydantic writes it."""
    parts = made.get("allOf")
    if isinstance(parts, list) and len(parts) == 1:
        del made["allOf"]
        made = {**parts[0], **made}
    if isinstance(made.get("enum"), list) and len(made["enum"]) == 1:
        made.setdefault("const", made["enum"][0])
    if "const" in made:
        made.pop("enum", None)
    if "default" in made and made["default"] is None:
        del made["default"]
    description = made.get("description")
    if isinstance(description, str) and SIGNATURE.fullmatch(description):
        del made["description"]
    return made


def modern(kind: Any) -> Any:
    """Return a type with every ``typing.TypedDict`` as pydantic can read it.

    Before Python 3.12 pydantic takes only that of ``typing_extensions``, which tells which
    keys are required also where it was inherited.
    """
    if sys.version_info >= (3, 12):
        return kind
    import typing

    if typing.is_typeddict(kind) and type(kind).__module__ == "typing":
        return _rebuilt(kind)
    arguments = get_args(kind)
    if not arguments or get_origin(kind) is typing.Literal:
        return kind
    if hasattr(kind, "__metadata__"):
        inner = (modern(arguments[0]), *kind.__metadata__)
        return Annotated[inner]
    changed = tuple(modern(each) for each in arguments)
    if all(one is other for one, other in zip(changed, arguments, strict=True)):
        return kind
    if hasattr(kind, "copy_with"):
        return kind.copy_with(changed)
    origin = get_origin(kind)
    if origin.__module__ == "types" and origin.__qualname__ == "UnionType":
        return functools.reduce(operator.or_, changed)
    return origin[changed]


def _rebuilt(kind: Any) -> Any:
    import typing_extensions

    fields = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        inner, said = modern(hint), get_origin(hint)
        required = name in kind.__required_keys__
        if said in (typing_extensions.Required, typing_extensions.NotRequired):
            # Which a class under `from __future__ import annotations` has not heard of.
            inner, required = get_args(inner)[0], said is typing_extensions.Required
        wrap = typing_extensions.Required if required else typing_extensions.NotRequired
        fields[name] = wrap[inner]
    made = typing_extensions.TypedDict(kind.__name__, fields)  # type: ignore[misc]
    made.__doc__ = kind.__doc__
    made.__module__ = kind.__module__
    return made
