"""The main table's columns, and which of them a reader wants: what Markdown, LaTeX and HTML lay out alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from results.words.numbers import DisplayRow


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One place of the table, as text."""

    text: str
    below: str = ""
    """An interval."""
    mark: str = ""
    """Signs of its row's marks."""
    strong: bool = False
    """It holds after correction."""
    sort: float | None = None
    """What to sort by where the text does not begin with the number."""
    words: bool = False
    """The text stands for a number and is none: `reference`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column. All but the arm's are numbers, set right."""

    name: str
    """As `--style` knows it, and the cell's class in the page."""
    head: str
    unit: str
    cell: Callable[[DisplayRow], Cell]
    brief: str
    """The head where there is little room."""
    number: bool = False
    """Decimal points stand below each other in LaTeX."""


def _difference(row: DisplayRow) -> Cell:
    below = row.difference_interval
    return Cell(text=row.difference, below=below, strong=row.significant, words=row.reference)


COLUMNS: Mapping[str, Column] = {
    c.name: c
    for c in (
        Column(
            name="seeds", head="Seeds", unit="", brief="seeds", cell=lambda r: Cell(text=r.seeds, mark=r.seeds_marks)
        ),
        Column(
            name="error",
            head="Test error",
            unit="%, mean [95%]",
            brief="test error, %",
            cell=lambda r: Cell(text=r.error, below=r.error_interval, strong=r.best),
            number=True,
        ),
        Column(
            name="std",
            head="Test error",
            unit="%, mean ± std",
            brief="test error, %",
            cell=lambda r: Cell(text=r.error_std),
        ),
        Column(
            name="difference",
            head="Difference",
            unit="points, + errs more",
            brief="difference",
            cell=_difference,
            number=True,
        ),
        Column(name="p", head="p", unit="", brief="p", cell=lambda r: Cell(text=r.p)),
        Column(
            name="holm",
            head="Holm p",
            unit="",
            brief="Holm p",
            cell=lambda r: Cell(text=r.p_holm, mark=r.test_marks, strong=r.significant),
        ),
        Column(name="d", head="d", unit="", brief="d", cell=lambda r: Cell(text=r.effect)),
        Column(
            name="tuning",
            head="Tuning",
            unit="done/stopped/failed",
            brief="tuning",
            cell=lambda r: Cell(text=r.tuning, mark=r.tuning_marks),
        ),
        Column(name="failed", head="Failed", unit="", brief="failed", cell=lambda r: Cell(text=r.evaluation_failed)),
        Column(name="steps", head="Steps", unit="", brief="steps", cell=lambda r: Cell(text=r.steps)),
        Column(name="time", head="Time", unit="", brief="time", cell=lambda r: Cell(text=r.time, sort=r.seconds)),
    )
}
FULL = ("seeds", "error", "difference", "p", "holm", "d", "tuning", "failed", "steps", "time")
PRESETS: Mapping[str, tuple[str, ...]] = {
    "full": FULL,
    "paper": ("seeds", "error", "difference", "p", "holm", "d"),
    "short": ("error", "difference", "holm"),
    "std": ("seeds", "std", "holm"),
}
TERMINAL = ("seeds", "error", "difference", "p", "holm", "tuning")
MOST_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class TableStyle:
    """What a reader wants to see of the main table."""

    columns: tuple[str, ...] | None = None
    """Names of `COLUMNS`; None for what suits each format."""
    decimals: int | None = None
    """Of errors and differences; None to follow the intervals: two digits of the typical half-width."""

    def chosen(self, otherwise: Sequence[str]) -> list[Column]:
        """The columns, or those named `otherwise`."""
        return [COLUMNS[name] for name in self.columns or otherwise]

    @property
    def options(self) -> str:
        """What asks `ablate report` for it, with a space before; empty for what is usual."""
        names = next((name for name, found in PRESETS.items() if found == self.columns), ",".join(self.columns or ()))
        decimals = "" if self.decimals is None else f" --decimals {self.decimals}"
        return (f" --style {names}" if names else "") + decimals


AS_USUAL = TableStyle()


class StyleError(ValueError):
    """A style that names no preset and no columns."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name
        self.known = (*PRESETS, *COLUMNS)


def parse_style(text: str, decimals: int | None = None) -> TableStyle:
    """A preset, or names of columns with commas between. Raises StyleError for a name that is neither."""
    if text in PRESETS:
        return TableStyle(PRESETS[text], decimals)
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names or (text,):
        if name not in COLUMNS:
            raise StyleError(name)
    return TableStyle(names, decimals)
