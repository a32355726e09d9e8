"""The file of assistants: reading it, and changing it whole or not at all.

::

    {
      "format": "openai_magics.assistants",
      "version": 1,
      "assistants": [
        {"id": "local-3f2a90c1", "name": "tutor", "instructions": "…", "model": "…"}
      ]
    }

Each change is made under a lock on the file itself, to a new file that then takes its place.
Fields that are not ours are kept. What is replaced or deleted is kept in
``assistants.backup.json``, of the same format, the latest last. A file that cannot be read
is an error that names the line, and is never overwritten.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from openai_magics.assistants.assistant import Assistant
from openai_magics.canonical import digest
from openai_magics.disk import opened
from openai_magics.errors import (
    AssistantsDamaged,
    AssistantsError,
    DialogueUnwritable,
    OptionError,
)
from openai_magics.replacing import write_whole

__all__ = ["FILE", "FORMAT", "Store", "of_that_name"]

FILE = "assistants.json"
BACKUP = "assistants.backup.json"
FORMAT = "openai_magics.assistants"
VERSION = 1
ENTRIES = re.compile(r'"assistants"\s*:\s*\[')
CONFLICT = ("<<<<<<<", "=======", ">>>>>>>")
DECODER = json.JSONDecoder()
MOST_KEPT = 100
"""Entries of a backup; the oldest go first."""

Change = Callable[[list[Assistant]], list[Assistant]]


@dataclass(frozen=True)
class Store:
    """One file of assistants; ``where`` is what it is called (``notebook`` or ``user``)."""

    path: Path
    where: str = "notebook"

    def all(self) -> list[Assistant]:
        """Return the assistants in the order of the file; none where there is no file.

        Raises
        ------
        AssistantsError
            The file cannot be read, or is of another format or a newer version.
        """
        return self._read()[1]

    def change(self, change: Change) -> None:
        """Replace the assistants by what *change* makes of them.

        What is no longer there as it was goes to the backup first.

        Raises
        ------
        AssistantsError
            The file cannot be read or written; it is as it was.
        """
        with self._held() as held:
            document, before = self._read()
            after = change(list(before))
            if after == before:
                if not self.path.stat().st_size:  # made by the lock
                    with suppress(PermissionError):  # Windows: it is open
                        self.path.unlink()
                return
            gone = [item for item in before if item not in after]
            if gone and self.path.name != BACKUP:
                backup = Store(self.path.with_name(BACKUP), self.where)
                backup.change(
                    lambda kept: [*(item for item in kept if item not in gone), *gone][-MOST_KEPT:]
                )
            document["assistants"] = [item.to_entry() for item in after]
            text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
            write_whole(self.path, [text.encode("utf-8", "backslashreplace")], held)

    def put(self, assistant: Assistant) -> Assistant:
        """Keep an assistant in the place of the one with its id, or as a new one; return it.

        Raises
        ------
        AssistantsError
            As `change`.
        """
        made = assistant

        def change(held: list[Assistant]) -> list[Assistant]:
            nonlocal made
            made = made if made.id else replace(made, id=_new_id(made.name, held))
            for place, item in enumerate(held):
                if item.id == made.id:
                    return [*held[:place], made, *held[place + 1 :]]
            return [*held, made]

        self.change(change)
        return made

    def delete(self, identity: str) -> None:
        """Take the assistant with an id out; the backup keeps it.

        Raises
        ------
        AssistantsError
            As `change`.
        """
        self.change(lambda held: [item for item in held if item.id != identity])

    def deleted(self, name: str) -> Assistant | None:
        """Return what the backup holds last under a name or an id."""
        kept = Store(self.path.with_name(BACKUP), self.where).all()
        return next((item for item in reversed(kept) if name in (item.name, item.id)), None)

    @contextmanager
    def _held(self) -> Iterator[BinaryIO]:
        try:
            if self.path.name != BACKUP:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            with opened(self.path) as file:
                yield file
        except DialogueUnwritable as error:  # another process holds it
            raise AssistantsError(self.path, error.problem, error.remedy) from error
        except OSError as error:
            raise AssistantsError(
                self.path,
                f"{self.path} cannot be written: {error.strerror or error}.",
                "Nothing was changed. Make it writable, and see to room on the disk.",
            ) from error

    def _read(self) -> tuple[dict[str, Any], list[Assistant]]:
        """Return the document and its assistants.

        Raises
        ------
        AssistantsError
            See `all`.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise AssistantsError(
                self.path,
                f"{self.path} cannot be read: {error.strerror or error}.",
                "Make it readable, or move it out of the way.",
            ) from error
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise AssistantsDamaged(self.path, line, "this is not UTF-8 text") from error
        if not text.strip():
            return {"format": FORMAT, "version": VERSION, "assistants": []}, []
        document = self._document(text)
        found: list[Assistant] = []
        seen: dict[str, int] = {}
        for entry, line in zip(document["assistants"], _lines(text), strict=False):
            try:
                item = Assistant.from_entry(entry)
            except ValueError as error:
                raise AssistantsDamaged(self.path, line, str(error)) from error
            if item.id in seen and self.path.name != BACKUP:
                what = f"the id {item.id!r} is that of line {seen[item.id]} too"
                raise AssistantsDamaged(self.path, line, what)
            if item.id:
                seen[item.id] = line
            found.append(item if item.id else replace(item, id=_new_id(item.name, found)))
        return document, found

    def _document(self, text: str) -> dict[str, Any]:
        try:
            document = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            line = getattr(error, "lineno", 1)
            rows = text.splitlines()
            conflict = any(row.startswith(CONFLICT) for row in rows[line - 1 : line])
            what = "a merge conflict is not resolved" if conflict else f"this is not JSON ({error})"
            raise AssistantsDamaged(self.path, line, what) from error
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise AssistantsError(
                self.path,
                f"{self.path} is not a file of assistants (its format is not {FORMAT!r}).",
                f"Nothing was changed. Assistants of the old API are taken over with: "
                f"%assistant import {self.path.name}, after it was given another name.",
            )
        version = document.get("version")
        if not isinstance(version, int) or isinstance(version, bool) or version > VERSION:
            raise AssistantsError(
                self.path,
                f"{self.path} has version {version!r}; this openai_magics reads version {VERSION}.",
                "Nothing was changed. Update with: pip install --upgrade openai_magics",
            )
        if not isinstance(document.get("assistants"), list):
            raise AssistantsDamaged(self.path, 1, "'assistants' is not a list")
        return document


