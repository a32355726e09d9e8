"""What is found in training data: each rule, where it stands, and that a large report stays small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openai_magics import Session
from openai_magics import errors as ours
from openai_magics.training.check import Check, check
from openai_magics.training.problems import EACH
from openai_magics.training.sources import source_of

USER, ASSISTANT = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    """Return an example of messages."""
    return {"messages": list(messages), **more}


def good(count: int = 12) -> list[dict[str, Any]]:
    """Return examples with nothing wrong in them."""
    return [
        chat({"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": f"a{n}"})
        for n in range(count)
    ]


def written(path: Path, *lines: Any, end: str = "\n") -> Path:
    """Write lines (JSON, text or bytes) after twelve good ones."""
    data = b""
    for line in (*good(), *lines):
        if isinstance(line, bytes):
            data += line
        else:
            data += (line if isinstance(line, str) else json.dumps(line)).encode()
        data += end.encode()
    path.write_bytes(data)
    return path


def found(path: Path, method: str | None = None, **more: Any) -> Check:
    """Check a file."""
    return check(source_of(path), method=method, **more)


def rows(result: Check) -> list[tuple[Any, str, str]]:
    """Return the line, severity and kind of what was found."""
    return [(row.line, row.severity, row.kind) for row in result.report.rows]


@pytest.mark.parametrize(
    ("line", "kind", "column", "says"),
    [
        pytest.param('{"messages": [', "JSON", "15", "Expecting value", id="cut off"),
        pytest.param("[1]", "JSON", "", "a JSON list", id="a list"),
        pytest.param('{"messages": NaN}', "JSON", "", "NaN", id="NaN"),
        pytest.param("[" * 100_000, "JSON", "", "nested|JSON", id="nested"),
        pytest.param({"prompt": "a", "completion": "b"}, "format", "", "no 'messages'", id="other"),
        pytest.param(chat(), "messages", "messages", "is empty", id="no messages"),
        pytest.param(chat("a"), "messages", "messages[0]", "of type str", id="a text"),
        pytest.param(
            chat({"role": "User", "content": "a"}, ASSISTANT),
            "role",
            "messages[0].role",
            "did you mean 'user'",
            id="role",
        ),
        pytest.param(
            chat({"role": "human", "content": "a"}, ASSISTANT),
            "role",
            "messages[0].role",
            "did you mean 'user'",
            id="another tool's role",
        ),
        pytest.param(
            chat({"role": ["user"], "content": "a"}, ASSISTANT),
            "role",
            "messages[0].role",
            "has the role",
            id="role a list",
        ),
        pytest.param(
            chat({**USER, "id": 3}, ASSISTANT),
            "key of a message",
            "messages[0].id",
            "the key 'id'",
            id="key",
        ),
        pytest.param(
            chat(USER, {"role": "assistant", "content": ""}),
            "empty content",
            "messages[1].content",
            "is empty",
            id="empty",
        ),
        pytest.param(
            chat({"role": "user", "content": " \n"}, ASSISTANT),
            "empty content",
            "messages[0].content",
            "is empty",
            id="blank",
        ),
        pytest.param(
            chat(USER, {"role": "assistant", "content": None}),
            "empty content",
            "messages[1].content",
            "is empty",
            id="null",
        ),
        pytest.param(
            chat({"role": "user", "content": 3}, ASSISTANT),
            "content",
            "messages[0].content",
            "of type int",
            id="number",
        ),
        pytest.param(
            chat({"role": "user", "content": "\ud800"}, ASSISTANT),
            "encoding",
            "messages[0].content",
            "half of a character",
            id="surrogate",
        ),
        pytest.param(chat(USER), "no answer", "messages", "nothing to learn", id="no answer"),
        pytest.param(
            chat(USER, ASSISTANT, USER),
            "last message",
            "messages[2]",
            "not the assistant's",
            id="after the last answer",
        ),
        pytest.param(
            chat(USER, {**ASSISTANT, "weight": 0}),
            "weight",
            "messages",
            "weight 0",
            id="nothing weighs",
        ),
        pytest.param(
            chat(USER, {**ASSISTANT, "weight": 2}),
            "weight",
            "messages[1].weight",
            "is 2",
            id="weight",
        ),
        pytest.param(
            chat(USER, {"role": "tool", "content": "r", "tool_call_id": "c9"}, ASSISTANT),
            "tools",
            "messages[1].tool_call_id",
            "was not made",
            id="result of no call",
        ),
        pytest.param(
            chat(USER, {"role": "assistant", "tool_calls": [CALL]}, ASSISTANT, tools=TOOLS),
            "tools",
            "messages[2]",
            "without its result",
            id="call without result",
        ),
        pytest.param(
            chat(USER, {"role": "assistant", "tool_calls": [CALL]}),
            "tools",
            "messages[1].tool_calls[0]",
            "not in the example's tools",
            id="unknown tool",
        ),
        pytest.param(
            chat(USER, ASSISTANT, tools=[*TOOLS, *TOOLS]),
            "tools",
            "tools[1]",
            "Two tools",
            id="twice",
        ),
        pytest.param(
            chat(
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "file:///a.png"}}],
                },
                ASSISTANT,
            ),
            "image",
            "messages[0].content[0].image_url",
            "neither at an https address",
            id="image",
        ),
        pytest.param(
            chat({"role": "user", "content": "key sk-proj-abcdefghij0123456789"}, ASSISTANT),
            "key",
            "48",
            "OpenAI",
            id="secret",
        ),
    ],
)
def test_errors(tmp_path: Path, line: Any, kind: str, column: str, says: str) -> None:
    """Each is a row with its line, its place, what is wrong and how to mend it."""
    import re

    result = found(written(tmp_path / "d.jsonl", line), "supervised")
    held = [row for row in result.report.rows if row.kind == kind]
    assert held, rows(result)
    assert (held[0].line, held[0].column, held[0].severity) == (13, column, "error")
    assert re.search(says, held[0].problem)
    assert held[0].remedy
    assert held[0].file == "d.jsonl"
    assert not result.ok


@pytest.mark.parametrize(
    ("line", "kind", "says"),
    [
        pytest.param("", "blank line", "blank", id="blank line"),
        pytest.param(chat(USER, ASSISTANT, id=3), "unknown key", "'id'", id="unknown key"),
        pytest.param(good()[4], "duplicate", "same as line 5", id="duplicate"),
        pytest.param(
            json.dumps(good()[4], indent=None).replace(": ", ":  "),
            "duplicate",
            "line 5",
            id="spaces",
        ),
        pytest.param(
            chat(good()[4]["messages"][0], ASSISTANT), "contradiction", "line 5", id="contradiction"
        ),
        pytest.param(
            chat(USER, USER, ASSISTANT), "order", "follow one another", id="twice the user"
        ),
        pytest.param(
            chat(USER, {"role": "system", "content": "s"}, ASSISTANT),
            "order",
            "not the first",
            id="system",
        ),
        pytest.param(chat(ASSISTANT), "order", "No message is the user's", id="no user"),
        pytest.param(
            chat({"role": "user", "content": "write to jo.doe@firma.de"}, ASSISTANT),
            "e-mail address",
            "j…@firma.de",
            id="e-mail",
        ),
    ],
)
def test_warnings(tmp_path: Path, line: Any, kind: str, says: str) -> None:
    """What the service takes, and what is worth a look all the same."""
    result = found(written(tmp_path / "d.jsonl", line), "supervised")
    held = [row for row in result.report.rows if row.kind == kind]
    assert [(row.line, row.severity) for row in held] == [(13, "warning")], rows(result)
    assert says in held[0].problem
    assert result.ok


@pytest.mark.parametrize(
    "line",
    [
        chat({"role": "system", "content": "s"}, USER, ASSISTANT, USER, ASSISTANT),
        chat({"role": "developer", "content": "s"}, {**USER, "name": "jo"}, ASSISTANT),
        chat(USER, {**ASSISTANT, "weight": 0}, USER, {**ASSISTANT, "weight": 1}),
        chat(
            USER,
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "content": "", "tool_call_id": "c1"},
            ASSISTANT,
            tools=TOOLS,
            parallel_tool_calls=False,
        ),
        chat(USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}, tools=TOOLS),
        chat(
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What?"},
                    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                ],
            },
            ASSISTANT,
        ),
        chat({"role": "user", "content": "mail me@example.org, task-list, xox, AKIA"}, ASSISTANT),
        chat({"role": "user", "content": "\u2028 é 😀"}, ASSISTANT),
    ],
    ids=["turns", "developer", "weights", "tools", "a call to learn", "image", "no secret", "text"],
)
def test_nothing_wrong(tmp_path: Path, line: Any) -> None:
    """What the API's description allows is not complained of."""
    result = found(written(tmp_path / "d.jsonl", line))
    assert rows(result) == []
    assert (result.training.examples, result.method) == (13, "supervised")


