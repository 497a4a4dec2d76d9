"""Where images lie in feature space: a row per network, real images on the left and synthetic ones on the right."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from results.figures.plots.canvas import (
    BLUE,
    BROWN,
    FAINT,
    GREEN,
    GREY,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    REAL,
    SKY,
    SYNTHETIC,
    VERMILLION,
    WIDTH,
    WINE,
    Drawing,
    drawing,
    letters,
    wrap,
)
from results.figures.plots.labels import beside
from results.ssl.feature_maps import FeatureMap

_ROSE = "#CC6677"
_CLASS_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BROWN, INK, WINE, _ROSE)
MOST_COLOURS = len(_CLASS_COLOURS)
"""Classes that have a colour each; of more, none has."""
_MOST_NAMES = 20
"""Classes whose names find room in a panel."""
_LEFT, _RIGHT, _GAP, _TOP, _BOTTOM, _BETWEEN = 0.56, 0.06, 0.18, 0.4, 0.5, 0.3
"""Inches around and between the panels."""
_TALL, _WIDE = 2.55, (WIDTH - _LEFT - _RIGHT - _GAP) / 2
_LETTER, _LINE = 0.066, 0.17
"""Inches of a name in a panel."""
_HOLLOW: dict[str, Any] = {"marker": "o", "linestyle": "", "markersize": 3.8, "markerfacecolor": "none"}


def draw_feature_maps(maps: Sequence[FeatureMap], classes: Sequence[str]) -> Drawing:
    """Two panels per network on the same axes: filled dots are real images, hollow ones synthetic; classes are named in place."""
    kinds = sorted({int(k) for m in maps for k in m.classes})
    colours = dict(zip(kinds, _CLASS_COLOURS, strict=False)) if len(kinds) <= MOST_COLOURS else {}
    named = kinds if len(kinds) <= _MOST_NAMES else []
    names = {k: textwrap.shorten(classes[k], 16, placeholder="…") if k < len(classes) else str(k) for k in named}
    row = _TOP + _TALL + _BETWEEN
    height = len(maps) * row - _BETWEEN + _BOTTOM
    with drawing():
        figure = Figure(figsize=(WIDTH, height))
        for place, one in enumerate(maps):
            low, high = _limits(one.points)
            for column, synthetic in enumerate((False, True)):
                left, bottom = _LEFT + column * (_WIDE + _GAP), height - place * row - _TOP - _TALL
                axes = figure.add_axes((left / WIDTH, bottom / height, _WIDE / WIDTH, _TALL / height))
                axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
                _draw_points(axes, one, synthetic, colours)
                _name_classes(axes, one, names, colours)
                _dress(axes, one, synthetic)
                if column == 0:
                    axes.set_ylabel("2nd direction", labelpad=3)
                else:
                    axes.tick_params(labelleft=False)
                if place == len(maps) - 1:
                    axes.set_xlabel("1st direction that tells classes apart, standard deviations", labelpad=3)
        return Drawing(figure)


def _limits(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low, high = points.min(axis=0), points.max(axis=0)
    margin = np.maximum(0.04 * (high - low), 1e-3)
    return low - margin, high + margin


def _draw_points(axes: Axes, one: FeatureMap, synthetic: bool, colours: Mapping[int, str]) -> None:
    if synthetic:
        _dots(axes, one.points[~one.synthetic], 2.4, GREY, 0.35)
    shown = one.synthetic == synthetic
    for k in np.unique(one.classes[shown]):
        points = one.points[shown & (one.classes == k)]
        if synthetic:
            colour = colours.get(int(k), SYNTHETIC)
            axes.plot(*points.T, **_HOLLOW, markeredgewidth=0.9, color=colour, zorder=2)
        else:
            _dots(axes, points, 3.6, colours.get(int(k), REAL), 0.85)


def _dots(axes: Axes, points: NDArray[np.float64], size: float, colour: str, alpha: float) -> None:
    """All as one path of strokes without length, whose round caps are the dots: a third of the bytes of as many markers."""
    path = Path(np.repeat(points, 2, axis=0), [Path.MOVETO, Path.LINETO] * len(points))
    path.should_simplify = False
    look: dict[str, Any] = {"facecolor": "none", "edgecolor": colour, "linewidth": size, "capstyle": "round"}
    axes.add_patch(PathPatch(path, **look, alpha=alpha, zorder=1))


def _dress(axes: Axes, one: FeatureMap, synthetic: bool) -> None:
    share, what = (
        (one.synthetic_at_home, "nearest to the class that they were asked for")
        if synthetic
        else (one.real_at_home, "nearest to their own class")
    )
    origin, count = "synthetic" if synthetic else "real", int((one.synthetic == synthetic).sum())
    title = wrap(f"{one.title}: {origin} images", letters(_WIDE)).split("\n")[0]
    text: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
    axes.annotate(title, (0, 1), (0, 15), color=INK, **text)
    axes.annotate(f"{share:.0%} of {count} {what}", (0, 1), (0, 4), color=MUTED, fontsize=8, **text)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=2)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))


def _name_classes(axes: Axes, one: FeatureMap, names: Mapping[int, str], colours: Mapping[int, str]) -> None:
    """A cross at each class's mean, and its name beside it, framed in its colour."""
    axes.plot(*one.centres.T, "+", color=INK, markersize=6, markeredgewidth=1.2, zorder=4)
    shown = [
        (names[int(k)], centre, int(k)) for k, centre in zip(one.kinds, one.centres, strict=True) if int(k) in names
    ]
    if not shown:
        return
    low = np.array([axes.get_xlim()[0], axes.get_ylim()[0]])
    unit = (np.array([axes.get_xlim()[1], axes.get_ylim()[1]]) - low) / (_WIDE, _TALL)
    anchors = (np.array([centre for _, centre, _ in shown]) - low) / unit
    points = (one.points[~one.synthetic] - low) / unit
    sizes = np.array([[0.08 + _LETTER * len(name), _LINE] for name, *_ in shown])
    places = beside(anchors, sizes, points, (_WIDE, _TALL))
    for (name, centre, k), anchor, place in zip(shown, anchors, places, strict=True):
        if float(np.abs(place - anchor).max()) > 0.1:
            axes.plot(*np.stack([centre, low + place * unit]).T, color=INK, linewidth=0.7, zorder=3)
        frame = {"boxstyle": "round,pad=0.15", "facecolor": PAPER, "edgecolor": colours.get(k, MUTED), "alpha": 0.9}
        x, y = map(float, low + place * unit)
        axes.text(x, y, name, fontsize=7.5, ha="center", va="center", bbox=frame, zorder=5)
