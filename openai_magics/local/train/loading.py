"""Loading what is trained: the model in plain numbers, its tokenizer, and a LoRA adapter on it."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Any

from openai_magics.local.train.plan import Plan
from openai_magics.local.train.runner import TrainingFailed

__all__ = ["base", "device", "with_adapter"]


def device(wanted: str | None) -> str:
    """Return where to train: what is wanted, else a GPU where there is one."""
    import torch

    if wanted is not None:
        return wanted
    if torch.cuda.is_available():
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def base(model: str, where: str) -> tuple[Any, Any]:
    """Return a model and its tokenizer; of a GGUF the weights are unpacked.

    Raises
    ------
    TrainingFailed
        It cannot be loaded.
    """
    os.environ.setdefault("TQDM_DISABLE", "1")
    gguf = Path(model) if model.endswith(".gguf") else None
    if gguf is not None or Path(model).is_dir():
        os.environ["HF_HUB_OFFLINE"] = "1"  # before it is imported: nothing is to be asked for
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    dtype = torch.float32 if where in ("cpu", "mps") else torch.bfloat16
    given = {"gguf_file": gguf.name} if gguf is not None else {}
    source = str(gguf.parent) if gguf is not None else model
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tokenizer = transformers.AutoTokenizer.from_pretrained(source, **given)
            loaded = transformers.AutoModelForCausalLM.from_pretrained(source, dtype=dtype, **given)
    except (OSError, ValueError, KeyError, NotImplementedError, RuntimeError) as error:
        what = str(error).strip().splitlines() or [type(error).__name__]
        raise TrainingFailed(
            "model_not_available", f"The model {model} cannot be loaded: {what[0]}", "model"
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    loaded.config.use_cache = False
    return loaded.to(where), tokenizer


def with_adapter(model: Any, plan: Plan) -> Any:
    """Return the model with an adapter that is trained: a new one, or one to go on from."""
    import peft
    import torch

    if sys.platform == "linux" and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(plan.seed)
    if plan.adapter is not None:
        return peft.PeftModel.from_pretrained(model, plan.adapter, is_trainable=True)
    config = peft.LoraConfig(
        r=plan.rank,
        lora_alpha=2 * plan.rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return peft.get_peft_model(model, config)
