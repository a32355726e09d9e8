"""`Live` against a real server: what is sent, what comes back, what is tried again."""

from __future__ import annotations

import json
import signal
import socket
import threading
from typing import Any

import openai
import pytest

from openai_magics import errors as ours
from openai_magics.client import Listener
from openai_magics.exchange import Reply
from tests.scripted import Plan, ScriptedServer, Style, answer, errors, failures
from tests.scripted import Reply as Scripted
from tests.scripted.asking import KEY
from tests.server.ways import (
    ALL,
    ASTREAMED,
    BOTH,
    STREAMED,
    STREAMS,
    WHOLE,
    Heard,
    Way,
    live,
    request,
)

SOON = {"retry-after-ms": "1"}


@pytest.mark.parametrize("way", ALL)
def test_an_answer(scripted: ScriptedServer, way: Way) -> None:
    """Text, usage, the model that served it, ids and finish reason are in the reply."""
    scripted.script.then(answer("Paris is the capital.", model="gpt-4o-2024-08-06"))
    heard = Heard()
    reply = way.send(live(scripted), request("What is the capital of France?"), heard)
    assert reply.text == str(reply) == "Paris is the capital."
    assert (reply.model, reply.finish_reason) == ("gpt-4o-2024-08-06", "stop")
    assert (reply.response_id, reply.system_fingerprint) == ("chatcmpl-00000001", "fp_scripted")
    assert (reply.usage["prompt_tokens"], reply.usage["completion_tokens"]) == (6, 4)
    assert reply.resolved.model == "gpt-4o"
    assert reply.resolved.endpoint == f"127.0.0.1:{scripted.port}"
    assert heard.text == (reply.text if way.streams else "")
    assert heard.notices == []


@pytest.mark.parametrize("way", ALL)
def test_only_what_was_set_is_sent(scripted: ScriptedServer, way: Way) -> None:
    """No temperature, no limit, no null: the model, the messages, and what streaming needs."""
    way.send(live(scripted), request())
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    assert scripted.requests[0].json == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Hi"}],
        **(stream if way.streams else {}),
    }
    assert scripted.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("way", BOTH)
def test_the_headers_are_the_clients(
    scripted: ScriptedServer, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Organization, project and custom headers of the environment go with an ask, as all of ``openai``'s."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-lab")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj_7")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Team: blue")
    sender = live(scripted)
    for _ in range(2):
        way.send(sender, request())
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
    openai.OpenAI(base_url=scripted.base_url, api_key=KEY).chat.completions.create(**body)  # type: ignore[call-overload]
    first, second, theirs = (dict(each.headers) for each in scripted.requests)
    assert first == second
    assert (first["openai-organization"], first["x-team"]) == ("org-lab", "blue")
    for own in (first, theirs):  # what each request has of its own, and what a blocking client is
        for name in ("x-stainless-retry-count", "x-stainless-read-timeout", "content-length"):
            own.pop(name, None)
        own.pop("x-stainless-async"), own.pop("user-agent")
    assert first == theirs


SCHEMA = {"name": "city", "strict": True, "schema": {"type": "object", "properties": {}}}


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({"max_completion_tokens": 9}, id="max tokens"),
        pytest.param({"seed": 7, "temperature": 0.0, "top_p": 0.5}, id="sampling"),
        pytest.param({"reasoning_effort": "low"}, id="effort"),
        pytest.param({"stop": ["END"], "n": 2, "logprobs": True}, id="others"),
        pytest.param(
            {"response_format": {"type": "json_schema", "json_schema": SCHEMA}}, id="schema"
        ),
    ],
)
def test_parameters_are_sent_as_they_are(
    scripted: ScriptedServer, way: Way, parameters: dict[str, Any]
) -> None:
    """What was set goes into the body under its own name and is kept with the reply."""
    reply = way.send(live(scripted), request(parameters=parameters))
    sent = scripted.requests[0].json
    assert {name: sent[name] for name in parameters} == parameters
    assert sent.keys() - parameters.keys() <= {"model", "messages", "stream", "stream_options"}
    assert reply.resolved.parameters == parameters


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    ("system", "message", "sent"),
    [
        pytest.param(None, "A city.", "Answer in JSON.", id="none"),
        pytest.param("Be brief.", "A city.", "Be brief.\nAnswer in JSON.", id="some"),
        pytest.param("Be brief.", "A city as json.", "Be brief.", id="already asked for"),
    ],
)
def test_json_is_asked_for_in_words(
    scripted: ScriptedServer, way: Way, system: str | None, message: str, sent: str
) -> None:
    """OpenAI refuses ``json_object`` where no message speaks of JSON, so the system does."""
    asked = request(message, system=system, parameters={"response_format": {"type": "json_object"}})
    reply = way.send(live(scripted), asked)
    assert scripted.requests[0].messages[0] == {"role": "system", "content": sent}
    assert reply.resolved.system == sent


