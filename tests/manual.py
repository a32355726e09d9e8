"""The tables of docs/options.md, made from the parsers and settings: ``python -m tests.manual`` rewrites them."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
OPTIONS = README.parent / "docs" / "options.md"


def ask_table() -> str:
    """Return the options of ask as a Markdown table."""
    from openai_magics.magics.ask_options import ASK_ARGUMENTS

    rows = ["| option | does |", "|---|---|"]
    for flags, settings in ASK_ARGUMENTS:
        value = settings.get("metavar") or ("" if "action" in settings else flags[-1][2:].upper())
        if "choices" in settings:
            value = "\\|".join(settings["choices"])
        names = ", ".join(f"`{flag}`" for flag in flags)
        rows.append(f"| {names}{f' {value}' if value else ''} | {settings['help']} |")
    return "\n".join(rows)


def settings_table() -> str:
    """Return the settings as a Markdown table."""
    from openai_magics.config import SETTINGS

    rows = ["| setting | environment | default | is |", "|---|---|---|---|"]
    for item in SETTINGS.values():
        default = "" if item.default is None else f"`{item.default}`"
        rows.append(f"| `{item.name}` | `{item.environment}` | {default} | {item.purpose} |")
    return "\n".join(rows)


def rewritten(text: str) -> str:
    """Return a text with its tables made anew."""
    for name, table in (("ask options", ask_table()), ("settings", settings_table())):
        pattern = rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end -->)"
        text = re.sub(
            pattern, lambda m, made=table: f"{m[1]}\n{made}\n\n{m[2]}", text, flags=re.DOTALL
        )
    return text


if __name__ == "__main__":
    OPTIONS.write_text(rewritten(OPTIONS.read_text("utf-8")), "utf-8")
