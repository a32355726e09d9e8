"""The chat panel's actions, made without a browser: what a view tells, and what it is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from openai_magics.errors import OptionError
from openai_magics.panels.chat import PAGE, ChatPanel
from openai_magics.session import Session
from tests.scripted import ScriptedServer, answer, errors
from tests.unit.pictures import encoded, photograph


class Views:
    """All the views of a panel: they note what they are told."""

    def __init__(self, panel: ChatPanel) -> None:
        self.panel = panel
        self.told: list[dict[str, Any]] = []
        self.buffers: list[Sequence[bytes]] = []
        panel.send = self.hear  # type: ignore[method-assign]

    def hear(self, message: dict[str, Any], buffers: Sequence[bytes] = ()) -> None:
        self.told.append(message)
        self.buffers.append(buffers)

    def tell(self, kind: str, **more: Any) -> None:
        """Tell the panel something, as one view."""
        self.panel.receive({"type": kind, "view": "v1", **more})

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.told if message["type"] == kind]

    def wait(self, kind: str, seen: int = 0) -> dict[str, Any]:
        """Wait for a message beyond the first *seen* of its kind, and return it."""
        until(lambda: len(self.of(kind)) > seen)
        return self.of(kind)[seen]

    def ask(self, text: str, **more: Any) -> dict[str, Any]:
        """Ask as a view does; return what it is told at the end."""
        seen = len(self.of("ended"))
        self.tell("ask", text=text, **more)
        return self.wait("ended", seen)

    def shown(self) -> list[tuple[str, str]]:
        """Return prompt and answer of each turn, as a new view is told them."""
        seen = len(self.of("opened"))
        self.tell("ready")
        return [(turn["asked"], turn["text"]) for turn in self.wait("opened", seen)["turns"]]


def until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + 90
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def session(scripted: ScriptedServer, tmp_path: Path) -> Session:
    """Give a session that asks the scripted server."""
    return again(scripted, tmp_path)


@pytest.fixture
def views(session: Session) -> Views:
    """Give the views of its chat panel."""
    return Views(ChatPanel(session))


def again(scripted: ScriptedServer, tmp_path: Path) -> Session:
    """Return a session over the same file, as after a restart."""
    return Session("gpt-4o", base_url=scripted.base_url, dialogue_log_path=tmp_path / "d.json")


def test_an_answer_comes_as_it_grows(views: Views, scripted: ScriptedServer) -> None:
    """The prompt is shown at once, then what is new in the answer, then the finished turn."""
    text = "# Tides\n\nThe **sea's** breath.\n\n```python\nprint(1)\n```\n"
    scripted.script.then(answer(text, chunks=30, delay=0.01))
    ended = views.ask("What is a tide?")
    begun = views.wait("begun")
    assert begun["turn"]["asked"] == "What is a tide?"
    assert begun["turn"]["running"] is True
    deltas = views.of("delta")
    assert [one["number"] for one in deltas] == list(range(1, len(deltas) + 1))
    assert len(deltas) > 1
    grown = "".join(one["settled"] for one in deltas) + deltas[-1]["tail"]
    assert grown.startswith("<h1>Tides</h1>\n<p>The <strong>sea's</strong> breath.</p>")
    turn = ended["turn"]
    assert turn["text"] == text
    assert '<span class="nb">print</span>' in turn["html"]
    assert turn["model"].startswith("gpt-4o")
    assert "tokens" in turn["usage"]
    assert ended["state"]["running"] is None


def test_what_was_said_is_in_the_file_at_once(
    views: Views, scripted: ScriptedServer, tmp_path: Path
) -> None:
    """Another kernel's panel shows it, and goes on from there."""
    views.ask("one")
    later = Views(ChatPanel(again(scripted, tmp_path)))
    assert later.shown() == views.shown()
    later.ask("two")
    assert len(scripted.requests[-1].messages) == 3


def test_a_stop_keeps_what_came(views: Views, scripted: ScriptedServer) -> None:
    """Marked as cut off; what is asked next does not see it."""
    hold = threading.Event()
    scripted.script.then(answer("One two three four", hold=hold, hold_after=3))
    views.tell("ask", text="count")
    views.wait("delta")
    views.tell("stop")
    turn = views.wait("ended")["turn"]  # though the server holds the rest back
    hold.set()
    assert turn["text"].startswith("One")
    assert turn["notes"] == ["Cut off: the answer was stopped before its end."]
    assert not turn["standing"]
    views.ask("next")
    assert len(scripted.requests[-1].messages) == 1
    assert [asked for asked, _ in views.shown()] == ["count", "next"]


