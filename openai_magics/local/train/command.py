"""The trainer's command: a job of the queue, or a training by itself."""

from __future__ import annotations

# ruff: noqa: T201 - what a command says
import argparse
import sys
from pathlib import Path

from openai_magics.local.jobs import check, outcome
from openai_magics.local.jobs.job import Job
from openai_magics.local.train.child import begin_process
from openai_magics.local.train.plan import Plan, of_job
from openai_magics.local.train.runner import TrainingFailed, Work
from openai_magics.local.train.runner import run as run_job

__all__ = ["run"]


def run(arguments: list[str] | None = None) -> int:
    """Train, as the command line says; return the exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.job is not None:
        begin_process()
        return run_job(Job(given.job), _begin)
    if given.data is None or given.model is None or given.out is None:
        parser.error("DATA, --model and --out are needed (or --job)")
    try:
        return _alone(given)
    except (check.BadData, TrainingFailed) as error:
        print(f"{type(error).__name__}: {error.message}", file=sys.stderr)
    except OSError as error:
        print(outcome.disk_full(error, given.out.parent)[1], file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m openai_magics.local.train",
        description="Train a LoRA adapter on chat data (OpenAI's JSON lines). On several GPUs: "
        "accelerate launch -m openai_magics.local.train … or torchrun -m ….",
    )
    parser.add_argument("data", nargs="?", type=Path, help="the examples")
    parser.add_argument("--job", type=Path, help="the folder of a job (for the queue)")
    parser.add_argument("--model", help="a GGUF file, or a Hugging Face model: a folder or a name")
    parser.add_argument("--out", type=Path, help="the folder that the adapter goes to")
    parser.add_argument("--validation", type=Path, help="examples to measure the loss on")
    parser.add_argument("--method", choices=("supervised", "dpo"), default="supervised")
    parser.add_argument("--epochs", default="auto", help="how often each example is seen (auto)")
    parser.add_argument("--batch-size", default="auto", help="examples a step (auto)")
    parser.add_argument(
        "--rate", type=float, default=1.0, help="by what the learning rate is multiplied (1)"
    )
    parser.add_argument("--beta", type=float, default=0.1, help="of dpo (0.1)")
    parser.add_argument("--rank", type=int, default=8, help="of the adapter (8)")
    parser.add_argument("--seed", type=int, default=42, help="(42)")
    parser.add_argument("--device", help="cpu, cuda, mps (a GPU where there is one)")
    parser.add_argument(
        "--gradient-checkpointing",
        action=argparse.BooleanOptionalAction,
        help="less memory for a third more time (for long examples)",
    )
    return parser


def _begin(job: Job) -> Work:
    from openai_magics.local.train.lora import Lora
    from openai_magics.local.train.spread import Spread

    return Lora(of_job(job), Spread(), lambda text: job.event(text, "warn"))


def _alone(given: argparse.Namespace) -> int:
    """Train without a job: the adapter goes to a folder, what is measured to the terminal."""
    found = check.check(given.data, given.method, "training_file")
    if given.validation is not None:
        check.check(given.validation, given.method, "validation_file", 1)
    chosen = {"n_epochs": given.epochs, "batch_size": given.batch_size}
    outcome.told(chosen, found.examples)
    plan = Plan(
        given.model,
        given.data,
        given.validation,
        given.method,
        n_epochs=int(chosen["n_epochs"]),
        batch_size=int(chosen["batch_size"]),
        learning_rate_multiplier=given.rate,
        beta=given.beta,
        seed=given.seed,
        rank=given.rank,
        device=given.device,
        gradient_checkpointing=given.gradient_checkpointing,
    )
    from openai_magics.local.train.lora import Lora
    from openai_magics.local.train.spread import Spread

    spread = Spread()

    def tell(text: str) -> None:
        if spread.first:
            print(text, flush=True)

    work = Lora(plan, spread, tell)
    for number in range(1, work.steps + 1):
        row = work.step(number)
        if number % work.per_epoch == 0:
            row |= work.validate()
        measured = ", ".join(f"{name} {value:.3f}" for name, value in row.items())
        tell(f"step {number}/{work.steps}: {measured}")
    if spread.first:
        given.out.mkdir(parents=True, exist_ok=True)
        work.save(given.out)
        tell(f"{given.out}: {work.verify(given.out)}")
    spread.end()
    return 0
