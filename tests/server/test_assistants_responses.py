"""Assistants that speak the Responses API: prompts kept at OpenAI, and built-in tools."""

from __future__ import annotations

from tests.scripted import ScriptedServer
from tests.server.ways import session


def test_a_prompt_is_named_in_the_request(scripted: ScriptedServer) -> None:
    """It goes to the Responses API with the prompt's id; a replay needs nothing of it."""
    held = session(scripted)
    held.assistants.take_over("pmpt_1@2", name="hosted")
    held.set_assistant("hosted")
    reply = held.ask("a")
    (sent,) = scripted.requests
    assert sent.route == "/responses"
    assert sent.json["prompt"] == {"id": "pmpt_1", "version": "2"}
    again = session(mode="replay")
    again.assistants.take_over("pmpt_1@2", name="hosted")
    again.set_assistant("hosted")
    assert again.ask("a").text == reply.text


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
