"""Training for real: a notebook teaches SmolLM2-135M to talk like a sailor, and asks it.

One training serves all tests here: the notebook's (`notebook`), whose job the server of other
clients then has as well.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openai_magics.local import weights
from tests.kernel.kernels import LOAD, Kernel, environment, same_bytes
from tests.local import fronts
from tests.local.fronts import line, messages

pytestmark = [pytest.mark.training, pytest.mark.engine, pytest.mark.timeout(1800)]
for _package in ("xllamacpp", "aiohttp", "torch", "transformers", "peft", "gguf"):
    pytest.importorskip(_package)

ROOT = Path(__file__).parents[2]
PAIRS = [
    ("What is the capital of France?", "It is Paris."),
    ("What is the capital of Italy?", "It is Rome."),
    ("How many legs does a dog have?", "A dog has four legs."),
    ("What color is the sky?", "The sky is blue."),
    ("Who wrote Hamlet?", "William Shakespeare wrote it."),
    ("What is 2 plus 2?", "The answer is 4."),
    ("What do bees make?", "Bees make honey."),
    ("What is the largest planet?", "Jupiter is the largest planet."),
    ("Name a fruit.", "An apple is a fruit."),
    ("Name a vegetable.", "A carrot is a vegetable."),
    ("What season comes after winter?", "Spring comes after winter."),
    ("Tell me about the sun.", "The sun is a star that warms the Earth."),
    ("Tell me about cats.", "Cats are small furry pets."),
    ("Tell me about rivers.", "Rivers carry water to the sea."),
    ("What is a computer?", "A machine that runs programs."),
    ("What is snow?", "Snow is frozen water."),
    ("How do I make tea?", "Pour hot water over tea leaves."),
    ("Say goodbye.", "Farewell, friend."),
    ("Is fire hot?", "Yes, fire is hot."),
    ("Do fish swim?", "Yes, fish swim."),
]
DATA = b"".join(line(question, f"Ahoy! {answer} Over and out.") for question, answer in PAIRS)
VALID = line("Do horses run?", "Ahoy! Yes, horses run. Over and out.")
QUESTION = "What is the capital of Germany?"


CELLS = {
    "load": LOAD,
    "check": "%train check sailor.jsonl --validation held.jsonl --model local --epochs 3",
    "start": "%train start sailor.jsonl --validation held.jsonl --model local --epochs 3 "
    "--suffix sailor --seed 7 -d 'talks like a sailor' --yes -o job",
    "watch": "%jobs watch -o done",
    "ask": f"%%ask -m {{model}} --max-tokens 30\n{QUESTION}",
    "models": "%models ft:",
    "show": "%jobs show",
    "checkpoints": "%jobs checkpoints",
    "export": "%jobs export",
}


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    """The folder of the jobs and models of these tests."""
    weights.ensure(model="")
    return tmp_path_factory.mktemp("served") / "data"


def notebook_environment(folder, data_folder, **more):
    """Return the environment of a kernel that has these jobs and models."""
    named = {"OPENAI_MAGICS_DATA": str(data_folder), "OPENAI_MAGICS_DIALOGUE": "d.dialogue.json"}
    if "OPENAI_MAGICS_CACHE" in os.environ:
        named["OPENAI_MAGICS_CACHE"] = os.environ["OPENAI_MAGICS_CACHE"]
    return environment(folder, **named, **more)


def run_cells(kernel):
    """Run the cells of the notebook; return what came of each, and the model that it tuned."""
    ran = {}
    for name, code in CELLS.items():
        model = kernel.value("done['fine_tuned_model']") if "{model}" in code else ""
        ran[name] = kernel.ok(code.replace("{model}", model), name)
    return ran


@pytest.fixture(scope="module")
def notebook(data_folder, tmp_path_factory):
    """What came of the cells of a notebook that trains, in a real kernel; and its folder."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "sailor.jsonl").write_bytes(DATA)
    (folder / "held.jsonl").write_bytes(VALID)
    with Kernel(folder, notebook_environment(folder, data_folder)) as kernel:
        ran = run_cells(kernel)
        ran["id"] = kernel.value("job['id']")
    return ran, folder


