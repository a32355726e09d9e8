r"""One text for one value: the JSON that fingerprints and record ids are computed from.

Keys sorted by code point, no spaces, UTF-8. A float that is a whole number below 2**53 is
written as the integer (``0.0`` as ``0``), so that ``-t 0`` and ``temperature=0.0`` are one
request, any other as Python writes it; NaN and infinity are refused. A pair of surrogates
is written as the character it stands for, a lone one as its ``\udxxx`` escape. A key that
is a number is the text JSON makes of it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

from openai_magics.errors import OptionError

__all__ = ["canonical_json", "digest", "joined"]

CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)
# What is not canonical as it stands: a whole float (an address, ``127.0.0.1``, is none), a key that
# was no text (or looks like one).
ODD = re.compile(r'\.0(?=[],}]|\Z)|"(?:-?[\d.]+(?:e[+-]?\d+)?|true|false|null)":')


def canonical_json(value: object) -> bytes:
    """Return *value* as canonical JSON (see the module's docstring).

    Raises
    ------
    OptionError
        *value* holds something that JSON cannot say (an object, NaN, infinity).
    """
    try:
        text = CANONICAL.encode(value)
        if ODD.search(text) is None:
            return text.encode()
    except (TypeError, ValueError, RecursionError):
        pass  # to be looked at piece by piece, which takes ten times as long
    try:
        text = CANONICAL.encode(_normal(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(
            f"This cannot be kept in the dialogue file: {error}.",
            "Give plain values: text, numbers, booleans, lists and dicts of these.",
        ) from error
    return text.encode("utf-8", "backslashreplace")


def joined(text: str) -> str:
    """Return *text* with surrogate pairs joined, as JSON reads them: an emoji may come in two chunks."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text


def _normal(value: object) -> object:
    if isinstance(value, str):
        return value if value.isascii() else joined(value)
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, (list, tuple)):
        return [_normal(item) for item in value]
    if isinstance(value, (dict, Mapping)):
        return {
            # Nearly all are plain words, and a replayed ask makes three of these.
            key if type(key) is str and key.isascii() else _name(key): _normal(item)
            for key, item in value.items()
        }
    return value


def _name(key: object) -> object:
    """Return a key as JSON writes it, so that keys sort the same before and after."""
    if isinstance(key, str):
        return joined(key)
    if key is None or isinstance(key, (int, float)):
        return json.dumps(key, allow_nan=False)
    return key


def digest(tag: str, value: object) -> str:
    """Return the SHA-256, in hex, of *value* as canonical JSON under the domain *tag*."""
    return hashlib.sha256(tag.encode() + b"\n" + canonical_json(value)).hexdigest()
