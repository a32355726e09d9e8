"""The union of two branches' dialogue files: what is kept, in what order, and what git is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openai_magics.__main__ import main
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import DialogueError, DialogueTooNew, MagicsError
from openai_magics.exchange import Exchange
from openai_magics.merge import ATTRIBUTE, Merged, driver, install, merge, uninstall
from openai_magics.repair import repair
from openai_magics.scan import header
from tests.unit.test_repair import HEADER, answer, asked, conflict, line, questions, text, whole


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def merged(folder: Path, ours: bytes, base: bytes, theirs: bytes) -> tuple[Path, Merged]:
    """Merge three files as git does; return what is then ours, and what was said."""
    paths = [folder / name for name in ("ours", "base", "theirs")]
    for path, held in zip(paths, (ours, base, theirs), strict=True):
        path.write_bytes(held)
    said = merge(*paths, Path("analysis.dialogue.json"))
    assert [path.read_bytes() for path in paths[1:]] == [base, theirs]
    assert len(json.loads(paths[0].read_bytes())["exchanges"]) == said.records
    assert sorted(item.name for item in folder.iterdir()) == ["base", "ours", "theirs"]
    assert repair(paths[0]).mended == ()
    return paths[0], said


ONE, TWO, THREE = asked("one"), asked("two", at="12:01"), asked("three", at="12:02")
MINE, OTHER = asked("q", "ours", at="13:00"), asked("q", "theirs", at="14:00")
CASES = {
    "both added": ([ONE, TWO], [ONE], [ONE, THREE], ["one", "two", "three"], (3, 1, 1, 0, 0)),
    "only theirs added": ([ONE], [ONE], [ONE, THREE], ["one", "three"], (2, 0, 1, 0, 0)),
    "both added the same": ([ONE, TWO], [ONE], [ONE, TWO], ["one", "two"], (2, 0, 0, 0, 0)),
    "both began the file": (
        [ONE, TWO],
        None,
        [ONE, THREE],
        ["one", "two", "three"],
        (3, 1, 1, 0, 0),
    ),
    "ours removed one": ([TWO], [ONE, TWO], [ONE, TWO, THREE], ["two", "three"], (2, 0, 1, 1, 0)),
    "theirs removed one": ([ONE, TWO, THREE], [ONE, TWO], [TWO], ["two", "three"], (2, 1, 0, 1, 0)),
    "both removed one": ([TWO], [ONE, TWO], [TWO, THREE], ["two", "three"], (2, 0, 1, 0, 0)),
    "theirs removed all": ([ONE, TWO, THREE], [ONE, TWO], [], ["three"], (1, 1, 0, 2, 0)),
    "both removed all": ([], [ONE], [], [], (0, 0, 0, 0, 0)),
    "removed here, asked again there": (
        *([TWO], [ONE, TWO], [ONE, TWO, ONE], ["two", "one", "one"], (3, 0, 2, 0, 0)),
    ),
    "given again there": ([ONE, TWO], [ONE], [ONE, ONE], ["one", "two", "one"], (3, 1, 1, 0, 0)),
    "one slot, two answers": ([MINE], [], [OTHER], ["q", "q"], (2, 1, 1, 0, 1)),
    "one slot, removed here and asked anew there": (
        *([TWO], [MINE, TWO], [MINE, TWO, OTHER], ["two", "q"], (2, 0, 1, 1, 0)),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_three_ways(tmp_path: Path, name: str) -> None:
    """New records of both are kept; what one removed and the other left alone stays removed."""
    ours, base, theirs, expected, counts = CASES[name]
    before = b"" if base is None else whole(*base)
    path, said = merged(tmp_path, whole(*ours), before, whole(*theirs))
    assert questions(path) == expected
    assert said == Merged(*counts)


@pytest.mark.parametrize(
    ("at", "wins"), [("13:30", "ours"), ("14:30", "theirs"), ("14:00", "theirs")]
)
def test_the_later_answer_wins(tmp_path: Path, at: str, wins: str) -> None:
    """Two branches answered one slot: both stay, the later is replayed; at one time, theirs."""
    mine, other = asked("q", "ours", at="14:00"), asked("q", "theirs", at=at)
    path, said = merged(tmp_path, whole(ONE, mine), whole(ONE), whole(ONE, other))
    assert len(DialogueFile(path)) == 3
    assert answer(path, mine) == wins
    assert said.contested == 1
    assert "1 answered on both sides" in str(said)


def test_the_order_within_theirs_decides_for_theirs(tmp_path: Path) -> None:
    """Theirs has its new answer before the one that is also ours: ours is still the last there."""
    path, said = merged(tmp_path, whole(MINE), whole(), whole(OTHER, MINE))
    assert answer(path, MINE) == "ours"
    assert said.contested == 0


def test_records_keep_their_bytes(tmp_path: Path) -> None:
    """Odd spaces and unknown fields come through on both sides; what both have is ours."""
    one, two = (line(item).replace(b'"id": ', b'"id" :  ') for item in (ONE, TWO))
    ours, theirs = (
        whole(THREE).replace(line(THREE), held + b",\n" + line(THREE)) for held in (one, two)
    )
    path, _ = merged(tmp_path, ours, whole(THREE), theirs)
    assert (
        path.read_bytes() == HEADER + b"\n" + one + b",\n" + line(THREE) + b",\n" + two + b"\n]}\n"
    )


@pytest.mark.parametrize(
    ("ours", "base", "theirs", "expected"),
    [("a", "a", "b", "b"), ("b", "a", "a", "b"), ("b", "a", "c", "b"), ("a", None, "b", "a")],
)
def test_a_renamed_notebook(
    tmp_path: Path, ours: str, base: str | None, theirs: str, expected: str
) -> None:
    """The first line is merged as well: the side that changed it, ours where both did."""
    held = [whole(ONE, first=header(name)) if name else b"" for name in (ours, base, theirs)]
    path, _ = merged(tmp_path, *held)
    assert json.loads(path.read_bytes())["notebook"] == expected


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        pytest.param(
            whole(ONE, TWO).replace(b"\n", b"\r\n"), ["one", "two", "three"], id="Windows"
        ),
        pytest.param(whole(ONE, TWO)[:-4], ["one", "two", "three"], id="no brackets"),
        pytest.param(
            json.dumps(json.loads(whole(ONE, TWO)), indent=2).encode(),
            ["one", "two", "three"],
            id="laid out anew",
        ),
        pytest.param(
            HEADER + b"\n" + conflict(text(ONE, TWO), text(ONE, MINE)) + b"]}\n",
            ["one", "two", "q", "three"],
            id="a conflict that was committed",
        ),
        pytest.param(b"", ["three"], id="nothing"),
    ],
)
def test_a_side_that_can_be_mended_is(tmp_path: Path, side: bytes, expected: list[str]) -> None:
    """Damage by which nothing is lost does not keep two branches from being united."""
    path, _ = merged(tmp_path, side, whole(ONE), whole(ONE, THREE))
    assert questions(path) == expected
    other = tmp_path / "other"
    other.mkdir()
    path, _ = merged(other, whole(ONE, THREE), whole(ONE), side)
    assert sorted(questions(path)) == sorted(expected)
    assert json.loads(path.read_bytes())["notebook"] == "analysis.ipynb"


@pytest.mark.parametrize("which", ["ours", "theirs"])
@pytest.mark.parametrize(
    ("held", "kind", "said"),
    [
        pytest.param(whole(ONE, TWO)[:-40], DialogueError, "line 3 of", id="a record cut off"),
        pytest.param(b"{}", DialogueError, "not a dialogue file", id="other JSON"),
        pytest.param(
            whole(ONE, first=HEADER.replace(b": 1,", b": 2,")),
            DialogueTooNew,
            "version 2",
            id="newer",
        ),
    ],
)
def test_a_side_that_cannot_be_read(
    tmp_path: Path,
    which: str,
    held: bytes,
    kind: type[DialogueError],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is written, the side is named, and git is told that it did not work: status 1."""
    sides = {"base": whole(ONE), "ours": whole(ONE, TWO), "theirs": whole(ONE, THREE), which: held}
    for name, content in sides.items():
        (tmp_path / name).write_bytes(content)
    paths = [tmp_path / name for name in ("ours", "base", "theirs")]
    with pytest.raises(kind, match=said) as failed:
        merge(*paths, Path("my.dialogue.json"))
    assert which in str(failed.value)
    assert "my.dialogue.json" in str(failed.value)
    typed = [str(tmp_path / name) for name in ("base", "ours", "theirs")]
    assert main(["merge-driver", *typed, "my.dialogue.json"]) == 1
    assert capsys.readouterr().err.count("\n") == 2
    assert {name: (tmp_path / name).read_bytes() for name in sides} == sides


