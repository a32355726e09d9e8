"""Real branches of a real git repository, merged with and without our merge driver.

Without it git marks conflicts, and ``repair`` makes the same union of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from openai_magics.__main__ import main
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import DialogueDamaged
from openai_magics.exchange import Exchange
from openai_magics.merge import install
from openai_magics.repair import drop, repair
from openai_magics.replay import Replay
from tests.unit.test_repair import answer, asked, questions

COMMON = [asked(f"common {number}", at=f"09:{number:02}") for number in range(12)]
MINE = [asked("ours, first", at="10:00"), asked("ours, second", at="10:30")]
OTHER = [asked("theirs, first", at="10:01"), asked("theirs, second", at="10:31")]
MY_ANSWER, OTHER_ANSWER = asked("both", "ours", at="11:30"), asked("both", "theirs", at="11:00")
UNION = {item.id for item in (*COMMON, *MINE, *OTHER, MY_ANSWER, OTHER_ANSWER)}


class Repository:
    """A git repository with one dialogue file."""

    def __init__(self, folder: Path, name: str = "analysis.dialogue.json") -> None:
        self.folder, self.name = folder, name
        self.path = folder / name
        subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
        self.git("config", "user.name", "A. N. Other")
        self.git("config", "user.email", "other@example.org")

    def git(self, *arguments: str, fails: bool = False) -> str:
        """Run git; return what it says."""
        command = ["git", "-C", str(self.folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, said
        return said

    def append(self, *exchanges: Exchange) -> None:
        """Record answers, as a notebook on this branch does, and commit."""
        DialogueFile(self.path, "analysis.ipynb").append(*exchanges)
        self.commit("asked")

    def drop(self, *exchanges: Exchange) -> None:
        """Remove records, and the copies made of the file."""
        drop(self.path, [item.id for item in exchanges])
        self.clean()
        self.commit("pruned")

    def clean(self) -> None:
        """Take away the copies that repair and drop have made."""
        for path in self.folder.glob("*.before-*"):
            path.unlink()

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.git("add", "--all", ".")
        self.git("commit", "-q", "-m", message)

    def install(self) -> None:
        """Install the driver, with its attributes on both branches."""
        install(self.folder)
        self.commit("attributes")
        self.git("switch", "-q", "theirs")
        self.git("cherry-pick", "ours")
        self.git("switch", "-q", "ours")

    def branch(self, name: str, start: str = "main") -> None:
        """Begin a branch."""
        self.git("switch", "-q", "-c", name, start)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Return a repository that knows nothing of this machine's settings, two branches in it."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_EDITOR", "true")
    return two_branches(Repository(tmp_path / "repository"))


def two_branches(repository: Repository) -> Repository:
    """Make the branches ``ours`` (checked out) and ``theirs``, which both answered one request."""
    repository.append(*COMMON)
    repository.branch("theirs")
    repository.append(OTHER[0], OTHER_ANSWER)
    repository.append(OTHER[1])
    repository.branch("ours")
    repository.append(MINE[0])
    repository.append(MY_ANSWER, MINE[1])
    return repository


def replayed(path: Path, exchanges: Iterable[Exchange]) -> None:
    """Check that a replay gives each of these records' answers."""
    replay = Replay(DialogueFile(path))
    for exchange in exchanges:
        assert exchange.reply is not None
        assert replay.send(exchange.request).text == exchange.reply.text


def ids(path: Path) -> list[str]:
    """Return the ids of the records of a file, read as a dialogue file."""
    return [item.id for item in DialogueFile(path)]


def united(repository: Repository) -> None:
    """Check the union of the two branches."""
    assert set(ids(repository.path)) == UNION
    assert len(ids(repository.path)) == len(UNION)
    replayed(repository.path, [*COMMON, *MINE, *OTHER, MY_ANSWER])
    assert repair(repository.path).mended == ()
    DialogueFile(repository.path).append(asked("afterwards"))
    assert questions(repository.path)[-1] == "afterwards"


def mended(repository: Repository) -> None:
    """Check that the file is in conflict, and repair it."""
    assert b"<<<<<<<" in repository.path.read_bytes()
    with pytest.raises(DialogueDamaged, match="a merge conflict is not resolved"):
        len(DialogueFile(repository.path))
    assert main(["repair", str(repository.path)]) == 0
    repository.clean()


