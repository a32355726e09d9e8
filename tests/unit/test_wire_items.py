"""Messages in the shape of chat completions ↔ the items of the Responses API."""

from __future__ import annotations

from typing import Any

import pytest

from openai_magics.wire.items import call_of, input_items, kept_items, said_in


def message(text: str, **more: Any) -> dict[str, Any]:
    """Return an output item that is a message."""
    content = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": [content], **more}


REASONING = {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA", "summary": []}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "forecast",
    "arguments": '{"city": "Oslo"}',
}


@pytest.mark.parametrize(
    "output",
    [
        [REASONING, message("Rain.")],
        [REASONING, message("I look.", phase="commentary"), CALL],
        [REASONING, CALL],
        [message("Rain.", phase="final_answer")],
    ],
    ids=["reasoned", "said and called", "called", "with a phase"],
)
def test_what_was_kept_goes_back_as_it_came(output: list[dict[str, Any]]) -> None:
    """Of a reply and what was kept beside it, later turns send the very items that came."""
    text = "".join(said_in(item, "text") for item in output if item["type"] == "message")
    calls = [call_of(item) for item in output if item["type"] == "function_call"]
    kept = kept_items(output, text)
    assert "Rain." not in str(kept)
    assert "forecast" not in str(kept)
    turn = {"role": "assistant", "content": text, "tool_calls": calls, "items": kept}
    back = list(input_items(turn, 1, short=True))
    assert [dict(sorted(item.items())) for item in back] == [
        dict(sorted(item.items())) for item in output
    ]


def test_nothing_is_kept_where_the_reply_says_all() -> None:
    """A plain answer, or a plain call, is in the record once."""
    assert kept_items([message("Rain.")], "Rain.") == ()
    assert kept_items([CALL], "") == ()


def test_a_call_as_chat_completions_have_it() -> None:
    """A call is the same value whichever protocol brought it."""
    assert call_of(CALL) == {
        "id": "call_1",
        "type": "function",
        "function": {"name": "forecast", "arguments": '{"city": "Oslo"}'},
    }


@pytest.mark.parametrize(
    ("short", "sent"),
    [
        (True, {"role": "assistant", "content": "Rain."}),
        (
            False,
            {
                "type": "message",
                "id": "msg_3",
                "status": "completed",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "Rain.", "annotations": [], "logprobs": []}
                ],
            },
        ),
    ],
    ids=["OpenAI", "others"],
)
def test_an_answer_of_an_earlier_turn(short: bool, sent: dict[str, Any]) -> None:
    """OpenAI takes a role and a text, other servers only the whole item."""
    assert list(input_items({"role": "assistant", "content": "Rain."}, 3, short)) == [sent]


def test_parts() -> None:
    """Texts and images have names of their own; a tool's result is an item."""
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
    ]
    assert list(input_items({"role": "user", "content": parts}, 0, short=True)) == [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is it?"},
                {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low"},
            ],
        }
    ]
    result = {"role": "tool", "tool_call_id": "call_1", "content": "7 °C"}
    assert list(input_items(result, 0, short=True)) == [
        {"type": "function_call_output", "call_id": "call_1", "output": "7 °C"}
    ]
