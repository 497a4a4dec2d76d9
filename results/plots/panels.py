"""Small multiples of curves over training steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from results.figures import Line, Panel
from results.plots.canvas import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    INK,
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


def draw_panels(panels: Sequence[Panel], *, ylabel: str, fraction: bool, backdrop_label: str = "") -> Drawing:
    """Small multiples on common axes: lines with bands over training steps, three panels a row."""
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    titles = [wrap(p.title, 34 if columns == 3 else 60) for p in panels]
    extra = 0.16 * max(t.count("\n") for t in titles)
    with drawing():
        figure = Figure(figsize=(WIDTH, 0.75 + rows * (1.6 + extra)), layout="constrained")
        grid = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
        for axes, panel, title in zip(grid, panels, titles, strict=False):
            for behind in panel.backdrop:
                _draw_line(axes, behind, {"color": GREY, "linewidth": 1.2}, band=0.0)
            for one in panel.lines:
                _draw_line(axes, one, _LOOKS.get(one.metric, {"color": ORANGE}), band=0.16)
            axes.set_title(title, color=INK, loc="left")
            axes.margins(x=0.02)
        if fraction:
            grid[0].set_ylim(-0.02, 1.04)
            grid[0].set_yticks([0, 0.25, 0.5, 0.75, 1.0])
            grid[0].yaxis.set_major_formatter(PercentFormatter(1.0))
        else:
            _error_axis(grid[0], panels)
        grid[0].xaxis.set_major_locator(MaxNLocator(4, integer=True))
        grid[0].xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
        _share_axes(list(grid), len(panels), columns)
        figure.supxlabel("training step", fontsize=8.5)
        figure.supylabel(ylabel, fontsize=8.5)
        _panel_legend(figure, panels, backdrop_label)
        return Drawing(figure)


def _share_axes(grid: Sequence[Axes], used: int, columns: int) -> None:
    """Axes below and to the left alone, and lines of a grid in every panel: most of the time would go into hidden ticks."""
    (left, right), (low, high) = grid[0].get_xlim(), grid[0].get_ylim()
    across = [t for t in grid[0].get_xticks() if left <= t <= right]
    up = [t for t in grid[0].get_yticks() if low <= t <= high]
    for place, axes in enumerate(grid):
        if place >= used:
            axes.set_visible(False)
            continue
        axes.vlines(across, low, high, color=FAINT, linewidth=0.6, zorder=0)
        axes.hlines(up, left, right, color=FAINT, linewidth=0.6, zorder=0)
        axes.set(xlim=(left, right), ylim=(low, high))
        axes.tick_params(labelbottom=True)
        axes.xaxis.set_visible(place + columns >= used)
        axes.yaxis.set_visible(place % columns == 0)


def _draw_line(axes: Axes, data: Line, look: Mapping[str, Any], band: float) -> None:
    single: dict[str, Any] = {"marker": "o", "markersize": 4} if len(data.steps) == 1 else {}
    axes.plot(data.steps, data.mean, **{"linewidth": 1.6, **look, **single})
    if band:
        axes.fill_between(data.steps, data.low, data.high, color=look["color"], alpha=band, linewidth=0)


def _error_axis(axes: Axes, panels: Sequence[Panel]) -> None:
    """Limits after the means: a band that is wide in one panel must not flatten all others.

    Logarithmic where errors fall far, because the end of training is what tells the arms apart.
    """
    values = np.concatenate([line.mean for p in panels for line in (*p.lines, *p.backdrop)])
    low, high = float(values.min()), float(values.max())
    if low > 0.1 and high > 3 * low:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.12, min(100.0, high * 1.12))
        axes.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        margin = max(0.12 * (high - low), 0.5)
        axes.set_ylim(max(0.0, low - margin), min(100.0, high + margin))


def _panel_legend(figure: Figure, panels: Sequence[Panel], backdrop_label: str) -> None:
    seen = {line.metric: line.label for p in panels for line in p.lines}
    handles = []
    if backdrop_label:
        handles.append(Line2D([], [], color=BLUE, linewidth=1.6, label="the panel's arm"))
        if any(p.backdrop for p in panels):
            handles.append(Line2D([], [], color=GREY, linewidth=1.2, label=wrap(backdrop_label, 60)))
    else:
        for metric, label in seen.items():
            handles.append(Line2D([], [], linewidth=1.6, label=label, **_LOOKS.get(metric, {"color": ORANGE})))
    figure.legend(
        handles=handles, loc="outside upper left", ncols=4, handlelength=2.4, borderpad=0.1, columnspacing=1.6
    )
