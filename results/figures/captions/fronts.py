"""The figure of searches with several objectives."""

from __future__ import annotations

from results.figures.captions.page_figure import PageFigure
from results.figures.data import FrontPanels
from results.words.numbers import number


def fronts_figure(data: FrontPanels) -> PageFigure:
    """Tuning trials of each arm by two objectives."""
    from results.figures.plots.fronts import draw_fronts

    listed = "; ".join(
        f"{p.title}: " + ", ".join(f"({number(x)}, {number(y)})" for x, y in p.front) for p in data.panels
    )
    more = f" Of {data.objectives} objectives the first two are drawn." if data.objectives > 2 else ""
    if data.left_out:
        more += f" The first {len(data.panels)} arms; the table has the other {data.left_out} too."
    return PageFigure(
        name="front",
        drawing=draw_fronts(data),
        title="Pareto front of the tuning trials",
        caption=f"Completed tuning trials by two objectives; lower is better in both. The line joins the "
        f"trials that no other beats in one without losing in another; filled: the one that was evaluated.{more}",
        alt=f"Trials on the front, as ({data.xlabel}, {data.ylabel}). {listed}.",
        head=("title", data.xlabel, data.ylabel, "on_front", "evaluated"),
        rows=[
            (p.title, x, y, on_front, (x, y) == p.chosen)
            for p in data.panels
            for on_front, points in ((True, p.front), (False, p.others))
            for x, y in points
        ],
    )