PAIR = {"input": chat(USER), "preferred_output": [ASSISTANT]}


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ({**PAIR, "non_preferred_output": [{"role": "assistant", "content": "c"}]}, None),
        ({**PAIR, "non_preferred_output": [ASSISTANT]}, "same answers"),
        ({**PAIR, "non_preferred_output": []}, "no answer"),
        ({**PAIR, "non_preferred_output": "c"}, "no answer"),
        ({**PAIR, "input": chat(USER, ASSISTANT)}, "last message"),
        ({**PAIR, "input": []}, "format"),
        (chat(USER, ASSISTANT), "format"),
    ],
)
def test_preferences(tmp_path: Path, line: Any, kind: str | None) -> None:
    """Pairs of answers: what they answer ends with the user, and the two are not the same."""
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps(line) + "\n")
    kinds = {row.kind for row in found(path, "dpo").report.rows} - {"few examples"}
    assert (kind in kinds) if kind else kinds == set()


def test_reinforcement(tmp_path: Path) -> None:
    """The last message is the user's, other keys are the grader's and tell examples apart."""
    lines = [{"messages": [USER], "answer": n} for n in range(12)]
    path = tmp_path / "d.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, lines[0]]))
    result = found(path)
    assert result.method == "reinforcement"
    assert {row.kind for row in result.report.rows} == {"duplicate", "contradiction"}
    path.write_text(json.dumps({"messages": [USER, ASSISTANT], "answer": 1}))
    assert "last message" in {row.kind for row in found(path, "reinforcement").report.rows}


