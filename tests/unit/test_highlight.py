"""Code in colours: whatever its language, nothing of it is active."""

from __future__ import annotations

import subprocess
import sys

import pytest

from openai_magics.panels.highlight import LONGEST, highlighted

IN_THE_MIDDLE = """
import importlib.machinery, threading
from openai_magics.panels.highlight import highlighted

loader = importlib.machinery.SourceFileLoader
execute, begun, asked, made = loader.exec_module, threading.Event(), threading.Event(), []

def slowly(self, module):
    if module.__name__ == "pygments.formatters":
        begun.set()
        asked.wait(90)
        threading.Event().wait(0.3)  # the other thread waits for this import by now
    execute(self, module)

loader.exec_module = slowly
first = threading.Thread(target=lambda: made.append(highlighted("1", "python")))
first.start()
begun.wait(90)
second = threading.Thread(target=lambda: (asked.set(), made.append(highlighted("1", "python"))))
second.start()
first.join()
second.join()
assert ["mi" in html for html in made] == [True, True], made
"""


def test_colours() -> None:
    """The tokens of a known language get classes."""
    assert highlighted("def f(): pass", "python").startswith('<span class="k">def</span>')


@pytest.mark.parametrize("language", ["", "no-such-language", '"><img src=x>', "x" * 40])
def test_unknown(language: str) -> None:
    """What is no language that is known is left to who shows it without colours."""
    assert highlighted("1", language) == ""


def test_long() -> None:
    """Very long code is shown without colours."""
    assert highlighted("1" * (LONGEST + 1), "python") == ""


def test_harmless() -> None:
    """Code is text, also where its language is HTML."""
    made = highlighted("<script>alert(1)</script>", "html")
    assert "<script" not in made
    assert "&lt;" in made


def test_two_threads_at_first() -> None:
    """Two views that open at once import Pygments at once: both get their colours."""
    ran = subprocess.run(
        [sys.executable, "-c", IN_THE_MIDDLE], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
