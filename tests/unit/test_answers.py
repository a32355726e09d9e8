"""What the text of an answer holds: JSON, code, tables, sections."""

from __future__ import annotations

from typing import Any

import pytest

from openai_magics import answers
from openai_magics.answers import CodeBlock
from openai_magics.errors import BadReply
from openai_magics.exchange import Reply

LIST = """\
1. Read the file:

   ```python
   import csv

   rows = list(csv.reader(open("a.csv")))
   ```

   * or with pandas

     ```py title="a.py"
     frame = pd.read_csv("a.csv")
     ```

2. Run it:

   ~~~
   $ python a.py ```
   ~~~
"""


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        pytest.param("No code.", [], id="none"),
        pytest.param("```\na\n```", [("", "a")], id="without a language"),
        pytest.param("```python\na\n\nb\n```", [("python", "a\n\nb")], id="with one"),
        pytest.param("``` python {.x}\na\n```", [("python", "a")], id="with more than one word"),
        pytest.param("````md\n```\na\n```\n````", [("md", "```\na\n```")], id="a fence in a fence"),
        pytest.param("~~~r\nx <- 1\n~~~", [("r", "x <- 1")], id="tildes"),
        pytest.param("```\na\n```\ntext\n```\nb\n```", [("", "a"), ("", "b")], id="two"),
        pytest.param("> ```\n> a\n> ```", [("", "a")], id="in a quotation"),
        pytest.param("```python\na", [("python", "a")], id="cut off"),
        pytest.param("```\n```", [("", "")], id="empty"),
        pytest.param("Say `a` and ``b``.", [], id="code in a line"),
        pytest.param("    a = 1", [], id="indented code has no fence"),
        pytest.param("```\r\na\r\n```", [("", "a")], id="CRLF"),
        pytest.param(
            LIST,
            [
                ("python", 'import csv\n\nrows = list(csv.reader(open("a.csv")))'),
                ("py", 'frame = pd.read_csv("a.csv")'),
                ("", "$ python a.py ```"),
            ],
            id="in nested lists",
        ),
    ],
)
def test_code_blocks(text: str, blocks: list[tuple[str, str]]) -> None:
    """Fenced blocks wherever they stand, in order, without the indentation of their list."""
    assert answers.code_blocks(text) == [CodeBlock(*block) for block in blocks]


def test_code_of_a_reply() -> None:
    """The blocks of an answer, joined by a blank line, are a program."""
    assert Reply(LIST).code.startswith("import csv\n\nrows")
    assert Reply("```\na\n```\n\n```\nb\n```").code == "a\n\nb"
    assert Reply("No code.").code == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param('{"a": 1}', {"a": 1}, id="bare"),
        pytest.param("\n [1, 2] \n", [1, 2], id="with blanks"),
        pytest.param("3", 3, id="a number"),
        pytest.param("null", None, id="null"),
        pytest.param('Here:\n```json\n{"a": 1}\n```\nDone.', {"a": 1}, id="in a fence"),
        pytest.param('```\n{"a": 1}\n```', {"a": 1}, id="in a fence without a language"),
        pytest.param('```JSON\n{"a": 1}\n```', {"a": 1}, id="in capitals"),
        pytest.param("```python\n[0]\n```\n```json\n[1]\n```", [1], id="the one marked json"),
        pytest.param("```json\nno\n```\n```json\n[1]\n```", [1], id="the first that parses"),
        pytest.param('- a\n\n  ```json\n  {"a": [\n    1\n  ]}\n  ```', {"a": [1]}, id="in a list"),
        pytest.param(
            '{"a": "```json\\n[1]\\n```"}', {"a": "```json\n[1]\n```"}, id="a fence in it"
        ),
        pytest.param('{"a": "\\ud83d\\ude00"}', {"a": "😀"}, id="escapes"),
    ],
)
def test_json(text: str, value: Any) -> None:
    """The JSON that the answer is, or that stands in its first block that is JSON."""
    assert answers.parse_json(text) == value
    assert Reply(text).data == value


@pytest.mark.parametrize(
    "text", ["", "No.", "{'a': 1}", '{"a": 1', "```json\n{a: 1}\n```", 'Here: {"a": 1}']
)
def test_what_is_not_json(text: str) -> None:
    """An answer that is none is an error, and its text is kept."""
    with pytest.raises(BadReply, match="The answer is not JSON"):
        _ = Reply(text).data