def test_told_twice_and_out_of_order(views: Views, scripted: ScriptedServer) -> None:
    """What a view tells is done once and in order, and acknowledged to that view."""
    views.tell("ask", text="second", number=2)
    assert views.of("had")[-1]["number"] == 0
    views.tell("new", number=1)
    views.tell("ask", text="second", number=2)
    assert views.of("had")[-1] == {"type": "had", "view": "v1", "number": 2}
    views.wait("ended")
    assert len(views.of("begun")) == len(scripted.requests) == 1
    kinds = [message["type"] for message in views.told]
    assert kinds.index("opened") < kinds.index("begun")
    views.tell("stop", number=2)
    assert views.of("had")[-1]["number"] == 2


def test_another_kernel_is_another_run(
    views: Views, scripted: ScriptedServer, tmp_path: Path
) -> None:
    """A view tells by it whether what it holds is of the kernel that answers now."""
    views.shown()
    later = Views(ChatPanel(again(scripted, tmp_path)))
    later.shown()
    assert views.of("opened")[0]["run"] != later.of("opened")[0]["run"]


def test_a_stop_before_anything_came(views: Views, scripted: ScriptedServer) -> None:
    """The prompt is kept, to be tried again."""
    hold = threading.Event()
    scripted.script.then(answer("late", hold=hold))
    views.tell("ask", text="slow")
    until(lambda: scripted.requests)
    views.tell("stop")
    turn = views.wait("ended")["turn"]
    hold.set()
    assert turn["failure"]["problem"] == "Stopped before anything came."
    views.tell("retry", id=turn["id"])
    assert views.wait("ended", 1)["turn"]["text"].startswith("You said: slow")


def test_sent_while_an_answer_comes(views: Views, scripted: ScriptedServer) -> None:
    """It is refused, to the view that sent it, and the answer goes on."""
    hold = threading.Event()
    scripted.script.then(answer("one", hold=hold))
    views.tell("ask", text="first")
    views.tell("ask", text="second")
    refused = views.wait("refused")
    assert (refused["of"], refused["view"]) == ("ask", "v1")
    assert refused["problem"] == "An answer is still coming."
    hold.set()
    assert views.wait("ended")["turn"]["text"] == "one"


@pytest.mark.parametrize("text", ["", "  \n "])
def test_an_empty_message(views: Views, text: str) -> None:
    """Is refused; nothing is asked."""
    views.tell("ask", text=text)
    assert views.wait("refused")["problem"] == "The message is empty."
    assert views.of("begun") == []


def test_another_answer_and_another_prompt(views: Views, scripted: ScriptedServer) -> None:
    """Both take the place of the turn and of what came after it; the file keeps all of it."""
    scripted.script.then("first", "second", "third", "fourth")
    one = views.ask("a")["turn"]
    views.ask("b")
    views.tell("retry", id=one["id"])
    views.wait("ended", 2)
    assert views.shown() == [("a", "third")]
    assert views.of("begun")[-1]["at"] == 0
    views.tell("edit", id=views.of("ended")[-1]["turn"]["id"], text="c")
    views.wait("ended", 3)
    assert views.shown() == [("c", "fourth")]
    assert len(views.panel.session.dialogue) == 4


def test_a_failure_can_be_tried_again(views: Views, scripted: ScriptedServer) -> None:
    """The turns before it, the prompt and its remedy are shown; so they are after a restart."""
    views.ask("one")
    scripted.script.then(errors.model_not_found("gpt-4o"))
    turn = views.ask("two")["turn"]
    assert turn["failure"]["kind"] == "ModelNotFound"
    assert turn["failure"]["remedy"]
    assert [asked for asked, _ in views.shown()] == ["one", "two"]
    views.tell("retry", id=turn["id"])
    assert views.wait("ended", 2)["turn"]["failure"] is None
    assert [asked for asked, _ in views.shown()] == ["one", "two"]


def test_a_failure_can_be_dismissed(views: Views, scripted: ScriptedServer) -> None:
    """What stood there before is shown again."""
    views.ask("one")
    views.ask("two")
    first = views.of("ended")[0]["turn"]
    scripted.script.then(errors.prompt_refused())
    views.tell("edit", id=first["id"], text="bad")
    views.wait("ended", 2)
    assert [asked for asked, _ in views.shown()] == ["bad"]
    views.tell("dismiss")
    assert [asked for asked, _ in views.shown()] == ["one", "two"]


def test_without_a_key_one_is_asked_for(scripted: ScriptedServer, tmp_path: Path) -> None:
    """It is taken without being shown or kept, and the prompt is tried again."""
    scripted.script.key = "sk-right-0123456789"
    views = Views(ChatPanel(again(scripted, tmp_path)))
    turn = views.ask("one")["turn"]
    assert turn["failure"]["key"] is True
    views.tell("key", key="  ")
    assert views.wait("refused")["problem"] == "No key was typed."
    views.tell("key", key="sk-right-0123456789")
    views.tell("retry", id=turn["id"])
    assert views.wait("ended", 1)["turn"]["failure"] is None
    assert "sk-right" not in repr(views.told)
    assert b"sk-right" not in views.panel.session.dialogue.path.read_bytes()


