"""Looking through a dialogue file of any length: filter, search, and where a record comes from.

One pass over the file keeps a few bytes a record (where it stands, its kind, conversation and
model, its id and its parent's); a record is parsed again when it is looked at. A file that has
grown is read from where it had ended.
"""

from __future__ import annotations

import json
import threading
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openai_magics.dialogue import DialogueFile
from openai_magics.errors import DialogueDamaged
from openai_magics.exchange import Exchange
from openai_magics.frames import words
from openai_magics.glance import Summary, model_of, newest, parsed, summary
from openai_magics.sent import Lineage, turns_before

__all__ = ["Browser", "Pattern", "Summary"]

Key = tuple[str, str, str]
NOBODY = b""
WHOLE = 1 << 24
"""Bytes of a file of which every record is read to show the newest: it takes a tenth of a second."""


@dataclass(frozen=True)
class Pattern:
    """Which records are wanted; ``None`` is any.

    Attributes
    ----------
    conversation : str or None
        ``""``: what stands outside of every conversation.
    kind, model : str or None
        ``ask``, ``describe``, …; the model that served it, as the server names it.
    text : str
        Stands in what was asked, what was answered, the failure or the id, in whatever case.
    """

    conversation: str | None = None
    kind: str | None = None
    model: str | None = None
    text: str = ""

    def fits(self, key: Key) -> bool:
        """Whether a record of this kind, conversation and model is wanted, whatever its text."""
        wanted = (self.kind, self.conversation, self.model)
        return all(one is None or one == other for one, other in zip(wanted, key, strict=True))


