"""What Tab offers after a magic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from openai_magics import magics
from openai_magics import session as sessions
from openai_magics.exchange import Exchange, Reply, Request
from openai_magics.magics import complete
from openai_magics.magics.ask_options import ASK_ARGUMENTS
from openai_magics.session import Session
from tests.unit.making import exchange

OPTIONS = sorted(name for flags, _ in ASK_ARGUMENTS for name in flags)
LISTING = {"data": [{"id": "gpt-5.5"}, {"id": "gpt-5.4-mini"}, {"id": "llama"}]}


@pytest.fixture(autouse=True)
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A notebook's session that has listed models and was answered by one."""
    session = Session(dialogue_log_path=tmp_path / "a.dialogue.json")
    session._dialogue_file().append(
        Exchange(Request(kind="models"), Reply(payload=LISTING)),
        Exchange(Request(kind="models", endpoint="x"), Reply(payload=None)),
        Exchange(exchange().request, Reply("x", model="gpt-5.5-2026")),
        Exchange(exchange().request, error={"type": "Unreachable"}, occurrence=None),
    )
    session.conversations.update(dict.fromkeys(("main", "draft", "maths")))  # type: ignore[arg-type]
    monkeypatch.setattr(sessions, "current", session)
    return session


@pytest.fixture
def loaded(shell: InteractiveShell) -> Iterator[InteractiveShell]:
    """A notebook with the magics and some variables."""
    shell.user_ns.update({"reply": 1, "rows": 2, "_hidden": 3})
    magics.load(shell)
    yield shell
    magics.unload(shell)


def found(loaded: InteractiveShell, line: str) -> list[str] | None:
    return complete.candidates(loaded, line)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        # options
        ("%ask -", OPTIONS),
        ("%%ask -", OPTIONS),
        ("  %ask --m", ["--max-history", "--max-rounds", "--max-tokens", "--mode", "--model"]),
        ("%ask -q --no", ["--no-history", "--no-stream"]),
        ("%ask --none", []),
        ("%ask -t 0 --fr", ["--fresh"]),
        ('%ask -s "be brief" --fr', ["--fresh"]),
        # values
        ("%ask --mode ", ["auto", "live", "replay"]),
        ("%ask --mode re", ["replay"]),
        ("%ask --mode=", ["--mode=auto", "--mode=live", "--mode=replay"]),
        ("%ask --mode=l", ["--mode=live"]),
        ("%ask -f j", ["json"]),
        ("%ask --effort x", ["xhigh"]),
        ("%ask -t ", []),
        ("%ask -m gpt", ["gpt-5.4-mini", "gpt-5.5", "gpt-5.5-2026"]),
        ("%ask -m lo", ["local"]),
        ("%ask --model=lla", ["--model=llama"]),
        ('%ask -s "be brief" -m lla', ["llama"]),
        ("%ask -c ma", ["main", "maths"]),
        ("%ask --conversation d", ["draft"]),
        ("%ask -p top", ["top_logprobs=", "top_p="]),
        ("%%ask -o r", ["reply", "rows"]),
        ("%ask --out _", []),
        # where it is not ours to say
        ("%ask ", None),
        ("%ask wor", None),
        ("%ask what does -", None),
        ("%ask what does -m ", None),
        ("%ask -q what does --mode", None),
        ("%ask", None),
        ("ask -m ", None),
        ("%%timeit -m ", None),
        ("x = '%ask -m '", None),
        ("", None),
        # other magics
        ("%models lla", ["llama"]),
        ("%models --r", ["--retiring"]),
        ("%models --mode ", ["auto", "live", "replay"]),
        ("%dialogue pa", ["path"]),
        ("%openai ", ["status", "key", "use"]),
        ("%openai use gpt-5.5", ["gpt-5.5", "gpt-5.5-2026"]),
        ("%openai key --k", ["--keep"]),
    ],
)
def test_candidates(loaded: InteractiveShell, line: str, offered: list[str] | None) -> None:
    """Options, and the values that each of them takes; nothing in the midst of a prompt."""
    assert found(loaded, line) == offered