def test_an_error_is_not_remembered_as_data() -> None:
    """Asking again for the data of a bad answer is the same error again."""
    reply = Reply("No.")
    for _ in range(2):
        with pytest.raises(BadReply):
            _ = reply.data


# --- tables


TABLE = """\
Some cities:

| City | People | `code` | Note |
|:-----|-------:|:------:|------|
| Oslo | 709037 | `a\\|b` | **cold**, but [nice](http://x) |
| Kraków | 804237 | `c` | a \\| b |
| Zürich | 443037 | |
"""


def test_table() -> None:
    """Cells are text without marks; an escaped pipe is a pipe; a column of numbers is numeric."""
    (frame,) = answers.tables(TABLE)
    assert list(frame.columns) == ["City", "People", "code", "Note"]
    assert frame["People"].dtype == "int64"
    assert frame["People"].sum() == 1956311
    assert frame["code"].tolist() == ["a|b", "c", ""]
    assert frame["Note"].tolist() == ["cold, but nice", "a | b", ""]
    assert frame["City"].tolist() == ["Oslo", "Kraków", "Zürich"]


def rows(text: str) -> list[list[list[Any]]]:
    """Return each table as a list of rows, its head first."""
    return [[list(frame.columns), *frame.to_numpy().tolist()] for frame in answers.tables(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("No table.", [], id="none"),
        pytest.param("| a |\n|---|", [[["a"]]], id="a head only"),
        pytest.param("a | b\n--|--\n1 | 2", [[["a", "b"], [1, 2]]], id="without outer pipes"),
        pytest.param("|a|\n|-|\n|1.5|\n|x|", [[["a"], ["1.5"], ["x"]]], id="not all are numbers"),
        pytest.param("|a|\n|-|\n|1.5|\n|2|", [[["a"], [1.5], [2.0]]], id="floats"),
        pytest.param("|a|\n|-|\n||\n|2|", [[["a"], [""], ["2"]]], id="an empty cell is text"),
        pytest.param("|a|a|\n|-|-|\n|1|x|", [[["a", "a"], [1, "x"]]], id="the same head twice"),
        pytest.param("|a|\n|-|\n|1|2|3|", [[["a"], [1]]], id="cells too many"),
        pytest.param(
            "|a|\n|-|\n|1|\n\ntext\n\n|b|\n|-|\n|2|", [[["a"], [1]], [["b"], [2]]], id="two"
        ),
        pytest.param("> |a|\n> |-|\n> |1|", [[["a"], [1]]], id="in a quotation"),
        pytest.param("- x\n\n  |a|\n  |-|\n  |1|", [[["a"], [1]]], id="in a list"),
        pytest.param("```\n|a|\n|-|\n|1|\n```", [], id="in a code block"),
        pytest.param("|a|b|\n|-|\n|1|2|", [], id="a rule that does not fit"),
        pytest.param("|a|\n|-|\n|<b>1</b>|", [[["a"], ["<b>1</b>"]]], id="HTML is text"),
        pytest.param("|a|\n|-|\n|&lt;&amp;|", [[["a"], ["<&"]]], id="entities"),
        pytest.param("|a|\n|-|\n|![p](x.png)|", [[["a"], ["p"]]], id="an image by its text"),
    ],
)
def test_tables(text: str, found: list[list[list[Any]]]) -> None:
    """Each table of the answer, and nothing that only looks like one."""
    assert rows(text) == found


