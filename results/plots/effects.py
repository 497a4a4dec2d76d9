"""Differences of arms, as intervals around zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from results.figures import EffectGroup, Effects, effect_groups
from results.plots.canvas import BLUE, FAINT, INK, MUTED, PURPLE, WIDTH, Drawing, drawing, signed_tick, wrap


def draw_effects(data: Effects) -> Drawing:
    """Horizontal intervals around zero, a row per arm, a dot per seed; components above, baselines below."""
    groups = effect_groups(data)
    lengths = [len(g.effects) for g in groups]
    with drawing():
        figure = Figure(figsize=(WIDTH, 0.7 + sum(0.42 * n + 0.4 for n in lengths)), layout="constrained")
        grid = figure.subplots(len(groups), 1, squeeze=False, height_ratios=[n + 0.2 for n in lengths]).ravel()
        for axes, group in zip(grid, groups, strict=True):
            _draw_effect_group(axes, group, data.with_seeds)
        offset: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        look: dict[str, Any] = {"verticalalignment": "bottom", "fontsize": 8, "color": MUTED}
        grid[0].annotate("errs more →", (0, 1), (6, 2), horizontalalignment="left", **offset, **look)
        grid[0].annotate("← errs less", (0, 1), (-6, 2), horizontalalignment="right", **offset, **look)
        grid[-1].set_xlabel(f"test error minus that of {wrap(data.reference, 60)}, percentage points")
        _effect_legend(figure, groups, data.with_seeds)
        return Drawing(figure)


def _draw_effect_group(axes: Axes, group: EffectGroup, seeds: bool) -> None:
    axes.axvline(0, color=INK, linewidth=1.1, zorder=1)
    for place, effect in enumerate(group.effects):
        colour = PURPLE if effect.baseline else BLUE
        spread = 0.3 / max(1, len(effect.by_seed) - 1)
        heights = [place + (i - (len(effect.by_seed) - 1) / 2) * spread for i in range(len(effect.by_seed))]
        values = [value for _, value in effect.by_seed]
        if seeds:
            axes.plot(values, heights, "o", markersize=3.4, color=colour, alpha=0.45, markeredgewidth=0, zorder=2)
        if effect.interval:
            axes.hlines(place, effect.interval.low, effect.interval.high, color=colour, linewidth=2.2, zorder=3)
        face = colour if effect.significant else "white"
        look: dict[str, Any] = {"color": colour, "markerfacecolor": face, "markersize": 6.5, "markeredgewidth": 1.5}
        axes.plot(effect.mean, place, "D" if effect.baseline else "o", zorder=4, **look)
    axes.set_ylim(len(group.effects) - 0.4, -0.6)
    axes.set_xlim(group.low, group.high)
    axes.set_yticks(range(len(group.effects)), [wrap(e.title, 44) for e in group.effects])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_formatter(FuncFormatter(signed_tick))


def _effect_legend(figure: Figure, groups: Sequence[EffectGroup], seeds: bool) -> None:
    def mark(marker: str, colour: str, face: str, label: str) -> Line2D:
        look: dict[str, Any] = {"markersize": 6.5, "markeredgewidth": 1.5, "linestyle": ""}
        return Line2D([], [], marker=marker, color=colour, markerfacecolor=face, label=label, **look)

    baselines = {e.baseline for g in groups for e in g.effects}
    handles = [mark("o", BLUE, "white", "ablated arm, mean")] if False in baselines else []
    if True in baselines:
        handles.append(mark("D", PURPLE, "white", "baseline, mean"))
    handles.append(Line2D([], [], color=MUTED, linewidth=2.2, label="95% interval"))
    if seeds:
        handles.append(
            Line2D([], [], marker="o", markersize=3.4, color=MUTED, alpha=0.6, linestyle="", label="one seed")
        )
    handles.append(mark("o", INK, INK, "filled: significant after correction"))
    figure.legend(
        handles=handles, loc="outside upper left", ncols=5, handlelength=1.6, borderpad=0.1, columnspacing=1.4
    )
