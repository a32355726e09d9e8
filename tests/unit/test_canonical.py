"""One text for one value, whoever writes it."""

from __future__ import annotations

import enum
import hashlib
import json
import math
from types import MappingProxyType

import pytest

from openai_magics.canonical import canonical_json, digest, joined
from openai_magics.errors import OptionError


class Colour(str, enum.Enum):
    """An enumeration of texts."""

    RED = "red"


CIRCLE: list[object] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param({"b": 1, "a": 2}, b'{"a":2,"b":1}', id="keys are sorted"),
        pytest.param({"é": 1, "z": 2, "Z": 3}, '{"Z":3,"z":2,"é":1}'.encode(), id="by code point"),
        pytest.param(
            {"\U0001f600": 1, "\uffff": 2},
            '{"\uffff":2,"\U0001f600":1}'.encode(),
            id="by code point, not by UTF-16",
        ),
        pytest.param([1, "a", None, True, False], b'[1,"a",null,true,false]', id="no spaces"),
        pytest.param("Größe 漢字 👋", '"Größe 漢字 👋"'.encode(), id="UTF-8, not escapes"),
        pytest.param('a"b\\c\n\t\x00', b'"a\\"b\\\\c\\n\\t\\u0000"', id="JSON's own escapes"),
        pytest.param("\u2028\u2029\x7f", '"\u2028\u2029\x7f"'.encode(), id="nothing else escaped"),
        pytest.param(0.0, b"0", id="a whole float is an integer"),
        pytest.param(-0.0, b"0", id="minus zero is zero"),
        pytest.param(1e3, b"1000", id="a whole float with an exponent"),
        pytest.param(2.0**53, b"9007199254740992.0", id="past 2**53 a float stays one"),
        pytest.param(0.1, b"0.1", id="a float in its shortest form"),
        pytest.param(1e-7, b"1e-07", id="a small float as Python writes it"),
        pytest.param(10**30, b"1" + b"0" * 30, id="a large integer whole"),
        pytest.param((1, (2,)), b"[1,[2]]", id="a tuple is a list"),
        pytest.param(MappingProxyType({"a": 1}), b'{"a":1}', id="any mapping is an object"),
        pytest.param(Colour.RED, b'"red"', id="a text that is more than one"),
        pytest.param("a\ud800b", b'"a\\ud800b"', id="a lone surrogate is its escape"),
        pytest.param("\ud83d\ude00", '"😀"'.encode(), id="a pair of surrogates is its character"),
        pytest.param({"\udc80": 1}, b'{"\\udc80":1}', id="a lone surrogate in a key"),
        pytest.param({9: 1, 10: 2}, b'{"10":2,"9":1}', id="number keys sort as the text they are"),
        pytest.param({None: 1, True: 2, 1.5: 3}, b'{"1.5":3,"null":1,"true":2}', id="other keys"),
    ],
)
def test_canonical_json(value: object, written: bytes) -> None:
    """Equal values are equal bytes, in the form the docstring promises."""
    assert canonical_json(value) == written


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(math.nan, id="NaN"),
        pytest.param([math.inf], id="infinity"),
        pytest.param({"a": {"b": -math.inf}}, id="infinity deep inside"),
        pytest.param({math.nan: 1}, id="NaN as a key"),
        pytest.param(object(), id="an object"),
        pytest.param(CIRCLE, id="a list that holds itself"),
        pytest.param({1, 2}, id="a set"),
        pytest.param(b"bytes", id="bytes"),
        pytest.param({(1, 2): 3}, id="a tuple as a key"),
        pytest.param({"a": 1, (1, 2): 3}, id="keys of several kinds"),
    ],
)
def test_what_json_cannot_say_is_refused(value: object) -> None:
    """What cannot be kept and found again is an error of whoever typed it, before it is sent."""
    with pytest.raises(OptionError, match="cannot be kept in the dialogue file"):
        canonical_json(value)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("plain", "plain"),
        ("Größe 👋", "Größe 👋"),
        ("\ud83d\ude00", "😀"),
        ("a\ud83d", "a\ud83d"),
        ("\ude00\ud83d", "\ude00\ud83d"),
        ("\ud83d\ud83d\ude00", "\ud83d😀"),
    ],
    ids=["ASCII", "Unicode", "a pair", "a half", "halves in the wrong order", "a half and a pair"],
)
def test_joined(text: str, whole: str) -> None:
    """Surrogates become characters exactly where reading them from JSON would make them so."""
    assert joined(text) == whole == json.loads(json.dumps(text))


def test_digest_has_a_domain() -> None:
    """The same value under two tags is two hashes."""
    assert digest("a", 1) != digest("b", 1)
    assert digest("a", 1) == hashlib.sha256(b"a\n1").hexdigest()
