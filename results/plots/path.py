"""Test error along a path of arms, each a step on from the one before."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from results.path import PartPath
from results.plots.canvas import BLUE, FAINT, GREY, INK, MUTED, WIDTH, Drawing, drawing, wrap


def draw_path(data: PartPath) -> Drawing:
    """A row per step from top to bottom, means joined, with their intervals and a dot per seed."""
    with drawing():
        figure = Figure(figsize=(WIDTH, 1.1 + 0.42 * len(data.steps)), layout="constrained")
        axes = figure.subplots()
        told = [(place, step.error) for place, step in enumerate(data.steps) if step.error]
        axes.plot([e.mean for _, e in told], [place for place, _ in told], color=GREY, linewidth=1.0, zorder=1)
        for place, step in enumerate(data.steps):
            spread = 0.3 / max(1, len(step.errors) - 1)
            heights = [place + (i - (len(step.errors) - 1) / 2) * spread for i in range(len(step.errors))]
            values = [value for _, value in step.errors]
            axes.plot(values, heights, "o", markersize=3.4, color=BLUE, alpha=0.45, markeredgewidth=0, zorder=2)
            if step.error is None:
                continue
            if step.error.interval:
                axes.hlines(
                    place, step.error.interval.low, step.error.interval.high, color=BLUE, linewidth=2.2, zorder=3
                )
            face = BLUE if step.significant else "white"
            axes.plot(step.error.mean, place, "o", color=BLUE, markerfacecolor=face, **_MARK, zorder=4)
        axes.set_ylim(len(data.steps) - 0.4, -0.6)
        axes.set_yticks(range(len(data.steps)), [wrap(step.label, 44) for step in data.steps])
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
        Line2D([], [], marker="o", color=BLUE, markerfacecolor="white", label="mean", **_MARK),
        Line2D([], [], color=MUTED, linewidth=2.2, label="95% interval"),
        Line2D([], [], marker="o", markersize=3.4, color=MUTED, alpha=0.6, linestyle="", label="one seed"),
        Line2D([], [], marker="o", color=INK, label="filled: differs from the step before", **_MARK),
    ]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=4, handlelength=1.6, borderpad=0.1, columnspacing=1.4
    )
