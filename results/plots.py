"""Drawing, and nothing else: data from `results.figures` in, SVG out. The only module that imports matplotlib.

Colours are Okabe and Ito's (2008), told apart by colour-blind readers; lines also differ in dash, so that print without
colour is enough. The same data gives the same bytes.
"""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from results.feature_maps import FeatureMap
from results.figures import EffectGroup, Effects, FrontPanels, Line, Panel, PictureGrid, effect_groups, mosaic

WIDTH = 9.0
"""Inches: text stays readable at the width of a page of paper, and of a laptop."""

_INK, _MUTED, _FAINT = "#1c2733", "#5b6773", "#d9dee3"
_BLUE, _VERMILLION, _GREEN, _PURPLE, _ORANGE = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#E69F00"

_STYLE = {
    "svg.hashsalt": "ablate",
    "svg.fonttype": "path",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "text.color": _INK,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}

_LOOKS: Mapping[str, dict[str, Any]] = {
    "val_error": {"color": _BLUE},
    "pseudo_label_accuracy_real": {"color": _BLUE},
    "pseudo_label_accuracy_synthetic": {"color": _VERMILLION},
    "coverage_real": {"color": _BLUE, "linestyle": (0, (4, 1.6))},
    "coverage_synthetic": {"color": _VERMILLION, "linestyle": (0, (4, 1.6))},
    "detector_auroc": {"color": _INK},
    "detector_precision": {"color": _GREEN, "linestyle": (0, (4, 1.6))},
    "detector_recall": {"color": _PURPLE, "linestyle": (0, (1.2, 1.2))},
}

_CLASS_COLOURS = (_BLUE, _VERMILLION, _GREEN, _PURPLE, _ORANGE, "#56B4E9", "#8C6D1F", "#000000", "#882255", "#8b96a1")
_ORIGIN_LOOKS: Mapping[bool, dict[str, Any]] = {
    False: {"marker": "o", "s": 15, "linewidths": 0},
    True: {"marker": "x", "s": 17, "linewidths": 0.9, "alpha": 0.6},
}


def draw_effects(data: Effects) -> bytes:
    """Horizontal intervals around zero, a row per arm, a dot per seed; components above, baselines below."""
    groups = effect_groups(data)
    lengths = [len(g.effects) for g in groups]
    with _drawing():
        figure = Figure(figsize=(WIDTH, 0.7 + sum(0.42 * n + 0.4 for n in lengths)), layout="constrained")
        grid = figure.subplots(len(groups), 1, squeeze=False, height_ratios=[n + 0.2 for n in lengths]).ravel()
        for axes, group in zip(grid, groups, strict=True):
            _draw_effect_group(axes, group)
        offset: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        look: dict[str, Any] = {"verticalalignment": "bottom", "fontsize": 8, "color": _MUTED}
        grid[0].annotate("errs more →", (0, 1), (6, 2), horizontalalignment="left", **offset, **look)
        grid[0].annotate("← errs less", (0, 1), (-6, 2), horizontalalignment="right", **offset, **look)
        grid[-1].set_xlabel(f"test error minus that of {_wrap(data.reference, 60)}, percentage points")
        _effect_legend(figure, groups)
        return _svg(figure)


def _draw_effect_group(axes: Axes, group: EffectGroup) -> None:
    axes.axvline(0, color=_INK, linewidth=1.1, zorder=1)
    for place, effect in enumerate(group.effects):
        colour = _PURPLE if effect.baseline else _BLUE
        spread = 0.3 / max(1, len(effect.by_seed) - 1)
        heights = [place + (i - (len(effect.by_seed) - 1) / 2) * spread for i in range(len(effect.by_seed))]
        values = [value for _, value in effect.by_seed]
        axes.plot(values, heights, "o", markersize=3.4, color=colour, alpha=0.45, markeredgewidth=0, zorder=2)
        if effect.interval:
            axes.hlines(place, effect.interval.low, effect.interval.high, color=colour, linewidth=2.2, zorder=3)
        face = colour if effect.significant else "white"
        look: dict[str, Any] = {"color": colour, "markerfacecolor": face, "markersize": 6.5, "markeredgewidth": 1.5}
        axes.plot(effect.mean, place, "D" if effect.baseline else "o", zorder=4, **look)
    axes.set_ylim(len(group.effects) - 0.4, -0.6)
    axes.set_xlim(group.low, group.high)
    axes.set_yticks(range(len(group.effects)), [_wrap(e.title, 44) for e in group.effects])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=_FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_formatter(FuncFormatter(_signed_tick))


