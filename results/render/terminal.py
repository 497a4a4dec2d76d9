"""The main table for the terminal, as rich tables."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from results.display import display_rows, mark_notes
from results.sheet import Sheet
from results.sheets import sheets
from results.tables import ConditionTable, MainTable

TERMINAL_SHEETS = ("rises", "headroom", "real-only", "additions", "factorial", "both-ways", "optimism")


def render_terminal(table: MainTable) -> list[Table]:
    """One table per condition, then the sheets; fits 120 columns, and folds the arms' names where there is less room.

    The overview of many conditions and the fronts are wide, and stand in the report alone.
    """
    views = [_table(condition) for condition in table.conditions]
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


def _table(table: ConditionTable) -> Table:
    rows = display_rows(table)
    notes = [f"difference: arm minus {table.reference_title}, percentage points; + errs more"]
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
    view.add_column("seeds", justify="right", no_wrap=True)
    view.add_column("test error, %", justify="right")
    view.add_column("difference", justify="right")
    view.add_column("p", justify="right", no_wrap=True)
    view.add_column("Holm p", justify="right", no_wrap=True)
    view.add_column("tuning", justify="right", no_wrap=True)
    for row in rows:
        style = "bold" if row.reference or row.significant else ""
        view.add_row(
            Text(row.title + row.title_marks, style=style),
            Text(row.seeds + row.seeds_marks),
            _with_interval(row.error, row.error_interval),
            _with_interval(row.difference, row.difference_interval, style),
            Text(row.p),
            Text(row.p_holm + row.test_marks, style=style),
            Text(row.tuning + row.tuning_marks),
        )
    return view


def _with_interval(value: str, interval: str, style: str = "") -> Text:
    """A number and its interval, which stays on one line where there is no room for both."""
    return Text(f"{value} {interval}".strip().replace(", ", ",\u00a0"), style=style)
