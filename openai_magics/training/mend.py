"""A mended copy of training data: what can be mended is, what cannot be is left out, and both are said."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openai_magics.errors import OptionError
from openai_magics.training import leaks
from openai_magics.training.diagnose import NotJSON, answers_of, diagnose, loads
from openai_magics.training.formats import identity
from openai_magics.training.messages import ALIASES, OPENERS, ROLES, SURROGATE
from openai_magics.training.sources import Block, Source, line_of

__all__ = ["Mended", "mend"]

LEFT_OUT = ("cells", "too long")
"""Kinds of problems of a line that no source gives."""
CHAT = ("messages", "tools", "parallel_tool_calls", "functions")
PAIRS = (("prompt", "completion"), ("instruction", "output"), ("question", "answer"))


@dataclass(frozen=True)
class Mended:
    """What was written where: examples kept, and how many were changed or left out, and why.

    ``still`` are keys and addresses that the copy holds: only a person can tell what they are.
    """

    path: Path
    kept: int
    changed: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    still: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        said = [f"{self.path}: {self.kept:,} examples."]
        told = ("Mended", self.changed), ("Left out", self.left_out), ("Still in it", self.still)
        for what, counts in told:
            if counts:
                listed = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))
                said.append(f"{what}: {listed}.")
        return " ".join(said)


def mend(source: Source, method: str, validation: Source | None = None) -> Mended:
    """Write a mended copy beside the data (or here), and return what was done.

    The copy is ``<name>.fixed.jsonl``, or the first such name with a number that is free:
    nothing is ever written over.

    Raises
    ------
    OptionError
        The data cannot be read, or the copy not written.
    """
    held_out = set(_identities(validation, method)) if validation is not None else set()
    changed: Counter[str] = Counter()
    left: Counter[str] = Counter()
    still: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    kept = 0
    folder = source.path.parent if source.path is not None else Path()
    path, file = _new(folder, Path(source.name.rstrip("/")).stem or "data")
    try:
        with file:
            for line in _lines(_noted(source, changed, left)):
                example, notes, reason = _mended(line, method)
                if example is None:
                    left[reason] += 1
                    continue
                key = _key(example, method)
                if key in seen or key in held_out:
                    left["duplicate" if key in seen else "also in the validation data"] += 1
                    continue
                seen.add(key)
                changed.update(notes)
                made = line_of(example, source.name)
                still.update(each.kind for each in leaks.found(made, leaks.suspects(made)))
                file.write(made + b"\n")
                kept += 1
    except OSError as error:
        path.unlink(missing_ok=True)
        raise OptionError(
            f"{path} cannot be written: {error.strerror or error}.", "Make room there."
        ) from error
    return Mended(path, kept, changed, left, still)


def _new(folder: Path, stem: str) -> tuple[Path, Any]:
    for number in range(1, 1000):
        path = folder / f"{stem}.fixed{'' if number == 1 else f'-{number}'}.jsonl"
        try:
            return path, path.open("xb")
        except FileExistsError:
            continue
        except OSError as error:
            raise OptionError(f"{path} cannot be written: {error.strerror or error}.") from error
    raise OptionError(f"{folder} holds a thousand mended copies.", "Remove some.")


def _noted(source: Source, changed: Counter[str], left: Counter[str]) -> Iterator[Block]:
    """Yield the blocks of a source; count what it mends itself, and what it leaves out."""
    for block in source.blocks():
        whole = (each for each in block.problems if each.kind == "encoding")
        changed.update("encoding of the file" for _ in whole)
        left.update(each.kind for each in block.problems if each.kind in LEFT_OUT)
        yield block


def _lines(blocks: Iterable[Block]) -> Iterator[bytes]:
    for block in blocks:
        yield from block.data.removesuffix(b"\n").split(b"\n") if block.data else ()


def _key(example: Mapping[str, Any], method: str) -> tuple[int, int]:
    prompt, answer, _ = answers_of(example, method)
    rest = json.dumps(example, sort_keys=True) if method == "reinforcement" else ""
    return identity(prompt), hash((identity(answer or []), rest))


def _identities(source: Source, method: str) -> Iterator[tuple[int, int]]:
    for line in _lines(source.blocks()):
        example, _, _ = _mended(line, method)
        if example is not None:
            yield _key(example, method)


def _mended(line: bytes, method: str) -> tuple[dict[str, Any] | None, list[str], str]:
    """Return the example, what was mended in it, and why it is left out where it is."""
    notes: list[str] = []
    if not line.strip():
        return None, notes, "blank line"
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        # What is not UTF-8 is mostly of Windows; a byte that even that does not know is lost.
        line = line.decode("cp1252", "replace").encode()
        notes.append("encoding")
    try:
        example = loads(line)
    except NotJSON:
        return None, notes, "not JSON"
    if not isinstance(example, dict):
        return None, notes, "not an object"
    turned = _turned(example, method)
    if turned != example:
        notes.append("other format")
    for what, step in STEPS:
        after = step(turned, method)
        if after != turned:
            notes.append(what)
        turned = after
    problems, _ = diagnose(line_of(turned, "a line"), method)
    wrong = [problem.kind for problem in problems if problem.severity == "error"]
    return (None, notes, wrong[0]) if wrong else (turned, notes, "")


def _turned(example: dict[str, Any], method: str) -> dict[str, Any]:
    """Return an example of another tool's format in ours."""
    if method == "dpo" and {"prompt", "chosen", "rejected"} <= example.keys():
        asked = example["prompt"]
        messages = asked if isinstance(asked, list) else [{"role": "user", "content": asked}]
        return {
            "input": {"messages": messages},
            "preferred_output": _answer(example["chosen"]),
            "non_preferred_output": _answer(example["rejected"]),
        }
    if method != "supervised" or "messages" in example:
        return example
    said = example.get("conversations")
    if isinstance(said, list) and all(isinstance(each, dict) for each in said):
        messages = [
            {"role": each.get("from", each.get("role")), "content": each.get("value")}
            for each in said
        ]
        return {"messages": messages}
    for asked, answered in PAIRS:
        if asked in example and answered in example:
            prompt = str(example[asked])
            if asked == "instruction" and example.get("input"):
                prompt += f"\n\n{example['input']}"
            messages = [{"role": "user", "content": prompt}, *_answer(example[answered])]
            if example.get("system"):
                messages.insert(0, {"role": "system", "content": example["system"]})
            return {"messages": messages}
    return example


