"""What was typed after a magic → frozen values."""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser
from typing import Any

import pytest
from IPython.core.magic_arguments import argument, magic_arguments

from openai_magics.errors import OptionError
from openai_magics.exchange import AskOptions
from openai_magics.magics import ask_options, options


@magic_arguments()
@ask_options.ask_arguments
def ask(line: str) -> None:
    """Ask."""


@magic_arguments()
@argument("action", nargs="?", default="status", choices=("status", "use"))
@argument("value", nargs="?")
@argument("--keep", action="store_true")
def tool(line: str) -> None:
    """Do something."""


ASK: ArgumentParser = options.parser_of(ask)
TOOL: ArgumentParser = options.parser_of(tool)


def changed(line: str, cell: str | None = None) -> dict[str, Any]:
    """Return what a line sets, apart from its defaults."""
    typed = ask_options.ask_line(ASK, "%ask", line, cell)
    plain = ask_options.AskLine("", AskOptions())
    found = {
        item.name: getattr(typed, item.name)
        for item in dataclasses.fields(typed)
        if getattr(typed, item.name) != getattr(plain, item.name) and item.name != "options"
    }
    return found | {
        item.name: getattr(typed.options, item.name)
        for item in dataclasses.fields(AskOptions)
        if getattr(typed.options, item.name) != getattr(plain.options, item.name)
    }