def of_that_name(held: Sequence[Assistant], name: str) -> Assistant | None:
    """Return the one assistant with an id or a name; ``None`` where there is none.

    Raises
    ------
    OptionError
        There are several of that name; their ids are named.
    """
    for item in held:
        if item.id == name:
            return item
    found = [item for item in held if item.name == name]
    if len(found) > 1:
        ids = [item.id for item in found]
        raise OptionError(
            f"There are {len(found)} assistants {name!r}: {' and '.join(ids)}.",
            f"Name the one you mean by its id, or give it another name: "
            f"%assistant edit {ids[-1]} --name NEW",
        )
    return found[0] if found else None


def _new_id(name: str, held: Sequence[Assistant]) -> str:
    """Return an id for a new assistant: the same each time the same notebook saves it."""
    taken = {item.id for item in held}
    number = 0
    while True:
        made = f"local-{digest('openai_magics/assistant-id/1', [name, number])[:8]}"
        if made not in taken:
            return made
        number += 1


def _lines(text: str) -> Iterator[int]:
    """Yield the line on which each entry begins (the JSON is sound)."""
    match = ENTRIES.search(text)
    at = match.end() if match else 0
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if at >= len(text) or text[at] == "]":
            return
        yield text.count("\n", 0, at) + 1
        try:
            _, at = DECODER.raw_decode(text, at)
        except ValueError:
            return
