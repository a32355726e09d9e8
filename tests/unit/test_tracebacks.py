"""An exception as a prompt that is the same on every machine."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from openai_magics import tracebacks

LIBRARY = """
def first(rows):
    return second(rows)


def second(rows):
    return rows[0]["x"]
"""


class Machine:
    """A machine on which cells and libraries stand in files of its own."""

    def __init__(self, cells: str, library: str, lines: int = 0) -> None:
        """Have this name for the files of cells, and the library so many lines further down."""
        self.cells = cells
        module = ModuleType("library.core")
        exec(compile("\n" * lines + LIBRARY, library, "exec"), vars(module))
        self.names: dict[str, Any] = {"core": module, "__name__": "__main__"}
        self.count = 0

    def run(self, source: str) -> BaseException:
        """Run a cell; return what it raises."""
        self.count += 1
        name = self.cells.format(self.count)
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        try:
            exec(compile(source, name, "exec"), self.names)
        except BaseException as error:
            return error
        raise AssertionError("nothing was raised")


HERE = ("/cells/ipykernel_41/{}.py", "/library/core.py", 0)
MACHINES = {
    "another process": ("/cells/ipykernel_97123/{}.py", *HERE[1:]),
    "macOS": ("/var/folders/q_/x1/T/ipykernel_5/{}.py", "/opt/lib/library/core.py", 40),
    "Windows": (
        r"C:\Users\Jane Doe\AppData\Local\Temp\ipykernel_5\{}.py",
        r"C:\lib\core.py",
        7,
    ),
    "terminal": ("<ipython-input-{}-a1b2c3>", *HERE[1:]),
}

CELLS = {
    "in the cell": "rows = []\nrows[3]\n",
    "in a library": "def use():\n    return core.first([])\n\nuse()\n",
    "with an address": "class A: pass\nraise ValueError(A())\n",
    "with a note": "e = ValueError('x')\ne.__notes__ = ['see 0x7f00aa11']\nraise e\n",
    "with a cause": "try:\n    core.first([])\nexcept IndexError as e:\n    raise KeyError('x') from e\n",
    "in the handling of another": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    core.first([])\n",
    "that does not parse": "x = (1,\ny = 2\n",
    "over several lines": "f = lambda: core.first(\n    []\n)\nf()\n",
    "a group": "raise ExceptionGroup('several', [ValueError('a'), core.first([])])\n",
}


@pytest.mark.parametrize("source", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_the_same_everywhere(source: str, machine: tuple[str, str, int]) -> None:
    """The prompt names neither paths, processes, addresses nor lines of libraries."""
    said = tracebacks.prompt(Machine(*HERE).run(source))
    assert tracebacks.prompt(Machine(*machine).run(source)) == said
    for word in ("ipykernel_", "/usr/lib", "0x7f", "tmp"):
        assert word not in said


def test_what_is_said() -> None:
    """The cell's frames with their lines, those of libraries by name, the error, the cell."""
    said = tracebacks.prompt(Machine(*HERE).run(CELLS["in a library"]))
    assert said == (
        "A notebook cell failed.\n\n"
        "Traceback (most recent call last):\n"
        "  cell, line 4, in <module>\n"
        "    use()\n"
        "  cell, line 2, in use\n"
        "    return core.first([])\n"
        "  library.core, in first\n"
        "  library.core, in second\n"
        "IndexError: list index out of range\n\n"
        "The cell:\n```python\ndef use():\n    return core.first([])\n\nuse()\n```\n\n"
        "Explain briefly what went wrong, then give the mended cell."
    )


def test_a_question() -> None:
    """What the person asks stands in place of what is asked by default."""
    said = tracebacks.prompt(ValueError("x"), "Whose fault is it?")
    assert said.endswith("\n\nWhose fault is it?")
    assert "mended cell" not in said


def test_a_cause_is_described_first() -> None:
    """What led to the failure, where it was raised in the notebook."""
    said = tracebacks.describe(Machine(*HERE).run(CELLS["with a cause"]))
    assert said.index("IndexError") < said.index("which led to:") < said.index("KeyError: 'x'")


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise KeyError('x') from None\n",
        "raise KeyError('x') from ValueError('never raised')\n",
    ],
    ids=["suppressed", "never raised"],
)
def test_no_cause(source: str) -> None:
    """A context that was suppressed, or a cause from elsewhere, is left out."""
    assert "which led to" not in tracebacks.describe(Machine(*HERE).run(source))


def test_a_circle_of_causes_ends() -> None:
    """So does a long chain."""
    error: BaseException = Machine(*HERE).run("1 / 0")
    error.__context__ = error
    assert tracebacks.describe(error).count("which led to") <= tracebacks.MOST_ORIGINS


def test_a_cell_that_does_not_parse() -> None:
    """Is quoted too, without the frames of the shell that tried."""
    said = tracebacks.describe(Machine(*HERE).run(CELLS["that does not parse"]))
    assert "SyntaxError" in said
    assert "The cell:\n```python\nx = (1,\ny = 2\n```" in said
    assert "test_tracebacks" not in said


def test_outside_a_notebook() -> None:
    """Where no cell is to be seen, frames are named, and nothing is quoted."""
    try:
        linecache.getlines(3)  # type: ignore[arg-type]
    except AttributeError as error:
        said = tracebacks.describe(error)
    assert f"  {__name__}, in test_outside_a_notebook" in said
    assert "The cell" not in said
    assert __file__ not in said


def test_deep_recursion() -> None:
    """Of very many frames the last ones are told."""
    source = "def f(n):\n    return f(n + 1)\n\nf(0)\n"
    said = tracebacks.describe(Machine(*HERE).run(source))
    assert said.count("in f") <= tracebacks.MOST_FRAMES
    assert "RecursionError" in said


def test_a_long_cell() -> None:
    """A very long cell is cut."""
    source = "1 / 0\n" + "# filler\n" * 5000
    assert len(tracebacks.describe(Machine(*HERE).run(source))) < tracebacks.LONGEST + 500


@pytest.mark.parametrize("make", [KeyboardInterrupt, SystemExit, lambda: Exception("")])
def test_any_exception(make: Callable[[], BaseException]) -> None:
    """Without a traceback or a text."""
    error = make()
    assert type(error).__name__ in tracebacks.describe(error)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no groups before")
def test_a_group_is_told() -> None:
    """By its message and how many are in it."""
    source = "raise ExceptionGroup('several', [ValueError('a'), ValueError('b')])\n"
    assert "several (2 sub-exceptions)" in tracebacks.describe(Machine(*HERE).run(source))
