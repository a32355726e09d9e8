"""Async twins: each method that may wait for a service has one, which does the same."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading

import pytest

from openai_magics import Session
from openai_magics.twins import twin

HERE = {
    "asking",
    "chat_panel",
    "check_training",
    "describing",
    "describing_all",
    "dialogue_panel",
    "images_panel",
    "is_recorded",
    "models_panel",
    "named",
    "rename_conversation",
    "save_job_id",
    "training_panel",
    "use_key",
}
"""What asks no service by itself."""


def test_every_method_that_may_wait_has_its_twin() -> None:
    """A new method of a session gets a twin, or is named above."""
    found = {
        name: method
        for name, method in inspect.getmembers(Session, inspect.isfunction)
        if not name.startswith("_")
    }
    plain = {name for name, one in found.items() if not inspect.iscoroutinefunction(one)}
    twins = {name for name, one in found.items() if inspect.iscoroutinefunction(one)}
    assert twins == {f"a{name}" for name in plain - HERE}
    assert plain >= HERE


@pytest.mark.parametrize("name", ["train", "job", "list_jobs", "set_assistant"])
def test_a_twin_takes_what_the_method_takes(name: str) -> None:
    """Its signature is the same."""
    plain, other = getattr(Session, name), getattr(Session, f"a{name}")
    assert inspect.signature(other) == inspect.signature(plain)
    assert other.__name__ == f"a{name}"


def test_a_twin_runs_in_a_thread_in_the_context_of_the_caller() -> None:
    """The loop goes on; results and errors are those of the method."""
    cell = contextvars.ContextVar("cell", default="")

    def method(value: int) -> tuple[str, int, int]:
        if value < 0:
            raise ValueError("negative")
        return cell.get(), threading.get_ident(), value

    async def run() -> tuple[str, int, int]:
        cell.set("mine")
        with pytest.raises(ValueError, match="negative"):
            await twin(method)(-1)
        return await twin(method)(3)

    where, thread, value = asyncio.run(run())
    assert (where, value) == ("mine", 3)
    assert thread != threading.get_ident()


def test_a_twin_of_a_session_does_what_its_method_does() -> None:
    """The lexicon judges in a thread as it does here."""
    session = Session()
    text = "What a wonderful day, I love it!"
    assert asyncio.run(session.adetermine_sentiment(text)) == session.determine_sentiment(text)
