"""What a person gives as a schema, what strict mode takes of it, and what fits."""

from __future__ import annotations

import datetime as dt
import json
import pickle
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from openai_magics.errors import OptionError, RequestRefused, SchemaMismatch
from openai_magics.exchange import Reply
from openai_magics.schemas import forms, strict
from openai_magics.schemas.shape import Shape, recorded, shape_of, shaped
from tests.unit.shapes import Cat, City, Dog, Even, Loose, Mood, Node, Pet, Town, Towns

OBJECT = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def shape(given: Any) -> Shape:
    """Return the shape that is given."""
    made = shape_of(given)
    assert made is not None
    return made


def held(given: Any) -> dict[str, Any]:
    """Return the schema for strict mode, which must be one."""
    made, why = strict.strict(shape(given).schema)
    assert why == []
    assert made is not None
    return made


def every(schema: Any) -> list[dict[str, Any]]:
    """Return every schema inside one."""
    if isinstance(schema, list):
        return [inner for each in schema for inner in every(each)]
    if not isinstance(schema, dict):
        return []
    below = [each for name, each in schema.items() if name not in ("properties", "$defs")]
    named = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    return [schema, *every(below), *every(named)]


# --- what is given


@pytest.mark.parametrize(
    ("given", "name", "text", "data"),
    [
        (City, "City", '{"name": "Oslo", "population": 7}', City("Oslo", 7)),
        (
            City,
            "City",
            '{"name": "Oslo", "population": 7, "founded": "1048-01-02"}',
            City("Oslo", 7, dt.date(1048, 1, 2)),
        ),
        (Town, "Town", '{"name": "Moss"}', {"name": "Moss"}),
        (Towns, "Towns", '{"towns": [{"name": "Moss"}]}', {"towns": [{"name": "Moss"}]}),
        (
            Node,
            "Node",
            '{"value": 1, "below": [{"value": 2}]}',
            Node(value=1, below=[Node(value=2)]),
        ),
        (
            Pet,
            "Pet",
            '{"pet": {"kind": "dog"}, "mood": "good"}',
            Pet(pet=Dog(kind="dog"), mood=Mood.GOOD),
        ),
        (list[City], "list_City", '{"items": [{"name": "A", "population": 1}]}', [City("A", 1)]),
        (list[Town], "list_Town", '[{"name": "A"}]', [{"name": "A"}]),
        (int, "int", '{"value": 4}', 4),
        (Cat | Dog, "Cat_Dog", '{"value": {"kind": "cat", "lives": 9}}', Cat(kind="cat", lives=9)),
        (OBJECT, "answer", '```json\n{"a": 1}\n```', {"a": 1}),
        ({"title": "My thing!", **OBJECT}, "My_thing", '{"a": 1}', {"a": 1}),
        ({"name": "n", "schema": OBJECT, "strict": False}, "n", '{"a": 1}', {"a": 1}),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": OBJECT}},
            "n",
            '{"a": 1}',
            {"a": 1},
        ),
    ],
)
def test_every_kind(given: Any, name: str, text: str, data: Any) -> None:
    """Classes, types and dicts alike: the answer becomes their instance, or plain values."""
    made = shape(given)
    assert made.name == name
    assert made.parse(text) == data
    assert type(made.parse(text)) is type(data)
    assert made.said["schema"] == made.schema
    json.dumps(made.said)


def test_a_file(tmp_path: Path) -> None:
    """A JSON file holds a schema; its name is the file's."""
    path = tmp_path / "river.schema.json"
    path.write_text(json.dumps(OBJECT), "utf-8")
    assert shape(path).name == shape(str(path)).name == "river"
    assert shape(path).parse('{"a": 3}') == {"a": 3}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (3, "int is not a schema"),
        ([City], "list is not a schema"),
        (City("a", 1), "instance of City"),
        (Cat(kind="cat", lives=1), "instance of Cat"),
        ({}, "empty"),
        ({"type": "river"}, "not a JSON schema"),
        ({"type": "object", "properties": {"a": 3}}, "not a JSON schema"),
        ({"type": "object", "default": {1, 2}}, "cannot be said in JSON"),
        ({"$ref": "https://example.org/x.json"}, "does not hold"),
        ({"type": "array", "items": {"$ref": "#/$defs/none"}}, "does not hold"),
        ("nowhere.json", "no schema file"),
        (lambda: 1, "function <lambda> is not a schema"),
        (Path, None),
        (object, "says nothing"),
    ],
)
def test_what_is_none(given: Any, said: str | None) -> None:
    """What cannot be a schema is said, with what can."""
    if said is None:
        assert shape(given).schema["type"] == "string"
        return
    with pytest.raises(OptionError, match=said) as caught:
        shape_of(given)
    assert "Give " in caught.value.remedy or "nothing is fetched" in caught.value.remedy


@pytest.mark.parametrize("text", ["{", "[1]", '"x"', "\ufeff"])
def test_a_file_that_holds_none(tmp_path: Path, text: str) -> None:
    """The file is named."""
    path = tmp_path / "a.json"
    path.write_text(text, "utf-8")
    with pytest.raises(OptionError, match=r"a\.json"):
        shape_of(path)


