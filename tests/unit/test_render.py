"""Values → mimebundles: the same bytes for the same record, and nothing in them that acts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from openai_magics import render
from openai_magics.errors import BadReply
from openai_magics.exchange import Exchange, Reply, Resolved
from tests.unit.hostile import CORPUS, Reader, read
from tests.unit.making import ask, exchange

hostile = pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS)


def squeezed(text: str) -> str:
    return "".join(text.split())


# --- the corpus


@hostile
def test_nothing_in_markdown_is_active(text: str) -> None:
    """An answer is read, not obeyed: no tag, handler, style or link of its own comes out."""
    for around in ("{}", "Text {} text", "- {}", "> {}", "|a|\n|-|\n|{}|", "# {}", "*{}*"):
        assert (
            read(render.markdown_html(around.format(text) if "{" not in text else text)).problems
            == []
        )


@hostile
def test_nothing_in_what_is_shown_is_active(text: str) -> None:
    """However an answer is shown and wherever in a reply it stands; nor in anything else."""
    where: dict[str, Any] = {"refusal": text, "model": text, "resolved": Resolved(text, "local")}
    request = ask(text, history=({"role": "assistant", "content": text},))
    bundles = [
        render.answer(Reply(text, **where)),
        render.answer(Reply(text, **where), "text"),
        render.answer(Reply(text, **where), "code"),
        render.answer(Reply(f"```\n{text}\n```", **where), "code"),
        render.answer(Reply(json.dumps({"a": text}), **where), "json"),
        render.partial(text),
        render.notice(text),
        render.table([(text, text)], text),
        render.dry_run(request, {"system": text}),
    ]
    for data, metadata in bundles:
        assert read(data["text/html"]).problems == []
        json.dumps([data, metadata], ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "name",
    [
        "script",
        "onerror",
        "iframe",
        "svg",
        "textarea",
        "style",
        "javascript autolink",
        "data link",
        "entities",
    ],
)
def test_what_was_said_can_be_read(name: str) -> None:
    """The words of an answer are not swallowed: they are shown as the text they are."""
    shown = read(render.markdown_html(CORPUS[name])).text
    words = CORPUS[name].replace("&lt;", "<").replace("&gt;", ">")
    assert squeezed(words) in squeezed(shown)


def test_the_reader_notices() -> None:
    """What these tests look for is found where it is."""
    found = {
        '<script src="x">': "<script>",
        '<p onclick="x">': "onclick",
        '<a href="javascript:x" target="_blank">': "javascript",
        '<a href="https://x">': "opens in the notebook",
        '<p style="color: red">': "style",
        "<!-- x -->": "<!--",
        "</div>": "not open",
        "<div>": "never closed",
    }
    for html, problem in found.items():
        assert problem in str(read(html).problems)


# --- Markdown


@pytest.mark.parametrize(
    ("text", "html"),
    [
        pytest.param(
            "**b** *i* ~~s~~ `c`",
            "<p><strong>b</strong> <em>i</em> <s>s</s> <code>c</code></p>",
            id="marks",
        ),
        pytest.param(
            "# A\n\n- b\n- c", "<h1>A</h1>\n<ul>\n<li>b</li>\n<li>c</li>\n</ul>", id="blocks"
        ),
        pytest.param("3. a", '<ol start="3">\n<li>a</li>\n</ol>', id="numbers"),
        pytest.param(
            "```python\na < b\n```",
            '<pre><code class="language-python">a &lt; b\n</code></pre>',
            id="code",
        ),
        pytest.param("a\nb", "<p>a\nb</p>", id="lines"),
        pytest.param("a  \nb", "<p>a<br>\nb</p>", id="hard line ends"),
        pytest.param("1 < 2 & 3", "<p>1 &lt; 2 &amp; 3</p>", id="signs"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_markdown(text: str, html: str) -> None:
    """Markdown as GitHub has it is shown."""
    assert render.markdown_html(text).strip() == html.replace("<br>", "<br />")


@pytest.mark.parametrize(
    ("text", "href"),
    [
        ("[x](https://x.example/a?b=c&d=e)", "https://x.example/a?b=c&d=e"),
        ("[x](http://x.example)", "http://x.example"),
        ("[x](HTTPS://x.example)", "HTTPS://x.example"),
        ("[x](mailto:a@x.example)", "mailto:a@x.example"),
        ("[x](#section)", "#section"),
        ("<https://x.example>", "https://x.example"),
        ("<a@x.example>", "mailto:a@x.example"),
    ],
)
def test_safe_links(text: str, href: str) -> None:
    """Links of the web and of mail work, and open elsewhere."""

    class Links(Reader):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            super().handle_starttag(tag, attrs)
            if tag == "a":
                self.links = dict(attrs)

    links = Links()
    links.feed(render.markdown_html(text))
    assert links.problems == []
    assert links.links == {"href": href, "target": "_blank", "rel": "noopener noreferrer"}


@pytest.mark.parametrize("text", ["It costs $5 to $10.", "$$x$$", "\\(x\\) \\[y\\]", "$E=mc^2$"])
@pytest.mark.parametrize("form", ["markdown", "text", "code"])
def test_dollars_are_dollars(text: str, form: str) -> None:
    """No dollar sign becomes a formula: what is shown stands where no typesetting is done."""
    data, _ = render.answer(Reply(text), form)
    html = data["text/html"]
    assert html.startswith('<div class="openai-magics mathjax_ignore tex2jax_ignore"')
    assert read(html).open == []
    if "\\" not in text:
        assert text in read(html).text


def test_a_megabyte() -> None:
    """A very long answer is shown as well, whole and harmless."""
    text = "word " * 200_000 + CORPUS["script"]
    data, _ = render.answer(Reply(text))
    shown = read(data["text/html"])
    assert shown.problems == []
    assert squeezed(shown.text) == squeezed(text)


@pytest.mark.parametrize(
    "mark", ["[", "![", "*", "`", "<", "> ", "- ", "](", "_a", "~~", "\\", "&", "|", "\n#"]
)
def test_marks_without_end(mark: str) -> None:
    """Nothing nests so deep that it cannot be shown."""
    assert read(render.markdown_html(mark * 3000)).problems == []


# --- text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain\ttext\n", "plain\ttext\n", id="tabs and line ends stay"),
        pytest.param("a\r\nb", "a\nb", id="CRLF is a line end"),
        pytest.param("a\rb", "a␍b", id="CR alone would overwrite the line"),
        pytest.param("a\x00b\x07c\x08d", "a␀b␇c␈d", id="control characters are pictures"),
        pytest.param("\x1b[31mred\x1b[0m", "␛[31mred␛[0m", id="ANSI is not obeyed"),
        pytest.param("\x7f", "␡", id="delete"),
        pytest.param("\x85\x9b31m", "\ufffd\ufffd31m", id="C1 controls"),
        pytest.param("a\ud800b\udfff", "a\ufffdb\ufffd", id="lone surrogates"),
        pytest.param("\ud83d\ude00", "😀", id="a pair of surrogates is its character"),
        pytest.param(
            "שלום \u202e\u200f 漢字 👋🏽‍♀️ é",
            "שלום \u202e\u200f 漢字 👋🏽‍♀️ é",
            id="all scripts stay",
        ),
        pytest.param("", "", id="nothing"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    """What is shown can be encoded anywhere, and no terminal obeys it."""
    assert render.printable(text) == shown == render.printable(shown)
    shown.encode()


def test_right_to_left() -> None:
    """The browser tells the direction of an answer from its first letter."""
    assert ' dir="auto">' in render.answer(Reply("שלום"))[0]["text/html"]


# --- answers


@pytest.mark.parametrize(
    ("form", "text", "html"),
    [
        ("markdown", "**a** <b>", "<p><strong>a</strong> &lt;b&gt;</p>"),
        ("text", "**a** <b>", '<pre style="white-space: pre-wrap">**a** &lt;b&gt;</pre>'),
        ("code", "See:\n```py\na < b\n```\nDone.", "<pre><code>a &lt; b</code></pre>"),
        ("code", "No fence <b>", "<pre><code>No fence &lt;b&gt;</code></pre>"),
        (
            "json",
            '{"b":[1],"a":"é<"}',
            "<pre><code>{\n  &quot;b&quot;: [\n    1\n  ],\n  &quot;a&quot;: &quot;é&lt;&quot;\n}</code></pre>",
        ),
    ],
)
def test_forms(form: str, text: str, html: str) -> None:
    """The form is how the answer is shown; ``text/plain`` is always the model's text."""
    data, _ = render.answer(Reply(text), form)
    assert data["text/plain"] == text
    assert html in data["text/html"]


