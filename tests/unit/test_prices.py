"""What an answer cost."""

from __future__ import annotations

import math
from typing import Any

import pytest

from openai_magics import prices

USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}
HOSTED = "api.openai.com"


def test_known() -> None:
    """A model of a service whose prices are published costs what its tokens cost."""
    cost = prices.cost("gpt-4o-mini", HOSTED, USAGE)
    assert cost == pytest.approx(1000 * 0.15e-6 + 100 * 0.6e-6)


def test_more_tokens_cost_more() -> None:
    """Of either kind; what the service had cached costs less."""
    more = prices.cost("gpt-4o-mini", HOSTED, USAGE | {"completion_tokens": 200})
    cached = prices.cost(
        "gpt-4o-mini", HOSTED, USAGE | {"prompt_tokens_details": {"cached_tokens": 500}}
    )
    assert cached < prices.cost("gpt-4o-mini", HOSTED, USAGE) < more


def test_the_served_name_is_known_too() -> None:
    """Models are named with a date where they answer."""
    dated = prices.cost("gpt-4o-mini-2024-07-18", HOSTED, USAGE)
    assert dated == prices.cost("gpt-4o-mini", HOSTED, USAGE)


def test_the_engine_on_this_machine_costs_nothing() -> None:
    """Whatever it is called."""
    assert prices.cost("SmolLM2-135M-Instruct", "local", USAGE) == 0.0
    assert prices.cost(None, "local", {}) == 0.0


@pytest.mark.parametrize(
    ("model", "endpoint", "usage"),
    [
        pytest.param("my-own-model", HOSTED, USAGE, id="a model nobody knows"),
        pytest.param("gpt-4o-mini", "models.example", USAGE, id="a service nobody knows"),
        pytest.param("gpt-4o-mini", "localhost:11434", USAGE, id="a server on this machine"),
        pytest.param("gpt-4o-mini", "127.0.0.1:8000", USAGE, id="by its address"),
        pytest.param("gpt-4o-mini", "[::1]:8000", USAGE, id="by its other address"),
        pytest.param(None, HOSTED, USAGE, id="no model"),
        pytest.param("gpt-4o-mini", None, USAGE, id="no service"),
        pytest.param("gpt-4o-mini", HOSTED, {}, id="no usage"),
        pytest.param("gpt-4o-mini", HOSTED, {"prompt_tokens": None}, id="usage that is null"),
    ],
)
def test_unknown(model: str | None, endpoint: str | None, usage: dict[str, Any]) -> None:
    """What is not known is NaN: never zero, and never an error."""
    assert math.isnan(prices.cost(model, endpoint, usage))


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 10},
        {"prompt_tokens": 10, "completion_tokens": None},
        {"prompt_tokens": 10, "prompt_tokens_details": None},
        {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": None}},
        {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 50}},
        {"prompt_tokens": -1},
        {"prompt_tokens": "10"},
        {"prompt_tokens": 10, "prompt_tokens_details": 3},
    ],
)
def test_odd_usage(usage: dict[str, Any]) -> None:
    """A server that counts strangely does not keep an answer from being recorded."""
    assert isinstance(prices.cost("gpt-4o-mini", HOSTED, usage), float)
