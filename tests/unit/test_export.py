"""What a dialogue is to read, and to give to others: text, HTML, Markdown, CSV, chat messages."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from openai import OpenAI

from openai_magics import chat_lines, export, markdown, render
from openai_magics.errors import OptionError
from openai_magics.exchange import Resolved
from openai_magics.transcript import POLICY, STYLE
from tests.scripted import ScriptedServer
from tests.scripted.spec import JSON, spec
from tests.unit.dialogues import HOSTILE, Talk, hostile

INERT = {"html", "head", "meta", "title", "style", "body", "div", "small", "p", "pre", "code", "em"}
INERT |= {
    "strong",
    "s",
    "a",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "ul",
    "ol",
    "li",
    "hr",
    "br",
}
INERT |= {"blockquote", "h1", "h2", "h3", "h4", "h5", "h6"}
ATTRIBUTES = {"class", "dir", "role", "aria-level", "style", "href", "target", "rel", "start"}


class Seen(HTMLParser):
    """What a browser would find in some HTML: elements, attributes, text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.active: list[str] = []
        self.texts: list[str] = []
        self.policy = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        if tag == "meta":
            if given.get("http-equiv") == "Content-Security-Policy":
                self.policy = given["content"] or ""
            return
        if tag not in INERT or not set(given) <= ATTRIBUTES:
            self.active.append(self.get_starttag_text() or tag)
        if not render.SAFE_LINK.match(given.get("href") or "#"):
            self.active.append(str(given))
        if "url(" in (given.get("style") or ""):
            self.active.append(str(given))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.active.append(f"<!--{data}")


# --- transcripts


def test_a_transcript_reads_as_what_was_said() -> None:
    """Plain text: who says it on a line of its own, what is said indented below it."""
    talk = Talk()
    first = talk.said("What is\na tide?", "The sea's breath.", request={"system": "Be brief."})
    talk.said("And an ebb?", "Its sigh.", after=first, request={"system": "Be brief."})
    talk.said("Alone?", "Yes.", conversation=None)
    assert str(talk.dialogue.show()) == (
        "Conversation main\n\nsystem\n    Be brief.\n\nuser\n    What is\n    a tide?\n\n"
        "assistant (gpt-4o)\n    The sea's breath.\n\nuser\n    And an ebb?\n\n"
        "assistant (gpt-4o)\n    Its sigh.\n\nWithout a conversation\n\nuser\n    Alone?\n\n"
        "assistant (gpt-4o)\n    Yes."
    )


def test_a_transcript_says_what_it_leaves_out() -> None:
    """Superseded answers are not shown, and counted."""
    talk = Talk()
    talk.said("one", "first answer")
    talk.said("one", "second answer")
    shown = str(talk.dialogue.show())
    assert "first answer" not in shown
    assert shown.endswith("[Left out: 1 asked anew since.]")


def test_a_transcript_is_shown_by_ipython_as_text_and_html() -> None:
    """The object has a mimebundle, text first; its repr is short."""
    talk = Talk()
    talk.said("one", "**bold**")
    shown = talk.dialogue.show()
    bundle = shown._repr_mimebundle_()
    assert list(bundle) == ["text/plain", "text/html"]
    assert "<strong>bold</strong>" in bundle["text/html"]
    assert repr(shown) == "<Transcript of 1 turns>"


def test_a_transcript_in_a_cell_makes_no_table_of_contents() -> None:
    """Roles are headings to a screen reader, and no heading elements to JupyterLab's contents."""
    talk = Talk()
    talk.said("one", "two")
    seen = Seen(talk.dialogue.show()._repr_mimebundle_()["text/html"])
    assert not {"h1", "h2", "h3"} & set(seen.tags)


def test_nothing_in_a_shown_transcript_is_active() -> None:
    """Scripts, handlers, images, links to code and closing tags are text, from whomever they come."""
    seen = Seen(hostile().dialogue.show()._repr_mimebundle_()["text/html"])
    assert seen.active == []
    assert "<script>alert(1)</script>" in "".join(seen.texts)


