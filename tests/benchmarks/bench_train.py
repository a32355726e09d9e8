"""Checking training data: its time against a plain validation, and its memory whatever the size.

The floor parses each line with ``json`` and validates it with a pydantic model, as scripts do;
with tokens it counts those of each message with tiktoken, whose vocabulary is put together from
the one in quicktok (tiktoken itself would fetch it). Ours is the whole check: JSON, roles and
order, lengths, duplicates, contradictions, secrets.
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from tests.benchmarks.figures import Figure, Given, NotMeasured, compare, timed
from tests.benchmarks.kernels import ROOT

SIZE, LARGE = 20_000_000, 200_000_000
ROUNDS = 7
WORDS = """
the of and to in is that it was for on are as with his they at be this from have or by one had not
but what all were when we there can an your which their said if do will each about how up out them
then she many some so these would other into has more her two like him see time could make than
first been its who now people my made over did down only way find use water long little very after
called just where most know through back much before go good new write our used me man too any day
same right look think also around another came come work three word must because does part even
place well such here take why things help put years different away again off went old number great
tell men say small every found still between name should home big give air line set own under read
"""
# What is imported, and the vocabulary, are there before; what the check itself takes is measured
# from a peak that was put back to what is in use.
CHILD = """
import gc, json, sys
from pathlib import Path
from openai_magics.training.check import check
from openai_magics.training.sources import source_of
import pandas

def told(name):
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition(name)[2].split()[0]) * 1024

tiny, large = map(Path, sys.argv[1:])
check(source_of(tiny)).problems
gc.collect()
Path("/proc/self/clear_refs").write_text("5")
before = told("VmRSS:")
found = check(source_of(large))
print(json.dumps({"count": found.training.examples, "bytes": told("VmHWM:") - before}))
"""


def run(given: Given) -> Iterator[Figure]:
    """Yield the times without and with tokens, and the memory for two sizes."""
    path = given.folder / "train.jsonl"
    lines = written(path, SIZE)
    each = SIZE // lines
    name = f"check {SIZE // 1_000_000} MB of chat lines ({each} bytes each)"

    def ours(*, tokens: bool) -> float:
        from openai_magics.training.check import check
        from openai_magics.training.sources import source_of

        def work() -> None:
            found = check(source_of(path), tokens=tokens)
            assert (found.training.examples, found.errors) == (lines, 0)

        return timed(work, time.process_time)

    plain = floor(path, None)
    yield compare(
        name,
        "json + pydantic",
        lambda: timed(plain, time.process_time),
        lambda: ours(tokens=False),
        rounds=ROUNDS,
        bound=1 / 2.5,
    )
    counting = floor(path, tiktoken_count())
    yield compare(
        f"{name}, tokens counted",
        "json + pydantic + tiktoken",
        lambda: timed(counting, time.process_time),
        lambda: ours(tokens=True),
        rounds=3,
        bound=1 / 2.5,
    )
    if not Path("/proc/self/clear_refs").exists():
        raise NotMeasured("the system does not tell the peak of a process's memory")
    small, large = given.folder / "small.jsonl", given.folder / "large.jsonl"
    written(small, 5_000)
    for size in (SIZE, LARGE):
        written(large, size)
        took = memory(small, large)
        title = f"check {size // 1_000_000} MB, tokens counted: memory"
        yield Figure(title, "", ours=took, bound=10.0, unit="MB", rounds=1)
    large.unlink()


def written(path: Path, size: int) -> int:
    """Write chat lines of so many bytes; return how many."""
    some, lines, done, words = random.Random(1), 0, 0, WORDS.split()

    def sentence(count: int) -> str:
        return " ".join(some.choices(words, k=count)).capitalize() + some.choice(".?!")

    with path.open("w", encoding="utf-8") as file:
        while done < size:
            turns = [
                {"role": "system", "content": "You are a careful assistant."},
                {"role": "user", "content": sentence(15)},
                {"role": "assistant", "content": " ".join(sentence(12) for _ in range(5))},
            ]
            done += file.write(json.dumps({"messages": turns}) + "\n")
            lines += 1
    return lines


def floor(path: Path, count: Callable[[str], int] | None) -> Callable[[], int]:
    """Return what validates a file as scripts do, and counts tokens where *count* is given."""
    import pydantic

    class Message(pydantic.BaseModel):
        role: Literal["system", "user", "assistant"]
        content: str

    class Example(pydantic.BaseModel):
        messages: list[Message]

    def work() -> int:
        tokens = 0
        with path.open("rb") as file:
            for line in file:
                example = Example.model_validate(json.loads(line))
                if count is not None:
                    tokens += sum(count(message.content) for message in example.messages)
        return tokens

    return work


def tiktoken_count() -> Callable[[str], int]:
    """Return what counts tokens with tiktoken, without a network."""
    try:
        import quicktok
        import tiktoken
        from tiktoken_ext import openai_public
    except ImportError as error:
        raise NotMeasured(f"{error.name} is not installed") from error
    own = quicktok.get_encoding("o200k_base")
    ranks: dict[bytes, int] = {}
    for n in range(own.max_token_value + 1):
        with contextlib.suppress(KeyError):  # there are gaps before the special tokens
            if not own.is_special_token(n):
                ranks[own.decode_single_token_bytes(n)] = n
    loaded, openai_public.load_tiktoken_bpe = (
        openai_public.load_tiktoken_bpe,
        lambda *_, **__: ranks,
    )
    try:
        encoding = tiktoken.Encoding(**openai_public.o200k_base())
    finally:
        openai_public.load_tiktoken_bpe = loaded
    text = "Tides rise, don't they? 12345 naïve 文字"
    assert encoding.encode_ordinary(text) == list(own.encode_ordinary(text))

    def count(text: str) -> int:
        return len(encoding.encode_ordinary(text))

    return count


def memory(small: Path, large: Path) -> float:
    """Return by how many megabytes a check of *large* raises the peak of a process."""
    command = [sys.executable, "-c", CHILD, str(small), str(large)]
    told: dict[str, Any] = json.loads(
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    )
    assert told["count"] > 0
    return float(told["bytes"]) / 1e6
