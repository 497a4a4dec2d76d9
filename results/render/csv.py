"""The main table as CSV in full precision, for a spreadsheet or a notebook. The column that is timing comes last."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from results.sheet import Sheet
from results.statistics import Interval
from results.tables import ConditionTable, MainTable, Row

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


def render_rows(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Any table as CSV; an empty field for None."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_text(v) if isinstance(v, str) else v for v in row] for row in rows)
    return buffer.getvalue()


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


def _text(text: str) -> str:
    """Text that a spreadsheet does not run as a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