def _answer(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value[-1:]
    return [{"role": "assistant", "content": value if isinstance(value, str) else str(value)}]


def _each(example: dict[str, Any], method: str, change: Any) -> dict[str, Any]:
    """Return an example with *change* made in its list (or lists) of messages."""
    made = dict(example)
    if method == "dpo":
        given = made.get("input")
        if isinstance(given, dict) and isinstance(given.get("messages"), list):
            made["input"] = {**given, "messages": change(given["messages"])}
        return made
    if isinstance(made.get("messages"), list):
        made["messages"] = change(made["messages"])
    return made


def _roles(example: dict[str, Any], method: str) -> dict[str, Any]:
    def change(messages: list[Any]) -> list[Any]:
        return [
            {**each, "role": _role(each.get("role"))} if isinstance(each, dict) else each
            for each in messages
        ]

    return _each(example, method, change)


def _role(role: Any) -> Any:
    lower = role.strip().lower() if isinstance(role, str) else role
    return ALIASES.get(lower, lower) if isinstance(lower, str) else role


def _keys(example: dict[str, Any], method: str) -> dict[str, Any]:
    def change(messages: list[Any]) -> list[Any]:
        return [
            {key: value for key, value in each.items() if key in ROLES[each["role"]]}
            if isinstance(each, dict) and each.get("role") in ROLES
            else each
            for each in messages
        ]

    made = _each(example, method, change)
    if method == "supervised" and "messages" in made:
        return {key: made[key] for key in CHAT if key in made}
    return made


def _order(example: dict[str, Any], method: str) -> dict[str, Any]:
    def change(messages: list[Any]) -> list[Any]:
        if not all(isinstance(each, dict) for each in messages):
            return messages
        first = [each for each in messages if each.get("role") in OPENERS]
        return [*first, *(each for each in messages if each.get("role") not in OPENERS)]

    return _each(example, method, change)


def _ends(example: dict[str, Any], method: str) -> dict[str, Any]:
    last = "assistant" if method == "supervised" else "user"

    def change(messages: list[Any]) -> list[Any]:
        own = [
            n
            for n, each in enumerate(messages)
            if isinstance(each, dict) and each.get("role") == last
        ]
        return messages[: own[-1] + 1] if own else messages

    return _each(example, method, change)


def _surrogates(example: dict[str, Any], method: str) -> dict[str, Any]:
    del method
    text = json.dumps(example, ensure_ascii=False)
    if not SURROGATE.search(text):
        return example
    made: dict[str, Any] = json.loads(SURROGATE.sub("", text))
    return made


STEPS = (
    ("role", _roles),
    ("half a character", _surrogates),
    ("key", _keys),
    ("order", _order),
    ("what follows the last answer", _ends),
)
