"""``python -m openai_magics.local``: the engine in the foreground, for any OpenAI client.

Tuned models, files and fine-tuning jobs are served with it. ``export MODEL FOLDER`` writes a
tuned model for others.
"""

from __future__ import annotations

# ruff: noqa: T201 - what a command says
import argparse
import sys

from openai_magics.errors import ExtraMissing, MagicsError
from openai_magics.local import process, weights


def main(arguments: list[str] | None = None) -> int:
    """Run the engine until Ctrl-C, or export a model; return the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["export"]:
        return _export(given[1:])
    parser = argparse.ArgumentParser(
        prog="python -m openai_magics.local",
        description="Run the embedded engine, and print how an OpenAI client reaches it: its "
        "model, tuned models, files and fine-tuning jobs. `export MODEL FOLDER` writes a tuned "
        "model for others.",
    )
    parser.add_argument("--port", type=int, default=0, help="a port on loopback (default: any)")
    parser.add_argument(
        "--model",
        help="a GGUF file, or owner/repo/file.gguf on Hugging Face (default: "
        f"what {weights.VARIABLE} names, else {weights.MODEL})",
    )
    options = parser.parse_args(given)
    try:
        if not process.installed():
            raise ExtraMissing("The embedded engine", "local")
        path = weights.ensure(_show if sys.stderr.isatty() else None, options.model)
        child = process.start(path, port=options.port, front=True, mmproj=weights.mmproj())
    except MagicsError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"# {weights.description(child.engine.model)}; Ctrl-C ends it")
    print(f"OPENAI_BASE_URL={child.engine.base_url}")
    print(f"OPENAI_API_KEY={child.engine.api_key}", flush=True)
    try:
        child.process.wait()
    except KeyboardInterrupt:
        child.stop()
        return 0
    print("The engine ended by itself.", file=sys.stderr)
    return 1


def _export(given: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m openai_magics.local export",
        description="Write a tuned model as a folder: adapter, merged GGUF, card with lineage.",
    )
    parser.add_argument("model", help="its name, ft:…")
    parser.add_argument("folder", help="a folder that is new or empty")
    options = parser.parse_args(given)
    from openai_magics.local.train.export import export

    try:
        print(export(options.model, options.folder))
    except MagicsError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _show(label: str, done: int, total: int) -> None:
    end = "\n" if done >= total else ""
    print(f"\r{label}: {done / 1e6:.0f} of {total / 1e6:.0f} MB", end=end, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