def draw_panels(panels: Sequence[Panel], *, ylabel: str, fraction: bool, backdrop_label: str = "") -> bytes:
    """Small multiples on common axes: lines with bands over training steps, three panels a row."""
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    titles = [_wrap(p.title, 34 if columns == 3 else 60) for p in panels]
    extra = 0.16 * max(t.count("\n") for t in titles)
    with _drawing():
        figure = Figure(figsize=(WIDTH, 0.75 + rows * (1.6 + extra)), layout="constrained")
        grid = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
        for axes, panel, title in zip(grid, panels, titles, strict=False):
            for behind in panel.backdrop:
                _draw_line(axes, behind, {"color": "#8b96a1", "linewidth": 1.2}, band=0.0)
            for one in panel.lines:
                _draw_line(axes, one, _LOOKS.get(one.metric, {"color": _ORANGE}), band=0.16)
            axes.set_title(title, color=_INK, loc="left")
            axes.grid(color=_FAINT, linewidth=0.6)
            axes.set_axisbelow(True)
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
            axes.margins(x=0.02)
        if fraction:
            grid[0].set_ylim(-0.02, 1.04)
            grid[0].set_yticks([0, 0.25, 0.5, 0.75, 1.0])
            grid[0].yaxis.set_major_formatter(PercentFormatter(1.0))
        else:
            _error_axis(grid[0], panels)
        for place, axes in enumerate(grid):
            if place >= len(panels):
                axes.set_visible(False)
            if place + columns >= len(panels):
                axes.tick_params(labelbottom=True)
        figure.supxlabel("training step", fontsize=8.5)
        figure.supylabel(ylabel, fontsize=8.5)
        _panel_legend(figure, panels, backdrop_label)
        return _svg(figure)


def draw_fronts(data: FrontPanels) -> bytes:
    """Tuning trials of each arm by two objectives, the front as a staircase, three panels a row on common axes."""
    columns = min(3, len(data.panels))
    rows = math.ceil(len(data.panels) / columns)
    with _drawing():
        figure = Figure(figsize=(WIDTH if columns > 1 else WIDTH / 2, 0.75 + rows * 2.0), layout="constrained")
        grid = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
        for axes, panel in zip(grid, data.panels, strict=False):
            if panel.others:
                axes.plot(*zip(*panel.others, strict=True), "o", color="#8b96a1", markersize=3.4, alpha=0.6, zorder=2)
            axes.plot(
                *zip(*panel.front, strict=True),
                drawstyle="steps-post",
                marker="o",
                color=_BLUE,
                markerfacecolor="white",
                markersize=5,
                linewidth=1.4,
                zorder=3,
            )
            if panel.chosen:
                axes.plot(*panel.chosen, "o", color=_BLUE, markersize=6, zorder=4)
            axes.set_title(_wrap(panel.title, 38), color=_INK, loc="left")
            axes.grid(color=_FAINT, linewidth=0.6)
            axes.set_axisbelow(True)
            axes.xaxis.set_major_locator(MaxNLocator(4))
        for place, axes in enumerate(grid):
            axes.set_visible(place < len(data.panels))
            if place + columns >= len(data.panels):
                axes.tick_params(labelbottom=True)
        figure.supxlabel(data.xlabel, fontsize=8.5)
        figure.supylabel(data.ylabel, fontsize=8.5)
        return _svg(figure)


