"""The main table as data: one row per arm, a table per condition, from a study's manifest and its records."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from results.manifest import ArmInfo, CellInfo, ConditionInfo, Role, StudyManifest
from results.records import TrialRecord, best_tuning_record
from results.statistics import (
    ALPHA,
    Interval,
    MeanInterval,
    PairedDifference,
    holm,
    mean_interval,
    paired_difference,
    seeds_needed,
    smallest_sign_flip_p,
)

Mark = Literal["incomplete", "unequal budget", "underpowered"]

MARKS: Mapping[Mark, str] = {
    "incomplete": "a planned evaluation seed is missing or failed, or no tuning trial completed",
    "unequal budget": "a smaller share of the planned tuning trials gave a result than in another arm of this table",
    "underpowered": f"with this many pairs no difference, however large, reaches a corrected p of {ALPHA}",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class CellRecords:
    """The records behind one cell's number."""

    cell: CellInfo
    tuning: tuple[TrialRecord, ...]
    """The planned tuning trials that the ledger has, by number."""
    best: TrialRecord | None
    """The tuning trial whose configuration was evaluated; None where none completed."""
    evaluation: tuple[TrialRecord, ...]
    """One record per planned seed that the ledger has, in the order of the plan."""

    @property
    def measured(self) -> tuple[TrialRecord, ...]:
        """Evaluation trials that completed and have a test error."""
        return tuple(r for r in self.evaluation if r.status == "completed" and "test_error" in r.metrics)


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningCounts:
    """How a cell's planned tuning trials ended."""

    planned: int
    completed: int
    pruned: int
    failed: int

    @property
    def share(self) -> float:
        """Share of the plan that told the search something; an arm with nothing to search plans a single trial."""
        return (self.completed + self.pruned) / self.planned if self.planned else 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class BestConfig:
    """What tuning chose for a cell."""

    number: int
    val_error: float
    suggested: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One arm in one condition. Errors in percent, differences in percentage points."""

    arm: str
    title: str
    role: Role
    removed: str | None
    meaning: str
    seeds_planned: int
    seeds_completed: int
    test_errors: tuple[tuple[int, float], ...]
    """(seed, test error) of every evaluation trial that completed."""
    test_error: MeanInterval | None
    differences: tuple[tuple[int, float], ...]
    """(seed, this arm minus the reference) where both completed."""
    difference: PairedDifference | None
    """This arm minus the reference: positive means that this arm errs more. None for the reference or without pairs."""
    p_holm: float | None
    """`difference.p`, corrected over all arms of the table; arms without a pair yet count as p = 1."""
    tuning: TuningCounts
    best: BestConfig | None
    evaluation_failed: int
    steps: int
    """Training steps of the tuning trials and the evaluation trials counted here."""
    seconds: float
    """Their training time. Depends on the machine, so it is no part of `answers`."""
    marks: tuple[Mark, ...]

    @property
    def significant(self) -> bool:
        """Whether the difference to the reference holds after correction."""
        return self.p_holm is not None and self.p_holm <= ALPHA

    def answers(self) -> dict[str, Any]:
        """The row as plain values without times: equal for two runs of one study, to the last bit."""
        plain = asdict(self)
        del plain["seconds"]
        return plain


@dataclass(frozen=True, kw_only=True, slots=True)
class ConditionTable:
    """All arms under one condition."""

    condition: str
    title: str
    reference: str
    seeds_planned: int
    rows: tuple[Row, ...]

    def row(self, arm: str) -> Row | None:
        """The row of that arm, None where the condition has none."""
        return next((r for r in self.rows if r.arm == arm), None)

    @property
    def reference_title(self) -> str:
        """What headers call the reference."""
        row = self.row(self.reference)
        return row.title if row else self.reference

    @property
    def compared(self) -> tuple[Row, ...]:
        """Every row but the reference."""
        return tuple(r for r in self.rows if r.arm != self.reference)

    @property
    def comparisons(self) -> int:
        """How many comparisons the correction is over."""
        return len(self.compared)

    @property
    def pairs(self) -> int:
        """The most pairs any comparison has."""
        return max((r.difference.n for r in self.compared if r.difference), default=0)

    @property
    def seeds_needed(self) -> int:
        """Paired seeds from which on a single difference can be significant after correction."""
        return seeds_needed(ALPHA, max(1, self.comparisons))

    def smallest_p_holm(self, seeds: int) -> float:
        """The smallest corrected p that `seeds` pairs can reach in this table."""
        return min(1.0, smallest_sign_flip_p(seeds) * self.comparisons)

    def answers(self) -> dict[str, Any]:
        """The table as plain values without times."""
        return {
            "condition": self.condition,
            "title": self.title,
            "reference": self.reference,
            "seeds_planned": self.seeds_planned,
            "comparisons": self.comparisons,
            "rows": [r.answers() for r in self.rows],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class MainTable:
    """A study's answer: one table per condition."""

    study: str
    question: str
    conditions: tuple[ConditionTable, ...]

    def answers(self) -> dict[str, Any]:
        """Everything that is a pure function of the trials' outcomes; no seconds, hosts or dates."""
        return {
            "study": self.study,
            "question": self.question,
            "alpha": ALPHA,
            "conditions": [c.answers() for c in self.conditions],
        }

    def times(self) -> dict[str, dict[str, float]]:
        """Training seconds by condition and arm: what `answers` leaves out."""
        return {c.condition: {r.arm: r.seconds for r in c.rows} for c in self.conditions}


