"""The shape of an answer: a class, or a JSON schema, and whether a text has it."""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openai_magics.answers import parse_json
from openai_magics.errors import BadReply, OptionError, SchemaMismatch
from openai_magics.schemas import plain, strict, trees

if TYPE_CHECKING:
    import pydantic

__all__ = ["Shape", "recorded", "shape_of", "shaped"]

UNFIT = re.compile(r"[^a-zA-Z0-9_-]+")
ANSWER = "answer"
LONGEST = 64
"""Characters of a schema's name, as the API limits it."""
MOST = 20
"""Problems that are told of one answer."""
KINDS = (
    "Give a pydantic model, a dataclass, a TypedDict, a type such as list[City], a JSON schema "
    "as a dict, or the path of a JSON file that holds one."
)


@dataclass(frozen=True)
class Shape:
    """What an answer is to be.

    Attributes
    ----------
    name : str
        What the schema is called, as the API takes it.
    schema : mapping
        The JSON schema of the answer, as the class or the person says it (not yet for strict
        mode). Not to be changed.
    kind : type or None
        What a valid answer becomes an instance of; ``None``: plain values.
    strict : bool or None
        Whether the person says strict or not; ``None``: where the schema can be.
    """

    name: str
    schema: Mapping[str, Any]
    kind: Any = None
    strict: bool | None = None

    @property
    def said(self) -> dict[str, Any]:
        """What the request says of it, and its fingerprint is made of."""
        made: dict[str, Any] = {"name": self.name, "schema": dict(self.schema)}
        return made if self.strict is None else {**made, "strict": self.strict}

    def plain(self, text: str) -> Any:
        """Return the JSON that *text* is, without what strict mode added; it need not fit.

        Raises
        ------
        SchemaMismatch
            It is not JSON.
        """
        try:
            value = trees.unwrapped(parse_json(text), self.schema)
        except BadReply as error:
            raise SchemaMismatch.of(self.name, [error.problem.rstrip(".")]) from None
        return trees.without_nulls(value, self.schema, self.schema)

    def parse(self, text: str) -> Any:
        """Return the instance that *text* is.

        Raises
        ------
        SchemaMismatch
            It is not JSON, or does not fit; ``problems`` holds each place and what is wrong.
        """
        value = self.plain(text)
        if self.kind is None:
            if problems := self._misfits(value):
                raise SchemaMismatch.of(self.name, problems)
            return value
        return self._instance(value)

    def _instance(self, value: Any) -> Any:
        import pydantic

        try:
            return self._adapter.validate_json(json.dumps(value))
        except pydantic.ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            problems = [_placed(each["loc"], str(each["msg"])) for each in found[:MOST]]
            raise SchemaMismatch.of(self.name, problems) from None
        except Exception as error:  # of a validator of the person's
            problem = f"{type(error).__name__}: {error}"
            raise SchemaMismatch.of(self.name, [problem]) from error

    @cached_property
    def _adapter(self) -> pydantic.TypeAdapter[Any]:
        return adapter_of(self.kind)

    def _misfits(self, value: Any) -> list[str]:
        from jsonschema import validators
        from referencing import Registry

        checker = validators.validator_for(self.schema, validators.Draft202012Validator)
        # A registry of its own, or jsonschema would fetch what a $ref names.
        found = list(checker(self.schema, registry=Registry()).iter_errors(value))
        found.sort(key=lambda each: [str(part) for part in each.absolute_path])
        return [_placed(tuple(each.absolute_path), each.message[:300]) for each in found[:MOST]]

    def loose(self) -> list[str]:
        """Return why the schema cannot be strict; empty where it can."""
        return strict.strict(self.schema)[1]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_adapter"}


def _placed(place: tuple[int | str, ...], problem: str) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return f"{where.removeprefix('.')}: {problem}" if where else problem


def adapter_of(kind: Any) -> pydantic.TypeAdapter[Any]:
    """Return pydantic's adapter of a type.

    Raises
    ------
    OptionError
        Pydantic makes nothing of it.
    """
    import pydantic

    try:
        return pydantic.TypeAdapter(plain.modern(kind))
    except Exception as error:
        said = str(error).split("\n\nFor further information")[0].splitlines()[0]
        raise OptionError(f"No schema can be made of {_named(kind)}: {said}", KINDS) from error


