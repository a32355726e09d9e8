"""The models panel against a server: the list, the choice, the check, the key, what fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openai_magics import config
from openai_magics import session as sessions
from openai_magics.panels.models import ModelsPanel
from openai_magics.session import Session
from tests.scripted import ScriptedServer, errors
from tests.scripted.asking import KEY
from tests.unit.hostile import read

PATIENCE = 30


def settled(panel: ModelsPanel) -> ModelsPanel:
    """Wait until nothing goes on."""
    while jobs := panel.jobs:
        assert jobs[0].wait(PATIENCE)
    return panel


@pytest.fixture
def server(scripted: ScriptedServer) -> ScriptedServer:
    """A server with three models of its own, one of which retires, and a tuned one."""
    scripted.models.clear()
    scripted.models.add("gpt-5.4-mini")
    scripted.models.add("gpt-5", "2026-12-11")
    scripted.models.add("gpt-6")
    scripted.models.add("ft:gpt-4o:org::abc", "2027-01-14")
    return scripted


def shown(server: ScriptedServer, **more: Any) -> ModelsPanel:
    """Return the panel of a session with this server, shown."""
    session = Session(base_url=server.base_url, **{"model": "gpt-5.4-mini", **more})
    panel = ModelsPanel(session)
    _ = panel.widget
    return settled(panel)


def cells(panel: ModelsPanel, at: int = 0) -> list[str]:
    return [row["cells"][at] for row in panel._table.rows]


def test_the_models_are_listed_when_it_is_shown(server: ScriptedServer) -> None:
    """With the date of their retirement, and which one is in use."""
    panel = shown(server)
    assert cells(panel) == ["ft:gpt-4o:org::abc", "gpt-5", "gpt-5.4-mini", "gpt-6"]
    assert cells(panel, 2) == ["2027-01-14", "2026-12-11", "", ""]
    assert cells(panel, 1) == ["", "", "in use", ""]
    assert "4 of 4 models" in panel._count.value


def test_searching_and_sorting(server: ScriptedServer) -> None:
    """By a part of the name, by what is wanted, by a column's head."""
    panel = shown(server)
    panel._text.value = "GPT-5"
    assert cells(panel) == ["gpt-5", "gpt-5.4-mini"]
    panel._text.value = ""
    panel._only.value = "fine-tuned"
    assert cells(panel) == ["ft:gpt-4o:org::abc"]
    panel._only.value = "retiring"
    panel._table.sort = ["shutdown_date", "ascending"]
    assert cells(panel) == ["gpt-5", "ft:gpt-4o:org::abc"]
    panel._table.sort = ["shutdown_date", "descending"]
    assert cells(panel) == ["ft:gpt-4o:org::abc", "gpt-5"]


def test_choosing_the_sessions_model(server: ScriptedServer) -> None:
    """The next ask goes to it; where it retires that is said, and how a cell says the same."""
    panel = shown(server)
    assert panel._use.disabled
    panel._table.selected = "gpt-5"
    panel._use.click()
    assert panel.session.model == "gpt-5"
    assert "gpt-5 is shut down on 2026-12-11" in panel._warn.value
    assert "%openai use gpt-5" in panel._note.value
    assert cells(panel, 1) == ["", "in use", "", ""]
    panel.session.ask("Hello")
    assert server.requests[-1].fields["model"] == "gpt-5"


