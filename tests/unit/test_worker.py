"""Where panels' requests run."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from openai_magics import cells
from openai_magics.panels.worker import Job, Worker


def run(work: Any, *, stop: bool = False) -> tuple[Any, BaseException | None]:
    """Run a job to its end; return what ``then`` got."""
    got: list[tuple[Any, BaseException | None]] = []
    job = Worker().start(work, lambda result, error: got.append((result, error)))
    if stop:
        job.stop()
    assert job.wait(90)
    return got[0]


def test_a_function_runs_off_the_main_thread() -> None:
    """Its result is handed on."""
    result, error = run(lambda _: threading.current_thread())
    assert result is not threading.main_thread()
    assert error is None


def test_a_coroutine_runs_off_the_main_thread() -> None:
    """Its result is handed on."""

    async def work(_: Job) -> threading.Thread:
        await asyncio.sleep(0)
        return threading.current_thread()

    result, error = run(work)
    assert result is not threading.main_thread()
    assert error is None


def test_a_failure_is_handed_on() -> None:
    """What fails in a job reaches the panel, which shows it; nothing is printed."""

    async def work(_: Job) -> None:
        raise ValueError("no")

    def plain(_: Job) -> None:
        raise ValueError("no")

    for one in (work, plain):
        result, error = run(one)
        assert result is None
        assert isinstance(error, ValueError)


def test_a_stop_ends_a_coroutine_where_it_waits() -> None:
    """Also when it has not begun yet."""
    begun = threading.Event()

    async def work(_: Job) -> None:
        begun.set()
        await asyncio.sleep(600)

    assert isinstance(run(work, stop=True)[1], asyncio.CancelledError)
    begun.clear()
    job = Worker().start(work)
    assert begun.wait(90)
    job.stop()
    assert job.wait(90)


def test_a_stop_tells_a_function() -> None:
    """A function that works long looks at the event."""
    assert run(lambda job: job.stopping.wait(90), stop=True) == (True, None)


def test_a_job_belongs_to_no_cell() -> None:
    """Each has an execution of its own, whatever cell runs at that moment."""

    async def work(_: Job) -> tuple[str | None, str, str]:
        return cells.cell_id(), cells.execution(), await asyncio.to_thread(cells.execution)

    first, second = run(work)[0], run(work)[0]
    assert first[0] is None
    assert first[1].startswith("panel:")
    assert first[1] == first[2] != second[1]
    assert not cells.execution().startswith("panel:")


def test_nobody_is_asked_from_a_job() -> None:
    """A key is not asked for in a prompt that would stand under some cell."""
    assert run(lambda _: cells.watched())[0] is False
