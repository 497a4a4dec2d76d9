"""Test error against the share of synthetic images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from results.figures.plots.canvas import (
    FAINT,
    GREY,
    INK,
    MUTED,
    PAPER,
    ROLE_LOOKS,
    WIDTH,
    Drawing,
    columns_of,
    drawing,
    line_looks,
    wrap,
)
from results.figures.plots.multiples import multiples
from results.figures.plots.roles import role_handles
from results.figures.plots.scales import Scale, value_scale
from results.ssl.contamination import ArmResponse, Response

TOGETHER = 6
"""Arms up to which one picture holds all lines; more get a panel each."""
_SHARE = "synthetic share of the unlabelled images"
_ERROR = "test error, %"
_TALL = 3.5
_ROW = 0.32
_LABEL = 0.165
"""Inches: a picture of lines, a row of arms, and of the labels at the ends of lines."""
_THIN = 1.2


def draw_contamination(data: Response) -> Drawing:
    """From one share to another: a row per arm. Over more shares: lines, in one picture where they are few, else a panel each."""
    with drawing():
        if len(data.ratios) == 2:
            return _rows(data)
        return _together(data) if len(data.measured) <= TOGETHER else _panels(data)


def _rows(data: Response) -> Drawing:
    """A dumbbell per arm: hollow at the smaller share, filled at the larger, with an interval for each end."""
    arms = data.measured
    figure = Figure(figsize=(WIDTH, 0.95 + _ROW * len(arms)), layout="constrained")
    axes = figure.subplots()
    for place, arm in enumerate(arms):
        look = ROLE_LOOKS[arm.role]
        first, last = arm.points[0].error, arm.points[-1].error
        axes.plot([first.mean, last.mean], [place, place], color=look["color"], linewidth=1.4, zorder=3)
        for error, offset, colour, face in (
            (first, -0.2, GREY, PAPER),
            (last, 0.2, look["color"], look["color"]),
        ):
            if error.interval:
                axes.hlines(place + offset, error.interval.low, error.interval.high, color=colour, linewidth=_THIN)
            axes.plot(error.mean, place, **look, markersize=6, markeredgewidth=1.4, markerfacecolor=face, zorder=4)
    full = next((a for a in arms if a.arm == data.reference), None)
    if full is not None:
        axes.axvline(full.points[-1].error.mean, color=INK, linewidth=0.9, linestyle=(0, (1.2, 1.6)), zorder=1)
    axes.set_ylim(len(arms) - 0.4, -0.6)
    axes.set_yticks(range(len(arms)), [wrap(arm.title, 44) for arm in arms])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(_ERROR)
    least, most = (f"{ratio:.0%} synthetic" for ratio in data.ratios)
    mark: dict[str, Any] = {"marker": "o", "color": INK, "markersize": 6, "markeredgewidth": 1.4, "linestyle": ""}
    handles = [
        Line2D([], [], label=f"hollow: {least}", **mark, markerfacecolor=PAPER),
        Line2D([], [], label=f"filled: {most}", **mark),
        Line2D([], [], color=MUTED, linewidth=_THIN, label="95% intervals"),
    ]
    if full is not None:
        label = f"{wrap(full.title, 40)}, {most}"
        handles.append(Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (1.2, 1.6)), label=label))
    figure.legend(
        handles=handles, loc="outside upper left", ncols=5, handlelength=1.6, borderpad=0.1, columnspacing=1.4
    )
    return Drawing(figure)


def _together(data: Response) -> Drawing:
    """Lines that are named where they end; intervals beside each other, since bands of many arms would be mud."""
    arms = data.measured
    figure = Figure(figsize=(WIDTH, _TALL), layout="constrained")
    axes = figure.subplots()
    looks = line_looks([arm.role for arm in arms])
    width = data.ratios[-1] - data.ratios[0]
    for place, (arm, look) in enumerate(zip(arms, looks, strict=True)):
        dodge = (place - (len(arms) - 1) / 2) * 0.009 * width
        told = [(p.ratio + dodge, p.error.interval) for p in arm.points if p.error.interval]
        ends = [i.low for _, i in told], [i.high for _, i in told]
        axes.vlines([r for r, _ in told], *ends, color=look["color"], linewidth=_THIN)
        x = [p.ratio + dodge for p in arm.points]
        axes.plot(x, [p.error.mean for p in arm.points], markersize=5, linewidth=1.6, **look)
    axes.set_xticks(list(data.ratios))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.03)
    axes.set_xlabel(_SHARE)
    axes.set_ylabel(_ERROR)
    _name_ends(axes, arms, looks)
    return Drawing(figure)


def _name_ends(axes: Axes, arms: Sequence[ArmResponse], looks: Sequence[dict[str, Any]]) -> None:
    """Each arm's marker and title right of its line's end, moved apart where lines end close to each other."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    titles = [wrap(arm.title, 30) for arm in arms]
    order = sorted(range(len(arms)), key=lambda i: -arms[i].points[-1].error.mean)
    inside = _TALL - 0.6
    middles: list[float] = []
    bottom = 0.0
    for i in order:
        half = _LABEL * (titles[i].count("\n") + 1) / 2
        end = inside * (high - arms[i].points[-1].error.mean) / (high - low)
        middles.append(max(end, bottom + half))
        bottom = middles[-1] + half
    up = max(0.0, bottom - inside)
    for middle, i in zip(middles, order, strict=True):
        y = 1 - (middle - up) / inside
        last = arms[i].points[-1]
        leader: dict[str, Any] = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 9}
        place: dict[str, Any] = {"textcoords": "axes fraction", "verticalalignment": "center"}
        axes.annotate("", (last.ratio, last.error.mean), (1.05, y), **place, arrowprops=leader)
        axes.plot(1.06, y, transform=axes.transAxes, clip_on=False, markersize=5, **{**looks[i], "linestyle": ""})
        axes.annotate(titles[i], (1.06, y), (1.075, y), xycoords="axes fraction", **place)


