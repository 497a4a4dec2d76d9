"""Tables as pandas DataFrames, for notebooks. pandas is imported when somebody asks, and is no requirement."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from results.report.csv import COLUMNS, plain_values

if TYPE_CHECKING:
    from results.analysis.main_table import ConditionTable
    from results.sheets.sheet import Sheet


def frame(tables: Sequence[ConditionTable]) -> Any:
    """A DataFrame with a row per condition and arm, and the columns of `table.csv` in full precision."""
    rows = [plain_values(table, row) for table in tables for row in table.rows]
    return import_pandas().DataFrame(rows, columns=list(COLUMNS))


def sheet_frame(sheet: Sheet) -> Any:
    """A DataFrame with a row per line of the sheet."""
    return import_pandas().DataFrame([dict(line.values) for line in sheet.lines])


def import_pandas() -> ModuleType:
    """pandas; ImportError that says how to get it."""
    try:
        return import_module("pandas")
    except ImportError as problem:
        raise ImportError(
            "to_pandas() needs pandas, which is not installed here; `pip install pandas` adds it. "
            "`table.csv` in the study's report folder has the same values"
        ) from problem
