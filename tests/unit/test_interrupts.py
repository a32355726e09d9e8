"""An interrupt at any moment: what it must not break is whole, and the next one works at once."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from openai_magics import Session, disk, interrupts
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import Interrupted
from openai_magics.exchange import Exchange, Reply, Request

FOLLOWED = ("openai_magics", "contextlib", "portalocker", "threading", "concurrent")


def exchange(number: int) -> Exchange:
    """Return a record."""
    asked = Request(messages=({"role": "user", "content": f"Question {number}"},))
    return Exchange(asked, Reply(f"Answer {number}", "stop"))


class Struck:
    """Call *work*, and send SIGINT at its *at*-th line, or instruction, of Python."""

    def __init__(self, work: Callable[[], Any], at: int, *, instructions: bool) -> None:
        self.steps, self._at = 0, at
        self._kind = "opcode" if instructions else "line"
        self.stop: KeyboardInterrupt | None = None
        sys.settrace(self._call)
        try:
            work()
        except KeyboardInterrupt as stop:
            self.stop = stop  # kept, as IPython keeps sys.last_value
        finally:
            sys.settrace(None)

    def _call(self, frame: Any, *_: object) -> Any:
        if not any(name in frame.f_code.co_filename for name in FOLLOWED):
            return None
        frame.f_trace_opcodes = self._kind == "opcode"
        return self._step

    def _step(self, _: Any, event: str, __: object) -> Any:
        if event == self._kind:
            self.steps += 1
            if self.steps == self._at:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
        return self._step


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Do not wait for a lock that is left behind; end with the handler that was there."""
    monkeypatch.setattr(disk, "PATIENCE", 0.2)
    before = signal.getsignal(signal.SIGINT)
    yield
    assert signal.getsignal(signal.SIGINT) is before
    assert interrupts.Held._handler is None


@pytest.mark.parametrize("instructions", [False, True], ids=["lines", "instructions"])
def test_append(tmp_path: Path, *, instructions: bool) -> None:
    """Wherever it strikes an append, the record is there once or not at all, and nothing is held."""
    path = tmp_path / "n.dialogue.json"

    def struck(at: int) -> Struck:
        path.unlink(missing_ok=True)
        file = DialogueFile(path, fsync=False)
        file.append(exchange(0))
        ran = Struck(lambda: file.append(exchange(1)), at, instructions=instructions)
        # From another thread, for the lock of a file object lets its own thread in again.
        later = threading.Thread(target=file.append, args=[exchange(2)], daemon=True)
        later.start()
        later.join(90)
        assert not later.is_alive(), at
        said = [each["reply"]["text"] for each in json.loads(path.read_bytes())["exchanges"]]
        assert said in (["Answer 0", "Answer 1", "Answer 2"], ["Answer 0", "Answer 2"]), at
        assert (said[1] == "Answer 1") or ran.stop is not None, at
        return ran

    steps = struck(0).steps
    assert steps > 50
    for at in range(1, steps + 1, 3 if instructions else 1):
        struck(at)


def test_ask(tmp_path: Path) -> None:
    """Wherever it strikes an ask, the conversation goes on, and the next ask sees what is recorded."""
    path = tmp_path / "n.dialogue.json"
    file = DialogueFile(path, fsync=False)
    first, second = exchange(0), exchange(1)
    file.append(first)
    after = Request(messages=second.request.messages, parent=first.id)
    file.append(Exchange(after, second.reply))

    def struck(at: int) -> Struck:
        session = Session(mode="replay", dialogue_log_path=path)
        ran = Struck(lambda: session.ask("Question 0"), at, instructions=False)
        assert ran.stop is None or isinstance(ran.stop, Interrupted | KeyboardInterrupt)
        if not session.conversations.get("main") or not session.conversations["main"].turns:
            session.ask("Question 0")
        assert session.ask("Question 1").text == "Answer 1", at
        return ran

    steps = struck(0).steps
    assert steps > 100
    stopped = [at for at in range(1, steps + 1) if struck(at).stop is not None]
    assert len(stopped) > steps / 2


def test_heard_after() -> None:
    """What is held back is raised at the end, or where something takes time, and only once."""
    done: list[str] = []

    def whole() -> None:
        with interrupts.Held():
            signal.raise_signal(signal.SIGINT)
            done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        whole()
    with interrupts.Held():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.heard(lambda: done.append("too much"))
        with interrupts.Held():
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
        interrupts.check()
    assert done == ["whole"]


def test_held_inside_what_is_heard() -> None:
    """What is whole inside of what takes time is held back too, and raised when it is done."""
    done: list[str] = []

    def write() -> None:
        with interrupts.Held():
            signal.raise_signal(signal.SIGINT)
            done.append("written")
        done.append("too much")

    with interrupts.Held():
        with pytest.raises(KeyboardInterrupt):
            interrupts.heard(write)
        signal.raise_signal(signal.SIGINT)  # held back again
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
    assert done == ["written"]


def test_another_thread() -> None:
    """In a thread, which gets no signals, nothing is changed, whatever the main thread does."""
    told: list[Any] = []

    def work() -> None:
        with interrupts.Held():
            told.append(interrupts.heard(lambda: "done"))
            interrupts.check()

    with interrupts.Held():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert told == ["done"]


def test_a_lock_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ask that waits for a file that another process holds can be stopped."""
    import portalocker

    monkeypatch.setattr(disk, "PATIENCE", 60.0)
    path = tmp_path / "n.dialogue.json"
    file = DialogueFile(path, fsync=False)
    file.append(exchange(0))
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with path.open("r+b") as other:
        portalocker.lock(other, portalocker.LOCK_EX)
        with pytest.raises(KeyboardInterrupt):
            file.append(exchange(1))
        portalocker.unlock(other)
    file.append(exchange(2))
    assert len(DialogueFile(path)) == 3
