"""Small multiples of curves over training steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.lines import Line2D

from results.figures.data import Line, Panel, error_axis
from results.figures.plots.canvas import (
    BROWN,
    GREY,
    INK,
    ORANGE,
    REAL,
    ROLE_LOOKS,
    SYNTHETIC,
    WINE,
    Drawing,
    columns_of,
    drawing,
    wrap,
)
from results.figures.plots.multiples import Frame, multiples
from results.figures.plots.roles import role_handles
from results.figures.plots.scales import error_scale, fraction_scale, step_scale

_LOOKS: Mapping[str, dict[str, Any]] = {
    "pseudo_label_accuracy_real": {"color": REAL},
    "pseudo_label_accuracy_synthetic": {"color": SYNTHETIC},
    "coverage_real": {"color": REAL, "linestyle": (0, (4, 1.6))},
    "coverage_synthetic": {"color": SYNTHETIC, "linestyle": (0, (4, 1.6))},
    "detector_auroc": {"color": INK},
    "detector_precision": {"color": BROWN, "linestyle": (0, (4, 1.6))},
    "detector_recall": {"color": WINE, "linestyle": (0, (1.2, 1.2))},
}


def draw_panels(panels: Sequence[Panel], *, ylabel: str, fraction: bool, backdrop_label: str = "") -> Drawing:
    """Lines with bands, a panel per arm; with `backdrop_label` a line has the colour of its arm's role, else of its metric."""
    across = step_scale(panels, 3 if columns_of(len(panels)) > 3 else 4)
    up = fraction_scale() if fraction else error_scale(error_axis(panels))
    with drawing():
        figure, frames = multiples(
            [p.title for p in panels],
            across,
            up,
            xlabel="training step",
            ylabel=ylabel,
            handles=_handles(panels, backdrop_label),
        )
        for frame, panel in zip(frames, panels, strict=True):
            for behind in panel.backdrop:
                _draw(frame, behind, {"color": GREY, "linewidth": 1.2}, band=False)
            for one in panel.lines:
                _draw(frame, one, _LOOKS.get(one.metric, {"color": ROLE_LOOKS[panel.role]["color"]}), band=True)
        return Drawing(figure)


def _draw(frame: Frame, data: Line, look: Mapping[str, Any], *, band: bool) -> None:
    single: dict[str, Any] = {"marker": "o", "markersize": 4} if len(data.steps) == 1 else {}
    frame.line(data.steps, data.mean, **{"linewidth": 1.6, **look, **single})
    if band:
        frame.band(data.steps, data.low, data.high, look["color"])


def _handles(panels: Sequence[Panel], backdrop_label: str) -> list[Line2D]:
    if not backdrop_label:
        seen = {line.metric: line.label for p in panels for line in p.lines}
        return [
            Line2D([], [], linewidth=1.6, label=label, **_LOOKS.get(metric, {"color": ORANGE}))
            for metric, label in seen.items()
        ]
    handles = role_handles([p.role for p in panels], linewidth=1.6)
    if any(p.backdrop for p in panels):
        handles.append(Line2D([], [], color=GREY, linewidth=1.2, label=wrap(backdrop_label, 60)))
    return handles
