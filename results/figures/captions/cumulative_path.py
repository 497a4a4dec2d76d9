"""The figure of the cumulative path."""

from __future__ import annotations

from results.analysis.cumulative_path import PartPath
from results.figures.captions.page_figure import PageFigure
from results.words.numbers import interval, number


def path_figure(data: PartPath) -> PageFigure:
    """Test error from the bare method to the full one."""
    from results.figures.plots.cumulative_path import draw_path  # here: matplotlib takes a second to import

    listed = "; ".join(
        f"{a.label} {number(a.error.mean)}% {interval(a.error.interval)}".strip() for a in data.arms if a.error
    )
    return PageFigure(
        name="path",
        drawing=draw_path(data),
        title="From the bare method to the full one",
        caption="Test error as one part more is switched on in each row, from top to bottom. Small dots are single seeds, bars "
        "are Student's t 95% intervals of the mean: seeds shift all arms alike, so that an arm whose bar overlaps the one before "
        "may still differ from it in pairs. Filled: the arm differs from the one before after Holm correction. What a part "
        "gains depends on the parts that came before it.",
        alt=f"Test error along the path. {listed}.",
        head=("place", "arm", "title", "added", "seed", "test_error", "mean", "low", "high"),
        rows=[
            (
                *(place, a.arm, a.title, " ".join(a.added), seed, error, a.error.mean),
                *(
                    a.error.interval.low if a.error.interval else None,
                    a.error.interval.high if a.error.interval else None,
                ),
            )
            for place, a in enumerate(data.arms)
            if a.error
            for seed, error in a.errors
        ],
    )