def draw_pictures(data: PictureGrid) -> bytes:
    """Real and synthetic images side by side, a row per class, pixels kept square."""
    pictures = [mosaic(s.images, scale=max(1, 48 // s.images.shape[2])) for s in data.sources]
    widths = [p.shape[1] for p in pictures]
    gaps = 0.12 * (len(pictures) - 1)
    longest = max(len(c) for c in data.classes)
    label = min(2.2, 0.25 + 0.075 * longest)
    scale = min((WIDTH - label - gaps - 0.1) / sum(widths), 0.5 / 49)
    tallest = max(p.shape[0] for p in pictures) * scale
    width, height = label + sum(widths) * scale + gaps + 0.1, tallest + 0.38
    with _drawing():
        figure = Figure(figsize=(width, height))
        left = label
        for index, (source, picture) in enumerate(zip(data.sources, pictures, strict=True)):
            box = (left / width, (height - 0.33 - picture.shape[0] * scale) / height)
            axes = figure.add_axes((*box, picture.shape[1] * scale / width, picture.shape[0] * scale / height))
            axes.imshow(picture, interpolation="none", aspect="auto")
            axes.set_title(source.title, fontsize=8.5, color=_INK if index == 0 else _VERMILLION, pad=5)
            axes.set_xticks([])
            row = picture.shape[0] / len(source.images)
            places = [(i + 0.5) * row for i in range(len(source.images))]
            axes.set_yticks(
                places if index == 0 else [],
                [textwrap.shorten(c, 28, placeholder="…") for c in data.classes] if index == 0 else [],
            )
            axes.tick_params(length=0)
            for spine in axes.spines.values():
                spine.set_visible(False)
            left += picture.shape[1] * scale + 0.12
        return _svg(figure)


def draw_feature_maps(maps: Sequence[FeatureMap], classes: Sequence[str]) -> bytes:
    """A panel per network: dots for real images, crosses for synthetic ones, in the colour of their class."""
    kinds = sorted({int(k) for m in maps for k in m.classes})
    colours = {k: _CLASS_COLOURS[i % len(_CLASS_COLOURS)] for i, k in enumerate(kinds)}
    with _drawing():
        figure = Figure(figsize=(WIDTH if len(maps) > 1 else WIDTH / 2, 4.6), layout="constrained")
        for axes, one in zip(np.atleast_1d(figure.subplots(1, len(maps))).ravel(), maps, strict=True):
            for synthetic, look in _ORIGIN_LOOKS.items():
                for k in kinds:
                    chosen = (one.classes == k) & (one.synthetic == synthetic)
                    axes.scatter(*one.points[chosen].T, color=colours[k], zorder=2 - synthetic, **look)
            axes.set_title(_wrap(one.title, 50), color=_INK, loc="left")
            axes.set(xticks=[], yticks=[])
        names = [textwrap.shorten(classes[k], 20, placeholder="…") if k < len(classes) else str(k) for k in kinds]
        handles = [
            *(
                Line2D([], [], linestyle="", marker="o", markersize=4.5, color=colours[k], label=n)
                for k, n in zip(kinds, names, strict=True)
            ),
            Line2D([], [], linestyle="", marker="o", markersize=4.5, color=_MUTED, label="real"),
            Line2D([], [], linestyle="", marker="x", markersize=5, color=_MUTED, label="synthetic"),
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=6, handlelength=1, columnspacing=1.4)
        return _svg(figure)


def _draw_line(axes: Axes, data: Line, look: Mapping[str, Any], band: float) -> None:
    single: dict[str, Any] = {"marker": "o", "markersize": 4} if len(data.steps) == 1 else {}
    axes.plot(data.steps, data.mean, **{"linewidth": 1.6, **look, **single})
    if band:
        axes.fill_between(data.steps, data.low, data.high, color=look["color"], alpha=band, linewidth=0)


def _error_axis(axes: Axes, panels: Sequence[Panel]) -> None:
    """Limits after the means: a band that is wide in one panel must not flatten all others.

    Logarithmic where errors fall far, because the end of training is what tells the arms apart.
    """
    values = np.concatenate([line.mean for p in panels for line in (*p.lines, *p.backdrop)])
    low, high = float(values.min()), float(values.max())
    if low > 0.1 and high > 3 * low:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.12, min(100.0, high * 1.12))
        axes.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        margin = max(0.12 * (high - low), 0.5)
        axes.set_ylim(max(0.0, low - margin), min(100.0, high + margin))


def _panel_legend(figure: Figure, panels: Sequence[Panel], backdrop_label: str) -> None:
    seen = {line.metric: line.label for p in panels for line in p.lines}
    handles = []
    if backdrop_label:
        handles.append(Line2D([], [], color=_BLUE, linewidth=1.6, label="the panel's arm"))
        if any(p.backdrop for p in panels):
            handles.append(Line2D([], [], color="#8b96a1", linewidth=1.2, label=_wrap(backdrop_label, 60)))
    else:
        for metric, label in seen.items():
            handles.append(Line2D([], [], linewidth=1.6, label=label, **_LOOKS.get(metric, {"color": _ORANGE})))
    figure.legend(
        handles=handles, loc="outside upper left", ncols=4, handlelength=2.4, borderpad=0.1, columnspacing=1.6
    )


def _effect_legend(figure: Figure, groups: Sequence[EffectGroup]) -> None:
    def mark(marker: str, colour: str, face: str, label: str) -> Line2D:
        look: dict[str, Any] = {"markersize": 6.5, "markeredgewidth": 1.5, "linestyle": ""}
        return Line2D([], [], marker=marker, color=colour, markerfacecolor=face, label=label, **look)

    baselines = {e.baseline for g in groups for e in g.effects}
    handles = [mark("o", _BLUE, "white", "ablated arm, mean")] if False in baselines else []
    if True in baselines:
        handles.append(mark("D", _PURPLE, "white", "baseline, mean"))
    handles.append(Line2D([], [], color=_MUTED, linewidth=2.2, label="95% interval"))
    handles.append(Line2D([], [], marker="o", markersize=3.4, color=_MUTED, alpha=0.6, linestyle="", label="one seed"))
    handles.append(mark("o", _INK, _INK, "filled: significant after correction"))
    figure.legend(
        handles=handles, loc="outside upper left", ncols=5, handlelength=1.6, borderpad=0.1, columnspacing=1.4
    )


def _signed_tick(value: float, _: int) -> str:
    text = f"{value:+.10g}" if abs(value) > 1e-9 else "0"
    return text.replace("-", "−")


def _wrap(text: str, width: int) -> str:
    lines = textwrap.wrap(text, width) or [""]
    return "\n".join([*lines[:2], *(["…"] if len(lines) > 2 else [])])


@contextmanager
def _drawing() -> Iterator[None]:
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": "ablate"})
    return buffer.getvalue()
