"""Performance profiles as small multiples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from results.plots.canvas import BLUE, FAINT, GREY, INK, WIDTH, Drawing, drawing, wrap
from results.robust import Profile


def draw_profiles(profiles: Sequence[Profile], reference: Profile | None) -> Drawing:
    """A panel per arm on common axes, three a row: the arm's profile with its band, the reference's behind it in grey."""
    columns = min(3, len(profiles))
    rows = math.ceil(len(profiles) / columns)
    with drawing():
        figure = Figure(figsize=(WIDTH, 0.75 + rows * 1.75), layout="constrained")
        grid = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
        for axes, one in zip(grid, profiles, strict=False):
            if reference is not None and one is not reference:
                axes.plot(reference.taus, reference.share, color=GREY, linewidth=1.2)
            axes.fill_between(one.taus, one.low, one.high, color=BLUE, alpha=0.16, linewidth=0)
            axes.plot(one.taus, one.share, color=BLUE, linewidth=1.6)
            axes.set_title(wrap(one.title, 34 if columns == 3 else 60), color=INK, loc="left")
            axes.grid(color=FAINT, linewidth=0.6)
            axes.set_axisbelow(True)
            axes.margins(x=0)
            axes.xaxis.set_major_locator(MaxNLocator(5))
        grid[0].set_ylim(-0.02, 1.04)
        grid[0].set_yticks([0, 0.25, 0.5, 0.75, 1.0])
        grid[0].yaxis.set_major_formatter(PercentFormatter(1.0))
        for place, axes in enumerate(grid):
            axes.set_visible(place < len(profiles))
            if place + columns >= len(profiles):
                axes.tick_params(labelbottom=True)
        figure.supxlabel("test error τ, %", fontsize=8.5)
        figure.supylabel("share of runs with at most τ", fontsize=8.5)
        look: dict[str, Any] = {"loc": "outside upper left", "ncols": 2, "handlelength": 2.4, "borderpad": 0.1}
        handles = [Line2D([], [], color=BLUE, linewidth=1.6, label="the panel's arm")]
        if reference is not None:
            handles.append(Line2D([], [], color=GREY, linewidth=1.2, label=wrap(reference.title, 60)))
        figure.legend(handles=handles, **look)
        return Drawing(figure)
