"""JSON schemas as trees: what a reference is, what admits ``null``, and answers wrapped in an object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = [
    "Schema",
    "admits_null",
    "deepest",
    "kinds",
    "merged",
    "references",
    "resolved",
    "unwrapped",
    "without_nulls",
    "wrapped",
    "wraps",
]

Schema = Mapping[str, Any]

ITEMS, VALUE = "items", "value"


def resolved(schema: Schema, root: Schema) -> Schema:
    """Return *schema*, or what it refers to in *root*; ``{}`` where that is not there."""
    seen: set[str] = set()
    while isinstance(reference := schema.get("$ref"), str):
        if reference in seen:
            return {}
        seen.add(reference)
        found: Any = root
        for part in reference.removeprefix("#").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if part and isinstance(found, Mapping) else found
        if not reference.startswith("#") or not isinstance(found, Mapping):
            return {}
        schema = found
    return schema


def references(schema: Any) -> Iterator[str]:
    """Yield what a schema refers to."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for each in schema.values():
            yield from references(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from references(each)


def wraps(schema: Schema) -> str | None:
    """Return the name under which an answer is wrapped, ``None`` where it is an object itself."""
    root = resolved(schema, schema)
    if root.get("type") == "object":
        return None
    return ITEMS if root.get("type") == "array" else VALUE


def wrapped(schema: Schema) -> dict[str, Any]:
    """Return a schema whose root is an object, as every server wants it."""
    name = wraps(schema)
    definitions = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    inner = {key: value for key, value in schema.items() if key not in definitions}
    if name is None:
        top = dict(resolved(schema, schema)) if "$ref" in inner else inner
        return {**top, **definitions}
    return {
        "type": "object",
        "properties": {name: inner},
        "required": [name],
        "additionalProperties": False,
        **definitions,
    }


def unwrapped(value: Any, schema: Schema) -> Any:
    """Return the answer itself; a model that was not held to the schema may not have wrapped it."""
    name = wraps(schema)
    return value[name] if isinstance(value, dict) and set(value) == {name} else value


def merged(schema: Schema) -> Schema:
    """Return a schema with an ``allOf`` of one part taken for what it says."""
    parts = schema.get("allOf")
    if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], Mapping):
        return {**parts[0], **{key: value for key, value in schema.items() if key != "allOf"}}
    return schema


def kinds(schema: Schema) -> list[str]:
    """Return the types that a schema names."""
    kind = schema.get("type")
    return list(kind) if isinstance(kind, list) else [str(kind)]


def admits_null(schema: Any, root: Schema) -> bool:
    """Whether ``null`` is an answer that *schema* allows."""
    if not isinstance(schema, Mapping):
        return True
    schema = resolved(merged(schema), root)
    if "const" in schema:
        return schema["const"] is None
    if "enum" in schema:
        return None in schema["enum"]
    parts = schema.get("anyOf") or schema.get("oneOf")
    if parts:
        return any(admits_null(part, root) for part in parts)
    return "type" not in schema or "null" in kinds(schema)


def without_nulls(value: Any, schema: Any, root: Schema) -> Any:
    """Return *value* without the nulls that stand only for a property that is missing."""
    if not isinstance(schema, Mapping):
        return value
    schema = resolved(merged(schema), root)
    parts = schema.get("anyOf") or schema.get("oneOf") or ()
    if parts:
        return without_nulls(value, _fitting(value, parts, root), root)
    if isinstance(value, list):
        return [without_nulls(each, schema.get("items"), root) for each in value]
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties") or {}
    required = schema.get("required") or ()
    return {
        name: without_nulls(each, properties.get(name), root)
        for name, each in value.items()
        if each is not None
        or name not in properties
        or name in required
        or admits_null(properties[name], root)
    }


def _fitting(value: Any, parts: Any, root: Schema) -> Schema | None:
    """Return the alternative that *value* seems to be: the one that knows its names."""
    for part in parts:
        each = resolved(part, root) if isinstance(part, Mapping) else {}
        if isinstance(value, list) and each.get("type") == "array":
            return each
        known = each.get("properties") or {}
        constant = all(
            name not in value or value[name] == inner.get("const", value[name])
            for name, inner in known.items()
            if isinstance(value, dict) and isinstance(inner, Mapping)
        )
        if isinstance(value, dict) and known and set(value) <= set(known) and constant:
            return each
    return None


def deepest(schema: Any, root: Schema, known: dict[str, int] | None = None) -> int:
    """Return how many objects and arrays stand inside one another; a reference in a circle is one."""
    if not isinstance(schema, Mapping):
        return 0
    known = {} if known is None else known
    reference = schema.get("$ref")
    if isinstance(reference, str):
        if reference not in known:
            known[reference] = 0  # what leads back here counts once
            known[reference] = deepest(resolved(schema, root), root, known)
        return known[reference]
    inner = [*(schema.get("properties") or {}).values(), schema.get("items")]
    levels = [1 + deepest(each, root, known) for each in inner if isinstance(each, Mapping)]
    parts = [*(schema.get("anyOf") or ()), *(schema.get("oneOf") or ())]
    return max([0, *levels, *(deepest(each, root, known) for each in parts)])
