"""Curves of more arms than there is room for in panels: all of them as thin lines, the telling ones on top."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from results.figures.data import Line, Panel
from results.figures.plots.canvas import BLUE, BROWN, FAINT, GREY, INK, WIDTH, WINE, Drawing, drawing, wrap

_HIGHLIGHTS = ((BLUE, "-", 2.2), (BROWN, (0, (4, 1.6)), 1.6), (WINE, (0, (1.2, 1.2)), 1.6))


def draw_crowd(panels: Sequence[Panel], reference: str, *, ylabel: str, fraction: bool) -> Drawing:
    """One axes per metric, a thin line per arm; thick: the reference; dashed: the lowest and the highest at the end.

    Args:
        panels: An arm each.
        reference: The arm that stands out.
        ylabel: What the lines are.
        fraction: Of 1, and not errors in percent.
    """
    metrics = {line.metric: line.label for panel in panels for line in panel.lines}
    with drawing():
        figure = Figure(figsize=(WIDTH, 3.1), layout="constrained")
        grid = np.atleast_1d(figure.subplots(1, len(metrics), sharey=True)).ravel()
        for axes, (metric, label) in zip(grid, metrics.items(), strict=True):
            _draw_metric(axes, panels, metric, reference)
            axes.set_title(wrap(label if len(metrics) > 1 else "", 30), color=INK, loc="left")
            axes.grid(color=FAINT, linewidth=0.6)
            axes.set_axisbelow(True)
            axes.margins(x=0.02)
            axes.xaxis.set_major_locator(MaxNLocator(3 if len(metrics) > 1 else 6, integer=True))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
        if fraction:
            grid[0].set_ylim(-0.02, 1.04)
            grid[0].yaxis.set_major_formatter(PercentFormatter(1.0))
        figure.supxlabel("training step", fontsize=8.5)
        figure.supylabel(ylabel, fontsize=8.5)
        title = next((p.title for p in panels if p.arm == reference), reference)
        labels = (wrap(title, 60), "lowest at the end", "highest at the end")
        handles = [
            Line2D([], [], color=colour, linestyle=dash, linewidth=width, label=name)
            for (colour, dash, width), name in zip(_HIGHLIGHTS, labels, strict=True)
        ]
        handles.append(Line2D([], [], color=GREY, linewidth=0.8, label=f"each of {len(panels)} arms"))
        figure.legend(handles=handles, loc="outside upper left", ncols=4, handlelength=2.4, columnspacing=1.6)
        return Drawing(figure)


def _draw_metric(axes: Axes, panels: Sequence[Panel], metric: str, reference: str) -> None:
    found: list[tuple[str, Line]] = [(p.arm, line) for p in panels for line in p.lines if line.metric == metric]
    for _, line in found:
        axes.plot(line.steps, line.mean, color=GREY, linewidth=0.8, alpha=0.5, zorder=2)
    ends = sorted(found, key=lambda item: float(item[1].mean[-1]))
    chosen = (next((line for arm, line in found if arm == reference), None), ends[0][1], ends[-1][1])
    for one, (colour, dash, width) in zip(chosen, _HIGHLIGHTS, strict=True):
        if one is not None:
            axes.plot(one.steps, one.mean, color=colour, linestyle=dash, linewidth=width, zorder=3)
