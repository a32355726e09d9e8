"""``python -m openai_magics.local``: the engine in the foreground, for any OpenAI client."""

from __future__ import annotations

# ruff: noqa: T201 - what a command says
import argparse
import sys

from openai_magics.errors import ExtraMissing, MagicsError
from openai_magics.local import process, weights


def main(arguments: list[str] | None = None) -> int:
    """Run the engine until Ctrl-C; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m openai_magics.local",
        description="Run the embedded engine, and print how an OpenAI client reaches it.",
    )
    parser.add_argument("--port", type=int, default=0, help="a port on loopback (default: any)")
    parser.add_argument(
        "--model",
        help="a GGUF file, or owner/repo/file.gguf on Hugging Face (default: "
        f"what {weights.VARIABLE} names, else {weights.MODEL})",
    )
    options = parser.parse_args(arguments)
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


def _show(label: str, done: int, total: int) -> None:
    end = "\n" if done >= total else ""
    print(f"\r{label}: {done / 1e6:.0f} of {total / 1e6:.0f} MB", end=end, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
