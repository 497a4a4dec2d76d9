"""Tuning trials by two objectives."""

from __future__ import annotations

from matplotlib.lines import Line2D

from results.figures.data import FrontPanels
from results.figures.plots.canvas import BLUE, GREY, PAPER, Drawing, columns_of, drawing
from results.figures.plots.multiples import multiples
from results.figures.plots.scales import value_scale


def draw_fronts(data: FrontPanels) -> Drawing:
    """Tuning trials of each arm by two objectives, the front as a staircase, on common axes."""
    points = [point for panel in data.panels for point in (*panel.front, *panel.others)]
    handles = [
        Line2D([], [], color=BLUE, marker="o", markerfacecolor=PAPER, markersize=5, linewidth=1.4, label="front"),
        Line2D([], [], color=BLUE, marker="o", markersize=6, linestyle="", label="evaluated"),
        Line2D([], [], color=GREY, marker="x", markersize=4, linestyle="", label="beaten by another"),
    ]
    with drawing():
        figure, frames = multiples(
            [panel.title for panel in data.panels],
            value_scale([x for x, _ in points], 3 if columns_of(len(data.panels)) > 3 else 4),
            value_scale([y for _, y in points], 5, margin=0.1),
            xlabel=data.xlabel,
            ylabel=data.ylabel,
            handles=handles,
        )
        for frame, panel in zip(frames, data.panels, strict=True):
            if panel.others:
                x, y = zip(*panel.others, strict=True)
                frame.line(x, y, color=GREY, marker="x", markersize=4, linestyle="", zorder=2)
            x, y = zip(*panel.front, strict=True)
            frame.line(x, y, color=BLUE, linewidth=1.4, drawstyle="steps-post", zorder=3)
            frame.line(x, y, color=BLUE, marker="o", markerfacecolor=PAPER, markersize=5, linestyle="", zorder=3)
            if panel.chosen:
                frame.line(*panel.chosen, color=BLUE, marker="o", markersize=6, linestyle="", zorder=4)
        return Drawing(figure)