def test_models_are_not_asked_for(
    loaded: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a session, or with nothing listed, the engine on this machine is what is known."""
    monkeypatch.setattr(sessions, "current", None)
    names = found(loaded, "%ask -m ")
    assert names is not None
    assert "local" in names
    assert len(names) == 2
    assert found(loaded, "%ask -c ") == ["main"]


def test_jobs_and_data(
    loaded: InteractiveShell, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs and the models they made, training data that is here, and folders to export to."""
    monkeypatch.chdir(tmp_path)
    for name in ("tides.jsonl", "tides.csv", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "sets" / "inner").mkdir(parents=True)
    loaded.user_ns.update(table=pd.DataFrame({"a": [1]}), pairs=[("a", "b")], number=1)
    job = {"id": "ftjob-2", "fine_tuned_model": None}
    done = {"id": "ftjob-1", "fine_tuned_model": "ft:m:o:s:1"}
    session._dialogue_file().append(
        Exchange(Request(kind="train"), Reply(payload=job)),
        Exchange(Request(kind="job", parameters={"job": "ftjob-1"}), Reply(payload=done)),
    )
    session.save_job_id("ftjob-1", "tides")
    assert found(loaded, "%jobs e") == ["events", "export"]
    assert found(loaded, "%jobs watch ") == ["ftjob-2", "ftjob-1", "ft:m:o:s:1"]
    assert found(loaded, "%jobs show ft:") == ["ft:m:o:s:1"]
    assert found(loaded, "%jobs export ftjob-1 s") == ["sets/"]
    assert found(loaded, "%jobs export ftjob-1 sets/") == ["sets/inner/"]
    assert found(loaded, "%ask -m ft:") == ["ft:m:o:s:1"]
    assert found(loaded, "%train ") == ["check", "start"]
    assert found(loaded, "%train check t") == ["tides.csv", "tides.jsonl", "table"]
    assert found(loaded, "%train start x --validation p") == ["pairs"]
    assert found(loaded, "%train start x --method d") == ["dpo"]
    assert found(loaded, "%train start x --c") == ["--cell", "--completion", "--conversation"]


# --- in the shell


@pytest.fixture
def installed(shell: InteractiveShell, loaded: InteractiveShell) -> Iterator[InteractiveShell]:
    """A shell whose Tab asks us too."""
    complete.install(shell)
    yield shell
    complete.remove(shell)


def pressed(shell: InteractiveShell, text: str, line: int = 0) -> list[str]:
    """Return what Tab offers at the end of a line of a cell."""
    lines = text.split("\n")
    offset = sum(len(item) + 1 for item in lines[:line]) + len(lines[line])
    completer: Any = shell.Completer
    completer.use_jedi = False
    with provisionalcompleter():
        return [item.text for item in completer.completions(text, offset)]


def test_tab(installed: InteractiveShell) -> None:
    """Tab offers what may stand there, and nothing else."""
    assert pressed(installed, "%ask --mode ") == ["auto", "live", "replay"]
    assert pressed(installed, "%%ask -m lla\nWhat?") == ["llama"]
    assert pressed(installed, "x = 1\n%ask -c d", line=1) == ["draft"]


def test_tab_in_a_prompt(installed: InteractiveShell) -> None:
    """The text of a cell is a prompt: a line in it that looks like a magic is none."""
    assert "replay" not in pressed(installed, "%%ask\n%ask --mode ", line=1)


def test_a_completion_that_fails_is_none(
    installed: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tab never shows an error."""
    monkeypatch.setattr(complete, "candidates", lambda *_: 1 / 0)
    assert "replay" not in pressed(installed, "%ask --mode ")


def test_install_once(shell: InteractiveShell) -> None:
    """Loading the extension again adds nothing; removing leaves nothing, and may come twice."""
    matchers = shell.Completer.custom_matchers
    complete.remove(shell)
    before = list(matchers)
    for _ in range(2):
        complete.install(shell)
        assert len(matchers) == len(before) + 1
    for _ in range(2):
        complete.remove(shell)
        assert matchers == before


def test_a_shell_without_a_completer(loaded: InteractiveShell) -> None:
    """Some front ends have none."""
    shell: Any = SimpleNamespace()
    complete.install(shell)
    complete.remove(shell)
