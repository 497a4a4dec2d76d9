"""Test error along a path of arms, each with a part more than the one before."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from results.analysis.cumulative_path import PartPath
from results.figures.plots.canvas import BLUE, FAINT, GREY, INK, MUTED, PAPER, WIDTH, Drawing, drawing, wrap


def draw_path(data: PartPath) -> Drawing:
    """A row per arm from top to bottom, means joined, with their intervals and a dot per seed."""
    with drawing():
        figure = Figure(figsize=(WIDTH, 1.1 + 0.42 * len(data.arms)), layout="constrained")
        axes = figure.subplots()
        told = [(place, arm.error) for place, arm in enumerate(data.arms) if arm.error]
        axes.plot([e.mean for _, e in told], [place for place, _ in told], color=GREY, linewidth=1.0, zorder=1)
        for place, arm in enumerate(data.arms):
            spread = 0.3 / max(1, len(arm.errors) - 1)
            heights = [place + (i - (len(arm.errors) - 1) / 2) * spread for i in range(len(arm.errors))]
            values = [value for _, value in arm.errors]
            axes.plot(values, heights, "o", markersize=3.6, color=BLUE, alpha=0.5, markeredgewidth=0, zorder=2)
            if arm.error is None:
                continue
            if arm.error.interval:
                axes.hlines(place, arm.error.interval.low, arm.error.interval.high, color=BLUE, linewidth=2.2, zorder=3)
            face = BLUE if arm.significant else PAPER
            axes.plot(arm.error.mean, place, "o", color=BLUE, markerfacecolor=face, **_MARK, zorder=4)
        axes.set_ylim(len(data.arms) - 0.4, -0.6)
        axes.set_yticks(range(len(data.arms)), [wrap(arm.label, 44) for arm in data.arms])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=FAINT, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel("test error, %")
        _legend(figure)
        return Drawing(figure)


_MARK: dict[str, Any] = {"markersize": 6.5, "markeredgewidth": 1.5, "linestyle": ""}


def _legend(figure: Figure) -> None:
    handles = [
        Line2D([], [], marker="o", color=BLUE, markerfacecolor=PAPER, label="mean", **_MARK),
        Line2D([], [], color=MUTED, linewidth=2.2, label="95% interval"),
        Line2D([], [], marker="o", markersize=3.6, color=MUTED, alpha=0.6, linestyle="", label="one seed"),
        Line2D([], [], marker="o", color=INK, label="filled: differs from the arm before", **_MARK),
    ]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=4, handlelength=1.6, borderpad=0.1, columnspacing=1.4
    )
