"""A conversation is what the cells say: run again, edited, emptied, stopped in the middle."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kernel.kernels import PATIENCE, Kernel, Ran, environment, loaded, records, same_bytes
from tests.scripted import ScriptedServer, answer, errors, failures
from tests.scripted.fixtures import serving


class Notebook:
    """Cells with ids, run as JupyterLab runs them; and the history that the server saw."""

    def __init__(self, kernel: Kernel, server: ScriptedServer) -> None:
        self.kernel, self.server = kernel, server
        self.file = kernel.folder / "notebook.dialogue.json"

    def run(self, **cells: str) -> list[Ran]:
        """Run cells, given by id, in this order; none may fail."""
        return [self.kernel.ok(code, name) for name, code in cells.items()]

    def seen(self) -> list[str]:
        """Return what the person said, as the last request has it."""
        return [
            each["content"] for each in self.server.requests[-1].messages if each["role"] == "user"
        ]

    def asked(self, **cells: str) -> list[str]:
        """Run cells that ask once; return the history with the question itself."""
        before = len(self.server.requests)
        self.run(**cells)
        assert len(self.server.requests) == before + len(cells)
        return self.seen()

    def replayed(self, **cells: str) -> list[Ran]:
        """Run cells that must not ask."""
        before = len(self.server.requests)
        ran = self.run(**cells)
        assert len(self.server.requests) == before
        return ran


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kernel, ScriptedServer]]:
    """Return a kernel, which starting takes longest of all, and the server that it asks."""
    folder = tmp_path_factory.mktemp("cells")
    with serving() as server, loaded(folder, environment(folder, server.base_url)) as started:
        yield started, server


@pytest.fixture
def notebook(kernel: tuple[Kernel, ScriptedServer]) -> Notebook:
    """Return a notebook whose first three cells asked ``1``, ``2`` and ``3``; nothing was before."""
    made = Notebook(*kernel)
    made.file.unlink(missing_ok=True)
    made.server.requests.clear()
    made.kernel.ok("import openai_magics.session\nopenai_magics.session.current = None")
    assert made.asked(a="%ask 1", b="%ask 2", c="%ask 3") == ["1", "2", "3"]
    return made


def test_run_again(notebook: Notebook) -> None:
    """A cell that is run again unchanged shows its recorded answer; its turn stays where it was."""
    first = notebook.replayed(b="%ask 2", a="%ask 1", c="%ask 3")
    again = notebook.replayed(a="%ask 1", b="%ask 2", c="%ask 3", d="x = 1")
    assert [same_bytes(each.outputs) for each in (first[1], first[0], first[2])] == [
        same_bytes(each.outputs) for each in again[:3]
    ]
    assert notebook.asked(d="%ask 4") == ["1", "2", "3", "4"]


def test_edited(notebook: Notebook) -> None:
    """An edited cell replaces its turn: it sees what stood before it, those after it see the new one."""
    assert notebook.asked(b="%ask 2, edited") == ["1", "2, edited"]
    assert notebook.asked(c="%ask 3") == ["1", "2, edited", "3"]
    assert notebook.asked(d="%ask 4") == ["1", "2, edited", "3", "4"]
    assert notebook.replayed(b="%ask 2")[0].text == "You said: 2. (turn 2, messages 3)"
    notebook.replayed(c="%ask 3")


def test_no_longer_asks(notebook: Notebook) -> None:
    """A cell that ran without asking has no turn any more."""
    notebook.run(b="x = 1")
    assert notebook.asked(d="%ask 4") == ["1", "3", "4"]
    notebook.run(a="")
    assert notebook.asked(b="%ask 2") == ["3", "4", "2"]


def test_failed(notebook: Notebook) -> None:
    """A cell that failed before it could ask keeps the turn that it had."""
    assert notebook.kernel.run("1/0\n%ask 2", "b").status == "error"
    assert notebook.asked(d="%ask 4") == ["1", "2", "3", "4"]


def test_several_asks_in_a_cell(notebook: Notebook) -> None:
    """All turns of a cell are replaced together, in their order."""
    notebook.run(b="%ask 2a\n%ask 2b")
    assert notebook.seen() == ["1", "2a", "2b"]
    notebook.run(b="for n in range(3):\n    get_ipython().run_line_magic('ask', f'2-{n}')")
    assert notebook.seen() == ["1", "2-0", "2-1", "2-2"]
    assert notebook.asked(d="%ask 4") == ["1", "2-0", "2-1", "2-2", "3", "4"]
    assert notebook.asked(b="%ask 2, alone") == ["1", "2, alone"]
    assert notebook.asked(e="%ask 5") == ["1", "2, alone", "3", "4", "5"]


def test_same_question_in_a_loop(notebook: Notebook) -> None:
    """The same request asked k times keeps k answers, and gives them again in their order."""
    notebook.server.script.then("heads", "tails", "heads", "edge")
    loop = "from openai_magics import get_session as s\nfor n in range({}):\n    print(s().ask('Toss', history=False))"
    notebook.run(d=loop.format(3))
    assert notebook.replayed(d=loop.format(3))[0].stdout == "heads\ntails\nheads\n"
    assert notebook.asked(d=loop.format(4))
    assert notebook.replayed(d=loop.format(4))[0].stdout == "heads\ntails\nheads\nedge\n"
    assert notebook.replayed(d=loop.format(2))[0].stdout == "heads\ntails\n"


def test_order_of_cells_with_one_question(notebook: Notebook) -> None:
    """Of two cells that ask the same, each keeps its own answer, whichever is run first."""
    notebook.server.script.then("first", "second")
    notebook.run(x="%ask --no-history Toss", y="%ask --no-history Toss")
    env = environment(notebook.kernel.folder, notebook.server.base_url, OPENAI_MAGICS_MODE="replay")
    with loaded(notebook.kernel.folder, env) as kernel:
        assert kernel.ok("%ask --no-history Toss", "y").text == "second"
        assert kernel.ok("%ask --no-history Toss", "x").text == "first"


def test_conversations(notebook: Notebook) -> None:
    """``-c`` continues another conversation, ``--new`` begins anew, ``--no-history`` joins none."""
    assert notebook.asked(d="%ask -c draft d1") == ["d1"]
    assert notebook.asked(e="%ask --no-history alone") == ["alone"]
    assert notebook.asked(f="%ask -c draft d2") == ["d1", "d2"]
    assert notebook.asked(g="%ask --max-history 1 4") == ["3", "4"]
    assert notebook.asked(h="%ask --max-history 0 5") == ["5"]
    assert notebook.asked(i="%ask --new 6") == ["6"]
    assert notebook.asked(j="%ask 7") == ["6", "7"]
    assert notebook.asked(k="%ask --conversation=draft d3") == ["d1", "d2", "d3"]


def test_moved_to_another_conversation(notebook: Notebook) -> None:
    """A cell that now asks in another conversation leaves the one it was in."""
    assert notebook.asked(b="%ask -c draft 2") == ["2"]
    assert notebook.asked(d="%ask 4") == ["1", "3", "4"]


def test_without_cell_ids(tmp_path: Path, scripted: ScriptedServer) -> None:
    """A front end that tells no cell ids adds a turn with every ask."""
    with loaded(tmp_path, environment(tmp_path, scripted.base_url), watched=False) as kernel:
        for prompt in ("1", "2", "2", "3"):
            kernel.ok(f"%ask {prompt}")
    said = [each["content"] for each in scripted.requests[-1].messages if each["role"] == "user"]
    assert said == ["1", "2", "2", "3"]


def test_async_cells(notebook: Notebook) -> None:
    """``await session.aask`` in a cell is a turn of that cell like any other."""
    ask = "from openai_magics import get_session\nprint(await get_session().aask({!r}))"
    assert notebook.asked(b=ask.format("2, async")) == ["1", "2, async"]
    assert notebook.asked(b=ask.format("2, again")) == ["1", "2, again"]
    assert notebook.asked(d="%ask 4") == ["1", "2, again", "3", "4"]
    many = "import asyncio\nmade = [get_session().aask(f'5-{n}') for n in range(3)]\n"
    notebook.run(e=many + "replies = await asyncio.gather(*made)")
    assert notebook.seen() == ["1", "2, again", "3", "4", "5-0", "5-1", "5-2"]
    assert notebook.asked(f="%ask 6")[-4:] == ["5-0", "5-1", "5-2", "6"]


# --- the stop button


def wait_for(happened: Callable[[], bool]) -> None:
    """Return when something has happened."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


