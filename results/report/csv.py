"""The main table as CSV in full precision, for a spreadsheet or a notebook. The column that is timing comes last."""

from __future__ import annotations

from typing import Any

from results.analysis.main_table import ConditionTable, MainTable, Row
from results.sheets.sheet import Sheet
from results.statistics.paired import Interval
from results.words.csv_rows import render_rows

COLUMNS = (
    "condition",
    "arm",
    "title",
    "meaning",
    "seeds_completed",
    "seeds_planned",
    "test_error",
    "test_error_low",
    "test_error_high",
    "pairs",
    "difference",
    "difference_low",
    "difference_high",
    "p",
    "p_holm",
    "p_negligible",
    "effect_size",
    "tuning_completed",
    "tuning_pruned",
    "tuning_failed",
    "evaluation_failed",
    "steps",
    "marks",
    "seconds",
)


def render_csv(table: MainTable) -> str:
    """All conditions below each other, one row per arm; an empty field where a value does not exist."""
    return render_rows(COLUMNS, plain_rows(table))


def plain_rows(table: MainTable) -> list[list[Any]]:
    """The values of `COLUMNS` for every row of every condition."""
    return [plain_values(c, row) for c in table.conditions for row in c.rows]


def render_sheet_csv(sheet: Sheet) -> str:
    """A sheet in full precision, a row per line."""
    lines = sheet.lines
    return render_rows(list(lines[0].values) if lines else [], [list(line.values.values()) for line in lines])


def plain_values(table: ConditionTable, row: Row) -> list[Any]:
    """A value for each of `COLUMNS`, None where there is none."""
    error, difference = row.test_error, row.difference
    return [
        table.condition,
        row.arm,
        row.title,
        row.meaning,
        row.seeds_completed,
        row.seeds_planned,
        error.mean if error else None,
        *_bounds(error.interval if error else None),
        difference.n if difference else None,
        difference.mean if difference else None,
        *_bounds(difference.interval if difference else None),
        difference.p if difference else None,
        row.p_holm,
        row.p_negligible,
        difference.effect_size if difference else None,
        row.tuning.completed,
        row.tuning.pruned,
        row.tuning.failed,
        row.evaluation_failed,
        row.steps,
        "; ".join(row.marks),
        row.seconds,
    ]


def _bounds(interval: Interval | None) -> tuple[float | None, float | None]:
    return (interval.low, interval.high) if interval else (None, None)