def test_merged_by_the_driver(repository: Repository) -> None:
    """Both branches' records are there, git sees no conflict, and the later answer is replayed."""
    install(repository.folder)
    said = repository.git("merge", "theirs", "-m", "merge")
    assert "18 records, 3 new of ours, 3 of theirs, 1 answered on both sides" in said
    assert repository.git("status", "--porcelain", "--untracked-files=no") == ""
    assert answer(repository.path, MY_ANSWER) == "ours"
    united(repository)


def test_merged_the_other_way_round(repository: Repository) -> None:
    """Which branch is merged into which does not decide whose answer counts."""
    install(repository.folder)
    repository.git("switch", "-q", "theirs")
    repository.git("merge", "ours", "-m", "merge")
    assert answer(repository.path, MY_ANSWER) == "ours"
    united(repository)


@pytest.mark.parametrize("style", ["merge", "diff3", "zdiff3"])
def test_merged_without_the_driver(repository: Repository, style: str) -> None:
    """Git marks a conflict, in whichever style; repair makes the union of it, the same to the byte."""
    repository.git("config", "merge.conflictStyle", style)
    repository.git("merge", "theirs", fails=True)
    mended(repository)
    by_repair = repository.path.read_bytes()
    repository.git("merge", "--abort")
    install(repository.folder)
    repository.git("merge", "theirs", "-m", "merge")
    assert repository.path.read_bytes() == by_repair
    united(repository)


def test_what_one_branch_removed_stays_removed(repository: Repository) -> None:
    """With the driver, wherever it stood."""
    install(repository.folder)
    repository.drop(COMMON[3], COMMON[-1])
    said = repository.git("merge", "theirs", "-m", "merge")
    assert "2 removed" in said
    assert set(ids(repository.path)) == UNION - {COMMON[3].id, COMMON[-1].id}
    replayed(repository.path, [*MINE, *OTHER, MY_ANSWER])


def test_what_one_branch_removed_without_the_driver(repository: Repository) -> None:
    """Away from the new records it stays removed; beside them it cannot be told from new, and comes back."""
    repository.drop(COMMON[3], COMMON[-1])
    repository.git("merge", "theirs", fails=True)
    mended(repository)
    assert set(ids(repository.path)) == UNION - {COMMON[3].id}
    replayed(repository.path, [*MINE, *OTHER, MY_ANSWER])


def test_removed_on_theirs(repository: Repository) -> None:
    """The same the other way round."""
    repository.install()
    repository.git("switch", "-q", "theirs")
    repository.drop(COMMON[0], OTHER_ANSWER)
    repository.git("switch", "-q", "ours")
    repository.git("merge", "theirs", "-m", "merge")
    assert set(ids(repository.path)) == UNION - {COMMON[0].id, OTHER_ANSWER.id}


@pytest.mark.parametrize("driver", [True, False], ids=["driver", "repair"])
def test_rebase(repository: Repository, driver: bool) -> None:
    """Each commit that is put on theirs is united with what is there."""
    if driver:
        install(repository.folder)
        repository.git("rebase", "theirs")
    else:
        repository.git("rebase", "theirs", fails=True)
        for last in (False, True):
            mended(repository)
            repository.git("add", repository.name)
            repository.git("rebase", "--continue", fails=not last)
    assert repository.git("log", "--oneline", "theirs..ours").count("\n") == 2
    assert answer(repository.path, MY_ANSWER) == "ours"
    united(repository)


@pytest.mark.parametrize("driver", [True, False], ids=["driver", "repair"])
def test_cherry_pick(repository: Repository, driver: bool) -> None:
    """One commit of theirs brings its records; without the driver, what its conflict shows besides."""
    if driver:
        install(repository.folder)
        repository.git("cherry-pick", "theirs")
        assert questions(repository.path)[-1] == "theirs, second"
        expected = UNION - {OTHER[0].id, OTHER_ANSWER.id}
        assert set(ids(repository.path)) == expected
    else:
        repository.git("cherry-pick", "theirs", fails=True)
        mended(repository)
        assert set(ids(repository.path)) >= UNION - {OTHER[0].id, OTHER_ANSWER.id}
    replayed(repository.path, [*COMMON, *MINE, MY_ANSWER, OTHER[1]])


def test_stash(repository: Repository) -> None:
    """What is not committed comes back on top of another branch's records."""
    install(repository.folder)
    repository.commit("attributes")
    DialogueFile(repository.path).append(asked("not committed"))
    repository.git("stash")
    repository.git("merge", "theirs", "-m", "merge")
    repository.git("stash", "pop")
    assert set(ids(repository.path)) == UNION | {asked("not committed").id}