def stopped(notebook: Notebook, code: str, cell: str, until: str) -> Ran:
    """Run a cell, and press stop when *until* is shown."""
    sent = notebook.kernel.send(code, cell)
    came = notebook.kernel.finish(
        sent, until=lambda ran: until in json.dumps(ran.messages, default=str)
    )
    notebook.kernel.interrupt()
    return notebook.kernel.finish(sent, came)


def test_stopped(notebook: Notebook) -> None:
    """Stop fails the cell in a line, shows what came as cut off, and records it, not to be replayed."""
    hold = threading.Event()
    notebook.server.script.then(answer("one two three", hold=hold, hold_after=3))
    ran = stopped(notebook, "%ask 2, stopped", "b", "one ")
    hold.set()
    assert (ran.status, ran.reply["ename"]) == ("error", "Interrupted")
    shown, failed = ran.outputs
    text = shown["data"]["text/plain"]
    assert text in ("one ", "one two ")
    assert "Cut off" in shown["data"]["text/html"]
    said = "Interrupted: stopped; the {} characters that had come are recorded as cut off"
    assert failed["traceback"] == [said.format(len(text))]
    record = records(notebook.file)[-1]
    assert record["occurrence"] is None
    assert record["reply"]["finish_reason"] == "cut_off"
    assert record["reply"]["text"] == text
    assert shown["metadata"]["openai_magics"]["id"] == record["id"]
    # Asked again it is asked, whole; nothing of what was cut off is in the history.
    assert notebook.asked(b="%ask 2, stopped") == ["1", "2, stopped"]
    assert notebook.replayed(b="%ask 2, stopped")[0].text.startswith("You said: 2, stopped.")
    assert notebook.asked(d="%ask 4") == ["1", "2, stopped", "3", "4"]