def test_the_notebooks_own_session_can_be_told_otherwise_by_a_cell(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a panel chose stands where a cell's choice stands, not above it."""
    monkeypatch.setattr(sessions, "current", None)
    notebook = sessions.get_session()
    notebook.model = "gpt-5"
    config.NOTEBOOK["model"] = "gpt-6"
    assert notebook.model == "gpt-6"


def test_checking_the_endpoint(server: ScriptedServer) -> None:
    """Asks for the listing anew: who answers, and what is new."""
    panel = shown(server)
    server.models.add("gpt-7")
    asked = len(server.requests)
    settled(panel).check()
    assert "answers: 5 models" in settled(panel)._note.value
    assert len(server.requests) == asked + 1
    assert "gpt-7" in cells(panel)


def test_a_server_that_is_down(tmp_path: Path) -> None:
    """The error stands in the panel, and the status is told all the same."""
    session = Session("m", base_url="http://127.0.0.1:9/v1")
    session.settings.arguments["retries"] = 0
    panel = ModelsPanel(session)
    _ = panel.widget
    assert settled(panel)._note.how
    assert "127.0.0.1:9" in panel._status.value
    assert not settled(panel).busy


def test_a_key_is_asked_for_where_one_is_wanted(server: ScriptedServer) -> None:
    """A field without echo; what was typed is nowhere afterwards but in memory."""
    server.script.key = KEY
    panel = shown(server)
    assert panel._keys.layout.display == ""
    panel._key.value = KEY
    panel._set_key.click()
    assert len(cells(settled(panel))) == 4
    assert panel._key.value == ""
    assert panel._keys.layout.display == "none"
    assert KEY not in panel.plain() + panel.html() + repr(panel.session)
    assert KEY not in panel.session.dialogue.path.read_text()


def test_what_a_panel_asks_is_no_part_of_the_run(server: ScriptedServer) -> None:
    """A cell's listing is recorded and replayed as if there were no panel."""
    panel = shown(server)
    cell = Session("gpt-5.4-mini", base_url=server.base_url)
    before = list(cell.list_models()["id"])
    server.models.add("gpt-7")
    panel.check()
    assert "gpt-7" in cells(settled(panel))
    assert panel.session.turns.said() == []
    again = Session("gpt-5.4-mini", base_url=server.base_url, mode="replay")
    assert list(again.list_models()["id"]) == before


def test_an_empty_key_is_said(server: ScriptedServer) -> None:
    """Nothing is asked with it."""
    server.script.key = KEY
    panel = shown(server)
    panel._set_key.click()
    assert "No key was typed." in panel._note.value


def test_a_failure_of_the_service_is_said(server: ScriptedServer) -> None:
    """As any error of the service; what was listed before stays."""
    panel = shown(server)
    panel.session.settings.arguments["retries"] = 0
    server.route("GET", "/models", lambda _: errors.server_error())
    panel.check()
    assert settled(panel)._note.how
    assert len(cells(panel)) == 4


def test_in_replay_the_recorded_listing_is_shown(server: ScriptedServer) -> None:
    """And nothing is asked, whatever is pressed."""
    shown(server)
    asked = len(server.requests)
    panel = shown(server, mode="replay")
    panel.check()
    assert "nothing is asked" in settled(panel)._note.value
    assert len(cells(panel)) == 4
    assert len(server.requests) == asked


def test_without_a_front_end(server: ScriptedServer) -> None:
    """Text and static HTML have the list; a failure is told in its place."""
    panel = ModelsPanel(Session("gpt-5", base_url=server.base_url))
    data, _ = panel.bundle()
    assert "gpt-5 is shut down on 2026-12-11" in data["text/plain"]
    assert "2027-01-14" in data["text/html"]
    assert not read(data["text/html"]).problems
    missing = ModelsPanel(Session("gpt-5", mode="replay", dialogue_log_path="none.dialogue.json"))
    assert "Nothing is recorded" in missing.bundle()[0]["text/plain"]


def test_the_static_form_is_the_same_anywhere(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells what was listed, when and where; not the key, the folder or the mode of the moment."""
    made = ModelsPanel(Session("gpt-5.4-mini", base_url=server.base_url))
    first, _ = made.bundle()
    monkeypatch.setenv("OPENAI_MAGICS_MODEL", "gpt-6")
    session = Session("gpt-5.4-mini", base_url=server.base_url, mode="replay")
    server.requests.clear()
    again, _ = ModelsPanel(session).bundle()
    assert again == first
    assert str(Path.cwd()) not in first["text/plain"] + first["text/html"]
    assert "listed: 20" in first["text/plain"]
    assert server.requests == []


def test_models_may_be_called_anything(server: ScriptedServer) -> None:
    """A server's words are text."""
    server.models.add("<script>alert(1)</script>", "2026-12-11")
    panel = shown(server, model="<script>alert(1)</script>")
    assert not read(panel.bundle()[0]["text/html"]).problems
    assert "<script>" not in panel._status.value + panel._warn.value
    assert "<script>alert(1)</script>" in cells(panel)
