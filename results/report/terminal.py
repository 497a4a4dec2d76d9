"""The main table for the terminal, as rich tables."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from results.analysis.main_table import ConditionTable, MainTable
from results.sheets.overview import sheets
from results.sheets.sheet import Sheet
from results.words.columns import AS_USUAL, TERMINAL, Cell, TableStyle
from results.words.numbers import display_rows, mark_notes

TERMINAL_SHEETS = ("rises", "headroom", "real-only", "additions", "factorial", "both-ways")


def render_terminal(table: MainTable, style: TableStyle = AS_USUAL) -> list[Table]:
    """One table per condition, then the sheets; fits 120 columns, and folds the arms' names where there is less room.

    The overview of many conditions and the fronts are wide, and stand in the report alone.
    """
    views = [_table(condition, style) for condition in table.conditions]
    return views + [render_sheet(sheet) for sheet in sheets(table) if sheet.name in TERMINAL_SHEETS]


def render_sheet(sheet: Sheet) -> Table:
    """One sheet, its explanation below it."""
    notes = "\n".join([sheet.intro, *sheet.notes])
    view = Table(
        box=SIMPLE_HEAD,
        title=Text(sheet.title),
        title_justify="left",
        caption=Text(notes),
        caption_justify="left",
        pad_edge=False,
        padding=(0, 1),
    )
    for place, title in enumerate(sheet.head):
        text = place in sheet.text
        view.add_column(title, justify="left" if text else "right", overflow="fold")
    for group in sheet.groups:
        if group.title:
            view.add_row(Text(group.title, style="italic"))
        for line in group.lines:
            bold = line.bold or line.reference
            view.add_row(
                *(
                    Text(
                        cell.replace(", ", ",\u00a0") if i not in sheet.text else cell,
                        style="bold" if bold or i in line.strong else "",
                    )
                    for i, cell in enumerate(line.cells)
                )
            )
        view.add_section()
    return view


def _table(table: ConditionTable, style: TableStyle) -> Table:
    rows, columns = display_rows(table, style.decimals), style.chosen(TERMINAL)
    notes = []
    if any(column.name == "difference" for column in columns):
        notes.append(f"difference: arm minus {table.reference_title}, percentage points; + errs more")
    notes += [f"{sign} {meaning}" for sign, meaning in mark_notes(rows)]
    view = Table(
        box=SIMPLE_HEAD,
        title=Text(table.title),
        title_justify="left",
        caption=Text("\n".join(notes)),
        caption_justify="left",
        pad_edge=False,
        padding=(0, 1),
    )
    view.add_column("arm", overflow="fold", min_width=10)
    for column in columns:
        view.add_column(column.brief, justify="right", no_wrap=column.name not in ("error", "std", "difference"))
    for row in rows:
        weight = "bold" if row.reference or row.significant else ""
        view.add_row(Text(row.title + row.title_marks, style=weight), *(_cell(column.cell(row)) for column in columns))
    return view


def _cell(cell: Cell) -> Text:
    """A number and its interval, which stays on one line where there is no room for both."""
    text = f"{cell.text} {cell.below}".strip().replace(", ", ",\u00a0")
    return Text(text + cell.mark, style="bold" if cell.strong else "")
