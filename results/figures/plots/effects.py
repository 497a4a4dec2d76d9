"""Differences of arms, as intervals around zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from results.figures.data import EffectGroup, Effects, effect_groups
from results.figures.plots.canvas import (
    FAINT,
    INK,
    MUTED,
    PAPER,
    ROLE_LOOKS,
    WIDTH,
    Drawing,
    drawing,
    signed_tick,
    wrap,
)

_BREAK = 0.35
"""Rows between the components and the baselines below them."""


def draw_effects(data: Effects) -> Drawing:
    """Horizontal intervals around zero, a row per arm, a dot per seed; components above, baselines below."""
    groups = effect_groups(data)
    places = [_places(group) for group in groups]
    lengths = [rows[-1] + 1.2 for rows in places]
    with drawing():
        figure = Figure(
            figsize=(WIDTH, 0.75 + sum(0.38 * n for n in lengths) + 0.45 * len(groups)), layout="constrained"
        )
        grid = figure.subplots(len(groups), 1, squeeze=False, height_ratios=lengths).ravel()
        for axes, group, rows in zip(grid, groups, places, strict=True):
            _draw_effect_group(axes, group, rows, data.with_seeds)
        offset: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        look: dict[str, Any] = {"verticalalignment": "bottom", "fontsize": 8, "color": MUTED}
        for axes, group in zip(grid, groups, strict=True):
            scale = "  (far off: another scale)" if group.far else ""
            axes.annotate(f"errs more →{scale}", (0, 1), (6, 2), horizontalalignment="left", **offset, **look)
            axes.annotate("← errs less", (0, 1), (-6, 2), horizontalalignment="right", **offset, **look)
        grid[-1].set_xlabel(f"test error minus that of {wrap(data.reference, 60)}, percentage points")
        _effect_legend(figure, groups, data.with_seeds)
        return Drawing(figure)


def _places(group: EffectGroup) -> list[float]:
    found: list[float] = []
    for effect, before in zip(group.effects, (None, *group.effects), strict=False):
        new_kind = before is not None and before.baseline != effect.baseline
        found.append(found[-1] + 1 + _BREAK * new_kind if found else 0.0)
    return found


def _draw_effect_group(axes: Axes, group: EffectGroup, places: Sequence[float], seeds: bool) -> None:
    axes.axvline(0, color=INK, linewidth=1.1, zorder=1)
    for place, effect in zip(places, group.effects, strict=True):
        role = ROLE_LOOKS["baseline" if effect.baseline else "ablated"]
        colour = role["color"]
        spread = 0.3 / max(1, len(effect.by_seed) - 1)
        heights = [place + (i - (len(effect.by_seed) - 1) / 2) * spread for i in range(len(effect.by_seed))]
        values = [value for _, value in effect.by_seed]
        if seeds:
            axes.plot(values, heights, "o", markersize=3.6, color=colour, alpha=0.5, markeredgewidth=0, zorder=2)
        if effect.interval:
            axes.hlines(place, effect.interval.low, effect.interval.high, color=colour, linewidth=2.2, zorder=3)
        face = colour if effect.significant else PAPER
        axes.plot(effect.mean, place, **role, markerfacecolor=face, markersize=6.5, markeredgewidth=1.5, zorder=4)
    axes.set_ylim(places[-1] + 0.6, -0.6)
    axes.set_xlim(group.low, group.high)
    axes.set_yticks(places, [wrap(e.title, 44) for e in group.effects])
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
    handles = []
    if False in baselines:
        handles.append(mark("o", ROLE_LOOKS["ablated"]["color"], PAPER, "ablated arm, mean"))
    if True in baselines:
        handles.append(mark("D", ROLE_LOOKS["baseline"]["color"], PAPER, "baseline, mean"))
    handles.append(Line2D([], [], color=MUTED, linewidth=2.2, label="95% interval"))
    if seeds:
        handles.append(
            Line2D([], [], marker="o", markersize=3.6, color=MUTED, alpha=0.6, linestyle="", label="one seed")
        )
    if any(e.significant for g in groups for e in g.effects):
        handles.append(mark("o", INK, INK, "filled: significant after correction"))
    figure.legend(
        handles=handles, loc="outside upper left", ncols=5, handlelength=1.6, borderpad=0.1, columnspacing=1.4
    )