def test_plain_text_comes_first() -> None:
    """A front end that shows only text has it."""
    assert list(render.answer(Reply("a"))[0]) == ["text/plain", "text/html"]


def test_json_that_is_none() -> None:
    """An answer that is not JSON is an error where JSON was asked for, and its reply is kept."""
    reply = Reply("no")
    with pytest.raises(BadReply):
        render.answer(reply, "json")
    with pytest.raises(BadReply) as caught:
        render.checked(reply, "json")
    assert caught.value.reply is reply
    render.checked(Reply("{}"), "json")
    render.checked(reply, "markdown")


def test_metadata() -> None:
    """An output tells which record it is, and who answered; nothing of when or where."""
    made = exchange()
    assert made.answer is not None
    served = replace(made.answer, model="gpt-5.5-2026")
    expected = {"fingerprint": made.fingerprint, "id": made.id, "model": "gpt-5.5-2026"}
    assert render.answer(served)[1] == {"openai_magics": expected}
    resolved = replace(made.answer, resolved=Resolved("gpt-5.5"))
    assert render.answer(resolved)[1]["openai_magics"]["model"] == "gpt-5.5"


@pytest.mark.parametrize(
    ("reply", "note"),
    [
        pytest.param(
            Reply("", refusal="I <i>won't</i>."),
            "The model refused: I &lt;i&gt;won&#x27;t&lt;/i&gt;.",
            id="refused",
        ),
        pytest.param(Reply(""), "The model gave an empty answer.", id="empty"),
        pytest.param(
            Reply("a", finish_reason="cut_off"), "Cut off: the answer was stopped", id="cut off"
        ),
        pytest.param(
            Reply("", finish_reason="cut_off"), "Cut off: the answer was stopped", id="at once"
        ),
        pytest.param(Reply("a", finish_reason="length"), "Cut at the token limit.", id="limit"),
        pytest.param(
            Reply(
                "a",
                resolved=Resolved(
                    "m", "x", images=({"name": "<a>.gif", "notes": ["the first of 4 frames"]},)
                ),
            ),
            "Of &lt;a&gt;.gif only the first of 4 frames was sent.",
            id="frames",
        ),
        pytest.param(
            Reply("a", resolved=Resolved("Small", "local")),
            "Answered on this machine by Small.",
            id="local",
        ),
    ],
)
def test_notes(reply: Reply, note: str) -> None:
    """What there is to know of an answer stands below it."""
    assert f"<div><small>{note}" in render.answer(reply)[0]["text/html"]


