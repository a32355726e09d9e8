"""Charts as SVG: the same numbers give the same bytes, and nothing of a label is active.

Lines and letters take the colour of the text around them, so a chart fits a dark theme too.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence

from openai_magics import render

__all__ = ["COLOURS", "bars", "curves", "short"]

WIDTH, HEIGHT = 640, 230
LEFT, RIGHT, TOP, BOTTOM = 54, 10, 10, 26
COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2", "#9d755d")
"""Told apart on white and on black; what is beyond them goes in together."""
OTHERS = "others"
WIDEST = 80


def bars(labels: Sequence[str], series: Mapping[str, Sequence[float]], title: str) -> str:
    """Return stacked bars, one a label; the series beyond the colours there are go together.

    Parameters
    ----------
    labels : sequence of str
        Below the bars.
    series : mapping of str to sequence of float
        A name, as many numbers as there are labels, none below 0.
    title : str
        For who cannot see it.
    """
    series = _few(series)
    tops = [sum(values[at] for values in series.values()) for at in range(len(labels))]
    scale = _Scale(0.0, max(tops, default=0.0))
    step = min(WIDEST, (WIDTH - LEFT - RIGHT) / max(len(labels), 1))
    drawn = [scale.lines()]
    for at, label in enumerate(labels):
        x, base = LEFT + at * step, 0.0
        for (name, values), colour in zip(series.items(), COLOURS, strict=False):
            if values[at] > 0:
                low, high = scale.y(base), scale.y(base + values[at])
                drawn.append(
                    f'<rect x="{x + step * 0.12:.1f}" y="{high:.1f}" width="{step * 0.76:.1f}" '
                    f'height="{low - high:.1f}" fill="{colour}">'
                    f"<title>{_text(f'{label}, {name}: {short(values[at])}')}</title></rect>"
                )
                base += values[at]
        if at % max(1, math.ceil(len(labels) / 8)) == 0:
            drawn.append(_word(x + step / 2, HEIGHT - 8, label, "middle"))
    return _framed(drawn, title) + legend(series)


def curves(series: Mapping[str, Sequence[tuple[float, float]]], title: str) -> str:
    """Return lines through points ``(x, y)``, a colour a name; what is not finite is left out."""
    kept = {
        name: [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
        for name, points in series.items()
    }
    kept = {name: sorted(points) for name, points in kept.items() if points}
    xs = [x for points in kept.values() for x, _ in points] or [0.0]
    ys = [y for points in kept.values() for _, y in points] or [0.0]
    scale = _Scale(min(0.0, *ys), max(ys))
    span = (max(xs) - min(xs)) or 1.0
    drawn = [scale.lines()]

    def place(x: float, y: float) -> str:
        across = LEFT + 6 + (x - min(xs)) / span * (WIDTH - LEFT - RIGHT - 12)
        return f"{across:.1f},{scale.y(y):.1f}"

    for (_, points), colour in zip(kept.items(), COLOURS, strict=False):
        line = " ".join(place(x, y) for x, y in points)
        drawn.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if len(points) <= 60:
            for x, y in points:
                across, down = place(x, y).split(",")
                drawn.append(
                    f'<circle cx="{across}" cy="{down}" r="3" fill="{colour}">'
                    f"<title>{_text(f'{short(x)}: {y:.4g}')}</title></circle>"
                )
    drawn.append(_word(LEFT + 6, HEIGHT - 8, short(min(xs)), "start"))
    if max(xs) > min(xs):
        drawn.append(_word(WIDTH - RIGHT, HEIGHT - 8, short(max(xs)), "end"))
    return _framed(drawn, title) + legend(kept)


def legend(names: Iterable[str]) -> str:
    """Return the names with their colours."""
    marks = (
        f'<span style="display: inline-block; margin-right: 1em">'
        f'<span style="color: {colour}">&#9632;</span> {_text(name)}</span>'
        for name, colour in zip(names, COLOURS, strict=False)
    )
    return f"<div><small>{''.join(marks)}</small></div>"


def short(number: float) -> str:
    """Return a number in a few letters: ``950``, ``1.2k``, ``3M``."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def _few(series: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    if len(series) <= len(COLOURS):
        return dict(series)
    largest = sorted(series, key=lambda name: -sum(series[name]))[: len(COLOURS) - 1]
    rest = [values for name, values in series.items() if name not in largest]
    kept: dict[str, Sequence[float]] = {n: v for n, v in series.items() if n in largest}
    return {**kept, OTHERS: [sum(column) for column in zip(*rest, strict=True)]}


class _Scale:
    """From numbers to heights: round numbers at the lines."""

    def __init__(self, low: float, high: float) -> None:
        span = (high - low) or 1.0
        rough = span / 4
        power = 10.0 ** math.floor(math.log10(rough))
        self.step = next(power * one for one in (1, 2, 2.5, 5, 10) if power * one >= rough * 0.999)
        self.low = math.floor(low / self.step) * self.step
        self.count = max(1, math.ceil((low + span - self.low) / self.step - 1e-9))

    def y(self, value: float) -> float:
        """How far down a number stands."""
        share = (value - self.low) / (self.step * self.count)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def lines(self) -> str:
        """The lines across, with their numbers."""
        found = []
        for at in range(self.count + 1):
            value = self.low + at * self.step
            y = self.y(value)
            found.append(
                f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
                'stroke="currentColor" stroke-opacity="0.2"/>'
                + _word(LEFT - 6, y + 4, short(value), "end")
            )
        return "".join(found)


def _word(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" fill="currentColor" '
        f'text-anchor="{anchor}">{_text(text)}</text>'
    )


def _framed(drawn: Sequence[str], title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{_text(title)}" '
        f'style="width: 100%; max-width: {WIDTH}px; height: auto">{"".join(drawn)}</svg>'
    )


def _text(text: str) -> str:
    return html.escape(render.printable(text))
