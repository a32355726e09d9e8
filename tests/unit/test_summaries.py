"""What a dialogue comes to, in figures."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from openai_magics import export, summaries
from openai_magics.chains import Records
from openai_magics.errors import OptionError
from openai_magics.transcript import Transcript
from tests.unit.dialogues import Talk


def test_conversations_are_summed_up() -> None:
    """One row a conversation as it stands: turns, first and last, models, tokens, cost."""
    talk = Talk()
    first = talk.said("one")
    talk.said("two", after=first, reply={"model": "gpt-5", "cost": float("nan")})
    talk.said("three", conversation="draft", reply={"usage": {}})
    talk.said("alone", conversation=None)
    frame = talk.dialogue.conversations()
    told = ["name", "turns", "first", "last", "models", "tokens", "cost", "branched_from"]
    assert list(frame.columns) == told
    assert frame[["name", "turns", "models"]].to_numpy().tolist() == [
        ["main", 2, "gpt-4o, gpt-5"],
        ["draft", 1, "gpt-4o"],
    ]
    assert frame["first"][0] < frame["last"][0]
    assert frame["tokens"][0] == 24
    assert frame["tokens"].isna()[1]
    assert math.isnan(frame["cost"][0])
    assert frame["cost"][1] == 0.01


def test_usage_counts_all_that_was_asked_for() -> None:
    """Superseded answers and failures were asked for too; an unknown price is not taken for none."""
    talk = Talk()
    talk.said("one")
    talk.said("one", reply={"cost": float("nan")})
    talk.said("two", None, error={"type": "Unreachable"}, occurrence=None)
    talk.said("three", reply={"model": "own", "cost": float("nan"), "usage": {}})
    frame = talk.dialogue.usage()
    assert list(frame.columns) == [
        *("model", "day", "requests"),
        *("prompt_tokens", "completion_tokens", "cost", "unpriced"),
    ]
    first, second = frame.to_dict("records")
    assert (first["model"], first["day"], first["requests"]) == ("gpt-4o", "2026-03-01", 3)
    assert (first["prompt_tokens"], first["completion_tokens"]) == (20, 4)
    assert (first["cost"], first["unpriced"]) == (0.01, 2)
    assert math.isnan(second["cost"])
    assert pd.isna(second["prompt_tokens"])


@pytest.mark.parametrize(("by", "rows"), [("conversation", 2), ((), 1), (("kind", "month"), 1)])
def test_usage_is_told_by_what_is_asked_for(by: Any, rows: int) -> None:
    """Groups are those asked for; none gives the sum of all."""
    talk = Talk()
    talk.said("one")
    talk.said("two", conversation=None)
    frame = talk.dialogue.usage(by)
    assert len(frame) == rows
    assert frame["requests"].sum() == 2
    with pytest.raises(OptionError, match="did you mean 'model'"):
        talk.dialogue.usage("modle")


def test_usage_of_nothing_is_an_empty_frame() -> None:
    """Before anything was asked the frames are there, with their columns and no rows."""
    empty = Talk().dialogue
    assert len(empty.usage()) == 0
    assert len(empty.conversations()) == 0
    assert summaries.usage_frame([]).columns[0] == "model"


def test_a_transcript_of_nothing_is_empty() -> None:
    """Showing an empty dialogue shows nothing, and does not fail."""
    shown = export.transcript(Records([]))
    assert str(shown) == ""
    assert isinstance(shown, Transcript)