def test_given_twice() -> None:
    """A schema and a response_format exclude each other."""
    with pytest.raises(OptionError, match="given twice"):
        shaped(City, {"response_format": {"type": "json_object"}})
    assert shaped(None, {"response_format": {"type": "json_object"}}) is None


# --- strict mode


@pytest.mark.parametrize(
    "given", [City, Town, Towns, Node, Pet, list[City], int, Cat | Dog, OBJECT]
)
def test_strict(given: Any) -> None:
    """The root is an object, each object is closed, all is required, nothing is in it that is not taken."""
    made = held(given)
    assert made["type"] == "object"
    jsonschema.Draft202012Validator.check_schema(made)
    for each in every(made):
        assert set(each) <= {*strict.KEPT, "format", "anyOf", "properties", "required", "items"} | {
            *("additionalProperties", "description", "$defs")
        }
        if each.get("type") == "object":
            assert each["additionalProperties"] is False
            assert each["required"] == list(each["properties"])
        if "$ref" in each:
            assert set(each) == {"$ref"}


def test_what_may_be_missing_may_be_null() -> None:
    """An optional property is required and nullable; its null is no value of the person's."""
    made = held(Node)
    assert made["properties"]["label"]["type"] == ["string", "null"]
    assert made["properties"]["label"]["description"] == "(minLength: 2)"
    assert made["properties"]["value"]["description"] == "what it holds"
    answered = {"value": 1, "label": None, "below": None}
    jsonschema.validate(answered, made)
    assert shape(Node).parse(json.dumps(answered)) == Node(value=1)
    assert shape(Town).parse('{"name": "Moss", "mayor": null}') == {"name": "Moss"}
    assert shape(City).parse('{"name": "a", "population": 1, "founded": null}') == City("a", 1)
    dogs = '{"pet": {"kind": "dog", "tricks": null}, "mood": "bad"}'
    assert shape(Pet).parse(dogs).pet == Dog(kind="dog")
    with pytest.raises(SchemaMismatch, match="population"):
        shape(City).parse('{"name": "a", "population": null}')


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (
            Loose,
            [
                "`scores` takes any names (a dict)",
                "`pair` is a tuple (each place with a type of its own)",
                "an item of `pair` may be anything",
                "`anything` may be anything",
            ],
        ),
        (dict[str, int], ["the answer takes any names (a dict)"]),
        (list, ["an item of `items` may be anything"]),
        (
            {"type": "object", "properties": {"a": {"allOf": [OBJECT, {"minProperties": 1}]}}},
            ["`a` combines several schemas (allOf)", "`a` may be anything"],
        ),
        (
            {"type": "object", "patternProperties": {"^x": {"type": "string"}}},
            [
                "the answer has names by pattern (patternProperties)",
                "the answer takes any names (a dict)",
            ],
        ),
        ({"type": "array", "items": {"$ref": "#"}}, ["the answer refers to itself as a whole"]),
    ],
)
def test_what_cannot_be_strict(given: Any, why: list[str]) -> None:
    """The reasons are said, each with its place; the answer can still be checked."""
    assert strict.strict(shape(given).schema) == (None, why)
    assert shape(given).loose() == why


def test_limits() -> None:
    """Too deep and too wide are reasons; a reference in a circle is not deep."""
    deep: dict[str, Any] = {"type": "integer"}
    for _ in range(11):
        deep = {"type": "object", "properties": {"a": deep}, "required": ["a"]}
    assert "levels deep" in strict.strict(deep)[1][0]
    wide = {"type": "object", "properties": {f"p{n}": {"type": "null"} for n in range(5001)}}
    assert "5000 properties" in strict.strict(wide)[1][0]
    assert strict.strict(shape(Node).schema)[1] == []


def test_draft_7_and_single_all_of() -> None:
    """``definitions`` are ``$defs``; an ``allOf`` of one part, as older pydantic writes it, is that part."""
    given = {
        "type": "object",
        "properties": {"a": {"allOf": [{"$ref": "#/definitions/b"}], "description": "which"}},
        "required": ["a"],
        "definitions": {"b": {"type": "string", "enum": ["x"]}},
    }
    made = held(given)
    assert made["properties"]["a"] == {"anyOf": [{"$ref": "#/$defs/b"}], "description": "which"}
    assert made["$defs"] == {"b": {"type": "string", "enum": ["x"]}}


# --- what a class says is the same


def test_no_titles_and_no_defaults_of_none() -> None:
    """What versions of pydantic write differently is not in the fingerprint."""
    assert shape(City).schema == {
        "type": "object",
        "description": "A city.",
        "properties": {
            "name": {"type": "string"},
            "population": {"type": "integer"},
            "founded": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        },
        "required": ["name", "population"],
    }
    constant = shape(Cat).schema["properties"]["kind"]
    assert constant == {"const": "cat", "type": "string"}


# --- what fits


