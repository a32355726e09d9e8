"""A cloud that cannot be reached: told where it is asked about, and in no output that replays."""

from __future__ import annotations

from pathlib import Path

from tests.kernel.kernels import environment, loaded
from tests.scripted import ScriptedServer

AWAY = "nosuchcloud://bucket/a.dialogue.json"
CELLS = ("%ask Say hello.", "%ask Say it again.", "%dialogue show")


def test_told_in_no_output_that_replays(tmp_path: Path, scripted: ScriptedServer) -> None:
    """The cells show what they show with a file of this machine; %openai says that, and why."""
    ran = {}
    for name, path in (("cloud", AWAY), ("file", "a.dialogue.json")):
        there = environment(
            tmp_path,
            scripted.base_url,
            OPENAI_MAGICS_DIALOGUE=path,
            XDG_DATA_HOME=str(tmp_path / "data-home"),
        )
        with loaded(tmp_path / name, there) as kernel:
            cells = [kernel.ok(code) for code in CELLS]
            ran[name] = [(cell.stderr, cell.stdout, cell.text) for cell in cells]
            if name == "cloud":
                kernel.wait(
                    "__import__('openai_magics').get_session()._dialogue_file().sync.problem"
                )
                synced, told = kernel.run("%dialogue sync"), kernel.ok("%openai")
    assert ran["cloud"] == ran["file"]
    assert [stderr for stderr, _, _ in ran["cloud"]] == [""] * len(CELLS)
    assert "nosuchcloud" in synced.error
    assert told.text.count("nosuchcloud://bucket/a.dialogue.json cannot be read") == 1
    assert "What is said is whole in" in told.text
    assert told.stderr == ""
