"""The figure of the cumulative path."""

from __future__ import annotations

from results.captions.page_figure import PageFigure
from results.display import interval, number
from results.path import PartPath


def path_figure(data: PartPath) -> PageFigure:
    """Test error from the bare method to the full one."""
    from results.plots.path import draw_path  # here: matplotlib takes a second to import

    listed = "; ".join(
        f"{s.label} {number(s.error.mean)}% {interval(s.error.interval)}".strip() for s in data.steps if s.error
    )
    return PageFigure(
        name="path",
        drawing=draw_path(data),
        title="From the bare method to the full one",
        caption="Test error as one part more is switched on at each step, from top to bottom. Small dots are single seeds, bars "
        "are Student's t 95% intervals of the mean: seeds shift all steps alike, so that a step whose bar overlaps the one before "
        "may still differ from it in pairs. Filled: the step differs from the one before after Holm correction. What a part "
        "gains depends on the parts that came before it.",
        alt=f"Test error along the path. {listed}.",
        head=("step", "arm", "title", "added", "seed", "test_error", "mean", "low", "high"),
        rows=[
            (
                *(place, s.arm, s.title, " ".join(s.added), seed, error, s.error.mean),
                *(
                    s.error.interval.low if s.error.interval else None,
                    s.error.interval.high if s.error.interval else None,
                ),
            )
            for place, s in enumerate(data.steps)
            if s.error
            for seed, error in s.errors
        ],
    )
