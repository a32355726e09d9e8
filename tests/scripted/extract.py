"""Cut the part that the scripted server needs out of OpenAI's API description.

    python -m tests.scripted.extract openapi.json.gz

reads the whole description (OpenAPI 3.1, as gzipped JSON) and writes
``openapi_subset.json.gz`` beside this module. The subset kept here was made from OpenAI's own
description (title "OpenAI API", version 2.3.0, MIT), the file as it was on 2026-08-21.

What comes out is plain JSON Schema (2020-12) with everything a person reads left out:

* ``nullable: true`` becomes ``anyOf: [..., {"type": "null"}]``;
* a boolean ``exclusiveMinimum`` (OpenAPI 3.0) becomes a number;
* ``$recursiveRef: "#"`` becomes a ``$ref`` to the schema it stands in;
* alternatives that a property tells apart (``role``, ``type``) get ``x-branches``, a mapping
  from the value of that property to the alternative, so that a checker need try only one.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

from tests.scripted.spec import SUBSET

SOURCE = "OpenAI API, OpenAPI description 2.3.0 (MIT), file of 2026-08-21"
OPERATIONS = (
    "POST /chat/completions",
    "POST /responses",
    "GET /models",
    "GET /models/{model}",
    "DELETE /models/{model}",
    "GET /files",
    "POST /files",
    "GET /files/{file_id}",
    "DELETE /files/{file_id}",
    "GET /files/{file_id}/content",
    "GET /fine_tuning/jobs",
    "POST /fine_tuning/jobs",
    "GET /fine_tuning/jobs/{fine_tuning_job_id}",
    "POST /fine_tuning/jobs/{fine_tuning_job_id}/cancel",
    "POST /fine_tuning/jobs/{fine_tuning_job_id}/pause",
    "POST /fine_tuning/jobs/{fine_tuning_job_id}/resume",
    "GET /fine_tuning/jobs/{fine_tuning_job_id}/events",
    "GET /fine_tuning/jobs/{fine_tuning_job_id}/checkpoints",
    "GET /assistants",
)
FOR_READERS = frozenset(
    ("description", "title", "example", "examples", "deprecated", "externalDocs", "default")
)
NAMES_TO_SCHEMAS = ("properties", "$defs", "patternProperties", "x-branches")
PREFIX = "#/components/schemas/"


def extract(description: dict[str, Any]) -> dict[str, Any]:
    """Return the ``OPERATIONS`` and the schemas they reach, as JSON Schema."""
    operations = {}
    for name in OPERATIONS:
        method, path = name.split()
        operations[name] = _operation(description["paths"][path][method.lower()])
    every = description["components"]["schemas"]
    definitions: dict[str, Any] = {}
    wanted = _references(operations)
    while wanted:
        name = wanted.pop()
        definitions[name] = plain(every[name], name)
        wanted |= _references(definitions[name]) - definitions.keys()
    _amend(definitions)
    for schema in (*operations.values(), *definitions.values()):
        _branch(schema, definitions)
    return {"source": SOURCE, "operations": operations, "$defs": dict(sorted(definitions.items()))}


def _amend(definitions: dict[str, Any]) -> None:
    """Mend what the description leaves out, though the service does it."""
    # Jobs can be paused (POST .../pause), yet the list of their states has no such state.
    definitions["FineTuningJob"]["properties"]["status"]["enum"].append("paused")


def _operation(operation: dict[str, Any]) -> dict[str, Any]:
    def media(holder: dict[str, Any]) -> dict[str, Any]:
        return {
            kind: plain(body["schema"])
            for kind, body in holder.get("content", {}).items()
            if "schema" in body
        }

    return {
        "query": [p["name"] for p in operation.get("parameters", ()) if p.get("in") == "query"],
        "request": media(operation.get("requestBody", {})),
        "reply": media(operation["responses"]["200"]),
    }


def plain(schema: Any, within: str = "") -> Any:
    """Return an OpenAPI schema as plain JSON Schema; *within* is the name of its definition."""
    if isinstance(schema, list):
        return [plain(each, within) for each in schema]
    if not isinstance(schema, dict):
        return schema
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key in NAMES_TO_SCHEMAS:
            out[key] = {name: plain(each, within) for name, each in value.items()}
        elif key in ("enum", "const", "required"):
            out[key] = value
        elif key == "$ref":
            out[key] = f"#/$defs/{value.removeprefix(PREFIX)}"
        elif key == "$recursiveRef":
            out["$ref"] = f"#/$defs/{within}"
        elif key not in FOR_READERS and key[0] != "$" and not key.startswith("x-"):
            out[key] = plain(value, within)
    if out.get("exclusiveMinimum") is True:
        out["exclusiveMinimum"] = out.pop("minimum")
    if out.pop("nullable", False):
        return {"anyOf": [out, {"type": "null"}]}
    return out


def _references(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(_references, schema))
    if not isinstance(schema, dict):
        return set()
    found = set().union(*map(_references, schema.values()))
    if isinstance(schema.get("$ref"), str):
        found.add(schema["$ref"].removeprefix("#/$defs/"))
    return found


def _branch(schema: Any, definitions: dict[str, Any]) -> None:
    """Add ``x-branches`` (and ``x-property``) wherever a property tells alternatives apart."""
    if isinstance(schema, list):
        for each in schema:
            _branch(each, definitions)
    elif isinstance(schema, dict):
        for each in list(schema.values()):
            _branch(each, definitions)
        for keyword in ("oneOf", "anyOf"):
            if isinstance(schema.get(keyword), list):
                _tell_apart(schema, schema[keyword], definitions)
        schema.pop("discriminator", None)


def _tell_apart(
    schema: dict[str, Any], alternatives: list[Any], definitions: dict[str, Any]
) -> None:
    resolved = [_resolve(each, definitions) for each in alternatives]
    if len(resolved) < 2 or not all(isinstance(each.get("properties"), dict) for each in resolved):
        return
    for name in ("role", "type", "object"):
        table: dict[str, Any] = {}
        values = [_constants(each["properties"].get(name), definitions) for each in resolved]
        for alternative, constants in zip(alternatives, values, strict=True):
            table.update(dict.fromkeys(constants, alternative))
        if all(values) and len(table) == sum(map(len, values)):
            schema["x-property"], schema["x-branches"] = name, table
            return


def _resolve(schema: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    while isinstance(schema, dict) and "$ref" in schema:
        schema = definitions[schema["$ref"].removeprefix("#/$defs/")]
    return schema if isinstance(schema, dict) else {}


def _constants(schema: Any, definitions: dict[str, Any]) -> list[str]:
    schema = _resolve(schema, definitions)
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def main() -> None:
    """Write the subset of the file named on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("description", type=Path, help="the whole description, gzipped JSON")
    whole = json.loads(gzip.decompress(parser.parse_args().description.read_bytes()))
    text = json.dumps(extract(whole), separators=(",", ":"))
    # No time stamp, so that the same description always gives the same bytes.
    SUBSET.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{SUBSET.name}: {SUBSET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