class Browser:
    """The records of a dialogue file by number, from 0, in the order of the file.

    Parameters
    ----------
    file : callable
        Gives the dialogue file; another one is read anew.
    """

    def __init__(self, file: Callable[[], DialogueFile]) -> None:
        self._give = file
        self._mutex = threading.RLock()
        self._file: DialogueFile | None = None
        self._forget()

    def _forget(self) -> None:
        self._inode = -1
        self._offsets = array("Q")
        self._keys: dict[Key, int] = {}
        self._key_of = array("I")
        self._ids: list[bytes] = []
        self._parents: list[bytes] = []
        self._row_of: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._offsets)

    def refresh(self, stop: threading.Event | None = None) -> int:
        """Take in what the file holds now; return how many records that is.

        Raises
        ------
        DialogueError
            The file cannot be read, or a record is damaged.
        """
        with self._mutex:
            file = self._give()
            inode = file.path.stat().st_ino if file.path.exists() else -1
            if file is not self._file or inode != self._inode or not self._still(file):
                self._forget()
                self._file, self._inode = file, inode
            begin = self._offsets[-1] if self._offsets else 0
            fresh = not self._offsets
            for offset, line in file.lines(begin):
                if stop is not None and stop.is_set():
                    break
                if line.strip() and (fresh or offset != begin):
                    self._take(offset, line)
            return len(self)

    def _still(self, file: DialogueFile) -> bool:
        """Whether the last record stands where it did."""
        if not self._offsets:
            return True
        try:
            return _short(file.at(self._offsets[-1])["id"]) == self._ids[-1]
        except (DialogueDamaged, KeyError):
            return False

    def _take(self, offset: int, line: bytes) -> None:
        try:
            record = parsed(line)
            key = _key(record)
            identity, parent = record["id"], record.get("parent")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            assert self._file is not None
            number = len(self) + 2
            what = f"this record is damaged ({error!r})"
            raise DialogueDamaged(self._file.path, number, what) from error
        self._row_of[_short(identity)] = len(self)
        self._offsets.append(offset)
        self._key_of.append(self._keys.setdefault(key, len(self._keys)))
        self._ids.append(_short(identity))
        self._parents.append(_short(parent) if parent else NOBODY)

    def choices(self) -> tuple[list[str], list[str], list[str]]:
        """Return the kinds, conversations and models there are, in the order they came."""
        keys = list(self._keys)  # at once, and without waiting for who reads the file
        kinds, conversations, models = (
            list(dict.fromkeys(key[place] for key in keys)) for place in range(3)
        )
        return kinds, conversations, [name for name in models if name]

    def find(self, pattern: Pattern = Pattern(), stop: threading.Event | None = None) -> list[int]:
        """Return the numbers of the records that are wanted, the newest first."""
        with self._mutex:
            fit = {number for key, number in self._keys.items() if pattern.fits(key)}
            rows = [row for row, key in enumerate(self._key_of) if key in fit]
            if pattern.text.strip():
                rows = list(self._holding(pattern.text.strip(), rows, stop))
        return rows[::-1]

    def _holding(
        self, text: str, rows: Sequence[int], stop: threading.Event | None
    ) -> Iterator[int]:
        """Yield the rows whose texts hold *text*; only a line that may do so is parsed."""
        assert self._file is not None or not rows
        wanted = text.lower()
        inside = json.dumps(wanted, ensure_ascii=False)[1:-1]
        ahead = iter(rows)
        row = next(ahead, None)
        for offset, line in self._file.lines() if self._file else ():
            if row is None or (stop is not None and stop.is_set()):
                return
            if offset != self._offsets[row]:
                continue
            plain = line.decode("utf-8", "replace").lower()
            if (inside in plain or "\\u" in plain) and wanted in _text(parsed(line)).lower():
                yield row
            row = next(ahead, None)

    def exchange(self, row: int) -> Exchange:
        """Return a record.

        Raises
        ------
        DialogueDamaged
            The file was changed since, or the record cannot be read.
        """
        return self._read(row)[1]

    def _read(self, row: int) -> tuple[dict[str, Any], Exchange]:
        with self._mutex:
            assert self._file is not None
            record = self._file.at(self._offsets[row])
            try:
                if _short(record["id"]) == self._ids[row]:
                    return record, Exchange.from_record(record)
                what = "this record is not what it was"
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                what = f"this record lacks something ({error!r})"
            raise DialogueDamaged(self._file.path, row + 2, what)

    def row_of(self, identity: str) -> int | None:
        """Return the number of the record with this id, the last one where there are several."""
        return self._row_of.get(_short(identity))

    def summaries(self, rows: Sequence[int]) -> list[Summary]:
        """Return these records, a line each."""
        with self._mutex:
            return [summary(self._file, row, *self._read(row)) for row in rows]

    def newest(self, count: int) -> tuple[int, list[Summary]]:
        """Return how many records there are, and the last ones, the newest first.

        Of a file of more than `WHOLE` bytes only these are read, and only they can be damaged.

        Raises
        ------
        DialogueError
            The file cannot be read, or a record is damaged.
        """
        file = self._give()
        if not file.path.exists() or file.path.stat().st_size <= WHOLE:
            rows = range(self.refresh())
            return len(rows), self.summaries(rows[::-1][:count])
        return len(file), newest(file, count)

    def lineage(self, item: Exchange) -> Lineage:
        """Return where a record comes from, and what came of it."""
        with self._mutex:
            assert self._file is not None
            before, missing = turns_before(item, self._by_id)
            own = _short(item.id)
            after = [row for row, parent in enumerate(self._parents) if parent == own]
            begin = b'{"fingerprint": ' + json.dumps(item.fingerprint).encode()
            again = [
                Exchange.from_record(parsed(line))
                for _, line in self._file.lines()
                if line.startswith(begin)
            ]
            others = tuple(other for other in again if other.id != item.id)
            return Lineage(before, missing, tuple(map(self.exchange, after)), others)

    def _by_id(self, identity: str) -> Exchange | None:
        row = self.row_of(identity)
        return None if row is None else self.exchange(row)


def _text(record: Mapping[str, Any]) -> str:
    """Return what of a record is looked through."""
    request, reply = record["request"], record.get("reply") or {}
    asked = (words(request.get("messages") or (), role) for role in ("user", "system", "tool"))
    said = reply.get("text") or reply.get("refusal")
    told = (record.get("error") or {}).get("problem")
    found = (*asked, request.get("system"), said, told, record["id"])
    return "\n".join(str(one) for one in found if one)


def _short(identity: object) -> bytes:
    """Return a key for an id that takes little memory."""
    text = str(identity)
    try:
        return bytes.fromhex(text)[:16]
    except ValueError:  # altered by hand
        return text.encode("utf-8", "backslashreplace")


def _key(record: Mapping[str, Any]) -> Key:
    return str(record["kind"]), str(record.get("conversation") or ""), model_of(record)
