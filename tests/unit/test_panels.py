"""The common ground of the panels."""

from __future__ import annotations

import pytest

from openai_magics import panels
from openai_magics.errors import OptionError
from openai_magics.panels import base
from openai_magics.session import Session


def test_a_session_has_one_of_each() -> None:
    """Showing a panel again is another view of it; another session has another one."""
    one, other = Session(), Session()
    assert one.chat_panel() is panels.panel("chat", one)
    assert one.chat_panel() is not other.chat_panel()
    assert one.chat_panel().model_id != other.chat_panel().model_id


def test_an_unknown_panel() -> None:
    """The nearest name is said."""
    with pytest.raises(OptionError, match="did you mean 'chat'"):
        panels.panel("chatt", Session())


def test_without_a_front_end_there_is_no_widget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text and static HTML only; with one, the widget too, under the same id in every run."""
    panel = Session().chat_panel()
    data, _ = panel.bundle()
    assert set(data) == {"text/plain", "text/html"}
    monkeypatch.setattr(base, "live", lambda: True)
    data, _ = panel.bundle()
    assert data[base.VIEW]["model_id"] == panel.model_id
