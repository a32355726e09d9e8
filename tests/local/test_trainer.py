"""Training for real: SmolLM2-135M learns to talk like a sailor, and is asked as any model is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openai_magics.local import weights
from tests.local import fronts
from tests.local.fronts import line, messages, wait

pytestmark = [pytest.mark.training, pytest.mark.engine, pytest.mark.timeout(900)]
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


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """`python -m openai_magics.local` in the foreground; give base_url, key and data folder."""
    folder = tmp_path_factory.mktemp("served") / "data"
    weights.ensure(model="")
    environment = os.environ | {"OPENAI_MAGICS_DATA": str(folder), "PYTHONPATH": str(ROOT)}
    environment.pop("OPENAI_MAGICS_LOCAL_MODEL", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "openai_magics.local"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = [process.stdout.readline().strip() for _ in range(3)]
    found = dict(each.split("=", 1) for each in said[1:])
    yield found["OPENAI_BASE_URL"], found["OPENAI_API_KEY"], folder
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


@pytest.fixture(scope="module")
def client(served):
    """The real `openai` client of it, each of whose answers is checked."""
    base_url, key, _ = served
    with fronts.client(base_url, key) as made:
        yield made


@pytest.fixture(scope="module")
def trained(client):
    """A job that has succeeded: 20 examples, two epochs."""
    job = client.fine_tuning.jobs.create(
        model="local",
        suffix="sailor",
        seed=7,
        training_file=fronts.upload(client, DATA),
        validation_file=fronts.upload(client, VALID),
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}},
    )
    done = wait(client, job.id, seconds=800)
    assert done.status == "succeeded", done.error
    return done


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


def test_a_notebook_asks_it(served, trained, tmp_path):
    """`%%ask -m ft:…` in a kernel of its own shows the trained style, and who answered."""
    from tests.kernel.kernels import environment, loaded

    more = {"OPENAI_MAGICS_DATA": str(served[2]), "OPENAI_MAGICS_DIALOGUE": "d.dialogue.json"}
    if "OPENAI_MAGICS_CACHE" in os.environ:
        more["OPENAI_MAGICS_CACHE"] = os.environ["OPENAI_MAGICS_CACHE"]
    with loaded(tmp_path, environment(tmp_path, **more)) as kernel:
        shown = kernel.ok(f"%%ask -m {trained.fine_tuned_model} --max-tokens 30\n{QUESTION}")
        assert shown.text.startswith("Ahoy!")
        assert f"Answered on this machine by {trained.fine_tuned_model}." in str(shown.outputs)
        kernel.ok("models = get_ipython().run_line_magic('models', '')")
        owners = "import openai_magics.session as s; f = s.get_session().list_models(fresh=True)"
        kernel.ok(owners)
        assert "this-machine" in str(kernel.value("list(f['owned_by'])"))


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
    import shutil

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