def test_no_message_can_pass_for_another_turn_in_plain_text() -> None:
    """Only what we write begins at the beginning of a line; terminal controls are pictures."""
    lines = str(hostile().dialogue.show()).split("\n")
    ours = ("Conversation ", "system", "user", "assistant (", "    ", "[")
    assert [line for line in lines if line and not line.startswith(ours)] == []
    assert not any("\x1b" in line or "\x00" in line for line in lines)
    assert not any("\u202e" in line for line in lines if not line.startswith("    "))


# --- HTML


def page_of(talk: Talk, **wanted: Any) -> str:
    path = talk.dialogue.export("talk.html", overwrite=True, **wanted)
    return path.read_text("utf-8")


def test_html_is_one_file_with_nothing_active_in_it() -> None:
    """No element, attribute or link of the page does anything or loads anything, whatever was said."""
    seen = Seen(page_of(hostile()))
    assert seen.active == []
    assert seen.tags.count("style") == 1
    assert STYLE in "".join(seen.texts)
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def test_html_forbids_by_policy_what_it_does_not_hold() -> None:
    """The Content-Security-Policy lets nothing in but its own style, and comes before it."""
    source = page_of(hostile())
    assert Seen(source).policy == POLICY
    assert POLICY == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert source.index(POLICY.split(";")[0]) < source.index("<style>")


def test_html_is_for_light_dark_print_and_either_direction() -> None:
    """Both colour schemes, a print style, and text that goes its own way."""
    source = page_of(hostile())
    assert "prefers-color-scheme: dark" in source
    assert "@media print" in source
    assert '<div class="said" dir="auto">' in source


def test_html_shows_what_a_message_is() -> None:
    """Each message is a block of its own, so a direction that was not ended ends with it."""
    talk = Talk()
    talk.said("\u202egnp", "\u202etxt **b**")
    source = page_of(talk)
    assert '<div class="said" dir="auto" style="white-space: pre-wrap">\u202egnp</div>' in source
    assert '<div class="said" dir="auto"><p>\u202etxt <strong>b</strong></p>' in source


def test_a_name_turns_nothing_around_it() -> None:
    """A model or a conversation may call itself anything: its directions do not reach our words."""
    talk = Talk()
    talk.said("q", "a", conversation="a\u202eb", reply={"model": "m\u202ex"})
    for source in (page_of(talk), talk.dialogue.export("talk.md").read_text("utf-8")):
        assert "\u202e" not in source
        assert "1 turn; 2026-03-01; mx" in source
        assert "Conversation ab" in source


# --- Markdown