@pytest.mark.parametrize("way", BOTH)
def test_schema_and_tools(scripted: ScriptedServer, way: Way) -> None:
    """A schema is sent as response format, tools as tools; the calls are in the reply."""
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    calls = [("weather", {"city": "Oslo"}), ("weather", {"city": "Bergen"})]
    scripted.script.then(answer(tool_calls=calls))
    reply = way.send(live(scripted), request(schema=SCHEMA, tools=[tool]))
    sent = scripted.requests[0].json
    closed = {**SCHEMA["schema"], "required": [], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {**SCHEMA, "schema": closed}}
    assert sent["response_format"] == form
    assert sent["tools"] == [tool]
    assert (reply.text, reply.finish_reason) == ("", "tool_calls")
    functions = [call["function"] for call in reply.tool_calls]
    assert [(each["name"], json.loads(each["arguments"])) for each in functions] == calls
    assert [call["id"] for call in reply.tool_calls] == ["call_1", "call_2"]


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize(
    "style",
    [
        pytest.param(Style(newline="\r\n"), id="CRLF"),
        pytest.param(Style(newline="\r"), id="CR"),
        pytest.param(Style(comments=True, fields=True), id="comments after ids"),
        pytest.param(Style(multiline=True, space=False), id="data in several lines"),
        pytest.param(Style(newline="\r\n", comments=True, multiline=True, packet=1), id="bytes"),
    ],
)
def test_every_way_to_write_events(scripted: ScriptedServer, way: Way, style: Style) -> None:
    """What the SSE standard allows arrives as the same text, wherever the packets are cut."""
    text = "Zoë said\N{LINE SEPARATOR}one\N{NEXT LINE}two 😀."
    scripted.script.then(answer(text, style=style))
    heard = Heard()
    assert way.send(live(scripted), request(), heard).text == heard.text == text


@pytest.mark.parametrize("way", STREAMS)
def test_text_comes_as_it_is_said(scripted: ScriptedServer, way: Way) -> None:
    """The first piece is heard while the server still holds the rest back."""
    go = threading.Event()
    scripted.script.then(answer("One two three.", hold=go, hold_after=2))
    heard = Heard()

    class Pieces(list[str]):
        def append(self, piece: str) -> None:
            super().append(piece)
            go.set()  # without a first piece there would never be a second

    heard.pieces = Pieces()
    way.send(live(scripted), request(), heard)
    assert heard.pieces == ["One ", "two ", "three."]


@pytest.mark.parametrize("way", ALL)
def test_a_big_answer(scripted: ScriptedServer, way: Way) -> None:
    """A megabyte of answer arrives whole."""
    big = failures.big(chunks=1000)
    scripted.script.then(big)
    heard = Heard()
    assert way.send(live(scripted), request(), heard).text == big.text
    assert heard.text == (big.text if way.streams else "")


def test_one_connection_serves_many_asks(scripted: ScriptedServer) -> None:
    """The client is kept, and with it the connection."""
    sender, ports = live(scripted), set()
    for _ in range(3):
        sender.send(request())
        ports.add(len(sender.clients))
    assert ports == {1}
    assert len(scripted._open) == 1


def test_a_changed_timeout_holds_at_once(scripted: ScriptedServer) -> None:
    """The setting is asked for at every call, also when a client is already there."""
    sender = live(scripted)
    sender.send(request())
    sender.settings.arguments["timeout"] = 0.2
    scripted.script.then(failures.never())
    with pytest.raises(ours.Unreachable, match="did not answer in time"):
        sender.send(request())


# --- trying again


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_a_failure_of_the_moment_is_tried_again(
    scripted: ScriptedServer, way: Way, status: int
) -> None:
    """The waiting is said, then taken back, and the answer is the next one."""
    scripted.script.then(errors.error(status, None, "Not now.", headers=SOON), "Fine.")
    heard = Heard()
    assert way.send(live(scripted, retries=2), request(), heard).text == "Fine."
    said, taken_back = heard.notices
    assert "Not now." in said
    assert said.endswith("Trying again in 0 s (2 more times).")
    assert taken_back == ""
    assert len(scripted.requests) == 2


