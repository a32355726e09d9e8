"""What models might answer to be obeyed rather than read, and how to tell that they are not."""

from __future__ import annotations

import re
from html.parser import HTMLParser

CORPUS: dict[str, str] = {
    "script": "<script>alert(1)</script>",
    "script in capitals": "<ScRiPt>alert(1)</sCrIpT>",
    "script with a source": '<script src="https://x.example/a.js"></script>',
    "script over lines": "<script\n>\nalert(1)\n</script\n>",
    "script cut off": "<script>alert(1)",
    "script after a close": "</div></div><script>alert(1)</script>",
    "script in a comment": "<!-- --><script>alert(1)</script><!-- -->",
    "conditional comment": "<!--[if gte IE 4]><script>alert(1)</script><![endif]-->",
    "CDATA": "<![CDATA[<script>alert(1)</script>]]>",
    "processing instruction": "<?php echo 1 ?><?xml version='1.0'?>",
    "onerror": '<img src=x onerror="alert(1)">',
    "onerror without quotes": "<img src=x onerror=alert(1)>",
    "onerror with slashes": "<img/src=x/onerror=alert(1)>",
    "onload": "<body onload=alert(1)>",
    "onclick": '<a href="#" onclick="alert(1)">x</a>',
    "ontoggle": "<details open ontoggle=alert(1)>",
    "onfocus": "<input autofocus onfocus=alert(1)>",
    "onmouseover": '<b onmouseover="alert(1)">x</b>',
    "style": "<style>*{background:url(https://x.example)}</style>",
    "style attribute": '<p style="background:url(javascript:alert(1))">x</p>',
    "iframe": '<iframe src="javascript:alert(1)"></iframe>',
    "iframe with a document": '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    "object": '<object data="data:text/html,<script>alert(1)</script>"></object>',
    "embed": "<embed src=https://x.example/a.swf>",
    "form": '<form action="https://x.example"><button>x</button></form>',
    "base": '<base href="https://x.example/">',
    "link": '<link rel="stylesheet" href="https://x.example/a.css">',
    "meta": '<meta http-equiv="refresh" content="0;url=https://x.example">',
    "svg": '<svg onload="alert(1)"><script>alert(1)</script></svg>',
    "svg with a link": '<svg><a xlink:href="javascript:alert(1)"><text>x</text></a></svg>',
    "MathML": '<math><maction actiontype="statusline" xlink:href="javascript:alert(1)">x</maction>',
    "template": "<template><script>alert(1)</script></template>",
    "video": "<video><source onerror=alert(1)></video>",
    "textarea": "</textarea><script>alert(1)</script>",
    "title": "</title><script>alert(1)</script>",
    "pre": "</pre><script>alert(1)</script>",
    "code": "</code></pre><script>alert(1)</script>",
    "table": "</td></tr></table><script>alert(1)</script>",
    "noscript": '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "custom element": "<x-y onconnected=alert(1)></x-y>",
    "jupyter widget": '<script type="application/vnd.jupyter.widget-view+json">{}</script>',
    "require": "<script>require(['x'])</script>",
    "command link": '<a data-commandlinker-command="notebook:run">x</a>',
    "javascript link": "[x](javascript:alert(1))",
    "javascript link in capitals": "[x](JaVaScRiPt:alert(1))",
    "javascript link with a blank": "[x]( javascript:alert(1))",
    "javascript link with a control": "[x](\x01javascript:alert(1))",
    "javascript link with a tab": "[x](java\tscript:alert(1))",
    "javascript link with a line end": "[x](<java\nscript:alert(1)>)",
    "javascript link by entities": "[x](&#106;avascript:alert(1))",
    "javascript link by hex entities": "[x](&#x6A&#x61;vascript:alert(1))",
    "javascript link by a named entity": "[x](javascript&colon;alert(1))",
    "javascript link by percent": "[x](javascript%3Aalert(1))",
    "javascript link by escapes": "[x](java\\script:alert\\(1\\))",
    "javascript link in brackets": "[x](<javascript:alert(1)>)",
    "javascript link by reference": "[x][1]\n\n[1]: javascript:alert(1)",
    "javascript link by its name": "[javascript:alert(1)]\n\n[javascript:alert(1)]: javascript:alert(1)",
    "javascript autolink": "<javascript:alert(1)>",
    "javascript after a safe one": "[x](https://x.example'javascript:alert(1))",
    "vbscript link": "[x](vbscript:msgbox(1))",
    "data link": "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "data image link": "[x](data:image/svg+xml,<svg onload=alert(1)>)",
    "file link": "[x](file:///etc/passwd)",
    "blob link": "[x](blob:https://x.example/1)",
    "view-source": "[x](view-source:https://x.example)",
    "relative link": "[x](/api/shutdown)",
    "scheme-relative link": "[x](//x.example/a)",
    "link title": '[x](https://x.example "a\\" onmouseover=\\"alert(1)")',
    "link title in single quotes": "[x](https://x.example 'a\" onmouseover=\"alert(1)')",
    "link with a quote": '[x](https://x.example/"onmouseover="alert(1))',
    "link with angle brackets": "[x](https://x.example/<script>alert(1)</script>)",
    "link text": "[<script>alert(1)</script>](https://x.example)",
    "autolink with a quote": '<https://x.example/"onmouseover=alert(1)>',
    "mail autolink": '<a"onmouseover="alert(1)"@x.example>',
    "remote image": "![x](https://x.example/?leak)",
    "remote image by reference": "![x][1]\n\n[1]: https://x.example/?leak",
    "data image": "![x](data:image/png;base64,AAAA)",
    "javascript image": "![x](javascript:alert(1))",
    "image in a link": "[![x](https://x.example/?leak)](javascript:alert(1))",
    "image attachment": "![x](attachment:x.png)",
    "fence": "```\n</code></pre><script>alert(1)</script>\n```",
    "fence language": '```"><script>alert(1)</script>\nx\n```',
    "fence language with a handler": '```x" onmouseover="alert(1)\nx\n```',
    "fence that does not end": "```html\n<script>alert(1)</script>",
    "code in a line": "`<script>alert(1)</script>`",
    "code with backticks": "`` ` `` <script>alert(1)</script> `",
    "indented code": "    <script>alert(1)</script>",
    "heading": "# <script>alert(1)</script>\n<img src=x onerror=alert(1)>\n===",
    "quotation": "> <script>\n> alert(1)\n> </script>",
    "list": "- <script>\n  alert(1)\n  </script>\n1. [x](javascript:alert(1))",
    "table cells": "|a|\n|-|\n|<script>alert(1)</script>|\n|[x](javascript:alert(1))|",
    "table alignment": '|a|\n|:-:" onmouseover="alert(1)|\n|b|',
    "emphasis": "*<b*>*<script*>alert(1)",
    "entities": "&lt;script&gt;alert(1)&lt;/script&gt;",
    "entities twice": "&amp;lt;script&amp;gt;alert(1)",
    "number entities": "&#60;script&#62;alert(1)&#x3c;/script&#x3e;",
    "entities without a semicolon": "&ltscript&gtalert(1)&lt/script&gt",
    "escapes": "\\<script\\>alert(1)\\</script\\>",
    "link inside a link": "[a [b](javascript:alert(1)) c](javascript:alert(2))",
    "link over lines": "[x\n\n](javascript:alert(1))",
    "reference in a quotation": "> [x]: javascript:alert(1)\n\n[x]",
    "HTML block in Markdown": "<div>\n\n[x](javascript:alert(1))\n\n</div>",
    "HTML attribute across marks": '*<a href="*javascript:alert(1)">x</a>',
    "null bytes": "<scr\x00ipt>alert(1)</scr\x00ipt>",
    "full-width brackets": "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e",
    "right to left": "\u202e<script>alert(1)</script>\u202c",
    "lone surrogate": "<scr\ud800ipt>alert(1)</scr\ud800ipt>",
    "ANSI": "\x1b]8;;javascript:alert(1)\x07x\x1b]8;;\x07\x1b[31m",
    "math": "$\\href{javascript:alert(1)}{x}$ $$\\unicode{<img src=x onerror=alert(1)>}$$",
    "math with a class": '\\(\\class{x" onmouseover=alert(1)}{x}\\)',
    "template braces": "{{constructor.constructor('alert(1)')()}} ${alert(1)}",
    "IPython": "%%javascript\nalert(1)",
}
"""A name → what a model answers."""

