"""Images on the embedded engine, with a projector: a vision model of random weights, for real.

Both its halves are made here; once it is the embedded model that gets a projector.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from openai_magics import Session, local
from openai_magics.errors import EngineError
from openai_magics.local import process, weights
from tests.unit.pictures import drawing, photograph, saved

pytestmark = pytest.mark.engine
pytest.importorskip("xllamacpp")
pytest.importorskip("gguf")


@pytest.fixture(autouse=True)
def sighted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """No engine is left over, before or after; a tiny model and its projector are set."""
    from tests.local import projector, tiny

    model = tiny.write(tmp_path / "tiny.gguf")
    eyes = projector.write(tmp_path / "mmproj.gguf", tiny.WIDTH)
    monkeypatch.setenv(weights.VARIABLE, str(model))
    monkeypatch.setenv(weights.MMPROJ_VARIABLE, str(eyes))
    local.stop()
    yield
    local.stop()


def test_it_is_shown_images(tmp_path: Path) -> None:
    """The model is given the image's tokens; the same image gives the same answer; it replays."""
    saved(tmp_path, "a.png", drawing(200, 150))
    session = Session("local", dialogue_log_path="a.dialogue.json")
    reply = session.describe_image("a.png", "What is it?", max_completion_tokens=8)
    assert reply.model == "tiny"
    assert reply.resolved.endpoint == "local"
    text = session.ask("What is it?", history=False, max_completion_tokens=8)
    assert reply.usage["prompt_tokens"] >= text.usage["prompt_tokens"] + 16
    again = session.describe_image("a.png", "What is it?", max_completion_tokens=8, fresh=True)
    assert again.text == reply.text
    local.stop()
    there = Session(dialogue_log_path="a.dialogue.json", mode="replay", model="local")
    assert there.describe_image("a.png", "What is it?", max_completion_tokens=8).replayed
    assert local.running() is None


def test_the_embedded_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It, too, sees with a projector of its width."""
    from tests.local import projector

    monkeypatch.delenv(weights.VARIABLE)
    monkeypatch.setenv(weights.MMPROJ_VARIABLE, str(projector.write(tmp_path / "for-it.gguf")))
    saved(tmp_path, "a.png", drawing(200, 150))
    session = Session("local", dialogue_log_path="a.dialogue.json")
    reply = session.describe_image("a.png", "What is it?", max_completion_tokens=8)
    assert reply.model == weights.MODEL
    text = session.ask("What is it?", history=False, max_completion_tokens=8)
    assert reply.usage["prompt_tokens"] >= text.usage["prompt_tokens"] + 16


def test_an_ask_with_an_image(tmp_path: Path) -> None:
    """Also in a conversation, whose next turn sends the image again."""
    session = Session("local", dialogue_log_path="a.dialogue.json")
    first = session.ask("What is it?", images=photograph(90, 60), max_completion_tokens=300, seed=1)
    second = session.ask("Why?", max_completion_tokens=300)
    assert second.usage["prompt_tokens"] > first.usage["prompt_tokens"] + 5


def test_another_projector_is_another_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine is started anew where what it sees with is another."""
    first = local.engine()
    assert local.engine() is first
    monkeypatch.delenv(weights.MMPROJ_VARIABLE)
    assert local.engine() is not first
    assert not local.sees()


@pytest.mark.parametrize(
    ("named", "said"),
    [("gone.gguf", "projector 'gone.gguf' is not there"), ("a.png", "is not a GGUF file")],
)
def test_what_is_no_projector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, said: str
) -> None:
    """The error names the setting."""
    saved(tmp_path, "a.png", drawing(9, 9))
    monkeypatch.setenv(weights.MMPROJ_VARIABLE, named)
    with pytest.raises(EngineError, match=said):
        process.engine()


def test_a_projector_of_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not start, and says why."""
    whole = (tmp_path / "mmproj.gguf").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[: len(whole) // 2])
    monkeypatch.setenv(weights.MMPROJ_VARIABLE, "cut.gguf")
    with pytest.raises(EngineError, match="did not start"):
        process.engine()
