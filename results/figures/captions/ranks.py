"""The figure of average ranks."""

from __future__ import annotations

from results.analysis.comparison import RankDiagram
from results.figures.captions.page_figure import PageFigure
from results.statistics.paired import ALPHA
from results.words.numbers import number, p_value


def ranks_figure(data: RankDiagram) -> PageFigure:
    """Average ranks over conditions, and who cannot be told apart."""
    from results.figures.plots.ranks import draw_ranks

    listed = "; ".join(f"{title} {number(rank)}" for title, rank in zip(data.titles, data.ranks, strict=True))
    groups = "; ".join(", ".join(data.titles[first : last + 1]) for first, last in data.bars)
    return PageFigure(
        name="ranks",
        drawing=draw_ranks(data),
        title="Average ranks over all conditions",
        caption=f"Critical-difference diagram (Demšar 2006), oracles left out. A bar joins arms whose average ranks lie closer "
        f"than {number(data.critical_difference)}: Nemenyi's test does not tell them apart at the {ALPHA:.0%} level. Friedman's "
        f"test that any differ: p = {p_value(data.p)}. Both take the {data.conditions} conditions as independent draws.",
        alt=f"Average ranks: {listed}. Not told apart: {groups or 'none'}.",
        head=("title", "average_rank", "conditions", "critical_difference", "groups"),
        rows=[
            (
                *(title, rank, data.conditions, data.critical_difference),
                " ".join(str(i) for i, (first, last) in enumerate(data.bars, start=1) if first <= place <= last),
            )
            for place, (title, rank) in enumerate(zip(data.titles, data.ranks, strict=True))
        ],
    )