def parsed(source: str) -> tuple[list[str], list[str]]:
    """Return the headings of a document, and what in it would be active where HTML is let through."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.validateLink = bool  # type: ignore[method-assign, assignment]
    headings: list[str] = []
    active: list[str] = []
    tokens = parser.parse(source)
    for number, token in enumerate(tokens):
        if token.type == "heading_open" and token.level == 0 and token.tag in ("h1", "h2", "h3"):
            headings.append(f"{token.tag} {tokens[number + 1].content}")
        for part in (token, *(token.children or ())):
            href = str(part.attrGet("href") or "#")
            if part.type in ("html_block", "html_inline", "image") or not render.SAFE_LINK.match(
                href
            ):
                active.append(part.content or href)
    return headings, active


def test_markdown_has_roles_as_headings() -> None:
    """The document: a title, a heading a conversation, one a message; prompts stand verbatim."""
    talk = Talk()
    talk.said("1 * 2 * 3\n  indented", "Six is *the* answer.")
    path = talk.dialogue.export("talk.md")
    assert path.read_text("utf-8") == (
        "# Dialogue of talk\n\n1 turn; 2026-03-01; gpt-4o\n\n## Conversation main\n\n### User\n\n"
        "```text\n1 * 2 * 3\n  indented\n```\n\n### Assistant (gpt-4o)\n\nSix is *the* answer.\n"
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_no_message_breaks_out_of_the_markdown(text: str) -> None:
    """Whatever is said, the headings are those of the document and nothing is active."""
    talk = Talk()
    talk.said(text, text, request={"system": text})
    headings, active = parsed(talk.dialogue.export("talk.md").read_text("utf-8"))
    assert active == []
    assert headings == [
        "h1 Dialogue of talk",
        "h2 Conversation main",
        "h3 System",
        "h3 User",
        "h3 Assistant (gpt-4o)",
    ]


PIECES = [
    "```",
    "````",
    "~~~",
    "\n",
    "\n\n",
    "    ",
    "> ",
    "- ",
    "1. ",
    "# ",
    "---",
    "===",
    "<b>",
    "</b>",
]
PIECES += [
    "<!--",
    "-->",
    "![",
    "[",
    "](",
    ")",
    "]: ",
    "javascript:x",
    "https://a.b",
    "`",
    "|",
    "\\",
    "a",
    " ",
]
PIECES += ["\t", "<script>", "\r", "&lt;", "*", "\u2028", "<https://a.b>", "http://a.b"]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_no_combination_of_marks_breaks_out_of_the_markdown(text: str) -> None:
    """An answer made of any marks adds no heading of the first three levels, and nothing active."""
    source = f"### Assistant\n\n{markdown.contained(text)}\n\n### User\n\n{markdown.fenced(text)}\n\n### End\n"
    headings, active = parsed(source)
    assert (headings, active) == (["h3 Assistant", "h3 User", "h3 End"], [])


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Plain *words*.", "Plain *words*."),
        ("# Title\n\ntext", "#### Title\n\ntext"),
        ("Title\n=====\ntext", "#### Title\n\ntext"),
        ("###### Deep", "###### Deep"),
        ("```python\nx = '<b>'", "```python\nx = '<b>'\n```"),
        ("`<b>` and 1 < 2", "`<b>` and 1 < 2"),
        ("so <b>bold</b>\n\nfine", "```text\nso <b>bold</b>\n```\n\nfine"),
        ("[a](https://example.org)", "[a](https://example.org)"),
        ("- one\n- two\n\n  more", "- one\n- two\n\n  more"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("has ``` inside <b>", "````text\nhas ``` inside <b>\n````"),
        ("", ""),
    ],
)
def test_markdown_of_an_answer_is_kept_where_it_is_harmless(text: str, kept: str) -> None:
    """An answer stays Markdown; only its headings sink, and what is active stands verbatim."""
    assert markdown.contained(text) == kept


# --- CSV


def test_csv_holds_no_formula() -> None:
    """A text that a spreadsheet would calculate gets an apostrophe; numbers stay numbers."""
    talk = Talk()
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "plain", "'quoted", ""]
    for text in texts:
        talk.said(text or "empty", text, conversation=None, reply={"cost": -0.5})
    target = talk.dialogue.export("talk.csv")
    rows = list(csv.DictReader(io.StringIO(target.read_text("utf-8"))))
    shown = [row["assistant"] for row in rows]
    assert shown == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1", "plain", "'quoted", ""]
    assert {row["cost"] for row in rows} == {"-0.5"}


def test_csv_of_the_frame_is_guarded_as_well() -> None:
    """``to_csv`` writes every record, guarded; what has a lone surrogate is written too."""
    talk = Talk()
    talk.said("=cmd|' /C calc'!A0", "\ud800")
    talk.said("failed", None, error={"type": "Unreachable"}, occurrence=None)
    frame = pd.read_csv(talk.dialogue.to_csv("all.csv"))
    assert list(frame["user"]) == ["'=cmd|' /C calc'!A0", "failed"]
    assert frame["assistant"][0] == "\\ud800"


def test_csv_keeps_quotes_line_breaks_and_every_script() -> None:
    """What is read back is what was said."""
    talk = Talk()
    texts = ["say \"hi\", or 'ho'", "one\ntwo\n\nthree", "a;b,c\td", "Größe 日本語 🙂 שלום", 'end"']
    for text in texts:
        talk.said(text, text, conversation=None)
    source = talk.dialogue.to_csv("all.csv").read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO(source, newline="")))
    assert [row["user"] for row in rows] == texts
    assert [row["assistant"] for row in rows] == texts


def test_csv_of_all_that_is_recorded_has_every_record() -> None:
    """With ``current=False`` superseded answers and failures are rows, in the order of the file."""
    talk = Talk()
    talk.said("one", "first")
    talk.said("one", "second")
    talk.said("two", None, error={"type": "Unreachable"}, occurrence=None)
    assert len(pd.read_csv(talk.dialogue.export("now.csv"))) == 1
    assert len(pd.read_csv(talk.dialogue.export("all.csv", current=False))) == 3


# --- chat messages


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().decode().splitlines()]


def test_jsonl_is_one_conversation_a_line() -> None:
    """Each line is the messages of a conversation: the system instruction that was sent, then the turns."""
    talk = Talk()
    first = talk.said("one", "1", resolved=Resolved("m", "h", "Be kind."))
    talk.said("two", "2", after=first, resolved=Resolved("m", "h", "Be kind."))
    talk.said("alone", "3", conversation=None)
    assert lines_of(talk.dialogue.export("talk.jsonl")) == [
        {
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "one"},
                {"role": "assistant", "content": "1"},
                {"role": "user", "content": "two"},
                {"role": "assistant", "content": "2"},
            ]
        },
        {"messages": [{"role": "user", "content": "alone"}, {"role": "assistant", "content": "3"}]},
    ]


def test_jsonl_leaves_out_what_is_no_whole_answer_and_says_how_many(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Failures, refusals and cut answers are left out, and so are the turns that came after a cut one."""
    talk = Talk()
    first = talk.said("one", "1")
    talk.said("bad", None, after=first, error={"type": "RequestRefused", "problem": "No."})
    talk.said("rude", "", after=first, reply={"refusal": "No."}, error={"type": "ContentRefused"})
    talk.said("gone", "It w", after=first, occurrence=None, reply={"finish_reason": "cut_off"})
    cut = talk.said("long", "It goes on and", after=first, reply={"finish_reason": "length"})
    talk.said("Continue.", "on.", after=cut)
    (line,) = lines_of(talk.dialogue.export("talk.jsonl"))
    assert [message["content"] for message in line["messages"]] == ["one", "1"]
    assert "Left out: 1 failed, 1 refused, 2 cut off, 1 after one of these." in caplog.text


