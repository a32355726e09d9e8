"""Failures of the files that are kept: the dialogue, the assistants, the jobs."""

from __future__ import annotations

from pathlib import Path

from openai_magics.errors.base import MagicsError

__all__ = [
    "AssistantsDamaged",
    "AssistantsError",
    "DialogueDamaged",
    "DialogueError",
    "DialogueTooNew",
    "DialogueUnwritable",
    "JobsFileError",
]


class DialogueError(MagicsError):
    """The dialogue file at ``path`` cannot be used."""

    def __init__(self, path: Path | str, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.args = (path, problem, remedy)  # what pickle calls the class with
        self.path = Path(path)


class DialogueDamaged(DialogueError):
    """A line of the dialogue file cannot be read; ``line`` counts from 1."""

    def __init__(self, path: Path | str, line: int, what: str) -> None:
        super().__init__(
            path,
            f"{path}, line {line}: {what}.",
            f"Nothing was changed. To mend it: python -m openai_magics repair {path}",
        )
        self.args = (path, line, what)
        self.line = line
        self.what = what


class DialogueTooNew(DialogueError):
    """The dialogue file was written by a newer version of the format."""


class DialogueUnwritable(DialogueError):
    """The dialogue file cannot be written."""


class AssistantsError(MagicsError):
    """The file of assistants at ``path`` cannot be used."""

    def __init__(self, path: Path | str, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.args = (path, problem, remedy)
        self.path = Path(path)


class AssistantsDamaged(AssistantsError):
    """A line of the file of assistants cannot be read; ``line`` counts from 1."""

    def __init__(self, path: Path | str, line: int, what: str) -> None:
        super().__init__(
            path,
            f"{path}, line {line}: {what}.",
            "Nothing was changed. Mend that line, or move the file out of the way.",
        )
        self.args = (path, line, what)
        self.line = line
        self.what = what


class JobsFileError(MagicsError):
    """The file of fine-tuning jobs cannot be read or written."""
