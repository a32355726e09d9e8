"""Assistants that speak the Responses API: prompts kept at OpenAI, and built-in tools."""

from __future__ import annotations

import pytest

from openai_magics import Session
from openai_magics.errors import OptionError, RequestRefused
from openai_magics.exchange import AskOptions
from tests.scripted import ScriptedServer
from tests.server.ways import BOTH, Way, session


def test_a_prompt_is_named_in_the_request(scripted: ScriptedServer) -> None:
    """It goes to the Responses API with the prompt's id; a replay needs nothing of it."""
    held = session(scripted)
    held.assistants.take_over("pmpt_1@2", name="hosted")
    held.set_assistant("hosted")
    reply = held.ask("a")
    (sent,) = scripted.requests
    assert sent.route == "/responses"
    assert sent.json["prompt"] == {"id": "pmpt_1", "version": "2"}
    assert "model" not in sent.json, "the prompt's own counts before that of the surroundings"
    again = session(mode="replay")
    again.assistants.take_over("pmpt_1@2", name="hosted")
    again.set_assistant("hosted")
    assert again.ask("a").text == reply.text


def test_a_prompt_with_a_model_of_the_notebook(scripted: ScriptedServer) -> None:
    """What the notebook or the assistant says counts before what the prompt says."""
    held = session(scripted)
    held.assistants.take_over("pmpt_1", name="hosted")
    held.set_assistant("hosted")
    held.ask("a", model="gpt-4.1")
    held.assistants.edit("hosted", {"model": "gpt-4o-mini"})
    held.ask("b")
    assert [each.json["model"] for each in scripted.requests] == ["gpt-4.1", "gpt-4o-mini"]
    assert Session("gpt-4o", mode="replay").model == "gpt-4o"


def test_a_prompt_where_the_server_has_many_models(scripted: ScriptedServer) -> None:
    """No model has to be named for it, and none is looked for."""
    held = session(scripted)
    del held.settings.profile["model"]
    held.assistants.take_over("pmpt_1", name="hosted")
    held.set_assistant("hosted")
    reply = held.ask("a")
    assert [each.route for each in scripted.requests] == ["/responses"]
    assert reply.model is not None, "which model it was is told by the answer"


@pytest.mark.parametrize("way", BOTH)
def test_built_in_tools_of_an_ask(scripted: ScriptedServer, way: Way) -> None:
    """They go out as they were given, are part of the request, and stand beside functions."""

    def weather(city: str) -> str:
        """Tell the weather."""
        return f"rain in {city}"

    search = {"type": "web_search"}
    held = session(scripted)
    plain = way.ask(held, "a", api="responses", history=False)
    both = way.ask(held, "a", api="responses", tools=[weather, search], history=False)
    assert [tool["type"] for tool in scripted.requests[-1].json["tools"]] == [
        "web_search",
        "function",
    ]
    assert plain.fingerprint != both.fingerprint
    asked = AskOptions(api="responses", tools=[weather], history=False)
    typed = held.asking("a", asked, {"tools": [search]})  # as -p tools=… gives it
    assert typed.request.fingerprint == both.fingerprint
    assert held.turns.run(typed).text == both.text


def test_parameters_that_are_options() -> None:
    """What has an option of its own is no parameter; what tools must be is said."""
    held = session()
    with pytest.raises(OptionError, match="'model' is no parameter of the API"):
        held.asking("a", AskOptions(), {"model": "gpt-4o"})
    for wrong in ("web_search", {"type": "web_search"}, ["web_search"]):
        with pytest.raises(OptionError, match="no list of objects"):
            held.asking("a", AskOptions(), {"tools": wrong})


def test_built_in_tools_in_a_chat_completion(scripted: ScriptedServer) -> None:
    """The server refuses them there; the error says where they are."""
    held = session(scripted)
    asking = held.asking("a", AskOptions(), {"tools": [{"type": "web_search"}]})
    with pytest.raises(RequestRefused) as caught:
        held.turns.run(asking)
    assert "web_search in the Responses API only: --api responses" in str(caught.value)
    with pytest.raises(RequestRefused) as caught:
        held.ask("b", prompt={"id": "pmpt_1"})
    assert "prompt in the Responses API only" in str(caught.value)
    scripted.take_problems()


def test_built_in_tools(scripted: ScriptedServer) -> None:
    """Those of the old API go out as the Responses API takes them."""
    tools = [{"type": "file_search", "vector_store_ids": ["vs_1"]}]
    held = session(scripted)
    held.assistants.save(
        "tutor", {"instructions": "Look it up.", "tools": tools, "api": "responses"}
    )
    held.set_assistant("tutor")
    held.ask("a")
    (sent,) = scripted.requests
    assert (sent.route, sent.json["tools"]) == ("/responses", tools)
    assert sent.json["instructions"] == "Look it up."