def test_jsonl_with_no_whole_answer_is_not_written() -> None:
    """Where nothing is left to learn from, that is an error that says why."""
    talk = Talk()
    talk.said("long", "It goes", reply={"finish_reason": "length"})
    with pytest.raises(OptionError, match="no whole answer") as raised:
        talk.dialogue.export("talk.jsonl")
    assert "1 cut off" in str(raised.value)
    assert not Path("talk.jsonl").exists()


def test_jsonl_takes_tool_calls_with_their_results() -> None:
    """A turn that called a tool is an example with the tools and the result."""
    talk = Talk()
    call = {"id": "c1", "type": "function", "function": {"name": "tide", "arguments": "{}"}}
    tool = {"type": "function", "function": {"name": "tide", "parameters": {"type": "object"}}}
    result = ({"role": "tool", "tool_call_id": "c1", "content": "high"},)
    first = talk.said("Tide?", "", reply={"tool_calls": (call,)}, request={"tools": [tool]})
    talk.said("", "It is high.", after=first, request={"messages": result, "tools": [tool]})
    (line,) = lines_of(talk.dialogue.export("talk.jsonl"))
    assert [message["role"] for message in line["messages"]] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert line["tools"] == [tool]
    assert described(line) is None


def test_jsonl_leaves_out_images_that_the_file_does_not_hold() -> None:
    """A turn with an image is only known by its hash, so it cannot be trained on."""
    talk = Talk()
    part = {"type": "image", "sha256": "0" * 64}
    asked = {"messages": ({"role": "user", "content": [part]},), "kind": "describe"}
    talk.said("", "A cat.", conversation=None, request=asked)
    talk.said("words", "Yes.", conversation=None)
    done = talk.dialogue.exported("talk.jsonl")
    assert len(lines_of(done.path)) == 1
    assert done.notes == ("Left out: 1 with parts that the dialogue file does not hold.",)


