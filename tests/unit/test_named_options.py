"""Whatever a message tells a person to type exists: options, magics, settings, variables."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import openai_magics
from openai_magics.config import SETTINGS
from openai_magics.magics.families import FAMILIES

HOUSE = Path(openai_magics.__file__).parent
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*\b(?!:)")
MAGIC = re.compile(r"(?<![\w%{])%%?([a-z]{3,})\b(?!\))")
CONFIGURED = re.compile(r"OpenAIMagics\.([a-z_]+)")
VARIABLE = re.compile(r"\bOPENAI_MAGICS_[A-Z_]+\b")

OF_OTHERS = {
    "--no-deps",  # pip
    "--upgrade",
    "--user",
    "--nbval",  # pytest
    "--nbval-lax",
    "--force-reinstall",
    "--index-url",
    "--lora",  # llama.cpp
}
"""Options of other programs that messages name."""
OF_IPYTHON = {"config", "load_ext", "reload_ext", "pip", "matplotlib", "run", "env", "reset"}


@cache
def trees() -> dict[str, ast.Module]:
    """Return every module of the package, parsed."""
    return {
        str(path.relative_to(HOUSE)): ast.parse(path.read_text("utf-8"))
        for path in sorted(HOUSE.rglob("*.py"))
    }


def told(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the texts with a space in them that are no docstrings, and their lines."""
    docs = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and " " in text.strip() and id(node) not in docs:
            yield node.lineno, text


@cache
def declared() -> frozenset[str]:
    """Return the options that a parser of ours takes: they stand by themselves in the source."""
    found = set()
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, (ast.Tuple, ast.Call)):
                items = node.elts if isinstance(node, ast.Tuple) else node.args
                found |= {
                    item.value
                    for item in items
                    if isinstance(item, ast.Constant)
                    and isinstance(item.value, str)
                    and OPTION.fullmatch(item.value)
                }
    return frozenset(found)


def read() -> set[str]:
    """Return the variables of the environment that stand by themselves in the source."""
    return {
        node.value
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and VARIABLE.fullmatch(node.value)
    }


def missing(pattern: re.Pattern[str], known: frozenset[str] | set[str]) -> list[str]:
    """Return what messages name that is not *known*, and where."""
    return [
        f"{name}:{line}: {match[match.re.groups]} in {text[:80]!r}"
        for name, tree in trees().items()
        for line, text in told(tree)
        if "{{" not in text and "<style" not in text and "var(--" not in text
        for match in pattern.finditer(text)
        if match[match.re.groups] not in known
    ]


def test_options_exist() -> None:
    """An option that a message names is taken by a parser."""
    assert {"--fetch", "--schema", "--dry-run", "--yes"} <= declared()
    assert missing(OPTION, declared() | OF_OTHERS) == []


def test_magics_exist() -> None:
    """A magic that a message names is there once the extension is loaded."""
    assert missing(MAGIC, {*FAMILIES, *OF_IPYTHON}) == []


def test_settings_exist() -> None:
    """A setting, and a variable of the environment."""
    assert missing(CONFIGURED, set(SETTINGS)) == []
    assert missing(VARIABLE, read() | {str(item.environment) for item in SETTINGS.values()}) == []
