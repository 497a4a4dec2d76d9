"""Small multiples: panels on common axes in balanced rows, and the titles of the axes beside the panels that they belong to.

All panels stand in one pair of axes whose unit is the inch: axes of their own for each panel cost matplotlib four times as long.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox, TransformedBbox
from numpy.typing import ArrayLike, NDArray

from results.figures.plots.canvas import FAINT, INK, MUTED, WIDTH, columns_of, letters, wrap
from results.figures.plots.scales import Scale

_RIGHT, _GAP, _BOTTOM, _WIDEST = 0.16, 0.2, 0.46, 3.3
"""Inches: beside the panels, between them, below the last row, and of a panel's width."""
_HEIGHTS: Mapping[int, float] = {1: 1.75, 2: 1.6, 3: 1.27, 4: 1.2}
"""Inches of a panel's height by panels in a row."""
_LINE_OF_TEXT, _UNDER, _TICK, _HANDLE = 0.15, 0.14, 0.068, 0.56
"""Inches: a line of text, the space below a panel, a letter of a tick or of a legend, and what stands before and after that."""


@dataclass(frozen=True)
class Frame:
    """One panel's place, in inches from the left and from the top."""

    axes: Axes
    left: float
    top: float
    width: float
    height: float
    across: Scale
    up: Scale

    @property
    def bottom(self) -> float:
        """Inches from the top."""
        return self.top + self.height

    def x(self, values: ArrayLike) -> NDArray[np.float64]:
        """Inches from the left."""
        return self.left + self.width * self.across(values)

    def y(self, values: ArrayLike) -> NDArray[np.float64]:
        """Inches from the top."""
        return self.top + self.height * (1 - self.up(values))

    def line(self, x: ArrayLike, y: ArrayLike, **look: Any) -> None:
        """A line or its markers, cut off at the panel's edges."""
        self._inside(*self.axes.plot(self.x(x), self.y(y), **look))

    def band(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str, alpha: float = 0.16) -> None:
        """The area between two lines, cut off at the panel's edges."""
        look: dict[str, Any] = {"color": colour, "alpha": alpha, "linewidth": 0}
        self._inside(self.axes.fill_between(self.x(x), self.y(low), self.y(high), **look))

    def _inside(self, *drawn: Artist) -> None:
        box = Bbox.from_extents(self.left, self.top, self.left + self.width, self.bottom)
        for artist in drawn:
            artist.set_clip_box(TransformedBbox(box, self.axes.transData))

    def grid(self, *, across: bool, up: bool) -> None:
        """Thin lines, the two edges, and the numbers of those panels that have no other below or to the left."""
        left, right, top, bottom = self.left, self.left + self.width, self.top, self.bottom
        vertical = [float(self.x(v)) for v, _ in self.across.ticks]
        level = [float(self.y(v)) for v, _ in self.up.ticks]
        thin = [[(x, top), (x, bottom)] for x in vertical] + [[(left, y), (right, y)] for y in level]
        edges = [[(left, top), (left, bottom), (right, bottom)]]
        edges += [[(x, bottom), (x, bottom + 0.04)] for x in vertical if across]
        edges += [[(left, y), (left - 0.04, y)] for y in level if up]
        self.axes.add_collection(LineCollection(thin, colors=FAINT, linewidths=0.6, zorder=0), autolim=False)
        self.axes.add_collection(LineCollection(edges, colors=MUTED, linewidths=0.7, zorder=3), autolim=False)
        for x, (_, text) in zip(vertical if across else (), self.across.ticks, strict=False):
            self.axes.text(x, bottom + 0.07, text, ha="center", va="top", fontsize=8)
        for y, (_, text) in zip(level if up else (), self.up.ticks, strict=False):
            self.axes.text(left - 0.07, y, text, ha="right", va="center", fontsize=8)


def multiples(
    titles: Sequence[str],
    across: Scale,
    up: Scale,
    *,
    xlabel: str,
    ylabel: str,
    handles: Sequence[Line2D],
) -> tuple[Figure, tuple[Frame, ...]]:
    """Empty panels with their titles, axes and legend: a frame for each title, to draw in."""
    columns = columns_of(len(titles))
    rows = math.ceil(len(titles) / columns)
    plot = _HEIGHTS[columns]
    beside = wrap(ylabel, letters(plot + 0.3))
    left = 0.17 + _TICK * up.longest + _LINE_OF_TEXT * (beside.count("\n") + 1)
    panel = min(_WIDEST, (WIDTH - left - _RIGHT - _GAP * (columns - 1)) / columns)
    width = left + columns * panel + (columns - 1) * _GAP + _RIGHT
    wrapped = [wrap(title, letters(panel)) for title in titles]
    entries, legend_height = _legend(handles, width)
    above = [
        _LINE_OF_TEXT * max(t.count("\n") + 1 for t in wrapped[row * columns : (row + 1) * columns]) + 0.06
        for row in range(rows)
    ]
    height = legend_height + sum(above) + rows * (plot + _UNDER) - _UNDER + _BOTTOM
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    frames = []
    for place, title in enumerate(wrapped):
        row, column = divmod(place, columns)
        top = legend_height + sum(above[: row + 1]) + row * (plot + _UNDER)
        frame = Frame(axes, left + column * (panel + _GAP), top, panel, plot, across, up)
        frame.grid(across=place + columns >= len(titles), up=column == 0)
        axes.text(frame.left, top - 0.06, title, va="bottom", color=INK)
        frames.append(frame)
        if column == 0:
            axes.text(0.06, top + plot / 2, beside, ha="left", va="center", rotation=90, multialignment="center")
    for group in _lowest(frames, columns):
        middle = (group[0].left + group[-1].left + panel) / 2
        axes.text(middle, group[0].bottom + 0.26, xlabel, ha="center", va="top")
    if handles:
        place_legend(figure, handles, entries)
    return figure, tuple(frames)


def _lowest(frames: Sequence[Frame], columns: int) -> list[Sequence[Frame]]:
    """The last row, and of the row above it the panels that have none below."""
    start = (len(frames) - 1) // columns * columns
    last = frames[start:]
    hanging = frames[start - columns + len(last) : start] if start else ()
    return [group for group in (last, hanging) if group]


def _legend(handles: Sequence[Line2D], width: float) -> tuple[int, float]:
    """In how many columns a legend's entries fit, and its height in inches."""
    lines = [str(handle.get_label()).split("\n") for handle in handles]
    for columns in range(min(4, len(lines)), 0, -1):
        each = math.ceil(len(lines) / columns)
        parts = [lines[i : i + each] for i in range(0, len(lines), each)]
        wide = sum(_HANDLE + _TICK * max(len(text) for entry in part for text in entry) for part in parts)
        if columns == 1 or (len(parts) == columns and wide <= width):
            return columns, 0.1 + 0.17 * max(sum(map(len, part)) for part in parts)
    return 1, 0.1


def place_legend(figure: Figure, handles: Sequence[Line2D], columns: int) -> None:
    """At the top on the left."""
    width, height = figure.get_size_inches()
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.06 / width, 1 - 0.04 / height),
        ncols=columns,
        handlelength=2.4,
        borderpad=0.1,
        borderaxespad=0.0,
        columnspacing=1.6,
    )
