"""Texts and values of the kinds that break things."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from tests.unit.hostile import CORPUS

quick = settings(max_examples=60, deadline=None)
slow = settings(max_examples=30, deadline=None)

ODD = [
    *("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\t", " ", "\u3000"),
    *(
        "\x00",
        "\x1b[31m",
        "\x7f",
        "\x9b",
        "\ufeff",
        "\ufffe",
        "\u202e",
        "\u200d",
        "👋🏽",
        "é",
        "e\u0301",
    ),
    *("\ud83d", "\ude00", "\ud83d\ude00", "\udfff\ud800"),
    *(
        '"',
        "'",
        "\\",
        "\\n",
        "\\u2028",
        "\\ud800",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "]}",
        "},\n{",
        "\n]}\n",
    ),
    *("{{ x }}", "$x$", "$$", "%%", "--", "-t", "--new", "-", "="),
    *(
        "<<<<<<< ours\n",
        "=======\n",
        ">>>>>>> theirs\n",
        '{"fingerprint": "v1:x", "occurrence": 0}',
    ),
    *("data: ", "data: [DONE]\n\n", "\n\n", ": x\n"),
]
MARKS = [
    *(
        "# ",
        "\n# ",
        "\n===\n",
        "\n---\n",
        "> ",
        "- ",
        "1. ",
        "\n\n",
        "\n    ",
        "```",
        "~~~",
        "`",
        "``",
    ),
    *(
        "*",
        "**",
        "_",
        "~~",
        "[",
        "]",
        "(",
        ")",
        "](",
        "![",
        "<",
        ">",
        "</",
        "/>",
        "&",
        ";",
        "&lt;",
        "&#x3c;",
    ),
    *(
        "|",
        "\n|-|-|\n",
        "|a|b|",
        "\\",
        "\\|",
        "[x]: ",
        "javascript:",
        "data:",
        "https://x.example/",
        "mailto:a@x",
    ),
    *("script", "<script>", "onerror=", "=", "<!--", "-->", "<?", "<![CDATA["),
]

text = st.text(st.characters(exclude_categories=()), max_size=12)
odd = st.lists(text | st.sampled_from(ODD), max_size=8).map("".join)
"""Any text, control characters, surrogates and what formats are made of among it."""
prompt = odd.filter(lambda value: bool(value.strip()))
markup = st.lists(
    st.sampled_from(MARKS) | st.sampled_from(list(CORPUS.values())) | st.sampled_from(ODD) | text,
    max_size=14,
).map("".join)
"""Text that is full of Markdown and HTML."""

names = odd | st.sampled_from(["content", "role", "choices", "delta", "index", "id"])
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | odd,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
"""Whatever JSON can say."""


def shuffled(value: Any, random: Any) -> Any:
    """Return the same value, its keys in another order and its lists as tuples."""
    if isinstance(value, dict):
        items = [(key, shuffled(item, random)) for key, item in value.items()]
        random.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return tuple(shuffled(item, random) for item in value)
    return value