def main_table(manifest: StudyManifest, records: Sequence[TrialRecord]) -> MainTable:
    """Compute the study's table; rows and conditions in the manifest's order."""
    return table_of_cells(manifest, select_records(manifest, records))


def table_of_cells(manifest: StudyManifest, cells: Mapping[tuple[str, str], CellRecords]) -> MainTable:
    """Compute the study's table from `select_records`' result."""
    return MainTable(
        study=manifest.study,
        question=manifest.question,
        conditions=tuple(
            _condition_table(
                manifest,
                condition,
                [(a, cells[a.name, condition.name]) for a in manifest.arms if (a.name, condition.name) in cells],
            )
            for condition in manifest.conditions
        ),
    )


def select_records(manifest: StudyManifest, records: Sequence[TrialRecord]) -> dict[tuple[str, str], CellRecords]:
    """The records behind each of the manifest's cells, by (arm, condition).

    A cell's evaluation trials are those of planned seeds that ran the configuration its tuning ends with: trials of a
    configuration that was best before the search was extended stay in the ledger and are not counted.
    """
    by_cell: dict[str, list[TrialRecord]] = defaultdict(list)
    for record in records:
        by_cell[record.cell].append(record)
    return {(c.arm, c.condition): _cell_records(manifest, c, by_cell[c.cell]) for c in manifest.cells}


def _cell_records(manifest: StudyManifest, cell: CellInfo, records: Sequence[TrialRecord]) -> CellRecords:
    tuning = sorted(
        (r for r in records if r.phase == "tune" and r.search == cell.search and r.number < cell.tuning_trials),
        key=lambda r: (r.number, r.trial_id),
    )
    best = best_tuning_record(tuning)
    by_seed: dict[int, TrialRecord] = {}
    for record in records:
        if record.phase != "evaluate":
            continue
        if cell.tuning_trials and (best is None or dict(record.suggested) != dict(best.suggested)):
            continue
        known = by_seed.get(record.seed)
        if known is None or _freshness(record) > _freshness(known):
            by_seed[record.seed] = record
    evaluation = tuple(by_seed[s] for s in manifest.evaluation_seeds if s in by_seed)
    return CellRecords(cell=cell, tuning=tuple(tuning), best=best, evaluation=evaluation)


