"""The figures of what happens while training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from results.figures.captions.page_figure import BAND, PageFigure
from results.figures.data import Panel, error_axis
from results.words.numbers import number

MOST_PANELS = 12
"""Arms that have a panel each; more are drawn as a crowd."""
_CROWD = (
    "Thin lines: the mean of each arm over its evaluation seeds. Thick: {reference}. Dashed and dotted: the arms that are "
    "lowest and highest at the last step. The data has every arm with its interval."
)
_HEAD = ("arm", "title", "metric", "step", "mean", "low", "high", "seeds")


def learning_curves_figure(panels: Sequence[Panel], reference: str, arm: str) -> PageFigure:
    """Validation errors, a panel per arm. `reference` is the title of the arm that others are compared to, `arm` its name."""
    if len(panels) > MOST_PANELS:
        return _crowd(
            panels, "learning-curves", "Validation error while training", reference, arm, "validation error, %", False
        )
    from results.figures.plots.panels import draw_panels

    last = "; ".join(f"{p.title} {number(float(p.lines[0].mean[-1]))}%" for p in panels)
    grey = f" Grey: {reference}." if any(p.backdrop for p in panels) else ""
    cut = " Where a band is much wider than the means spread, it is cut off." if error_axis(panels).cuts else ""
    return PageFigure(
        name="learning-curves",
        drawing=draw_panels(panels, ylabel="validation error, %", fraction=False, backdrop_label=reference),
        title="Validation error while training",
        caption=f"Evaluation trials with the best configuration of each arm.{grey} {BAND}{cut}",
        alt=f"Validation error over training steps. At the last step: {last}.",
        head=_HEAD,
        rows=_rows(panels),
    )


def pseudo_labels_figure(panels: Sequence[Panel], reference: str, arm: str) -> PageFigure:
    """Accuracy and coverage of pseudo-labels."""
    return _quality(
        panels,
        "pseudo-labels",
        "Quality of pseudo-labels",
        "Accuracy: share of pseudo-labels above the threshold that are right. Coverage: share of unlabelled images above "
        "the threshold. Both for the real and for the synthetic part of the unlabelled images, which the benchmark knows "
        "and the method does not.",
        "share of images",
        reference,
        arm,
    )


def detector_figure(panels: Sequence[Panel], reference: str, arm: str) -> PageFigure:
    """How well synthetic images are told."""
    return _quality(
        panels,
        "detector",
        "Quality of the detector",
        "How well the detector tells synthetic from real unlabelled images; synthetic counts as positive. An AUROC of "
        "50% is chance. Arms without a detector are left out.",
        "score",
        reference,
        arm,
    )


def _quality(
    panels: Sequence[Panel], name: str, title: str, caption: str, ylabel: str, reference: str, arm: str
) -> PageFigure:
    if len(panels) > MOST_PANELS:
        return _crowd(panels, name, title, reference, arm, ylabel, True, caption)
    from results.figures.plots.panels import draw_panels

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


def _crowd(
    panels: Sequence[Panel],
    name: str,
    title: str,
    reference: str,
    arm: str,
    ylabel: str,
    fraction: bool,
    caption: str = "",
) -> PageFigure:
    from results.figures.plots.crowds import draw_crowd

    scale, unit = (100, 0) if fraction else (1, 2)
    said = []
    for label, metric in {line.label: line.metric for p in panels for line in p.lines}.items():
        ends = sorted((float(line.mean[-1]), p.title) for p in panels for line in p.lines if line.metric == metric)
        (low, first), (high, last) = ends[0], ends[-1]
        shown = f"{number(scale * low, unit)}% ({first}) to {number(scale * high, unit)}% ({last})"
        said.append(f"{label} {shown}" if fraction else shown)
    return PageFigure(
        name=name,
        drawing=draw_crowd(panels, arm, ylabel=ylabel, fraction=fraction),
        title=title,
        caption=f"{caption} {_CROWD.format(reference=reference)}".strip(),
        alt=f"{title} of {len(panels)} arms over training steps. At the last step: {'; '.join(said)}.",
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
