"""The figures of what happens while training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from results.captions.page_figure import BAND, PageFigure
from results.display import number
from results.figures import Panel

_HEAD = ("arm", "title", "metric", "step", "mean", "low", "high", "seeds")


def learning_curves_figure(panels: Sequence[Panel], reference: str) -> PageFigure:
    """Validation errors, a panel per arm."""
    from results.plots.panels import draw_panels

    last = "; ".join(f"{p.title} {number(float(p.lines[0].mean[-1]))}%" for p in panels)
    grey = f" Grey: {reference}." if any(p.backdrop for p in panels) else ""
    return PageFigure(
        name="learning-curves",
        drawing=draw_panels(panels, ylabel="validation error, %", fraction=False, backdrop_label=reference),
        title="Validation error while training",
        caption=f"Evaluation trials with the best configuration of each arm.{grey} {BAND}",
        alt=f"Validation error over training steps. At the last step: {last}.",
        head=_HEAD,
        rows=_rows(panels),
    )


def pseudo_labels_figure(panels: Sequence[Panel]) -> PageFigure:
    """Accuracy and coverage of pseudo-labels."""
    return _quality(
        panels,
        "pseudo-labels",
        "Quality of pseudo-labels",
        "Accuracy: share of pseudo-labels above the threshold that are right. Coverage: share of unlabelled images above "
        "the threshold. Both for the real and for the synthetic part of the unlabelled images, which the benchmark knows "
        "and the method does not.",
        "share of images",
    )


def detector_figure(panels: Sequence[Panel]) -> PageFigure:
    """How well synthetic images are told."""
    return _quality(
        panels,
        "detector",
        "Quality of the detector",
        "How well the detector tells synthetic from real unlabelled images; synthetic counts as positive. An AUROC of "
        "50% is chance. Arms without a detector are left out.",
        "score",
    )


def _quality(panels: Sequence[Panel], name: str, title: str, caption: str, ylabel: str) -> PageFigure:
    from results.plots.panels import draw_panels

    last = "; ".join(
        f"{p.title}: {', '.join(f'{one.label} {number(100 * float(one.mean[-1]), 0)}%' for one in p.lines)}"
        for p in panels
    )
    return PageFigure(
        name=name,
        drawing=draw_panels(panels, ylabel=ylabel, fraction=True),
        title=title,
        caption=f"{caption} {BAND}",
        alt=f"{title} over training steps. At the last step: {last}.",
        head=_HEAD,
        rows=_rows(panels),
    )


def _rows(panels: Sequence[Panel]) -> list[tuple[Any, ...]]:
    return [
        (panel.arm, panel.title, line.metric, int(step), float(mean), float(low), float(high), line.seeds)
        for panel in panels
        for line in panel.lines
        for step, mean, low, high in zip(line.steps, line.mean, line.low, line.high, strict=True)
    ]
