"""Uploaded files and result files, as ``/v1/files`` shows them."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from openai_magics.local.jobs import store

__all__ = ["Files"]


class Files:
    """The files of a store."""

    def __init__(self, kept: store.Store) -> None:
        self.folder = kept.files

    def add(self, name: str, purpose: str, source: Path) -> dict[str, Any]:
        """Take over the file at *source* (moved, so it lies on the same disk); return what is shown.

        Raises
        ------
        OSError
            There is no room, or the folder cannot be written; nothing is left behind.
        """
        number = store.new_id("file-")
        folder = self.folder / number
        now = time.time()
        shown = {
            "id": number,
            "object": "file",
            "bytes": source.stat().st_size,
            "created_at": int(now),
            "filename": name,
            "purpose": purpose,
            "status": "processed",
        }
        try:
            folder.mkdir()
            source.replace(folder / "content")
            store.write(folder / "about.json", {"shown": shown, "order": time.time_ns()})
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return shown

    def write(self, name: str, purpose: str, content: bytes) -> dict[str, Any]:
        """Keep *content* as a new file; return what is shown of it.

        Raises
        ------
        OSError
            It could not be written.
        """
        source = self.folder / f".{store.new_id('new-')}"
        try:
            source.write_bytes(content)
            return self.add(name, purpose, source)
        finally:
            source.unlink(missing_ok=True)

    def get(self, number: str) -> dict[str, Any] | None:
        """Return what is shown of a file, ``None`` where there is none of that id."""
        # An id comes from outside: "file-../.." leads nowhere.
        about = self._about(self.folder / number) if store.is_id(number, "file-") else None
        return about and about["shown"]

    def content(self, number: str) -> Path:
        """Return where the bytes of a file are."""
        return self.folder / number / "content"

    def all(self) -> list[dict[str, Any]]:
        """Return every file, the oldest first."""
        found = [about for each in self.folder.glob("file-*") if (about := self._about(each))]
        return [about["shown"] for about in sorted(found, key=lambda about: about["order"])]

    def delete(self, number: str) -> None:
        """Remove a file and its bytes."""
        folder = self.folder / number
        with suppress(FileNotFoundError):
            (folder / "about.json").unlink()
        shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def _about(folder: Path) -> dict[str, Any] | None:
        try:
            return store.read(folder / "about.json")
        except (OSError, ValueError):
            return None
