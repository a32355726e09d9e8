"""An exception as a prompt that is the same on every machine.

Only the notebook's own frames are quoted; a frame of a library is named by module and
function, for its line numbers and path differ between machines, and addresses are taken out
of messages. So the request is the same when the notebook is run again elsewhere.
"""

from __future__ import annotations

import linecache
import re
import traceback

__all__ = ["describe", "prompt"]

ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
TEMPORARY = re.compile(r"[^\s\"']*ipykernel_\d+[/\\]\w+\.py|<ipython-input-[^>]*>")
MOST_FRAMES = 12
MOST_ORIGINS = 3
LONGEST = 4000


def describe(error: BaseException) -> str:
    """Return type and message, the frames from the cell inward, and the failing cell.

    Exceptions that it came from are described before it, where they were raised in the
    notebook.
    """
    said, cell = _describe(error)
    before: BaseException | None = error
    for _ in range(MOST_ORIGINS):
        before = before and _origin(before)
        if before is not None:
            said = f"{_describe(before)[0]}\n\nwhich led to:\n\n{said}"
    if cell:
        source = "".join(linecache.getlines(cell)).strip()
        said += f"\n\nThe cell:\n```python\n{source[:LONGEST]}\n```"
    return ADDRESS.sub("0x…", TEMPORARY.sub("cell", said))


def _describe(error: BaseException) -> tuple[str, str]:
    """Return the description of one exception, and the file of the cell that failed."""
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [item for item in frames if _is_cell(item[0].f_code.co_filename)]
    cell = own[-1][0].f_code.co_filename if own else ""
    inside = frames[frames.index(own[0]) :] if own else frames
    if not own and isinstance(error, SyntaxError) and _is_cell(error.filename or ""):
        # The cell does not parse: the frames are the shell's.
        cell, inside = error.filename or "", []
    lines = ["Traceback (most recent call last):"]
    for frame, line in inside[-MOST_FRAMES:]:
        name, file = frame.f_code.co_name, frame.f_code.co_filename
        if _is_cell(file):
            source = linecache.getline(file, line).strip()
            lines.append(f"  cell, line {line}, in {name}\n    {source}")
        else:
            lines.append(f"  {frame.f_globals.get('__name__', '?')}, in {name}")
    lines += traceback.format_exception_only(type(error), error)
    said = "\n".join(line.rstrip() for line in lines)
    # By name first: that of a folder may have spaces.
    return said.replace(cell, "cell") if cell else said, cell


def _origin(error: BaseException) -> BaseException | None:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    frames = traceback.walk_tb(before.__traceback__) if before else ()
    return before if any(_is_cell(frame.f_code.co_filename) for frame, _ in frames) else None


def prompt(error: BaseException, question: str = "") -> str:
    """Return the prompt that asks what went wrong and how to mend it."""
    wanted = question or "Explain briefly what went wrong, then give the mended cell."
    return f"A notebook cell failed.\n\n{describe(error)}\n\n{wanted}"


def _is_cell(file: str) -> bool:
    return TEMPORARY.search(file) is not None
