"""The figure of test error against the share of synthetic images."""

from __future__ import annotations

from results.figures.captions.page_figure import PageFigure
from results.ssl.contamination import Response
from results.words.numbers import interval, number, percent


def contamination_figure(data: Response) -> PageFigure:
    """Test errors of all arms of one set of conditions."""
    from results.figures.plots.contamination import draw_contamination  # here: matplotlib takes a second to import

    listed = "; ".join(
        f"{arm.title}: "
        + ", ".join(
            " ".join(filter(None, (f"{number(p.error.mean)}% at {percent(p.ratio)}", interval(p.error.interval))))
            for p in arm.points
        )
        for arm in data.measured
    )
    two = (
        " Hollow: the smaller share, with its interval above; filled: the larger, with its interval below. "
        "Two shares were measured: what lies between them is not."
        if len(data.ratios) == 2
        else ""
    )
    return PageFigure(
        name="contamination",
        drawing=draw_contamination(data),
        title="Test error by share of synthetic images" + (f", {data.title}" if data.title else ""),
        caption="Synthetic images as a share of all unlabelled ones; the real images are the same at every share. Mean over "
        "evaluation seeds with Student's t 95% interval, which is of one arm: seeds shift all arms alike, so that arms whose "
        "intervals overlap may still differ in pairs. The table of rises says which do."
        f"{two}",
        alt=f"Test error by share of synthetic images. {listed}.",
        head=("arm", "title", "condition", "ratio", "mean", "low", "high", "seeds"),
        rows=[
            (
                *(arm.arm, arm.title, p.condition, p.ratio, p.error.mean),
                *(
                    p.error.interval.low if p.error.interval else None,
                    p.error.interval.high if p.error.interval else None,
                ),
                p.error.n,
            )
            for arm in data.measured
            for p in arm.points
        ],
    )