def test_jsonl_of_all_that_is_recorded_is_every_branch() -> None:
    """With ``current=False`` a conversation that went two ways is two lines."""
    talk = Talk()
    first = talk.said("one", "1")
    talk.said("two", "2", after=first)
    talk.said("two, edited", "2b", after=first)
    assert len(lines_of(talk.dialogue.export("now.jsonl"))) == 1
    assert len(lines_of(talk.dialogue.export("all.jsonl", current=False))) == 2


@pytest.mark.parametrize("text", ["a\u2028b", "a\u0085b", "a\nb", 'a"b', "\U0001f30a", "\ud83c"])
def test_jsonl_is_one_line_to_every_reader(text: str) -> None:
    """What some readers take for a line's end is escaped; what is no character is replaced."""
    line = chat_lines.line_of({"messages": [{"role": "user", "content": text}]})
    assert len(line.splitlines()) == 1
    said = json.loads(line)["messages"][0]["content"]
    assert said == text.replace("\ud83c", "\ufffd")
    line.encode()


def described(line: dict[str, Any]) -> Any:
    """Return what OpenAI's API description finds wrong with the messages of an example."""
    body = {"model": "gpt-4o", "messages": line["messages"]}
    body |= {"tools": line["tools"]} if "tools" in line else {}
    return spec().check_request("POST /chat/completions", JSON, body)


def test_jsonl_is_what_fine_tuning_takes(scripted: ScriptedServer) -> None:
    """The messages fit OpenAI's API description, and a job on the file succeeds."""
    talk = Talk()
    for number in range(12):
        text = HOSTILE[number % len(HOSTILE)]
        first = talk.said(text, text, conversation=f"c{number}", request={"system": "Be kind."})
        talk.said(
            "more", "yes", after=first, conversation=f"c{number}", request={"system": "Be curt."}
        )
    path = talk.dialogue.export("talk.jsonl")
    lines = lines_of(path)
    assert len(lines) == 12
    assert [chat_lines.problem(line) for line in lines] == [None] * 12
    assert [described(line) for line in lines] == [None] * 12
    client = OpenAI(base_url=scripted.base_url, api_key="sk-test")
    file = client.files.create(file=path.open("rb"), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(training_file=file.id, model="gpt-4o-mini-2024-07-18")
    while job.status not in ("succeeded", "failed"):
        job = client.fine_tuning.jobs.retrieve(job.id)
    assert job.status == "succeeded", job.error


USER, YES = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
CALL = {"role": "assistant", "tool_calls": [{"id": "c1"}]}


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([], "no messages"),
        ([{"role": "robot", "content": "x"}], "the role 'robot'"),
        ([USER], "the last message"),
        ([YES], "no message is the user's"),
        ([USER, {"role": "assistant", "content": ""}], "message 2 is empty"),
        ([USER, {**YES, "refusal": "no"}], "the key 'refusal'"),
        ([USER, CALL, USER, YES], "without its result"),
        ([USER, {"role": "tool", "tool_call_id": "c9", "content": "x"}, YES], "no tool call"),
    ],
)
def test_what_is_no_example_is_told(messages: list[Any], why: str) -> None:
    """The shape of an example is checked, and what is wrong with it is named."""
    assert why in str(chat_lines.problem({"messages": messages}))