@pytest.mark.parametrize(
    ("given", "text", "problems"),
    [
        (City, "no", ["The answer is not JSON"]),
        (City, '{"name": "a"}', ["population: Field required"]),
        (City, '{"name": 1, "population": "x"}', ["name: ", "population: "]),
        (list[City], '[{"name": "a", "population": 1}, {"name": "b"}]', ["[1].population: "]),
        (Even, '{"number": 3}', ["number: Value error, it is odd"]),
        (OBJECT, '{"a": "x"}', ["a: 'x' is not of type 'integer'"]),
        (OBJECT, "{}", ["'a' is a required property"]),
        (OBJECT, "[]", ["[] is not of type 'object'"]),
    ],
)
def test_what_does_not_fit(given: Any, text: str, problems: list[str]) -> None:
    """Each problem has its place; the error is told in one line."""
    with pytest.raises(SchemaMismatch) as caught:
        shape(given).parse(text)
    found = caught.value.problems
    assert len(found) == len(problems)
    assert all(one.startswith(other) for one, other in zip(found, problems, strict=True))
    assert "\n" not in caught.value.problem
    assert "errors.pydantic.dev" not in str(caught.value)


def test_a_reply_knows_its_shape() -> None:
    """``data`` is the instance; from a record alone it is the plain values that fit."""
    made = shape(list[City])
    text = '{"items": [{"name": "A", "population": 1, "founded": null}]}'
    assert Reply(text, shape=made).data == [City("A", 1)]
    again = recorded(json.loads(json.dumps(made.said)))
    assert again is not None
    assert Reply(text, shape=again).data == [{"name": "A", "population": 1, "founded": None}]
    with pytest.raises(SchemaMismatch):
        _ = Reply('{"items": [1]}', shape=again).data
    assert recorded(None) is None
    assert recorded({"name": "x"}) is None


def test_pickle() -> None:
    """A reply with its shape goes to another process, also after it was used."""
    reply = Reply('{"name": "A", "population": 1}', shape=shape(City))
    assert reply.data == City("A", 1)
    assert pickle.loads(pickle.dumps(reply)).data == City("A", 1)


# --- as a DataFrame


@pytest.mark.parametrize(
    ("given", "text", "rows"),
    [
        (list[City], '[{"name": "A", "population": 1}, {"name": "B", "population": 2}]', 2),
        (Towns, '{"towns": [{"name": "A"}, {"name": "B", "mayor": "x"}]}', 2),
        (City, '{"name": "A", "population": 1}', 1),
        (Node, '{"value": 1}', 1),
        (list[int], "[1, 2, 3]", 3),
        (None, '[{"a": 1}, {"b": 2}]', 2),
        (None, "|a|b|\n|-|-|\n|1|x\\|y|", 1),
    ],
)
def test_frame(given: Any, text: str, rows: int) -> None:
    """A list has a row each and a column for every name; a Markdown table is a table."""
    frame = Reply(text, shape=shape_of(given)).frame
    assert len(frame) == rows
    if given == list[int]:
        assert list(frame.columns) == ["value"]
        assert frame["value"].sum() == 6
    elif given is Towns:
        assert list(frame.columns) == ["name", "mayor"]
    elif given is None and "|" in text:
        assert frame["b"][0] == "x|y"


# --- how it is asked for


def asked(given: Any, form: str = "strict") -> Any:
    """Return the response_format of a form."""
    said = shape(given).said
    return forms.sent(said, forms.parameters(form, said).get("response_format"))


def test_forms() -> None:
    """Strict, loose, as JSON object, in words alone."""
    first = asked(City)
    assert first["json_schema"]["strict"] is True
    assert first["json_schema"]["name"] == "City"
    loose = asked(City, "loose")
    assert loose["json_schema"]["strict"] is False
    assert loose["json_schema"]["schema"] == shape(City).schema
    assert asked(City, "object") == {"type": "json_object"}
    assert asked(City, "words") is None
    assert asked(Loose)["json_schema"]["strict"] is False
    assert asked(list[Loose])["json_schema"]["schema"]["required"] == ["items"]
    said = shape(City).said
    assert forms.in_words("strict", said, "Be brief.") == "Be brief."
    words = forms.in_words("words", said, "Be brief.")
    assert words is not None
    assert words.startswith("Be brief.\nAnswer with JSON that fits")
    assert '"population"' in words


def test_what_a_server_refuses_is_remembered() -> None:
    """Only what is about the form leads to the next one, for that place alone."""
    kept = forms.Forms()
    said = shape(City).said
    problem = RequestRefused("Invalid parameter: 'response_format' of type 'json_schema'", "", 400)
    other = RequestRefused("Unsupported value: 'temperature'", "", 400)
    assert list(kept.of(said, "a")) == ["strict", "loose", "object", "words"]
    assert list(kept.of(shape(Loose).said, "a")) == ["loose", "object", "words"]
    assert list(kept.of(None, "a")) == ["strict"]
    assert not kept.refused("strict", "a", other)
    assert kept.refused("loose", "a", problem)
    assert list(kept.of(said, "a")) == ["object", "words"]
    assert list(kept.of(said, "b")) == ["strict", "loose", "object", "words"]
    assert not kept.refused("words", "a", problem)
