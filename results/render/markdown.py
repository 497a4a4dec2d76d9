"""The main table as Markdown, for a README or an issue."""

from __future__ import annotations

import re

from results.display import DisplayRow, display_rows, footnotes, mark_notes
from results.sheet import Line, Sheet
from results.sheets import left_out, sheets
from results.tables import ConditionTable, MainTable
from results.verdict import verdict

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&$])")


def render_markdown(table: MainTable) -> str:
    """Question, answer in words, a table per condition, and what its columns mean. Text from the study is escaped."""
    parts = [f"# {escape(table.question)}", "\n".join(f"- {escape(s)}" for s in verdict(table))]
    for condition in table.conditions:
        parts += [f"## {escape(condition.title)}", _table(condition), _notes(condition)]
    parts += [_sheet(sheet) for sheet in sheets(table)]
    if table.left_out:
        parts += ["## Arms that were left out", "\n".join(f"- {escape(s)}" for s in left_out(table))]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text on one line that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _table(table: ConditionTable) -> str:
    header = [
        "Arm",
        "Seeds",
        "Test error, %",
        f"Difference to {escape(table.reference_title)}, points (+ errs more)",
        "p",
        "Holm p",
        "d",
        "Tuning done/pruned/failed",
        "Failed",
        "Steps",
        "Time",
    ]
    aligned = [":--", *["--:"] * (len(header) - 1)]
    lines = [header, aligned, *(_cells(row) for row in display_rows(table))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(row: DisplayRow) -> list[str]:
    title = f"**{escape(row.title)}**" if row.reference else escape(row.title) + row.title_marks
    return [
        f"{title}: {escape(row.meaning)}" if row.meaning else title,
        row.seeds + row.seeds_marks,
        f"{row.error} {row.error_interval}".strip(),
        f"{row.difference} {row.difference_interval}".strip(),
        row.p,
        f"**{row.p_holm}**" if row.significant else row.p_holm + row.underpowered,
        row.effect,
        row.tuning + row.tuning_marks,
        row.evaluation_failed,
        row.steps,
        row.time,
    ]


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


def _notes(table: ConditionTable) -> str:
    marks = [f"{sign} {meaning}" for sign, meaning in mark_notes(display_rows(table))]
    return "\n\n".join(escape(note) for note in [*footnotes(table), *marks])
