"""What was said so far: turns that belong to cells, slots of repeated requests, lanes."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Sequence

import pytest

from openai_magics.conversation import Conversation, Lane, Place, Slots, Turn, history
from openai_magics.errors import OptionError
from openai_magics.exchange import Reply

executions = itertools.count(1)


class Notebook:
    """A notebook whose cells ask; each run of a cell is an execution of its own."""

    def __init__(self) -> None:
        self.talk = Conversation("main")

    def run(self, cell: str | None, *prompts: str, new: bool = False) -> list[str]:
        """Run a cell that asks these prompts; return what each of them saw before it."""
        place = Place(cell, f"run {next(executions)}")
        seen: list[str] = []
        for n, prompt in enumerate(prompts):
            begins = new and n == 0
            before = [] if begins else self.talk.before(place)
            seen.append(" ".join(said(turn) for turn in before))
            self.talk.add(turn(place, prompt), new=begins)
        self.talk.drop(place)
        return seen

    @property
    def said(self) -> str:
        """The prompts of the conversation as it stands."""
        return " ".join(said(turn) for turn in self.talk.turns)


def turn(place: Place, prompt: str) -> Turn:
    return Turn(place, ({"role": "user", "content": prompt},), Reply(prompt.upper()))


def said(turn: Turn) -> str:
    content: str = turn.messages[0]["content"]
    return content


@pytest.fixture
def notebook() -> Notebook:
    """A notebook in which cells A, B and C asked a, b and c."""
    notebook = Notebook()
    for cell in "ABC":
        notebook.run(cell, cell.lower())
    return notebook


def test_each_turn_sees_those_before_it() -> None:
    """A conversation goes on from cell to cell."""
    notebook = Notebook()
    assert [notebook.run(cell, cell.lower()) for cell in "ABC"] == [[""], ["a"], ["a b"]]


@pytest.mark.parametrize(
    ("cell", "seen", "left"),
    [("A", "", "x b c"), ("B", "a", "a x c"), ("C", "a b", "a b x")],
)
def test_running_again_replaces_the_turn_where_it_stood(
    notebook: Notebook, cell: str, seen: str, left: str
) -> None:
    """A cell that is edited and run again sees what stands before it, and adds no second turn."""
    assert notebook.run(cell, "x") == [seen]
    assert notebook.said == left


def test_running_again_again(notebook: Notebook) -> None:
    """However often."""
    for prompt in "xyz":
        notebook.run("B", prompt)
    assert notebook.said == "a z c"


def test_a_new_cell_comes_last(notebook: Notebook) -> None:
    """A cell that was put between others is a turn of its own, after all that were run."""
    assert notebook.run("between", "x") == ["a b c"]
    assert notebook.said == "a b c x"


def test_several_asks_in_one_cell(notebook: Notebook) -> None:
    """The asks of one execution follow one another where the cell stands."""
    assert notebook.run("B", "x", "y") == ["a", "a x"]
    assert notebook.said == "a x y c"
    assert notebook.run("B", "u", "v", "w") == ["a", "a u", "a u v"]
    assert notebook.said == "a u v w c"


def test_fewer_asks_than_before(notebook: Notebook) -> None:
    """What a cell no longer asks, it no longer says, once it has run."""
    notebook.run("B", "x", "y", "z")
    notebook.run("B", "u")
    assert notebook.said == "a u c"
    notebook.run("B")
    assert notebook.said == "a c"


def test_a_cell_that_failed_keeps_what_it_said(notebook: Notebook) -> None:
    """Only an execution that answers takes the turn's place."""
    failed = Place("B", "run that fails")
    assert [said(turn) for turn in notebook.talk.before(failed)] == ["a"]
    assert notebook.said == "a b c"


@pytest.mark.parametrize(("cell", "left"), [("A", "x b c"), ("B", "x c"), ("C", "x"), ("D", "x")])
def test_new_drops_what_stood_before(notebook: Notebook, cell: str, left: str) -> None:
    """``--new`` begins the conversation with this turn; what stands after it stays."""
    assert notebook.run(cell, "x", new=True) == [""]
    assert notebook.said == left


def test_new_with_two_asks(notebook: Notebook) -> None:
    """The second ask of a cell that begins anew sees the first."""
    assert notebook.run("D", "x", "y", new=True) == ["", "x"]
    assert notebook.said == "x y"


def test_without_cell_ids_every_ask_is_a_new_turn() -> None:
    """In plain IPython and in scripts nothing tells that a cell ran before."""
    notebook = Notebook()
    assert [notebook.run(None, prompt) for prompt in "aab"] == [[""], ["a"], ["a a"]]
    assert notebook.said == "a a b"
    same = Place(None, "prompt:7")
    for prompt in "xy":
        notebook.talk.add(turn(same, prompt))
    assert notebook.said == "a a b x y"


