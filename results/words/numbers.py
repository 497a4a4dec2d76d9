"""How numbers are written, the same in every format: decimals as intervals justify, true minus signs, a dash for nothing."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, stdev
from typing import Any

from results.analysis.comparison import lead
from results.analysis.main_table import ConditionTable, Row
from results.analysis.row_notes import MARKS, Mark
from results.statistics.paired import ALPHA, Interval

NOTHING = "–"
MARK_SIGNS: Mapping[Mark, str] = {
    "oracle": "○",
    "incomplete": "†",
    "unequal budget": "‡",
    "underpowered": "§",
    "negligible": "≈",
    "mixed code": "¶",
    "asynchronous search": "∥",
    "constraint not met": "◇",
}


def number(value: float, decimals: int = 2) -> str:
    """`12.30`, with a true minus sign, and never a negative zero."""
    text = f"{value:.{decimals}f}"
    if not text.strip("-0."):
        text = text.lstrip("-")
    return text.replace("-", "−")


def decimals_for(half_widths: Iterable[float], otherwise: int = 2) -> int:
    """Decimals that show two digits of the typical (median) half-width of some intervals, 0 to 4.

    `otherwise` where there is no interval that has a width.
    """
    widths = [w for w in half_widths if w > 0]
    if not widths:
        return otherwise
    return min(4, max(0, 1 - math.floor(math.log10(median(widths)))))


@dataclass(frozen=True, kw_only=True, slots=True)
class Precision:
    """Decimals of a table's numbers."""

    error: int = 2
    difference: int = 2


def precision(table: ConditionTable, decimals: int | None = None) -> Precision:
    """As many decimals as the table's intervals justify, or `decimals`."""
    if decimals is not None:
        return Precision(error=decimals, difference=decimals)
    errors = [r.test_error.interval for r in table.rows if r.test_error]
    differences = [r.difference.interval for r in table.rows if r.difference]
    return Precision(
        error=decimals_for((i.high - i.low) / 2 for i in errors if i),
        difference=decimals_for((i.high - i.low) / 2 for i in differences if i),
    )


def percent(share: float) -> str:
    """`62%`, of a share in 0..1 or beyond."""
    return f"{number(100 * share, 0)}%"


def signed(value: float, decimals: int = 2) -> str:
    """`+1.20`, `−0.31`, `0.00`."""
    text = number(value, decimals)
    return text if text.startswith("−") or not text.strip("0.") else f"+{text}"


def interval(bounds: Interval | None, *, sign: bool = False, decimals: int = 2) -> str:
    """`[11.20, 13.40]`; empty where there is none."""
    if bounds is None:
        return ""
    write = signed if sign else number
    return f"[{write(bounds.low, decimals)}, {write(bounds.high, decimals)}]"


def p_value(p: float | None) -> str:
    """Three decimals, `<0.001` below, a dash for None."""
    if p is None:
        return NOTHING
    if p < 0.001:
        return "<0.001"
    return f"{p:.3f}" if p < 1 else "1"


def exact_p(p: float) -> str:
    """A p that is a power of two times a count, without padding: `0.25`, `0.031`."""
    return f"{p:.2g}" if p >= 0.001 else p_value(p)


