"""The key stays out of everything that is shown or written, whatever servers and failures do."""

from __future__ import annotations

import json
import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_magics import Session, config
from openai_magics import errors as ours
from openai_magics.calls import Call, Listener, hidden
from openai_magics.exchange import Reply, joined
from openai_magics.keys import Secret
from openai_magics.magics import configurable
from tests.scripted import Custom, Plan, Request, ScriptedServer, answer, errors, failures
from tests.scripted import Reply as Scripted
from tests.scripted.asking import KEY
from tests.scripted.replies import completion
from tests.scripted.wire import as_json, dumps
from tests.server.ways import ALL, BOTH, STREAMS, Heard, Way, live, records, request, session

PLAIN = "gsk_0123456789abcdefghijklmnopqrst"
"""A key that does not look like OpenAI's, so that only knowing it hides it."""


def nowhere(text: object, key: str = PLAIN) -> None:
    """Check that neither the key nor most of it is in *text*."""
    shown = str(text)
    assert key not in shown
    assert key[:20] not in shown
    assert key[-20:] not in shown


def echo_everywhere(streams: bool) -> Scripted:
    """Return an answer in which every text repeats the key."""

    def make(asked: Request) -> Plan:
        key = asked.headers["authorization"].removeprefix("Bearer ")
        said = f"You are {key}, I think."
        call = {"id": key, "type": "function", "function": {"name": "f", "arguments": f'"{key}"'}}
        more = {"id": key, "model": key, "system_fingerprint": key}
        if streams:
            delta = {"content": said, "tool_calls": [{**call, "index": 0}]}
            choice = {"index": 0, "delta": delta, "finish_reason": "stop"}
            event = f"data: {dumps({'choices': [choice], 'usage': {key: 1}, **more})}\n\n"
            return failures.raw(event, content_type="text/event-stream")
        whole = completion(answer(said), asked) | more | {"usage": {key: 1}}
        whole["choices"][0]["message"]["tool_calls"] = [call]
        return as_json(whole)

    return Custom(make)


@pytest.mark.parametrize("way", ALL)
@pytest.mark.parametrize("key", [PLAIN, KEY])
def test_an_answer_that_repeats_the_key(scripted: ScriptedServer, way: Way, key: str) -> None:
    """It is hidden in the reply, in what is heard, in the record, and in the next request."""
    scripted.script.then(echo_everywhere(way.streams), "Fine.")
    held, heard = session(scripted, api_key=key), Heard()
    options: dict[str, Any] = {"on_text": heard.pieces.append} if way.streams else {}
    reply = way.ask(held, "Who am I?", **options)
    assert reply.text == "You are [key], I think."
    assert heard.text == (reply.text if way.streams else "")
    way.ask(held, "And now?")
    for text in (reply, repr(reply), reply.tool_calls, reply.usage, vars(reply)):
        nowhere(text, key)
    nowhere(held.dialogue_log_path.read_text(), key)
    nowhere(scripted.requests[1].body, key)
    assert session(mode="replay", api_key=key).ask("Who am I?") == reply


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("chunks", [1, 2, 3, 5, 8, 40, 80])
def test_a_key_cut_into_pieces(scripted: ScriptedServer, way: Way, chunks: int) -> None:
    """Wherever the pieces are cut, none of it is heard; what only begins like it is."""
    text = f"gsk_01 is not it, gsk_{PLAIN} is, gsk_0123456789abcdefghijklmnopqrsX is not. gsk_"
    scripted.script.then(answer(text, chunks=chunks))
    sender, heard = live(scripted), Heard()
    sender.key = Secret(PLAIN)
    reply = way.send(sender, request(), heard)
    assert reply.text == heard.text == text.replace(PLAIN, "[key]")


WORDS = st.sampled_from([PLAIN, "gsk_", "gsk_0123", "gs", "k", "\ud83d", "\ude00", "😀", " ", "a"])