@pytest.mark.parametrize(
    ("most", "texts"),
    [(None, "a A b B c C"), (2, "b B c C"), (1, "c C"), (0, ""), (9, "a A b B c C")],
)
def test_history(notebook: Notebook, most: int | None, texts: str) -> None:
    """A turn is what was asked and what was answered; at most the last *most* are sent."""
    messages = history(notebook.talk.turns, most)
    assert " ".join(str(message["content"]) for message in messages) == texts
    assert [message["role"] for message in messages][:2] == ["user", "assistant"][: len(messages)]


# --- slots


class Run:
    """One run of a notebook over what a dialogue file holds."""

    def __init__(self, *cells: str | None) -> None:
        """Have a record of one request in each slot, made by these cells."""
        self.slots = Slots()
        self.cells = list(cells)

    def ask(self, cell: str | None, execution: str) -> int:
        """Ask the request; return the slot taken, which is then recorded."""
        recorded = [n for n, _ in enumerate(self.cells)]
        slot = self.slots.claim("v1:x", Place(cell, execution), recorded, lambda n: self.cells[n])
        if slot == len(self.cells):
            self.cells.append(cell)
        return slot


def asked(run: Run, *asks: tuple[str | None, str]) -> list[int]:
    return [run.ask(*ask) for ask in asks]


def test_the_kth_ask_is_slot_k() -> None:
    """The same request asked again, elsewhere or in a loop, is another sample."""
    assert asked(Run(), ("A", "1"), ("B", "2"), ("B", "2"), ("B", "2")) == [0, 1, 2, 3]


def test_requests_have_slots_of_their_own() -> None:
    """Another request begins at 0."""
    slots = Slots()
    place = Place("A", "1")
    assert [slots.claim(name, place, (), lambda _: None) for name in "xyx"] == [0, 0, 1]


def test_run_again_takes_its_slot() -> None:
    """A cell that is run again, unchanged, takes the slot it had, and shows the same answer."""
    run = Run()
    assert asked(run, ("A", "1"), ("B", "2"), ("A", "3"), ("B", "4"), ("A", "5")) == [0, 1, 0, 1, 0]


def test_run_again_with_several_asks() -> None:
    """So with several, in their order; one more takes the next free slot."""
    run = Run()
    assert asked(run, ("A", "1"), ("A", "1"), ("B", "2")) == [0, 1, 2]
    assert asked(run, ("A", "3"), ("A", "3"), ("A", "3")) == [0, 1, 3]


def test_after_a_restart_the_order_counts() -> None:
    """Run from the top, each cell takes the slot it had, with or without cell ids."""
    for cells in (("A", "B", "C"), (None, None, None)):
        run = Run(*cells)
        assert asked(run, *((cell, str(n)) for n, cell in enumerate(cells))) == [0, 1, 2]


@pytest.mark.parametrize(
    ("order", "slots"),
    [("BAC", [1, 0, 2]), ("CBA", [2, 1, 0]), ("CAB", [2, 0, 1]), ("B", [1]), ("C", [2])],
)
def test_after_a_restart_the_cells_own_slot_comes_first(order: str, slots: list[int]) -> None:
    """Run in another order, a cell still takes the slot that it recorded."""
    run = Run("A", "B", "C")
    assert asked(run, *((cell, cell) for cell in order)) == slots


def test_a_new_cell_takes_the_first_free_slot() -> None:
    """A cell that recorded nothing shows what a run from the top would give it."""
    assert asked(Run("A", "B"), ("D", "1"), ("B", "2"), ("A", "3")) == [0, 1, 2]


def test_without_cell_ids_the_order_counts() -> None:
    """Even where the records tell cells."""
    assert asked(Run("A", "B"), (None, "1"), (None, "1"), (None, "1")) == [0, 1, 2]


def test_release() -> None:
    """A slot whose ask left no answer is free again; releasing twice does no harm."""
    run = Run()
    assert asked(run, ("A", "1"), ("B", "2")) == [0, 1]
    run.slots.release("v1:x", 0)
    run.slots.release("v1:x", 0)
    run.slots.release("v1:unknown", 0)
    assert asked(run, ("C", "3"), ("D", "4")) == [0, 2]


def test_slots_under_threads() -> None:
    """Asks made at the same time never share a slot."""
    run, taken, begin = Slots(), list[int](), threading.Barrier(8)

    def work(number: int) -> None:
        begin.wait()
        for n in range(50):
            taken.append(run.claim("v1:x", Place(None, f"{number}-{n}"), (), lambda _: None))

    together([lambda number=number: work(number) for number in range(8)])  # type: ignore[misc]
    assert sorted(taken) == list(range(400))


def together(work: Sequence[Callable[[], None]]) -> None:
    """Run each in a thread of its own, to the end."""
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


# --- lanes


class Watched(Lane):
    """A lane that tells when somebody has queued up."""

    def __init__(self) -> None:
        super().__init__("main")
        self.entered = threading.Semaphore(0)

    def _enter(self):  # type: ignore[no-untyped-def]
        try:
            return super()._enter()
        finally:
            self.entered.release()


