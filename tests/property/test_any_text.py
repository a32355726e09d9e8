"""Whatever is said: it is kept to the character, and shown without being obeyed."""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_magics import answers, render
from openai_magics.canonical import joined
from openai_magics.dialogue import DialogueFile, record_line
from openai_magics.errors import MagicsError, OptionError
from openai_magics.exchange import Exchange, Reply
from openai_magics.magics.ask_options import ask_line
from openai_magics.magics.options import split
from openai_magics.scan import CLOSING
from tests.property.strategies import markup, odd, quick, slow
from tests.unit.hostile import read
from tests.unit.making import ask, exchange
from tests.unit.test_options import ASK

numbers = itertools.count()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder in memory where there is one."""
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=shared) as name:
        yield Path(name)


# --- kept


@slow
@given(texts=st.lists(st.tuples(odd, odd), min_size=1, max_size=4), name=odd)
def test_any_text_survives(folder: Path, texts: list[tuple[str, str]], name: str) -> None:
    """What was appended is found by whoever opens the file, and the file is JSON, a line each."""
    path = folder / f"{next(numbers)}.json"
    made = [Exchange(ask(f"{n}{prompt}"), Reply(said)) for n, (prompt, said) in enumerate(texts)]
    file = DialogueFile(path, name, fsync=False)
    for item in made:
        file.append(item)
    for opened in (file, DialogueFile(path)):
        for item, (_, said) in zip(made, texts, strict=True):
            found = opened.get(item.fingerprint, 0)
            assert found is not None
            assert found.reply is not None
            assert found.reply.text == joined(said)
            assert (found.fingerprint, found.id) == (item.fingerprint, item.id)
    data = path.read_bytes()
    assert data.count(b"\n") == len(made) + 2
    assert len(json.loads(data)["exchanges"]) == len(made)


base = [exchange(f"{n}", f"Answer {n}: }}, {{") for n in range(3)]


@slow
@given(
    begin=st.integers(0, 4000),
    length=st.integers(0, 400),
    inserted=odd.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=9),
    at_the_end=st.booleans(),
)
def test_no_line_is_ever_lost(
    folder: Path, begin: int, length: int, inserted: bytes, at_the_end: bool
) -> None:
    """However a file was damaged: it is left as it is, or every line of it is still somewhere."""
    path = folder / f"{next(numbers)}.json"
    DialogueFile(path, "a.ipynb", fsync=False).append(*base)
    whole = path.read_bytes()
    begin = min(begin, len(whole))
    rest = b"" if at_the_end else whole[begin + length :]
    damaged = whole[:begin] + inserted + rest
    path.write_bytes(damaged)
    new = exchange("new?", "New.")
    try:
        DialogueFile(path, "a.ipynb", fsync=False).append(new)
    except MagicsError:
        assert path.read_bytes() == damaged
        return
    after = path.read_bytes()
    assert after.endswith(record_line(new) + CLOSING)
    kept = after + b"".join(item.read_bytes() for item in folder.glob(f"{path.name}.rescued-*"))
    for line in damaged.split(b"\n"):
        assert line.strip(b" \t\r,]}") in kept


# --- shown


@quick
@given(odd)
def test_printable(text: str) -> None:
    """What is shown can be encoded, holds nothing that a terminal obeys, and stays as it is."""
    shown = render.printable(text)
    shown.encode()
    assert all(char.isprintable() or char >= "\xa0" or char in "\n\t" for char in shown)
    assert render.printable(shown) == shown


@quick
@given(markup)
def test_nothing_is_active(text: str) -> None:
    """However Markdown and HTML are mixed, no tag, handler or link of the text comes out."""
    html = render.markdown_html(text)
    html.encode()
    assert read(html).problems == []


@quick
@given(markup, st.sampled_from(["markdown", "text", "code"]), markup)
def test_answers_are_pure(text: str, form: str, refusal: str) -> None:
    """An answer is shown in the same bytes from memory and from its record."""
    made = Exchange(ask(), Reply(text, refusal=refusal, model=text, finish_reason="length"))
    back = Exchange.from_record(json.loads(json.dumps(made.to_record())))
    assert made.answer is not None
    assert back.answer is not None
    bundle = render.answer(made.answer, form)
    assert bundle == render.answer(back.answer, form)
    assert read(bundle[0]["text/html"]).problems == []
    json.dumps(bundle, ensure_ascii=False).encode()


# --- read


@quick
@given(markup)
def test_any_answer_can_be_taken_apart(text: str) -> None:
    """Blocks, tables and sections of any text are found without an error; nothing is invented."""
    for block in answers.code_blocks(text):
        assert isinstance(block.source, str)
    for frame in answers.tables(text):
        assert all(isinstance(name, str) for name in frame.columns)
    words: list[object] = [answers.sections(text)]
    while words:
        item = words.pop()
        if isinstance(item, dict):
            words += item.values()
        else:
            assert all(line in text for line in str(item).splitlines())


@quick
@given(markup)
def test_data_is_json_or_an_error_of_ours(text: str) -> None:
    """`Reply.data` gives a value, or says that there is none."""
    try:
        _ = Reply(text).data
    except MagicsError:
        return


# --- typed


@quick
@given(odd)
def test_a_prompt_is_never_touched(text: str) -> None:
    """After ``--`` anything is the prompt, to the character, but for blanks around it."""
    assert split(ASK, "%ask", f"-q -t 0 -- {text}") == (["-q", "--temperature=0"], text.strip())
    cell = ask_line(ASK, "%%ask", "-q", text)
    assert cell.message == text.strip()
    assert cell.parameters == {}


@quick
@given(odd)
def test_a_line_is_options_and_the_rest(text: str) -> None:
    """Whatever is typed is refused, or ends in the prompt as it was typed."""
    try:
        tokens, rest = split(ASK, "%ask", text)
    except OptionError:
        return
    assert text.rstrip().endswith(rest)
    assert all(token.startswith("-") for token in tokens)


@quick
@given(odd.filter(lambda value: '"' not in value and value != "--"))
def test_a_value_in_quotes_is_whole(text: str) -> None:
    """A value in quotes is what stands between them."""
    typed = ask_line(ASK, "%ask", f'-s "{text}" -q What?')
    assert (typed.options.system_instruction, typed.message) == (text, "What?")
    assert typed.quiet
