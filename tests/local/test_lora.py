"""The trainer's arithmetic, on a model of a few thousand random numbers."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.training
for _package in ("torch", "transformers", "peft", "tokenizers"):
    pytest.importorskip(_package)

from openai_magics.local.train.plan import Plan  # noqa: E402
from openai_magics.local.train.text import IGNORED, Encoder  # noqa: E402

ROOT = Path(__file__).parents[2]
TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with a tiny Llama and a tokenizer of single characters."""
    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    marks = ["<pad>", "<end>", "<user>", "<assistant>", "<system>"]
    letters = [chr(code) for code in range(32, 127)]
    vocabulary = {each: number for number, each in enumerate([*marks, *letters])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    made.add_special_tokens(marks)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="<end>", chat_template=TEMPLATE
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def plan(model, tmp_path):
    """Twelve sums to learn, and one to be tried on."""
    lines = [
        {
            "messages": [
                {"role": "user", "content": f"{n}+1"},
                {"role": "assistant", "content": f"{n + 1}."},
            ]
        }
        for n in range(13)
    ]
    data, valid = tmp_path / "data.jsonl", tmp_path / "valid.jsonl"
    data.write_text("".join(json.dumps(each) + "\n" for each in lines[:12]))
    valid.write_text(json.dumps(lines[12]) + "\n")
    return Plan(str(model), data, valid, n_epochs=2, learning_rate_multiplier=5.0, device="cpu")


def begin(plan, pieces=None):
    from openai_magics.local.train.lora import Lora
    from openai_magics.local.train.spread import Spread

    work = Lora(plan, Spread())
    if pieces:
        work.pieces = pieces
    return work


def losses(work, numbers):
    return [work.step(number)["train_loss"] for number in numbers]


def test_only_answers_are_learned_from(model):
    """Every answer of a conversation is, but for those of weight 0; what others say is not."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": "v"},
        {"role": "assistant", "content": "two", "weight": 0},
        {"role": "user", "content": "w"},
        {"role": "assistant", "content": "three"},
    ]
    found = Encoder(tokenizer, 100).conversation(messages)
    learned = [label for label in found.labels if label != IGNORED]
    assert "".join(tokenizer.convert_ids_to_tokens(learned)) == "one<end>three<end>"


def test_too_long_an_example_is_cut(model):
    """What is beyond the model's limit is cut off, and counted."""
    from transformers import AutoTokenizer

    encoder = Encoder(AutoTokenizer.from_pretrained(model), 5)
    long = [{"role": "user", "content": "a" * 9}, {"role": "assistant", "content": "b"}]
    assert len(encoder.conversation(long).ids) == 5
    assert encoder.cut == 1


def test_the_same_seed_the_same_result(plan):
    """On a CPU; another seed gives another one."""
    first = losses(begin(plan), range(1, 7))
    assert losses(begin(plan), range(1, 7)) == first
    assert losses(begin(dataclasses.replace(plan, seed=1)), range(1, 7)) != first
    assert first[-1] < first[0]


def test_going_on_is_as_if_never_stopped(plan, tmp_path):
    """What was kept half-way leads to the same losses as one run."""
    whole = losses(begin(plan), range(1, 7))
    half = begin(plan)
    losses(half, range(1, 4))
    half.keep(tmp_path)
    other = begin(plan)
    other.go_on(tmp_path)
    assert losses(other, range(4, 7)) == whole[3:]


def test_pieces_change_nothing(plan):
    """A batch in pieces that need less memory has the gradient of the whole batch."""
    assert losses(begin(plan, pieces=20), range(1, 7)) == pytest.approx(
        losses(begin(plan), range(1, 7)), rel=1e-3
    )


def test_too_little_memory(plan, monkeypatch):
    """A step that does not fit is done in smaller pieces, which is said; at one example it ends."""
    import torch

    from openai_magics.local.train.lora import Lora
    from openai_magics.local.train.runner import OutOfMemory

    said = []
    work = begin(plan)
    work.tell = said.append
    scored = Lora._scored

    def limited(self, encoded):
        if len(encoded) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return scored(self, encoded)

    monkeypatch.setattr(Lora, "_scored", limited)
    limit = 1
    assert work.step(1)["train_loss"] > 0
    assert said[-1].startswith("Too little memory: going on with")
    limit = 0
    with pytest.raises(OutOfMemory, match="too little memory"):
        work.step(2)


def test_memory_that_torch_does_not_get():
    """What torch raises on a CPU where there is no memory is known by its words."""
    import torch

    from openai_magics.local.train.lora import _is_memory

    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50, dtype=torch.uint8)
    assert _is_memory(caught.value)
    assert not _is_memory(RuntimeError("a shape that does not fit"))


