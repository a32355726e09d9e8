"""`Session` against a real server: conversations, modes, slots, records, interruptions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from openai_magics import Reply, Session, cells
from openai_magics import errors as ours
from tests.scripted import Answer, Request, ScriptedServer, answer, errors, failures
from tests.scripted.asking import KEY
from tests.server.ways import (
    ALL,
    ASTREAMED,
    BOTH,
    STREAMED,
    STREAMS,
    WHOLE,
    Way,
    asked,
    records,
    run,
    session,
    until,
)

needs_signals = pytest.mark.skipif(
    not hasattr(signal, "pthread_kill"), reason="signals go to the process here, not to a thread"
)


def user(text: str) -> tuple[str, str]:
    """Return what the wire says of a prompt."""
    return ("user", text)


def model(text: str) -> tuple[str, str]:
    """Return what the wire says of an answer."""
    return ("assistant", text)


# --- conversations


@pytest.mark.parametrize("way", ALL)
def test_each_turn_is_sent_with_those_before_it(scripted: ScriptedServer, way: Way) -> None:
    """The history goes over the wire, prompts and answers in turn, and the records are a chain."""
    scripted.script.then("One.", "Two.", "Three.")
    held = session(scripted)
    replies = [way.ask(held, text) for text in ("a", "b", "c")]
    assert [reply.text for reply in replies] == ["One.", "Two.", "Three."]
    assert asked(scripted) == [
        [user("a")],
        [user("a"), model("One."), user("b")],
        [user("a"), model("One."), user("b"), model("Two."), user("c")],
    ]
    first, second, third = records(held)
    assert (first.request.parent, second.request.parent) == (None, first.id)
    assert third.request.parent == second.id == replies[1].id
    assert [len(item.request.messages) for item in (first, second, third)] == [1, 1, 1]


@pytest.mark.parametrize("way", BOTH)
def test_conversations_by_name(scripted: ScriptedServer, way: Way) -> None:
    """Each has a history of its own; the record says which it is."""
    held = session(scripted)
    way.ask(held, "a", conversation="first")
    way.ask(held, "b", conversation="second")
    way.ask(held, "c", conversation="first")
    assert [[text for _, text in said] for said in asked(scripted)][1] == ["b"]
    assert [text for role, text in asked(scripted)[2] if role == "user"] == ["a", "c"]
    assert [item.conversation for item in records(held)] == ["first", "second", "first"]
    assert {name: len(each.turns) for name, each in held.conversations.items()} == {
        "first": 2,
        "second": 1,
    }


@pytest.mark.parametrize("way", BOTH)
def test_new_and_no_history(scripted: ScriptedServer, way: Way) -> None:
    """``new`` begins anew; without history an ask neither sees a conversation nor joins it."""
    held = session(scripted)
    way.ask(held, "a")
    way.ask(held, "aside", history=False)
    way.ask(held, "b")
    way.ask(held, "c", new=True)
    way.ask(held, "d")
    prompts = [[text for role, text in said if role == "user"] for said in asked(scripted)]
    assert prompts == [["a"], ["aside"], ["a", "b"], ["c"], ["c", "d"]]
    assert [item.conversation for item in records(held)] == ["main", None, "main", "main", "main"]


@pytest.mark.parametrize("way", BOTH)
def test_max_history(scripted: ScriptedServer, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most so many turns are sent; from the environment too, where it is not fingerprinted."""
    held = session(scripted)
    for text in ("a", "b", "c"):
        way.ask(held, text)
    way.ask(held, "d", max_history=1)
    way.ask(held, "e", max_history=0)
    monkeypatch.setenv("OPENAI_MAGICS_MAX_HISTORY", "2")
    way.ask(held, "f")
    prompts = [[text for role, text in said if role == "user"] for said in asked(scripted)]
    assert prompts[3:] == [["c", "d"], ["e"], ["d", "e", "f"]]
    assert [item.request.max_history for item in records(held)] == [None, None, None, 1, 0, None]


