"""What a table beside the main one is: text that every renderer lays out in the same way, with its full-precision values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from results.analysis.main_table import ConditionTable, MainTable
from results.statistics.paired import Interval, PairedDifference
from results.words.numbers import NOTHING, interval, number, p_value, signed

Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One row of a sheet."""

    cells: tuple[str, ...]
    values: Values
    """Full precision, for CSV and DataFrames; the same keys in every line of a sheet."""
    bold: bool = False
    """It holds after correction, or was chosen."""
    strong: frozenset[int] = frozenset()
    """Columns whose cell alone is set in bold."""
    reference: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """The lines of one condition."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """One table. The first column is text, the others are numbers, unless `text` says otherwise."""

    name: str
    """File name without extension, and anchor in the page."""
    title: str
    intro: str
    head: tuple[str, ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()
    text: frozenset[int] = frozenset({0})
    """Columns that are set left."""

    @property
    def lines(self) -> list[Line]:
        """All lines."""
        return [line for group in self.groups for line in group.lines]

    def to_pandas(self) -> Any:
        """A DataFrame with the values in full precision; ImportError that says what to install."""
        from results.report.frames import sheet_frame

        return sheet_frame(self)

    def _repr_html_(self) -> str:
        from results.report.notebook import sheet_html

        return sheet_html(self)


def by_condition(table: MainTable, lines: Callable[[ConditionTable], Sequence[Line]]) -> tuple[Group, ...]:
    """A group per condition that has lines; its title is empty where the study has one condition."""
    several = len(table.conditions) > 1
    groups = (
        Group(
            title=c.title if several else "",
            lines=tuple(_with_condition(line, c) for line in lines(c)),
        )
        for c in table.conditions
    )
    return tuple(group for group in groups if group.lines)


def _with_condition(line: Line, table: ConditionTable) -> Line:
    return replace(line, values={"condition": table.condition, **line.values})


def tested(found: PairedDifference | None, p_holm: float | None) -> tuple[str, str, str, str]:
    """Mean, interval, p and Holm p as text."""
    if found is None:
        return NOTHING, "", NOTHING, NOTHING
    return signed(found.mean), interval(found.interval, sign=True), p_value(found.p), p_value(p_holm)


def plain(found: PairedDifference | None) -> dict[str, float | None]:
    """A difference as values."""
    bounds: Interval | None = found.interval if found else None
    return {
        "seeds": found.n if found else 0,
        "difference": found.mean if found else None,
        "difference_low": bounds.low if bounds else None,
        "difference_high": bounds.high if bounds else None,
        "p": found.p if found else None,
    }


def points(found: PairedDifference | None) -> str:
    """Its mean as text."""
    return signed(found.mean) if found else NOTHING


def optional(value: float | None, write: Callable[[float], str] = number) -> str:
    """A value as text, a dash where there is none."""
    return NOTHING if value is None else write(value)
