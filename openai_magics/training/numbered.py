"""The lines of training data one by one, each with its number in its file."""

from __future__ import annotations

from collections.abc import Iterator

from openai_magics.training.sources import Block, Source

__all__ = ["numbered"]


def numbered(source: Source) -> Iterator[tuple[Block, list[tuple[int, bytes]]]]:
    """Yield each block of a source with its lines: their numbers from 1 in their file, their bytes.

    Raises
    ------
    OptionError
        The data cannot be read (see `Source.blocks`).
    """
    number, file = 0, None
    for block in source.blocks():
        if block.file != file:
            number, file = 0, block.file
        lines = block.data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        numbers = (
            block.numbers if block.numbers and lines else range(number + 1, number + 1 + len(lines))
        )
        number += len(lines)
        yield block, list(zip(numbers, lines, strict=True))