HEADINGS = {f"h{level}" for level in range(1, 7)}
TABLES = {"caption", "table", "tbody", "td", "th", "thead", "tr"}
BLOCKS = {"blockquote", "div", "hr", "li", "ol", "p", "pre", "ul"}
WORDS = {"a", "br", "code", "em", "s", "small", "strong"}
TAGS = HEADINGS | TABLES | BLOCKS | WORDS
EMPTY = {"br", "hr"}
STYLES = re.compile(
    r"(?:(?:text-align: ?(?:left|right|center)|vertical-align: top|white-space: pre-wrap);? ?)+"
)
VALUES: dict[str, re.Pattern[str]] = {
    "class": re.compile(r"language-\S+|openai-magics mathjax_ignore tex2jax_ignore"),
    "dir": re.compile("auto"),
    "href": re.compile(r"(?:https?://|mailto:|#)[^\s\"<>\\]*", re.IGNORECASE),
    "rel": re.compile("noopener noreferrer"),
    "start": re.compile("[0-9]+"),
    "style": STYLES,
    "target": re.compile("_blank"),
    "title": re.compile(".*", re.DOTALL),
}


class Reader(HTMLParser):
    """Reads HTML as a browser does, and notes what in it is active."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.problems.append(f"<{tag}>")
        for name, value in attrs:
            allowed = VALUES.get(name)
            if allowed is None or not allowed.fullmatch(value or ""):
                self.problems.append(f"<{tag} {name}={value!r}>")
        if tag == "a" and dict(attrs).get("target") != "_blank":
            self.problems.append("a link that opens in the notebook")
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY and (not self.open or self.open.pop() != tag):
            self.problems.append(f"</{tag}> where it is not open")

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.problems.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.problems.append(f"<!{decl}>")

    def handle_pi(self, data: str) -> None:
        self.problems.append(f"<?{data}>")

    def unknown_decl(self, data: str) -> None:
        self.problems.append(f"<![{data}]>")


def read(html: str) -> Reader:
    """Read HTML; what is left open at its end is a problem too."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    reader.problems += [f"<{tag}> is never closed" for tag in reader.open]
    return reader
