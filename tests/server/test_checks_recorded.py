"""A check of training data is recorded: what it showed does not hang on what is installed."""

from __future__ import annotations

import math
import sys

import pytest

from openai_magics import Session
from openai_magics.training.check import check
from openai_magics.training.checked import identity, of_payload, to_payload
from openai_magics.training.job import JobOptions
from openai_magics.training.lengths import ESTIMATE, VOCABULARY
from openai_magics.training.own import Counter
from openai_magics.training.sources import source_of
from openai_magics.training.terms import price, terms
from tests.scripted import ScriptedServer
from tests.server.ways import records, session

ROWS = [(f"What is {n} + {n}?", f"It is {2 * n}.") for n in range(12)]


def test_a_check_is_shown_again_without_its_extra(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens that were counted are shown where nothing counts them; `fresh` looks anew."""
    first = session(scripted).training.check(ROWS)
    assert first.training.by == VOCABULARY
    monkeypatch.setitem(sys.modules, "quicktok", None)
    for held in (session(scripted), session(None, mode="replay")):
        again = held.training.check(ROWS)
        assert again.summary == first.summary
        assert again.problems.equals(first.problems)
    anew = session(scripted).training.check(ROWS, fresh=True)
    assert anew.training.by == ESTIMATE
    assert [item.request.kind for item in records(session(scripted))] == ["check", "check"]
    assert scripted.requests == []


def test_other_data_is_looked_at(scripted: ScriptedServer) -> None:
    """Data that has changed is not told of from the record; in a replay nothing is written."""
    session(scripted).training.check(ROWS)
    replayed = session(None, mode="replay")
    found = replayed.training.check([*ROWS, ROWS[0]])
    assert ("warning", "duplicate") in found.report.counts
    assert len(records(replayed)) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a,b\n1,2\n", "a,b\n\n1,2\n"),
        ("a,b\n1,2\n", "a,b\n1,3\n"),
    ],
    ids=["at another line", "another cell"],
)
def test_data_is_known_by_what_is_told_of_it(tmp_path, one: str, other: str) -> None:
    """Rows that stand at other lines are other data: problems name their lines."""
    path = tmp_path / "d.csv"
    seen = []
    for text in (one, other, one):
        path.write_text(text.replace("a,b", "prompt,completion"), "utf-8")
        seen.append(identity(source_of(path)))
    assert seen[0] == seen[2] != seen[1]


def test_a_check_survives_its_record(tmp_path) -> None:
    """All that is told of data comes back from its record."""
    path = tmp_path / "d.jsonl"
    path.write_text("{\n" + '{"messages": []}\n' * 3 + "\n", "utf-8")
    found = check(source_of(path), source_of(ROWS), where="m at h", retires="2027-01-14")
    again = of_payload(to_payload(found))
    assert again.summary == found.summary
    assert again.report == found.report
    assert math.isnan(again.price)


@pytest.mark.parametrize(
    ("model", "dollars"),
    [
        ("gpt-4.1-mini", 5.0),
        ("gpt-4.1-nano-2025-04-14", 1.5),
        ("ft:gpt-4.1-2025-04-14:org::abc", 25.0),
        ("gpt-4.1-max", math.nan),
        ("o4-mini", math.nan),
        (None, math.nan),
    ],
)
def test_prices(model: str | None, dollars: float) -> None:
    """A million tokens cost what OpenAI's list said; what it does not list is not known."""
    assert price(model, 1_000_000) == pytest.approx(dollars, nan_ok=True)


def test_terms_of_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its price, the day the model ends and the least number of examples hold at OpenAI alone."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdefghij")
    held = Session("gpt-4.1-mini")
    found = held.training.check(ROWS[:9])
    told = dict(found.summary)
    assert told["trains"] == "gpt-4.1-mini at api.openai.com"
    assert told["retires"].startswith("2027-01-14")
    assert found.price == pytest.approx(found.training.tokens * found.epochs * 5 / 1e6)
    assert ("error", "few examples") in found.report.counts
    other = Session("gpt-4.1-mini", base_url="https://example.org/v1").training.check(ROWS[:9])
    assert "retires" not in dict(other.summary)
    assert math.isnan(other.price)
    assert other.ok
    unnamed = Session()
    assert dict(unnamed.training.check(ROWS).summary)["trains"].startswith("gpt-4.1-mini at")
    preferences = [
        {
            "input": {"messages": [{"role": "user", "content": f"q{n}"}]},
            "preferred_output": [{"role": "assistant", "content": "a"}],
            "non_preferred_output": [{"role": "assistant", "content": "b"}],
        }
        for n in range(12)
    ]
    assert math.isnan(held.training.check(preferences).price)


def test_terms_of_this_machine() -> None:
    """It costs nothing, and sees examples as often as its own trainer does."""
    held = Session("local")
    found = terms(held.settings, JobOptions(), held.training.target(JobOptions()))
    assert (found.local, found.price("supervised", 10**9), found.epochs(20)) == (True, 0.0, 8)
    assert found.where.endswith("on this machine")


def test_tokens_as_the_model_counts_them() -> None:
    """Each conversation is counted whole, cut at the limit; both answers of a preference count."""

    def count(messages: list[dict[str, str]]) -> int:
        return sum(len(message["content"]) for message in messages)

    own = Counter(count, "letters", 30)
    rows = [("ab", "cde"), ("x" * 20, "y" * 20), ("ab", "cd")]
    found = check(source_of(rows), own=own)
    assert (found.training.tokens, found.training.longest) == (5 + 30 + 4, 40)
    assert (found.training.by, found.training.counted) == ("letters", True)
    assert [row.line for row in found.report.rows if row.kind == "too long"] == [2]
    pair = {
        "input": {"messages": [{"role": "user", "content": "ab"}]},
        "preferred_output": [{"role": "assistant", "content": [{"type": "text", "text": "cde"}]}],
        "non_preferred_output": [{"role": "assistant", "content": "f"}],
    }
    lengths = check(source_of([pair]), own=own).training
    assert (lengths.tokens, lengths.longest) == (5 + 3, 5)
    assert lengths.bars()[0][0] == "4-7", "where the longest stands"


def test_what_no_model_counts_is_left_out() -> None:
    """Half of a character is a problem of its line, and is sent to no server that counts."""

    def count(messages: list[dict[str, str]]) -> int:
        return sum(len(message["content"].encode()) for message in messages)

    found = check(source_of([("ab", "c"), ("\ud800", "d")]), own=Counter(count, "bytes", 30))
    assert found.training.tokens == 3
    assert [(row.line, row.kind) for row in found.report.rows if row.line] == [(2, "encoding")]


def test_of_much_data_the_rest_is_told_from_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model is not asked for each of a million examples; that it is about so many is said."""
    monkeypatch.setattr("openai_magics.training.own.COUNTED", 5)
    own = Counter(lambda _: 10, "tens", 100)
    rows = [(f"q{n:03}", f"a{n:03}") for n in range(50)]
    found = check(source_of(rows), own=own)
    assert found.training.tokens == 500
    assert not found.training.counted
    assert "about 500" in dict(found.summary)["tokens"]