def _freshness(record: TrialRecord) -> tuple[bool, Any, str]:
    """Which of several trials of one seed counts: one that completed, then the newest (the training source changed)."""
    return (record.status == "completed", record.started_at, record.trial_id)


def _condition_table(
    manifest: StudyManifest, condition: ConditionInfo, arms: Sequence[tuple[ArmInfo, CellRecords]]
) -> ConditionTable:
    errors = {arm.name: {r.seed: float(r.metrics["test_error"]) for r in cell.measured} for arm, cell in arms}
    base = errors.get(manifest.reference, {})
    shared = {
        arm.name: [s for s in errors[arm.name] if s in base] if arm.name != manifest.reference else []
        for arm, _ in arms
    }
    differences = {
        name: paired_difference([errors[name][s] for s in seeds], [base[s] for s in seeds]) if seeds else None
        for name, seeds in shared.items()
    }
    compared = [name for name, difference in differences.items() if difference]
    comparisons = sum(arm.name != manifest.reference for arm, _ in arms)
    p_holm = dict(zip(compared, holm([d.p for d in differences.values() if d], comparisons), strict=True))
    tuning = {arm.name: _tuning_counts(cell) for arm, cell in arms}
    largest_share = max((t.share for t in tuning.values()), default=0.0)

    def row(arm: ArmInfo, cell: CellRecords) -> Row:
        name, difference = arm.name, differences[arm.name]
        counts = tuning[name]
        planned = len(manifest.evaluation_seeds)
        pairs = difference.n if difference else planned
        marks: dict[Mark, bool] = {
            "incomplete": len(errors[name]) < planned or (counts.planned > 0 and cell.best is None),
            "unequal budget": counts.share < largest_share,
            "underpowered": name != manifest.reference and smallest_sign_flip_p(pairs) * comparisons > ALPHA,
        }
        spent = [*cell.tuning, *cell.evaluation]
        return Row(
            arm=name,
            title=arm.title,
            role=arm.role,
            removed=arm.removed,
            meaning=arm.meaning,
            seeds_planned=planned,
            seeds_completed=len(errors[name]),
            test_errors=tuple(errors[name].items()),
            test_error=_error_interval(list(errors[name].values())) if errors[name] else None,
            differences=tuple((s, errors[name][s] - base[s]) for s in shared[name]),
            difference=difference,
            p_holm=p_holm.get(name),
            tuning=counts,
            best=_best_config(cell),
            evaluation_failed=sum(r.status == "failed" for r in cell.evaluation),
            steps=sum(r.steps for r in spent),
            seconds=math.fsum(r.seconds for r in spent),
            marks=tuple(mark for mark, holds in marks.items() if holds),
        )

    return ConditionTable(
        condition=condition.name,
        title=condition.title,
        reference=manifest.reference,
        seeds_planned=len(manifest.evaluation_seeds),
        rows=tuple(row(arm, cell) for arm, cell in arms),
    )


def _tuning_counts(cell: CellRecords) -> TuningCounts:
    ended = [r.status for r in cell.tuning]
    return TuningCounts(
        planned=cell.cell.tuning_trials,
        completed=ended.count("completed"),
        pruned=ended.count("pruned"),
        failed=ended.count("failed"),
    )


def _best_config(cell: CellRecords) -> BestConfig | None:
    if cell.best is None:
        return None
    best = cell.best
    return BestConfig(number=best.number, val_error=float(best.metrics["val_error"]), suggested=dict(best.suggested))


def _error_interval(percent: Sequence[float]) -> MeanInterval:
    """The mean's t interval, cut off at the ends of the scale: an error is from 0 to 100 %."""
    found = mean_interval(percent)
    if found.interval is None:
        return found
    low, high = max(found.interval.low, 0.0), min(found.interval.high, 100.0)
    return MeanInterval(n=found.n, mean=found.mean, interval=Interval(low=low, high=high))