def test_stopped_where_nobody_watches(notebook: Notebook) -> None:
    """A client that stops a cell for taking too long gets the error, and the file stays whole."""
    hold = threading.Event()
    notebook.server.script.then(answer("one two three", hold=hold, hold_after=3))
    sent = notebook.kernel.send("%ask 4", "d", watched=False)
    wait_for(lambda: len(notebook.server.requests) == 4)
    notebook.kernel.interrupt()
    ran = notebook.kernel.finish(sent)
    hold.set()
    *shown, failed = ran.outputs
    assert failed["ename"] == "Interrupted"
    assert all("Cut off" in each["data"]["text/html"] for each in shown)
    assert records(notebook.file)[-1]["occurrence"] is None
    assert notebook.asked(d="%ask 4") == ["1", "2", "3", "4"]


def test_stopped_before_anything_came(notebook: Notebook) -> None:
    """Stop while the server thinks leaves no output but the line."""
    hold = threading.Event()
    notebook.server.script.then(answer("late", hold=hold))
    sent = notebook.kernel.send("%ask 4", "d")
    wait_for(lambda: len(notebook.server.requests) == 4)
    notebook.kernel.interrupt()
    ran = notebook.kernel.finish(sent)
    hold.set()
    assert ran.reply["ename"] == "Interrupted"
    assert ran.error == "Interrupted: stopped before an answer came"
    assert ran.kinds == ["error"]
    assert notebook.asked(d="%ask 4") == ["1", "2", "3", "4"]


def test_stopped_while_waiting_to_try_again(notebook: Notebook) -> None:
    """Stop works while a rate limit is waited for."""
    notebook.server.script.then(errors.rate_limited(retry_after="100"))
    ran = stopped(notebook, "%ask 4", "d", "Trying again")
    assert ran.reply["ename"] == "Interrupted"
    assert "Trying" not in json.dumps(ran.outputs)
    assert notebook.asked(d="%ask 4") == ["1", "2", "3", "4"]


def test_stopped_while_the_server_hangs(notebook: Notebook) -> None:
    """Stop works where a server has stalled in the middle of its answer."""
    notebook.server.script.then(failures.cut("one two three", 2, "stalled"))
    ran = stopped(notebook, "%ask 4", "d", "one ")
    assert ran.reply["ename"] == "Interrupted"
    assert notebook.asked(d="%ask 4") == ["1", "2", "3", "4"]


def test_stop_in_a_loop(notebook: Notebook) -> None:
    """Stop ends a loop of asks, not one ask of it; run again, it goes on where it was."""
    hold = threading.Event()
    notebook.server.script.then("one", "two", answer("th ree", hold=hold, hold_after=2))
    loop = "for n in range(5):\n    get_ipython().run_line_magic('ask', f'--no-history n{n}')"
    ran = stopped(notebook, loop, "d", "th ")
    hold.set()
    assert ran.reply["ename"] == "Interrupted"
    before = len(notebook.server.requests)
    again = notebook.kernel.ok(loop, "d")
    assert [each["data"]["text/plain"][:3] for each in again.outputs] == [
        "one",
        "two",
        *["You"] * 3,
    ]
    assert len(notebook.server.requests) == before + 3
