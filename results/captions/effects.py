"""The figure of differences."""

from __future__ import annotations

from results.captions.page_figure import PageFigure
from results.display import signed
from results.figures import Effects


def effects_figure(data: Effects) -> PageFigure:
    """Differences of all arms to the full method."""
    from results.plots.effects import draw_effects  # here: matplotlib takes a second to import

    listed = "; ".join(
        f"{e.title} {signed(e.mean)}"
        + (f" [{signed(e.interval.low)}, {signed(e.interval.high)}]" if e.interval else "")
        + (", significant" if e.significant else "")
        for e in data.effects
    )
    return PageFigure(
        name="effects",
        drawing=draw_effects(data),
        title="Difference of each arm to the full method",
        caption=f"Paired difference of the test error to {data.reference}. Right of zero: this arm errs more, so "
        "what was switched off or changed helps. Small dots are single seeds, bars are Student's t 95% intervals that are not "
        "corrected for the number of comparisons; baselines that are far off have an axis of their own; "
        "a filled marker is significant after Holm correction.",
        alt=f"Test error minus that of {data.reference}, in percentage points: {listed}.",
        head=("arm", "title", "seed", "difference", "mean", "low", "high", "significant"),
        rows=[
            (
                *(e.arm, e.title, seed, difference, e.mean),
                *(e.interval.low if e.interval else None, e.interval.high if e.interval else None, e.significant),
            )
            for e in data.effects
            for seed, difference in e.by_seed
        ],
    )