VALUES = [
    # text only
    ("What is a tide?", {"message": "What is a tide?"}),
    ("", {}),
    ("  lead and trail  ", {"message": "lead and trail"}),
    # each option
    ("-m gpt-5.5 x", {"model": "gpt-5.5", "message": "x"}),
    ("--model local x", {"model": "local", "message": "x"}),
    ('-s "Be brief." x', {"system_instruction": "Be brief.", "message": "x"}),
    ("-c draft x", {"conversation": "draft", "message": "x"}),
    ("--new x", {"new": True, "message": "x"}),
    ("--no-history x", {"history": False, "message": "x"}),
    ("--max-history 3 x", {"max_history": 3, "message": "x"}),
    ("--max-history 0 x", {"max_history": 0, "message": "x"}),
    ("-t 0 x", {"parameters": {"temperature": 0.0}, "message": "x"}),
    ("--max-tokens 5 x", {"parameters": {"max_completion_tokens": 5}, "message": "x"}),
    ("--seed 7 x", {"parameters": {"seed": 7}, "message": "x"}),
    ("--effort low x", {"parameters": {"reasoning_effort": "low"}, "message": "x"}),
    ("-f text x", {"format": "text", "message": "x"}),
    (
        "-f json x",
        {
            "format": "json",
            "parameters": {"response_format": {"type": "json_object"}},
            "message": "x",
        },
    ),
    ("-o reply x", {"out": "reply", "message": "x"}),
    ("-o größe x", {"out": "größe", "message": "x"}),
    ("--mode replay x", {"mode": "replay", "message": "x"}),
    ("--fresh x", {"fresh": True, "message": "x"}),
    ("--sentiment off x", {"sentiment": "off", "message": "x"}),
    ("--raw {{ x }}", {"raw": True, "message": "{{ x }}"}),
    ("--dry-run x", {"dry_run": True, "message": "x"}),
    ("--no-stream x", {"stream": False, "message": "x"}),
    ("-q x", {"quiet": True, "message": "x"}),
    ("--base-url http://localhost/v1 x", {"base_url": "http://localhost/v1", "message": "x"}),
    ("--error", {"error": True}),
    ("--error why?", {"error": True, "message": "why?"}),
    # parameters
    ("-p top_p=0.9 x", {"parameters": {"top_p": 0.9}, "message": "x"}),
    ("-p a=1 -p b=x y", {"parameters": {"a": 1, "b": "x"}, "message": "y"}),
    ("-p a=b=c x", {"parameters": {"a": "b=c"}, "message": "x"}),
    ("-p a= x", {"parameters": {"a": ""}, "message": "x"}),
    ("-p a=null x", {"message": "x"}),
    ("-p a=true x", {"parameters": {"a": True}, "message": "x"}),
    ("--param=top_p=0.9 x", {"parameters": {"top_p": 0.9}, "message": "x"}),
    ("""-p 'stop=["a b", "c"]' x""", {"parameters": {"stop": ["a b", "c"]}, "message": "x"}),
    ('-p "stop=a b" x', {"parameters": {"stop": "a b"}, "message": "x"}),
    ("-t 0 -p temperature=1 x", {"parameters": {"temperature": 1}, "message": "x"}),
    (
        "-f json -p response_format=text x",
        {"format": "json", "parameters": {"response_format": "text"}, "message": "x"},
    ),
    (
        '-p tools=[{"type": "web_search"}] -p prompt={"id":"pmpt_1"} x y',
        {
            "parameters": {"tools": [{"type": "web_search"}], "prompt": {"id": "pmpt_1"}},
            "message": "x y",
        },
    ),
    (
        """--param=stop=["a b"] -p 'user={"a": 1}' -p n="3" [{x}]""",
        {"parameters": {"stop": ["a b"], "user": {"a": 1}, "n": 3}, "message": "[{x}]"},
    ),
    ("-p user={name} x", {"parameters": {"user": "{name}"}, "message": "x"}),
    ("-p user=[1 x", {"parameters": {"user": "[1"}, "message": "x"}),
    # values
    ("--model=gpt-5.5 x", {"model": "gpt-5.5", "message": "x"}),
    ("-m=gpt-5.5 x", {"model": "gpt-5.5", "message": "x"}),
    ("-t -1 x", {"parameters": {"temperature": -1.0}, "message": "x"}),
    ("-s --new x", {"system_instruction": "--new", "message": "x"}),
    ('-s "-t" x', {"system_instruction": "-t", "message": "x"}),
    ('-s "" x', {"system_instruction": "", "message": "x"}),
    ("-s '' x", {"system_instruction": "", "message": "x"}),
    ('--system="" x', {"system_instruction": "", "message": "x"}),
    ('-s="" x', {"system_instruction": "", "message": "x"}),
    ("""-s 'say "a"' x""", {"system_instruction": 'say "a"', "message": "x"}),
    ("""-s "it's" x""", {"system_instruction": "it's", "message": "x"}),
    ("-s {brief} x", {"system_instruction": "{brief}", "message": "x"}),
    ("-s a'b c'd x", {"system_instruction": "ab cd", "message": "x"}),
    ("-s don't x", {"system_instruction": "don't", "message": "x"}),
    ("-s C:\\dir\\n x", {"system_instruction": "C:\\dir\\n", "message": "x"}),
    ("-m a -m b x", {"model": "b", "message": "x"}),
    ("-q\t-t  0 \t x", {"quiet": True, "parameters": {"temperature": 0.0}, "message": "x"}),
    # where the prompt begins
    ("x -t 0", {"message": "x -t 0"}),
    ("-q x --new", {"quiet": True, "message": "x --new"}),
    ("-- -t is what?", {"message": "-t is what?"}),
    ("-q -- --", {"quiet": True, "message": "--"}),
    ("--", {}),
    ("- a list", {"message": "- a list"}),
    ("-", {"message": "-"}),
    # the prompt is not touched
    ('say "a"  and   \'b\'', {"message": 'say "a"  and   \'b\''}),
    ("don't -t 0", {"message": "don't -t 0"}),
    ("{{ x }} $y {z} \\n %w", {"message": "{{ x }} $y {z} \\n %w"}),
    ("a -- b", {"message": "a -- b"}),
    ("a \\\\ \"b\\\" c'", {"message": "a \\\\ \"b\\\" c'"}),
    ("größe 👋\u2028x", {"message": "größe 👋\u2028x"}),
]  # fmt: skip


@pytest.mark.parametrize(("line", "values"), VALUES, ids=[line or "nothing" for line, _ in VALUES])
def test_lines(line: str, values: dict[str, Any]) -> None:
    """A line sets what it says and nothing else; its prompt is as it was typed."""
    assert changed(line) == values


@pytest.mark.parametrize(
    ("line", "cell", "message"),
    [
        ("", "What?\n", "What?"),
        ("-q", "\n\nWhat?\n  and\n\nwhy?\n", "What?\n  and\n\nwhy?"),
        ("-q Context:", "What?", "Context:\nWhat?"),
        ("", "-t 0 --new\n-- {x}", "-t 0 --new\n-- {x}"),
        ("", "\"quoted\" 'too'", "\"quoted\" 'too'"),
        ("Only the line", "", "Only the line"),
    ],
)
def test_cells(line: str, cell: str, message: str) -> None:
    """The text of a cell is the prompt, below what stands after the options; it has none itself."""
    typed = ask_options.ask_line(ASK, "%%ask", line, cell)
    assert typed.message == message
    assert typed.parameters == {}


