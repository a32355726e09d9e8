"""The logger over whole flows: no key ever, no prompt or answer unless it was asked for."""

from __future__ import annotations

import contextlib
import logging

import pytest

from openai_magics import config, logs
from openai_magics.errors import MagicsError, OptionError
from openai_magics.panels.forms import problem_of
from tests.scripted import ScriptedServer, answer, error
from tests.scripted.asking import KEY
from tests.server.ways import WHOLE, Way, session

ASKED, SAID = "What is a zanzibar?", "It is a quokka."


def flow(server: ScriptedServer) -> None:
    """Ask, fail, be refused, miss, judge, list, use an assistant: whatever may log."""
    refused = error(400, "invalid_prompt", f"You wrote: {ASKED}")
    server.script.then(SAID, refused, error(500, None, "Down."), SAID, refused)
    held = session(server)
    held.ask(ASKED)
    for _ in range(2):
        with contextlib.suppress(MagicsError):
            held.ask(ASKED)
    held.ask(f"{ASKED} Judged.", sentiment="model", history=False)
    replaying = session(server, mode="replay")
    with contextlib.suppress(MagicsError):
        replaying.ask(f"{ASKED} Once more.")
    held.assistants.save("tutor", {"instructions": ASKED})
    held.set_assistant("tutor")
    held.list_assistants()
    held.list_models()
    with contextlib.suppress(OptionError):
        held.ask(f"{ASKED} {KEY}")
    problem_of(ValueError(ASKED))
    held.dialogue.export("out.md")


def test_nothing_of_what_was_said(
    scripted: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """At every level: kinds, ids and models are logged, words and keys are not."""
    with caplog.at_level(logging.DEBUG, "openai_magics"):
        flow(scripted)
    ours = [item for item in caplog.records if item.name == "openai_magics"]
    text = "\n".join(logging.Formatter().format(item) for item in ours)
    assert "ask" in text
    for word in ("zanzibar", "quokka", KEY):
        assert word not in text
    scripted.take_problems()


def test_what_was_asked_for(scripted: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    """With ``log_prompts`` both are there, and still no key."""
    config.NOTEBOOK["log_prompts"] = True
    with caplog.at_level(logging.DEBUG, "openai_magics"):
        flow(scripted)
    assert ASKED in caplog.text
    assert SAID in caplog.text
    ours = [item.getMessage() for item in caplog.records if item.name == "openai_magics"]
    assert KEY not in "\n".join(ours)
    scripted.take_problems()


def test_an_error_is_told_by_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """And by where it was raised; a setting that is wrong is not for the log to say."""
    with pytest.raises(ValueError, match="zanzibar") as caught:
        int(ASKED)
    problem = caught.value
    assert logs.told(problem).startswith("ValueError (test_logs.py, line ")
    assert ASKED not in logs.told(problem)
    monkeypatch.setenv("OPENAI_MAGICS_LOG_PROMPTS", "1")
    assert ASKED in logs.told(problem)
    monkeypatch.setenv("OPENAI_MAGICS_LOG_PROMPTS", "perhaps")
    assert ASKED not in logs.told(problem)


@pytest.mark.parametrize("asked_for", [False, True])
@pytest.mark.parametrize("waits", [True, False], ids=["ask", "aask"])
def test_waits_and_tools(
    scripted: ScriptedServer, caplog: pytest.LogCaptureFixture, waits: bool, asked_for: bool
) -> None:
    """A failure that quotes the prompt is logged by its kind; a call of a tool by its name."""

    def look_up(what: str) -> str:
        """Look something up."""
        return f"{what}: {SAID}"

    config.NOTEBOOK["log_prompts"] = asked_for
    quoting = f"Too many of: {ASKED} {KEY}"
    scripted.script.then(
        error(429, "rate_limit_exceeded", quoting, headers={"retry-after": "0"}),
        answer(tool_calls=[("look_up", {"what": "zanzibars"})]),
        error(500, None, quoting, headers={"retry-after": "0"}),
        SAID,
    )
    held = session(scripted)
    held.settings.profile["retries"] = 2
    way = WHOLE if waits else Way(streams=False, waits=False)
    with caplog.at_level(logging.DEBUG, "openai_magics"):
        assert way.ask(held, ASKED, tools=[look_up]).text == SAID
    ours = [item.getMessage() for item in caplog.records if item.name.startswith("openai_magics")]
    text = "\n".join(ours)
    assert "Trying again in 0 s (2 more times)" in text
    assert "Running look_up" in text
    assert ("zanzibar" in text) is asked_for
    assert ("RateLimited (HTTP 429)" in text) is not asked_for
    assert KEY not in text