def test_a_base_that_cannot_be_read(tmp_path: Path) -> None:
    """Then nothing counts as removed."""
    path, said = merged(tmp_path, whole(TWO), b"\0\1\2", whole(ONE, TWO))
    assert sorted(questions(path)) == ["one", "two"]
    assert said.removed == 0


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Git is told, without a traceback."""
    assert main(["merge-driver", "a", "b", "c"]) == 1
    assert "No such file" in capsys.readouterr().err


# --- whatever two branches append ------------------------------------------------------------

SUFFIX = st.lists(
    st.tuples(
        st.sampled_from(["q", "r", "s"]),  # the question
        st.integers(0, 2),  # the answer
        st.integers(0, 3),  # how many minutes later than the one before
        st.one_of(st.none(), st.integers(0, 9)),  # which of the records before is its parent
        st.sampled_from([0, 0, 1, None]),  # the occurrence
    ),
    max_size=6,
)


def branch(
    before: Sequence[Exchange], steps: Sequence[tuple[str, int, int, int | None, int | None]]
) -> list[Exchange]:
    """Return the records of a branch that goes on from those before."""
    records, minute = list(before), 30 * bool(before)
    for question, said, later, parent, occurrence in steps:
        minute += later
        records.append(
            asked(
                question,
                f"{question}{said}",
                at=f"13:{minute:02}",
                parent=records[parent % len(records)] if parent is not None and records else None,
                occurrence=occurrence,
            )
        )
    return records


def last_answers(records: Sequence[Exchange]) -> dict[tuple[str, int | None], Exchange]:
    """Return the last record of each slot."""
    return {
        (item.fingerprint, item.occurrence): item for item in records if item.occurrence is not None
    }


def check(path: Path, ours: list[Exchange], theirs: list[Exchange]) -> None:
    """Check what holds of every union."""
    held = list(DialogueFile(path))
    ids = [item.id for item in held]
    assert set(ids) == {item.id for item in (*ours, *theirs)}
    for name in set(ids):
        sides = [sum(item.id == name for item in side) for side in (ours, theirs)]
        assert ids.count(name) == max(sides)
    mine, other = last_answers(ours), last_answers(theirs)
    for slot, last in last_answers(held).items():
        one, two = mine.get(slot), other.get(slot)
        candidates = {item.id for item in (one, two) if item is not None}
        assert last.id in candidates
        if one and two and one.created != two.created:
            assert last.id == max((one, two), key=lambda item: item.created).id
    for place, item in enumerate(held):
        assert item.request.parent is None or item.request.parent in ids[:place]


@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(SUFFIX, SUFFIX, SUFFIX, st.lists(st.booleans(), max_size=12))
def test_any_two_suffixes_unite_to_the_same_set(
    first: list[tuple[str, int, int, int | None, int | None]],
    one: list[tuple[str, int, int, int | None, int | None]],
    two: list[tuple[str, int, int, int | None, int | None]],
    turns: list[bool],
) -> None:
    """Whichever way round, merged or mended from any interleaving of conflicts, twice or once."""
    base = branch([], first)
    ours, theirs = branch(base, one), branch(base, two)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, _ = merged(folder, whole(*ours), whole(*base), whole(*theirs))
        check(path, ours, theirs)
        once = list(DialogueFile(path))
        path, said = merged(folder, path.read_bytes(), whole(*base), whole(*theirs))
        again = list(DialogueFile(path))
        assert Counter(item.id for item in again) == Counter(item.id for item in once)
        assert {slot: item.id for slot, item in last_answers(again).items()} == {
            slot: item.id for slot, item in last_answers(once).items()
        }
        assert said.removed == 0
        path, _ = merged(folder, whole(*theirs), whole(*base), whole(*ours))
        check(path, theirs, ours)
        parts, mine, other = (
            [text(*base).rstrip(b"\n") + b",\n"] if base else [],
            ours[len(base) :],
            theirs[len(base) :],
        )
        for ours_first in [*turns, True, False, True]:
            taken = 2 if len(parts) > 3 else 1
            a, b = (mine[:taken], other[:1]) if ours_first else (mine[:1], other[:taken])
            mine, other = mine[len(a) :], other[len(b) :]
            parts.append(conflict(text(*a) if a else b"", text(*b) if b else b""))
        parts.append(conflict(text(*mine) if mine else b"", text(*other) if other else b""))
        path.write_bytes(HEADER + b"\n" + b"".join(parts) + b"]}\n")
        repair(path)
        check(path, ours, theirs)


# --- what git is told --------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a git repository that knows nothing of this machine's settings."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    folder = tmp_path / "my repository"
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


def configured(repository: Path) -> str:
    """Return the driver that git would call."""
    command = ["git", "-C", str(repository), "config", "merge.openai_magics.driver"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def test_installed_once(repository: Path) -> None:
    """The clone's configuration and the attributes are set; doing it again changes nothing."""
    (repository / "below").mkdir()
    assert len(install(repository / "below")) == 3
    attributes = repository / ".gitattributes"
    assert attributes.read_text() == ATTRIBUTE + "\n"
    assert configured(repository) == driver()
    assert Path(sys.executable).as_posix() in driver()
    assert install(repository) == ()
    assert attributes.read_text() == ATTRIBUTE + "\n"
    assert len(uninstall(repository)) == 2
    assert not attributes.exists()
    assert configured(repository) == ""
    assert uninstall(repository) == ()


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"], ids=["none", "plain", "Windows"])
def test_other_attributes_stay(repository: Path, end: bytes) -> None:
    """What stands in .gitattributes is not touched."""
    attributes = repository / ".gitattributes"
    attributes.write_bytes(b"*.png binary" + end)
    install(repository)
    assert attributes.read_bytes().splitlines() == [b"*.png binary", ATTRIBUTE.encode()]
    uninstall(repository)
    assert attributes.read_bytes() == b"*.png binary" + (end or b"\n")


def test_a_driver_of_another_interpreter_is_replaced(repository: Path) -> None:
    """The environment moved: installing again tells git the new place."""
    install(repository)
    subprocess.run(
        ["git", "-C", repository, "config", "merge.openai_magics.driver", "old"], check=True
    )
    assert len(install(repository)) == 1
    assert configured(repository) == driver()


def test_an_interpreter_with_a_space_in_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is quoted for the shell that git calls."""
    monkeypatch.setattr(sys, "executable", "/my environments/it's/bin/python")
    assert driver().startswith("""'/my environments/it'"'"'s/bin/python' """)


def test_install_from_a_shell(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--install`` and ``--uninstall`` say what they did; outside a work tree, why they did not."""
    monkeypatch.chdir(repository)
    assert main(["merge-driver", "--install"]) == 0
    assert "commit it, for everybody" in capsys.readouterr().out
    assert main(["merge-driver", "--install"]) == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert main(["merge-driver", "--uninstall"]) == 0
    monkeypatch.chdir(repository.parent)
    assert main(["merge-driver", "--install"]) == 2
    assert "Run this inside a git work tree" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MagicsError, match="git is not installed"):
        install(repository)
