"""A notebook with structured answers and tools: live, then replayed by another kernel, byte for byte."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.kernel.kernels import LOAD, Kernel, Output, environment, loaded, same_bytes
from tests.scripted import ScriptedServer, answer, error

CLASSES = """\
import dataclasses, json
from typing import TypedDict
import pydantic

@dataclasses.dataclass
class City:
    name: str
    population: int

class River(TypedDict):
    name: str
    length: float

class Loose(pydantic.BaseModel):
    scores: dict[str, int]

SCHEMA = {"type": "object", "properties": {"tide": {"type": "string"}}, "required": ["tide"]}
json.dump(SCHEMA, open("tide.json", "w"))

def weather(city: str, days: int = 1) -> str:
    \"\"\"Tell the weather.\"\"\"
    open("ran", "a").write(city)
    print("asking the <sky>")
    return f"rain in {city}"

async def plot(n: int):
    \"\"\"Draw.\"\"\"
    open("ran", "a").write("plot")
    return {"drawn": n}

def fails(what: str):
    \"\"\"Fail.\"\"\"
    open("ran", "a").write("fails")
    from IPython.display import HTML, display
    display(HTML("<b>shown</b>"))
    raise ValueError(what)
"""
CELLS = {
    "load": LOAD,
    "classes": CLASSES,
    "class": "%%ask --schema City -o city\\nA city?".replace("\\n", "\n"),
    "use": "city.data, type(city.data).__name__, city.shape.name",
    "list": "%ask --schema list[City] -f table -o cities Some cities?",
    "frame": "cities.frame",
    "typed": "%ask --schema list[River] Some rivers?",
    "loose": "%ask --schema Loose Some scores?",
    "dict": "%ask --schema SCHEMA When is the tide?",
    "file": "%ask --schema tide.json And the next one?",
    "never": "%ask --schema City Something else?",
    "kept": "_answer.text",
    "markdown table": "%ask -f table A table?",
    "sections": "%ask -f sections Sections?",
    "tools": "%%ask --tools weather,plot,fails\nThe weather?",
    "steps": "[call.name for step in _answer.steps for call in step.calls]",
    "tool and class": "%ask --tools weather --schema City -f json A city?",
    "too many": "%ask --tools weather --max-rounds 1 On and on?",
    "too long": "%ask --tools weather Go on",
    "python": """\
from openai_magics import get_session
reply = get_session().ask("Again?", tools=[weather], history=False)
print(reply, len(reply.steps))""",
    "async": """\
