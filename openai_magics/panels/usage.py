"""What was used, as a chart by day and model, and as figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openai_magics import charts
from openai_magics.panels.table import Column, Row, as_html

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MEASURES", "usage_html"]

MEASURES = ("tokens", "requests", "cost")
DAYS = 60
"""Days in the chart at most, the latest."""
COLUMNS = (
    Column("model", "model"),
    Column("requests", "requests", "right"),
    Column("in", "prompt tokens", "right"),
    Column("out", "completion tokens", "right"),
    Column("cost", "cost (USD)", "right"),
)


def usage_html(frame: pd.DataFrame, measure: str) -> str:
    """Return usage by day and model (see `Dialogue.usage`) as a chart and a table.

    Parameters
    ----------
    frame : DataFrame
        One row a day and model.
    measure : {"tokens", "requests", "cost"}
        What the bars are of; the cost is of those requests whose price is known.
    """
    if not len(frame):
        return "<p>Nothing was asked yet.</p>"
    frame = frame.assign(
        model=frame["model"].fillna("(not told)"),
        day=frame["day"].fillna("(not told)"),
        tokens=frame[["prompt_tokens", "completion_tokens"]].fillna(0).sum(axis=1),
    )
    wide = frame.pivot_table(
        index="day", columns="model", values=measure, aggfunc="sum", fill_value=0
    ).tail(DAYS)
    series = {str(name): [float(value) for value in wide[name]] for name in wide.columns}
    title = f"{measure} by day and model"
    return charts.bars([str(day) for day in wide.index], series, title) + as_html(
        COLUMNS, _rows(frame)
    )


def _rows(frame: pd.DataFrame) -> list[Row]:
    sums: Any = frame.groupby("model", sort=True)[
        ["requests", "prompt_tokens", "completion_tokens", "cost", "unpriced"]
    ].sum()
    found = []
    for model, line in sums.iterrows():
        cost = f"{line['cost']:.4f}"
        if line["unpriced"]:
            cost += f" and {int(line['unpriced']):,} of unknown price"
        counts = (line["requests"], line["prompt_tokens"], line["completion_tokens"])
        found.append(Row(str(model), (str(model), *(f"{int(n):,}" for n in counts), cost)))
    return found
