"""What an ask would send and cost."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from openai_magics import estimate, local
from openai_magics.errors import Unreachable
from openai_magics.exchange import AskOptions, Message
from openai_magics.images import download
from openai_magics.images.attached import attached
from openai_magics.session import Session
from tests.unit.making import ask
from tests.unit.pictures import drawing, encoded, photograph, saved

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


def test_an_address_is_fetched_where_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``--fetch`` its size is told; where it cannot be had, why."""
    told = encoded(photograph(640, 480), "JPEG")
    monkeypatch.setattr(download, "fetch", lambda *_, **__: told)
    session = Session(model="gpt-4o", api_key="sk-test-0123456789")
    item = attached("https://example.org/a.jpg", fetch=True)
    request = session.asking("Hi", AskOptions(images=item)).request
    facts = estimate.facts(request, session.live, recorded=False)
    assert facts["images"].startswith("640 x 480 pixels, sent as 640 x 480 JPEG, ")
    assert "(https://example.org/a.jpg, fetched)" in facts["images"]

    def gone(*_: object, **__: object) -> bytes:
        raise Unreachable("https://example.org/a.jpg could not be fetched: it took too long.", "")

    monkeypatch.setattr(download, "fetch", gone)
    facts = estimate.facts(request, session.live, recorded=False)
    assert facts["images"] == (
        "not sent: https://example.org/a.jpg could not be fetched: it took too long."
    )


def test_what_the_real_run_would_refuse(tmp_path: Path) -> None:
    """A private address and a file that is no image are told with what to do, and not as asked."""
    saved(tmp_path, "v.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    session = Session(model="gpt-4o", api_key="sk-test-0123456789")
    for image, said in (
        ("http://127.0.0.1/a.png", "of this machine or its network. The service cannot reach it."),
        ("v.svg", "v.svg is an SVG drawing, and models take pixels. "),
    ):
        request = session.asking("Hi", AskOptions(images=image)).request
        facts = estimate.facts(request, session.live, recorded=False)
        assert facts["images"].startswith("not sent: ")
        assert said in facts["images"]
        assert facts["recorded"] == "no: it would be refused"


def test_images_that_no_model_sees(session: Session, tmp_path: Path) -> None:
    """On the engine without a projector a description is made without the model, and that is said."""
    saved(tmp_path, "a.png", drawing(40, 30))
    request = session.asking("Hi", AskOptions(images="a.png")).request
    asked = replace(request, model="local")
    facts = estimate.facts(replace(asked, kind="describe"), session.live, recorded=False)
    assert facts["seen by"].startswith("no model (%describe tells size")
    assert facts["recorded"] == "no: it would be asked"
    facts = estimate.facts(asked, session.live, recorded=False)
    assert facts["recorded"] == "no: it would be refused"
    assert local.running() is None


def test_frames_that_are_left_out(tmp_path: Path) -> None:
    """Of an animation the first is sent, which is said."""
    frames = [drawing(40, 30), photograph(40, 30)]
    saved(tmp_path, "a.gif", encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    session = Session(model="gpt-4o", api_key="sk-test-0123456789")
    request = session.asking("Hi", AskOptions(images="a.gif")).request
    facts = estimate.facts(request, session.live, recorded=False)
    assert facts["images"].endswith("(a.gif, the first of 2 frames)")


def test_schema_and_tools_are_counted(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the JSON that is sent, and said to be no exact count."""
    plain = estimate.facts(ask("Hello"), session.live, recorded=False)

    def look_up(city: str, unit: str = "kelvin") -> str:
        """Return the weather of a city, in words."""
        raise AssertionError(city + unit)

    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    for options in (AskOptions(tools=[look_up]), AskOptions(schema=schema)):
        request = session.asking("Hello", options).request
        facts = estimate.facts(request, session.live, recorded=False)
        more = int(facts["prompt tokens"].split()[1]) - int(plain["prompt tokens"].split()[-1])
        assert 15 < more < 150
        assert facts["prompt tokens"].endswith("(schema and tools as JSON)")
    monkeypatch.setitem(sys.modules, "quicktok", None)
    facts = estimate.facts(request, session.live, recorded=False)
    assert facts["prompt tokens"].endswith("(the extra `tokens` counts them)")


def test_calls_of_tools_are_counted() -> None:
    """What the model had called stands in the history, and is sent."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said: Message = {"role": "assistant", "content": None, "tool_calls": [call]}
    assert estimate.tokens([said])[0] > 15
