"""Whatever is asked: one request has one fingerprint."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openai_magics.canonical import CANONICAL, _normal, canonical_json, joined
from openai_magics.dialogue import record_line
from openai_magics.exchange import Exchange, Reply, Request
from tests.property.strategies import odd, plain, quick, shuffled

parameters = st.dictionaries(odd, plain, max_size=4)
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": odd | plain}),
    max_size=3,
)
requests = st.builds(
    Request,
    kind=st.sampled_from(["ask", "models"]),
    model=st.none() | odd,
    endpoint=st.none() | odd,
    parameters=parameters,
    schema=st.none() | parameters,
    tools=st.none() | st.lists(parameters, max_size=2),
    system=st.none() | odd,
    messages=messages.map(tuple),
    max_history=st.none() | st.integers(0, 5),
    parent=st.none() | st.just("f" * 64),
    occurrence=st.integers(0, 3),
)
replies = st.builds(
    Reply,
    text=odd,
    refusal=st.none() | odd,
    finish_reason=st.sampled_from([None, "stop", "length", "cut_off"]),
    tool_calls=st.lists(parameters, max_size=2).map(tuple),
    payload=plain,
    model=st.none() | odd,
    usage=parameters,
    cost=st.floats(0, 100),
)


@quick
@given(plain, st.randoms(use_true_random=False))
def test_order_does_not_matter(value: Any, random: Any) -> None:
    """The order of keys, and how lists are held, never changes canonical JSON."""
    assert canonical_json(shuffled(value, random)) == canonical_json(value)


@quick
@given(plain)
def test_canonical_json_is_json(value: Any) -> None:
    """It reads back as the value it is of, and what is read back is written the same."""
    written = canonical_json(value)
    assert canonical_json(json.loads(written)) == written
    assert canonical_json(json.loads(json.dumps(value))) == written
    assert b"\n" not in written


numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
keyed = st.dictionaries(
    odd | st.sampled_from(["1", "-2.5", "1e-07", "true", "null"]) | numbers | st.booleans(),
    plain | numbers | st.sampled_from(["1.0", '"3":', "-0.0"]),
    max_size=4,
)


@quick
@given(keyed)
def test_the_short_way_gives_the_same(value: Any) -> None:
    """What is written at once is what writing it piece by piece gives, whatever the keys."""
    try:
        expected = CANONICAL.encode(_normal(value)).encode("utf-8", "backslashreplace")
    except TypeError:  # keys that cannot be sorted
        return
    assert canonical_json(value) == expected


@quick
@given(odd)
def test_texts_are_kept_apart(value: str) -> None:
    """A text is its own canonical JSON, and no other's."""
    assert json.loads(canonical_json(value)) == joined(value)
    assert canonical_json(value + "x") != canonical_json(value)


@quick
@given(requests, st.randoms(use_true_random=False))
def test_fingerprints_are_stable(request_: Request, random: Any) -> None:
    """A request that is built again, in whatever order, has its fingerprint."""
    said = shuffled(request_.said, random)
    again = Request(**said | {"messages": tuple(said["messages"])})
    assert again.fingerprint == request_.fingerprint


@quick
@given(requests, st.none() | replies, st.none() | st.integers(0, 3), st.none() | parameters)
def test_records_keep_their_hashes(
    request_: Request, reply: Reply | None, occurrence: int | None, error: dict[str, Any] | None
) -> None:
    """An exchange that went through the file has its fingerprint and its id, and is one line."""
    made = Exchange(request_, reply, error, occurrence)
    line = record_line(made)
    back = Exchange.from_record(json.loads(line))
    assert (back.fingerprint, back.id) == (made.fingerprint, made.id)
    assert record_line(back) == record_line(Exchange.from_record(json.loads(record_line(back))))
    assert len(line.splitlines()) == 1


@quick
@given(requests, st.dictionaries(odd, plain, max_size=3))
def test_unknown_fields_are_kept(request_: Request, fields: dict[str, Any]) -> None:
    """Whatever a newer version adds, at any depth, is there when the record is written again."""
    record = json.loads(record_line(Exchange(request_, Reply("x"))))
    more = json.loads(json.dumps(fields))
    for place in (record, record["request"], record["request"]["resolved"], record["reply"]):
        place.update({name: value for name, value in more.items() if name not in place})
    assert json.loads(record_line(Exchange.from_record(record))) == record
