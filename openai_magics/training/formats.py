"""The three formats of training examples, and a decoder that takes only the plainest form of each.

========================  =====================================================================
supervised (chat)         ``{"messages": […, {"role": "assistant", …}], "tools"?, …}``
dpo (preference)          ``{"input": {"messages": […]}, "preferred_output": […],
                          "non_preferred_output": […]}``
reinforcement             ``{"messages": […, {"role": "user", …}], any other keys}``
========================  =====================================================================

Source: OpenAI's fine-tuning guides ("Supervised fine-tuning", "Direct preference optimization",
"Reinforcement fine-tuning") and ``FineTuneChatCompletionRequestAssistantMessage`` of its API
description. Most lines of most files are plain text turns, and a typed decoder tells in one
step that such a line has nothing wrong in it. What it does not take is no fault yet: it is read
with care by `openai_magics.training.diagnose`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, repeat
from operator import add, attrgetter, itemgetter
from typing import Annotated, Any, NamedTuple, TypeAlias

import msgspec

__all__ = ["FORMATS", "METHODS", "Decoder", "NotPlain", "Plain", "identity"]

METHODS = ("supervised", "dpo", "reinforcement")
FORMATS = {"supervised": "chat", "dpo": "preference", "reinforcement": "reinforcement"}

Text = Annotated[str, msgspec.Meta(min_length=1)]
STRICT: dict[str, Any] = {
    "tag_field": "role",
    "frozen": True,
    "gc": False,
    "forbid_unknown_fields": True,
}


class System(msgspec.Struct, tag="system", **STRICT):
    """A system message of plain text."""

    content: Text


class Developer(msgspec.Struct, tag="developer", **STRICT):
    """A developer message of plain text."""

    content: Text


class User(msgspec.Struct, tag="user", **STRICT):
    """A user message of plain text."""

    content: Text


class Assistant(msgspec.Struct, tag="assistant", **STRICT):
    """An assistant message of plain text."""

    content: Text


Message: TypeAlias = System | Developer | User | Assistant
Messages = tuple[Message, ...]


class Chat(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An example of supervised training."""

    messages: Messages


class Input(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """What a pair of preferences answers."""

    messages: Messages


class Preference(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An example of preferences."""

    input: Input
    preferred_output: tuple[Assistant]
    non_preferred_output: tuple[Assistant]


class Graded(msgspec.Struct, gc=False):
    """An example of reinforcement: other keys are the grader's."""

    messages: Messages


class Plain(NamedTuple):
    """What a plain line holds: the messages before the answer, the answer, and all of them."""

    prompt: Messages
    answer: Messages
    all: Messages


TYPES: dict[str, Any] = {"supervised": Chat, "dpo": Preference, "reinforcement": Graded}
OPENERS = (System, Developer)


def _in_order(kinds: tuple[type, ...], last: type) -> bool:
    """Whether roles follow one another as in a conversation: an opener?, then turn about."""
    turns = kinds[1:] if kinds[:1] and kinds[0] in OPENERS else kinds
    if not turns or turns[-1] is not last:
        return False
    return all(kind is (Assistant if n % 2 else User) for n, kind in enumerate(turns))


class Decoder:
    """Decodes plain examples of a method, a line or a block of lines at a time.

    Both raise `msgspec.MsgspecError`, `UnicodeDecodeError` or `RecursionError` where one is not
    of the plainest form, and `NotPlain` where its messages are in another order.
    """

    def __init__(self, method: str) -> None:
        decoder = msgspec.json.Decoder(TYPES[method])
        self._line, self._lines = decoder.decode, decoder.decode_lines
        self._method = method

    def line(self, line: bytes) -> Plain:
        """Return the parts of an example."""
        prompts, answers, everything = self._parts([self._line(line)])
        return Plain(prompts[0], answers[0], everything[0])

    def block(self, data: bytes) -> tuple[list[Messages], list[Messages], list[Messages]]:
        """Return the prompts, the answers and all messages of the examples in some lines."""
        return self._parts(self._lines(data))

    def _parts(self, held: list[Any]) -> tuple[list[Messages], list[Messages], list[Messages]]:
        # Each step is one call over a whole block: a loop in Python would cost more than decoding.
        if self._method == "dpo":
            prompts = [each.input.messages for each in held]
            answers = [(*each.preferred_output, *each.non_preferred_output) for each in held]
            _check(prompts, User)
            if any(better == worse for better, worse in answers):
                raise NotPlain
            return prompts, answers, list(map(add, prompts, answers))
        everything = list(map(MESSAGES, held))
        if self._method == "reinforcement":
            _check(everything, User)
            return everything, [()] * len(everything), everything
        _check(everything, Assistant)
        return list(map(BEFORE, everything)), list(map(LAST, everything)), everything


MESSAGES = attrgetter("messages")
BEFORE, LAST = itemgetter(slice(None, -1)), itemgetter(slice(-1, None))


class NotPlain(ValueError):
    """Messages are in an order that is to be looked at."""


def _check(each: list[Messages], last: type) -> None:
    kinds: Iterable[tuple[type, ...]]
    if len(sizes := set(map(len, each))) == 1:  # which is mostly so, and costs half
        types = map(type, chain.from_iterable(each))
        kinds = zip(*[types] * sizes.pop(), strict=True)
    else:
        kinds = map(tuple, map(map, repeat(type), each))
    if not all(_in_order(kind, last) for kind in set(kinds)) or not all(each):
        raise NotPlain


def identity(messages: Any) -> int:
    """Return a hash of messages, the same as that of their plain form where they have one."""
    try:
        return hash(msgspec.convert(messages, Messages))
    except msgspec.ValidationError:
        return hash(msgspec.json.encode(messages, order="sorted"))
