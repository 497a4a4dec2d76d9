"""The main table as Markdown, for a README or an issue."""

from __future__ import annotations

import re
from collections.abc import Sequence

from results.analysis.main_table import ConditionTable, MainTable
from results.sheets.overview import left_out, sheets
from results.sheets.sheet import Line, Sheet
from results.words.columns import AS_USUAL, FULL, Cell, Column, TableStyle
from results.words.numbers import DisplayRow, display_rows, last_footnotes, mark_notes
from results.words.verdict import answers

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&$])")


def render_markdown(table: MainTable, style: TableStyle = AS_USUAL) -> str:
    """Question, answer in words, a table per condition, and what its columns mean. Text from the study is escaped."""
    parts = [f"# {escape(table.question)}", _answer(table)]
    below = last_footnotes(table.conditions, [column.name for column in style.chosen(FULL)])
    for condition, notes in zip(table.conditions, below, strict=True):
        parts += [f"## {escape(condition.title)}", _table(condition, style), _notes(condition, notes)]
    parts += [_sheet(sheet) for sheet in sheets(table)]
    if table.left_out:
        parts += ["## Arms that were left out", "\n".join(f"- {escape(s)}" for s in left_out(table))]
    return "\n\n".join(parts) + "\n"


def _answer(table: MainTable) -> str:
    parts = []
    for title, passages in answers(table):
        parts += [f"**{escape(title)}**"] if title else []
        lines = []
        for one in passages:
            heading = f"**{escape(one.heading)}.** " if one.heading else ""
            lines.append(f"- {heading}{escape(' '.join(one.sentences))}")
        parts += ["\n".join(lines)] if lines else []
    return "\n\n".join(parts)


def escape(text: str) -> str:
    """Text on one line that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _table(table: ConditionTable, style: TableStyle) -> str:
    columns = style.chosen(FULL)
    header = ["Arm", *(_head(column, table) for column in columns)]
    aligned = [":--", *["--:"] * len(columns)]
    rows = display_rows(table, style.decimals)
    lines = [header, aligned, *([_title(row), *(_cell(c.cell(row)) for c in columns)] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _head(column: Column, table: ConditionTable) -> str:
    if column.name == "difference":
        return f"Difference to {escape(table.reference_title)}, points (+ errs more)"
    return f"{column.head}, {column.unit}" if column.unit else column.head


def _title(row: DisplayRow) -> str:
    title = f"**{escape(row.title)}**" if row.reference else escape(row.title) + row.title_marks
    return f"{title}: {escape(row.meaning)}" if row.meaning else title


def _cell(cell: Cell) -> str:
    text = f"{cell.text} {cell.below}".strip()
    return f"**{text}**{cell.mark}" if cell.strong and text else text + cell.mark


def _sheet(sheet: Sheet) -> str:
    parts = [f"## {escape(sheet.title)}", escape(sheet.intro)]
    for group in sheet.groups:
        aligned = [":--" if i in sheet.text else "--:" for i in range(len(sheet.head))]
        rows = [[escape(title) for title in sheet.head], aligned, *(_line(line) for line in group.lines)]
        parts += [f"### {escape(group.title)}"] if group.title else []
        parts.append("\n".join(f"| {' | '.join(cells)} |" for cells in rows))
    return "\n\n".join([*parts, *map(escape, sheet.notes)])


def _line(line: Line) -> list[str]:
    strong = line.strong | ({0} if line.bold or line.reference else set())
    return [f"**{escape(cell)}**" if i in strong else escape(cell) for i, cell in enumerate(line.cells)]


def _notes(table: ConditionTable, notes: Sequence[str]) -> str:
    marks = [f"{sign} {meaning}" for sign, meaning in mark_notes(display_rows(table))]
    return "\n\n".join(escape(note) for note in [*notes, *marks])