ERRORS = [
    ("--modle x", "%ask has no option '--modle' (did you mean '--model'?)"),
    ("--temp 0", "%ask has no option '--temp'"),
    ("-x y", "%ask has no option '-x'"),
    ("-5 degrees", "stands after --"),
    ("-qt 0 x", "%ask has no option '-qt'"),
    ("-t0.5 x", "%ask has no option '-t0.5'"),
    ("-t", "%ask: -t needs a value"),
    ("--model", "%ask: --model needs a value"),
    ('-s "--" x', "%ask: -s needs a value"),
    ("-s -- x", "%ask: -s needs a value"),
    ("--system=-- x", "%ask: --system needs a value"),
    ("-t warm x", "invalid float value: 'warm'"),
    ("--seed 1.5 x", "invalid int value: '1.5'"),
    ("--max-history many x", "invalid int value: 'many'"),
    ("-f html x", "invalid choice: 'html'"),
    ("--mode dead x", "invalid choice: 'dead'"),
    ("--effort some x", "invalid choice: 'some'"),
    ("--new=yes x", "ignored explicit argument 'yes'"),
    ("-p top_p x", "--param 'top_p' is not KEY=VALUE"),
    ("-p =1 x", "--param '=1' is not KEY=VALUE"),
    ("-o 1st x", "'1st' is not the name of a variable"),
    ("-o a.b x", "'a.b' is not the name of a variable"),
    ('-o "" x', "'' is not the name of a variable"),
]


@pytest.mark.parametrize(("line", "words"), ERRORS, ids=[line for line, _ in ERRORS])
def test_errors(line: str, words: str) -> None:
    """What is wrong is an error that fails the cell, in the words that were typed."""
    with pytest.raises(OptionError) as caught:
        ask_options.ask_line(ASK, "%ask", line)
    assert words in str(caught.value)
    assert str(caught.value).startswith("%ask")


def test_a_value_is_frozen() -> None:
    """What was typed does not change on its way."""
    typed = ask_options.ask_line(ASK, "%ask", "x")
    with pytest.raises(dataclasses.FrozenInstanceError):
        typed.message = "y"  # type: ignore[misc]


# --- other magics


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("", ("status", None, False)),
        ("use gpt-5.5", ("use", "gpt-5.5", False)),
        ("use 'a b' --keep", ("use", "a b", True)),
        ("--keep use x", ("use", "x", True)),
    ],
)
def test_tool_lines(line: str, values: tuple[Any, ...]) -> None:
    """A magic with an action has its options anywhere."""
    typed = options.parse(TOOL, "%tool", options.words(line))
    assert (typed.action, typed.value, typed.keep) == values


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("wash", "invalid choice: 'wash'"),
        ("usee", "invalid choice: 'usee' (did you mean 'use'?).\nPossible: "),
        ("use a b", "%tool: 'b' is too much"),
        ("use a --kept", "%tool has no option '--kept' (did you mean '--keep'?)"),
    ],
)
def test_tool_errors(line: str, words: str) -> None:
    """What is too much is said, not ignored."""
    with pytest.raises(OptionError) as caught:
        options.parse(TOOL, "%tool", options.words(line))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", []),
        ("a  b", ["a", "b"]),
        ('a "b c" d', ["a", "b c", "d"]),
        ("--x='a b'", ["--x=a b"]),
        ('""', [""]),
        ("it's", ["it's"]),
        (
            'save x -p tools=[{"type": "a b"}] y',
            ["save", "x", "-p", 'tools=[{"type": "a b"}]', "y"],
        ),
    ],
)
def test_words(line: str, found: list[str]) -> None:
    """A line falls apart at its blanks, but not within quotes, which are taken off."""
    assert options.words(line) == found


def test_only_a_prompt_may_begin_with_a_dash() -> None:
    """The way to write such a prompt is told of a magic that takes one, and of no other."""
    with pytest.raises(OptionError) as caught:
        options.parse(TOOL, "%tool", ["--kept"])
    assert caught.value.remedy == "See %tool?"
    with pytest.raises(OptionError) as caught:
        options.split(ASK, "%ask", "--kept x")
    assert "a dash stands after --" in caught.value.remedy.replace("\n", " ")


def test_every_option_is_explained() -> None:
    """``%ask?`` says of each option what it is for."""
    for action in ASK._actions:
        assert action.help, action.option_strings
        assert action.option_strings
    help_ = ask.__doc__ or ""
    assert all(name in help_ for flags, _ in ask_options.ASK_ARGUMENTS for name in flags)
