"""A figure as the report has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from results.words.csv_rows import render_rows

if TYPE_CHECKING:
    from results.figures.plots.canvas import Drawing

BAND = "Mean over evaluation seeds; the band is its 95% interval (Student's t), within 0 to 100%."


@dataclass(frozen=True, kw_only=True, slots=True)
class PageFigure:
    """A drawing with its words and its data."""

    name: str
    """File name without extension, and the anchor in the page."""
    drawing: Drawing
    title: str
    caption: str
    alt: str
    """What the figure says, for those who do not see it."""
    head: tuple[str, ...] = ()
    """Columns of `rows`."""
    rows: Sequence[Sequence[Any]] = ()
    """What is drawn, in full precision; none where it is pictures."""

    @property
    def csv(self) -> str:
        """What is drawn as CSV; empty where it is pictures."""
        return render_rows(self.head, self.rows) if self.head else ""

    def of_condition(self, name: str, title: str) -> PageFigure:
        """The same under another name and with the condition's title."""
        return replace(self, name=name, title=f"{self.title}, {title}")
