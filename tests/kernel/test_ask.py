"""``%ask`` and ``%%ask`` in a kernel: what is shown while an answer comes and after, what is sent."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.kernel.kernels import MODEL, Kernel, Ran, environment, loaded, records, same_bytes
from tests.scripted import Request, ScriptedServer, answer, error, errors, failures
from tests.scripted.fixtures import serving

SHOWN_ONCE = ["display_data"]
MARKDOWN = """\
## Tides

They come **twice** a day, because of *the moon*; see [the almanac](https://example.org).

| port | hours |
|------|------:|
| Brest | 6.2 |

```python
print("høyvann")
```
"""


class Desk(NamedTuple):
    """A kernel with the extension loaded, and the server it asks."""

    kernel: Kernel
    server: ScriptedServer

    @property
    def file(self) -> Path:
        """The dialogue file."""
        return self.kernel.folder / "notebook.dialogue.json"

    def asked(self, code: str, cell: str | None = None, **how: Any) -> tuple[Ran, Request]:
        """Run a cell that asks once; return what came of it and what the server was sent."""
        before = len(self.server.requests)
        ran = self.kernel.ok(code, cell, **how)
        (request,) = self.server.requests[before:]
        return ran, request


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Return a desk that the tests share; each asks what no other asks."""
    folder = tmp_path_factory.mktemp("desk")
    with serving() as server, loaded(folder, environment(folder, server.base_url)) as kernel:
        yield Desk(kernel, server)


# --- what is shown


def test_grows_in_place(desk: Desk) -> None:
    """Where somebody watches, one display is updated while the answer comes, and is its end."""
    hold = threading.Event()
    desk.server.script.then(answer("one two **three**", hold=hold, hold_after=2))
    sent = desk.kernel.send("%%ask --no-history\nCount", "c")
    begun = desk.kernel.finish(sent, until=lambda ran: bool(ran.kinds))
    (first,) = begun.of("display_data")
    assert first["data"]["text/plain"] == "one "
    assert first["metadata"] == {}
    hold.set()
    ran = desk.kernel.finish(sent, begun)
    assert ran.status == "ok"
    assert ran.kinds[0] == "display_data"
    assert set(ran.kinds[1:]) == {"update_display_data"}
    shown = [*ran.of("display_data"), *ran.of("update_display_data")]
    assert len({each["transient"]["display_id"] for each in shown}) == 1
    assert ran.text == "one two **three**"
    assert "<strong>three</strong>" in ran.outputs[0]["data"]["text/html"]
    (record,) = [each for each in records(desk.file) if each["id"] == ran.record["id"]]
    assert ran.record == {
        "fingerprint": record["fingerprint"],
        "id": record["id"],
        "model": MODEL,
    }


def test_updates_are_few(desk: Desk) -> None:
    """However fast the pieces come, few of them are shown, each update shows more, the last all."""
    pieces = [f"word{n} " for n in range(200)]
    desk.server.script.then(answer("".join(pieces)))
    ran, _ = desk.asked("%%ask --no-history\nTwo hundred words")
    shown = [*ran.of("display_data"), *ran.of("update_display_data")]
    assert len(shown) < len(pieces)
    assert [bool(each["metadata"]) for each in shown] == [False] * (len(shown) - 1) + [True]
    texts = [each["data"]["text/plain"] for each in shown]
    # The last update brings the record's metadata: its text may have been there already.
    assert all(later.startswith(sooner) for sooner, later in itertools.pairwise(texts))
    assert len(set(texts[:-1])) == len(texts) - 1
    assert texts[-1] == "".join(pieces)


@pytest.mark.parametrize(
    "form",
    ["", "-f markdown ", "-f text ", "-f code ", "-f json "],
    ids=lambda form: form or "none",
)
def test_same_output(desk: Desk, form: str) -> None:
    """Watched, unwatched, not streamed and replayed give the same data and metadata as bytes."""
    text = json.dumps({"høy": [1, 2.5, None]}) if "json" in form else MARKDOWN
    shown: dict[str, Ran] = {}
    for way, option, watched in (
        ("watched", "", True),
        ("unwatched", "", False),
        ("not streamed", "--no-stream ", True),
    ):
        desk.server.script.then(answer(text, chunks=20))
        # --fresh appends to the slot that the cell has: the same record is asked for anew.
        code = f"%%ask --fresh --no-history {form}{option}\nForms {form}"
        shown[way], request = desk.asked(code, "c", watched=watched)
        assert request.streams is (way != "not streamed")
        if way != "watched":
            assert shown[way].kinds == SHOWN_ONCE
    before = len(desk.server.requests)
    for way, watched in (("replayed", True), ("replayed unwatched", False)):
        code = f"%%ask --no-history {form}\nForms {form}"
        shown[way] = desk.kernel.ok(code, "c", watched=watched)
        assert shown[way].kinds == SHOWN_ONCE
    assert len(desk.server.requests) == before
    assert len({same_bytes(ran.outputs) for ran in shown.values()}) == 1
    assert shown["replayed"].text == text


@pytest.mark.parametrize(
    "code",
    [
        "%%ask --no-history\nOne line",
        "%ask --no-history One line",
        "if True:\n    %ask --no-history One line",
    ],
    ids=["cell", "line", "line inside a block"],
)
def test_magic_returns_nothing(desk: Desk, code: str) -> None:
    """The answer is displayed; the magic gives no value to print a second time."""
    ran = desk.kernel.ok(code, "same cell")
    assert ran.of("execute_result") == []
    assert ran.text == "You said: One line. (turn 1, messages 1)"


def test_captured(desk: Desk) -> None:
    """Under ``%%capture`` the finished answer is the one output that is captured."""
    ran = desk.kernel.ok("%%capture caught\n%ask --no-history Catch this", "c")
    assert ran.kinds == []
    caught = desk.kernel.value("[[each.data, each.metadata] for each in caught.outputs]")
    replayed = desk.kernel.ok("%ask --no-history Catch this", "c").outputs
    assert caught == [[replayed[0]["data"], replayed[0]["metadata"]]]


def test_notice_does_not_stay(desk: Desk) -> None:
    """A wait is told while it matters; what is left is the answer, in the same place."""
    desk.server.script.then(errors.rate_limited(retry_after="1"), "There you are.")
    ran = desk.kernel.ok("%%ask --no-history\nWait")
    assert "Trying again in 1 s" in ran.of("display_data")[0]["data"]["text/plain"]
    assert ran.text == "There you are."
    assert "Trying" not in json.dumps(ran.outputs)


def test_notice_where_nobody_watches(desk: Desk) -> None:
    """Unwatched, a wait is not told, and the answer is the one output."""
    desk.server.script.then(errors.rate_limited(retry_after="0.01"), "Here.")
    ran = desk.kernel.ok("%%ask --no-history\nWait unwatched", watched=False)
    assert ran.kinds == SHOWN_ONCE
    assert ran.text == "Here."


def test_quiet(desk: Desk) -> None:
    """``--quiet`` shows nothing; the reply is in ``_answer``."""
    ran, request = desk.asked("%%ask -q --no-history\nQuietly")
    assert ran.kinds == []
    assert not request.streams
    assert desk.kernel.value("_answer.text") == "You said: Quietly. (turn 1, messages 1)"


def test_variables(desk: Desk) -> None:
    """``_answer`` and the variable of ``-o`` hold the reply: text, data, code, tables, usage."""
    desk.server.script.then(MARKDOWN, '{"a": [1]}')
    desk.asked("%%ask -q --no-history -o port\nA port")
    assert desk.kernel.value("port is _answer and type(port).__name__") == "Reply"
    assert desk.kernel.value("str(port)") == MARKDOWN
    assert desk.kernel.value("port.code") == 'print("høyvann")'
    assert desk.kernel.value("port.tables[0].to_dict('list')") == {
        "port": ["Brest"],
        "hours": [6.2],
    }
    assert desk.kernel.value("dict(port.usage)")["completion_tokens"] > 0
    assert desk.kernel.value("[port.fingerprint, port.id]") == [
        records(desk.file)[-1]["fingerprint"],
        records(desk.file)[-1]["id"],
    ]
    desk.asked("%ask -q --no-history -f json --out=shape Its shape")
    assert desk.kernel.value("shape.data") == {"a": [1]}


# --- what is sent

SENT: list[Any] = [
    pytest.param("-m gpt-4.1", {"model": "gpt-4.1"}, id="-m"),
    pytest.param("--model=gpt-4.1", {"model": "gpt-4.1"}, id="--model"),
    pytest.param("-t 0", {"temperature": 0}, id="-t 0"),
    pytest.param("--temperature 0.7", {"temperature": 0.7}, id="--temperature"),
    pytest.param("--max-tokens 9", {"max_completion_tokens": 9}, id="--max-tokens"),
    pytest.param("--seed 7", {"seed": 7}, id="--seed"),
    pytest.param("--seed -7", {"seed": -7}, id="--seed, negative"),
    pytest.param("--effort low", {"reasoning_effort": "low"}, id="--effort"),
    pytest.param("-p top_p=0.5", {"top_p": 0.5}, id="-p, a number"),
    pytest.param("-p user=me -p n=2", {"user": "me", "n": 2}, id="-p twice"),
    pytest.param("""-p 'stop=["END", "\\n"]'""", {"stop": ["END", "\n"]}, id="-p, quoted JSON"),
    pytest.param("--param=logprobs=true", {"logprobs": True}, id="--param="),
    pytest.param("-f text", {}, id="-f text"),
    pytest.param("-f code", {}, id="-f code"),
    pytest.param("--sentiment off", {}, id="--sentiment"),
    pytest.param("--mode live", {}, id="--mode live"),
    pytest.param("--fresh", {}, id="--fresh"),
    pytest.param("--max-history 1", {}, id="--max-history"),
    pytest.param("-t 0 --seed 1", {"temperature": 0, "seed": 1}, id="several"),
]


@pytest.mark.parametrize(("line", "fields"), SENT)
def test_sent(desk: Desk, line: str, fields: dict[str, Any], request: Any) -> None:
    """Each option sends its own field, and nothing is sent that was not set."""
    prompt = f"Options: {request.node.callspec.id}"
    _, sent = desk.asked(f"%%ask --new --no-stream {line}\n{prompt}")
    user = [{"role": "user", "content": prompt}]
    assert sent.json == {"model": MODEL, "messages": user, **fields}


@pytest.mark.parametrize(
    ("line", "system"),
    [
        pytest.param('-s "Be brief, please."', "Be brief, please.", id="quoted"),
        pytest.param("--system 'Say \"yes\".'", 'Say "yes".', id="single quotes"),
        pytest.param("--system=Briefly", "Briefly", id="with ="),
        pytest.param('-s "-- no dashes"', "-- no dashes", id="a dash first"),
        pytest.param('-s "{{ x }} $HOME {y}"', "{{ x }} $HOME {y}", id="braces and dollars"),
    ],
)
def test_system(desk: Desk, line: str, system: str) -> None:
    """The system instruction goes first, its quotes taken off, otherwise as it was typed."""
    _, sent = desk.asked(f"%%ask --no-history {line}\nHi")
    assert sent.messages[0] == {"role": "system", "content": system}


@pytest.mark.parametrize(
    ("code", "prompt"),
    [
        pytest.param("%ask --no-history -- -5 is negative?", "-5 is negative?", id="after --"),
        pytest.param('%ask --no-history "Quoted" it\'s', '"Quoted" it\'s', id="quotes stay"),
        pytest.param(
            "%%ask --no-history\n$HOME {x} {y} \\alpha {!r} %s\n  indented\n\ttab",
            "$HOME {x} {y} \\alpha {!r} %s\n  indented\n\ttab",
            id="braces, dollars, backslashes",
        ),
        pytest.param("%%ask --no-history --raw\n{{ y }} {{", "{{ y }} {{", id="double braces, raw"),
        pytest.param(
            "%%ask --no-history On the line\nand below", "On the line\nand below", id="both"
        ),
        pytest.param(
            "%%ask --no-history\n%time is money\n!ls\n?", "%time is money\n!ls\n?", id="magic"
        ),
        pytest.param("%%ask --no-history\n# A heading?\n#tag", "# A heading?\n#tag", id="hashes"),
        pytest.param("%%ask --no-history\n笔记 🌊 Ærlig", "笔记 🌊 Ærlig", id="other scripts"),
        pytest.param("%ask --no-history What is `x?y`?", "What is `x?y`?", id="question mark"),
        pytest.param("%ask --no-history What?", "What?", id="question mark at the end"),
    ],
)
def test_prompt_is_untouched(desk: Desk, code: str, prompt: str) -> None:
    """The prompt is sent as it was typed: nothing expands, splits or swallows it."""
    desk.kernel.ok("x = y = 'expanded'")
    _, sent = desk.asked(code)
    assert sent.said == prompt


def test_placeholders(desk: Desk) -> None:
    """``{{ }}`` is filled from the notebook, on a line as in a cell; the record has both."""
    desk.kernel.ok("x = {'a': [1, 2]}\nimport pandas as pd\ndf = pd.DataFrame({'n': [7]})")
    _, sent = desk.asked("%ask --no-history Why {{ x['a'][1] }}, {x}?")
    assert sent.said == "Why 2, {x}?"
    _, sent = desk.asked("%%ask --no-history\nWhat is in\n{{ df }}")
    assert sent.said.endswith("| 0 | 7 |")
    record = records(desk.file)[-1]
    assert record["template"] == "What is in\n{{ df }}"
    assert record["request"]["messages"][0]["content"] == sent.said
    desk.kernel.run("1 / 0")
    _, sent = desk.asked("%ask --no-history Explain {{ Err }} after {{ In[1] }}")
    assert "ZeroDivisionError" in sent.said
    assert "load_ext" in sent.said
    desk.kernel.run("y_text = '{{ nothing }}'\nraise ValueError(y_text)")
    _, sent = desk.asked("%ask --no-history --error About {{ x['a'][0] }}:")
    assert "ValueError: {{ nothing }}" in sent.said
    assert sent.said.endswith("About 1:")
    missing = desk.kernel.run("%ask {{ xx }} and {{ dff }}")
    assert "dff (did you mean df" in missing.error
    assert "xx" in missing.error


def test_images(desk: Desk) -> None:
    """Figures and pictures in a prompt are images in their place; ``-i`` puts them after it."""
    desk.kernel.ok(
        "import matplotlib.pyplot as plt\nfrom PIL import Image\n"
        "fig, ax = plt.subplots()\nax.plot([1, 3, 2])\nplt.close(fig)\n"
        "Image.new('L', (8, 9), 5).save('a.png')"
    )
    before = desk.kernel.ok("Image.new('L', (30, 20), 128)")
    number = before.reply["execution_count"]
    _, sent = desk.asked(f"%%ask --no-history -i a.png -i ax\nIs {{{{ Out[{number}] }}}} grey?")
    content = sent.json["messages"][0]["content"]
    kinds = [part.get("text") or part["type"] for part in content]
    assert kinds == ["Is ", "image_url", " grey?", "image_url", "image_url"]
    record = records(desk.file)[-1]
    names = [image["name"] for image in record["request"]["resolved"]["images"]]
    assert names == [f"Out[{number}]", "a.png", "ax"]
    dry = desk.kernel.ok("%ask --no-history --dry-run What is {{ fig }}?")
    assert "tokens (fig)" in dry.text
    wrong = desk.kernel.run("%ask -i aa.png What is it?")
    assert "no file 'aa.png' (did you mean 'a.png'?)" in wrong.error


def test_base_url(desk: Desk, scripted: ScriptedServer) -> None:
    """``--base-url`` asks another server, for this ask."""
    before = len(desk.server.requests)
    desk.kernel.ok(f"%%ask --no-history --base-url {scripted.base_url}\nElsewhere")
    assert [each.said for each in scripted.requests] == ["Elsewhere"]
    assert len(desk.server.requests) == before
    desk.asked("%%ask --no-history\nHere again")


def test_fresh(desk: Desk) -> None:
    """``--fresh`` and ``--mode live`` ask where an answer is recorded; what is shown is kept."""
    for option in ("--fresh", "--mode live"):
        prompt = f"A number, {option}"
        desk.server.script.then("one", "two")
        assert desk.asked(f"%%ask --no-history\n{prompt}", "c")[0].text == "one"
        assert desk.asked(f"%%ask --no-history {option}\n{prompt}", "c")[0].text == "two"
        ran = desk.kernel.ok(f"%%ask --no-history --mode replay\n{prompt}", "c")
        assert ran.text == "two"
        kept = [
            each for each in records(desk.file) if each["fingerprint"] == ran.record["fingerprint"]
        ]
        assert [(each["occurrence"], each["reply"]["text"]) for each in kept] == [
            (0, "one"),
            (0, "two"),
        ]


@pytest.mark.parametrize(
    ("option", "judged"),
    [("", "positive"), ("--sentiment lexicon ", "positive"), ("--sentiment off ", None)],
)
def test_sentiment(desk: Desk, option: str, judged: str | None) -> None:
    """The sentiment of the answer is in the reply and its record, unless that is off."""
    desk.server.script.then("What a wonderful, lovely day! I am so happy.")
    desk.asked(f"%%ask --no-history {option}\nThe weather? {option}")
    assert desk.kernel.value("_answer.sentiment") == judged
    assert records(desk.file)[-1]["sentiment"] == judged


def test_sentiment_by_model(desk: Desk) -> None:
    """``--sentiment model`` asks the model, and keeps that exchange too."""
    desk.server.script.then("It rains.", "Negative.")
    desk.kernel.ok("%%ask --no-history --sentiment model\nThe weather, by a model?")
    assert desk.kernel.value("_answer.sentiment") == "negative"
    assert [each["kind"] for each in records(desk.file)[-2:]] == ["sentiment", "ask"]


def test_dry_run(desk: Desk) -> None:
    """``--dry-run`` shows what would be sent and sends, records and sets nothing."""
    desk.kernel.ok("%%ask -q -c dry\nBefore")
    requests, kept = len(desk.server.requests), desk.file.read_bytes()
    ran = desk.kernel.ok('%%ask --dry-run -c dry -t 0 -s "Be brief." -o never\nWhat now?')
    assert ran.kinds == SHOWN_ONCE
    for told in (
        MODEL,
        desk.server.base_url,
        "Be brief.",
        "Before",
        "What now?",
        '"temperature": 0',
    ):
        assert told in ran.text, ran.text
    assert "no: it would be asked" in ran.text
    assert "yes: it would be replayed" in desk.kernel.ok("%ask --dry-run -c dry --new Before").text
    assert len(desk.server.requests) == requests
    assert desk.file.read_bytes() == kept
    assert desk.kernel.value("'never' in globals()") is False
    assert "Before" in desk.kernel.value("_answer.text")


# --- what fails

FAILING: list[Any] = [
    pytest.param("%ask --nope Hi", "OptionError", "no option '--nope' (did you mean '--new'?)"),
    pytest.param("%%ask --nope\nHi", "OptionError", "%%ask has no option '--nope'"),
    pytest.param("%ask -x Hi", "OptionError", "no option '-x'"),
    pytest.param("%ask --temp 0 Hi", "OptionError", "did you mean '--temperature'?"),
    pytest.param("%ask -s 'Be brief. Hi", "OptionError", "the quote that -s 'Be begins"),
    pytest.param("%ask -t", "OptionError", "-t needs a value"),
    pytest.param("%ask -t hot Hi", "OptionError", "invalid float value: 'hot'"),
    pytest.param("%ask --seed 1.5 Hi", "OptionError", "invalid int value: '1.5'"),
    pytest.param("%ask --max-history -1 Hi", "SettingError", "max_history"),
    pytest.param("%ask --effort lots Hi", "OptionError", "invalid choice: 'lots'"),
    pytest.param("%ask -f yaml Hi", "OptionError", "invalid choice: 'yaml'"),
    pytest.param("%ask --mode relay Hi", "OptionError", "invalid choice: 'relay'"),
    pytest.param("%ask -o 1x Hi", "OptionError", "'1x' is not the name of a variable"),
    pytest.param("%ask -o class Hi", "OptionError", "'class' is not the name of a variable"),
    pytest.param("%ask -p model=gpt-5 Hi", "OptionError", "--param cannot set 'model'"),
    pytest.param("%ask -p messages=[] Hi", "OptionError", "--param cannot set 'messages'"),
    pytest.param("%ask -p x Hi", "OptionError", "'x' is not KEY=VALUE"),
    pytest.param("%ask -p x=NaN Hi", "OptionError", "cannot be kept in the dialogue file"),
    pytest.param("%ask --base-url nowhere Hi", "SettingError", "'nowhere' is not an address"),
    pytest.param("%ask", "OptionError", "The prompt is empty"),
    pytest.param("%%ask\n\n \n", "OptionError", "The prompt is empty"),
    pytest.param("%ask --mode replay Never asked", "ReplayMiss", "Nothing is recorded"),
    pytest.param("%models a b", "OptionError", "'b' is too much"),
    pytest.param("%models --nope", "OptionError", "no option '--nope'"),
    pytest.param("%openai usee", "OptionError", "invalid choice: 'usee'"),
    pytest.param("%openai use", "OptionError", "use: what?"),
    pytest.param("%config OpenAIMagics.mdoel = 'x'", "SettingError", "did you mean 'model'?"),
    pytest.param("%config OpenAIMagics.mdoel", "SettingError", "did you mean 'model'?"),
    pytest.param("%config openaimagics.model = 'x'", "SettingError", "no setting 'openaimagics"),
    pytest.param("%config OpenAIMagics.mode = 'x'", "SettingError", "auto, live, replay"),
    pytest.param("%config OpenAIMagics.max_history = -1", "SettingError", "max_history"),
]


@pytest.mark.parametrize(("code", "kind", "says"), FAILING)
def test_failing(desk: Desk, code: str, kind: str, says: str) -> None:
    """What cannot be fails the cell, in a line or two and nothing else; nothing is sent."""
    before = len(desk.server.requests)
    ran = desk.kernel.run(code)
    assert (ran.status, ran.reply["ename"]) == ("error", kind)
    assert says in ran.reply["evalue"]
    assert ran.kinds == ["error"]
    # A miss says what differs from the nearest record, in lines of its own.
    most = 12 if kind == "ReplayMiss" else 2
    lines = ran.error.splitlines()
    assert lines[0].startswith(f"{kind}: ")
    assert len(lines) <= most
    assert ran.error == f"{kind}: {ran.reply['evalue']}"
    assert len(desk.server.requests) == before


@pytest.mark.parametrize("code", ["{}.ask('')", "await {}.aask('')", "{}.ask('Hi', modle='x')"])
def test_failing_in_python(desk: Desk, code: str) -> None:
    """An error of `Session` in a cell of Python is shown in the same two lines."""
    ran = desk.kernel.run(code.format("__import__('openai_magics').get_session()"))
    assert ran.reply["ename"] == "OptionError"
    assert ran.kinds == ["error"]
    assert len(ran.error.splitlines()) == 2


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(error(401, "invalid_api_key", "Incorrect API key."), "KeyRefused", id="401"),
        pytest.param(error(403, None, "Not for you."), "AccessRefused", id="403"),
        pytest.param(errors.model_not_found("nope"), "ModelNotFound", id="404"),
        pytest.param(error(400, "bad", "Cannot."), "RequestRefused", id="400"),
        pytest.param(errors.context_too_long(), "ContextTooLong", id="too long"),
        pytest.param(errors.no_quota(), "QuotaExhausted", id="no credit"),
        pytest.param(failures.html(), "BadReply", id="a page"),
    ],
)
@pytest.mark.parametrize("watched", [True, False], ids=["watched", "unwatched"])
def test_service_fails(desk: Desk, reply: Any, kind: str, watched: bool) -> None:
    """What the service refuses is a line or two of the cell's error, with no frame and no key."""
    desk.server.script.then(reply)
    ran = desk.kernel.run(f"%%ask --no-history\nFail {kind} {watched}", watched=watched)
    assert (ran.status, ran.reply["ename"]) == ("error", kind)
    assert ran.kinds == ["error"]
    assert 1 <= len(ran.error.splitlines()) <= 3
    assert "File" not in ran.error
    assert "sk-test" not in json.dumps(ran.outputs)


