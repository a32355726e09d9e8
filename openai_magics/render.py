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
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from openai_magics.errors import BadReply
from openai_magics.exchange import Reply, Request, joined

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

__all__ = [
    "Bundle",
    "answer",
    "checked",
    "dry_run",
    "markdown_html",
    "notes",
    "notice",
    "partial",
    "printable",
    "table",
]

Bundle = tuple[dict[str, Any], dict[str, Any]]
"""The data and the metadata of a ``display_data`` message."""

UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
SAFE_LINK = re.compile(r"(?:https?://|mailto:|#)", re.IGNORECASE)
EMBEDDED = "SmolLM2-135M-Instruct"
CLASSES = "openai-magics mathjax_ignore tex2jax_ignore"


def printable(text: str) -> str:
    """Return *text* so that it can be shown and encoded anywhere.

    A control character becomes its picture (U+2400…), a lone surrogate or C1 control U+FFFD;
    a terminal therefore never obeys an answer.
    """
    return UNPRINTABLE.sub(_picture, joined(text).replace("\r\n", "\n"))


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False})
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


def markdown_html(text: str) -> str:
    """Return Markdown as HTML in which nothing of the text is active."""
    return str(_parser().render(printable(text)))


def answer(reply: Reply, form: str = "markdown") -> Bundle:
    """Return what a cell shows of *reply*; *form* is markdown, text, json or code.

    Raises
    ------
    BadReply
        *form* is json and the answer is not.
    """
    text = printable(reply.text)
    inner = {
        "markdown": markdown_html,
        "text": _pre,
        "code": _code_of(reply),
        "json": _json_of(reply),
    }[form](text)
    beside = "".join(
        f"<div><small>{html.escape(printable(note))}</small></div>" for note in notes(reply)
    )
    data = {"text/plain": text, "text/html": _framed(inner + beside)}
    return data, {"openai_magics": _identity(reply)}


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
    if reply.resolved.endpoint == "local":
        model = reply.resolved.model
        small = ", a small model: expect mistakes" if model == EMBEDDED else ""
        said.append(f"Answered on this machine by {model}{small}.")
    return said


def _framed(inner: str) -> str:
    return f'<div class="{CLASSES}" dir="auto">{inner}</div>'


def _pre(text: str) -> str:
    return f'<pre style="white-space: pre-wrap">{html.escape(text)}</pre>'


def _code_of(reply: Reply) -> Any:
    return lambda text: f"<pre><code>{html.escape(printable(reply.code) or text)}</code></pre>"


def _json_of(reply: Reply) -> Any:
    def shown(_: str) -> str:
        pretty = json.dumps(reply.data, indent=2, ensure_ascii=False)
        return f"<pre><code>{html.escape(printable(pretty))}</code></pre>"

    return shown


def partial(text: str) -> Bundle:
    """Return what is shown of an answer while it comes."""
    return {"text/plain": printable(text), "text/html": _framed(markdown_html(text))}, {}


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
        *form* is json and the answer is not.
    """
    if form == "json":
        try:
            _ = reply.data
        except BadReply as problem:
            problem.reply = reply
            raise
