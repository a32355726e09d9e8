"""The same answers in the form of the Responses API, for the route ``/responses``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.scripted.wire import CREATED, Request, dumps

if TYPE_CHECKING:
    from tests.scripted.replies import Answer


def whole(reply: Answer, request: Request) -> dict[str, Any]:
    """Return the answer as a ``response``."""
    cut = {"length": "max_output_tokens", "content_filter": "content_filter"}
    reason = cut.get(reply.finish_reason)
    frame = _frame(reply, request, "incomplete" if reason else "completed")
    frame["incomplete_details"] = {"reason": reason} if reason else None
    frame["output"] = [_message(reply, "completed", [_part(reply, reply.text)])]
    if reply.tool_calls:
        frame["output"] = [_call(call) for call in reply.calls()]
    counted = reply.counted(request)
    if counted is not None:
        frame["usage"] = {
            "input_tokens": counted["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": counted["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": counted["total_tokens"],
        }
    return frame


def events(reply: Answer, request: Request) -> Iterator[str]:
    """Yield the events of a streamed response, as JSON."""
    final = whole(reply, request)
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    kind = "output_text" if reply.refusal is None else "refusal"
    key = "text" if reply.refusal is None else "refusal"
    text = reply.text if reply.refusal is None else reply.refusal
    more: dict[str, Any] = {"logprobs": []} if reply.refusal is None else {}
    started = _frame(reply, request, "in_progress")
    sequence: list[dict[str, Any]] = [
        {"type": "response.created", "response": started},
        {"type": "response.in_progress", "response": started},
    ]
    if reply.tool_calls:
        for index, item in enumerate(final["output"]):
            given = {"item_id": item["id"], "output_index": index, "arguments": item["arguments"]}
            begun = item | {"arguments": "", "status": "in_progress"}
            sequence += [
                {"type": "response.output_item.added", "output_index": index, "item": begun},
                {"type": "response.function_call_arguments.done", "name": item["name"], **given},
                {"type": "response.output_item.done", "output_index": index, "item": item},
            ]
    else:
        begun = _message(reply, "in_progress", [])
        part = final["output"][0]["content"][0]
        sequence += [
            {"type": "response.output_item.added", "output_index": 0, "item": begun},
            {"type": "response.content_part.added", **where, "part": _part(reply, "")},
            *(
                {"type": f"response.{kind}.delta", **where, "delta": delta, **more}
                for delta in reply.parts()
            ),
            {"type": f"response.{kind}.done", **where, key: text, **more},
            {"type": "response.content_part.done", **where, "part": part},
            {"type": "response.output_item.done", "output_index": 0, "item": final["output"][0]},
        ]
    sequence.append({"type": f"response.{final['status']}", "response": final})
    for number, event in enumerate(sequence):
        yield dumps(event | {"sequence_number": number})


def _frame(reply: Answer, request: Request, status: str) -> dict[str, Any]:
    return {
        "id": f"resp_{request.number:08d}",
        "object": "response",
        "created_at": CREATED + request.number,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": request.json.get("instructions"),
        "metadata": {},
        "model": reply.model or request.model,
        "output": [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
    }


def _message(reply: Answer, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "status": status if reply.finish_reason == "stop" else "incomplete",
        "role": "assistant",
        "content": content,
    }


def _part(reply: Answer, text: str | None) -> dict[str, Any]:
    if reply.refusal is not None:
        return {"type": "refusal", "refusal": reply.refusal}
    return {"type": "output_text", "text": text or "", "annotations": [], "logprobs": []}


def _call(call: dict[str, Any]) -> dict[str, Any]:
    given = {"id": f"fc_{call['id']}", "type": "function_call", "call_id": call["id"]}
    return {**given, "status": "completed", **call["function"]}