@pytest.mark.parametrize("way", ALL)
def test_it_is_tried_as_often_as_set(scripted: ScriptedServer, way: Way) -> None:
    """After the last try the failure is raised, with what the service said of it."""
    scripted.script.always(errors.rate_limited("0.001"))
    heard = Heard()
    with pytest.raises(ours.RateLimited, match="Limit 3, Used 3") as caught:
        way.send(live(scripted, retries=2), request(), heard)
    assert (caught.value.status, caught.value.code) == (429, "rate_limit_exceeded")
    assert caught.value.retry_after == 0.001
    assert caught.value.request_id == f"req_{3:032x}"
    assert len(scripted.requests) == 3
    said = [line.partition("Trying again ")[2] for line in heard.notices]
    assert said == ["in 0 s (2 more times).", "", "in 0 s (1 more time).", ""]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"retry-after": "1"}, "1", id="seconds"),
        pytest.param({"retry-after-ms": "700"}, "1", id="milliseconds"),
        pytest.param({"retry-after-ms": "1", "retry-after": "100"}, "0", id="the finer one"),
        pytest.param({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, "0", id="a date"),
        pytest.param({"retry-after": "Wed, 21 Oct 2015 07:28:00 -0000"}, "0", id="no zone"),
        pytest.param({"retry-after": "-3"}, "0", id="negative"),
    ],
)
def test_the_service_says_how_long(
    scripted: ScriptedServer, headers: dict[str, str], seconds: str
) -> None:
    """``retry-after-ms`` goes before ``Retry-After``, which is seconds or a date."""
    scripted.script.then(errors.error(503, headers=headers), "Fine.")
    heard = Heard()
    assert WHOLE.send(live(scripted, retries=1), request(), heard).text == "Fine."
    assert f"Trying again in {seconds} s" in heard.notices[0]


@pytest.mark.parametrize("value", ["soon", "nan"])
def test_a_wait_that_says_nothing_is_passed_over(scripted: ScriptedServer, value: str) -> None:
    """Then it is waited as without one."""
    scripted.script.then(errors.error(503, headers={"retry-after": value}), "Fine.")
    assert WHOLE.send(live(scripted, retries=1), request()).text == "Fine."


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("headers", [{"retry-after": "121"}, {"retry-after-ms": "inf"}])
def test_too_long_a_wait_is_not_waited(
    scripted: ScriptedServer, way: Way, headers: dict[str, str]
) -> None:
    """Above two minutes the failure is raised at once, and says how long it would be."""
    scripted.script.then(errors.rate_limited(None, headers))
    heard = Heard()
    with pytest.raises(ours.RateLimited) as caught:
        way.send(live(scripted, retries=2), request(), heard)
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 120
    assert heard.notices == []
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(errors.no_quota(SOON), ours.QuotaExhausted, id="quota"),
        pytest.param(errors.error(402, headers=SOON), ours.QuotaExhausted, id="402"),
        pytest.param(errors.error(400, headers=SOON), ours.RequestRefused, id="400"),
        pytest.param(errors.error(413, headers=SOON), ours.RequestRefused, id="413"),
        pytest.param(errors.error(422, headers=SOON), ours.RequestRefused, id="422"),
        pytest.param(errors.invalid_key("sk-wrong", SOON), ours.KeyRefused, id="401"),
        pytest.param(errors.not_allowed(headers=SOON), ours.AccessRefused, id="403"),
        pytest.param(errors.model_not_found("gpt-4o", SOON), ours.ModelNotFound, id="404"),
        pytest.param(errors.context_too_long(headers=SOON), ours.ContextTooLong, id="context"),
        pytest.param(errors.prompt_refused(SOON), ours.ContentRefused, id="policy"),
        pytest.param(errors.prompt_refused_azure(SOON), ours.ContentRefused, id="Azure"),
    ],
)
def test_what_waiting_does_not_help_is_raised_at_once(
    scripted: ScriptedServer, way: Way, reply: Plan, kind: type[ours.ServiceError]
) -> None:
    """Each is the error of its kind, with the service's words and one way forward."""
    scripted.script.always(reply)
    heard = Heard()
    with pytest.raises(kind) as caught:
        way.send(live(scripted, retries=2), request(), heard)
    assert type(caught.value) is kind
    assert caught.value.remedy
    assert heard.notices == []
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("status", [405, 407, 415, 418, 423, 431, 451])
def test_only_what_is_the_requests_own_fault_lasts(
    scripted: ScriptedServer, way: Way, status: int
) -> None:
    """A wrong address, a proxy or the law is no property of the request: it may pass later."""
    scripted.script.then(errors.error(status))
    with pytest.raises(ours.ServiceError) as caught:
        way.send(live(scripted, retries=2), request())
    assert not caught.value.lasting
    assert len(scripted.requests) == 1


