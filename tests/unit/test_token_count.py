"""Tokens by a rule: near the count, and the same wherever a notebook is run."""

from __future__ import annotations

import random
import sys
from base64 import b64encode

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_magics import token_count, values
from openai_magics.token_count import estimated

SURE = random.Random(7)
TEXTS = {
    "english": token_count.__doc__ or "",
    "code": (values.__doc__ or "") + "def row(cells: list[int]) -> str:\n    return str(cells)\n",
    "json": '{"city": "Rome", "people": 2748109, "area": 1285.31, "tags": ["old", "capital"]}' * 9,
    "russian": "Модель отвечает на вопросы о данных и объясняет ошибки в коде. " * 9,
    "german": "Die Geschwindigkeitsbegrenzung auf Autobahnen wird oft diskutiert. " * 9,
    "chinese": "模型回答有关数据的问题,并解释代码中的错误。" * 9,
    "japanese": "モデルはデータに関する質問に答え、コードのエラーを説明します。" * 9,
    "floats": values.text_of(
        pd.DataFrame([[SURE.gauss(0, 1) for _ in range(9)] for _ in "a" * 30])
    ),
    "hex": "".join(f"{SURE.getrandbits(256):064x}\n" for _ in range(20)),
    "base64": b64encode(SURE.randbytes(3000)).decode(),
    "latex": r"$\frac{\partial u}{\partial t} = \alpha \nabla^2 u$ " * 9,
    "emoji": "😀🎉🚀 👍🏽 " * 9,
}


@pytest.mark.parametrize("kind", TEXTS)
def test_it_is_near_the_count(kind: str) -> None:
    """From 0.6 to 1.7 times what the vocabulary of OpenAI's models counts."""
    quicktok = pytest.importorskip("quicktok")
    counted = len(quicktok.get_encoding("o200k_base").encode_ordinary(TEXTS[kind]))
    assert 0.6 * counted <= estimated(TEXTS[kind]) <= 1.7 * counted


@given(st.text(), st.text())
def test_any_text(one: str, other: str) -> None:
    """Nothing has no tokens; more text has no fewer, but where two pieces become one."""
    assert (estimated(one) == 0) is (not one)
    whole = estimated(f"{one}\n{other}")
    assert whole <= estimated(one) + 1 + estimated(other)
    assert whole + 1 >= max(estimated(one), estimated(other))


def test_a_prompt_does_not_depend_on_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table in it is cut at the same row without the extra that counts."""
    frame = pd.DataFrame({f"c{n}": ["long words and more"] * 90 for n in range(20)})
    told = values.text_of(frame)
    assert "(cut: " in told
    monkeypatch.setitem(sys.modules, "quicktok", None)
    assert values.text_of(frame) == told
