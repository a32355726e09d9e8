"""What the ``openai`` client makes of what a server may send it.

A record of the client more than of the server: where a row says an exception, that is what a
caller has to catch; where it says anything else, that is what a caller has to notice by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.scripted import (
    Reply,
    ScriptedServer,
    Style,
    answer,
    errors,
    failures,
)
from tests.scripted.asking import KEY, Heard, ask, listen, outcome, said

FOX = failures.TEXT
FEW = "The quick "


@pytest.fixture
def client(scripted: ScriptedServer) -> Iterator[OpenAI]:
    """Give a client of the server that does not retry."""
    with OpenAI(base_url=scripted.base_url, api_key=KEY, max_retries=0) as made:
        yield made


@pytest.mark.parametrize(
    "style",
    [
        pytest.param(Style(newline="\r\n"), id="CRLF"),
        pytest.param(Style(newline="\r"), id="CR"),
        pytest.param(Style(comments=True), id="comments"),
        pytest.param(Style(multiline=True), id="data in several lines"),
        pytest.param(Style(space=False), id="no space"),
        pytest.param(Style(fields=True), id="event, id and retry"),
        pytest.param(Style(newline="\r\n", comments=True, multiline=True, packet=1), id="bytes"),
    ],
)
def test_the_client_reads_every_way_to_write_events(
    client: OpenAI, scripted: ScriptedServer, style: Style
) -> None:
    """What the SSE standard allows arrives as the same text, wherever the packets are cut."""
    scripted.script.then(answer("Zoë said 😀.", style=style))
    assert listen(client)[:2] == ("Zoë said 😀.", "stop")


def test_the_client_fails_on_a_comment_after_an_id(
    client: OpenAI, scripted: ScriptedServer
) -> None:
    """A keep-alive comment after an event with an id is legal, and a JSONDecodeError."""
    scripted.script.then(answer("Hi.", style=Style(comments=True, fields=True)))
    assert outcome(listen, client) is json.JSONDecodeError


def test_iter_lines_loses_text(client: OpenAI, scripted: ScriptedServer) -> None:
    """``iter_lines`` also ends lines at U+0085, U+2028 and U+2029, in the middle of JSON."""
    scripted.script.then(failures.separators())
    with client.chat.completions.with_streaming_response.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
    ) as response:
        lines = [line for line in response.iter_lines() if line and line != "data: [DONE]"]
    assert any(not line.startswith("data: ") for line in lines)
    assert not any(mark in "".join(lines) for mark in "\x85\u2028\u2029")


def test_an_emoji_in_two_halves(client: OpenAI, scripted: ScriptedServer) -> None:
    """An emoji cut into surrogates over two chunks is not one character when joined."""
    scripted.script.then(failures.split_surrogates())
    text = listen(client).text
    assert text == "ab\ud83d\ude00yz"
    assert text.encode("utf-16", "surrogatepass").decode("utf-16") == "ab😀yz"


BROKEN: dict[str, tuple[Reply, Any, Any]] = {
    # The reply; what it is to a caller when whole; and when streamed.
    "choices null": (failures.choices_null(), None, Heard("", None, 11)),
    "choices empty": (failures.choices_empty(), [], Heard("", None, 11)),
    "choices missing": (failures.missing("choices"), None, Heard("", None, 11)),
    "JSON for a stream": (failures.json_for_stream(), FOX, Heard("", None, 0)),
    "HTML": (failures.html("<p>Sign in"), "<p>Sign in", Heard("", None, 0)),
    "HTML 502": (
        failures.html("<p>Bad gateway", 502),
        openai.InternalServerError,
        openai.InternalServerError,
    ),
    "JSON null": (failures.json_null(), None, Heard("", None, 0)),
    "malformed JSON": (failures.malformed_json(), json.JSONDecodeError, Heard("", None, 0)),
    "empty body": (failures.empty_body(), json.JSONDecodeError, Heard("", None, 0)),
    "bad chunk": (failures.bad_chunk(), json.JSONDecodeError, json.JSONDecodeError),
    "error in the stream": (
        failures.error_in_stream(),
        openai.InternalServerError,
        openai.APIError,
    ),
    "ended early": (failures.cut(), json.JSONDecodeError, Heard(FEW, None, 3)),
    "closed early": (
        failures.cut(how="closed"),
        openai.APIConnectionError,
        openai.APIConnectionError,
    ),
    "reset": (failures.cut(how="reset"), openai.APIConnectionError, openai.APIConnectionError),
    "stalled": (failures.cut(how="stalled"), openai.APITimeoutError, openai.APITimeoutError),
    "short body": (failures.short_body(), openai.APIConnectionError, openai.APIConnectionError),
    "never answers": (failures.never(), openai.APITimeoutError, openai.APITimeoutError),
    "hangs up": (failures.hang_up(), openai.APIConnectionError, openai.APIConnectionError),
    "resets at once": (failures.reset(), openai.APIConnectionError, openai.APIConnectionError),
}


@pytest.mark.parametrize(
    ("reply", "whole", "streamed"), [pytest.param(*row, id=name) for name, row in BROKEN.items()]
)
def test_what_the_client_makes_of_a_broken_reply(
    client: OpenAI, scripted: ScriptedServer, reply: Reply, whole: Any, streamed: Any
) -> None:
    """An exception type is what it raises; anything else passes unnoticed, as it stands here."""
    scripted.script.always(reply)
    for call, expected in ((said, whole), (listen, streamed)):
        timeout = 0.3 if expected is openai.APITimeoutError else 60
        assert outcome(call, client.with_options(timeout=timeout)) == expected


def test_a_reset_in_a_stream_comes_after_its_chunks(
    client: OpenAI, scripted: ScriptedServer
) -> None:
    """What was sent before a reset arrives, so it can be kept."""
    scripted.script.then(failures.cut(how="reset"))
    stream = ask(client, stream=True)
    text = "".join(next(stream).choices[0].delta.content for _ in range(3))
    assert text == FEW
    with pytest.raises(openai.APIConnectionError) as caught:
        next(stream)
    assert isinstance(caught.value.__cause__, httpx2.ReadError)


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        pytest.param(errors.error(418), openai.APIStatusError, None, id="any"),
        pytest.param(
            errors.not_allowed(), openai.PermissionDeniedError,
            "unsupported_country_region_territory", id="403",
        ),
        pytest.param(errors.model_not_found(), openai.NotFoundError, "model_not_found", id="404"),
        pytest.param(
            errors.context_too_long(), openai.BadRequestError, "context_length_exceeded",
            id="context",
        ),
        pytest.param(
            errors.prompt_refused(), openai.BadRequestError, "invalid_prompt", id="policy"
        ),
        pytest.param(
            errors.prompt_refused_azure(), openai.BadRequestError, "content_filter", id="Azure"
        ),
        pytest.param(errors.rate_limited(), openai.RateLimitError, "rate_limit_exceeded", id="429"),
        pytest.param(errors.no_quota(), openai.RateLimitError, "insufficient_quota", id="quota"),
        pytest.param(errors.server_error(), openai.InternalServerError, None, id="500"),
        pytest.param(errors.overloaded(), openai.InternalServerError, None, id="503"),
    ],
)  # fmt: skip
def test_errors_of_the_service(
    client: OpenAI, scripted: ScriptedServer, reply: Reply, kind: type[Exception], code: str | None
) -> None:
    """Each error is the client's exception for its status, with the service's code."""
    scripted.script.always(reply)
    for call in (ask, listen):
        with pytest.raises(kind) as caught:
            call(client)
        assert getattr(caught.value, "code", None) == code


def test_errors_say_more(client: OpenAI, scripted: ScriptedServer) -> None:
    """The model that was asked, Azure's findings and the time to wait are in the error."""
    scripted.script.then(errors.model_not_found(), errors.prompt_refused_azure())
    scripted.script.then(errors.rate_limited("20"))
    with pytest.raises(openai.NotFoundError, match="`gpt-4o` does not exist"):
        ask(client)
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client)
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["innererror"]["content_filter_result"]["violence"]["filtered"]
    with pytest.raises(openai.RateLimitError) as limited:
        ask(client)
    assert limited.value.response.headers["retry-after"] == "20"


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_the_client_retries(client: OpenAI, scripted: ScriptedServer, status: int) -> None:
    """A status that may pass is asked again; then the answer is the next of the script."""
    scripted.script.then(errors.error(status, headers={"retry-after-ms": "1"}), "Fine.")
    assert said(client.with_options(max_retries=1)) == "Fine."
    assert len(scripted.requests) == 2


def test_the_client_retries_without_credit(client: OpenAI, scripted: ScriptedServer) -> None:
    """``insufficient_quota`` is a 429 to the client, so it asks again in vain."""
    scripted.script.always(errors.no_quota({"retry-after-ms": "1"}))
    assert outcome(said, client.with_options(max_retries=2)) is openai.RateLimitError
    assert len(scripted.requests) == 3


@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_reply_may_repeat_the_key(client: OpenAI, scripted: ScriptedServer, status: int) -> None:
    """The key comes back in text or message, body and headers: what must not be shown or kept."""
    scripted.script.then(failures.echoes_key(status))
    if status == 200:
        assert KEY in said(client)
        return
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client)
    assert KEY in caught.value.message
    assert KEY in str(caught.value.body)
    assert KEY in caught.value.response.headers["x-echo"]
