"""Test error against the share of synthetic images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from results.contamination import ArmResponse, Response
from results.plots.canvas import BLUE, FAINT, GREY, INK, LINE_LOOKS, WIDTH, Drawing, drawing, wrap

TOGETHER = 6
"""Arms up to which one picture holds all lines with their bands; more get a panel each."""


def draw_contamination(data: Response) -> Drawing:
    """A line with its band per arm: all in one picture where they are few, or else a panel each before the full method's."""
    with drawing():
        return _together(data) if len(data.measured) <= TOGETHER else _panels(data)


def _together(data: Response) -> Drawing:
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    axes = figure.subplots()
    for arm, look in zip(data.measured, LINE_LOOKS, strict=False):
        _draw_arm(axes, arm, look, band=0.12)
    _dress(axes, data.ratios)
    axes.set_xlabel("synthetic share of the unlabelled images")
    axes.set_ylabel("test error, %")
    # from top to bottom as the lines end on the right
    order = sorted(range(len(data.measured)), key=lambda i: -data.measured[i].points[-1].error.mean)
    handles = [
        Line2D([], [], markersize=5, linewidth=1.6, label=wrap(data.measured[i].title, 34), **LINE_LOOKS[i])
        for i in order
    ]
    figure.legend(handles=handles, loc="outside right upper", handlelength=3, labelspacing=0.9)
    return Drawing(figure)


def _panels(data: Response) -> Drawing:
    arms = data.measured
    full = next((a for a in arms if a.arm == data.reference), None)
    rows = math.ceil(len(arms) / 3)
    figure = Figure(figsize=(WIDTH, 0.75 + rows * 1.85), layout="constrained")
    grid = np.atleast_1d(figure.subplots(rows, 3, sharex=True, sharey=True)).ravel()
    for axes, arm in zip(grid, arms, strict=False):
        if full is not None and arm is not full:
            _draw_arm(axes, full, {"color": GREY, "linestyle": "-", "marker": "o"}, band=0.0)
        _draw_arm(axes, arm, {"color": BLUE, "linestyle": "-", "marker": "o"}, band=0.16)
        _dress(axes, data.ratios)
        axes.set_title(wrap(arm.title, 34), color=INK, loc="left")
    for place, axes in enumerate(grid):
        axes.set_visible(place < len(arms))
        if place + 3 >= len(arms):
            axes.tick_params(labelbottom=True)
    figure.supxlabel("synthetic share of the unlabelled images", fontsize=8.5)
    figure.supylabel("test error, %", fontsize=8.5)
    handles = [Line2D([], [], color=BLUE, marker="o", markersize=4, linewidth=1.6, label="the panel's arm")]
    if full is not None:
        handles.append(Line2D([], [], color=GREY, marker="o", markersize=4, linewidth=1.2, label=wrap(full.title, 60)))
    figure.legend(handles=handles, loc="outside upper left", ncols=4, handlelength=2.4, borderpad=0.1)
    return Drawing(figure)


def _draw_arm(axes: Axes, arm: ArmResponse, look: Mapping[str, Any], band: float) -> None:
    ratios = [p.ratio for p in arm.points]
    axes.plot(ratios, [p.error.mean for p in arm.points], markersize=4.5, linewidth=1.6 if band else 1.2, **look)
    told = [(p.ratio, p.error.interval) for p in arm.points if p.error.interval]
    if band and told:
        bounds = ([i.low for _, i in told], [i.high for _, i in told])
        axes.fill_between([r for r, _ in told], *bounds, color=look["color"], alpha=band, linewidth=0)


def _dress(axes: Axes, ratios: Sequence[float]) -> None:
    axes.set_xticks(list(ratios))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.04)