@pytest.mark.parametrize(
    "reply", [Reply("a"), Reply("a", finish_reason="stop", resolved=Resolved("m", "x"))]
)
def test_no_note(reply: Reply) -> None:
    """Nothing is said where there is nothing to say."""
    assert "<small>" not in render.answer(reply)[0]["text/html"]


def test_pure() -> None:
    """What is shown depends on the record alone: not on replaying, cost, time or place."""
    made = Exchange(
        ask(), Reply("**a**", finish_reason="stop", model="m"), resolved=Resolved("m", "h")
    )
    later = replace(made, created="2026", duration=9.0, cell="other", conversation="other")
    assert made.answer is not None
    assert later.answer is not None
    other = replace(
        later.answer, replayed=True, cost=1.0, usage={"prompt_tokens": 1}, response_id="r"
    )
    assert render.answer(other) == render.answer(made.answer)


def test_from_the_file_the_same_bytes() -> None:
    """A record that went through the file is shown as it was before."""
    made = exchange(said="a\r\n\ud83d\ude00 \ud800 \x00 **b**")
    back = Exchange.from_record(json.loads(json.dumps(made.to_record())))
    assert made.answer is not None
    assert back.answer is not None
    assert render.answer(back.answer) == render.answer(made.answer)


# --- the rest


def test_notice() -> None:
    """A notice is small; an empty one leaves nothing."""
    assert render.notice("Waiting <3 s")[0] == {
        "text/plain": "Waiting <3 s",
        "text/html": render._framed("<small>Waiting &lt;3 s</small>"),
    }
    assert render.notice("")[0] == {"text/plain": "", "text/html": ""}


def test_partial() -> None:
    """While an answer comes it is shown as its Markdown so far."""
    data, metadata = render.partial("**a")
    assert (data["text/plain"], metadata) == ("**a", {})
    assert "<p>**a</p>" in data["text/html"]


def test_table() -> None:
    """Names and values are aligned as text, and a table as HTML."""
    data, _ = render.table([("a", "1"), ("long", "2\n3")], "Title")
    assert data["text/plain"] == "Title\na     1\nlong  2\n3"
    assert "<caption>Title</caption>" in data["text/html"]
    assert render.table([])[0]["text/plain"] == ""


def test_dry_run() -> None:
    """Facts first, then each message with its role; images by name, other parts as JSON."""
    parts = [
        {"type": "text", "text": "é"},
        {"type": "image", "sha256": "0123456789abcdef", "detail": "low"},
        {"type": "image", "url": "https://example.org/a", "detail": "auto"},
        {"type": "input_audio", "x": "é"},
    ]
    request = ask("Hi", history=({"role": "user", "content": parts},))
    plain: Any = render.dry_run(request, {"model": "m"})[0]["text/plain"]
    assert plain.splitlines() == [
        "What would be sent (nothing was)",
        "model  m",
        "user   é",
        "[image 0123456789ab, detail low]",
        "[image https://example.org/a, detail auto]",
        '{"type": "input_audio", "x": "é"}',
        "user   Hi",
    ]
