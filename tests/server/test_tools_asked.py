"""Tools against a real server: what is sent, what is run, what is recorded, what replays."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from openai_magics import errors as ours
from openai_magics.rounds.steps import Called
from tests.scripted import Request, ScriptedServer, answer, error
from tests.server.ways import ALL, BOTH, Way, asked, records, run, session
from tests.unit.shapes import City

RAN: list[tuple[str, int]] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    """Forget what tools were run."""
    RAN.clear()


def weather(city: str, days: int = 1) -> str:
    """Tell the weather of a city."""
    RAN.append((city, days))
    return f"{city}: rain for {days} days"


async def tide(city: str) -> dict[str, int]:
    """Tell the tide."""
    await asyncio.sleep(0)
    RAN.append((city, 0))
    return {"height": 3}


def wants(*calls: tuple[str, Any], text: str | None = None) -> Any:
    """Return an answer that calls tools."""
    return answer(text, tool_calls=calls)


OSLO = ("weather", {"city": "Oslo"})


@pytest.mark.parametrize("way", ALL)
def test_called_recorded_and_replayed(scripted: ScriptedServer, way: Way) -> None:
    """The result goes back to the model; the records are a chain, and replay without running it."""
    scripted.script.then(wants(OSLO, ("tide", {"city": "Oslo"})), "Take a coat.", "Yes.")
    held = session(scripted)
    reply = way.ask(held, "What to wear?", tools=[weather, tide])
    assert reply.text == "Take a coat."
    assert sorted(RAN) == [("Oslo", 0), ("Oslo", 1)]
    first, second = (each.json for each in scripted.requests)
    assert [each["function"]["name"] for each in first["tools"]] == ["weather", "tide"]
    assert second["tools"] == first["tools"]
    assert [each["role"] for each in second["messages"]] == ["user", "assistant", "tool", "tool"]
    assert second["messages"][2] == {
        "role": "tool",
        "tool_call_id": "call_1",
        "content": "Oslo: rain for 1 days",
    }
    assert second["messages"][3]["content"] == '{"height": 3}'
    assert [(each.calls, each.text) for each in reply.steps] == [
        (
            (
                Called("weather", '{"city":"Oslo"}', "Oslo: rain for 1 days"),
                Called("tide", '{"city":"Oslo"}', '{"height": 3}'),
            ),
            "",
        )
    ]
    way.ask(held, "Sure?")
    roles = [each["role"] for each in scripted.requests[2].json["messages"]]
    assert roles == ["user", "assistant", "tool", "tool", "assistant", "user"]
    assert "tools" not in scripted.requests[2].json
    one, two, three = records(held)
    assert two.request.parent == one.id
    assert three.request.parent == two.id
    assert one.request.tools == two.request.tools == first["tools"]
    assert [message["role"] for message in two.request.messages] == ["tool", "tool"]
    RAN.clear()
    for mode in ("replay", "auto"):
        again = session(scripted, mode=mode)
        replayed = way.ask(again, "What to wear?", tools=[weather, tide])
        assert (replayed, replayed.steps) == (reply, reply.steps)
        assert way.ask(again, "Sure?").replayed
    assert RAN == []
    assert len(scripted.requests) == 3


@pytest.mark.parametrize("way", BOTH)
def test_outside_of_a_conversation(scripted: ScriptedServer, way: Way) -> None:
    """Without history the exchanges see one another, and nothing else sees them."""
    scripted.script.then(wants(OSLO), "Rain.", "What?")
    held = session(scripted)
    assert way.ask(held, "Weather?", tools=[weather], history=False).text == "Rain."
    way.ask(held, "And?")
    assert [len(each.messages) for each in scripted.requests] == [1, 3, 1]
    again = session(mode="replay")
    assert way.ask(again, "Weather?", tools=[weather], history=False).text == "Rain."


@pytest.mark.parametrize("way", BOTH)
def test_run_tools(scripted: ScriptedServer, way: Way) -> None:
    """They are run where it is asked for: the same results replay, others are asked anew."""
    scripted.script.then(wants(OSLO), "Rain.", "Snow.")
    way.ask(session(scripted), "Weather?", tools=[weather])
    same = way.ask(session(scripted), "Weather?", tools=[weather], run_tools=True)
    assert same.replayed
    assert len(RAN) == 2
    replaying = session(mode="replay")
    assert way.ask(replaying, "Weather?", tools=[weather], run_tools=True).text == "Rain."

    def other(city: str, days: int = 1) -> str:
        """Tell the weather of a city."""
        return "snow"

    other.__name__ = "weather"
    with pytest.raises(ours.ReplayMiss):
        way.ask(session(mode="replay"), "Weather?", tools=[other], run_tools=True)
    changed = way.ask(session(scripted), "Weather?", tools=[other], run_tools=True)
    assert changed.text == "Snow."
    # The results that were recorded last are what replays now.
    assert way.ask(session(mode="replay"), "Weather?", tools=[weather]).text == "Snow."
    assert len(scripted.requests) == 3


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("options", [{"mode": "live"}, {"fresh": True}])
def test_asked_anew(scripted: ScriptedServer, way: Way, options: dict[str, Any]) -> None:
    """Live and fresh ask anew and run the tools, also where all is recorded."""
    scripted.script.then(wants(OSLO), "One.", wants(OSLO), "Two.")
    way.ask(session(scripted), "Weather?", tools=[weather])
    assert way.ask(session(scripted), "Weather?", tools=[weather], **options).text == "Two."
    assert len(RAN) == 2
    assert way.ask(session(mode="replay"), "Weather?", tools=[weather]).text == "Two."


@pytest.mark.parametrize("way", BOTH)
def test_several_rounds_and_their_limit(scripted: ScriptedServer, way: Way) -> None:
    """The model may call again with what it learned, a limited number of times."""
    rounds = [wants(("weather", {"city": "Oslo", "days": n}), text=f"Day {n}.") for n in (1, 2, 3)]
    scripted.script.then(*rounds, "Done.", *rounds)
    held = session(scripted)
    reply = way.ask(held, "Three days?", tools=[weather])
    assert reply.text == "Done."
    assert [each.text for each in reply.steps] == ["Day 1.", "Day 2.", "Day 3."]
    assert [len(each.messages) for each in scripted.requests] == [1, 3, 5, 7]
    for limited in (session(scripted), session(mode="replay")):
        with pytest.raises(ours.TooManyRounds, match="2 times, and now wants weather") as caught:
            way.ask(limited, "Three more?", tools=[weather], max_rounds=2)
        assert caught.value.reply is not None
        assert caught.value.reply.text == "Day 3."
        assert limited.conversations.get("main") is None or not limited.conversations["main"].turns
    assert len(RAN) == 5


@pytest.mark.parametrize("way", BOTH)
def test_what_fails_goes_back(scripted: ScriptedServer, way: Way) -> None:
    """Errors of a tool, an unknown tool and broken arguments are told to the model."""

    def fails(n: int) -> int:
        """Fail."""
        raise RuntimeError(f"no {n}")

    scripted.script.then(
        wants(("fails", {"n": 1}), ("nothing", {}), ("fails", {"n": "x"})), "I see."
    )
    reply = way.ask(session(scripted), "Go.", tools=[fails])
    assert [each.result for each in reply.steps[0].calls] == [
        "Error: RuntimeError: no 1",
        "Error: There is no tool 'nothing' here. Tools: fails.",
        (
            "Error: The arguments do not fit: n: Input should be a valid integer, unable to parse "
            "string as an integer."
        ),
    ]
    assert way.ask(session(mode="replay"), "Go.", tools=[fails]).steps == reply.steps


@pytest.mark.parametrize("way", BOTH)
def test_a_tool_that_hangs(scripted: ScriptedServer, way: Way) -> None:
    """It is broken off after its time, and the model hears of it."""
    hold = threading.Event()

    def hangs() -> None:
        """Hang."""
        hold.wait(60)

    scripted.script.then(wants(("hangs", {})), "Too slow.")
    reply = way.ask(session(scripted), "Go.", tools=[hangs], tool_timeout=0.2)
    hold.set()
    assert "did not end within 0.2 s" in reply.steps[0].calls[0].result
    assert reply.text == "Too slow."


@pytest.mark.parametrize("way", BOTH)
def test_interrupted_in_a_tool(scripted: ScriptedServer, way: Way) -> None:
    """What was answered is kept, nothing joins the conversation; asked again it goes on there."""
    stops = [True]

    def stopped() -> str:
        """Stop once."""
        if stops:
            stops.clear()
            raise KeyboardInterrupt
        return "done"

    scripted.script.then(wants(("stopped", {})), "Good.")
    held = session(scripted)
    with pytest.raises(KeyboardInterrupt):
        way.ask(held, "Go.", tools=[stopped])
    assert held.conversations["main"].turns == []
    assert way.ask(held, "Go.", tools=[stopped]).text == "Good."
    assert len(scripted.requests) == 2


@pytest.mark.parametrize("way", BOTH)
def test_the_results_are_not_lost(scripted: ScriptedServer, way: Way) -> None:
    """Where the second request fails, its results are in the file: the tool is not run again."""
    scripted.script.then(wants(OSLO), error(500), "Rain.")
    held = session(scripted)
    with pytest.raises(ours.Unreachable):
        way.ask(held, "Weather?", tools=[weather])
    assert way.ask(session(scripted), "Weather?", tools=[weather]).text == "Rain."
    assert RAN == [("Oslo", 1)]
    assert len(scripted.requests) == 3


def test_not_recorded(scripted: ScriptedServer) -> None:
    """In replay a tool whose results are not recorded is not run, and that is said."""
    scripted.script.then(wants(OSLO), error(401, "invalid_api_key", "Wrong key."))
    with pytest.raises(ours.KeyRefused):
        session(scripted).ask("Weather?", tools=[weather])
    path = session(scripted).dialogue_log_path
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines[:1], lines[1].rstrip(","), "]}"]) + "\n", "utf-8")
    RAN.clear()
    with pytest.raises(ours.ReplayMiss, match=r"not recorded: weather\(.*Oslo"):
        session(mode="replay").ask("Weather?", tools=[weather])
    assert RAN == []


@pytest.mark.parametrize("way", BOTH)
def test_forced_once(scripted: ScriptedServer, way: Way) -> None:
    """A tool that must be called is so in the first request only."""
    scripted.script.then(wants(OSLO), "Rain.")
    way.ask(session(scripted), "Weather?", tools=[weather], tool_choice="required")
    assert [each.json.get("tool_choice") for each in scripted.requests] == ["required", None]


@pytest.mark.parametrize("way", BOTH)
def test_with_a_schema(scripted: ScriptedServer, way: Way) -> None:
    """Both together: tools first, then an answer in the schema, asked for again if need be."""
    good = '{"name": "Oslo", "population": 7, "founded": null}'
    scripted.script.then(wants(OSLO), "no", good)
    reply = way.ask(session(scripted), "Oslo?", tools=[weather], schema=City)
    assert reply.data == City("Oslo", 7)
    assert [len(each.calls) for each in reply.steps] == [1, 0]
    assert [len(each.messages) for each in scripted.requests] == [1, 3, 5]
    again = way.ask(session(mode="replay"), "Oslo?", tools=[weather], schema=City)
    assert (again.data, again.steps) == (reply.data, reply.steps)


def test_max_history_keeps_calls_with_their_results(scripted: ScriptedServer) -> None:
    """An ask is sent whole, with its calls and results, or not at all."""

    def reply(request: Request) -> Any:
        last = request.messages[-1]
        return wants(OSLO) if last["role"] == "user" and "tool" in last["content"] else "Yes."

    scripted.script.always(reply)
    held = session(scripted)
    for text in ("a", "tool b", "c", "d"):
        held.ask(text, tools=[weather], max_history=1)
    said = [[role for role, _ in each] for each in asked(scripted)]
    assert said[1] == ["user", "assistant", "user"]
    assert said[2] == ["user", "assistant", "user", "assistant", "tool"]
    assert said[3] == ["user", "assistant", "tool", "assistant", "user"]
    assert said[4] == ["user", "assistant", "user"]


def test_side_by_side(scripted: ScriptedServer) -> None:
    """Asks without history run their tools without getting in one another's way."""

    def reply(request: Request) -> Any:
        last = request.messages[-1]
        if last["role"] == "tool":
            return f"It is {last['content']}."
        return wants(("weather", {"city": last["content"]}))

    scripted.script.always(reply)
    held = session(scripted)

    async def ask_all() -> list[str]:
        asks = [held.aask(f"town {n}", tools=[weather], history=False) for n in range(6)]
        return [each.text for each in await asyncio.gather(*asks)]

    assert run(held.live, ask_all()) == [f"It is town {n}: rain for 1 days." for n in range(6)]


def test_another_tool_is_another_request(scripted: ScriptedServer) -> None:
    """What the model is told of a tool is part of the request."""
    scripted.script.then("Hi.")
    session(scripted).ask("Hello?", tools=[weather])
    with pytest.raises(ours.ReplayMiss, match="tools"):
        session(mode="replay").ask("Hello?", tools=[tide])


def test_options(scripted: ScriptedServer) -> None:
    """What cannot be is said before anything is sent."""
    held = session(scripted)
    for options, words in (
        ({"tools": ["weather"]}, "A tool is a function"),
        ({"tools": [weather], "tool_timeout": 0}, "tool_timeout"),
        ({"tools": [weather], "max_rounds": -1}, "max_rounds"),
        ({"tool": [weather]}, "Did you mean 'tools'"),
    ):
        with pytest.raises(ours.MagicsError, match=words):
            held.ask("Hi", **options)  # type: ignore[arg-type]
    assert scripted.requests == []