def queue(lane: Watched, work: Callable[[], None]) -> threading.Thread:
    """Start a thread, and return when it stands in the queue."""
    thread = threading.Thread(target=work)
    thread.start()
    assert lane.entered.acquire(timeout=60)
    return thread


def test_threads_take_turns_in_the_order_of_their_calls() -> None:
    """Asks of one conversation wait for one another, and the order of the calls is kept."""
    lane, order = Watched(), list[int]()

    def ask(number: int) -> None:
        with lane.turn():
            order.append(number)

    with lane.turn():
        lane.entered.acquire()
        waiting = [queue(lane, lambda n=n: ask(n)) for n in range(20)]  # type: ignore[misc]
        assert order == []
    for thread in waiting:
        thread.join(60)
    assert order == list(range(20))


def test_tasks_take_turns_in_the_order_of_their_calls() -> None:
    """So do tasks of one event loop, which is not blocked meanwhile."""
    order: list[str] = []

    async def ask(lane: Lane, number: int) -> None:
        async with lane.aturn():
            order.append(f"{number} begins")
            for _ in range(5):
                await asyncio.sleep(0)
            order.append(f"{number} ends")

    async def main() -> None:
        lane = Lane("main")
        await asyncio.gather(*(ask(lane, number) for number in range(10)))

    asyncio.run(main())
    assert order == [f"{n} {what}" for n in range(10) for what in ("begins", "ends")]


def test_threads_and_tasks_share_a_lane() -> None:
    """A task waits for a thread, and a thread for a task."""
    lane, order = Watched(), list[str]()

    def ask() -> None:
        with lane.turn():
            order.append("thread")

    async def main() -> None:
        async with lane.aturn():
            lane.entered.acquire()
            thread = queue(lane, ask)
            order.append("task")
            later = asyncio.create_task(more())
            await asyncio.sleep(0)
        await later
        thread.join(60)

    async def more() -> None:
        async with lane.aturn():
            order.append("later task")

    asyncio.run(main())
    assert order == ["task", "thread", "later task"]


def test_a_failure_lets_the_next_one_go() -> None:
    """An ask that fails does not hold up the conversation."""
    lane = Lane("main")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), lane.turn():
            raise ZeroDivisionError
    with lane.turn():
        pass


def test_waiting_for_oneself_is_an_error() -> None:
    """An ask within an ask of the same conversation could never begin, so it is refused."""
    lane = Lane("draft")
    with lane.turn():
        with pytest.raises(OptionError, match="'draft' has not ended yet"), lane.turn():
            pass
        with pytest.raises(OptionError, match="wait for it for ever"), lane.turn():
            pass
    with lane.turn():
        pass


def test_a_sync_ask_within_a_task_is_an_error() -> None:
    """It would block the loop in which the ask before it runs."""

    async def main() -> None:
        lane = Lane("main")
        async with lane.aturn():
            with pytest.raises(OptionError), lane.turn():
                pass

    asyncio.run(main())


def test_waiting_for_oneself_behind_somebody_else_is_an_error() -> None:
    """So where another thread stands in between, which waits for the same ask."""
    lane, order = Watched(), list[str]()

    def ask() -> None:
        with lane.turn():
            order.append("thread")

    async def main() -> None:
        async with lane.aturn():
            lane.entered.acquire()
            thread = queue(lane, ask)
            with pytest.raises(OptionError), lane.turn():
                order.append("never")
        thread.join(60)

    asyncio.run(main())
    assert order == ["thread"]


def test_a_waiter_that_is_cancelled() -> None:
    """It leaves the queue; nobody overtakes the ask that is still under way."""
    order: list[str] = []

    async def main() -> None:
        lane, done = Lane("main"), asyncio.Event()

        async def ask(name: str) -> None:
            async with lane.aturn():
                order.append(f"{name} begins")
                if name == "first":
                    await done.wait()
                order.append(f"{name} ends")

        first, second, third = (asyncio.create_task(ask(n)) for n in ("first", "second", "third"))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        for _ in range(10):
            await asyncio.sleep(0)
        assert order == ["first begins"]
        done.set()
        await asyncio.gather(first, third)

    asyncio.run(main())
    assert order == ["first begins", "first ends", "third begins", "third ends"]


def test_one_that_is_cancelled_while_it_asks() -> None:
    """It lets the next one go."""
    order: list[str] = []

    async def main() -> None:
        lane = Lane("main")

        async def ask(name: str) -> None:
            async with lane.aturn():
                order.append(name)
                await asyncio.Event().wait()

        first = asyncio.create_task(ask("first"))
        second = asyncio.create_task(ask("second"))
        await asyncio.sleep(0)
        first.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)

    asyncio.run(main())
    assert order == ["first", "second"]


def test_lanes_are_apart() -> None:
    """Asks of other conversations do not wait."""
    one, two = Lane("one"), Lane("two")
    with one.turn(), two.turn():
        pass
