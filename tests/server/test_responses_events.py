"""Every event of a streamed response that OpenAI's API description knows: heard, or passed over knowingly."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.scripted import Custom, Plan, Request, ScriptedServer, answer, responses
from tests.scripted.spec import spec
from tests.server.ways import STREAMS, Way, session

HEARD = {
    "error",
    "response.completed",
    "response.created",
    "response.failed",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.in_progress",
    "response.incomplete",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_text.delta",
    "response.output_text.done",
    "response.queued",
    "response.refusal.delta",
    "response.refusal.done",
}
ON_THE_WAY = {
    "response.code_interpreter_call.completed",
    "response.code_interpreter_call.in_progress",
    "response.code_interpreter_call.interpreting",
    "response.file_search_call.completed",
    "response.file_search_call.in_progress",
    "response.file_search_call.searching",
    "response.image_generation_call.completed",
    "response.image_generation_call.generating",
    "response.image_generation_call.in_progress",
    "response.mcp_call.completed",
    "response.mcp_call.failed",
    "response.mcp_call.in_progress",
    "response.mcp_list_tools.completed",
    "response.mcp_list_tools.failed",
    "response.mcp_list_tools.in_progress",
    "response.web_search_call.completed",
    "response.web_search_call.in_progress",
    "response.web_search_call.searching",
}
"""How far a built-in tool has come: its item says at its end what came of it."""
IN_ITEMS = {
    "response.code_interpreter_call_code.delta",
    "response.code_interpreter_call_code.done",
    "response.content_part.added",
    "response.content_part.done",
    "response.custom_tool_call_input.delta",
    "response.custom_tool_call_input.done",
    "response.image_generation_call.partial_image",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.output_text.annotation.added",
    "response.reasoning_summary_part.added",
    "response.reasoning_summary_part.done",
    "response.reasoning_summary_text.delta",
    "response.reasoning_summary_text.done",
    "response.reasoning_text.delta",
    "response.reasoning_text.done",
    "response.shell_call_command.added",
    "response.shell_call_command.delta",
    "response.shell_call_command.done",
    "response.shell_call_output_content.delta",
    "response.shell_call_output_content.done",
}
"""Pieces of what stands whole in the item that ends them, which is kept."""
SOUND = {
    "response.audio.delta",
    "response.audio.done",
    "response.audio.transcript.delta",
    "response.audio.transcript.done",
}
"""No request made here asks for sound."""


def described() -> set[str]:
    """Return the types of all events of the description."""
    held = spec()._definitions
    kinds = held["ResponseStreamEvent"]
    names = [each["$ref"].rpartition("/")[2] for each in kinds.get("anyOf") or kinds["oneOf"]]
    return {held[name]["properties"]["type"]["enum"][0] for name in names}


def test_none_is_forgotten() -> None:
    """An event that a newer description adds is to be looked at, and named here."""
    assert described() == HEARD | ON_THE_WAY | IN_ITEMS | SOUND


@pytest.mark.parametrize("way", STREAMS)
def test_what_is_passed_over_changes_nothing(scripted: ScriptedServer, way: Way) -> None:
    """With all of them between the others, in any place, the answer is the same."""
    passed = sorted(ON_THE_WAY | IN_ITEMS | SOUND)

    def make(request: Request) -> Plan:
        reply = answer("one two three")
        events: list[dict[str, Any]] = []
        for event in map(json.loads, responses.events(reply, request)):
            own = {"item_id": "x", "output_index": 0, "content_index": 0}
            filled = {"delta": "no", "text": "no", "code": "no", "arguments": "no", "part": {}}
            events += [{"type": name, **own, **filled} for name in passed]
            events.append(event)
        return reply.streamed([reply.style.event(json.dumps(each)) for each in events])

    scripted.script.then("one two three", Custom(make))
    plain = way.ask(session(scripted), "a", api="responses")
    heard: list[str] = []
    reply = way.ask(session(scripted), "b", api="responses", on_text=heard.append)
    assert "".join(heard) == reply.text == plain.text == "one two three"
    assert (reply.items, reply.tool_calls) == (plain.items, plain.tool_calls)
    scripted.take_problems()


@pytest.mark.parametrize("way", STREAMS)
def test_items_of_every_kind_go_back(scripted: ScriptedServer, way: Way) -> None:
    """What a built-in tool did is kept as it is, and sent with the next turn."""
    items = [
        {"id": "ci_1", "type": "code_interpreter_call", "status": "completed", "code": "1 + 1"}
        | {"container_id": "cntr_1", "outputs": []},
        {"id": "cu_1", "type": "custom_tool_call", "call_id": "c", "name": "n", "input": "text"},
        {"id": "mc_1", "type": "mcp_call", "name": "n", "arguments": "{}", "server_label": "s"},
    ]

    def make(request: Request) -> Plan:
        reply = answer("Two.")
        events = [json.loads(each) for each in responses.events(reply, request)]
        done = [
            {"type": "response.output_item.done", "output_index": n, "item": item}
            for n, item in enumerate(items)
        ]
        for event in events:
            if "output_index" in event:
                event["output_index"] = len(items)
            if event["type"] == "response.completed":
                event["response"] = {**event["response"], "output": []}
        return reply.streamed(
            [reply.style.event(json.dumps(each)) for each in (*events[:2], *done, *events[2:])]
        )

    scripted.script.then(Custom(make), "Yes.")
    held = session(scripted)
    assert way.ask(held, "1 + 1?", api="responses").text == "Two."
    way.ask(held, "Sure?", api="responses")
    sent = scripted.requests[-1].json["input"]
    assert sent[1:4] == items
    assert sent[4]["content"][0]["text"] == "Two."
    scripted.take_problems()
