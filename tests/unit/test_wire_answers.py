"""Whole answers, and what only looks like one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openai_magics import errors
from openai_magics.errors import BadReply
from openai_magics.exchange import Reply, Request
from openai_magics.wire import answers
from tests.unit.making import ask
from tests.unit.streams import USAGE, completion, delta, read, reply_of, stream


def test_a_whole_answer() -> None:
    """Its text, and who gave it, as the server tells."""
    assert reply_of(completion(content="Hi! 👋")) == Reply(
        text="Hi! 👋",
        finish_reason="stop",
        model="gpt-5.5-2026",
        response_id="chatcmpl-1",
        system_fingerprint="fp_1",
        usage=USAGE,
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("", ""),
        ([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}], "ab"),
        ([{"text": "\ud83d"}, {"text": "\ude00"}, "x", {"text": None}], "😀"),
        (7, ""),
    ],
    ids=["null", "empty", "parts", "a character in two parts", "a number"],
)
def test_content(content: Any, text: str) -> None:
    """The content may be null, or a list of parts."""
    assert reply_of(completion(content=content)).text == text


def test_tool_calls() -> None:
    """The calls that the model wants made come as the API has them."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    reply = reply_of(completion(content=None, tool_calls=[call], finish_reason="tool_calls"))
    assert (reply.text, reply.tool_calls, reply.finish_reason) == ("", (call,), "tool_calls")


def test_numbers_that_json_does_not_know() -> None:
    """NaN and infinity, which some servers send, are null: the dialogue file is JSON."""
    held = json.dumps(completion(content="x") | {"usage": {"prompt_tokens": float("nan")}})
    assert reply_of(held.encode()).usage == {"prompt_tokens": None}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "an empty chat completion", id="nothing"),
        pytest.param(b" \n", "an empty chat completion", id="blanks"),
        pytest.param(b"<!DOCTYPE html><title>Log in</title>", "a web page", id="a web page"),
        pytest.param(b'{"id": "x"', "that is not JSON", id="cut off"),
        pytest.param(b"[" * 100_000, "that is not JSON", id="deep"),
        pytest.param(b"\xff", "that is not JSON", id="not text"),
        pytest.param(b"null", "null in place of a chat completion", id="null"),
        pytest.param(b"[1, 2]", "[1, 2] in place of", id="a list"),
        pytest.param(b"{}", "without choices", id="an empty object"),
        pytest.param(b'{"choices": null}', "without choices", id="null choices"),
        pytest.param(b'{"choices": []}', "without choices", id="no choices"),
        pytest.param(b'{"choices": [null]}', "without a message", id="a null choice"),
        pytest.param(b'{"choices": [{}]}', "without a message", id="no message"),
        pytest.param(b'{"choices": [{"message": "x"}]}', "without a message", id="a text for one"),
        pytest.param(b'{"choices": [{"message": {"tool_calls": [3]}}]}', "is none", id="bad calls"),
        pytest.param(b'{"choices": [{"message": {}}], "usage": 3}', "is none", id="bad usage"),
    ],
)
def test_what_is_no_answer(content: bytes, words: str) -> None:
    """What the client lets pass unnoticed is an error that says what came in place of an answer."""
    with pytest.raises(BadReply) as caught:
        reply_of(content)
    assert words in caught.value.problem


def test_a_web_page_by_its_type() -> None:
    """A page is told by its content type too."""
    with pytest.raises(BadReply, match="a web page"):
        reply_of(b"Log in", kind="text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("held", "kind"),
    [
        ({"error": {"message": "x", "code": "rate_limit_exceeded"}}, errors.RateLimited),
        (
            {"object": "error", "message": "maximum context length", "code": 400},
            errors.ContextTooLong,
        ),
    ],
    ids=["as most send it", "as vLLM sent it"],
)
def test_an_error_under_a_200(held: dict[str, Any], kind: type[Exception]) -> None:
    """Is an error."""
    with pytest.raises(kind):
        reply_of(held)
    with pytest.raises(kind):
        read(stream(delta(content="Half"), held))


LIMITED = {"max_completion_tokens": 5}


@pytest.mark.parametrize(
    ("message", "request_", "kind"),
    [
        pytest.param(
            {"content": "a", "finish_reason": "content_filter"},
            ask(),
            errors.ContentRefused,
            id="filtered",
        ),
        pytest.param(
            {"content": None, "refusal": "No."}, ask(), errors.ContentRefused, id="refused"
        ),
        pytest.param(
            {"content": "a", "finish_reason": "length"}, ask(), errors.LengthCut, id="cut"
        ),
        pytest.param(
            {"content": "a", "finish_reason": "length"},
            ask(parameters=LIMITED),
            None,
            id="cut where asked to",
        ),
        pytest.param({"content": "a", "refusal": ""}, ask(), None, id="an empty refusal"),
        pytest.param({"content": "a", "finish_reason": None}, ask(), None, id="no finish reason"),
    ],
)
def test_settled(
    message: dict[str, Any], request_: Request, kind: type[errors.ServiceError] | None
) -> None:
    """An answer that is none is an error that holds what came."""
    if kind is None:
        assert reply_of(completion(**message), request_).text == "a"
        return
    with pytest.raises(kind) as caught:
        reply_of(completion(**message), request_)
    assert caught.value.reply is not None
    assert caught.value.reply.text == (message["content"] or "")
    assert caught.value.lasting


def test_listing() -> None:
    """A listing is an object; what is none is said to be none."""
    assert answers.listing(b'{"data": []}', "application/json") == {"data": []}
    with pytest.raises(BadReply, match="in place of a listing"):
        answers.listing(b"[]", "application/json")
