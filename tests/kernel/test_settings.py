"""What is used, how it is changed, and how a person finds out: ``%openai``, ``%config``, Tab, ``?``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openai_magics.magics import ask_options
from tests.kernel.kernels import KEY, MODEL, Kernel, environment, loaded, records
from tests.scripted import ScriptedServer
from tests.scripted.fixtures import serving

CELLS_THAT_FAIL = [
    pytest.param("1/0", "ZeroDivisionError: division by zero", id="plain"),
    pytest.param("raise ValueError(object())", "<object object at 0x…>", id="an address"),
    pytest.param("x = = 3", 'File "cell", line 1', id="a cell that does not parse"),
    pytest.param("def f(y):\n    return y.nope\nf(3)", "cell, line 2, in f", id="a function"),
    pytest.param("import json\njson.loads('x')", "json.decoder, in decode", id="a library"),
    pytest.param(
        "try:\n    {}['a']\nexcept KeyError as error:\n    raise RuntimeError('b') from error",
        "KeyError: 'a'\n\nwhich led to:",
        id="with its cause",
    ),
    pytest.param("%ask --nope", "has no option '--nope'", id="one of ours"),
]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kernel, Kernel]]:
    """Return two kernels that differ in folder, temporary folder, and how much they have run."""
    folder = tmp_path_factory.mktemp("pair")
    temporary = [folder / "tmp", folder / "another temporary"]
    with serving() as server:
        env = [environment(folder, server.base_url, TMPDIR=str(path)) for path in temporary]
        for path in temporary:
            path.mkdir()
        with loaded(folder / "a", env[0]) as one, loaded(folder / "b" / "c", env[1]) as two:
            for n in range(3):
                two.ok(f"n = {n}")
            yield one, two


@pytest.mark.parametrize(("cell", "told"), CELLS_THAT_FAIL)
def test_error_is_the_same_request_elsewhere(
    pair: tuple[Kernel, Kernel], cell: str, told: str
) -> None:
    """``--error`` says the failing cell and what happened, in the same words in every kernel."""
    asked = []
    for kernel, watched in zip(pair, (True, False), strict=True):
        assert kernel.run(cell).status == "error"
        kernel.ok("n = 'in between'")
        ran = kernel.ok("%ask --error --no-history", watched=watched)
        asked.append((ran.record["fingerprint"], ran.text))
    assert asked[0] == asked[1]
    assert told in asked[0][1]
    source = cell if not cell.startswith("%") else cell[1:4]
    assert source in asked[0][1]
    assert not re.search(r"ipykernel|/tmp|0x[0-9a-f]", asked[0][1])


def test_error_with_a_question(pair: tuple[Kernel, Kernel]) -> None:
    """The text after ``--error`` takes the place of the usual question."""
    kernel = pair[0]
    kernel.run("1/0")
    for code in (
        "%ask --error --no-history Why, in Danish?",
        "%%ask --error --no-history\nWhy, in Danish?",
    ):
        text = kernel.ok(code).text
        assert "Why, in Danish?" in text
        assert "Explain briefly" not in text


def test_error_asked_about_again(tmp_path: Path, scripted: ScriptedServer) -> None:
    """When the ask about an error fails itself, the next one is about the same error still."""
    env = environment(tmp_path, scripted.base_url)
    with loaded(tmp_path, env) as kernel:
        none = kernel.run("%ask --error")
        assert none.reply["ename"] == "OptionError"
        assert "none was raised" in none.reply["evalue"]
        kernel.run("1/0")
        for _ in range(2):
            assert kernel.run("%ask --error --mode replay").reply["ename"] == "ReplayMiss"
        assert "division by zero" in kernel.ok("%ask --error -c a").text
        assert "division by zero" in kernel.ok("%ask --error -c b").text
        kernel.run("{}['a']")
        assert "KeyError: 'a'" in kernel.ok("%ask --error -c c").text


# --- help and Tab


@pytest.mark.parametrize("code", ["%ask?", "%%ask?", "?%ask"])
def test_manual_page(pair: tuple[Kernel, Kernel], code: str) -> None:
    """``%ask?`` is a page with every option and with examples."""
    (page,) = pair[0].ok(code).reply["payload"]
    text = page["data"]["text/plain"]
    for flags, settings in ask_options.ASK_ARGUMENTS:
        assert all(flag in text for flag in flags)
        assert settings["help"].split()[0] in text
    assert "%ask What is a fingerprint?" in text


@pytest.mark.parametrize("name", ["models", "dialogue", "openai"])
def test_manual_pages_of_the_others(pair: tuple[Kernel, Kernel], name: str) -> None:
    """So is that of the other magics."""
    (page,) = pair[0].ok(f"%{name}?").reply["payload"]
    assert f"%{name}" in page["data"]["text/plain"].partition("Examples")[2]


@pytest.fixture(scope="module")
def typing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """Return a kernel in which something was asked and listed."""
    folder = tmp_path_factory.mktemp("typing")
    with serving() as server, loaded(folder, environment(folder, server.base_url)) as kernel:
        kernel.ok("%ask -q Hi")
        kernel.ok("%ask -q -c draft Hi")
        kernel.ok("listed = %models")
        kernel.ok("plan = plot = 1")
        yield kernel


TAB: list[Any] = [
    pytest.param("%ask", ["%%ask", "%ask"], id="the magic"),
    pytest.param("%%ask", ["%%ask"], id="the cell magic"),
    pytest.param("%ask --mo", ["--mode", "--model"], id="option"),
    pytest.param("%%ask --mo", ["--mode", "--model"], id="option of a cell"),
    pytest.param("%%ask -t 0 --no", ["--no-history", "--no-stream"], id="second option"),
    pytest.param('%ask -s "be brief" --dr', ["--dry-run"], id="after a quoted value"),
    pytest.param("x = 1\n%ask --dr", ["--dry-run"], id="in the second line"),
    pytest.param("%%ask --mode ", ["auto", "live", "replay"], id="values"),
    pytest.param("%%ask --mode=re", ["--mode=replay"], id="value after ="),
    pytest.param("%ask --effort m", ["max", "medium", "minimal"], id="effort"),
    pytest.param(
        "%ask -f ", ["code", "json", "markdown", "sections", "table", "text"], id="formats"
    ),
    pytest.param("%ask -m gpt-4o", ["gpt-4o", "gpt-4o-mini"], id="model"),
    pytest.param("%ask --model=loc", ["--model=local"], id="the engine"),
    pytest.param("%ask -c ", ["draft", "main"], id="conversation"),
    pytest.param("%ask -o pl", ["plan", "plot"], id="variable"),
    pytest.param("%ask -p top", ["top_logprobs=", "top_p="], id="parameter"),
    pytest.param("%models gpt-5.", ["gpt-5.4-mini", "gpt-5.5"], id="models"),
    pytest.param("%models --re", ["--retiring"], id="models, option"),
    pytest.param("%openai ", ["key", "status", "use"], id="openai"),
    pytest.param("%openai use loc", ["local"], id="openai use"),
    pytest.param("%dialogue pa", ["path"], id="dialogue"),
    pytest.param(
        "%config OpenAIMagics.mod", ["OpenAIMagics.mode", "OpenAIMagics.model"], id="config"
    ),
]


@pytest.mark.parametrize(("code", "matches"), TAB)
def test_tab(typing: Kernel, code: str, matches: list[str]) -> None:
    """Tab completes options, their values, models, conversations, variables and commands."""
    assert sorted(each.strip() for each in typing.complete(code)) == matches


def test_tab_in_the_middle(typing: Kernel) -> None:
    """The cursor decides, whatever stands after it."""
    assert typing.complete("%ask --dr Hello", at=len("%ask --dr")) == ["--dry-run"]


def test_no_tab_in_a_prompt(typing: Kernel) -> None:
    """Below ``%%ask`` the cell is a prompt: no options there."""
    assert "--mode" not in typing.complete("%%ask -t 0\nSay --mo")


def test_tab_asks_nobody(tmp_path: Path) -> None:
    """Before the first ask, with no server to reach, Tab gives what is known."""
    with loaded(tmp_path, environment(tmp_path, "http://127.0.0.1:9/v1")) as kernel:
        assert "local" in kernel.complete("%ask -m ")
        assert kernel.complete("%ask -c ") == ["main"]
    assert not (tmp_path / "notebook.dialogue.json").exists()


# --- %openai, %config, %models, %dialogue


def test_status(tmp_path: Path, scripted: ScriptedServer) -> None:
    """``%openai`` tells model, endpoint, mode, file and where each was set, and asks nothing."""
    with loaded(tmp_path, environment(tmp_path, scripted.base_url)) as kernel:
        ran = kernel.ok("%openai")
        for told in (
            MODEL,
            scripted.base_url,
            "OPENAI_BASE_URL",
            "OPENAI_API_KEY",
            "auto (default)",
        ):
            assert told in ran.text
        assert str(tmp_path / "notebook.dialogue.json") in ran.text
        assert KEY not in json.dumps(ran.outputs)
        kernel.ok("%config OpenAIMagics.mode = 'replay'")
        assert "replay (%config OpenAIMagics.mode)" in kernel.ok("%openai status").text
    assert scripted.requests == []


def test_use(tmp_path: Path, scripted: ScriptedServer) -> None:
    """``%openai use`` changes the model, or the server, of the asks that follow."""
    with (
        ScriptedServer() as other,
        loaded(tmp_path, environment(tmp_path, scripted.base_url)) as kernel,
    ):
        assert "gpt-4.1" in kernel.ok("%openai use gpt-4.1").text
        kernel.ok("%ask -q --no-history Hi")
        assert scripted.requests[-1].model == "gpt-4.1"
        assert "gpt-4.1" in kernel.ok("%config OpenAIMagics").stdout
        assert (
            kernel.ok("%config OpenAIMagics.model").outputs[0]["data"]["text/plain"] == "'gpt-4.1'"
        )
        assert other.base_url in kernel.ok(f"%openai use {other.base_url}").text
        kernel.ok("%ask -q --no-history Hi")
        assert [each.model for each in other.requests] == ["gpt-4.1"]
        for wrong in ("http:/x", "ftp://x", "http://"):
            assert kernel.run(f"%openai use {wrong}").reply["ename"] == "SettingError"
        assert len(scripted.requests) == 1
    said = [each["request"] for each in records(tmp_path / "notebook.dialogue.json")]
    assert [each["model"] for each in said] == ["gpt-4.1", "gpt-4.1"]
    assert [each["endpoint"] for each in said] == [None, other.base_url]


def test_config(tmp_path: Path, scripted: ScriptedServer) -> None:
    """``%config OpenAIMagics.x = …`` holds for the asks that follow; ``None`` takes it back."""
    with loaded(tmp_path, environment(tmp_path, scripted.base_url)) as kernel:
        kernel.ok("brief = 'Be brief.'\n%config OpenAIMagics.system_instruction = brief")
        kernel.ok("%config OpenAIMagics.max_history = 1")
        for prompt in ("one", "two", "three"):
            kernel.ok(f"%ask -q {prompt}")
        asked = scripted.requests[-1].messages
        assert [each["content"] for each in asked if each["role"] != "assistant"] == [
            "Be brief.",
            "two",
            "three",
        ]
        kernel.ok("%config OpenAIMagics.system_instruction = None")
        kernel.ok("%ask -q --no-history four")
        assert [each["role"] for each in scripted.requests[-1].messages] == ["user"]
        kernel.ok("%config OpenAIMagics.stream = False")
        kernel.ok("%config OpenAIMagics.format = 'text'")
        ran = kernel.ok("%ask --no-history **five**")
        assert "<pre" in ran.outputs[0]["data"]["text/html"]
        assert not scripted.requests[-1].streams
        assert kernel.ok("%config IPCompleter.greedy = True").status == "ok"
        assert kernel.value("get_ipython().Completer.greedy") is True
        assert kernel.run("%config OpenAIMagics.mode = nope").reply["ename"] == "NameError"


def test_environment_is_checked(tmp_path: Path) -> None:
    """A variable that is no setting fails the cell that asks, with the nearest name."""
    env = environment(tmp_path, OPENAI_MAGICS_RETRYS="x")
    with loaded(tmp_path, env) as kernel:
        ran = kernel.run("%ask Hi")
        assert ran.reply["ename"] == "SettingError"
        assert "did you mean 'OPENAI_MAGICS_RETRIES'?" in ran.reply["evalue"]


def test_key_is_typed(tmp_path: Path) -> None:
    """``%openai key`` asks without echo; the key is used, and is nowhere to be read."""
    secret = "sk-proj-typed-0123456789"
    with serving() as server:
        server.script.key = secret
        env = environment(tmp_path, server.base_url)
        env["OPENAI_API_KEY"] = "sk-wrong-0123456789"
        with loaded(tmp_path, env) as kernel:
            assert kernel.run("%ask Hi").reply["ename"] == "KeyRefused"
            sent = kernel.send("%openai key")
            asked = kernel.client.get_stdin_msg(timeout=60)
            assert asked["content"]["password"] is True
            kernel.client.input(secret)
            outputs = [kernel.finish(sent).outputs, kernel.ok("%ask Hi").outputs]
            outputs += [
                kernel.ok("%openai").outputs,
                kernel.run(f"%ask My key is {secret}").outputs,
            ]
            assert "typed in this kernel" in outputs[2][0]["data"]["text/plain"]
            assert outputs[3][0]["evalue"].startswith("The prompt holds the API key")
            kernel.ok("%openai key --forget")
            assert kernel.run("%ask --fresh Hi").reply["ename"] == "KeyRefused"
            assert kernel.run("%openai key", watched=False).reply["ename"] == "OptionError"
    kept = (tmp_path / "notebook.dialogue.json").read_text("utf-8")
    assert secret not in json.dumps(outputs) + kept


def test_no_key(tmp_path: Path) -> None:
    """Without a key ``--dry-run`` asks nobody for one; an ask names the ways forward."""
    with loaded(tmp_path, environment(tmp_path)) as kernel:
        ran = kernel.ok("%ask --dry-run -m gpt-5.5 Hi")
        assert "gpt-5.5" in ran.text
        ran = kernel.run("%ask -m gpt-5.5 Hi", watched=False)
        assert ran.reply["ename"] == "KeyMissing"
        for way in ("%openai key", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
            assert way in ran.reply["evalue"]
        assert ran.kinds == ["error"]


def test_models(tmp_path: Path, scripted: ScriptedServer) -> None:
    """``%models`` is a DataFrame with shutdown dates; the listing is recorded and replayed."""
    with loaded(tmp_path, environment(tmp_path, scripted.base_url)) as kernel:
        ran = kernel.ok("%models", "m")
        assert "2027-01-14" in ran.text
        kernel.ok("some = %models GPT-5\ntuned = %models --fine-tuned\nsoon = %models --retiring")
        assert set(kernel.value("list(some.id)")) == {"gpt-5", "gpt-5.4-mini", "gpt-5.5"}
        assert kernel.value("list(tuned.id)") == ["ft:gpt-4o-mini:org-scripted::abc123"]
        assert kernel.value("soon.id[0]") == "gpt-5"
        asked = len(scripted.requests)
        assert kernel.ok("%models --mode replay", "m").text == ran.text
        assert len(scripted.requests) == asked
        scripted.models.remove("gpt-5")
        kernel.ok("gone = %models --fresh", "m")
        assert "gpt-5" not in kernel.value("list(gone.id)")


def test_dialogue(tmp_path: Path, scripted: ScriptedServer) -> None:
    """``%dialogue`` is a DataFrame with a row for each exchange; ``%dialogue path`` its file."""
    with loaded(tmp_path, environment(tmp_path, scripted.base_url)) as kernel:
        kernel.ok("held = %dialogue")
        assert kernel.value("len(held)") == 0
        kernel.ok("%ask -q One", "a")
        kernel.ok("%ask -q -c draft Two", "b")
        kernel.ok("held = %dialogue\nplace = %dialogue path")
        assert kernel.value("[list(held.user), list(held.conversation), list(held.cell)]") == [
            ["One", "Two"],
            ["main", "draft"],
            ["a", "b"],
        ]
        assert kernel.value("str(place)") == str(tmp_path / "notebook.dialogue.json")
