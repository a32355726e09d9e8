"""Giving a conversation another name in the dialogue file.

The name is in no fingerprint and no id: records that get another one replay as before. The
file is rewritten as `openai_magics.repair` does it: under its lock, whole or not at all, a
copy of it kept as ``<file>.before-rename-<time>``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from openai_magics.conversation import Conversation
from openai_magics.dialogue import DialogueFile
from openai_magics.entries import Contents, lines, rewritten
from openai_magics.errors import DialogueDamaged, OptionError, nearest
from openai_magics.repair import holding, replaced, stands_in
from openai_magics.salvage import read

__all__ = ["rename"]


def rename(
    file: DialogueFile,
    run: Mapping[str, Conversation],
    names: tuple[str, str],
    *,
    writing: bool = True,
) -> int:
    """Rename a conversation in the dialogue file; return how many records have the new name.

    Parameters
    ----------
    file : DialogueFile
    run : mapping
        The conversations of this run.
    names : tuple of str
        The old name and the new one.
    writing : bool
        False: only check, as in ``replay`` mode.

    Raises
    ------
    OptionError
        There is no such conversation, or one of the new name that this would run together with.
    DialogueError
        The file cannot be read or written, or is damaged.
    """
    old, new = names
    recorded = list(dict.fromkeys(item.conversation for item in file))
    known = [name for name in dict.fromkeys([*run, *recorded]) if name is not None]
    if not new.strip() or not new.isprintable():
        raise OptionError(f"{new!r} is no name of a conversation.", "Give it as a line of text.")
    if old not in known and (writing or new not in known):
        raise OptionError(
            f"There is no conversation {old!r}{nearest(old, known)}.",
            f"Conversations: {', '.join(known)}." if known else "None is recorded yet.",
        )
    # Run again, a notebook finds its records under the new name already.
    taken = new in run or (old not in run and new in recorded)
    if old != new and taken and old in known:
        raise OptionError(
            f"There is a conversation {new!r} already.", "Give another name: they would be one."
        )
    return _rewrite(file.path, old, new) if writing and old in recorded and old != new else 0


def _rewrite(path: Path, old: str, new: str) -> int:
    with holding(path, writing=True) as held:
        contents = read(held, path)
        whole = lines(contents.header, (item.piece.read(held) for item in contents.entries))
        if os.fstat(held.fileno()).st_size and not stands_in(held, whole):
            first = min((line for found in contents.wrong.values() for line in found), default=1)
            raise DialogueDamaged(path, max(first, 1), "the file is damaged: nothing was renamed")
        texts = list(_renamed(held, contents, old, new))
        replaced(path, held, "rename", lines(contents.header, (text for text, _ in texts)))
        return sum(changed for _, changed in texts)


def _renamed(
    file: BinaryIO, contents: Contents, old: str, new: str
) -> Iterator[tuple[bytes, bool]]:
    """Yield the line of each record, and whether it has the new name now."""
    for entry in contents.entries:
        text = entry.piece.read(file)
        record = json.loads(text)
        changed = record.get("conversation") == old
        yield (rewritten({**record, "conversation": new}) if changed else text), changed
