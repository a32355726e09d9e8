"""Values → mimebundles. What is shown is a pure function of the record; nothing is displayed here.

Model text is data: a fresh output is trusted and no front end sanitises it, so Markdown is
rendered with HTML and images off, links only to ``http``, ``https`` and ``mailto``, and math
typesetting off (a pair of dollar signs is mostly money). ``text/plain`` is the model's text;
that and the metadata are promised to stay the same across versions, the HTML is not.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from openai_magics.errors import BadReply
from openai_magics.exchange import Reply, Request
from openai_magics.grids import plain_data, pretty, table_html, tables_in
from openai_magics.safe import pre, printable

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

    from openai_magics.rounds.steps import Step

__all__ = [
    "Bundle",
    "answer",
    "called",
    "checked",
    "dry_run",
    "markdown_html",
    "notes",
    "notice",
    "partial",
    "plain",
    "printable",
    "table",
]

Bundle = tuple[dict[str, Any], dict[str, Any]]
"""The data and the metadata of a ``display_data`` message."""

SAFE_LINK = re.compile(r"(?:https?://|mailto:|#)", re.IGNORECASE)
LINE = 200
"""Characters of a call, and of its result, on the line that tells it."""
EMBEDDED = "SmolLM2-135M-Instruct"
OBSERVATION = "local observation"
"""What stands for the model where none looked at an image; the text says so."""
CLASSES = "openai-magics mathjax_ignore tex2jax_ignore"


Highlight = Callable[[str, str, str], str]
"""Source, language and attributes of a fence → its HTML, or ``""``."""


@lru_cache(maxsize=4)
def _parser(highlight: Highlight | None = None) -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "highlight": highlight})
    parser.enable(["table", "strikethrough"]).disable("image")
    parser.validateLink = lambda url: SAFE_LINK.match(url) is not None  # type: ignore[method-assign]
    parser.add_render_rule("link_open", _open_link)
    return parser


def _open_link(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    tokens[index].attrSet("target", "_blank")
    tokens[index].attrSet("rel", "noopener noreferrer")
    return self.renderToken(tokens, index, options, env)


def markdown_html(text: str, highlight: Highlight | None = None) -> str:
    """Return Markdown as HTML in which nothing of the text is active.

    *highlight* makes the HTML of fenced code, where it knows the language.
    """
    return str(_parser(highlight).render(printable(text)))


def settled(text: str) -> tuple[str, str]:
    """Cut Markdown that still grows before its last block, the only one that may change."""
    text = text.replace("\r\n", "\n").replace("\r", "\u240d")
    starts = [
        token.map[0] for token in _parser().parse(text) if token.map is not None and not token.level
    ]
    rows = text.split("\n")
    last = starts[-1] if starts else 0
    return "".join(f"{row}\n" for row in rows[:last]), "\n".join(rows[last:])


def answer(reply: Reply, form: str = "markdown") -> Bundle:
    """Return what a cell shows of *reply*; *form* is one of `openai_magics.config.FORMATS`.

    Raises
    ------
    BadReply
        *form* is json or table and the answer is not, or holds none.
    """
    text = printable(reply.text)
    before = "".join(_step(step) for step in reply.steps)
    inner = {
        "markdown": markdown_html,
        "text": pre,
        "code": _code_of(reply),
        "json": _json_of(reply),
        "table": _tables_of(reply),
        "sections": _sections_of(reply),
    }[form](text)
    beside = "".join(
        f"<div><small>{html.escape(printable(note))}</small></div>" for note in notes(reply)
    )
    data = {"text/plain": plain(reply), "text/html": _framed(before + inner + beside)}
    return data, {"openai_magics": _identity(reply)}


def plain(reply: Reply) -> str:
    """Return what a cell shows of *reply* as plain text: the calls of tools, then the answer."""
    blocks = [block for step in reply.steps for block in _told(step)]
    return "\n\n".join([*blocks, printable(reply.text)])


def _told(step: Step) -> list[str]:
    text = [printable(step.text)] if step.text and not step.misfit else []
    return [*text, "\n".join(called(step))] if step.calls else text


def called(step: Step) -> list[str]:
    """Return a line for each call of a tool, and what it gave back."""
    return [
        f"→ {_short(f'{call.name}({call.arguments})')} = {_short(call.result)}"
        for call in step.calls
    ]


def _short(text: str) -> str:
    """Return *text* as one line that is not too long."""
    line = " ".join(printable(text).split())
    return line if len(line) <= LINE else f"{line[: LINE - 1]}…"


def _step(step: Step) -> str:
    """Return the HTML of what came before the answer; an answer that did not fit is in its record."""
    text = markdown_html(step.text) if step.text and not step.misfit else ""
    return text + "".join(
        f"<details><summary><code>{html.escape(_short(f'{call.name}({call.arguments})'))}</code>"
        f"</summary>{pre(printable(call.arguments))}{pre(printable(call.result))}</details>"
        for call in step.calls
    )


def _identity(reply: Reply) -> dict[str, Any]:
    model = reply.model or reply.resolved.model
    return {
        "fingerprint": reply.fingerprint,
        "id": reply.id,
        "model": model and printable(model),
    }


def notes(reply: Reply) -> list[str]:
    """Return what is to be said beside an answer: refused, cut off, by a small model."""
    said = []
    if reply.refusal is not None:
        said.append(f"The model refused: {reply.refusal}")
    elif not reply.text and reply.finish_reason != "cut_off":
        said.append("The model gave an empty answer.")
    if reply.finish_reason == "cut_off":
        said.append("Cut off: the answer was stopped before its end.")
    if reply.finish_reason == "length":
        said.append("Cut at the token limit.")
    if reply.shape is not None and (why := reply.shape.loose()):
        said.append(
            f"The schema cannot be strict, so the answer was only checked: {'; '.join(why)}."
        )
    if any(step.misfit for step in reply.steps):
        said.append("The first answer did not fit the schema, and was asked for once more.")
    for image in reply.resolved.images:
        name = image.get("name") or "the image"
        said += [f"Of {name} only {note} was sent." for note in cut_of(image)]
    if reply.resolved.endpoint == "local" and reply.model != OBSERVATION:
        model = reply.resolved.model
        small = ", a small model: expect mistakes" if model == EMBEDDED else ""
        said.append(f"Answered on this machine by {model}{small}.")
    return said


def cut_of(image: Mapping[str, Any]) -> list[str]:
    """Return what the record of an image says of the frames or pages that were left out."""
    return [str(note) for note in image.get("notes") or () if str(note).startswith("the first of")]


def _framed(inner: str) -> str:
    return f'<div class="{CLASSES}" dir="auto">{inner}</div>'


def _code_of(reply: Reply) -> Any:
    return lambda text: f"<pre><code>{html.escape(printable(reply.code) or text)}</code></pre>"


def _json_of(reply: Reply) -> Any:
    return lambda _: pretty(plain_data(reply))


def _sections_of(reply: Reply) -> Any:
    return lambda _: pretty(reply.sections)


def _tables_of(reply: Reply) -> Any:
    return lambda _: "".join(table_html(rows) for rows in tables_in(reply))


def partial(text: str, *steps: Step) -> Bundle:
    """Return what is shown of an answer while it comes, after *steps*."""
    before = "".join(_step(step) for step in steps)
    shown = plain(Reply(text, steps=steps))
    return {"text/plain": shown, "text/html": _framed(before + markdown_html(text))}, {}


def notice(line: str) -> Bundle:
    """Return what is shown while something is waited for; it does not stay in the output."""
    inner = f"<small>{html.escape(printable(line))}</small>" if line else ""
    return {"text/plain": printable(line), "text/html": _framed(inner) if line else ""}, {}


def table(rows: Sequence[tuple[str, str]], title: str = "") -> Bundle:
    """Return name-value rows as aligned text and as an HTML table."""
    title = printable(title)
    shown = [(printable(name), printable(value)) for name, value in rows]
    width = max((len(name) for name, _ in shown), default=0)
    plain = "\n".join(f"{name:<{width}}  {value}" for name, value in shown)
    body = "".join(
        f'<tr><th style="text-align: left; vertical-align: top">{html.escape(name)}</th>'
        f'<td style="text-align: left; white-space: pre-wrap">{html.escape(value)}</td></tr>'
        for name, value in shown
    )
    caption = f"<caption>{html.escape(title)}</caption>" if title else ""
    text = f"{title}\n{plain}" if title else plain
    return {"text/plain": text, "text/html": _framed(f"<table>{caption}{body}</table>")}, {}


def dry_run(request: Request, facts: Mapping[str, str]) -> Bundle:
    """Return what would be sent: the facts (model, endpoint, tokens, …), then each message."""
    rows = list(facts.items())
    messages = (*request.history, *request.messages)
    rows += [(str(message.get("role")), _said(message.get("content"))) for message in messages]
    return table(rows, "What would be sent (nothing was)")


def _said(content: Any) -> str:
    """Return a message's content as text; an image by what the notebook holds of it."""
    if isinstance(content, str):
        return content
    if not isinstance(content, (list, tuple)):
        return json.dumps(content, ensure_ascii=False)
    return "\n".join(
        f"[image {part.get('url') or str(part.get('sha256'))[:12]}, detail {part.get('detail')}]"
        if part.get("type") == "image"
        else str(part.get("text") or json.dumps(part, ensure_ascii=False))
        for part in content
    )


def checked(reply: Reply, form: str) -> None:
    """Raise where the answer is not in the form that was asked for.

    Raises
    ------
    BadReply
        *form* is json or table and the answer is not, or holds none.
    """
    if form in ("json", "table"):
        try:
            _ = reply.data if form == "json" else tables_in(reply)
        except BadReply as problem:
            problem.reply = reply
            raise
