"""One answer on the screen: one output is left, however it came."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

from openai_magics import cells, render
from openai_magics.exchange import Reply
from openai_magics.magics import show

ANSWER = render.answer(Reply("**Hi**", fingerprint="v1:x", id="y"))


@pytest.fixture
def outputs(shell: InteractiveShell) -> Iterator[list[Any]]:
    """What is displayed, in order."""
    before = shell.display_pub
    publisher = CapturingDisplayPublisher()
    shell.display_pub = publisher
    yield publisher.outputs
    shell.display_pub = before


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that the test moves, and that rendering moves on."""
    clock = SimpleNamespace(now=100.0, rendering=0.0)

    def partial(text: str) -> render.Bundle:
        clock.now += clock.rendering
        return render.partial(text)

    monkeypatch.setattr(show, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(show, "render", SimpleNamespace(partial=partial, notice=render.notice))
    return clock


def texts(outputs: list[Any]) -> list[str]:
    return [item["data"]["text/plain"] for item in outputs]


def test_once(outputs: list[Any]) -> None:
    """A replay is exactly one output: the finished answer, with its metadata."""
    stage = show.Once()
    stage.on_notice("Waiting")
    stage.on_text("Hi")
    stage.finish(ANSWER)
    (output,) = outputs
    assert (output["data"], output["metadata"]) == ANSWER
    assert not output.get("update")
    assert not output.get("transient")


@pytest.mark.parametrize("stage", [show.Once, show.InNotebook])
def test_nothing(outputs: list[Any], stage: type[show.Once]) -> None:
    """Where there is no answer and nothing was shown, there is no output."""
    stage().finish(None)
    assert outputs == []


def test_in_one_place(outputs: list[Any], clock: Any) -> None:
    """What is shown as it comes takes the place of what was there; the answer is left."""
    stage = show.InNotebook()
    stage.on_notice("Starting")
    stage.on_notice("")
    stage.on_text("**H")
    clock.now += 1
    stage.on_text("i**")
    stage.finish(ANSWER)
    assert texts(outputs) == ["Starting", "", "**H", "**Hi**", "**Hi**"]
    assert [bool(item.get("update")) for item in outputs] == [False, True, True, True, True]
    assert len({item["transient"]["display_id"] for item in outputs}) == 1
    assert (outputs[-1]["data"], outputs[-1]["metadata"]) == ANSWER


def test_an_answer_that_did_not_stream(outputs: list[Any]) -> None:
    """Comes as one plain output, in a notebook too."""
    stage = show.InNotebook()
    stage.on_notice("")
    stage.finish(ANSWER)
    assert [(item["data"], item["metadata"]) for item in outputs] == [ANSWER]
    assert not outputs[0].get("transient")


def test_a_failure_leaves_nothing_of_the_notice(outputs: list[Any]) -> None:
    """What was shown while it mattered is taken away."""
    stage = show.InNotebook()
    stage.on_notice("Waiting")
    stage.finish(None)
    assert texts(outputs) == ["Waiting", ""]


def test_as_often_as_an_eye_can_follow(outputs: list[Any], clock: Any) -> None:
    """However fast the pieces come, ten updates a second are shown; the last text is whole."""
    stage = show.InNotebook()
    for _ in range(1000):
        stage.on_text("x")
        clock.now += 0.001
    stage.finish(render.answer(Reply("x" * 1000)))
    assert len(outputs) <= 12
    assert texts(outputs)[-1] == "x" * 1000


def test_a_long_answer_is_shown_less_often(outputs: list[Any], clock: Any) -> None:
    """Rendering takes at most a fifth of the time."""
    stage, clock.rendering = show.InNotebook(), 0.5
    begin = clock.now
    for _ in range(100):
        stage.on_text("x")
        clock.now += 0.1
    assert 0.5 * len(outputs) <= (clock.now - begin) / 5 + 0.5


def test_in_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Text is written as it comes, and obeyed by no terminal; notices are not part of it."""
    stage = show.InTerminal()
    stage.on_notice("Waiting\x1b[2J")
    for piece in ("H", "i\x1b[31m"):
        stage.on_text(piece)
    stage.finish(ANSWER)
    shown = capsys.readouterr()
    assert shown.out == "Hi␛[31m\n"
    assert "\x1b[2J" not in shown.err


def test_in_a_terminal_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """What did not stream is written when it is there."""
    stage = show.InTerminal()
    stage.finish(ANSWER)
    stage = show.InTerminal()
    stage.finish(None)
    assert capsys.readouterr().out == "**Hi**\n"


@pytest.mark.parametrize(
    ("kernel", "watched", "captured", "stream", "kind"),
    [
        (True, True, False, True, show.InNotebook),
        (True, True, False, False, show.Once),
        (True, False, False, True, show.Once),
        (True, True, True, True, show.Once),
        (False, True, False, True, show.InTerminal),
    ],
    ids=["a notebook", "not streamed", "nobody is there", "%%capture", "a terminal"],
)
def test_which_stage(
    monkeypatch: pytest.MonkeyPatch,
    kernel: bool,
    watched: bool,
    captured: bool,
    stream: bool,
    kind: type[object],
) -> None:
    """An answer is updated in place only where somebody is there to see it."""
    shell: Any = SimpleNamespace(
        display_pub=CapturingDisplayPublisher() if captured else object(),
        **({"kernel": object()} if kernel else {}),
    )
    monkeypatch.setattr(cells, "watched", lambda _: watched)
    assert type(show.stage(shell, stream=stream)) is kind