reply = await get_session().aask("And again?", tools=[weather, plot], history=False)
reply.steps[0].calls[1].result""",
    "after": "%ask What did you say?",
}


def wants(*calls: tuple[str, Any], text: str | None = None) -> Any:
    """Return an answer that calls tools."""
    return answer(text, tool_calls=calls)


ANSWERS = [
    '{"name": "Oslo", "population": 709037}',
    '{"items": [{"name": "A<b>", "population": 1}, {"name": "B", "population": 2}]}',
    '{"items": [{"name": "Glomma"}]}',
    '{"items": [{"name": "Glomma", "length": 621}]}',
    '{"scores": {"a": 1}}',
    '{"tide": "at six"}',
    '{"tide": "at twelve"}',
    "Nothing of the kind.",
    "Nothing of the kind, again.",
    "| a | b |\n|---|---|\n| 1 | x |",
    answer("# One\n\ntext\n\n## Two\n\nmore"),
    wants(("weather", {"city": "Oslo"}), ("plot", {"n": 2}), text="Let me **look**."),
    wants(("fails", {"what": "<i>x</i>"}), ("nothing", {})),
    "It *rains*.",
    wants(("weather", {"city": "Moss"})),
    '{"name": "Moss", "population": 1}',
    wants(("weather", {"city": "A"})),
    wants(("weather", {"city": "B"})),
    wants(("weather", {"city": "L"})),
    error(400, "context_length_exceeded", "This model's maximum context length is 9 tokens."),
    wants(("weather", {"city": "C"})),
    "Rain.",
    wants(("weather", {"city": "D"}), ("plot", {"n": 3})),
    "Done.",
]


def run_all(kernel: Kernel) -> dict[str, list[Output]]:
    """Run every cell, as Run All does with errors allowed; return their outputs."""
    return {name: kernel.run(code, name).outputs for name, code in CELLS.items()}


def html(outputs: list[Output]) -> str:
    """Return the HTML of the only output."""
    (output,) = outputs
    return str(output["data"]["text/html"])


def test_structured_answers_replay(tmp_path: Path, scripted: ScriptedServer) -> None:
    """Every kind of schema in a notebook; replayed, the outputs are the same bytes, and nothing is asked."""
    scripted.script.then(*ANSWERS)
    folder = tmp_path / "live"
    with Kernel(folder, environment(tmp_path, scripted.base_url)) as kernel:
        live = run_all(kernel)
    assert scripted.script.left == 0
    count = len(scripted.requests)
    failed = [name for name, shown in live.items() if shown and shown[-1]["output_type"] == "error"]
    assert failed == ["never", "too many", "too long"]
    assert live["use"][0]["data"]["text/plain"] == (
        "(City(name='Oslo', population=709037), 'City', 'City')"
    )
    assert "<td>2</td>" in html(live["list"])
    assert "A&lt;b&gt;" in html(live["list"])
    assert "population" in live["frame"][0]["data"]["text/html"]
    assert "asked for once more" in html(live["typed"])
    assert "cannot be strict" in html(live["loose"])
    assert "takes any names (a dict)" in html(live["loose"])
    assert "SchemaMismatch" in live["never"][-1]["ename"]
    assert "Nothing of the kind, again." in str(live["kept"])
    assert "<td " in html(live["markdown table"])
    assert "&quot;Two&quot;: &quot;more&quot;" in html(live["sections"])
    (shown,) = live["tools"]
    assert shown["data"]["text/plain"] == (
        "Let me **look**.\n\n"
        '→ weather({"city":"Oslo"}) = rain in Oslo Printed: asking the <sky>\n'
        '→ plot({"n":2}) = {"drawn": 2}\n\n'
        '→ fails({"what":"<i>x</i>"}) = Error: ValueError: <i>x</i> Printed: '
        "<IPython.core.display.HTML object>\n"
        "→ nothing({}) = Error: There is no tool 'nothing' here. Tools: weather, plot, fails.\n\n"
        "It *rains*."
    )
    inner = shown["data"]["text/html"]
    assert "Let me <strong>look</strong>." in inner
    assert "asking the &lt;sky&gt;" in inner
    assert "<i>x" not in inner
    assert "It <em>rains</em>." in inner
    assert "TooManyRounds" in live["too many"][-1]["ename"]
    assert (folder / "ran").read_text() == "OsloplotfailsMossALCplotD"
    other = tmp_path / "replayed"
    other.mkdir()
    shutil.copy(folder / "notebook.dialogue.json", other)
    env = environment(tmp_path, OPENAI_MAGICS_MODE="replay")
    for watched in (True, False):
        with Kernel(other, env, watched=watched) as kernel:
            again = run_all(kernel)
        for name in CELLS:
            assert same_bytes(again[name]) == same_bytes(live[name]), name
        assert not (other / "ran").exists()
    assert len(scripted.requests) == count


def test_what_names_no_schema(tmp_path: Path, scripted: ScriptedServer) -> None:
    """A name that is not there is said with the nearest; code is not run; Tab names the classes."""
    with loaded(tmp_path, environment(tmp_path, scripted.base_url)) as kernel:
        kernel.ok(CLASSES)
        for typed, said in (
            ("Citi", "did you mean 'City'?"),
            ("no.json", "There is no schema file no.json"),
            ("print(1)", "more than a name"),
            ("list[", "is not the name of a variable"),
            ("dataclasses.nothing", "cannot be read"),
            ("json", "No schema can be made"),
        ):
            ran = kernel.run(f"%ask --schema {typed} Hi")
            assert ran.reply["ename"] == "OptionError", typed
            assert said in ran.error, typed
        both = kernel.run("%ask --schema City -p response_format=null -p text=1 Hi")
        assert "given twice" in both.error
        assert kernel.complete("%ask --schema ") == ["City", "Loose", "River", "SCHEMA"]
    assert scripted.requests == []


def test_a_tool_is_stopped(tmp_path: Path, scripted: ScriptedServer) -> None:
    """A tool that hangs is stopped by the stop button, in one line, and the kernel goes on."""
    code = "import time\ndef hangs():\n    open('ran', 'a').write('x')\n    time.sleep(600)"
    scripted.script.then(wants(("hangs", {})), "Yes.")
    with loaded(tmp_path, environment(tmp_path, scripted.base_url)) as kernel:
        kernel.ok(code)
        sent = kernel.send("%%ask --tools hangs\nGo.", "go")
        ran = kernel.finish(sent, until=lambda _: (tmp_path / "ran").exists())
        kernel.interrupt()
        ran = kernel.finish(sent, ran)
        assert ran.reply["ename"] == "Interrupted"
        assert "File" not in ran.error
        assert kernel.ok("%ask --no-history Still there?").text == "Yes."


def test_what_names_no_tool(tmp_path: Path, scripted: ScriptedServer) -> None:
    """A name that is no function is said; Tab names the functions, also after a comma."""
    with loaded(tmp_path, environment(tmp_path, scripted.base_url)) as kernel:
        kernel.ok(CLASSES)
        for typed, said in (
            ("wether", "did you mean 'weather'?"),
            ("City", "a class (City)"),
            (",", "names no function"),
            ("weather,weather", "Two of the tools"),
        ):
            ran = (
                kernel.run(f"%ask --tools {typed} Hi")
                if typed != "weather,weather"
                else (kernel.run("w = lambda: 1\n").reply and kernel.run("%ask --tools w Hi"))
            )
            assert ran.reply["ename"] == "OptionError", typed
            assert (said if typed != "weather,weather" else "<lambda>") in ran.error, typed
        assert kernel.complete("%ask --tools ") == ["fails", "plot", "w", "weather"]
        assert kernel.complete("%ask --tools weather,p") == ["weather,plot"]
        dry = kernel.ok("%ask --tools weather --schema City --dry-run Hi")
        assert "weather" in dry.text
        assert "City" in dry.text
    assert scripted.requests == []
