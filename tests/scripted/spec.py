"""What OpenAI's API description says of a request or a reply: does it fit, and if not, why not.

Checked against ``openapi_subset.json.gz`` (made by ``extract.py``, which names its source).
A fault is worded as the service words it, with its ``param`` and ``code``. Where the
description is silent the service is followed: properties it does not know are refused
(``Spec(strict=False)`` lets them pass, as other servers do), and reasoning models take neither
``max_tokens`` nor a temperature.
"""

from __future__ import annotations

import functools
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators  # type: ignore[import-untyped]
from jsonschema.exceptions import best_match  # type: ignore[import-untyped]

SUBSET = Path(__file__).with_name("openapi_subset.json.gz")
JSON = "application/json"
EVENTS = "text/event-stream"
REASONING = re.compile(r"^(ft:)?(o\d|gpt-(5|6))(?!.*-chat)")
NOUNS = {
    "string": "a string",
    "integer": "an integer",
    "number": "a decimal",
    "boolean": "a boolean",
    "array": "an array of objects",
    "object": "an object",
    "null": "null",
}


@dataclass(frozen=True)
class Fault:
    """Why a request or a reply does not fit, in the service's words."""

    message: str
    param: str | None = None
    code: str | None = None


class Spec:
    """The API description, compiled once; *strict* refuses properties it does not know."""

    def __init__(self, *, strict: bool = True) -> None:
        subset = json.loads(gzip.decompress(SUBSET.read_bytes()))
        self.strict = strict
        self.operations: dict[str, Any] = subset["operations"]
        self._definitions: dict[str, Any] = subset["$defs"]
        if strict:
            _close(self._definitions, self.operations)
        self._validators: dict[tuple[str, str, str], Any] = {}

    def check_query(self, operation: str, query: dict[str, str]) -> Fault | None:
        """Return the first parameter of the address that *operation* does not know."""
        known = self.operations.get(operation, {}).get("query", ())
        for name in query if self.strict and operation in self.operations else ():
            if name.partition("[")[0] not in known:
                return Fault(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
        return None

    def check_request(self, operation: str, media: str, body: Any) -> Fault | None:
        """Return what is wrong with a request's body, or None."""
        accepted = self.operations.get(operation, {}).get("request")
        if not accepted:
            return None
        if media not in accepted:
            text = f"Unsupported content type: '{media}'. This API method only accepts "
            text += f"'{next(iter(accepted))}' requests."
            return Fault(text, None, "unsupported_content_type")
        if self.strict and isinstance(body, dict):
            for name in sorted(body.keys() - self._properties(accepted[media])):
                return Fault(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
        return self._check(operation, "request", media, body) or _refused_by_model(operation, body)

    def check_reply(self, operation: str, media: str, body: Any) -> Fault | None:
        """Return what is wrong with a reply's body (or with one event of a stream), or None."""
        if media not in self.operations.get(operation, {}).get("reply", ()):
            return None
        return self._check(operation, "reply", media, body)

    def _check(self, operation: str, side: str, media: str, body: Any) -> Fault | None:
        key = operation, side, media
        if key not in self._validators:
            schema = {"$defs": self._definitions, **self.operations[operation][side][media]}
            self._validators[key] = _Validator(schema)
        error = next(self._validators[key].iter_errors(body), None)
        return None if error is None else _worded(error)

    def _properties(self, schema: dict[str, Any]) -> frozenset[str]:
        if "$ref" in schema:
            return self._properties(self._definitions[_name(schema)])
        names = frozenset(schema.get("properties", ()))
        return names.union(*(self._properties(part) for part in schema.get("allOf", ())))


@functools.cache
def spec(*, strict: bool = True) -> Spec:
    """Return the one ``Spec`` of this process."""
    return Spec(strict=strict)


def _refused_by_model(operation: str, body: Any) -> Fault | None:
    if operation != "POST /chat/completions" or not REASONING.match(body["model"]):
        return None
    if body.get("max_tokens") is not None:
        return Fault(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    temperature = body.get("temperature")
    if temperature not in (None, 1) and body.get("reasoning_effort") != "none":
        return Fault(
            f"Unsupported value: 'temperature' does not support {temperature} with this model. "
            "Only the default (1) value is supported.",
            "temperature",
            "unsupported_value",
        )
    return None


def _close(definitions: dict[str, Any], operations: dict[str, Any]) -> None:
    """Let no object have properties that its schema does not name.

    Parts of an ``allOf`` stay open, since their neighbours name the rest; so do the bodies of
    requests, whose properties ``check_request`` compares with a better message.
    """
    bodies = [body for each in operations.values() for body in each["request"].values()]
    parts = [part for schema in definitions.values() for part in _every(schema, "allOf")]
    left_open = {_name(schema) for schema in bodies + parts if "$ref" in schema}
    for name, schema in definitions.items():
        _close_within(schema, top_open=name in left_open)


def _name(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).removeprefix("#/$defs/")


def _every(schema: Any, keyword: str) -> Iterator[Any]:
    if isinstance(schema, list):
        for each in schema:
            yield from _every(each, keyword)
    elif isinstance(schema, dict):
        if isinstance(schema.get(keyword), list):
            yield from schema[keyword]
        for each in schema.values():
            yield from _every(each, keyword)


def _close_within(schema: Any, *, top_open: bool) -> None:
    if isinstance(schema, list):
        for each in schema:
            _close_within(each, top_open=False)
    elif isinstance(schema, dict):
        for key, each in schema.items():
            if key in ("properties", "x-branches"):
                for part in each.values():
                    _close_within(part, top_open=False)
            elif key == "allOf":
                for part in each:
                    _close_within(part, top_open=True)
            else:
                _close_within(each, top_open=False)
        combined = schema.keys() & {"allOf", "anyOf", "oneOf", "additionalProperties"}
        if isinstance(schema.get("properties"), dict) and not top_open and not combined:
            schema["additionalProperties"] = False


def _alternatives(keyword: str) -> Any:
    ordinary = Draft202012Validator.VALIDATORS[keyword]

    def check(validator: Any, parts: list[Any], instance: Any, schema: dict[str, Any]) -> Any:
        if {"type": "null"} in parts:
            if instance is None:
                return
            parts = [part for part in parts if part != {"type": "null"}]
        if len(parts) == 1:
            yield from validator.descend(instance, parts[0])
        elif "x-branches" in schema and isinstance(instance, dict):
            name, branches = schema["x-property"], schema["x-branches"]
            value = instance.get(name)
            if isinstance(value, str) and value in branches:
                yield from validator.descend(instance, branches[value])
            elif name in instance:
                yield from validator.descend(value, {"enum": list(branches)}, path=name)
            else:
                yield from validator.descend(instance, {"required": [name]})
        else:
            yield from ordinary(validator, parts, instance, schema)

    return check


_Validator = validators.extend(
    Draft202012Validator, {word: _alternatives(word) for word in ("oneOf", "anyOf")}
)


def _worded(error: ValidationError) -> Fault:
    """Return a validation error as the service would say it."""
    error = best_match([error]) or error  # of several alternatives the nearest says most
    where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.absolute_path)
    where = where.removeprefix(".")
    value, limit, keyword = error.instance, error.validator_value, error.validator
    if keyword == "required":
        name = next(name for name in limit if name not in value)
        path = f"{where}.{name}" if where else name
        return Fault(f"Missing required parameter: '{path}'.", path, "missing_required_parameter")
    if keyword == "additionalProperties":
        known = error.schema.get("properties", {})
        path = f"{where}.{min(value.keys() - known)}".removeprefix(".")
        return Fault(f"Unknown parameter: '{path}'.", path, "unknown_parameter")
    if kinds := _wanted_types(error):
        wanted = " or ".join(NOUNS[kind] for kind in kinds)
        text = f"expected {wanted}, but got {_noun(value)} instead."
        return Fault(f"Invalid type for '{where}': {text}", where, "invalid_type")
    if keyword in ("enum", "const"):
        values = ", ".join(f"'{each}'" for each in (limit if keyword == "enum" else [limit]))
        text = f"Invalid value: '{value}'. Supported values are: {values}."
        return Fault(text, where, "invalid_value")
    if keyword in ("minimum", "maximum", "exclusiveMinimum"):
        kind = "integer" if isinstance(value, int) else "decimal"
        side, sign = ("above max", "<=") if keyword == "maximum" else ("below min", ">=")
        text = f"{kind} {side}imum value. Expected a value {sign} {limit}, but got {value} instead."
        code = f"{kind} {side} value".replace(" ", "_")
        return Fault(f"Invalid '{where}': {text}", where, code)
    if keyword == "minItems" and not value:
        text = f"empty array. Expected an array with minimum length {limit}"
        text = f"Invalid '{where}': {text}, but got an empty array instead."
        return Fault(text, where, "empty_array")
    return Fault(f"Invalid '{where}': {error.message}", where, "invalid_value")


def _wanted_types(error: ValidationError) -> dict[str, None]:
    """Return the types that would do, if it is its type that is wrong with the value."""
    if error.validator == "type":
        return {error.validator_value: None}
    wrong = [each for each in error.context if each.validator == "type" and not each.path]
    # An alternative that does not mind the type minds something else, which says more.
    if {each.schema_path[0] for each in error.context} > {each.schema_path[0] for each in wrong}:
        return {}
    return {each.validator_value: None for each in wrong}


def _noun(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "a boolean"
    for kind, name in ((str, "string"), (int, "integer"), (float, "number"), (list, "array")):
        if isinstance(value, kind):
            return NOUNS[name]
    return NOUNS["object"]