def test_the_form_is_sent_and_comes_back(
    views: Views, scripted: ScriptedServer, tmp_path: Path
) -> None:
    """Model, system instruction and parameters; after a restart they are those of the last turn."""
    form = {
        "model": "gpt-4o-mini",
        "system": "Be brief.\nVery.",
        "temperature": "0.5",
        "max_tokens": "50",
        "effort": "",
        "more": '{"seed": 7}',
    }
    views.tell("choose", form=form)
    views.ask("one")
    sent = scripted.requests[-1].json
    assert (sent["model"], sent["temperature"], sent["seed"]) == ("gpt-4o-mini", 0.5, 7)
    assert sent["max_completion_tokens"] == 50
    assert sent["messages"][0] == {"role": "system", "content": "Be brief.\nVery."}
    later = Views(ChatPanel(again(scripted, tmp_path)))
    later.shown()
    assert later.of("opened")[0]["state"]["form"] == form


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("temperature", "warm", "The temperature is a number"),
        ("max_tokens", "1.5", "The most tokens are a whole number"),
        ("more", "{", "not JSON"),
        ("more", "[1]", "no JSON object"),
    ],
)
def test_a_form_that_cannot_be(views: Views, field: str, value: str, said: str) -> None:
    """The field's trouble is said to the view that typed it."""
    views.tell("choose", form={field: value})
    assert said in views.wait("refused")["problem"]


def test_several_conversations(views: Views) -> None:
    """Each goes on for itself; the list has the last one first."""
    views.ask("one")
    views.tell("new")
    opened = views.of("opened")[-1]
    assert opened["turns"] == []
    assert opened["state"]["open"] == "chat-2"
    views.ask("two")
    listed = views.of("ended")[-1]["state"]["conversations"]
    assert [(item["name"], item["title"]) for item in listed] == [
        ("chat-2", "two"),
        ("chat", "one"),
    ]
    views.tell("open", conversation="chat")
    assert [turn["asked"] for turn in views.of("opened")[-1]["turns"]] == ["one"]