def test_a_carriage_return_within_an_example(tmp_path: Path) -> None:
    """It is a space of JSON, and ends no line: what follows is still known by its own line."""
    line = '{"messages":\r[{"role": "user", "content": "%s"}], "answer": 1}\n'
    path = tmp_path / "graded.jsonl"
    path.write_text("".join(line % text for text in "abcdefghijkb"), "utf-8", newline="")
    found = check(source_of(path), method="reinforcement")
    assert [(row.line, row.kind) for row in found.report.rows] == [(12, "duplicate")]


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_line_ends(tmp_path: Path, end: str) -> None:
    """Both are fine, and lines are counted right."""
    path = written(tmp_path / "d.jsonl", "", "{", end=end)
    assert rows(found(path)) == [(13, "warning", "blank line"), (14, "error", "JSON")]
    path.write_bytes(path.read_bytes().rstrip())
    assert rows(found(path)) == [(13, "warning", "blank line"), (14, "error", "JSON")]


def test_encodings(tmp_path: Path) -> None:
    """A mark, UTF-16 and a byte that is no UTF-8 are told with their place; the rest is read."""
    path = written(tmp_path / "d.jsonl")
    plain = path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + plain)
    assert rows(found(path)) == [(1, "error", "encoding")]
    path.write_bytes(plain.decode().encode("utf-16"))
    result = found(path)
    assert rows(result) == [(1, "error", "encoding")]
    assert result.training.examples == 12
    path.write_bytes(plain.replace(b'"q3"', b'"caf\xe9"'))
    (row,) = found(path).report.rows
    assert (row.line, row.column, row.kind) == (4, "47", "encoding")
    assert "0xe9" in row.problem


@pytest.mark.parametrize("indent", [None, 1], ids=["a list", "indented"])
def test_a_document_that_is_called_lines(tmp_path: Path, indent: int | None) -> None:
    """A file that is one JSON document is told what it is to be called."""
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps([good()[0]], indent=indent))
    assert "call it .json" in found(path).report.rows[0].remedy


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf"], ids=["nothing", "blank", "mark"])
def test_an_empty_file(tmp_path: Path, content: bytes) -> None:
    """It is an error, and no division by zero."""
    path = tmp_path / "d.jsonl"
    path.write_bytes(content)
    result = found(path)
    assert (result.training.examples, result.epochs) == (0, 0)
    assert len(result.report.rows) >= 1
    assert result.summary


def test_one_example(tmp_path: Path) -> None:
    """It is a warning, and where OpenAI trains an error."""
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps(chat(USER, ASSISTANT)))
    assert rows(found(path)) == [(None, "warning", "few examples")]
    assert not found(path, refused_by="OpenAI").ok
    assert found(path).epochs == 25


def test_a_hundred_thousand_problems(tmp_path: Path) -> None:
    """All are counted; the table shows the first of each kind."""
    path = tmp_path / "d.jsonl"
    path.write_text('{"messages": []}\n' * 60_000 + "{\n" * 40_000)
    result = found(path)
    assert result.errors >= 100_000
    frame = result.problems
    assert len(frame) == 2 * EACH
    assert list(frame.columns) == ["file", "line", "column", "severity", "problem", "remedy"]
    assert frame["line"].iloc[EACH] == 60_001
    said = {value.partition(":")[0]: value for _, value in result.summary}
    assert said["JSON"] == f"JSON: 40,000, the first {EACH} of them in the table"


