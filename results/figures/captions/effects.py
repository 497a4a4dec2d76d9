"""The figure of differences."""

from __future__ import annotations

from results.figures.captions.page_figure import PageFigure
from results.figures.data import Effects, effect_groups
from results.words.numbers import signed


def effects_figure(data: Effects) -> PageFigure:
    """Differences of all arms to the full method."""
    from results.figures.plots.effects import draw_effects  # here: matplotlib takes a second to import

    listed = "; ".join(
        f"{e.title} {signed(e.mean)}"
        + (f" [{signed(e.interval.low)}, {signed(e.interval.high)}]" if e.interval else "")
        + (", significant" if e.significant else "")
        for e in data.effects
    )
    far = " Baselines that are far off have an axis of their own." if any(g.far for g in effect_groups(data)) else ""
    dots = " Small dots are single seeds." if data.with_seeds else ""
    more = (
        f" The {len(data.effects)} arms that differ most are drawn; the table has the other {data.left_out} too."
        if data.left_out
        else ""
    )
    return PageFigure(
        name="effects",
        drawing=draw_effects(data),
        title="Difference of each arm to the full method",
        caption=f"Paired difference of the test error to {data.reference}. Right of zero: this arm errs more, so "
        f"what was switched off or changed helps.{dots} Bars are Student's t 95% intervals that are not "
        f"corrected for the number of comparisons; a filled marker is significant after Holm correction.{far}{more}",
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