def test_cells_keep_their_conversation(
    views: Views, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cells said can be gone on from, in a conversation of its own; the cells do not see it."""
    from openai_magics.conversation import Place
    from openai_magics.turns import run as turns

    session = views.panel.session
    with monkeypatch.context() as patch:
        patch.setattr(turns, "here", lambda: Place("cell-1", "x"))
        session.ask("from a cell")
    views.tell("open", conversation="main")
    views.ask("and then?")
    assert len(scripted.requests[-1].messages) == 3
    state = views.of("ended")[-1]["state"]
    assert state["open"] == "main-chat"
    assert [asked for asked, _ in views.shown()] == ["from a cell", "and then?"]
    assert [turn["cell"] for turn in views.of("opened")[-1]["turns"]] == [True, False]
    session.ask("from another cell")
    assert len(scripted.requests[-1].messages) == 3
    views.tell("cells", id=views.of("ended")[-1]["turn"]["id"])
    [source] = views.wait("cells")["sources"]
    assert source.startswith("%%ask ")
    assert "--conversation" not in source
    assert source.endswith("\nand then?")


def test_a_long_conversation_comes_in_pages(views: Views) -> None:
    """A view gets the last turns, and earlier ones when it asks for them."""
    parent = ""
    for n in range(PAGE + 5):
        parent = views.panel.session.ask(f"q{n}", conversation="chat", after=parent).id
    views.shown()
    opened = views.of("opened")[-1]
    assert (opened["total"], opened["from"], len(opened["turns"])) == (PAGE + 5, 5, PAGE)
    views.tell("earlier", before=5)
    earlier = views.wait("earlier")
    assert [turn["asked"] for turn in earlier["turns"]] == [f"q{n}" for n in range(5)]


def test_a_replayed_answer_is_marked(views: Views, scripted: ScriptedServer) -> None:
    """What the dialogue file answered, nobody was asked."""
    views.ask("one")
    views.tell("new")
    turn = views.ask("one")["turn"]
    assert turn["replayed"] is True
    assert len(scripted.requests) == 1
    assert [asked for asked, _ in views.shown()] == ["one"]
    views.ask("two")
    assert [asked for asked, _ in views.shown()] == ["one", "two"]


def test_an_edit_back_is_replayed(views: Views, scripted: ScriptedServer) -> None:
    """The answer of the branch that was left is there, and stands."""
    scripted.script.then("first", "second")
    one = views.ask("a")["turn"]
    views.tell("edit", id=one["id"], text="b")
    two = views.wait("ended", 1)["turn"]
    views.tell("edit", id=two["id"], text="a")
    assert views.wait("ended", 2)["turn"]["replayed"] is True
    assert views.shown() == [("a", "first")]
    assert len(scripted.requests) == 2


def test_an_image_goes_with_a_prompt(views: Views, scripted: ScriptedServer) -> None:
    """In pieces to the panel, with a thumbnail for the views; its turn can be tried again."""
    data = encoded(photograph(), "PNG")
    views.panel.attach("a", "sea.png", data[:1000], last=False)
    views.tell("ask", text="early", images=["a"])
    assert views.wait("refused")["problem"] == "An image is still on its way."
    job = views.panel.attach("a", "sea.png", data[1000:], last=True)
    assert job is not None
    assert job.wait(90)
    told = views.wait("attached")
    assert told["failure"] is None
    assert views.buffers[views.told.index(told)][0].startswith(b"\x89PNG")
    turn = views.ask("What is this?", images=["a"])["turn"]
    assert "images 1" in turn["text"]
    [image] = turn["images"]
    assert image["caption"].startswith("sea.png")
    assert image["buffer"] == 0
    views.ask("and in it?")
    assert "images 1" in views.of("ended")[-1]["turn"]["text"]
    views.tell("retry", id=turn["id"])
    assert "images 1" in views.wait("ended", 2)["turn"]["text"]


def test_images_are_small_pictures_after_a_restart(
    views: Views, scripted: ScriptedServer, tmp_path: Path
) -> None:
    """Their thumbnails are in the record; the conversation goes on without them, and says so."""
    job = views.panel.attach("a", "sea.png", encoded(photograph(), "PNG"), last=True)
    assert job is not None
    assert job.wait(90)
    views.ask("What is this?", images=["a"])
    later = Views(ChatPanel(again(scripted, tmp_path)))
    later.shown()
    [turn] = later.of("opened")[0]["turns"]
    assert [image["buffer"] for image in turn["images"]] == [0]
    [picture] = later.buffers[later.told.index(later.of("opened")[0])]
    assert picture.startswith(b"\xff\xd8"), "a JPEG, out of the dialogue file"
    later.tell("retry", id=turn["id"])
    assert later.wait("refused")["problem"] == "The images of this turn are no longer at hand."
    later.ask("and now?")
    first = scripted.requests[-1].messages[0]["content"]
    assert first[-1]["text"] == "[An image that is no longer at hand.]"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.pdf", b"%PDF-1.7 ...", "a PDF document"),
        ("a.png", b"", "empty"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + b"0" * 99, "a.png is"),
        ("big.png", b"0" * (50 * 2**20 + 1), "larger than 50 MB"),
    ],
    ids=["pdf", "empty", "damaged", "too large"],
)
def test_what_is_no_image(views: Views, name: str, data: bytes, said: str) -> None:
    """Is refused by name before anything is asked, and is not attached."""
    job = views.panel.attach("a", name, data, last=True)
    assert job is not None
    assert job.wait(90)
    assert said in views.wait("attached")["failure"]["problem"]
    assert views.panel.uploads.items() == []


def test_ten_images_at_most(views: Views) -> None:
    """One more is refused."""
    for n in range(10):
        views.panel.attach(str(n), "a.png", b"x", last=False)
    views.panel.attach("10", "b.png", b"x", last=False)
    assert "one image too many" in views.wait("attached")["failure"]["problem"]
    views.tell("detach", id="0")
    assert len(views.panel.uploads.items()) == 9


def test_models_are_listed_when_asked_for(views: Views) -> None:
    """And not before: a listing is a request."""
    views.shown()
    assert views.of("opened")[0]["state"]["models"] == []
    views.tell("models")
    assert "gpt-4o" in views.wait("state")["state"]["models"]


def test_what_a_view_cannot_mean(views: Views) -> None:
    """An unknown message is passed over; one that lacks something is told to its view."""
    views.tell("dance")
    assert views.told == []
    views.tell("retry", id="nowhere")
    assert "no longer in the dialogue file" in views.wait("refused")["problem"]
    views.tell("open")
    assert views.wait("refused", 1)["of"] == "open"


def test_the_static_form_shows_the_conversation(views: Views) -> None:
    """As text and as HTML in which nothing is active."""
    views.ask("<script>alert(1)</script>")
    data, _ = views.panel.bundle()
    assert "You: <script>alert(1)</script>" in data["text/plain"]
    assert "<script>" not in data["text/html"]
    assert "You said: &lt;script&gt;" in data["text/html"]


def test_an_edit_must_say_something(views: Views) -> None:
    """Else the turn stays as it is."""
    turn = views.ask("one")["turn"]
    with pytest.raises(OptionError, match="empty"):
        views.panel.asks.edit(turn["id"], " ")
    assert [asked for asked, _ in views.shown()] == ["one"]
