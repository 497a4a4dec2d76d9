"""Tuning trials by two objectives."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from results.figures import FrontPanels
from results.plots.canvas import BLUE, FAINT, GREY, INK, WIDTH, Drawing, drawing, wrap


def draw_fronts(data: FrontPanels) -> Drawing:
    """Tuning trials of each arm by two objectives, the front as a staircase, three panels a row on common axes."""
    columns = min(3, len(data.panels))
    rows = math.ceil(len(data.panels) / columns)
    with drawing():
        figure = Figure(figsize=(WIDTH if columns > 1 else WIDTH / 2, 0.75 + rows * 2.0), layout="constrained")
        grid = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
        for axes, panel in zip(grid, data.panels, strict=False):
            if panel.others:
                axes.plot(*zip(*panel.others, strict=True), "o", color=GREY, markersize=3.4, alpha=0.6, zorder=2)
            axes.plot(
                *zip(*panel.front, strict=True),
                drawstyle="steps-post",
                marker="o",
                color=BLUE,
                markerfacecolor="white",
                markersize=5,
                linewidth=1.4,
                zorder=3,
            )
            if panel.chosen:
                axes.plot(*panel.chosen, "o", color=BLUE, markersize=6, zorder=4)
            axes.set_title(wrap(panel.title, 38), color=INK, loc="left")
            axes.grid(color=FAINT, linewidth=0.6)
            axes.set_axisbelow(True)
            axes.xaxis.set_major_locator(MaxNLocator(4))
        for place, axes in enumerate(grid):
            axes.set_visible(place < len(data.panels))
            if place + columns >= len(data.panels):
                axes.tick_params(labelbottom=True)
        figure.supxlabel(data.xlabel, fontsize=8.5)
        figure.supylabel(data.ylabel, fontsize=8.5)
        return Drawing(figure)