def test_refused_for_good(desk: Desk) -> None:
    """A refusal that would come again is recorded: the same error, without asking."""
    desk.server.script.then(errors.context_too_long())
    first = desk.kernel.run("%%ask --no-history\nToo long", "c")
    before = len(desk.server.requests)
    again = desk.kernel.run("%%ask --no-history\nToo long", "c")
    assert again.status == "error"
    assert same_bytes(again.outputs) == same_bytes(first.outputs)
    assert len(desk.server.requests) == before


@pytest.mark.parametrize("watched", [True, False], ids=["watched", "unwatched"])
def test_stream_breaks(desk: Desk, watched: bool) -> None:
    """What came of an answer that broke off is shown, marked, and recorded, never replayed."""
    desk.server.script.then(failures.cut("One two three four five six", 4, "closed"))
    ran = desk.kernel.run(f"%%ask --no-history\nBreak {watched}", "c", watched=watched)
    assert ran.reply["ename"] in ("Unreachable", "BadReply")
    shown, failed = ran.outputs
    assert shown["data"]["text/plain"] == "One two three "
    assert "Cut off" in shown["data"]["text/html"]
    assert failed["output_type"] == "error"
    record = records(desk.file)[-1]
    assert record["occurrence"] is None
    assert "You said: Break" in desk.asked(f"%%ask --no-history\nBreak {watched}", "c")[0].text


def test_not_json(desk: Desk) -> None:
    """An answer that is not the JSON it should be is shown and fails the cell, replayed too."""
    code = "%%ask --no-history -f json\nGive me JSON, badly"
    first = desk.kernel.run(code, "c")
    assert first.reply["ename"] == "BadReply"
    shown, failed = first.outputs
    assert "You said" in shown["data"]["text/plain"]
    assert "not JSON" in failed["evalue"]
    before = len(desk.server.requests)
    again = desk.kernel.run(code, "c")
    assert same_bytes(again.outputs) == same_bytes(first.outputs)
    assert len(desk.server.requests) == before
