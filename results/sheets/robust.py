"""The sheet of summaries over all runs."""

from __future__ import annotations

from results.analysis.main_table import MainTable
from results.analysis.robust import SEEDS_FOR_INTERVALS, RobustRow, robust
from results.analysis.row_notes import MARKS
from results.sheets.sheet import Group, Line, Sheet, optional
from results.statistics.paired import Interval
from results.words.numbers import MARK_SIGNS, interval, percent


def summaries(table: MainTable) -> Sheet | None:
    """Interquartile means and probabilities of improvement; None where `results.analysis.robust.robust` has nothing."""
    found = robust(table)
    if found is None:
        return None
    several = found.conditions > 1
    seeds = [len(row.errors) for row in found.rows if row.errors]
    notes = [
        "Interquartile mean: without the lowest and the highest quarter of the runs. "
        + (
            "Conditions are pooled as they are, so these quarters come first from the easiest and the hardest. "
            if several
            else ""
        )
        + f"{found.title} errs less: how often a run of it errs less than one of the arm"
        + (" under the same condition, averaged over conditions" if several else "")
        + "; 50% is no difference, ties count half. It says how often, not by how much; tests in pairs are in the tables.",
        f"Intervals: expanded percentile bootstrap over seeds; of how often {found.title} errs less, jackknife on the logit "
        "scale. Arms"
        + (" and conditions" if several else "")
        + " share seeds, so a seed brings all its runs along; intervals of arms that differ in pairs may overlap. "
        "At 0% and 100% none is given.",
    ]
    if min(seeds) < SEEDS_FOR_INTERVALS:
        notes.append(f"No interval with fewer than {SEEDS_FOR_INTERVALS} seeds: it would be too narrow.")
    if any(row.role == "oracle" for row in found.rows):
        notes.append(f"{MARK_SIGNS['oracle']} {MARKS['oracle']}.")
    return Sheet(
        name="robust",
        title="Over all runs",
        intro="Summaries that no single bad run carries (Agarwal et al. 2021), over the runs of "
        + (f"all {found.conditions} conditions, from seeds that have a run under each." if several else "all seeds.")
        + " Errors in percent.",
        head=("Arm", "Runs", "Interquartile mean", "95% interval", f"{found.title} errs less", "95% interval"),
        groups=(Group(title="", lines=tuple(_line(row, row.arm == found.reference) for row in found.rows)),),
        notes=tuple(notes),
    )


def _line(row: RobustRow, reference: bool) -> Line:
    runs = sum(map(len, row.errors))
    return Line(
        cells=(
            f"{row.title}{MARK_SIGNS['oracle'] if row.role == 'oracle' else ''}",
            str(runs),
            optional(row.iqm),
            interval(row.iqm_interval),
            "" if reference else optional(row.improvement, percent),
            _percents(row.improvement_interval),
        ),
        values={
            "arm": row.arm,
            "title": row.title,
            "runs": runs,
            "iqm": row.iqm,
            **_ends("iqm", row.iqm_interval),
            "improvement": row.improvement,
            **_ends("improvement", row.improvement_interval),
        },
        reference=reference,
    )


def _percents(bounds: Interval | None) -> str:
    return f"[{percent(bounds.low)}, {percent(bounds.high)}]" if bounds else ""


def _ends(name: str, bounds: Interval | None) -> dict[str, float | None]:
    return {f"{name}_low": bounds.low if bounds else None, f"{name}_high": bounds.high if bounds else None}