def test_criss_cross(repository: Repository) -> None:
    """Branches that merged one another have several bases, which git unites first."""
    repository.install()
    repository.git("branch", "before")
    repository.git("merge", "theirs", "-m", "merge")
    repository.append(asked("later, ours"))
    repository.git("switch", "-q", "theirs")
    repository.git("merge", "before", "-m", "merge")
    repository.append(asked("later, theirs"))
    repository.drop(COMMON[5])
    repository.git("switch", "-q", "ours")
    repository.git("merge", "theirs", "-m", "merge")
    later = {asked(f"later, {name}").id for name in ("ours", "theirs")}
    assert set(ids(repository.path)) == (UNION | later) - {COMMON[5].id}
    assert len(ids(repository.path)) == len(UNION) + 1


@pytest.mark.parametrize("driver", [True, False], ids=["driver", "repair"])
def test_both_branches_begin_the_file(tmp_path: Path, repository: Repository, driver: bool) -> None:
    """There is no common version; the union is that of two files."""
    new = Repository(tmp_path / "new")
    (new.folder / "README").touch()
    new.commit("begin")
    new.branch("theirs")
    new.append(*OTHER, OTHER_ANSWER)
    new.branch("ours")
    new.append(*MINE, MY_ANSWER)
    if driver:
        install(new.folder)
        new.git("merge", "theirs", "-m", "merge")
    else:
        new.git("merge", "theirs", fails=True)
        mended(new)
    assert set(ids(new.path)) == {item.id for item in (*MINE, *OTHER, MY_ANSWER, OTHER_ANSWER)}
    replayed(new.path, [*MINE, *OTHER, MY_ANSWER])


@pytest.mark.parametrize(
    "name", ["my notes é.dialogue.json", "-x.dialogue.json", "it's $HOME.dialogue.json"]
)
def test_names_that_a_shell_could_misread(
    tmp_path: Path, repository: Repository, name: str
) -> None:
    """Git puts the name into a command line."""
    odd = two_branches(Repository(tmp_path / "odd names", name))
    install(odd.folder)
    said = odd.git("merge", "theirs", "-m", "merge")
    assert f"{name}: 18 records" in said
    united(odd)


def unreadable(repository: Repository) -> None:
    """Commit a broken record on theirs."""
    repository.git("switch", "-q", "theirs")
    held = repository.path.read_bytes()
    repository.path.write_bytes(held.replace(b'"theirs, first"', b'"theirs, fir'))
    repository.commit("a bad edit")
    repository.git("switch", "-q", "ours")


def missing(repository: Repository) -> None:
    """Take away the interpreter that the driver was installed with."""
    key = "merge.openai_magics.driver"
    command = repository.git("config", key).strip().replace(sys.executable, "/nowhere/python")
    repository.git("config", key, command)


@pytest.mark.parametrize("spoil", [unreadable, missing])
def test_where_the_driver_cannot_unite(
    repository: Repository, spoil: Callable[[Repository], None]
) -> None:
    """Git's own merge stands, with its markers: neither side is lost, and repair has both."""
    install(repository.folder)
    repository.commit("attributes")
    spoil(repository)
    said = repository.git("merge", "theirs", fails=True)
    assert "CONFLICT" in said
    if spoil is unreadable:
        assert "line 14 of theirs: this cannot be read" in said
    mended(repository)
    lost = {OTHER[0].id} if spoil is unreadable else set()
    assert set(ids(repository.path)) == UNION - lost


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no -P")
def test_a_branch_cannot_bring_its_own_modules(repository: Repository) -> None:
    """A ``json.py`` at the top of a branch is not imported for Python's."""
    install(repository.folder)
    (repository.folder / "json.py").write_text("raise SystemExit('imported')")
    (repository.folder / "openai_magics").mkdir()
    (repository.folder / "openai_magics" / "__init__.py").write_text("raise SystemExit('imported')")
    said = repository.git("merge", "theirs", "-m", "merge")
    assert "imported" not in said
    united(repository)


def test_a_clone_without_the_driver(tmp_path: Path, repository: Repository) -> None:
    """The attributes come with the clone, the driver does not: git merges as ever."""
    install(repository.folder)
    repository.commit("attributes")
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(repository.folder), str(folder)], check=True)
    clone = Repository(folder)
    clone.git("merge", "origin/theirs", fails=True)
    mended(clone)
    united(clone)
