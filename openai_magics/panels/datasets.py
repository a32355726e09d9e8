"""What the training panel can train on: variables of the notebook, files, files from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openai_magics.errors import OptionError

__all__ = ["TABLES", "columns_of", "kept_beside", "variables"]

SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
TABLES = (".csv", ".tsv", ".parquet")


def variables(names: Mapping[str, Any]) -> list[str]:
    """Return the variables that may hold training data: DataFrames, lists of examples, paths."""
    return [
        name
        for name, value in list(names.items())
        if not name.startswith("_") and name not in ("In", "Out") and _may_be_data(value)
    ]


def _may_be_data(value: Any) -> bool:
    if _is_frame(value):
        return True
    if isinstance(value, (list, tuple)):
        return bool(value) and isinstance(value[0], (dict, list, tuple))
    return isinstance(value, (str, Path)) and str(value)[-9:].lower().endswith(SUFFIXES)


def _is_frame(value: Any) -> bool:
    return type(value).__name__ == "DataFrame" and hasattr(value, "columns")


def columns_of(data: Any) -> list[str] | None:
    """Return the columns of a table in memory; ``None`` where it is none.

    Of a file that is a table the list is empty: its columns are not looked at yet.
    """
    if _is_frame(data):
        return [str(name) for name in data.columns]
    if isinstance(data, (str, Path)) and str(data).lower().endswith(TABLES):
        return []
    return None


def kept_beside(folder: Path, name: str, data: bytes) -> Path:
    """Write a file that a person has dropped into *folder*, and return its path.

    No file there is written over: the same content is taken as it stands, another one gets a
    name of its own.

    Raises
    ------
    OptionError
        It is of no kind that holds training data, or cannot be written.
    """
    plain = Path(name.replace("\\", "/")).name
    if Path(plain).suffix.lower() not in SUFFIXES:
        raise OptionError(
            f"{plain or 'The file'} is no training data.", f"Take one of: {', '.join(SUFFIXES)}."
        )
    digest = hashlib.sha256(data).hexdigest()
    stem, suffix = Path(plain).stem, Path(plain).suffix
    for target in (folder / plain, folder / f"{stem}-{digest[:8]}{suffix}"):
        try:
            with target.open("xb") as file:
                file.write(data)
        except FileExistsError:
            if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == digest:
                return target
        except OSError as error:
            raise OptionError(
                f"{target} cannot be written: {error.strerror or error}.",
                "Put the file beside the notebook yourself, and type its path.",
            ) from error
        else:
            return target
    raise OptionError(f"There is another file {stem}-{digest[:8]}{suffix}.", "Rename yours.")