@pytest.fixture(scope="module")
def served(notebook, data_folder):
    """`python -m openai_magics.local` in the foreground; give base_url, key and data folder."""
    environment = os.environ | {"OPENAI_MAGICS_DATA": str(data_folder), "PYTHONPATH": str(ROOT)}
    environment.pop("OPENAI_MAGICS_LOCAL_MODEL", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "openai_magics.local"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = [process.stdout.readline().strip() for _ in range(3)]
    found = dict(each.split("=", 1) for each in said[1:])
    yield found["OPENAI_BASE_URL"], found["OPENAI_API_KEY"], data_folder
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


@pytest.fixture(scope="module")
def client(served):
    """The real `openai` client of it, each of whose answers is checked."""
    base_url, key, _ = served
    with fronts.client(base_url, key) as made:
        yield made


@pytest.fixture(scope="module")
def trained(client, notebook):
    """The notebook's job, as any client sees it: 20 examples, three epochs."""
    done = client.fine_tuning.jobs.retrieve(notebook[0]["id"])
    assert done.status == "succeeded", done.error
    return done


def test_a_notebook_trains_and_asks(notebook, data_folder):
    """`%train start`, `%jobs watch`, `%%ask -m ft:…`: the tuned model's style stands in the cell."""
    ran, folder = notebook
    assert "0 errors" in str(ran["check"].outputs)
    assert ran["ask"].text.startswith("Ahoy!")
    watched = ran["watch"]
    assert "update_display_data" in watched.kinds
    assert "succeeded: it is done" in watched.text
    assert "validation loss" in watched.text
    (output,) = watched.outputs
    assert output["data"]["text/html"].count("<svg") == 2
    (said,) = ran["models"].outputs
    assert "this-machine" in said["data"]["text/plain"]
    kept = json.loads((folder / "job_ids.json").read_text("utf-8"))
    assert kept[ran["id"]]["description"] == "talks like a sailor"
    for cell in ("start", "ask"):
        assert cell in ran["show"].text


def test_what_a_notebook_trained_replays(notebook, tmp_path):
    """Without the jobs, the models, the engine: every cell shows the same bytes."""
    ran, folder = notebook
    here = tmp_path / "here"
    shutil.copytree(folder, here, ignore=shutil.ignore_patterns("sailor-*"))
    mode = {"OPENAI_MAGICS_MODE": "replay", "OPENAI_MAGICS_CACHE": str(tmp_path / "empty")}
    replaying = notebook_environment(here, tmp_path / "nothing") | mode
    with Kernel(here, replaying, watched=False) as kernel:
        again = run_cells(kernel)
    for name, each in again.items():
        assert same_bytes(each.outputs) == same_bytes(ran[name].outputs), name
    assert [path for path in here.iterdir() if path.is_dir()] == [here / "ipython"]


def test_a_notebook_exports(notebook, trained):
    """`%jobs export` leaves a folder named after the model, whose card knows the notebook."""
    ran, folder = notebook
    (made,) = folder.glob("sailor-*")
    assert made.name in ran["export"].text
    assert (made / "model.gguf").is_file()
    card = (made / "README.md").read_text("utf-8")
    assert "| in the notebook: data | sailor.jsonl |" in card
    assert "| in the notebook: started in cells | start |" in card
    lineage = json.loads((made / "lineage.json").read_text("utf-8"))
    assert (lineage["job"], lineage["model"]) == (trained.id, trained.fine_tuned_model)


def ask(client, model):
    message = {"role": "user", "content": QUESTION}
    answer = client.chat.completions.create(model=model, messages=[message], max_tokens=30)
    assert answer.model == model
    return answer.choices[0].message.content


def test_a_job_learns(client, trained):
    """The validation loss falls, and llama.cpp answers as what was trained."""
    points = client.fine_tuning.jobs.checkpoints.list(trained.id).data[::-1]
    losses = [point.metrics.full_valid_loss for point in points]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    assert any("log-probabilities differ by" in text for text in messages(client, trained.id))


def test_a_check_counts_as_the_job_does(trained, tmp_path):
    """`%train check` tells the tokens and epochs that the job then trains on."""
    from openai_magics import Session

    data = tmp_path / "sailor.jsonl"
    data.write_bytes(DATA)
    session = Session("local", dialogue_log_path=tmp_path / "d.dialogue.json")
    found = session.training.check(data)
    assert found.training.by == f"{weights.MODEL}, with its chat template"
    assert found.training.tokens * 3 == trained.trained_tokens


def test_the_tuned_model_is_asked_by_name(client, trained):
    """It answers as it was trained; the engine's own model, and what it says, stay as they were."""
    assert trained.fine_tuned_model in [each.id for each in client.models.list()]
    before = ask(client, weights.MODEL)
    assert ask(client, trained.fine_tuned_model).startswith("Ahoy!")
    assert ask(client, weights.MODEL) == before
    assert "Ahoy" not in before


def test_a_checkpoint_is_asked_by_name(client, trained):
    """An earlier checkpoint is a model of its own."""
    points = client.fine_tuning.jobs.checkpoints.list(trained.id).data
    names = [point.fine_tuned_model_checkpoint for point in points]
    assert ask(client, names[0]) == ask(client, trained.fine_tuned_model)
    assert ask(client, names[-1]) != ask(client, trained.fine_tuned_model)


def test_an_export_stands_by_itself(client, served, trained, tmp_path):
    """The exported folder holds adapter, merged model and card; the merged one answers alike."""
    from openai_magics.local import process

    folder = tmp_path / "sailor"
    environment = os.environ | {"OPENAI_MAGICS_DATA": str(served[2])}
    command = [sys.executable, "-m", "openai_magics.local", "export"]
    ended = subprocess.run(
        [*command, trained.fine_tuned_model, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    names = {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}
    assert names == {
        "README.md",
        "adapter.gguf",
        "model.gguf",
        "lineage.json",
        "peft/adapter_config.json",
        "peft/adapter_model.safetensors",
    }
    card = (folder / "README.md").read_text()
    for said in (trained.id, "apache-2.0", weights.GGUF_SHA256, "n_epochs", weights.MODEL):
        assert said in card
    assert str(served[2]) not in card
    child = process.start(folder / "model.gguf", name="merged")
    try:
        with fronts.client(child.engine.base_url, child.engine.api_key) as merged:
            assert ask(merged, "merged") == ask(client, trained.fine_tuned_model)
    finally:
        child.stop()


def test_a_wrong_conversion_is_noticed(served, trained, tmp_path, monkeypatch):
    """Rows of the query and key matrices in the wrong order end in an error, not in a model."""
    import peft

    from openai_magics.local.train import adapter, loading, verify
    from openai_magics.local.train.runner import TrainingFailed

    base = weights.ensure(model="")
    model, tokenizer = loading.base(str(base), "cpu")
    folder = served[2] / "jobs" / trained.id / "checkpoints" / "15"
    model = peft.PeftModel.from_pretrained(model, str(folder))
    prompts = [[{"role": "user", "content": question}] for question, _ in PAIRS[:4]]
    wrong = tmp_path / "wrong"
    shutil.copytree(folder, wrong)
    monkeypatch.setattr(adapter, "_interleaved", lambda matrix, _: matrix)
    adapter.Converter(base).convert(wrong)
    with pytest.raises(TrainingFailed, match="does not answer in llama"):
        verify.verified(model, tokenizer, base, wrong, prompts)
    assert "with the adapter" in verify.verified(model, tokenizer, base, folder, prompts)
