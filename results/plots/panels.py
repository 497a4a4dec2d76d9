"""Small multiples of curves over training steps.

All panels stand in one pair of axes whose unit is the inch: axes of their own for each panel cost matplotlib four times as long.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox, TransformedBbox
from numpy.typing import NDArray

from results.figures import Line, Panel
from results.plots.canvas import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    VERMILLION,
    WIDTH,
    Drawing,
    drawing,
    wrap,
)

_LOOKS: Mapping[str, dict[str, Any]] = {
    "val_error": {"color": BLUE},
    "pseudo_label_accuracy_real": {"color": BLUE},
    "pseudo_label_accuracy_synthetic": {"color": VERMILLION},
    "coverage_real": {"color": BLUE, "linestyle": (0, (4, 1.6))},
    "coverage_synthetic": {"color": VERMILLION, "linestyle": (0, (4, 1.6))},
    "detector_auroc": {"color": INK},
    "detector_precision": {"color": GREEN, "linestyle": (0, (4, 1.6))},
    "detector_recall": {"color": PURPLE, "linestyle": (0, (1.2, 1.2))},
}


_LEFT, _RIGHT, _BOTTOM, _GAP = 0.68, 0.16, 0.44, 0.2
"""Inches around and between the panels."""
_PLOT, _LINE_OF_TEXT, _UNDER = 1.27, 0.15, 0.14
"""Inches of height: a panel without its title, a line of text, the space below a panel."""
_LEGEND_COLUMNS = 4


@dataclass(frozen=True)
class _Scale:
    """An axis that all panels share."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def __call__(self, values: NDArray[Any] | float) -> NDArray[np.float64]:
        """Shares of the axis: 0 is its start, 1 its end."""
        low, high = self.low, self.high
        found = np.asarray(values, np.float64)
        if self.logarithmic:
            low, high, found = math.log(low), math.log(high), np.log(np.maximum(found, low / 100))
        return (found - low) / (high - low)


def draw_panels(panels: Sequence[Panel], *, ylabel: str, fraction: bool, backdrop_label: str = "") -> Drawing:
    """Small multiples on common axes: lines with bands over training steps, three panels a row."""
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    titles = [wrap(p.title, 34 if columns == 3 else 60) for p in panels]
    handles = _handles(panels, backdrop_label)
    across, up = _step_scale(panels), _fractions() if fraction else _error_scale(panels)
    title_height = _LINE_OF_TEXT * max(t.count("\n") + 1 for t in titles) + 0.06
    legend_height = _legend_height(handles)
    width = (WIDTH - _LEFT - _RIGHT - _GAP * (columns - 1)) / columns
    height = legend_height + rows * (title_height + _PLOT + _UNDER) + _BOTTOM
    with drawing():
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, WIDTH), ylim=(height, 0))
        axes.set_axis_off()
        for place, (panel, title) in enumerate(zip(panels, titles, strict=True)):
            row, column = divmod(place, columns)
            left = _LEFT + column * (width + _GAP)
            top = legend_height + row * (title_height + _PLOT + _UNDER) + title_height
            axes.text(left, top - 0.06, title, va="bottom", color=INK)
            frame = _Frame(axes, left, top, width, across, up)
            frame.grid(steps=place + columns >= len(panels), values=column == 0)
            for behind in panel.backdrop:
                frame.line(behind, {"color": GREY, "linewidth": 1.2}, band=0.0)
            for one in panel.lines:
                frame.line(one, _LOOKS.get(one.metric, {"color": ORANGE}), band=0.16)
        middle = legend_height + (height - _BOTTOM - legend_height) / 2
        axes.text((WIDTH + _LEFT) / 2, height - 0.08, "training step", ha="center", va="bottom")
        axes.text(0.08, middle, ylabel, ha="left", va="center", rotation=90)
        figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(0.06 / WIDTH, 1 - 0.04 / height),
            ncols=_LEGEND_COLUMNS,
            handlelength=2.4,
            borderpad=0.1,
            borderaxespad=0.0,
            columnspacing=1.6,
        )
        return Drawing(figure)


