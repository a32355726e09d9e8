"""One step of bringing a working copy and its file in the cloud together, and emptying both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from openai_magics.cloud.address import Address
from openai_magics.cloud.storage import Changed, CloudError, Storage
from openai_magics.cloud.told import log
from openai_magics.cloud.uniting import United, unite
from openai_magics.disk import locked, opened
from openai_magics.errors import DialogueError
from openai_magics.replacing import write_whole
from openai_magics.scan import CLOSING

__all__ = ["Pair"]


class Pair:
    """A working copy and its file in the cloud, and what both held when they were the same."""

    def __init__(self, address: Address, storage: Storage) -> None:
        self.address = address
        self.storage = storage

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other kernels with this working copy waiting."""
        folder = self.address.folder
        folder.mkdir(parents=True, exist_ok=True)
        with (
            (folder / "sync.lock").open("a+b") as held,
            locked(held, self.address.copy, exclusive=True),
        ):
            yield

    def same(self) -> bool:
        """Make both sides the same; return whether nobody else came in between."""
        base = _read(self.address.base)
        known = self._known() if base is not None else None
        theirs, token = self.storage.read(known)
        if theirs is None and token is not None:
            theirs = base
        try:
            united = unite(self.address.copy, theirs, base)
        except DialogueError as error:
            raise CloudError(
                f"{self.address.shown} and its copy here are not united: {error.problem}",
                "Neither was changed. Mend the one that is damaged: python -m openai_magics repair",
            ) from error
        if not united.data:
            return True
        if united.data != theirs:
            try:
                token = self.storage.write(united.data, token)
            except Changed:
                return False
            if not self.storage.conditional:
                stands, token = self.storage.read()
                if stands != united.data:
                    return False
        self._keep(united.data, token)
        self._tell(united)
        return True

    def _tell(self, united: United) -> None:
        merged = united.merged
        if merged is not None and merged.contested:
            log.warning("%s was changed by others too: %s.", self.address.shown, merged)
        elif merged is not None:
            log.info("%s was changed by others too: %s.", self.address.shown, merged)

    def _keep(self, data: bytes, token: str | None) -> None:
        """Keep what both sides hold now, then the token of that state."""
        if _read(self.address.base) != data:
            write_whole(self.address.base, [data])
        text = json.dumps({"address": self.address.shown, "token": token})
        self._token_file.write_text(text, "utf-8")

    def _known(self) -> str | None:
        try:
            token = json.loads(self._token_file.read_text("utf-8")).get("token")
        except (OSError, ValueError, AttributeError):
            return None
        return token if isinstance(token, str) else None

    def emptied(self) -> Path | None:
        """Empty both sides, which are the same; ``None`` where another one came in between."""
        data, token = self.storage.read()
        copy = self.address.copy
        moment = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%f")
        there = replace(self.address, url=f"{self.address.plain}.before-reset-{moment}Z")
        with opened(copy) as held:
            if data is None or held.read() != data:
                return None
            self.storage.beside(there).write(data, None)
            empty = data.partition(b"\n")[0] + CLOSING
            try:
                token = self.storage.write(empty, token)
            except Changed:
                return None
            aside = copy.with_name(f"{copy.name}.before-reset-{moment}Z")
            write_whole(aside, [data])
            write_whole(copy, [empty], held)
            self._keep(empty, token)
        return aside

    @property
    def _token_file(self) -> Path:
        return self.address.folder / "synced.json"


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