def shape_of(given: Any) -> Shape | None:
    """Return the shape that a person gives; ``None`` for ``None``.

    Parameters
    ----------
    given : type, mapping, str or path
        A pydantic model, dataclass, TypedDict or any other type that pydantic knows; a JSON
        schema, bare or as the API takes it (``{"name", "schema", "strict"}``); the path of a
        JSON file with one; a `Shape`.

    Raises
    ------
    OptionError
        It is none of these, or the schema is none.
    """
    if given is None or isinstance(given, Shape):
        return given
    if isinstance(given, (str, os.PathLike)):
        return _of_file(Path(given).expanduser())
    if isinstance(given, Mapping):
        return _of_schema(given, ANSWER)
    if isinstance(given, (list, tuple, set, int, float, bytes)):
        raise OptionError(f"A {type(given).__name__} is not a schema.", KINDS)
    if inspect.isroutine(given):
        raise OptionError(f"The function {_named(given)} is not a schema.", KINDS)
    if dataclass_like(given):
        raise OptionError(
            f"The schema is an instance of {type(given).__name__}.", "Give the class itself."
        )
    adapter = adapter_of(given)
    try:
        made = plain.schema_of(adapter)
    except Exception as error:
        said = str(error).splitlines()[0]
        raise OptionError(f"No schema can be made of {_named(given)}: {said}", KINDS) from error
    if not made:
        raise OptionError(f"{_named(given)} says nothing of the answer.", KINDS)
    return Shape(_fit(_named(given)), made, given)


def shaped(given: Any, parameters: Mapping[str, Any]) -> Shape | None:
    """Return the shape for an ask with these parameters of the API.

    Raises
    ------
    OptionError
        As `shape_of`, or the parameters say another one.
    """
    for name in ("response_format", "text"):
        if given is not None and parameters.get(name) is not None:
            raise OptionError(
                f"The answer's form is given twice: as schema and as {name}.", "Leave one out."
            )
    return shape_of(given)


def dataclass_like(given: Any) -> bool:
    """Whether *given* is an instance of a class that would itself be a schema."""
    kind = type(given)
    return hasattr(kind, "__dataclass_fields__") or hasattr(kind, "model_json_schema")


def recorded(said: Mapping[str, Any] | None) -> Shape | None:
    """Return the shape that a record says; its answers are plain values."""
    if not said or not isinstance(said.get("schema"), Mapping):
        return None
    return Shape(str(said.get("name")), said["schema"], strict=said.get("strict"))


def _of_file(path: Path) -> Shape:
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise OptionError(f"There is no schema file {path}.", KINDS) from None
    except OSError as error:
        raise OptionError(
            f"The schema file {path} cannot be read: {error.strerror or error}.", KINDS
        ) from None
    except (ValueError, RecursionError) as error:
        raise OptionError(f"The schema file {path} is not JSON ({error}).", KINDS) from None
    if not isinstance(value, dict):
        raise OptionError(f"The schema file {path} holds no JSON schema.", KINDS)
    return _of_schema(value, path.name.split(".")[0])


def _of_schema(given: Mapping[str, Any], name: str) -> Shape:
    from jsonschema import exceptions, validators

    said: Mapping[str, Any] = given
    if said.get("type") == "json_schema":  # as response_format, or text.format, takes it
        said = said.get("json_schema", said)
    held = None
    if isinstance(said.get("schema"), Mapping) and isinstance(said.get("name"), str):
        name, held, said = said["name"], said.get("strict"), said["schema"]
    else:
        name = str(said.get("title") or name)
    try:
        schema = json.loads(json.dumps(dict(said), ensure_ascii=False))
        kind = validators.validator_for(schema, validators.Draft202012Validator)
        kind.check_schema(schema)
    except exceptions.SchemaError as error:
        where = _placed(tuple(error.absolute_path), error.message[:300])
        raise OptionError(f"This is not a JSON schema: {where}.", KINDS) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(f"The schema cannot be said in JSON ({error}).", KINDS) from None
    for reference in trees.references(schema):
        if not reference.startswith("#") or (
            reference.startswith("#/") and not trees.resolved({"$ref": reference}, schema)
        ):
            raise OptionError(
                f"The JSON schema refers to {reference!r}, which it does not hold.",
                "Put it under $defs; nothing is fetched.",
            )
    if not schema:
        raise OptionError("The JSON schema is empty: any answer would fit.", KINDS)
    return Shape(_fit(name), schema, strict=held)


def _named(kind: Any) -> str:
    if inspect.isroutine(kind) or (isinstance(kind, type) and not hasattr(kind, "__origin__")):
        return kind.__name__
    return re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", str(kind))


def _fit(name: str) -> str:
    """Return a name as the API takes it."""
    return UNFIT.sub("_", name).strip("_")[:LONGEST] or ANSWER