@given(st.lists(WORDS), st.lists(st.integers(0, 60)))
def test_pieces_joined_are_the_text(words: list[str], cuts: list[int]) -> None:
    """For any text, and wherever it is cut, a listener hears what the reply will say."""
    text = "".join(words)
    cuts = sorted(min(cut, len(text)) for cut in cuts)
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    heard = Heard()
    call = Call(Listener(heard.pieces.append), Secret(PLAIN))
    call.hear(pieces, last=True)
    assert heard.text == hidden(joined(text), Secret(PLAIN))
    assert PLAIN not in heard.text
    assert all(piece == joined(piece) for piece in heard.pieces)


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("ends", ["length", "cut", "reset"])
def test_an_answer_that_ends_in_the_midst_of_the_key(
    scripted: ScriptedServer, way: Way, ends: str
) -> None:
    """What came of the key is hidden too; a few characters may be any word's."""
    for length, expected in ((len(PLAIN) - 1, "It is [key]"), (3, "It is gsk")):
        text = f"It is {PLAIN[:length]}"
        how: Any = {"cut": "ended"}.get(ends, ends)
        reply = answer(text, "length") if ends == "length" else failures.cut(text, 4, how)
        scripted.script.then(reply)
        held, heard = session(scripted, api_key=PLAIN), Heard()
        with pytest.raises(ours.ServiceError) as caught:
            way.ask(held, f"Ask {length}", on_text=heard.pieces.append)
        assert caught.value.reply is not None
        assert caught.value.reply.text == expected
        assert expected.startswith(heard.text)
    nowhere(held.dialogue_log_path.read_text())


