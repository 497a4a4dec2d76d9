"""Tables as small pieces of HTML for Jupyter: no style sheet, no script, everything escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from results.words.numbers import DisplayRow, display_row, display_rows, mark_notes

if TYPE_CHECKING:
    from results.analysis.main_table import ConditionTable, Row
    from results.sheets.sheet import Sheet

HEAD = ("Arm", "Seeds", "Test error, %", "Difference, points", "p", "Holm p", "d", "Tuning")


def tables_html(tables: Sequence[ConditionTable], question: str = "") -> str:
    """The main table, one `<table>` per condition with the meaning of its marks below."""
    parts = [f"<p><b>{escape(question)}</b></p>"] if question else []
    for table in tables:
        rows = display_rows(table)
        base = escape(table.reference_title)
        parts.append(
            grid(f"{table.title}. Difference: arm minus {table.reference_title}; + errs more.", HEAD, _body(rows))
            if rows
            else f"<p>{escape(table.title)}: no arm beside {base} is planned.</p>"
        )
        parts += [f"<p><small>{sign} {escape(meaning)}.</small></p>" for sign, meaning in mark_notes(rows)]
    return "".join(parts)


def row_html(row: Row) -> str:
    """One arm as a table of one row."""
    shown = display_row(row)
    notes = "".join(f"<p><small>{s} {escape(m)}.</small></p>" for s, m in mark_notes([shown]))
    return grid("", HEAD, _body([shown])) + notes


def sheet_html(sheet: Sheet) -> str:
    """A sheet, one `<table>` per condition."""
    parts = [f"<p><b>{escape(sheet.title)}</b><br/>{escape(sheet.intro)}</p>"]
    parts += [
        grid(group.title, sheet.head, [line.cells for line in group.lines], [line.strong for line in group.lines])
        for group in sheet.groups
    ]
    return "".join([*parts, *(f"<p><small>{escape(note)}</small></p>" for note in sheet.notes)])


def grid(
    caption: str, head: Sequence[str], body: Sequence[Sequence[str]], strong: Sequence[frozenset[int]] = ()
) -> str:
    """A table whose first column is text; `body` holds text, which is escaped here, `strong` each row's columns in bold."""

    def cell(text: str, row: int, column: int) -> str:
        shown = f"<b>{escape(text)}</b>" if strong and column in strong[row] else escape(text)
        return f"<td{right if column else left}>{shown}</td>"

    left, right = ' style="text-align:left"', ' style="text-align:right"'
    titles = "".join(f"<th{right if i else left}>{escape(title)}</th>" for i, title in enumerate(head))
    rows = "".join(
        f"<tr>{''.join(cell(text, row, column) for column, text in enumerate(cells))}</tr>"
        for row, cells in enumerate(body)
    )
    shown = f"<caption{left}>{escape(caption)}</caption>" if caption else ""
    return f"<table>{shown}<thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table>"


def _body(rows: Sequence[DisplayRow]) -> list[list[str]]:
    return [
        [
            row.title + row.title_marks,
            row.seeds + row.seeds_marks,
            f"{row.error} {row.error_interval}".strip(),
            f"{row.difference} {row.difference_interval}".strip(),
            row.p,
            row.p_holm + row.test_marks + ("*" if row.significant else ""),
            row.effect,
            row.tuning + row.tuning_marks,
        ]
        for row in rows
    ]
