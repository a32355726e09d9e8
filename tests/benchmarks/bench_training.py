"""Training on this machine: a job of the engine against the plain loop that anyone would write."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from openai_magics.local import weights
from tests.benchmarks.figures import Figure, Given, NotMeasured, ratio
from tests.benchmarks.kernels import ROOT

EXAMPLES, EPOCHS = 50, 3
PLAIN = """
import json, sys, torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, file, data = sys.argv[1:]
torch.manual_seed(7); torch.set_num_threads(2)
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
model = get_peft_model(model, LoraConfig(
    r=8, lora_alpha=16, lora_dropout=0.0, target_modules=layers, task_type="CAUSAL_LM"))
def encoded(messages):
    whole = tokenizer.apply_chat_template(messages, tokenize=False)
    asked = tokenizer.apply_chat_template(
        messages[:-1], tokenize=False, add_generation_prompt=True)
    ids = tokenizer(whole, add_special_tokens=False)["input_ids"]
    given = len(tokenizer(asked, add_special_tokens=False)["input_ids"])
    return ids, [-100] * given + ids[given:]
rows = [encoded(json.loads(line)["messages"]) for line in open(data)]
learned = [each for each in model.parameters() if each.requires_grad]
optimizer = torch.optim.AdamW(learned, lr=1e-3, weight_decay=0.0)
model.train()
for epoch in range(3):
    order = torch.randperm(len(rows)).tolist()
    for start in range(0, len(rows), 4):
        batch = [rows[place] for place in order[start:start + 4]]
        longest = max(len(ids) for ids, _ in batch)
        filled = lambda values, with_: values + [with_] * (longest - len(values))
        loss = model(
            input_ids=torch.tensor([filled(ids, tokenizer.pad_token_id) for ids, _ in batch]),
            attention_mask=torch.tensor([filled([1] * len(ids), 0) for ids, _ in batch]),
            labels=torch.tensor([filled(labels, -100) for _, labels in batch])).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step(); optimizer.zero_grad()
model.save_pretrained("plain")
"""


def run(given: Given) -> Iterator[Figure]:
    """Yield the time of 50 examples, three epochs, and the memory that it takes.

    Ours is the whole of what a job does: loading, training, a checkpoint an epoch, the adapter
    for llama.cpp, and the comparison of the two.

    Raises
    ------
    NotMeasured
        The extras, or the weights, are not on this machine.
    """
    if missing := [name for name in ("torch", "peft", "gguf", "xllamacpp") if not find_spec(name)]:
        raise NotMeasured(f"not installed: {', '.join(missing)}")
    gguf = weights.cache_folder() / "models" / weights.GGUF
    if not gguf.is_file():
        raise NotMeasured("the weights are not in the cache: ask the engine once before")
    data = given.folder / "train.jsonl"
    data.write_text("".join(_line(number) for number in range(EXAMPLES)), "utf-8")
    plain = given.folder / "plain.py"
    plain.write_text(PLAIN, "utf-8")
    floor, _ = _timed([str(plain), str(gguf.parent), gguf.name, str(data)], given.folder)
    command = ["-m", "openai_magics.local.train", str(data), "--model", str(gguf)]
    command += ["--epochs", str(EPOCHS), "--out", str(given.folder / "ours")]
    ours, memory = _timed(command, given.folder)
    name = f"{EXAMPLES} examples, {EPOCHS} epochs on {weights.MODEL}"
    yield ratio(name, "a plain loop", [(floor, ours)], 1.3, unit="s")
    yield Figure(f"{name}: memory", "at its most", ours=memory, bound=2, unit="GB", rounds=1)


def _line(number: int) -> str:
    answer = f"Ahoy! {number} and {number + 1} are {2 * number + 1}. Over and out."
    messages = [
        {"role": "user", "content": f"What are {number} and {number + 1} together?"},
        {"role": "assistant", "content": answer},
    ]
    return json.dumps({"messages": messages}) + "\n"


def _timed(arguments: list[str], folder: Path) -> tuple[float, float]:
    """Return the seconds that a Python takes, and the gigabytes it had at its most."""
    settings = os.environ | {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "PYTHONPATH": str(ROOT)}
    log = folder / "training.log"
    begun = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=folder, env=settings, stdout=output, stderr=output
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise AssertionError(log.read_text())
    return time.monotonic() - begun, _gigabytes(used)


def _gigabytes(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
