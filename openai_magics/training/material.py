"""What is uploaded: a file as it is, or the lines that were made, each known by its SHA-256."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai_magics.errors import OptionError
from openai_magics.training.numbered import numbered
from openai_magics.training.sources import Block, Source

__all__ = ["Material", "material", "split"]

PIECE = 1 << 20


@dataclass(frozen=True)
class Material:
    """A file to upload: where it is, its SHA-256, its size in bytes, and what to call it."""

    path: Path
    sha256: str
    size: int
    name: str

    @property
    def said(self) -> dict[str, Any]:
        """What a request says of it."""
        return {"sha256": self.sha256, "bytes": self.size}

    @property
    def filename(self) -> str:
        """The name at the service: the same for the same content, so it is found again."""
        stem = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in self.name)
        return f"{stem[:40].strip('-') or 'data'}-{self.sha256[:16]}.jsonl"


def material(source: Source, stack: ExitStack) -> Material:
    """Return the file of a source; lines that are made go to one that *stack* removes.

    Raises
    ------
    OptionError
        It cannot be read, or there is no room for it.
    """
    path = source.path
    if path is None or _begins_oddly(path):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="openai_magics-")))
        path = folder / "data.jsonl"
        try:
            with path.open("wb") as file:
                for block in source.blocks():
                    file.write(block.data)
        except OSError as error:
            raise OptionError(
                f"The training data cannot be written to {folder.parent}: "
                f"{error.strerror or error}.",
                "Make room there, or set TMPDIR.",
            ) from error
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
                size += len(piece)
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror or error}.") from error
    return Material(path, digest.hexdigest(), size, Path(source.name).stem)


def _begins_oddly(path: Path) -> bool:
    """Whether a file is to be written anew: the service reads UTF-8 without a mark."""
    try:
        with path.open("rb") as file:
            return file.read(3)[:2] in (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb")
    except OSError:
        return False


def split(source: Source, fraction: float, seed: int = 0) -> tuple[Source, Source]:
    """Return training and validation data: about *fraction* of the examples go to validation.

    Which ones is decided by the hash of the line and the seed: the same on every machine, and
    an example that is there twice goes one way, so nothing leaks.

    Raises
    ------
    OptionError
        The fraction is not between 0 and 1, or leaves one of the two empty.
    """
    if not 0 < fraction < 1:
        raise OptionError(f"A split of {fraction} is not possible.", "It is between 0 and 1: 0.1.")

    def chosen(line: bytes) -> bool:
        key = hashlib.sha256(str(seed).encode() + b"\n" + line.strip()).digest()
        return int.from_bytes(key[:8], "big") < fraction * 2**64

    def part(*, validation: bool) -> Iterator[Block]:
        for block, lines in numbered(source):
            kept = [(at, line) for at, line in lines if line.strip() and chosen(line) == validation]
            data = b"".join(line + b"\n" for _, line in kept)
            numbers = [at for at, _ in kept] or block.numbers or []
            yield Block(data, block.file, numbers, () if validation else block.problems)

    both = (
        Source(source.name, lambda: part(validation=False)),
        Source(f"{source.name} (split)", lambda: part(validation=True)),
    )
    for each in both:
        if not any(block.data for block in each.blocks()):
            raise OptionError(
                f"A split of {fraction} leaves no example for one of the two parts.",
                "Give more data, or a validation file.",
            )
    return both
