"""What an ask would send and cost."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from openai_magics import estimate, local
from openai_magics.exchange import AskOptions, Message
from openai_magics.session import Session
from tests.unit.making import ask
from tests.unit.pictures import photograph, saved

HELLO: list[Message] = [{"role": "user", "content": "Hello, how are you today?"}]


def test_tokens_counted() -> None:
    """Counted with OpenAI's vocabulary where its package is installed."""
    pytest.importorskip("quicktok")
    assert estimate.tokens(HELLO) == (7 + 3 + 3, True)


def test_tokens_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else estimated, and said to be."""
    monkeypatch.setitem(sys.modules, "quicktok", None)
    assert estimate.tokens(HELLO) == (7 + 3 + 3, False)


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize(
    "content", ["", "\ud800 \x00", None, [{"type": "text", "text": "é"}], "<|endoftext|>"]
)
def test_any_content(content: object, counted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a message holds has a number of tokens."""
    if not counted:
        monkeypatch.setitem(sys.modules, "quicktok", None)
    count, _ = estimate.tokens([{"role": "user", "content": content}])
    assert count >= 6


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(dialogue_log_path=tmp_path / "a.json")


def test_facts(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Model, endpoint, parameters, tokens, price; no key and nothing sent."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-abcdefghijkl")
    request = ask("Hello", model="gpt-4o-mini", system="Be brief.", parameters={"seed": 1})
    facts = estimate.facts(request, session.live, recorded=False)
    assert facts["model"] == "gpt-4o-mini"
    assert facts["endpoint"].startswith("https://api.openai.com/v1")
    assert facts["parameters"] == '{"seed": 1}'
    assert facts["price of the prompt"].endswith(" USD")
    assert facts["recorded"] == "no: it would be asked"
    assert facts["system"] == "Be brief."
    assert "sk-proj" not in str(facts)


def test_facts_of_a_server(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A price that is not known is said not to be; so is a model."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:11434/v1")
    facts = estimate.facts(ask("Hello"), session.live, recorded=True)
    assert facts["model"] == "the only one of the server"
    assert facts["price of the prompt"] == "not known"
    assert facts["recorded"] == "yes: it would be replayed"
    assert "system" not in facts


def test_facts_of_the_engine(session: Session) -> None:
    """The engine on this machine is not started; it costs nothing, and has an instruction."""
    facts = estimate.facts(ask("Hello", model="local"), session.live, recorded=False)
    assert facts["model"] == local.MODEL
    assert facts["endpoint"].startswith("the engine on this machine")
    assert facts["system"] == local.DEFAULT_SYSTEM_PROMPT
    assert float(facts["price of the prompt"].split()[0]) == 0
    assert local.running() is None


def test_facts_where_nothing_can_be_asked(session: Session) -> None:
    """A dry run tells what is missing, rather than failing."""
    facts = estimate.facts(ask("Hello", model="gpt-5.5"), session.live, recorded=False)
    assert facts["model"].startswith("gpt-5.5 (")
    assert "endpoint" not in facts


def test_images_are_counted(tmp_path: Path) -> None:
    """What is sent of each, in pixels, and what it counts; an address is not fetched for it."""
    saved(tmp_path, "photo.jpg", photograph(3000, 2000))
    session = Session(model="gpt-4o", api_key="sk-test-0123456789")
    request = session.asking("Hi", AskOptions(images=["photo.jpg"])).request
    facts = estimate.facts(request, session.live, recorded=False)
    line = "3000 x 2000 pixels, sent as 1152 x 768 JPEG, 1105 tokens (photo.jpg)"
    assert facts["images"] == line
    assert facts["image tokens"] == "1105"
    assert (
        int(facts["prompt tokens"].split()[0 if "about" not in facts["prompt tokens"] else 1])
        >= 1105
    )
    request = session.asking("Hi", AskOptions(images="https://example.org/a.png")).request
    facts = estimate.facts(request, session.live, recorded=False)
    assert "not fetched for this" in facts["images"]
    assert facts["image tokens"] == "0 and those that are not known"
