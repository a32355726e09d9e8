"""The engine on this machine: from the first ``%%ask`` of a kernel to the first token on the screen."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from openai_magics import local
from openai_magics.local import weights
from tests.benchmarks.figures import Figure, Given, NotMeasured
from tests.benchmarks.kernels import Ran, kernel

ROUNDS = 5
ASK = "%%ask\nWhat is the capital of France?"
SHOWN = ("display_data", "update_display_data")
NOTICE = "Starting "


def run(given: Given) -> Iterator[Figure]:
    """Yield the seconds to the first token, for a question typed at once and one typed later.

    Raises
    ------
    NotMeasured
        The engine, or its weights, are not on this machine.
    """
    if not local.installed():
        raise NotMeasured("the extra `local` is not installed")
    if not (weights.cache_folder() / "models" / weights.GGUF).is_file():
        raise NotMeasured("the weights are not in the cache: ask the engine once before")
    for wait, said in ((0.0, "right after the load"), (2.0, "2 s after the load")):
        seconds = [_first_token(given, f"{said} {number}", wait) for number in range(ROUNDS)]
        yield Figure(
            f"the engine's first token, {said}",
            "from the first %%ask",
            ours=statistics.median(seconds),
            bound=3,
            unit="s",
            rounds=ROUNDS,
        )


def _first_token(given: Given, name: str, wait: float) -> float:
    """Return the seconds to the first text of the answer, which is recorded in no other file."""
    path = given.folder / f"engine {name}.dialogue.json"
    with kernel(given.folder, {"OPENAI_MAGICS_DIALOGUE": str(path)}) as fresh:
        fresh.run(f"%load_ext openai_magics\nimport time\ntime.sleep({wait})")
        return _token(fresh.run(ASK))


def _token(ran: Ran) -> float:
    """Return when the first message came that shows a part of the answer, not a notice."""
    for seconds, message in ran.of(*SHOWN):
        text = message["content"]["data"].get("text/plain", "")
        if text and not text.startswith(NOTICE):
            return seconds
    raise AssertionError("no answer was shown")
