"""Tables for a terminal that cut nothing: a name that one must type stands whole as long as it fits on a line at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

BETWEEN = 2
"""Blanks between two columns."""
NARROWEST = 8
"""To which a column of prose may shrink before a name is broken."""


@dataclass(frozen=True, kw_only=True)
class FittedTable:
    """Rows of text under headings. Columns that are empty in every row are left out.

    Rich shrinks columns without regard for the words in them, and cuts the words that no longer fit.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    right: Collection[str] = ()
    """Headings of columns that are numbers."""
    once: Collection[str] = ()
    """Headings of columns that become a line above the table where all rows say the same."""
    prose: Collection[str] = ()
    """Headings of columns without names: where there is no room, their words are broken before others."""
    spare: Sequence[str] = ()
    """Headings of columns that are left out, one after the other, before any word is broken; a last line says so."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.title:
            yield Text(self.title, style="italic")
        shown = {heading: [row[i] for row in self.rows] for i, heading in enumerate(self.headings)}
        for heading, cells in list(shown.items()):
            if not any(cells):
                del shown[heading]
            elif heading in self.once and len(set(cells)) == 1:
                yield Text(f"{heading}: {cells[0]}")
                del shown[heading]
        left_out = []
        for heading in self.spare:
            if heading in shown and not _words_fit(shown, options.max_width):
                del shown[heading]
                left_out.append(heading)
        widths = fitted(
            [(heading, *cells) for heading, cells in shown.items()],
            _room(shown, options.max_width),
            [heading not in self.prose for heading in shown],
        )
        table = Table(box=None, padding=(0, BETWEEN, 0, 0), pad_edge=False, header_style="dim")
        for heading, width in zip(shown, widths, strict=True):
            justify = "right" if heading in self.right else "left"
            table.add_column(heading, width=width, justify=justify, overflow="fold")  # type: ignore[arg-type]
        for i in range(len(self.rows)):
            table.add_row(*(Text(cells[i]) for cells in shown.values()))
        yield table
        if left_out:
            yield Text(f"no room for: {', '.join(left_out)}; a wider terminal or --json shows it", style="dim")


def _room(columns: Mapping[str, Sequence[str]], width: int) -> int:
    return width - BETWEEN * max(len(columns) - 1, 0)


def _words_fit(columns: Mapping[str, Sequence[str]], width: int) -> bool:
    words = (_longest_word((heading, *cells)) for heading, cells in columns.items())
    return sum(words) <= _room(columns, width)


def _longest_word(cells: Sequence[str]) -> int:
    return max((cell_len(word) for cell in cells for word in cell.split()), default=1)


def fitted(columns: Sequence[Sequence[str]], room: int, names: Sequence[bool]) -> list[int]:
    """A width for each column, together at most `room`: no word is broken where that can be, and what is left over goes to short
    texts first, then where most lines are wanted.

    Args:
        columns: The cells of each.
        room: Characters of a line.
        names: Whether words of the column are to be kept whole rather than those of others.
    """
    lines = [max(map(cell_len, cells), default=0) for cells in columns]
    if sum(lines) <= room:
        return lines
    widths = [_longest_word(cells) for cells in columns]
    while sum(widths) > max(room, len(widths)):
        others = [i for i, named in enumerate(names) if not named and widths[i] > NARROWEST]
        widest = max(others or range(len(widths)), key=lambda i: widths[i])
        widths[widest] -= 1
    for i in sorted(range(len(widths)), key=lambda i: lines[i] - widths[i]):
        if 0 < lines[i] - widths[i] <= (room - sum(widths)) // 2:  # short texts stay on one line
            widths[i] = lines[i]
    while sum(widths) < room:
        tallest = max(range(len(widths)), key=lambda i: lines[i] / widths[i])
        widths[tallest] += 1
    return widths
