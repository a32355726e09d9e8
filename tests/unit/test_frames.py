"""Records and listings as DataFrames, with the same types whether they are empty or not."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pandas as pd
import pytest

from openai_magics import frames
from openai_magics.exchange import Exchange, Reply, Request, Resolved
from tests.unit.making import ask, exchange

FULL = Exchange(
    Request(messages=({"role": "user", "content": "Why?"},), system="Be brief.", parent="p"),
    Reply(
        "Because.",
        finish_reason="stop",
        model="gpt-5.5-2026",
        usage={"prompt_tokens": 3, "completion_tokens": 2},
        cost=0.25,
        sentiment="neutral",
    ),
    resolved=Resolved("gpt-5.5", "api.openai.com", "Be very brief."),
    conversation="main",
    cell="c1",
    assistant={"name": "tutor", "id": "local-1", "version": "0f"},
    created="2026-11-23T07:00:00.123+00:00",
    duration=1.5,
)
FAILED = Exchange(ask(), error={"type": "Unreachable"}, occurrence=None)
REFUSED = Exchange(ask(), Reply("", refusal="No."), error={"type": "ContentRefused"})


def test_a_lone_surrogate_is_its_escape() -> None:
    """A frame of any text can be shown and written; halves that belong together are joined."""
    odd = exchange("a \ud800 b", "\ud83d\ude00 \udfff")
    frame = frames.dialogue_frame([odd])
    assert frame["user"][0] == "a \\ud800 b"
    assert frame["assistant"][0] == "\N{GRINNING FACE} \\udfff"
    frame.to_html().encode()
    repr(frame).encode()


def test_a_row() -> None:
    """One row a record: what was asked and said, by whom, at what cost, and where it belongs."""
    (row,) = frames.dialogue_frame([FULL]).to_dict("records")
    assert pd.isna(row.pop("error"))
    assert row == {
        "kind": "ask",
        "conversation": "main",
        "cell": "c1",
        "system": "Be very brief.",
        "user": "Why?",
        "assistant": "Because.",
        "model": "gpt-5.5-2026",
        "endpoint": "api.openai.com",
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "cost": 0.25,
        "duration": 1.5,
        "sentiment": "neutral",
        "finish_reason": "stop",
        "assistant_name": "tutor",
        "fingerprint": FULL.fingerprint,
        "occurrence": 0,
        "id": FULL.id,
        "parent": "p",
        "created": pd.Timestamp("2026-11-23 07:00:00.123", tz="UTC"),
    }


@pytest.mark.parametrize(
    "exchanges",
    [[], [FULL], [FAILED], [FULL, FAILED, REFUSED], [exchange()]],
    ids=["none", "full", "failed", "several", "little known"],
)
def test_types(exchanges: list[Exchange]) -> None:
    """Numbers are numbers and dates are dates, also where there are none."""
    frame = frames.dialogue_frame(exchanges)
    assert list(frame.columns) == list(frames.DIALOGUE)
    assert len(frame) == len(exchanges)
    for name in ("prompt_tokens", "completion_tokens", "occurrence"):
        assert frame[name].dtype == "Int64"
    for name in ("cost", "duration"):
        assert frame[name].dtype == "float64"
    assert isinstance(frame["created"].dtype, pd.DatetimeTZDtype)
    assert str(frame["created"].dt.tz) == "UTC"
    frame.to_csv()
    frame.groupby("conversation")[["cost", "prompt_tokens"]].sum()


def test_what_is_not_known_is_missing() -> None:
    """A failure has no answer, cost or tokens; what is never replayed has no occurrence."""
    row = frames.dialogue_frame([FULL, FAILED]).iloc[1]
    for name in ("assistant", "cost", "prompt_tokens", "created", "duration", "occurrence"):
        assert pd.isna(row[name]), name
    assert row["error"] == "Unreachable"


def test_a_refusal_is_what_was_said() -> None:
    """In place of the text that there is not."""
    assert frames.dialogue_frame([REFUSED])["assistant"][0] == "No."


@pytest.mark.parametrize(
    ("created", "year"),
    [
        ("2026-11-23T07:00:00+00:00", 2026),
        ("2026-11-23T07:00:00Z", 2026),
        ("2026-11-23", 2026),
        ("2026-12-31T23:30:00-01:00", 2027),
        ("", None),
        ("yesterday", None),
    ],
)
def test_created(created: str, year: int | None) -> None:
    """Whatever form of ISO 8601 a record has, its time is UTC; what is none is missing."""
    items = [FULL, Exchange(ask(), created=created)]
    found = frames.dialogue_frame(items)["created"][1]
    assert pd.isna(found) if year is None else found.year == year


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([], ""),
        ([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], "a\nb"),
        ([{"role": "system", "content": "a"}], ""),
        ([{"role": "user", "content": None}], ""),
        ([{"role": "user"}], ""),
        (
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "a"},
                        {"type": "image_url", "image_url": {"url": "x"}},
                    ],
                }
            ],
            "a\n[image_url]",
        ),
    ],
    ids=["none", "two", "another role", "null", "no content", "parts"],
)
def test_words(messages: list[dict[str, Any]], text: str) -> None:
    """The text of messages; what is no text by what it is."""
    assert frames.words(messages) == text


# --- models


MODELS = {
    "object": "list",
    "data": [
        {
            "id": "gpt-5.5",
            "object": "model",
            "created": 1767225600,
            "owned_by": "openai",
            "shutdown_date": None,
        },
        {
            "id": "gpt-5",
            "object": "model",
            "created": 1754524800,
            "owned_by": "openai",
            "shutdown_date": "2026-12-11",
        },
    ],
}


def test_models() -> None:
    """A listing is sorted by name, its dates are dates."""
    frame = frames.models_frame(MODELS)
    assert list(frame.columns) == ["id", "created", "owned_by", "shutdown_date"]
    assert list(frame["id"]) == ["gpt-5", "gpt-5.5"]
    assert frame["created"][1] == pd.Timestamp("2026-01-01", tz="UTC")
    assert frame["shutdown_date"][0] == dt.date(2026, 12, 11)
    assert pd.isna(frame["shutdown_date"][1])
    assert list(frame.index) == [0, 1]


@pytest.mark.parametrize(
    "payload",
    [{}, {"data": []}, {"data": None}, {"data": [None, "x"]}],
    ids=["nothing", "no models", "null", "what is none"],
)
def test_no_models(payload: dict[str, Any]) -> None:
    """An empty listing has the same columns, and can be filtered."""
    frame = frames.models_frame(payload)
    assert list(frame.columns) == ["id", "created", "owned_by", "shutdown_date"]
    assert len(frame) == 0
    assert frame[frame["shutdown_date"].notna()].empty
    assert str(frame["created"].dt.tz) == "UTC"


def test_models_of_other_servers() -> None:
    """Servers tell less than OpenAI, and more; what is no date is none."""
    data = [
        {"id": "b", "meta": {"n_ctx": 1}},
        {"id": "a", "created": "soon", "shutdown_date": "never", "max_model_len": 2},
        {"id": "c", "created": 0},
    ]
    frame = frames.models_frame({"data": data})
    assert list(frame.columns)[4:] == ["max_model_len", "meta"]
    assert list(frame["id"]) == ["a", "b", "c"]
    assert frame["created"].isna().tolist() == [True, True, False]
    assert frame["shutdown_date"].isna().all()
    assert math.isnan(frame["max_model_len"][1])