def test_validation_is_measured(plan):
    """Loss and accuracy of the validation file; nothing without one."""
    assert set(begin(plan).validate()) == {"valid_loss", "valid_mean_token_accuracy"}
    assert begin(dataclasses.replace(plan, validation=None)).validate() == {}


def test_saving_memory_changes_nothing(plan):
    """Gradient checkpointing leads to the same losses."""
    saving = begin(dataclasses.replace(plan, gradient_checkpointing=True))
    assert saving.model.is_gradient_checkpointing
    assert losses(saving, range(1, 4)) == pytest.approx(losses(begin(plan), range(1, 4)), rel=1e-4)


def test_dpo_prefers_the_preferred(plan, tmp_path):
    """The loss begins at log 2 and falls; it goes on after an interruption as in one run."""
    lines = [
        {
            "input": {"messages": [{"role": "user", "content": f"{n}?"}]},
            "preferred_output": [{"role": "assistant", "content": "yes"}],
            "non_preferred_output": [{"role": "assistant", "content": "no"}],
        }
        for n in range(10)
    ]
    plan.data.write_text("".join(json.dumps(each) + "\n" for each in lines))
    plan = dataclasses.replace(plan, method="dpo", beta=1.0, validation=None, n_epochs=3)
    work = begin(plan)
    found = losses(work, range(1, 5))
    assert found[0] == pytest.approx(0.6931, abs=1e-3)
    work.keep(tmp_path)
    rest = losses(work, range(5, 10))
    assert rest[-1] < 0.5
    other = begin(plan)
    other.go_on(tmp_path)
    assert losses(other, range(5, 10)) == rest


def test_a_tuned_model_is_tuned_further(plan, tmp_path):
    """Training begins from the adapter that is given, not anew."""
    work = begin(plan)
    before = losses(work, range(1, 7))
    work.save(tmp_path)
    further = begin(dataclasses.replace(plan, adapter=str(tmp_path)))
    assert losses(further, [1])[0] < before[0]


def test_several_processes_do_as_one(plan, tmp_path):
    """`torchrun` with two processes ends at the adapter of one, and says each step once."""
    torchrun = Path(sys.executable).with_name("torchrun")
    given = ["-m", "openai_magics.local.train", str(plan.data), "--model", plan.model]
    given += ["--epochs", "1", "--device", "cpu", "--rate", "5", "--out"]
    many = [str(torchrun), "--standalone", "--nproc_per_node=2", *given, str(tmp_path / "many")]
    alone = [sys.executable, *given, str(tmp_path / "alone")]
    said = [
        subprocess.run(command, capture_output=True, text=True, timeout=200)
        for command in (many, alone)
    ]
    for each in said:
        assert each.returncode == 0, each.stderr[-2000:]
        assert each.stdout.count("step 3/3") == 1
    from safetensors.numpy import load_file

    one, other = (
        load_file(tmp_path / name / "adapter_model.safetensors") for name in ("many", "alone")
    )
    for name, values in one.items():
        assert values == pytest.approx(other[name], abs=2e-3)