def test_a_cell_that_runs_again_replaces_its_turn(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its recorded answer shows at once; a changed prompt stands where the old one stood."""
    held = session(scripted)
    runs = iter(range(100))

    def ran(cell: str, text: str) -> Reply:
        monkeypatch.setattr(cells, "cell_id", lambda: cell)
        number = f"run {next(runs)}"
        monkeypatch.setattr(cells, "execution", lambda: number)
        return held.ask(text)

    first = [ran("1", "a"), ran("2", "b")]
    again = [ran("1", "a"), ran("2", "b")]
    assert [reply.id for reply in again] == [reply.id for reply in first]
    assert all(reply.replayed for reply in again)
    ran("1", "A")
    ran("2", "b")
    prompts = [[text for role, text in said if role == "user"] for said in asked(scripted)]
    assert prompts == [["a"], ["a", "b"], ["A"], ["A", "b"]]


# --- modes and slots


@pytest.mark.parametrize("way", ALL)
def test_auto_replays_what_is_recorded(scripted: ScriptedServer, way: Way) -> None:
    """A second session gets the same replies without a request, and asks only what is new."""
    first = session(scripted)
    live = [way.ask(first, text) for text in ("a", "b")]
    count = len(scripted.requests)
    second = session(scripted)
    replayed = [way.ask(second, text) for text in ("a", "b")]
    assert replayed == live
    assert [reply.replayed for reply in (*live, *replayed)] == [False, False, True, True]
    assert len(scripted.requests) == count
    assert len(second.live.clients) == 0
    assert not way.ask(second, "c").replayed
    assert len(asked(scripted)[-1]) == 5


@pytest.mark.parametrize("way", BOTH)
def test_replay_never_asks(
    scripted: ScriptedServer, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not recorded is an error, also for ``fresh``; so says an argument or the environment."""
    way.ask(session(scripted), "a")
    count = len(scripted.requests)
    held = session(scripted, mode="replay")
    assert way.ask(held, "a", fresh=True).replayed
    with pytest.raises(ours.ReplayMiss):
        way.ask(held, "b")
    with pytest.raises(ours.ReplayMiss):
        way.ask(session(scripted), "b", mode="replay")
    monkeypatch.setenv("OPENAI_MAGICS_MODE", "replay")  # holds against the notebook
    with pytest.raises(ours.ReplayMiss):
        way.ask(session(scripted, mode="live"), "b", mode="live")
    assert len(scripted.requests) == count


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("options", [{"mode": "live"}, {"fresh": True}])
def test_asking_anew(scripted: ScriptedServer, way: Way, options: dict[str, Any]) -> None:
    """The new answer is appended to the slot, the last one is what replays, none is lost."""
    scripted.script.then("One.", "Two.")
    way.ask(session(scripted), "a")
    assert way.ask(session(scripted), "a", **options).text == "Two."
    again = session(mode="replay")
    assert way.ask(again, "a").text == "Two."
    held = records(again)
    assert [(item.reply.text, item.occurrence) for item in held if item.reply] == [
        ("One.", 0),
        ("Two.", 0),
    ]


@pytest.mark.parametrize("way", BOTH)
def test_the_same_request_several_times(scripted: ScriptedServer, way: Way) -> None:
    """The k-th ask is slot k: so many answers are kept, and replayed in their order."""
    scripted.script.then("One.", "Two.", "Three.")
    held = session(scripted)
    said = [way.ask(held, "Say a number.", history=False).text for _ in range(3)]
    assert said == ["One.", "Two.", "Three."]
    assert [item.occurrence for item in records(held)] == [0, 1, 2]
    again = session(mode="replay")
    assert [way.ask(again, "Say a number.", history=False).text for _ in range(3)] == said
    with pytest.raises(ours.ReplayMiss, match="recorded 3 times; this is number 4"):
        way.ask(again, "Say a number.", history=False)


@pytest.mark.parametrize("way", BOTH)
def test_another_answer_upstream_is_another_request_downstream(
    scripted: ScriptedServer, way: Way
) -> None:
    """The next turn is asked anew with the new history; the old branch stays in the file."""
    scripted.script.then("Blue.", "Like the sea.", "Red.", "Like a rose.")
    first = session(scripted)
    for text in ("A colour?", "Like what?"):
        way.ask(first, text)
    second = session(scripted)
    assert way.ask(second, "A colour?", fresh=True).text == "Red."
    assert way.ask(second, "Like what?").text == "Like a rose."
    assert asked(scripted)[-1] == [user("A colour?"), model("Red."), user("Like what?")]
    third = session(mode="replay")
    assert [way.ask(third, text).text for text in ("A colour?", "Like what?")] == [
        "Red.",
        "Like a rose.",
    ]
    assert len(records(third)) == 4


def test_a_record_that_cannot_be_written_is_not_asked_for(scripted: ScriptedServer) -> None:
    """Nothing is sent; once the folder is there, the answer takes the first slot all the same."""
    held = session(scripted, dialogue_log_path="later/a.dialogue.json")
    for options in ({}, {"fresh": True}, {"mode": "live"}):
        with pytest.raises(ours.DialogueUnwritable, match="does not exist"):
            held.ask("Hi", **options)
    assert scripted.requests == []
    held.dialogue_log_path.parent.mkdir()
    held.ask("Hi")
    assert records(held)[0].occurrence == 0


# --- what the notebook says, and what its surroundings decide


@pytest.mark.parametrize("way", BOTH)
def test_the_system_instruction(
    scripted: ScriptedServer, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nearest first: the ask's, the session's, the environment's; ``""`` is none."""
    monkeypatch.setenv("OPENAI_MAGICS_SYSTEM_INSTRUCTION", "From outside.")
    held = session(scripted)
    way.ask(held, "a", history=False)
    held.system_instruction = "From the session."
    way.ask(held, "b", history=False)
    way.ask(held, "c", history=False, system_instruction="From the ask.")
    way.ask(held, "d", history=False, system_instruction="")
    way.ask(session(scripted, system_instruction="From an argument."), "e")
    assert [said[0] for said in asked(scripted)] == [
        ("system", "From outside."),
        ("system", "From the session."),
        ("system", "From the ask."),
        user("d"),
        ("system", "From an argument."),
    ]
    kept = records(held)
    assert [item.request.system for item in kept] == [
        None, "From the session.", "From the ask.", "", "From an argument.",
    ]  # fmt: skip
    assert kept[0].resolved.system == "From outside."


@pytest.mark.parametrize("way", BOTH)
def test_another_machine_replays_it(
    scripted: ScriptedServer, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Default model, endpoint, key and default system are recorded, but not what it is known by."""
    monkeypatch.setenv("OPENAI_BASE_URL", scripted.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_MAGICS_MODEL", "gpt-4o")
    monkeypatch.setenv("OPENAI_MAGICS_SYSTEM_INSTRUCTION", "Be brief.")

    def notebook() -> list[Reply]:
        held = Session()
        return [way.ask(held, "a"), way.ask(held, "b", temperature=0)]

    here = notebook()
    resolved = records(Session())[1].resolved
    assert (resolved.model, resolved.system) == ("gpt-4o", "Be brief.")
    assert resolved.endpoint == f"127.0.0.1:{scripted.port}"
    assert resolved.parameters == {"temperature": 0}
    count = len(scripted.requests)
    elsewhere = {
        "OPENAI_BASE_URL": "https://elsewhere.example/v1",
        "OPENAI_API_KEY": "sk-another-key-altogether",
        "OPENAI_MAGICS_MODEL": "gpt-6-mini",
        "OPENAI_MAGICS_SYSTEM_INSTRUCTION": "Be long.",
    }
    for name, value in elsewhere.items():
        monkeypatch.setenv(name, value)
    assert notebook() == here
    for name in elsewhere:
        monkeypatch.delenv(name)
    assert notebook() == here
    assert len(scripted.requests) == count


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("name", ["model", "base_url"])
def test_what_the_notebook_says_tells_requests_apart(
    scripted: ScriptedServer, way: Way, name: str
) -> None:
    """A model or an endpoint that is an argument, of the session or the ask, is part of it."""
    value = {"model": "gpt-4o-mini", "base_url": scripted.base_url}[name]
    prints = [
        way.ask(session(scripted), "a").fingerprint,
        way.ask(session(scripted, **{name: value}), "a").fingerprint,
        way.ask(session(scripted), "a", **{name: value}).fingerprint,
    ]
    assert prints[0] != prints[1] == prints[2]
    assert len(scripted.requests) == 2
    assert [getattr(item.request, {"base_url": "endpoint"}.get(name, name)) for item in records(session())] == [None, value]  # fmt: skip


# --- listings


def test_models_are_recorded_and_replayed(scripted: ScriptedServer) -> None:
    """The frame is the same from the record; ``fresh`` asks anew, and that is what then replays."""
    frame = session(scripted).list_models()
    assert list(frame.columns) == ["id", "created", "owned_by", "shutdown_date"]
    assert str(frame.set_index("id").loc["gpt-4o", "shutdown_date"]) == "2027-01-14"
    assert str(frame["created"].dtype).endswith("UTC]")
    again = session(mode="replay").list_models()
    assert again.equals(frame)
    assert len(scripted.requests) == 1
    scripted.models.add("gpt-7")
    assert "gpt-7" in set(session(scripted).list_models(fresh=True)["id"])
    assert "gpt-7" in set(session(mode="replay").list_models()["id"])
    scripted.models.forget_dates()
    frame = session(scripted).list_models(mode="live")
    assert frame["shutdown_date"].isna().all()
    with pytest.raises(ours.ReplayMiss, match="Nothing is recorded for this listing of models"):
        session(mode="replay", dialogue_log_path="other.json").list_models()


# --- side by side


def alone(work: Callable[[Session], Coroutine[Any, Any, Any]], held: Session) -> Any:
    """Return what *work* makes of *held* in a loop of its own."""
    return run(held.live, work(held))


def test_side_by_side(scripted: ScriptedServer) -> None:
    """Asks without history are under way together; replayed, each is itself again."""
    go = threading.Event()
    scripted.script.always(lambda request: answer(f"{request.said}!", hold=go))

    async def ask_all(held: Session) -> list[str]:
        asks = [held.aask(str(number), history=False) for number in range(8)]
        asks += [held.aask("same", history=False) for _ in range(3)]
        tasks = asyncio.gather(*asks)
        await until(lambda: len(scripted.requests) == 11)
        go.set()
        return [reply.text for reply in await tasks]

    said = alone(ask_all, session(scripted))
    assert said == [f"{number}!" for number in range(8)] + ["same!"] * 3
    assert alone(ask_all, session(mode="replay")) == said
    assert len(scripted.requests) == 11


def test_in_order_within_a_conversation(scripted: ScriptedServer) -> None:
    """Each waits for the one before it: the order of the calls is that of the conversation."""

    async def ask_all(held: Session) -> list[Reply]:
        talks = [held.aask(str(number)) for number in range(4)]
        aside = [held.aask("aside", history=False), held.aask("b", conversation="other")]
        return await asyncio.gather(*talks, *aside)

    live = alone(ask_all, session(scripted))
    main = [said for said in asked(scripted) if user("0") in said]
    assert [len(said) for said in main] == [1, 3, 5, 7]
    assert [text for role, text in main[-1] if role == "user"] == ["0", "1", "2", "3"]
    count = len(scripted.requests)
    assert alone(ask_all, session(mode="replay")) == live
    assert len(scripted.requests) == count


def test_a_failed_turn_does_not_hold_up_the_next(scripted: ScriptedServer) -> None:
    """It leaves the conversation as it was."""
    scripted.script.then(failures.json_null(), "Two.")

    async def ask_all(held: Session) -> list[Any]:
        return await asyncio.gather(held.aask("a"), held.aask("b"), return_exceptions=True)

    first, second = alone(ask_all, session(scripted))
    assert isinstance(first, ours.BadReply)
    assert second.text == "Two."
    assert asked(scripted)[1] == [user("b")]


def test_a_blocking_ask_behind_a_task_of_its_own_thread(scripted: ScriptedServer) -> None:
    """It would wait for ever, so it is an error that says what to do."""

    async def both(held: Session) -> None:
        task = asyncio.create_task(held.aask("a"))
        await asyncio.sleep(0)
        with pytest.raises(ours.OptionError, match="wait for it for ever"):
            held.ask("b")
        assert held.ask("c", history=False).text
        assert (await task).text

    alone(both, session(scripted))


def test_threads_share_a_session(scripted: ScriptedServer) -> None:
    """Asks from threads keep the conversation whole, one turn after another."""
    held = session(scripted)
    threads = [threading.Thread(target=held.ask, args=(str(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(said) for said in asked(scripted)) == [1, 3, 5, 7, 9, 11]
    assert len(records(held)) == 6


# --- stopped


def gone(request: Request) -> bool:
    """Whether the server has seen the client of a request go away before it had its reply."""
    for _ in range(400):
        if request.delivered is not None:
            return request.delivered is False
        threading.Event().wait(0.005)
    return False


def cut_off(held: Session, text: str) -> None:
    """Check that the last record is *text*, cut off, and will never be replayed."""
    last = records(held)[-1]
    assert last.reply is not None
    assert (last.reply.text, last.reply.finish_reason) == (text, "cut_off")
    assert (last.occurrence, last.resolved.model) == (None, "gpt-4o")
    assert not any(talk.turns for talk in held.conversations.values())


def test_a_cancelled_task_is_recorded_as_cut_off(scripted: ScriptedServer) -> None:
    """The connection is closed, what came is kept, and the next ask is the first of its slot."""
    scripted.script.then(answer("One two three.", hold=threading.Event(), hold_after=3))
    held = session(scripted)
    pieces: list[str] = []

    async def cancel() -> None:
        task = asyncio.create_task(held.aask("a", on_text=pieces.append))
        await until(lambda: len(pieces) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        stop: Any = caught.value
        if sys.version_info < (3, 11):  # a task raises another one there
            stop = stop.__context__
        assert stop.reply.text == "One two "

    run(held.live, cancel())
    assert gone(scripted.requests[0])
    cut_off(held, "One two ")
    with pytest.raises(ours.ReplayMiss, match="cut off"):
        session(mode="replay").ask("a")
    assert held.ask("a").text.startswith("You said: a")
    assert [item.occurrence for item in records(held)] == [None, 0]


def test_a_cancelled_task_that_heard_nothing(scripted: ScriptedServer) -> None:
    """The connection is closed and the slot is free; also of one that waits for its turn."""
    scripted.script.then(failures.never())
    held = session(scripted)

    async def cancel() -> None:
        tasks = [asyncio.create_task(held.aask(text)) for text in ("a", "b", "c")]
        await until(lambda: bool(scripted.requests))
        tasks[1].cancel()
        await asyncio.sleep(0)
        tasks[0].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in done] == [
            asyncio.CancelledError, asyncio.CancelledError, Reply,
        ]  # fmt: skip

    run(held.live, cancel())
    assert [[text for _, text in said] for said in asked(scripted)] == [["a"], ["c"]]
    assert gone(scripted.requests[0])
    assert [item.occurrence for item in records(held)] == [0]


def interrupted(held: Session, **options: Any) -> ours.Interrupted:
    """Ask, and return what an interrupt made of it."""
    with pytest.raises(ours.Interrupted) as caught:
        held.ask("a", **options)
    assert len(caught.value._render_traceback_()) == 1
    assert isinstance(caught.value, KeyboardInterrupt)
    return caught.value


def test_an_interrupt_between_two_pieces(scripted: ScriptedServer) -> None:
    """What came is recorded as cut off and in the error, which says so in one line."""
    scripted.script.then(answer("One two three.", hold=threading.Event(), hold_after=3))
    held = session(scripted)

    def hear(piece: str) -> None:
        if piece == "two ":
            signal.raise_signal(signal.SIGINT)

    stop = interrupted(held, on_text=hear)
    assert str(stop) == "stopped; the 8 characters that had come are recorded as cut off"
    assert stop.reply is not None
    assert (stop.reply.text, stop.reply.id) == ("One two ", records(held)[-1].id)
    assert gone(scripted.requests[0])
    cut_off(held, "One two ")


def interrupt_soon() -> None:
    """Send this process what Ctrl-C sends, from another thread: it ends a wait for the network."""
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGINT)).start()


@needs_signals
def test_an_interrupt_while_the_server_is_silent(scripted: ScriptedServer) -> None:
    """It ends the wait for the next piece."""
    scripted.script.then(answer("One two.", hold=threading.Event(), hold_after=2))
    held = session(scripted)
    stop = interrupted(held, on_text=lambda _: interrupt_soon())
    assert str(stop) == "stopped; the 4 characters that had come are recorded as cut off"
    assert gone(scripted.requests[0])
    cut_off(held, "One ")


@needs_signals
@pytest.mark.parametrize("streams", [True, False])
def test_an_interrupt_before_an_answer(scripted: ScriptedServer, streams: bool) -> None:
    """It ends the wait for the first piece, and there is a record of the request all the same."""

    def silent(_: Request) -> Answer:
        interrupt_soon()
        return answer("One two.", hold=threading.Event())

    scripted.script.then(silent)
    held = session(scripted)
    stop = interrupted(held, on_text=[].append if streams else None)
    assert str(stop) == "stopped before an answer came"
    assert gone(scripted.requests[0])
    assert [(item.reply, item.occurrence) for item in records(held)] == [(None, None)]


@needs_signals
def test_an_interrupt_of_a_loop(scripted: ScriptedServer) -> None:
    """``asyncio.run`` cancels the task and raises the interrupt; what came is recorded."""
    scripted.script.then(answer("One two.", hold=threading.Event(), hold_after=2))
    held = session(scripted)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(held.aask("a", on_text=lambda _: interrupt_soon()))
    assert gone(scripted.requests[0])
    cut_off(held, "One ")


def test_a_judge_of_ones_own_that_fails(scripted: ScriptedServer) -> None:
    """Whatever fails after the answer came whole, the answer is recorded."""
    held = session(scripted)

    def judge(*_: object) -> Reply:
        raise ZeroDivisionError

    held.turns.judge = judge
    for way in (WHOLE, ASTREAMED):
        with pytest.raises(ZeroDivisionError):
            way.ask(held, f"Ask {way}")
    assert [item.occurrence for item in records(held)] == [0, 0]
    assert WHOLE.ask(held, f"Ask {WHOLE}").replayed


@needs_signals
def test_an_interrupt_while_the_answer_is_judged(scripted: ScriptedServer) -> None:
    """The answer was whole and was shown, so it is recorded as one and replays."""

    def judging(_: Request) -> Answer:
        interrupt_soon()
        return answer("positive", hold=threading.Event())

    scripted.script.then("Splendid!", judging)
    held = session(scripted)
    with contextlib.suppress(KeyboardInterrupt):
        held.ask("a", sentiment="model")
    assert [(item.request.kind, item.occurrence) for item in records(held)] == [
        ("sentiment", None),
        ("ask", 0),
    ]
    assert session(mode="replay").ask("a").text == "Splendid!"


def test_a_listener_that_fails_loses_nothing(scripted: ScriptedServer) -> None:
    """What came before it failed is recorded as cut off."""

    def hear(piece: str) -> None:
        raise ZeroDivisionError

    scripted.script.then(answer("One two.", hold=threading.Event(), hold_after=2))
    held = session(scripted)
    with pytest.raises(ZeroDivisionError):
        held.ask("a", on_text=hear)
    cut_off(held, "One ")


# --- failures and their records


LASTING = [
    pytest.param(errors.context_too_long(), "ContextTooLong", id="context"),
    pytest.param(errors.prompt_refused(), "ContentRefused", id="policy"),
    pytest.param(errors.prompt_refused_azure(), "ContentRefused", id="Azure"),
    pytest.param(answer(refusal="I won't."), "ContentRefused", id="refusal"),
    pytest.param(answer("The qu", "content_filter"), "ContentRefused", id="filter"),
    pytest.param(answer("The qu", "length"), "LengthCut", id="length"),
    pytest.param(errors.error(400), "RequestRefused", id="request"),
]


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(("reply", "kind"), LASTING)
def test_what_would_fail_again_is_replayed(
    scripted: ScriptedServer, way: Way, reply: Any, kind: str
) -> None:
    """It has its slot, and auto and replay raise it again, word for word, without a request."""
    scripted.script.then(reply)
    with pytest.raises(getattr(ours, kind)) as first:
        way.ask(session(scripted), "a")
    (item,) = records(session())
    assert item.error is not None
    assert (item.error["type"], item.occurrence) == (kind, 0)
    for mode in ("auto", "replay"):
        with pytest.raises(getattr(ours, kind)) as again:
            way.ask(session(scripted, mode=mode), "a")
        assert str(again.value) == str(first.value)
        assert again.value.replayed
        assert (again.value.reply is None) == (first.value.reply is None)
        if first.value.reply is not None and again.value.reply is not None:
            assert again.value.reply.text == first.value.reply.text
            assert again.value.reply.refusal == first.value.reply.refusal
    assert len(scripted.requests) == 1
    assert way.ask(session(scripted), "a", fresh=True).text.startswith("You said")
    assert way.ask(session(mode="replay"), "a").text.startswith("You said")


@pytest.mark.parametrize("way", BOTH)
def test_a_failure_that_lasts_is_one_of_several_answers(scripted: ScriptedServer, way: Way) -> None:
    """It holds its slot: the next ask of the same request is the next one, live and replayed."""
    scripted.script.then("One.", errors.prompt_refused(), "Three.")
    for held in (session(scripted), session(mode="replay")):
        assert way.ask(held, "a", history=False).text == "One."
        with pytest.raises(ours.ContentRefused):
            way.ask(held, "a", history=False)
        assert way.ask(held, "a", history=False).text == "Three."
    assert [item.occurrence for item in records(session())] == [0, 1, 2]


PASSING = [
    pytest.param(errors.invalid_key("sk-wrong"), "KeyRefused", id="key"),
    pytest.param(errors.not_allowed(), "AccessRefused", id="access"),
    pytest.param(errors.model_not_found(), "ModelNotFound", id="model"),
    pytest.param(errors.rate_limited(), "RateLimited", id="rate"),
    pytest.param(errors.no_quota(), "QuotaExhausted", id="quota"),
    pytest.param(errors.overloaded(), "Unreachable", id="overloaded"),
    pytest.param(failures.cut(how="reset"), "Unreachable", id="reset"),
    pytest.param(failures.cut(), "BadReply", id="ended early"),
    pytest.param(failures.html(), "BadReply", id="HTML"),
    pytest.param(errors.error(405), "ModelNotFound", id="405"),
    pytest.param(errors.error(418), "ServiceError", id="418"),
]


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(("reply", "kind"), PASSING)
def test_what_was_the_moments_is_asked_again(
    scripted: ScriptedServer, way: Way, reply: Any, kind: str
) -> None:
    """It is recorded without a slot, never replayed, and the next ask takes the slot."""
    scripted.script.then(reply)
    held = session(scripted)
    with pytest.raises(getattr(ours, kind)):
        way.ask(held, "a")
    (item,) = records(held)
    assert item.error is not None
    assert (item.error["type"], item.occurrence) == (kind, None)
    with pytest.raises(ours.ReplayMiss, match="cut off or failed at that moment"):
        way.ask(session(mode="replay"), "a")
    assert way.ask(held, "a").text.startswith("You said: a. (turn 1")
    assert [each.occurrence for each in records(held)] == [None, 0]


@pytest.mark.parametrize("way", STREAMS)
def test_a_stream_that_ended_early_is_kept_as_cut_off(scripted: ScriptedServer, way: Way) -> None:
    """Its text is in the error's reply and in the record, and it does not join the conversation."""
    scripted.script.then(failures.cut())
    held = session(scripted)
    with pytest.raises(ours.BadReply) as caught:
        way.ask(held, "a")
    assert caught.value.reply is not None
    assert caught.value.reply.text == "The quick "
    assert caught.value.reply.id == records(held)[0].id
    cut_off(held, "The quick ")


# --- sentiment and cost


@pytest.mark.parametrize("way", BOTH)
def test_the_sentiment_of_an_answer(scripted: ScriptedServer, way: Way) -> None:
    """The lexicon judges it, the record keeps it, and ``off`` leaves it out."""
    scripted.script.then("This is wonderful, I love it!", "This is terrible, I hate it!", "Good!")
    held = session(scripted)
    replies = [way.ask(held, "a"), way.ask(held, "b"), way.ask(held, "c", sentiment="off")]
    assert [reply.sentiment for reply in replies] == ["positive", "negative", None]
    again = session(mode="replay")
    assert [way.ask(again, text).sentiment for text in "abc"] == ["positive", "negative", None]


@pytest.mark.parametrize("way", ALL)
def test_a_model_judges_the_sentiment(scripted: ScriptedServer, way: Way) -> None:
    """It is asked once, outside the conversation, recorded as its own kind, and not on replay."""
    scripted.script.then("Splendid!", " Positive.\n", "Two.")
    held = session(scripted)
    assert way.ask(held, "a", sentiment="model").sentiment == "positive"
    way.ask(held, "b", sentiment="off")
    _, judging, second = asked(scripted)
    assert "Splendid!" in judging[0][1]
    assert second == [user("a"), model("Splendid!"), user("b")]
    assert [item.request.kind for item in records(held)] == ["sentiment", "ask", "ask"]
    count = len(scripted.requests)
    again = session(mode="replay")
    assert way.ask(again, "a", sentiment="model").sentiment == "positive"
    again.settings.arguments["sentiment"] = "model"
    assert again.determine_sentiment("Splendid!") == "positive"
    assert len(scripted.requests) == count


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    "judged",
    [
        pytest.param("I cannot say.", id="no word of the three"),
        pytest.param(failures.json_null(), id="failed"),
        pytest.param(errors.invalid_key("sk-x"), id="refused"),
    ],
)
def test_a_judge_that_fails_fails_no_answer(
    scripted: ScriptedServer, way: Way, judged: Any
) -> None:
    """The answer is recorded, its sentiment is not known."""
    scripted.script.then("Splendid!", judged)
    reply = way.ask(session(scripted), "a", sentiment="model")
    assert (reply.text, reply.sentiment) == ("Splendid!", None)
    assert way.ask(session(mode="replay"), "a").text == "Splendid!"


def test_a_model_that_judges_does_not_stop_the_loop(scripted: ScriptedServer) -> None:
    """While the judge takes its time, other tasks go on."""
    go = threading.Event()
    scripted.script.then("Splendid!", answer("positive", hold=go))
    held = session(scripted)

    async def both() -> Reply:
        task = asyncio.create_task(held.aask("a", sentiment="model"))
        await until(lambda: len(scripted.requests) == 2)
        go.set()  # by a task of the very loop
        return await task

    assert run(held.live, both()).sentiment == "positive"


def test_cost_and_usage(scripted: ScriptedServer) -> None:
    """Tokens are as the server counts them; a price that is not known is NaN, null in the record."""
    held = session(scripted)
    reply = held.ask("Hi")
    assert reply.usage["total_tokens"] == sum(
        reply.usage[f"{name}_tokens"] for name in ("prompt", "completion")
    )
    assert math.isnan(reply.cost)
    assert json.loads(held.dialogue_log_path.read_bytes())["exchanges"][0]["cost"] is None
    again = session(mode="replay").ask("Hi")
    assert math.isnan(again.cost)
    assert again.usage == reply.usage


def test_a_session_shows_what_was_said(scripted: ScriptedServer) -> None:
    """Its repr names model, endpoint and mode as the notebook said them."""
    assert repr(session()) == "Session()"
    assert repr(Session("gpt-4o", mode="replay")) == "Session(model='gpt-4o', mode='replay')"
    assert WHOLE.ask(session(scripted), "a") == STREAMED.ask(session(scripted), "a")
    assert ASTREAMED.ask(session(scripted), "a").replayed
