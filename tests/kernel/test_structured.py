"""A notebook with structured answers: live, then replayed by another kernel with the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.kernel.kernels import LOAD, Kernel, Output, environment, loaded, same_bytes
from tests.scripted import ScriptedServer, answer

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
    "after": "%ask What did you say?",
}
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
    assert failed == ["never"]
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
    other = tmp_path / "replayed"
    other.mkdir()
    shutil.copy(folder / "notebook.dialogue.json", other)
    env = environment(tmp_path, OPENAI_MAGICS_MODE="replay")
    for watched in (True, False):
        with Kernel(other, env, watched=watched) as kernel:
            again = run_all(kernel)
        for name in CELLS:
            assert same_bytes(again[name]) == same_bytes(live[name]), name
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