def _panels(data: Response) -> Drawing:
    arms = data.measured
    full = next((a for a in arms if a.arm == data.reference), None)
    handles = role_handles([a.role for a in arms], marker="o", markersize=4, linewidth=1.6)
    if full is not None:
        label = wrap(full.title, 60)
        handles.append(Line2D([], [], color=GREY, marker="o", markersize=4, linewidth=1.2, label=label))
    shown = (
        data.ratios if columns_of(len(arms)) < 4 or len(data.ratios) <= 5 else (*data.ratios[:-1:2], data.ratios[-1])
    )
    margin = 0.05 * (data.ratios[-1] - data.ratios[0])
    figure, frames = multiples(
        [arm.title for arm in arms],
        Scale(data.ratios[0] - margin, data.ratios[-1] + margin, tuple((r, f"{r:.0%}") for r in shown)),
        _errors(arms),
        xlabel=_SHARE,
        ylabel=_ERROR,
        handles=handles,
    )
    for frame, arm in zip(frames, arms, strict=True):
        for one in (full, arm) if full is not None and arm is not full else (arm,):
            colour = ROLE_LOOKS[arm.role]["color"] if one is arm else GREY
            told = [(p.ratio, p.error.interval) for p in one.points if p.error.interval]
            if one is arm and told:
                frame.band([r for r, _ in told], [i.low for _, i in told], [i.high for _, i in told], colour)
            x, y = [p.ratio for p in one.points], [p.error.mean for p in one.points]
            frame.line(x, y, color=colour, marker="o", markersize=4, linewidth=1.6 if one is arm else 1.2)
    return Drawing(figure)


def _errors(arms: Sequence[ArmResponse]) -> Scale:
    intervals = [p.error.interval for a in arms for p in a.points if p.error.interval]
    ends = [end for i in intervals for end in (i.low, i.high)]
    return value_scale([*ends, *(p.error.mean for a in arms for p in a.points)], 5, least=0.0)
