"""Every failure a user can meet: its place in the tree, its text, its way through a pickle."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from openai_magics import errors
from openai_magics.exchange import Reply

ARGUMENTS: dict[type[BaseException], tuple[Any, ...]] = {
    errors.DialogueError: ("a.json", "It is a folder.", "Give a file."),
    errors.DialogueDamaged: ("a.json", 7, "this is not a record"),
    errors.AssistantsError: ("a.json", "It is a folder.", "Give a file."),
    errors.AssistantsDamaged: ("a.json", 7, "this is not JSON"),
    errors.DialogueTooNew: ("a.json", "It is too new.", "Update."),
    errors.DialogueUnwritable: (Path("a.json"), "It is read-only."),
    errors.ExtraMissing: ("Counting tokens", "tokens", "no module"),
    errors.Interrupted: (42,),
}
SERVICE = ("The service failed.", "Try later.", 503, "overloaded", "req_1", 1.5)
CLASSES = [
    item
    for _, item in inspect.getmembers(errors, inspect.isclass)
    if issubclass(item, (errors.MagicsError, errors.Interrupted))
]


def arguments(cls: type[BaseException]) -> tuple[Any, ...]:
    """Return what a class is made from here."""
    if issubclass(cls, errors.ServiceError):
        return SERVICE
    return ARGUMENTS.get(cls, ("What went wrong.", "What to do."))


each = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


@each
def test_pickle(cls: type[BaseException]) -> None:
    """An error comes through a pickle whole: another process or an executor may have raised it."""
    error = cls(*arguments(cls))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        back = pickle.loads(pickle.dumps(error, protocol))
        assert type(back) is cls
        assert (str(back), back.args) == (str(error), error.args)
        assert vars(back) == vars(error)


@each
def test_copy(cls: type[BaseException]) -> None:
    """A copy of an error says the same."""
    error = cls(*arguments(cls))
    assert str(copy.copy(error)) == str(error)


def test_pickle_takes_the_reply_along() -> None:
    """What had come before a failure is not lost on the way between processes."""
    error = errors.LengthCut(*SERVICE)
    error.reply, error.replayed = Reply(text="half an"), True
    back = pickle.loads(pickle.dumps(error))
    assert (back.reply, back.replayed) == (Reply(text="half an"), True)


@each
def test_shown_in_a_line_or_two(cls: type[BaseException]) -> None:
    """In a notebook an error is its name, what is wrong and what to do; no frames of ours."""
    shown = cls(*arguments(cls))._render_traceback_()  # type: ignore[attr-defined]
    assert 1 <= len(shown) <= 2
    assert shown[0].startswith(f"{cls.__name__}: ")
    assert not any("\n" in line for line in shown)


@each
def test_stands_in_the_documented_tree(cls: type[BaseException]) -> None:
    """The tree in the module's docstring names every class, under its parent."""
    places = {
        match[2]: (len(match[1]), n)
        for n, line in enumerate((errors.__doc__ or "").splitlines())
        if (match := re.match(r"    ([│├└─ ]*)(\w+)", line))
    }
    depth, line = places[cls.__name__]
    if cls in (errors.MagicsError, errors.Interrupted):
        assert depth == 0
    else:
        above = [name for name, (d, n) in places.items() if d == depth - 4 and n < line]
        assert above[-1] == cls.__bases__[0].__name__


@each
def test_is_exported(cls: type[BaseException]) -> None:
    """Whoever catches it can import it."""
    assert cls.__name__ in errors.__all__


@pytest.mark.parametrize(
    "cls",
    [errors.MagicsError, errors.OptionError, errors.ServiceError, errors.ReplayMiss],
    ids=lambda cls: cls.__name__,
)
def test_text_without_a_remedy(cls: type[errors.MagicsError]) -> None:
    """Where there is nothing to do about it, nothing is said of it."""
    assert str(cls("What went wrong.")) == "What went wrong."


def test_interrupted_is_not_an_exception() -> None:
    """``except Exception`` does not swallow a stop, and it counts what is kept."""
    assert not issubclass(errors.Interrupted, Exception)
    assert issubclass(errors.Interrupted, KeyboardInterrupt)
    assert str(errors.Interrupted()) == "stopped before an answer came"
    assert "12 characters" in str(errors.Interrupted(12))


@pytest.mark.parametrize(
    ("cls", "lasting"),
    [
        (errors.RequestRefused, True),
        (errors.ContextTooLong, True),
        (errors.ContentRefused, True),
        (errors.LengthCut, True),
        (errors.ServiceError, False),
        (errors.KeyRefused, False),
        (errors.AccessRefused, False),
        (errors.ModelNotFound, False),
        (errors.RateLimited, False),
        (errors.QuotaExhausted, False),
        (errors.Unreachable, False),
        (errors.BadReply, False),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_lasting(cls: type[errors.ServiceError], lasting: bool) -> None:
    """Only what would fail again in the same way is replayed from the dialogue file."""
    assert cls.lasting is lasting


def test_damaged_names_line_and_command() -> None:
    """A damaged file is said with its line and the command that mends it."""
    said = str(errors.DialogueDamaged("a.dialogue.json", 7, "this record is not whole"))
    assert "a.dialogue.json, line 7: this record is not whole." in said
    assert "python -m openai_magics repair a.dialogue.json" in said


def test_extra_names_what_installs_it() -> None:
    """A missing package is an error that says what to install."""
    assert 'pip install "openai_magics[local]"' in str(errors.ExtraMissing("The engine", "local"))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("strem", " (did you mean 'stream'?)"),
        ("modes", " (did you mean 'mode'?)"),
        ("modle", " (did you mean 'model'?)"),
        ("zebra", ""),
        ("", ""),
    ],
)
def test_nearest(typed: str, said: str) -> None:
    """A name that was mistyped is answered with the one that was meant, if any is like it."""
    assert errors.nearest(typed, ["model", "mode", "stream"]) == said