def duration(seconds: float) -> str:
    """`12 s`, `3 min`, `1.4 h`, `2.1 d`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} d"


def points(value: float) -> str:
    """`1 point`, `0.5 points`, of percentage points."""
    return f"{value:g} point{'' if value == 1 else 's'}"


def count(value: int) -> str:
    """`12,300`."""
    return f"{value:,}"


def setting(value: Any) -> str:
    """A hyperparameter: four significant digits for a float, a dash for what an arm does not have."""
    if value is None:
        return NOTHING
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


@dataclass(frozen=True, kw_only=True, slots=True)
class DisplayRow:
    """A table row as text, for renderers to escape and lay out."""

    title: str
    meaning: str
    reference: bool
    baseline: bool
    oracle: bool
    significant: bool
    best: bool
    """The lowest error of the table, where that is more than noise."""
    seeds: str
    error: str
    error_interval: str
    error_std: str
    """Mean ± sample standard deviation over seeds."""
    difference: str
    difference_interval: str
    p: str
    p_holm: str
    effect: str
    tuning: str
    evaluation_failed: str
    steps: str
    time: str
    seconds: float
    """What `time` says, to sort by."""
    seeds_marks: str
    """Signs that concern the seeds and the records: incomplete, mixed code."""
    tuning_marks: str
    """Signs that concern the search: unequal budget, asynchronous, constraint not met."""
    test_marks: str
    """Signs that concern the tests: underpowered, negligible."""
    title_marks: str
    """The sign of an oracle."""
    margin: str
    """Below which a difference is negligible: `1 point`."""

    @property
    def marks(self) -> str:
        """All signs of this row."""
        return self.title_marks + self.seeds_marks + self.tuning_marks + self.test_marks


def display_rows(table: ConditionTable, decimals: int | None = None) -> list[DisplayRow]:
    """The rows of a table as text, with as many decimals as its intervals justify, or `decimals`."""
    digits = precision(table, decimals)
    best = best_arm(table)
    return [
        display_row(row, is_reference=row.arm == table.reference, is_best=row.arm == best, digits=digits)
        for row in table.rows
    ]


def best_arm(table: ConditionTable) -> str | None:
    """The arm with the lowest error, oracles aside, if it errs less than every other beyond noise; None otherwise."""
    found = lead({r.arm: dict(r.test_errors) for r in table.rows if r.role != "oracle"})
    return found.arm if found and found.clear else None


def display_row(
    row: Row, *, is_reference: bool = False, is_best: bool = False, digits: Precision | None = None
) -> DisplayRow:
    """One arm as text; two decimals unless `digits` says otherwise."""
    digits = digits or Precision()
    error, difference = row.test_error, row.difference
    effect = difference.effect_size if difference else None
    return DisplayRow(
        title=row.title,
        meaning=row.meaning,
        reference=is_reference,
        baseline=row.role == "baseline",
        oracle=row.role == "oracle",
        significant=row.significant,
        best=is_best,
        seeds=f"{row.seeds_completed}/{row.seeds_planned}",
        error=number(error.mean, digits.error) if error else NOTHING,
        error_interval=interval(error.interval, decimals=digits.error) if error else "",
        error_std=_with_std(row, digits.error),
        difference="reference"
        if is_reference
        else signed(difference.mean, digits.difference)
        if difference
        else NOTHING,
        difference_interval=interval(difference.interval, sign=True, decimals=digits.difference) if difference else "",
        p="" if is_reference else p_value(difference.p if difference else None),
        p_holm="" if is_reference else p_value(row.p_holm),
        effect="" if is_reference else NOTHING if effect is None else signed(effect),
        tuning="inherited" if row.inherited else f"{row.tuning.completed}/{row.tuning.pruned}/{row.tuning.failed}",
        evaluation_failed=str(row.evaluation_failed),
        steps=count(row.steps),
        time=duration(row.seconds),
        seconds=round(row.seconds, 3),
        seeds_marks=_signs(row, "incomplete", "mixed code"),
        tuning_marks=_signs(row, "unequal budget", "asynchronous search", "constraint not met"),
        test_marks=_signs(row, "underpowered", "negligible"),
        title_marks=_signs(row, "oracle"),
        margin=points(row.margin),
    )


def _with_std(row: Row, decimals: int) -> str:
    errors = [error for _, error in row.test_errors]
    if row.test_error is None:
        return NOTHING
    mean = number(row.test_error.mean, decimals)
    return f"{mean} ± {number(stdev(errors), decimals)}" if len(errors) > 1 else mean


def _signs(row: Row, *marks: Mark) -> str:
    return "".join(MARK_SIGNS[mark] for mark in marks if mark in row.marks)


def footnotes(table: ConditionTable, columns: Collection[str]) -> list[str]:
    """What the columns mean, those of `results.words.columns.COLUMNS` that are shown, in their order."""
    base = table.reference_title
    inherits = any(row.inherited for row in table.rows)
    spread = "± the standard deviation of single runs" if "error" not in columns else "with Student's t 95% interval"
    notes = {
        "error std": f"Test error: percent of misclassified test images, mean over seeds {spread}. "
        "Test data is read once, at the last step, with the configuration already frozen."
        + (
            " Bold: the lowest, where its paired difference to each other arm is significant after Holm correction over them."
            if "error" in columns
            else ""
        ),
        "difference": f"Difference: this arm minus {base} in percentage points, in pairs over seeds that both completed. "
        "Positive: this arm errs more (what was removed helps). The 95% interval is Student's t over the paired differences; it is "
        "not corrected for the number of comparisons.",
        "p holm": "p: exact two-sided sign-flip permutation test over seeds. Holm p: corrected over the "
        f"{table.comparisons} comparisons of this table; at or below {ALPHA} it is called significant.",
        "d": "d: standardised paired difference (Cohen's d with Hedges' small-sample correction).",
        "tuning": "Tuning: search trials completed/stopped early/failed; an arm with nothing to search has one"
        + (", an inherited one takes the full method's best configuration over." if inherits else "."),
        "failed": "Failed: evaluation trials that failed.",
        "steps time": "Steps and time: training spent on tuning and evaluation together.",
    }
    return [note for names, note in notes.items() if not set(names.split()).isdisjoint(columns)]


def last_footnotes(tables: Sequence[ConditionTable], columns: Collection[str]) -> list[list[str]]:
    """`footnotes` of each table, none where those of the next one say the same: once below the last of several is enough."""
    each = [footnotes(table, columns) for table in tables]
    return [own if own != following else [] for own, following in zip(each, [*each[1:], None], strict=True)]


def mark_notes(rows: Sequence[DisplayRow]) -> list[tuple[str, str]]:
    """(sign, meaning) of the marks that occur in these rows."""
    used = {sign for row in rows for sign in row.marks}
    margin = rows[0].margin if rows else ""
    return [(sign, MARKS[mark].replace("{margin}", margin)) for mark, sign in MARK_SIGNS.items() if sign in used]