@dataclass(frozen=True)
class _Frame:
    """One panel's place, in inches from the left and from the top."""

    axes: Axes
    left: float
    top: float
    width: float
    across: _Scale
    up: _Scale

    def x(self, steps: NDArray[Any] | float) -> NDArray[np.float64]:
        return self.left + self.width * self.across(steps)

    def y(self, values: NDArray[Any] | float) -> NDArray[np.float64]:
        return self.top + _PLOT * (1 - self.up(values))

    def grid(self, *, steps: bool, values: bool) -> None:
        """Thin lines, the two edges, and the numbers of those panels that have no other below or to the left."""
        left, right, top, bottom = self.left, self.left + self.width, self.top, self.top + _PLOT
        vertical = [float(self.x(v)) for v, _ in self.across.ticks]
        level = [float(self.y(v)) for v, _ in self.up.ticks]
        thin = [[(x, top), (x, bottom)] for x in vertical] + [[(left, y), (right, y)] for y in level]
        edges = [[(left, top), (left, bottom), (right, bottom)]]
        edges += [[(x, bottom), (x, bottom + 0.04)] for x in vertical if steps]
        edges += [[(left, y), (left - 0.04, y)] for y in level if values]
        self.axes.add_collection(LineCollection(thin, colors=FAINT, linewidths=0.6, zorder=0), autolim=False)
        self.axes.add_collection(LineCollection(edges, colors=MUTED, linewidths=0.7, zorder=3), autolim=False)
        for x, (_, text) in zip(vertical if steps else (), self.across.ticks, strict=False):
            self.axes.text(x, bottom + 0.07, text, ha="center", va="top", fontsize=8)
        for y, (_, text) in zip(level if values else (), self.up.ticks, strict=False):
            self.axes.text(left - 0.07, y, text, ha="right", va="center", fontsize=8)

    def line(self, data: Line, look: Mapping[str, Any], band: float) -> None:
        """A mean and its band, cut off at the panel's edges."""
        single: dict[str, Any] = {"marker": "o", "markersize": 4} if len(data.steps) == 1 else {}
        x = self.x(data.steps)
        drawn: list[Any] = self.axes.plot(x, self.y(data.mean), **{"linewidth": 1.6, **look, **single})
        if band:
            low, high = self.y(data.low), self.y(data.high)
            drawn.append(self.axes.fill_between(x, low, high, color=look["color"], alpha=band, linewidth=0))
        box = Bbox.from_extents(self.left, self.top, self.left + self.width, self.top + _PLOT)
        for artist in drawn:
            artist.set_clip_box(TransformedBbox(box, self.axes.transData))


def _step_scale(panels: Sequence[Panel]) -> _Scale:
    """From the first to the last step of any line, and a little more."""
    steps = np.concatenate([line.steps for p in panels for line in (*p.lines, *p.backdrop)])
    low, high = float(steps.min()), float(steps.max())
    margin = 0.02 * (high - low) or 1.0
    low, high = low - margin, high + margin
    ticks = [t for t in MaxNLocator(4, integer=True).tick_values(low, high) if low <= t <= high]
    return _Scale(low, high, tuple((t, f"{t:,.0f}") for t in ticks))


def _fractions() -> _Scale:
    return _Scale(-0.02, 1.04, tuple((t / 4, f"{25 * t}%") for t in range(5)))


def _error_scale(panels: Sequence[Panel]) -> _Scale:
    """Limits after the means: a band that is wide in one panel must not flatten all others.

    Logarithmic where errors fall far, because the end of training is what tells the arms apart.
    """
    values = np.concatenate([line.mean for p in panels for line in (*p.lines, *p.backdrop)])
    low, high = float(values.min()), float(values.max())
    logarithmic = low > 0.1 and high > 3 * low
    if logarithmic:
        low, high = low / 1.12, min(100.0, high * 1.12)
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        candidates = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    else:
        margin = max(0.12 * (high - low), 0.5)
        low, high = max(0.0, low - margin), min(100.0, high + margin)
        candidates = list(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    ticks = tuple((t, f"{t:.10g}") for t in candidates if low <= t <= high)
    return _Scale(low, high, ticks, logarithmic)


def _handles(panels: Sequence[Panel], backdrop_label: str) -> list[Line2D]:
    if not backdrop_label:
        seen = {line.metric: line.label for p in panels for line in p.lines}
        return [
            Line2D([], [], linewidth=1.6, label=label, **_LOOKS.get(metric, {"color": ORANGE}))
            for metric, label in seen.items()
        ]
    handles = [Line2D([], [], color=BLUE, linewidth=1.6, label="the panel's arm")]
    if any(p.backdrop for p in panels):
        handles.append(Line2D([], [], color=GREY, linewidth=1.2, label=wrap(backdrop_label, 60)))
    return handles


def _legend_height(handles: Sequence[Line2D]) -> float:
    """Inches, with as many lines of text as the entries of its tallest column have."""
    lines = [str(handle.get_label()).count("\n") + 1 for handle in handles]
    per_column = math.ceil(len(lines) / _LEGEND_COLUMNS)
    return 0.1 + 0.17 * max((sum(lines[i : i + per_column]) for i in range(0, len(lines), per_column)), default=0)