# --- every format


@pytest.mark.parametrize("form", export.FORMATS)
def test_a_file_that_is_there_is_not_overwritten(form: str) -> None:
    """Exporting over a file is refused, unless told to."""
    talk = Talk()
    talk.said("one")
    target = Path(f"out.{form}")
    target.write_text("mine", "utf-8")
    with pytest.raises(OptionError, match="exists already"):
        talk.dialogue.export(target)
    assert target.read_text("utf-8") == "mine"
    assert talk.dialogue.export(target, overwrite=True) == target
    assert target.read_text("utf-8") != "mine"
    assert not list(Path.cwd().glob(".*part"))


@pytest.mark.parametrize("name", ["talk.dialogue.json", "talk.ipynb"])
def test_the_dialogue_and_its_notebook_are_never_overwritten(name: str) -> None:
    """Not even when told to."""
    talk = Talk()
    talk.said("one")
    Path("talk.ipynb").write_text("{}", "utf-8")
    before = Path(name).read_bytes()
    with pytest.raises(OptionError, match="the dialogue file itself"):
        talk.dialogue.export(name, "ipynb", overwrite=True)
    assert Path(name).read_bytes() == before


@pytest.mark.parametrize(
    ("path", "form", "says"),
    [
        ("out.htm", None, "did you mean 'html'"),
        ("out", None, "has no suffix"),
        ("out.md", "mdd", "did you mean 'md'"),
        ("nowhere/out.md", None, "cannot be written"),
        (".", "md", "is a folder"),
    ],
)
def test_what_cannot_be_exported_is_an_error(path: str, form: str | None, says: str) -> None:
    """A format that is not there, or a place that cannot be written to, is an error that says so."""
    talk = Talk()
    talk.said("one")
    with pytest.raises(OptionError, match=says):
        talk.dialogue.export(path, form)


@pytest.mark.parametrize("form", export.FORMATS)
def test_an_empty_dialogue_is_not_exported(form: str) -> None:
    """Where nothing was said there is nothing to write."""
    with pytest.raises(OptionError, match=r"nothing to export|no whole answer"):
        Talk().dialogue.export(f"out.{form}")
    assert not Path(f"out.{form}").exists()


@pytest.mark.parametrize("form", ["md", "html", "csv", "jsonl", "ipynb"])
def test_one_conversation_can_be_exported(form: str) -> None:
    """Only what was said in it is in the file."""
    talk = Talk()
    talk.said("prompt one", "answer one", conversation="a")
    talk.said("prompt two", "answer two", conversation="b")
    text = talk.dialogue.export(f"out.{form}", conversation="b").read_text("utf-8")
    assert "answer two" in text
    assert "answer one" not in text


@pytest.mark.parametrize("form", ["md", "html"])
def test_all_that_is_recorded_is_marked(form: str) -> None:
    """With ``current=False`` superseded answers and failures are there, and say so."""
    talk = Talk()
    talk.said("one", "first")
    talk.said("one", "second")
    talk.said("two", None, error={"type": "Unreachable", "problem": "No net."}, occurrence=None)
    text = talk.dialogue.export(f"out.{form}", current=False).read_text("utf-8")
    assert "Asked anew since." in text
    assert "Unreachable: No net." in text
    assert "first" in text


def test_reading_a_dialogue_changes_nothing() -> None:
    """Showing and exporting leave the dialogue file as it was."""
    talk = hostile()
    before = talk.file.path.read_bytes()
    talk.dialogue.show()
    for form in export.FORMATS:
        talk.dialogue.export(f"out.{form}")
    assert talk.file.path.read_bytes() == before
