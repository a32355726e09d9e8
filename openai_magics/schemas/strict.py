"""A JSON schema as OpenAI's strict mode takes it, or the reasons why it cannot be.

In strict mode the server holds the model to the schema, and takes a subset of JSON schema
("Supported schemas" of OpenAI's guide to structured outputs): the root is an object, every
object is closed and all its properties are required, alternatives are ``anyOf``. So

* an answer that is no object is wrapped in one (`wraps`);
* a property that may be missing becomes one that may be ``null``, and `without_nulls` takes
  such a ``null`` out of the answer again;
* a limit that the server does not know is told to the model in the description, and
  held to by the validation afterwards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from openai_magics.schemas.trees import Schema, admits_null, deepest, kinds, merged, wrapped, wraps

__all__ = ["strict"]

KEPT = (
    *("type", "enum", "const", "$ref", "pattern"),
    *("multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("minItems", "maxItems"),
)
"""What strict mode takes as it is; `format` is kept where it is one of `FORMATS`."""
FORMATS = {
    *("date-time", "time", "date", "duration", "email"),
    *("hostname", "ipv4", "ipv6", "uuid"),
}
TOLD = (
    *("minLength", "maxLength", "uniqueItems", "minProperties", "maxProperties", "format"),
    *("contentEncoding", "contentMediaType"),
)
"""Limits that are told in words and checked afterwards."""
BEYOND = {
    "allOf": "combines several schemas (allOf)",
    "not": "excludes a schema (not)",
    "if": "has conditions (if)",
    "patternProperties": "has names by pattern (patternProperties)",
    "propertyNames": "limits names (propertyNames)",
    "dependentRequired": "has properties that depend on others",
    "dependentSchemas": "has properties that depend on others",
    "prefixItems": "is a tuple (each place with a type of its own)",
    "contains": "must contain something (contains)",
    "unevaluatedProperties": "is open (unevaluatedProperties)",
    "unevaluatedItems": "is open (unevaluatedItems)",
    "$dynamicRef": "refers elsewhere ($dynamicRef)",
}
"""What strict mode has no form for."""
LEVELS, PROPERTIES = 10, 5000
"""The limits of strict mode: levels of nesting, and properties in all."""
REF = re.compile(r"#/(?:\$defs|definitions)/([^/]+)")


def strict(schema: Schema) -> tuple[dict[str, Any] | None, list[str]]:
    """Return *schema* (wrapped where need be) for strict mode, and no reasons.

    Where it cannot be: ``None``, and the reasons, each a sentence without its full stop.
    """
    whole = wrapped(schema)
    made = _Strict(whole)
    root = made.of(whole, "the answer")
    defined: dict[str, Any] = {}
    for name in made.wanted:  # which grows while it is gone through
        known = whole.get("$defs", {}) | whole.get("definitions", {})
        defined[name] = made.of(known[name], name)
    if "#" in made.references and wraps(schema) is not None:
        made.why.setdefault("the answer refers to itself as a whole")
    if made.count > PROPERTIES:
        made.why.setdefault(f"it has more than {PROPERTIES} properties")
    if deepest(whole, whole) > LEVELS:
        made.why.setdefault(f"it is nested more than {LEVELS} levels deep")
    if made.why:
        return None, list(made.why)
    return ({**root, "$defs": defined} if defined else root), []


@dataclass
class _Strict:
    """Makes schemas strict, and collects why some cannot be."""

    root: Schema
    why: dict[str, None] = field(default_factory=dict)
    wanted: list[str] = field(default_factory=list)
    references: set[str] = field(default_factory=set)
    count: int = 0

    def of(self, schema: Any, where: str) -> dict[str, Any]:
        """Return a schema for strict mode; *where* names its place."""
        if not isinstance(schema, Mapping):
            self.why.setdefault(f"{where} may be anything")
            return {}
        schema = merged(schema)
        self.why |= {f"{where} {what}": None for word, what in BEYOND.items() if word in schema}
        made: dict[str, Any] = {key: schema[key] for key in KEPT if key in schema}
        if schema.get("format") in FORMATS:
            made["format"] = schema["format"]
        if "$ref" in made:
            made["$ref"] = self._reference(str(made["$ref"]), where)
        if parts := schema.get("anyOf") or schema.get("oneOf"):
            made["anyOf"] = [self.of(part, where) for part in parts]
        if "object" in kinds(schema) or "properties" in schema:
            made.setdefault("type", "object")
            self._object(schema, made, where)
        if "array" in kinds(schema):
            made["items"] = self.of(schema.get("items") or None, f"an item of {where}")
        if not made.keys() & {"type", "$ref", "anyOf", "enum", "const"}:
            self.why.setdefault(f"{where} may be anything")
        if description := _description(schema):
            if "$ref" in made:  # beside which strict mode takes nothing
                made = {"anyOf": [made]}
            made["description"] = description
        return made

    def _object(self, schema: Schema, made: dict[str, Any], where: str) -> None:
        properties = schema.get("properties") or {}
        others = schema.get("additionalProperties")
        if others not in (None, False) or (others is None and "properties" not in schema):
            self.why.setdefault(f"{where} takes any names (a dict)")
        required = set(schema.get("required") or ())
        self.count += len(properties)
        made["properties"] = {}
        for name, each in properties.items():
            inner = self.of(each, f"`{name}`")
            optional = name not in required and not admits_null(each, self.root)
            made["properties"][name] = _nullable(inner) if optional else inner
        made["required"] = list(properties)
        made["additionalProperties"] = False

    def _reference(self, reference: str, where: str) -> str:
        self.references.add(reference)
        if reference == "#":
            return reference
        match = REF.fullmatch(reference)
        known = {**self.root.get("$defs", {}), **self.root.get("definitions", {})}
        if match is None or match[1] not in known:
            self.why.setdefault(f"{where} refers elsewhere ({reference})")
            return reference
        if match[1] not in self.wanted:
            self.wanted.append(match[1])
        return f"#/$defs/{match[1]}"


def _description(schema: Schema) -> str:
    """Return the description, with the limits that strict mode has no word for."""
    told = [
        f"{word}: {json.dumps(schema[word], ensure_ascii=False)}"
        for word in TOLD
        if word in schema and not (word == "format" and schema[word] in FORMATS)
    ]
    said = str(schema.get("description") or "")
    return " ".join(part for part in (said, f"({', '.join(told)})" if told else "") if part)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    description = {key: schema[key] for key in ("description",) if key in schema}
    inner = {key: value for key, value in schema.items() if key != "description"}
    if isinstance(inner.get("type"), str) and not inner.keys() & {"enum", "const", "properties"}:
        return {**inner, "type": [inner["type"], "null"], **description}
    if set(inner) == {"anyOf"}:
        return {"anyOf": [*inner["anyOf"], {"type": "null"}], **description}
    return {"anyOf": [inner, {"type": "null"}], **description}
