"""Axes that many panels share, as numbers: where a value lies, and which values are written beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from results.figures.data import ErrorAxis, Panel


@dataclass(frozen=True)
class Scale:
    """From `low` to `high`, with (value, text) ticks."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def __call__(self, values: ArrayLike) -> NDArray[np.float64]:
        """Shares of the axis: 0 is its start, 1 its end."""
        low, high = self.low, self.high
        found = np.asarray(values, np.float64)
        if self.logarithmic:
            low, high, found = math.log(low), math.log(high), np.log(np.maximum(found, low / 100))
        return (found - low) / (high - low)

    @property
    def longest(self) -> int:
        """Letters of the longest tick."""
        return max((len(text) for _, text in self.ticks), default=0)


def step_scale(panels: Sequence[Panel], ticks: int) -> Scale:
    """From the first to the last training step of any line, and a little more."""
    steps = np.concatenate([line.steps for p in panels for line in (*p.lines, *p.backdrop)])
    low, high = float(steps.min()), float(steps.max())
    margin = 0.02 * (high - low) or 1.0
    low, high = low - margin, high + margin
    places = MaxNLocator(ticks, integer=True, steps=[1, 2, 5, 10]).tick_values(low, high)
    return Scale(low, high, tuple((t, f"{t:,.0f}") for t in places if low <= t <= high))


def fraction_scale() -> Scale:
    """Shares, as percentages."""
    return Scale(-0.02, 1.04, tuple((t / 4, f"{25 * t}%") for t in range(5)))


def error_scale(axis: ErrorAxis) -> Scale:
    """Errors in percent."""
    low, high = axis.low, axis.high
    if not axis.logarithmic:
        return Scale(low, high, _round_ticks(low, high, 5))
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    candidates = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    return Scale(low, high, tuple((t, f"{t:.10g}") for t in candidates if low <= t <= high), logarithmic=True)


def value_scale(values: Iterable[float], ticks: int, margin: float = 0.06, least: float = -math.inf) -> Scale:
    """Around some values, and not below `least`."""
    found = list(values)
    low, high = min(found), max(found)
    more = margin * (high - low) if high > low else 0.5
    low, high = max(least, low - more), high + more
    return Scale(low, high, _round_ticks(low, high, ticks))


def _round_ticks(low: float, high: float, most: int) -> tuple[tuple[float, str], ...]:
    places = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return tuple((t, _number(t)) for t in places if low <= t <= high)


def _number(value: float) -> str:
    text = f"{value:,.6f}".rstrip("0").rstrip(".") if abs(value) < 1e6 else f"{value:.4g}"
    return ("0" if text == "-0" else text).replace("-", "−")