CODES = [
    pytest.param(400, "invalid_api_key", ours.KeyRefused, id="key"),
    pytest.param(400, "model_not_found", ours.ModelNotFound, id="model"),
    pytest.param(403, "insufficient_quota", ours.QuotaExhausted, id="quota"),
    pytest.param(400, "rate_limit_exceeded", ours.RateLimited, id="rate"),
]


@pytest.mark.parametrize(("status", "code", "kind"), CODES)
def test_a_code_says_more_than_a_status(
    scripted: ScriptedServer, status: int, code: str, kind: type[ours.ServiceError]
) -> None:
    """Gateways send OpenAI's codes under statuses of their own."""
    scripted.script.then(errors.error(status, code))
    with pytest.raises(kind):
        WHOLE.send(live(scripted), request())


@pytest.mark.parametrize(
    ("way", "reply"),
    [
        pytest.param(WHOLE, failures.reset(), id="reset"),
        pytest.param(STREAMED, failures.hang_up(), id="closed"),
        pytest.param(ASTREAMED, failures.reset(), id="reset, async"),
    ],
)
def test_a_connection_that_broke_before_text_is_tried_again(
    scripted: ScriptedServer, way: Way, reply: Scripted
) -> None:
    """Nothing was heard, so nothing is said twice."""
    scripted.script.then(reply, "Fine.")
    heard = Heard()
    assert way.send(live(scripted, retries=1), request(), heard).text == "Fine."
    assert f"127.0.0.1:{scripted.port} cannot be reached" in heard.notices[0]
    assert heard.notices[1:] == [""]


def test_a_stream_that_broke_before_text_is_tried_again(scripted: ScriptedServer) -> None:
    """The first event only says whose turn it is."""
    scripted.script.then(failures.cut(after=1, how="reset"), "Fine.")
    heard = Heard()
    assert STREAMED.send(live(scripted, retries=1), request(), heard).text == "Fine."
    assert heard.pieces == ["Fine."]


@pytest.fixture
def port() -> int:
    """Give a port where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@pytest.mark.parametrize("way", [WHOLE, ASTREAMED])
def test_a_server_that_starts_meanwhile_answers(port: int, way: Way) -> None:
    """A refused connection is tried again."""
    servers: list[ScriptedServer] = []

    class Notices(list[str]):
        def append(self, line: str) -> None:
            super().append(line)
            if not servers:
                servers.append(ScriptedServer(port=port))

    sender = live(None, base_url=f"http://127.0.0.1:{port}/v1", retries=1)
    heard = Heard(notices=Notices())
    try:
        assert way.send(sender, request(), heard).text.startswith("You said: Hi.")
    finally:
        for server in servers:
            server.close()
    assert f"127.0.0.1:{port} cannot be reached: Connection refused." in heard.notices[0]


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("how", ["closed", "reset", "stalled"])
def test_what_was_heard_is_not_said_twice(scripted: ScriptedServer, way: Way, how: Any) -> None:
    """After text there is no second try; what came is in the error's reply."""
    scripted.script.then(failures.cut(how=how), "Never asked.")
    heard = Heard()
    with pytest.raises(ours.Unreachable) as caught:
        way.send(live(scripted, retries=2, timeout=2 if how == "stalled" else 60), request(), heard)
    assert caught.value.reply is not None
    assert caught.value.reply.text == heard.text == "The quick "
    assert caught.value.reply.finish_reason == "cut_off"
    assert heard.notices == []
    assert len(scripted.requests) == 1


def test_stopping_while_it_waits(scripted: ScriptedServer) -> None:
    """An interrupt ends the wait, and the notice is taken back."""
    scripted.script.then(errors.error(503, headers={"retry-after": "100"}))
    notices: list[str] = []

    def notice(line: str) -> None:
        notices.append(line)
        if line:
            # As a person's Ctrl-C does: a signal that ends a sleep.
            main = threading.main_thread().ident
            assert main is not None
            threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        live(scripted, retries=1).send(request(), Listener(on_notice=notice))
    assert len(notices) == 2
    assert notices[-1] == ""


def test_a_listener_that_fails_is_not_the_services_fault(scripted: ScriptedServer) -> None:
    """Its error comes through as it is, and holds what had come."""

    def broken(piece: str) -> None:
        raise ZeroDivisionError(piece)

    scripted.script.then("One two three.")
    with pytest.raises(ZeroDivisionError) as caught:
        live(scripted, retries=2).send(request(), Listener(broken))
    partial: Reply = caught.value.reply  # type: ignore[attr-defined]
    assert partial.text.startswith("One ")
    assert partial.finish_reason == "cut_off"
    assert len(scripted.requests) == 1