def test_split_leakage(tmp_path: Path) -> None:
    """The same example on both sides is an error, the same prompt a warning."""
    validation = [good()[2], chat(good()[3]["messages"][0], ASSISTANT), chat(USER, ASSISTANT)]
    path = written(tmp_path / "d.jsonl")
    result = check(source_of(path), source_of(validation, name="held_out"))
    told = [(row.file, row.line, row.severity, row.kind) for row in result.report.rows]
    assert told == [
        ("held_out", 1, "error", "split leakage"),
        ("held_out", 2, "warning", "split leakage"),
    ]
    assert "line 3 of d.jsonl" in result.report.rows[0].problem
    assert result.validation is not None
    assert result.validation.examples == 3


def test_validation_equal_to_training(tmp_path: Path) -> None:
    """Every example leaks, which is said first of all, and in one line."""
    path = written(tmp_path / "d.jsonl")
    result = check(source_of(path), source_of(path))
    assert result.report.counts["error", "split leakage"] == 13
    assert "The validation data is the training data" in result.problems["problem"].iloc[0]


def test_leakage_among_many_repeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much repeats within the training data, what leaks is told, and counted as that."""
    monkeypatch.setattr("openai_magics.training.repeats.RUN", 1000)
    same = [chat(USER, ASSISTANT)] * 700
    held_out = [
        chat(USER, ASSISTANT),
        *(chat({**USER, "content": n}, ASSISTANT) for n in ("one", "two")),
    ]
    path = written(tmp_path / "d.jsonl", *same)
    result = check(source_of(path), source_of(held_out, name="held_out"))
    told = [(row.file, row.line) for row in result.report.rows if row.kind == "split leakage"]
    assert told == [("held_out", 1)]
    many = [chat({**USER, "content": str(n)}, ASSISTANT) for n in range(3000)]
    result = check(source_of(many), source_of(many[:2500], name="held_out"))
    assert result.report.counts == {("error", "split leakage"): 2500}


def test_lengths(tmp_path: Path) -> None:
    """Tokens are counted as the vocabulary has them, plain or careful, and long ones are told of."""
    long = chat({"role": "user", "content": "tide " * 20_000}, ASSISTANT)
    path = written(tmp_path / "d.jsonl", long)
    result = found(path, model="gpt-3.5-turbo")
    assert rows(result) == [(13, "warning", "too long")]
    import quicktok

    count = quicktok.get_encoding("o200k_base").count
    expected = sum(
        sum(count(message["content"]) + 3 for message in example["messages"]) + 3
        for example in [*good(), long]
    )
    assert result.training.tokens == expected
    careful = tmp_path / "e.jsonl"
    careful.write_text(path.read_text().replace('"content"', '"name": "n", "content"'))
    assert found(careful).training.tokens == expected
    estimated = check(source_of(path), tokens=False).training
    assert 0.5 < estimated.tokens / expected < 2
    assert any("█" in value for _, value in result.summary)


def test_blocks_do_not_change_what_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However a file is cut into blocks, the same is found at the same lines."""
    lines = [good()[1], "", chat(USER), {"x": 1}, chat(USER, {**ASSISTANT, "weight": 1}), "{"]
    path = written(tmp_path / "d.jsonl", *lines)
    whole = found(path, "supervised")
    for size in (1, 7, 100, 333):
        monkeypatch.setattr("openai_magics.training.sources.BLOCK", size)
        cut = found(path, "supervised")
        assert cut.report == whole.report
        assert cut.training == whole.training


def test_a_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line too long to be an example is told of, not read; what follows has its right number."""
    monkeypatch.setattr("openai_magics.training.sources.LONGEST", 5000)
    monkeypatch.setattr("openai_magics.training.sources.BLOCK", 500)
    path = written(tmp_path / "d.jsonl", "x" * 20_000, "{")
    kinds = [(row.line, row.kind) for row in found(path).report.rows]
    assert (13, "too long") in kinds
    assert (14, "JSON") in kinds


def test_a_session_checks(tmp_path: Path) -> None:
    """`Session.check_training` takes what `train` takes, and sends nothing."""
    session = Session()
    rows = [(f"q{n}", f"a{n}") for n in range(40)]
    result = session.check_training(rows, split=0.25, system="Be brief.")
    assert result.validation is not None
    assert result.training.examples + result.validation.examples == 40
    assert result.training.messages == 3 * result.training.examples
    with pytest.raises(ours.OptionError, match="did you mean 'supervised'"):
        session.check_training(rows, method="supervized")
    with pytest.raises(ours.OptionError, match="between 0 and 1"):
        session.check_training(rows, split=2)
    assert {item.request.kind for item in session.dialogue} == {"check"}
