"""Average ranks over conditions, with bars over the arms that cannot be told apart."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from results.analysis.comparison import RankDiagram
from results.figures.plots.canvas import FAINT, INK, MUTED, WIDTH, Drawing, drawing, wrap

_ROW = 0.3
"""Inches of a row: one for each arm, one for each bar."""


def draw_ranks(data: RankDiagram) -> Drawing:
    """Arms as points on a scale of ranks, a row each, the best on top; below, a bar for each group, with its arms' places."""
    arms, bars = len(data.titles), len(data.bars)
    rows = arms + bars + 2
    with drawing():
        figure = Figure(figsize=(WIDTH, 0.6 + _ROW * rows), layout="constrained")
        axes = figure.subplots()
        axes.plot(data.ranks, range(arms), "o", color=INK, markersize=6.5, zorder=3)
        for place, rank in enumerate(data.ranks):
            _beside(axes, rank, place, f"{rank:.2f}")
        for place, (first, last) in enumerate(data.bars, start=arms):
            members = data.ranks[first : last + 1]
            axes.plot(members, [place] * len(members), "o-", color=INK, linewidth=2.4, markersize=4.5, zorder=3)
        axes.hlines(rows - 1.4, 1, 1 + data.critical_difference, color=MUTED, linewidth=1.4)
        axes.plot([1, 1 + data.critical_difference], [rows - 1.4] * 2, "|", color=MUTED, markersize=8)
        _beside(axes, 1 + data.critical_difference, rows - 1.4, f"critical difference {data.critical_difference:.2f}")
        labels = [*(wrap(title, 44) for title in data.titles), *(["not told apart"] if bars else [])]
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(rows - 0.8, -0.6)
        axes.set_xlim(0.85, arms + 0.4)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=FAINT, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(f"average rank over {data.conditions} conditions, 1 for the lowest test error")
        return Drawing(figure)


def _beside(axes: Axes, x: float, y: float, text: str) -> None:
    look: dict[str, Any] = {"textcoords": "offset points", "verticalalignment": "center", "fontsize": 8, "color": MUTED}
    axes.annotate(text, (x, y), (7, 0), **look)