# --- sections


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", {}, id="nothing"),
        pytest.param("Text.", {"": "Text."}, id="no heading"),
        pytest.param("# A\na\n# B\nb", {"A": "a", "B": "b"}, id="two"),
        pytest.param("Before.\n\n# A\na", {"": "Before.", "A": "a"}, id="text before the first"),
        pytest.param("# A\n", {"A": ""}, id="an empty one"),
        pytest.param("# A\n## B\nb\n# C\nc", {"A": {"B": "b"}, "C": "c"}, id="nested"),
        pytest.param("# A\na\n## B\nb", {"A": {"": "a", "B": "b"}}, id="text above sub-headings"),
        pytest.param(
            "### A\na\n# B\nb\n## C\nc", {"A": "a", "B": {"": "b", "C": "c"}}, id="deep first"
        ),
        pytest.param("# A\n### B\nb\n## C\nc", {"A": {"B": "b", "C": "c"}}, id="a level left out"),
        pytest.param("A\n=\na\n\nB\n-\nb", {"A": {"": "a", "B": "b"}}, id="setext"),
        pytest.param("Two\nlines\n===\na", {"Two lines": "a"}, id="setext over two lines"),
        pytest.param("# A\na\n# A\nb\n# A\nc", {"A": "a", "A (2)": "b", "A (3)": "c"}, id="again"),
        pytest.param(
            "# A\n## X\n1\n# B\n## X\n2", {"A": {"X": "1"}, "B": {"X": "2"}}, id="elsewhere"
        ),
        pytest.param(
            "# A (2)\n1\n# A\n2\n# A\n3", {"A (2)": "1", "A": "2", "A (3)": "3"}, id="taken"
        ),
        pytest.param("# A\n```\n# not\n```", {"A": "```\n# not\n```"}, id="in a code block"),
        pytest.param("# A\n~~~\n# not\n===\n~~~\nx", {"A": "~~~\n# not\n===\n~~~\nx"}, id="tildes"),
        pytest.param("# A\n\n    # not\n", {"A": "    # not"}, id="in indented code"),
        pytest.param("- # not\n- b", {"": "- # not\n- b"}, id="in a list"),
        pytest.param("> # not", {"": "> # not"}, id="in a quotation"),
        pytest.param("#not", {"": "#not"}, id="no space"),
        pytest.param("# **A** `b` [c](http://x)\na", {"A b c": "a"}, id="marks in a heading"),
        pytest.param("# A #\na", {"A": "a"}, id="closed"),
        pytest.param("# A\r\na\r\n# B\r\nb", {"A": "a", "B": "b"}, id="CRLF"),
        pytest.param("# A\ra\r# B\rb", {"A": "a", "B": "b"}, id="CR"),
        pytest.param(
            "a\u2028b\n# H\nc\u2028d\x0ce\n# I\nf",
            {"": "a\u2028b", "H": "c\u2028d\x0ce", "I": "f"},
            id="other separators",
        ),
        pytest.param("# \n\ntext", {"": "text"}, id="a heading without words"),
        pytest.param(" \n", {}, id="blanks"),
    ],
)
def test_sections(text: str, found: dict[str, Any]) -> None:
    """Headings become keys, nested by level; the Markdown below them is their text."""
    assert answers.sections(text) == found
    assert list(Reply(text).sections) == list(found)


REAL = """\
Here is the plan — *as asked*.

Results
=======

| Metric | Value | Note |
|:--|--:|---|
| `a\\|b` | 1,5 | x \\| y |
| p-value | 0.05 | see [here](http://x/a) |

1. First
   - nested
     # not a heading of the answer
   - again

     ```python
     # neither is this
     def f(): ...
     ```
2. Second

Results
-------

```markdown
# Heading in a fence
| a | b |
|---|---|
```

### Results

~~~text
Results
=======
~~~

## Notes & <b>caveats</b>

> # quoted

Done.
"""


def test_real_markdown() -> None:
    """Nested lists, fences that hold headings and tables, setext, and headings that come again."""
    found = Reply(REAL).sections
    assert list(found) == ["", "Results"]
    assert found[""] == "Here is the plan — *as asked*."
    results = found["Results"]
    assert list(results) == ["", "Results", "Notes & <b>caveats</b>"]
    assert "   - nested\n     # not a heading" in results[""]
    assert list(results["Results"]) == ["", "Results"]
    assert "# Heading in a fence" in results["Results"][""]
    assert results["Results"]["Results"] == "~~~text\nResults\n=======\n~~~"
    assert results["Notes & <b>caveats</b>"].endswith("Done.")
    (table,) = Reply(REAL).tables
    assert list(table.columns) == ["Metric", "Value", "Note"]
    assert table.values.tolist() == [["a|b", "1,5", "x | y"], ["p-value", "0.05", "see here"]]
    assert Reply(REAL).code == (
        "# neither is this\ndef f(): ...\n\n# Heading in a fence\n| a | b |\n|---|---|\n\n"
        "Results\n======="
    )
