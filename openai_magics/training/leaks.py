"""What should not be learned by heart: keys, and e-mail addresses of people.

Shapes of keys as their makers document them (OpenAI ``sk-``, AWS ``AKIA``, GitHub ``ghp_`` and
``github_pat_``, GitLab ``glpat-``, Slack ``xox?-``, Google ``AIza``, Hugging Face ``hf_``, PEM
private keys).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from openai_magics.training.problems import Problem

__all__ = ["found", "suspects"]

KEYS: tuple[tuple[bytes, str, bytes], ...] = (
    (b"sk-", "OpenAI", rb"\bsk-(?:proj-|ant-|svcacct-)?[A-Za-z0-9_-]{20,}"),
    (b"AKIA", "AWS", rb"\bAKIA[0-9A-Z]{16}\b"),
    (b"ghp_", "GitHub", rb"\bghp_[A-Za-z0-9]{36}\b"),
    (b"github_pat_", "GitHub", rb"\bgithub_pat_[A-Za-z0-9_]{40,}"),
    (b"glpat-", "GitLab", rb"\bglpat-[A-Za-z0-9_-]{20,}"),
    (b"xox", "Slack", rb"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    (b"AIza", "Google", rb"\bAIza[0-9A-Za-z_-]{35}\b"),
    (b"hf_", "Hugging Face", rb"\bhf_[A-Za-z0-9]{30,}\b"),
    (b"PRIVATE KEY-----", "private", rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
)
EMAIL = re.compile(
    rb"[A-Za-z0-9][A-Za-z0-9._%+-]*@[A-Za-z0-9](?:[A-Za-z0-9-]*\.)+[A-Za-z]{2,}", re.ASCII
)
RESERVED = (b"example.com", b"example.org", b"example.net", b".example", b".test", b".invalid")
"""Domains that are nobody's (RFC 2606)."""
SHOWN = 30
COMPILED = {mark: (name, re.compile(pattern)) for mark, name, pattern in KEYS}
AT = b"@"


def suspects(data: bytes) -> list[bytes]:
    """Return the marks of secrets that stand in some data; quick where there are none.

    Looking for each mark would cost more than decoding all of the data. Comparing all bytes
    with one at once is a tenth of that, and a mark is sought only where its bytes are met.
    """
    import numpy as np

    held = np.frombuffer(data, np.uint8)
    # Four rare bytes, and what stands before each.
    dash, upper, low, x = (np.flatnonzero(held == ord(letter)) for letter in "-Kzx")
    first, second = held[dash - 1], held[dash - 2]
    likely = [
        (b"sk-", (first == ord("k")) & (second == ord("s"))),
        (b"glpat-", (first == ord("t")) & (second == ord("a"))),
        (b"PRIVATE KEY-----", first == ord("-")),
        (b"AKIA", held[upper - 1] == ord("A")),
        (b"AIza", held[low - 1] == ord("I")),
        (b"xox", x[1:] - x[:-1] == 2),
    ]
    if b"_" in data:
        before = held[np.flatnonzero(held == ord("_")) - 1]
        likely += [
            (mark, before == ord(letter))
            for mark, letter in ((b"ghp_", "p"), (b"hf_", "f"), (b"github_pat_", "t"))
        ]
    found = [mark for mark, where in likely if where.any() and mark in data]
    return [*found, AT] if AT in data else found


def found(line: bytes, marks: list[bytes]) -> Iterator[Problem]:
    """Yield the secrets with some marks in a line, none of them shown whole."""
    for mark in marks:
        if mark not in line:
            continue
        if mark == AT:
            yield from _addresses(line)
            continue
        name, pattern = COMPILED[mark]
        for match in pattern.finditer(line):
            yield Problem(
                "key",
                f"It holds what looks like a key ({name}): {match[0][:5].decode('ascii')}…",
                "Take it out, and revoke it if it is real: a tuned model may repeat it.",
                column=_column(line, match.start()),
            )


def _addresses(line: bytes) -> Iterator[Problem]:
    for match in EMAIL.finditer(line):
        name, _, domain = match[0].decode("ascii").rpartition("@")
        if not match[0].lower().endswith(RESERVED):
            yield Problem(
                "e-mail address",
                f"It holds an e-mail address: {name[0]}…@{domain[:SHOWN]}",
                "Replace it by a made-up one (name@example.org) if it is a person's.",
                "warning",
                column=_column(line, match.start()),
            )


def _column(line: bytes, at: int) -> str:
    return str(len(line[:at].decode("utf-8", "replace")) + 1)