STATUSES = [200, 307, 400, 401, 402, 403, 404, 405, 413, 418, 429, 500, 503]


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("status", STATUSES)
def test_an_error_that_repeats_the_key(
    scripted: ScriptedServer, way: Way, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It is hidden in the error, its arguments and pickle, the record, the notices and our log."""
    caplog.set_level(logging.DEBUG, "openai_magics")
    config.NOTEBOOK["log_prompts"] = True  # else the log has no words of a service
    scripted.script.always(failures.echoes_key(status))
    held, heard = session(scripted, api_key=PLAIN), Heard()
    held.settings.arguments["retries"] = 1
    options: dict[str, Any] = {"on_notice": heard.notices.append}
    for more in ({}, options):
        scripted.script.then(errors.error(503, PLAIN, f"Busy, {PLAIN}", headers={"retry-after-ms": "1"}))  # fmt: skip
        if status == 200:
            way.ask(held, "Hi", **more)
            continue
        with pytest.raises(ours.ServiceError) as caught:
            way.ask(held, "Hi", **more, fresh=True)
        error = caught.value
        for text in (error, repr(error), error.args, vars(error), pickle.dumps(error)):
            nowhere(text)
        nowhere("\n".join(error._render_traceback_()))
    assert "Busy, [key]" in heard.notices[0]
    assert "Busy, [key]" in caplog.text
    nowhere(heard.notices)
    nowhere(caplog.text)
    nowhere(held.dialogue_log_path.read_text())


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("filler", [0, 535, 540, 545, 550, 10_000])
def test_a_key_where_a_long_error_is_cut(scripted: ScriptedServer, way: Way, filler: int) -> None:
    """It is hidden before the message is shortened, whichever way the error comes."""
    text = "x" * filler + PLAIN + "y" * 1000
    held = session(scripted, api_key=PLAIN)
    event = dumps({"error": {"message": text, "type": PLAIN, "code": None}})
    for reply in (
        errors.error(400, None, text),
        failures.raw(event),
        failures.bad_chunk(data=event),
        failures.raw(text, 500, "text/plain"),
    ):
        scripted.script.then(reply)
        with pytest.raises(ours.ServiceError) as caught:
            way.ask(held, "Hi", history=False)
        nowhere(f"{caught.value} {caught.value.args}")
        assert len(caught.value.problem) <= 600
    nowhere(held.dialogue_log_path.read_text())


@pytest.mark.parametrize("reply", ["null", f'"{PLAIN}"', f'["{PLAIN}"]', f'{{"a": "{PLAIN}"}}', f"{PLAIN}"])  # fmt: skip
def test_a_reply_that_is_nothing_but_the_key(scripted: ScriptedServer, reply: str) -> None:
    """What is quoted of a reply that is none holds nothing of it."""
    scripted.script.always(failures.raw(reply))
    held = session(scripted, api_key=PLAIN)
    with pytest.raises(ours.BadReply) as caught:
        held.ask("Hi")
    nowhere(f"{caught.value!r} {caught.value}")
    nowhere(held.dialogue_log_path.read_text())


def test_a_listing_that_repeats_the_key(scripted: ScriptedServer) -> None:
    """It is hidden in the frame and in the record."""
    scripted.models.add(f"ft:{PLAIN}", owned_by=PLAIN)
    held = session(scripted, api_key=PLAIN)
    frame = held.list_models()
    assert "ft:[key]" in set(frame["id"])
    nowhere(frame.to_string())
    nowhere(held.dialogue_log_path.read_text())


def test_nothing_shows_the_key(scripted: ScriptedServer) -> None:
    """No repr of what a person may hold, nor of what is inside it, has the key."""
    held = session(scripted, api_key=PLAIN)
    held.ask("Hi")
    held.ask("Hi", on_text=[].append)
    target = held.live.target(request())
    things = (
        held, held.live, held.settings, held.turns, held.dialogue, target, held.live.key,
        *records(held), held.live.clients, held.conversations,
    )  # fmt: skip
    for thing in things:
        nowhere(repr(thing))
        nowhere(vars(thing) if hasattr(thing, "__dict__") else "")
    assert repr(target.key) == str(target.key) == "Secret([key])"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(held.live.key)


def test_no_file_holds_the_key(scripted: ScriptedServer, tmp_path: Path) -> None:
    """After answers, failures, refusals and echoes nothing that was written has it."""
    replies: list[Any] = [
        failures.echoes_key(), failures.echoes_key(400), failures.echoes_key(401),
        failures.cut(f"Your key {PLAIN} is fine.", after=8),
        answer(refusal=f"I won't, {PLAIN}."), answer(f"{PLAIN} ", "length"),
    ]  # fmt: skip
    scripted.script.then(*replies)
    held = session(scripted, api_key=PLAIN)
    for number in range(len(replies)):
        try:
            held.ask(f"Ask {number}", on_text=[].append)
        except ours.ServiceError as error:
            nowhere(error)
    held.list_models()
    assert len(held.dialogue) == len(replies) + 1
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert held.dialogue_log_path in files
    for path in files:
        nowhere(path.read_bytes())


CELLS = """
import asyncio, os, signal, threading
from openai_magics import Session, errors
held = Session("gpt-4o")
held.settings.arguments.update(retries=0, timeout=20)
### KeyRefused
held.ask("Hi")
### BadReply
held.ask("Hi", on_text=print)
### Unreachable
held.ask("Hi", base_url="http://127.0.0.1:9/v1")
### ZeroDivisionError
held.ask("Hi", on_text=lambda piece: 1 / 0)
### LookupError
held.settings.arguments["retries"] = 1
def notice(line):
    raise LookupError(line)
held.ask("Hi", on_notice=notice)
### CancelledError
held.settings.arguments["retries"] = 0
async def cancel():
    pieces = []
    task = asyncio.create_task(held.aask("Hi", on_text=pieces.append))
    while not pieces:
        await asyncio.sleep(0.005)
    task.cancel()
    await task
asyncio.run(cancel())
### CancelledError
async def cancel_unheard():
    task = asyncio.create_task(held.aask("Hi"))
    while not os.path.exists("asked"):
        await asyncio.sleep(0.005)
    task.cancel()
    await task
asyncio.run(cancel_unheard())
### Interrupted
held.ask("Hi", on_text=lambda piece: signal.raise_signal(signal.SIGINT))
### ServiceError
from openai_magics.wire import events
real = events.EventReader.feed
def broken(self, data):
    raise RuntimeError("a bug of ours")
events.EventReader.feed = broken
held.ask("Hi", on_text=print)
### ServiceError
events.EventReader.feed = real
import httpx2
real_send = httpx2.Client.send
def broken_send(self, request, **options):
    raise RuntimeError("a bug of the client's")
httpx2.Client.send = broken_send
import openai
openai.OpenAI._send_request = broken_send
held.ask("Hi")
### SettingError
os.environ["HTTP_PROXY"] = "gopher://127.0.0.1"
Session("gpt-4o").ask("Hi")
### SettingError
del os.environ["HTTP_PROXY"]
key = os.environ["OPENAI_API_KEY"]
os.environ["OPENAI_API_KEY"] = key + chr(10) + key
Session("gpt-4o").ask("Hi")
### OptionError
os.environ["OPENAI_API_KEY"] = key
held.ask("What is " + key)
### OverflowError
def judge(asking, reply):
    raise OverflowError("in the judge")
fresh = Session("gpt-4o", dialogue_log_path="b.json")
fresh.turns.judge = judge
openai.OpenAI._send_request = httpx2.Client.send = real_send
async def judged():
    await fresh.aask("Hi")
asyncio.run(judged())
"""

SHELL = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell()
shell.run_line_magic("xmode", "Verbose")
shell.colors = "nocolor"
for cell in json.load(sys.stdin):
    print("=====", flush=True)
    shell.run_cell(cell)
"""


def test_no_traceback_shows_the_key(scripted: ScriptedServer, tmp_path: Path) -> None:
    """Verbose tracebacks quote the variables of every frame, ours and the client's: none has it."""

    def silent(_: Request) -> Plan:
        (tmp_path / "asked").touch()
        return failures.never()

    scripted.script.then(
        errors.invalid_key(PLAIN),
        failures.html(),
        "One two three.",
        errors.overloaded(),
        answer("One two three.", delay=0.5),
        silent,
        answer("One two three.", delay=0.5),
        "One two three.",
    )
    first, *rest = CELLS.split("### ")
    expected = [cell.partition("\n")[0] for cell in rest]
    cells = [first, *(cell.partition("\n")[2] for cell in rest)]
    done = subprocess.run(
        [sys.executable, "-c", SHELL],
        input=json.dumps(cells), capture_output=True, text=True, check=False, cwd=tmp_path,
        env={
            **os.environ, "OPENAI_API_KEY": PLAIN, "OPENAI_BASE_URL": scripted.base_url,
            "IPYTHONDIR": str(tmp_path / "ipython"),
        },
    )  # fmt: skip
    shown = done.stdout.split("=====")[2:]
    assert [name for name, text in zip(expected, shown, strict=True) if name not in text] == []
    nowhere(done.stdout)
    nowhere(done.stderr)
    assert "Secret([key])" in done.stdout  # so frames of ours were quoted, with their variables
    for path in tmp_path.rglob("*"):
        if path.is_file() and "ipython" not in path.parts:
            nowhere(path.read_bytes())


def test_a_short_word_is_no_secret(scripted: ScriptedServer) -> None:
    """A key as ``ollama`` or ``none`` is one that servers want and nobody hides."""
    scripted.script.then("Ask ollama, or none.")
    reply: Reply = session(scripted, api_key="ollama").ask("Whom?", on_text=[].append)
    assert reply.text == "Ask ollama, or none."


@pytest.mark.parametrize(
    "say",
    [
        lambda address: Session(base_url=address),
        lambda address: Session().ask("Hi", base_url=address),
        lambda address: Session().training.jobs(base_url=address),
        lambda address: configurable.set_for_notebook("base_url", address),
    ],
    ids=["Session", "ask", "training", "%config"],
)
@pytest.mark.parametrize(
    "address", ["https://ann:{}@example.org/v1", "http://{}@localhost:9/v1", "HTTPS://a:{}@[::1]"]
)
def test_an_address_with_a_password_is_not_recorded(
    say: Any, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the notebook says enters records: a password in it is refused, and not repeated."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ours.SettingError, match="would be recorded") as caught:
        say(address.format(PLAIN))
    nowhere(caught.value)
    nowhere([path.read_text() for path in tmp_path.iterdir()])


def test_an_address_with_a_password_in_the_environment(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy with a password is named in the environment, which no record holds."""
    address = scripted.base_url.replace("://", f"://ann:{PLAIN}@")
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    held = Session("gpt-5.5", api_key=KEY)
    assert held.ask("Hi").text
    nowhere(held.dialogue_log_path.read_text())
    nowhere(held)


@pytest.mark.parametrize("address", ["http://h/v1?token={}", "https://h/v1#{}"])
def test_an_address_with_a_query(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No route can follow a query, so it is refused, and what it holds is not repeated."""
    monkeypatch.setenv("OPENAI_BASE_URL", address.format(PLAIN))
    with pytest.raises(ours.SettingError, match="goes on after its path") as caught:
        Session(api_key=KEY).ask("Hi")
    nowhere(caught.value)
