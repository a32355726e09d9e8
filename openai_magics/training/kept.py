"""``job_ids.json`` beside the notebook: every job that was started, with what it was made of.

``{job id: {"description": …, "model": …, "data": …, "sha256": …, …}}``. An entry may also be a
mere description (as the file was in the first version of this package); what this version does
not know is kept. It is written whole to a new file that then takes its place, under a lock that
two kernels share; a file that cannot be read is never written over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openai_magics.disk import locked
from openai_magics.errors import JobsFileError
from openai_magics.replacing import write_whole

__all__ = ["JobsFile"]


class JobsFile:
    """The jobs that are kept.

    Parameters
    ----------
    path : Path
        The file, which need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, dict[str, Any]]:
        """Return the jobs by id, in the order in which they were kept; empty without a file.

        Raises
        ------
        JobsFileError
            It is damaged, or cannot be read.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise JobsFileError(
                f"{self.path} cannot be read: {error.strerror or error}.",
                "Look at its permissions.",
            ) from error
        try:
            held = json.loads(data.decode("utf-8-sig"))
            return {str(name): _entry(value) for name, value in held.items()}
        except (ValueError, AttributeError, RecursionError) as error:
            raise JobsFileError(
                f"{self.path} is damaged ({error}); it was not changed.",
                "Mend it, or move it away: the dialogue file holds the jobs too.",
            ) from None

    def keep(self, job: str, description: str | None, more: Mapping[str, Any]) -> None:
        """Keep a job; fields that it has already, and *more* does not name, stay.

        Raises
        ------
        JobsFileError
            The file is damaged, or cannot be written.
        """
        with self._locked():
            held = self.read()
            entry = {**held.get(job, {}), **more}
            if description is not None or "description" not in entry:
                entry = {**entry, "description": description or ""}
            held[job] = {"description": entry.pop("description"), **entry}
            self._write(held)

    def _write(self, held: Mapping[str, Any]) -> None:
        text = json.dumps(held, ensure_ascii=False, indent=1) + "\n"
        try:
            write_whole(self.path, [text.encode("utf-8", "backslashreplace")])
        except OSError as error:
            raise JobsFileError(
                f"{self.path} cannot be written: {error.strerror or error}.",
                "The dialogue file holds the job too.",
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold a lock for this file; the lock's own file is in the folder of temporary files."""
        import tempfile

        from openai_magics.canonical import digest

        name = digest("openai_magics/jobs", str(self.path.resolve()))[:24]
        # The file itself is replaced, so it cannot carry the lock.
        lock = Path(tempfile.gettempdir(), f"openai_magics-{name}.lock")
        with lock.open("ab") as file, locked(file, self.path, exclusive=True):
            yield


def _entry(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {"description": value}
